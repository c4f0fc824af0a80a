//! What a Plugin object wants, with every field understood.

use std::time::Duration;

use sluice_api::Plugin;
use sluice_api::plugin::{
    HttpPermission, KubernetesPermission, PluginEgress, PluginLimits, PluginPermissions,
    PluginSource, PluginVerification, PullSecret, SecretRef,
};
use sluice_port::Rights;
use sluice_port::rights::{Grant, Written};
use sluice_wire::clock::parse_duration;
use url::Url;

use crate::uses::sorted;

/// The most memory that any component can be given, in bytes.
pub const MOST_MEMORY: usize = 128 << 20;

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The name under which rollouts and metrics find the component.
    pub name: String,
    /// Where it is.
    pub source: Source,
    /// The digest of its bytes, `sha256:` and 64 hexadecimal digits. Only what is bundled can do
    /// without.
    pub digest: Option<String>,
    /// The key with which it must be signed, if it must be.
    pub verify: Option<VerifyKey>,
    /// What it may do; `None` is what the bundled component may.
    pub permissions: Option<Permissions>,
    /// How its requests go out where that is not the usual way.
    pub egress: Egress,
    /// Its limits; `None` is the usual one each.
    pub limits: Limits,
    /// When it takes over; `None` is what is usual for its kind.
    pub swap: Option<Swap>,
    /// How a notifier is configured, as JSON with sorted members.
    pub config: Option<String>,
}

/// Where a component is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// In a ConfigMap. No namespace is the controller's.
    ConfigMap {
        /// Its namespace.
        namespace: Option<String>,
        /// Its name.
        name: String,
        /// The key under `binaryData`.
        key: String,
    },
    /// Behind this URL.
    Url(String),
    /// In this file of the controller's.
    File(String),
    /// In files of the controller's, in the layout of images on disk.
    OciLayout {
        /// The folder or tar file.
        path: String,
        /// Which of those in it.
        name: Option<String>,
    },
    /// In a registry.
    Oci {
        /// An image reference.
        reference: String,
        /// Who asks, in the form of Docker's configuration.
        secret: Option<Secret>,
    },
    /// In the controller, under this name.
    Bundled(String),
}

/// Where a public key is, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifyKey {
    /// In the object: this is it.
    Text(String),
    /// In a Secret.
    Secret(Secret),
}

/// What a component may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// Requests.
    pub http: Vec<Http>,
    /// Secrets by alias.
    pub secrets: Vec<(String, Secret)>,
    /// The objects that a router may touch; `None` is what routers usually may.
    pub kubernetes: Option<Vec<Grant>>,
}

impl Permissions {
    /// Which objects a router may touch.
    pub fn rights(&self) -> Rights {
        self.kubernetes.clone().map_or(Rights::Usual, Rights::Granted)
    }
}

/// Requests to one server, or to any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// Which.
    pub server: Server,
    /// The methods; `*` is any.
    pub methods: Vec<String>,
    /// Whether the server's certificate may go unchecked.
    pub insecure: bool,
    /// What is added to the requests.
    pub auth: Option<Auth>,
}

/// A server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Server {
    /// Any.
    Any,
    /// This one: scheme, host and port as one text in one form.
    At(String),
}

/// A header with a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// The header.
    pub header: String,
    /// What stands before the value.
    pub prefix: String,
    /// Where the value is.
    pub secret: Secret,
}

/// A value in a Secret. No namespace is the controller's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Secret {
    /// Its namespace.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// The key.
    pub key: String,
}

/// How requests go out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Egress {
    /// Whether private networks are out of bounds.
    pub public_only: bool,
    /// The proxy: scheme, host and port.
    pub proxy: Option<String>,
    /// Certificates of authorities in PEM.
    pub authorities: Option<String>,
}

/// Limits that differ from the usual ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory, at most [`MOST_MEMORY`].
    pub memory: Option<usize>,
    /// Time on the clock.
    pub wall: Option<Duration>,
    /// Time on a processor.
    pub cpu: Option<Duration>,
    /// Calls at a time.
    pub concurrency: Option<usize>,
}

/// When a component takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swap {
    /// With the next call.
    Immediate,
    /// With the next analysis run.
    OnNewRun,
}

/// Why an object cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct Unclear {
    /// Where.
    pub field: String,
    /// What is wrong, and what would be right.
    pub why: String,
}

fn unclear<T>(field: &str, why: impl Into<String>) -> Result<T, Unclear> {
    Err(Unclear { field: field.to_owned(), why: why.into() })
}

