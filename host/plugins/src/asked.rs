//! What a component asks for, as its manifest says, and what of that it was not given.

use std::collections::BTreeSet;

use serde_json::Value;
use sluice_port::imports;
use sluice_port::rights::{Grant, Written};
use sluice_wire::field::Field;

use crate::wish::{Http, Permissions, Server};

/// What a component asks for.
///
/// Imports are an upper bound and no request: toolchains of some languages import everything that
/// there is. What counts is what the author wrote into the manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Interfaces of the host with the author's reason, such as `http`, in the order of names.
    pub interfaces: Vec<(String, String)>,
    /// Servers that it names.
    pub http: Vec<Http>,
    /// Secrets that it names by alias.
    pub secrets: Vec<String>,
    /// Objects that it names, as a router, which the controller reads and writes for it.
    pub objects: Vec<Grant>,
    /// Interfaces of the host that it imports and does not mention.
    pub silent: Vec<String>,
    /// Interfaces of the host that it mentions and does not import: what the controller does for
    /// it, such as reading the objects of a router.
    pub served: Vec<String>,
}

impl Asked {
    /// Read the manifest of a component, if it has one, beside its imports.
    pub fn read(imports: &[String], manifest: Option<&str>) -> Self {
        let manifest: Value =
            manifest.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let manifest = Field::root(&manifest);
        let requests = manifest.get("requests").value().and_then(Value::as_object);
        let mut interfaces: Vec<(String, String)> = requests
            .into_iter()
            .flatten()
            .map(|(name, why)| (name.clone(), why.as_str().unwrap_or_default().to_owned()))
            .collect();
        interfaces.sort();
        let short = |import: &String| imports::asked(import).map(str::to_owned);
        // An interface of ours and the one of WASI ask for one thing.
        let imported: BTreeSet<String> = imports.iter().filter_map(short).collect();
        let served = interfaces.iter().map(|(name, _)| name.clone());
        let served = served.filter(|name| !imported.contains(name)).collect();
        let mut silent: Vec<_> = imported.into_iter().collect();
        silent.retain(|name| name != "log" && !interfaces.iter().any(|(said, _)| said == name));
        let texts = |field: Field<'_>| -> Vec<String> {
            field.items().iter().filter_map(|item| item.str().map(str::to_owned)).collect()
        };
        let servers = manifest.at("grants.http").items();
        let http = servers.iter().filter_map(|grant| {
            let mut methods = texts(grant.get("methods"));
            if methods.is_empty() {
                methods = vec!["GET".to_owned(), "HEAD".to_owned()];
            }
            let insecure = grant.get("insecure").value() == Some(&Value::Bool(true));
            let server = Server::read(grant.get("url").str()?)?;
            Some(Http { server, methods, insecure, auth: None })
        });
        let objects = manifest.at("grants.kubernetes").items();
        // What is no grant cannot be given either, and is refused where the component is built.
        let objects = objects.iter().filter_map(|grant| {
            let (kinds, verbs) = (texts(grant.get("kinds")), texts(grant.get("verbs")));
            let names = grant.get("names").is_set().then(|| texts(grant.get("names")));
            let written = Written {
                api_version: grant.get("apiVersion").str()?,
                kinds: &kinds,
                verbs: &verbs,
                scope: grant.get("scope").str(),
                names: names.as_deref(),
            };
            Grant::read(written).ok()
        });
        Self {
            objects: objects.collect(),
            http: http.collect(),
            secrets: texts(manifest.at("grants.secrets")),
            interfaces,
            silent,
            served,
        }
    }

    /// All of it, a line each, for people.
    pub fn lines(&self) -> Vec<String> {
        let reason = |name: &str| {
            let known = self.interfaces.iter().find(|(said, why)| said == name && !why.is_empty());
            known.map(|(_, why)| format!(": {why}")).unwrap_or_default()
        };
        let mut lines: Vec<_> =
            self.http.iter().map(|http| format!("{}{}", line(http), reason("http"))).collect();
        let secrets = self.secrets.iter();
        lines.extend(secrets.map(|alias| format!("secret {alias}{}", reason("secrets"))));
        let objects = self.objects.iter();
        lines.extend(objects.map(|one| format!("kubernetes {one}{}", reason("kubernetes"))));
        for (name, _) in &self.interfaces {
            let named = match name.as_str() {
                "http" => !self.http.is_empty(),
                "secrets" => !self.secrets.is_empty(),
                "kubernetes" => !self.objects.is_empty(),
                "log" => true,
                _ => false,
            };
            if !named {
                let by = if self.served.contains(name) { ", by the controller" } else { "" };
                lines.push(format!("{name}{by}{}", reason(name)));
            }
        }
        lines.extend(self.silent.iter().map(|name| format!("{name} (imported, not mentioned)")));
        lines
    }

    /// What it asks for and is not given, a line each.
    pub fn missing(&self, given: &Permissions) -> Vec<String> {
        let mut missing = Vec::new();
        for asked in &self.http {
            for method in &asked.methods {
                if !covered(asked, method, given) {
                    let one = Http { methods: vec![method.clone()], ..asked.clone() };
                    missing.push(line(&one));
                }
            }
        }
        for alias in &self.secrets {
            if !given.secrets.iter().any(|(granted, _)| granted == alias) {
                missing.push(format!("secret {alias}"));
            }
        }
        let rights = given.rights();
        let objects = self.objects.iter().filter(|one| !rights.include(one));
        missing.extend(objects.map(|one| format!("kubernetes {one}")));
        let used = self.interfaces.iter().filter(|(name, _)| !self.served.contains(name));
        for (name, why) in used {
            let why = if why.is_empty() { String::new() } else { format!(": {why}") };
            match name.as_str() {
                "http" if given.http.is_empty() && self.http.is_empty() => {
                    missing.push(format!("http to at least one server{why}"));
                }
                "secrets" if given.secrets.is_empty() && self.secrets.is_empty() => {
                    missing.push(format!("at least one secret{why}"));
                }
                "http" | "secrets" | "log" => {}
                other => missing.push(format!("{other}, which this controller grants nobody{why}")),
            }
        }
        missing
    }
}

impl Permissions {
    /// All of them, a line each, for people. No value of a Secret is in it.
    pub fn lines(&self) -> Vec<String> {
        let http = self.http.iter().map(|http| {
            let auth = http.auth.as_ref();
            let auth = auth.map(|auth| format!(", {} is added", auth.header)).unwrap_or_default();
            format!("{}{auth}", line(http))
        });
        let secrets = self.secrets.iter().map(|(alias, secret)| {
            format!("secret {alias}: key {} of Secret {}", secret.key, secret.name)
        });
        let objects = self.kubernetes.iter().flatten();
        let objects = objects.map(|one| format!("kubernetes {one}"));
        let none = self.kubernetes.as_ref().is_some_and(Vec::is_empty);
        let none = none.then(|| "kubernetes nothing".to_owned());
        http.chain(secrets).chain(objects).chain(none).collect()
    }
}

fn covered(asked: &Http, method: &str, given: &Permissions) -> bool {
    given.http.iter().any(|grant| {
        (grant.server == Server::Any || grant.server == asked.server)
            && grant.methods.iter().any(|granted| granted == "*" || granted == method)
            && (grant.insecure || !asked.insecure)
    })
}

fn line(http: &Http) -> String {
    let insecure = if http.insecure { ", certificate unchecked" } else { "" };
    let methods: Vec<_> = http
        .methods
        .iter()
        .map(|method| if method == "*" { "any method" } else { method.as_str() })
        .collect();
    format!("http {} {}{insecure}", http.server.text(), methods.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wish::Secret;
    use serde_json::json;

    fn asked(manifest: Value) -> Asked {
        let imports = ["http", "kubernetes", "log", "secrets"];
        let imports = imports.map(|name| format!("sluice:host/{name}@0.1.0"));
        Asked::read(&imports, Some(&manifest.to_string()))
    }

    fn may(url: &str, methods: &[&str]) -> Permissions {
        let methods = methods.iter().map(|method| (*method).to_owned()).collect();
        let server = Server::read(url).unwrap();
        let http = vec![Http { server, methods, insecure: false, auth: None }];
        Permissions { http, ..Permissions::default() }
    }

    fn datadog() -> Asked {
        asked(json!({
            "requests": {"http": "query the metrics API"},
            "grants": {"http": [{"url": "https://api.test", "methods": ["GET", "POST"]}]},
        }))
    }

    #[test]
    fn what_is_asked_is_said_with_the_reason() {
        let lines = [
            "http https://api.test:443 GET POST: query the metrics API",
            "kubernetes (imported, not mentioned)",
            "secrets (imported, not mentioned)",
        ];
        assert_eq!(datadog().lines(), lines);
        assert_eq!(Asked::read(&[], None), Asked::default());
        assert_eq!(asked(json!("no object")).lines().len(), 3, "imports are shown");
    }

    #[test]
    fn a_permission_covers_its_server_and_methods_alone() {
        let missing = |given: &Permissions| datadog().missing(given);
        assert_eq!(missing(&may("https://api.test:443", &["*"])), Vec::<String>::new());
        assert_eq!(missing(&may("*", &["GET", "POST"])), Vec::<String>::new());
        assert_eq!(missing(&may("https://api.test", &["GET"])), ["http https://api.test:443 POST"]);
        assert_eq!(missing(&may("http://api.test", &["*"])).len(), 2);
        assert_eq!(missing(&Permissions::default()).len(), 2);
    }

    #[test]
    fn who_names_no_server_needs_one_all_the_same() {
        let asked = asked(json!({"requests": {"http": "why", "secrets": "", "log": "x"}}));
        let missing = ["http to at least one server: why", "at least one secret"];
        assert_eq!(asked.missing(&Permissions::default()), missing);
        let secret = Secret { namespace: None, name: "s".into(), key: "k".into() };
        let mut given = may("https://api.test", &["GET"]);
        given.secrets.push(("token".into(), secret));
        assert_eq!(asked.missing(&given), Vec::<String>::new());
        assert_eq!(given.lines()[1], "secret token: key k of Secret s");
    }

    #[test]
    fn what_cannot_be_granted_stays_missing() {
        let asked = asked(json!({"requests": {"kubernetes": "read nodes"}}));
        let missing = asked.missing(&may("*", &["*"]));
        assert_eq!(missing, ["kubernetes, which this controller grants nobody: read nodes"]);
    }

    #[test]
    fn what_the_controller_does_for_a_router_is_no_permission() {
        let manifest = json!({"requests": {"kubernetes": "changes Ingresses"}}).to_string();
        let asked = Asked::read(&["sluice:host/log@0.1.0".to_owned()], Some(&manifest));
        assert_eq!(asked.lines(), ["kubernetes, by the controller: changes Ingresses"]);
        assert_eq!(asked.missing(&Permissions::default()), Vec::<String>::new());
    }

    #[test]
    fn requests_by_wasi_are_asked_for_as_those_by_our_interface() {
        let manifest = json!({"requests": {"http": "query the metrics API"}}).to_string();
        let wasi = ["wasi:http/types@0.2.6", "wasi:http/outgoing-handler@0.2.6"];
        let wasi = wasi.map(str::to_owned);
        let asked = Asked::read(&wasi, Some(&manifest));
        assert_eq!(asked.lines(), ["http: query the metrics API"], "not done by the controller");
        let missing = ["http to at least one server: query the metrics API"];
        assert_eq!(asked.missing(&Permissions::default()), missing);
        let both = ["sluice:host/http@0.1.0", "wasi:http/outgoing-handler@0.2.6"];
        let silent = Asked::read(&both.map(str::to_owned), None);
        assert_eq!(silent.lines(), ["http (imported, not mentioned)"]);
        assert_eq!(silent.missing(&Permissions::default()), Vec::<String>::new());
    }

    #[test]
    fn a_router_that_names_its_objects_needs_them_all() {
        let route = json!({"apiVersion": "networking.istio.io/v1", "kinds": ["VirtualService"],
                           "verbs": ["get", "patch"]});
        let map = json!({"apiVersion": "v1", "kinds": ["ConfigMap"], "verbs": ["get"]});
        let manifest = json!({"requests": {"kubernetes": "writes routes"},
                              "grants": {"kubernetes": [route, map]}});
        let asked = Asked::read(&[], Some(&manifest.to_string()));
        let map = "kubernetes ConfigMap of v1: get, in the rollout's namespace";
        assert_eq!(asked.lines()[1], format!("{map}: writes routes"));
        assert_eq!(asked.missing(&Permissions::default()), [map], "the other one is usual");
        let given =
            |list: Vec<Grant>| Permissions { kubernetes: Some(list), ..Permissions::default() };
        assert_eq!(asked.missing(&given(asked.objects.clone())), Vec::<String>::new());
        assert_eq!(asked.missing(&given(Vec::new())).len(), 2);
        assert_eq!(given(Vec::new()).lines(), ["kubernetes nothing"]);
        assert_eq!(given(asked.objects.clone()).lines()[1], map);
    }

    #[test]
    fn an_alias_is_asked_by_name() {
        let asked = asked(json!({"grants": {"secrets": ["token"]}}));
        assert_eq!(asked.missing(&Permissions::default()), ["secret token"]);
    }
}