impl Wish {
    /// Understand an object.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn read(plugin: &Plugin) -> Result<Self, Unclear> {
        let spec = &plugin.spec;
        let own = plugin.metadata.name.clone().unwrap_or_default();
        let source = source(&spec.source, spec.pull_secret.as_ref())?;
        if let Some(digest) = &spec.digest
            && !is_digest(digest)
        {
            return unclear("spec.digest", "write sha256: and 64 lower-case hex digits");
        }
        if spec.digest.is_none() && !matches!(source, Source::Bundled(_)) {
            return unclear(
                "spec.digest",
                "a component that is not bundled needs one: sha256: and the SHA-256 of its bytes",
            );
        }
        let verify = spec.verify.as_ref().map(|given| verify(given, &source)).transpose()?;
        let permissions = match (&spec.permissions, &source) {
            (Some(given), _) => Some(permissions(given)?),
            (None, Source::Bundled(_)) => None,
            (None, _) => Some(Permissions::default()),
        };
        let swap = match spec.swap_policy.as_deref() {
            None => None,
            Some("Immediate") => Some(Swap::Immediate),
            Some("OnNewRun") => Some(Swap::OnNewRun),
            Some(other) => {
                return unclear(
                    "spec.swapPolicy",
                    format!("{other:?} is neither Immediate nor OnNewRun"),
                );
            }
        };
        let limits = spec.limits.as_ref().map_or_else(|| Ok(Limits::default()), limits)?;
        Ok(Self {
            name: spec.name.clone().filter(|name| !name.is_empty()).unwrap_or(own),
            source,
            digest: spec.digest.clone(),
            verify,
            permissions,
            egress: spec.egress.as_ref().map_or_else(|| Ok(Egress::default()), egress)?,
            limits,
            swap,
            config: spec.config.as_ref().map(|config| sorted(config).to_string()),
        })
    }

    /// Every Secret that is needed, each once.
    pub fn secrets(&self) -> Vec<&Secret> {
        let Some(given) = &self.permissions else { return Vec::new() };
        let auth = given.http.iter().filter_map(|http| Some(&http.auth.as_ref()?.secret));
        let mut all: Vec<_> = auth.chain(given.secrets.iter().map(|(_, secret)| secret)).collect();
        all.sort();
        all.dedup();
        all
    }
}

/// Whether a text is `sha256:` and 64 lower-case hexadecimal digits.
pub fn is_digest(text: &str) -> bool {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(is_hex))
}

fn source(source: &PluginSource, pull: Option<&PullSecret>) -> Result<Source, Unclear> {
    let PluginSource { oci, oci_layout, config_map, url, file, bundled } = source;
    let mut found = Vec::new();
    if let Some(reference) = oci {
        let secret = pull.map(|pull| Secret {
            namespace: pull.namespace.clone(),
            name: pull.name.clone(),
            key: ".dockerconfigjson".to_owned(),
        });
        found.push(Source::Oci { reference: reference.clone(), secret });
    }
    if let Some(layout) = oci_layout {
        let (path, name) = (layout.path.clone(), layout.name.clone());
        if !path.starts_with('/') {
            return unclear("spec.source.ociLayout.path", "must be an absolute path");
        }
        found.push(Source::OciLayout { path, name });
    }
    if let Some(map) = config_map {
        let key = map.key.clone().unwrap_or_else(|| "plugin.wasm".to_owned());
        let (namespace, name) = (map.namespace.clone(), map.name.clone());
        found.push(Source::ConfigMap { namespace, name, key });
    }
    if let Some(url) = url {
        if !url.starts_with("https://") {
            return unclear("spec.source.url", "must start with https://");
        }
        found.push(Source::Url(url.clone()));
    }
    if let Some(file) = file {
        if !file.starts_with('/') {
            return unclear("spec.source.file", "must be an absolute path");
        }
        found.push(Source::File(file.clone()));
    }
    found.extend(bundled.clone().map(Source::Bundled));
    match found.len() {
        1 => Ok(found.remove(0)),
        _ => unclear(
            "spec.source",
            "name exactly one of oci, ociLayout, configMap, url, file and bundled",
        ),
    }
}

fn verify(given: &PluginVerification, source: &Source) -> Result<VerifyKey, Unclear> {
    if !matches!(source, Source::Oci { .. }) {
        return unclear(
            "spec.verify",
            "only what is in a registry carries a signature; take it out, or use source.oci",
        );
    }
    let PluginVerification { key, key_secret_ref, keyless } = given;
    match (key, key_secret_ref, keyless) {
        (_, _, Some(_)) => unclear(
            "spec.verify.keyless",
            "this controller checks signatures of keys, and no certificates; use key or \
             keySecretRef",
        ),
        (Some(key), None, None) => Ok(VerifyKey::Text(key.clone())),
        (None, Some(given), None) => Ok(VerifyKey::Secret(secret(given))),
        (Some(_), Some(_), None) | (None, None, None) => {
            unclear("spec.verify", "name exactly one of key and keySecretRef")
        }
    }
}

fn egress(given: &PluginEgress) -> Result<Egress, Unclear> {
    let proxy = match given.proxy.as_deref().map(|text| (text, Server::read(text))) {
        None => None,
        Some((_, Some(Server::At(proxy)))) => Some(proxy),
        Some((text, Some(Server::Any) | None)) => {
            let why = format!(
                "{text:?} is no proxy; write scheme, host and port, such as \
                 http://proxy.example.com:3128"
            );
            return unclear("spec.egress.proxy", why);
        }
    };
    let authorities = given.ca_bundle.clone();
    if authorities.as_ref().is_some_and(|text| !text.contains("-----BEGIN CERTIFICATE-----")) {
        return unclear("spec.egress.caBundle", "write certificates in PEM");
    }
    Ok(Egress { public_only: given.private_ranges == Some(false), proxy, authorities })
}

fn permissions(given: &PluginPermissions) -> Result<Permissions, Unclear> {
    let http = given.http.iter().flatten().enumerate();
    let secrets = given.secrets.iter().flatten();
    Ok(Permissions {
        http: http.map(|(index, one)| self::http(index, one)).collect::<Result<_, _>>()?,
        secrets: secrets.map(|one| (one.alias.clone(), secret(&one.secret_ref))).collect(),
        kubernetes: given
            .kubernetes
            .as_ref()
            .map(|list| list.iter().enumerate().map(|(index, one)| objects(index, one)).collect())
            .transpose()?,
    })
}

fn objects(index: usize, given: &KubernetesPermission) -> Result<Grant, Unclear> {
    let KubernetesPermission { api_version, kinds, verbs, scope, names } = given;
    let (scope, names) = (scope.as_deref(), names.as_deref());
    Grant::read(Written { api_version, kinds, verbs, scope, names }).or_else(|wrong| {
        unclear(&format!("spec.permissions.kubernetes[{index}].{}", wrong.member), wrong.why)
    })
}

fn http(index: usize, given: &HttpPermission) -> Result<Http, Unclear> {
    let field = |name: &str| format!("spec.permissions.http[{index}].{name}");
    let Some(server) = Server::read(&given.url) else {
        let why = "write scheme, host and port without a path, such as https://api.example.com:443";
        return unclear(&field("url"), why);
    };
    let methods = given.methods.clone().unwrap_or_else(|| vec!["GET".into(), "HEAD".into()]);
    if let Some(wrong) = methods.iter().find(|method| **method != method.to_ascii_uppercase()) {
        return unclear(&field("methods"), format!("write {wrong:?} in capitals"));
    }
    let auth = match &given.auth {
        None => None,
        Some(_) if server == Server::Any => {
            return unclear(&field("auth"), "name the server that is to get the credential");
        }
        Some(auth) => Some(Auth {
            header: auth.header.clone(),
            prefix: auth.prefix.clone().unwrap_or_default(),
            secret: secret(&auth.secret_ref),
        }),
    };
    Ok(Http { server, methods, insecure: given.insecure.unwrap_or(false), auth })
}

fn secret(given: &SecretRef) -> Secret {
    let SecretRef { namespace, name, key } = given.clone();
    Secret { namespace, name, key }
}

impl Server {
    /// `*`, or scheme, host and port; `None` for anything else.
    pub fn read(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        let url = Url::parse(text).ok()?;
        let plain = matches!(url.scheme(), "http" | "https")
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let (host, port) = (url.host_str()?, url.port_or_known_default()?);
        plain.then(|| Self::At(format!("{}://{host}:{port}", url.scheme())))
    }

    /// As it is written.
    pub fn text(&self) -> &str {
        match self {
            Self::Any => "any server",
            Self::At(text) => text,
        }
    }
}

fn limits(given: &PluginLimits) -> Result<Limits, Unclear> {
    let duration = |name: &str, text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => match parse_duration(text).filter(|time| !time.is_zero()) {
            Some(time) => Ok(Some(time)),
            None => unclear(
                &format!("spec.limits.{name}"),
                format!("{text:?} is no duration; write a number and a unit, such as 500ms or 2s"),
            ),
        },
    };
    let memory = match &given.memory {
        None => None,
        Some(text) => match bytes(text) {
            Some(bytes) if (1..=MOST_MEMORY).contains(&bytes) => Some(bytes),
            Some(_) => {
                return unclear("spec.limits.memory", "write at least 1 and at most 128Mi");
            }
            None => return unclear("spec.limits.memory", "write bytes, such as 64Mi"),
        },
    };
    let concurrency = match given.concurrency {
        None => None,
        Some(count) => match usize::try_from(count) {
            Ok(count) if count > 0 => Some(count),
            Ok(_) | Err(_) => return unclear("spec.limits.concurrency", "write 1 or more"),
        },
    };
    Ok(Limits {
        memory,
        wall: duration("wall", &given.wall)?,
        cpu: duration("cpu", &given.cpu)?,
        concurrency,
    })
}

fn bytes(text: &str) -> Option<usize> {
    let (digits, unit) = match text.find(|c: char| !c.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let factor = match unit {
        "" => 1,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        _ => return None,
    };
    digits.parse::<usize>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests;
