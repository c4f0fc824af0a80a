//! Components in registries, in the layout of the CNCF for WebAssembly: a manifest whose config
//! says what the component imports and exports, and one layer with its bytes.
//!
//! Requests go out through the component host's network, so that no answer of a registry leads to
//! an address that is out of bounds.

#[cfg(test)]
mod attacks;
mod auth;
pub mod layout;
mod reference;
mod signature;

use std::time::Duration;

use serde_json::{Value, json};
use sluice_plugins::sorted;
use sluice_plugins::wish::is_digest;
use sluice_port::http::{Egress, HttpError, HttpRequest, HttpResponse};
use sluice_wasm::{MOST_COMPONENT, Outline};

pub use auth::Credentials;
pub use reference::Reference;
pub use signature::{Evidence, Key, Signature};

use crate::fetch::{
    Lost, digest_of, follow, get, header, in_time, left_alone, redirect, rest, words,
};
use auth::Challenge;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.wasm.config.v0+json";
const LAYER: &str = "application/wasm";
/// How others name a layer with a component; the first is written.
const LAYERS: [&str; 2] = [LAYER, "application/vnd.wasm.content.layer.v1+wasm"];
/// The most bytes of a manifest, a token or an error.
const MOST_TEXT: u64 = 4 << 20;
/// What any answer may have, since before the layer there can be one about a redirect.
const LEAST_BODY: u64 = 64 << 10;
/// How many signatures of one component are looked at.
const MOST_SIGNATURES: usize = 16;

/// Why a registry did not do what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The reference is none.
    #[error("{0:?} is no reference: write such as ghcr.io/acme/datadog:1.4")]
    Reference(String),
    /// There is no answer.
    #[error("{server}: {why}")]
    Unreachable {
        /// The registry.
        server: String,
        /// What is known of it.
        why: String,
    },
    /// It says no.
    #[error("{server} answers {status} to {what}{why}")]
    Refused {
        /// The registry.
        server: String,
        /// The status code.
        status: u16,
        /// What was asked.
        what: String,
        /// The registry's words.
        why: String,
        /// For how long it asks to be left alone.
        rest: Option<Duration>,
    },
    /// What is there is no component, or not what its digest says.
    #[error("{reference}: {why}")]
    Unfit {
        /// What was pulled.
        reference: String,
        /// What is wrong.
        why: String,
    },
}

/// One repository of one registry.
pub struct Registry<'n> {
    network: &'n dyn Egress,
    reference: Reference,
    credentials: Option<Credentials>,
    /// What is sent as `authorization`, once the registry has said what it wants.
    authorization: Option<String>,
}

struct Asked<'a> {
    method: &'a str,
    url: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    most: u64,
    what: &'a str,
}

impl<'a> Asked<'a> {
    fn get(url: String, what: &'a str) -> Self {
        Self { method: "GET", url, headers: Vec::new(), body: None, most: MOST_TEXT, what }
    }
}

impl<'n> Registry<'n> {
    /// The repository that a reference names.
    pub fn new(
        network: &'n dyn Egress,
        reference: Reference,
        credentials: Option<Credentials>,
    ) -> Self {
        Self { network, reference, credentials, authorization: None }
    }

    /// The bytes of the component that the reference names; `signed` pulls what can show who
    /// signed it, too. Nothing of that is checked here.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn pull(
        mut self,
        signed: bool,
    ) -> Result<(Vec<u8>, Option<Evidence>), RegistryError> {
        let pulled = in_time(self.pulled(signed)).await;
        pulled.unwrap_or_else(|why| Err(self.unfit(&why)))
    }

    async fn pulled(&mut self, signed: bool) -> Result<(Vec<u8>, Option<Evidence>), RegistryError> {
        let version = self.reference.version().to_owned();
        let manifest = self.manifest(&version, "pull the manifest", &[200]).await?.body;
        if let Some(digest) = &self.reference.digest
            && digest_of(&manifest) != *digest
        {
            return Err(self.unfit("the manifest is not the one of this digest"));
        }
        let (digest, size) = layer(&manifest).map_err(|why| self.unfit(&why))?;
        if size > MOST_COMPONENT as u64 {
            return Err(self.unfit(&format!("{size} bytes are too many for a component")));
        }
        let bytes = self.blob(&digest, size.max(LEAST_BODY), "pull the component").await?;
        if bytes.len() as u64 != size {
            let found = bytes.len();
            return Err(self.unfit(&format!("{found} bytes, and the manifest says {size}")));
        }
        if !signed {
            return Ok((bytes, None));
        }
        let signatures = self.signatures(&digest_of(&manifest)).await?;
        Ok((bytes, Some(Evidence { manifest, signatures })))
    }

    /// What is beside a manifest under the tag that cosign makes of its digest.
    async fn signatures(&mut self, manifest: &str) -> Result<Vec<Signature>, RegistryError> {
        let tag = signature::tag(manifest);
        let found = self.manifest(&tag, "pull the signatures", &[200, 404]).await?;
        if found.status == 404 {
            return Ok(Vec::new());
        }
        let found: Value = serde_json::from_slice(&found.body).unwrap_or_default();
        let layers = found["layers"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut signatures = Vec::new();
        for layer in layers.iter().filter(|layer| layer["mediaType"] == signature::PAYLOAD) {
            let text = layer["annotations"][signature::ANNOTATION].as_str();
            let digest = layer["digest"].as_str().filter(|digest| is_digest(digest));
            let (Some(text), Some(digest)) = (text, digest) else { continue };
            if signatures.len() == MOST_SIGNATURES {
                break;
            }
            let payload = self.blob(digest, MOST_TEXT, "pull a signature").await?;
            signatures.push(Signature { payload, text: text.to_owned() });
        }
        Ok(signatures)
    }

    async fn manifest(
        &mut self,
        version: &str,
        what: &str,
        fine: &[u16],
    ) -> Result<HttpResponse, RegistryError> {
        let url = self.reference.url(&format!("manifests/{version}"));
        let accept = vec![("accept".to_owned(), MANIFEST.to_owned())];
        self.done(Asked { headers: accept, ..Asked::get(url, what) }, fine).await
    }

    async fn blob(
        &mut self,
        digest: &str,
        most: u64,
        what: &str,
    ) -> Result<Vec<u8>, RegistryError> {
        let url = self.reference.url(&format!("blobs/{digest}"));
        let bytes = self.done(Asked { most, ..Asked::get(url, what) }, &[200]).await?.body;
        if digest_of(&bytes) != digest {
            return Err(self.unfit(&format!("what is there is not what {digest} says")));
        }
        Ok(bytes)
    }

    /// Put a component there, and give the digest of its manifest.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn push(mut self, bytes: &[u8], outline: &Outline) -> Result<String, RegistryError> {
        let Image { config, manifest } = image(bytes, outline);
        for (blob, what) in [(config.as_slice(), "push the config"), (bytes, "push the component")]
        {
            self.put_blob(blob, what).await?;
        }
        let digest = digest_of(&manifest);
        let url = self.reference.url(&format!("manifests/{}", self.reference.version()));
        let asked = Asked {
            method: "PUT",
            url,
            headers: vec![("content-type".to_owned(), MANIFEST.to_owned())],
            body: Some(manifest),
            most: MOST_TEXT,
            what: "push the manifest",
        };
        self.done(asked, &[201]).await?;
        Ok(digest)
    }

    async fn put_blob(&mut self, bytes: &[u8], what: &str) -> Result<(), RegistryError> {
        let digest = digest_of(bytes);
        let there = Asked {
            method: "HEAD",
            ..Asked::get(self.reference.url(&format!("blobs/{digest}")), what)
        };
        if self.done(there, &[200, 404]).await?.status == 200 {
            return Ok(());
        }
        let url = self.reference.url("blobs/uploads/");
        let begin =
            Asked { method: "POST", body: Some(Vec::new()), ..Asked::get(url.clone(), what) };
        let begun = self.done(begin, &[202]).await?;
        let Some(place) = redirect(&url, &begun)
            .or_else(|| header(&begun, "location").filter(|to| self.is_own(to)))
        else {
            return Err(self.unfit("the registry does not say where to put it"));
        };
        let mark = if place.contains('?') { '&' } else { '?' };
        let put = Asked {
            method: "PUT",
            url: format!("{place}{mark}digest={digest}"),
            headers: vec![("content-type".to_owned(), "application/octet-stream".to_owned())],
            body: Some(bytes.to_vec()),
            most: MOST_TEXT,
            what,
        };
        self.done(put, &[201]).await.map(drop)
    }

    /// Ask; if the registry wants to know who asks, say so and ask again.
    async fn done(
        &mut self,
        asked: Asked<'_>,
        fine: &[u16],
    ) -> Result<HttpResponse, RegistryError> {
        let mut answer = self.follow(&asked).await?;
        if answer.status == 401
            && self.authorization.is_none()
            && let Some(challenge) = header(&answer, "www-authenticate")
        {
            self.authorization = self.authorize(&challenge, asked.method != "GET").await?;
            if self.authorization.is_some() {
                answer = self.follow(&asked).await?;
            }
        }
        if fine.contains(&answer.status) {
            return Ok(answer);
        }
        let text = String::from_utf8_lossy(&answer.body);
        let why = serde_json::from_str::<Value>(&text).ok();
        let why = why.and_then(|why| Some(why["errors"][0]["message"].as_str()?.to_owned()));
        let server = self.reference.server.clone();
        let (status, what) = (answer.status, asked.what.to_owned());
        let mut why = why.map(|why| format!(": {why}")).unwrap_or_default();
        let rest = rest(&answer);
        if let Some(rest) = rest {
            why = format!("{why}; {}", left_alone(rest));
        }
        Err(RegistryError::Refused { server, status, what, why, rest })
    }

    /// Follow redirects of what is read. Another server is not told who asks.
    async fn follow(&self, asked: &Asked<'_>) -> Result<HttpResponse, RegistryError> {
        let mut request = HttpRequest {
            method: asked.method.to_owned(),
            body: asked.body.clone(),
            max_body: asked.most,
            ..get(asked.url.clone())
        };
        request.headers.extend(asked.headers.iter().cloned());
        let who = |url: &str| {
            let authorization = self.authorization.clone().filter(|_| self.is_own(url));
            authorization.map(|authorization| ("authorization".to_owned(), authorization))
        };
        follow(self.network, request, who).await.map_err(|lost| match lost {
            Lost::Failed(error) => self.unreachable(error),
            Lost::Elsewhere => self.unfit("it is elsewhere, and not behind an https:// URL"),
            Lost::Circling => self.unfit("it is elsewhere again and again"),
            Lost::Packed(way) => self.unfit(&format!("it comes packed by {way:?}, and unasked")),
        })
    }

    async fn authorize(
        &self,
        challenge: &str,
        writes: bool,
    ) -> Result<Option<String>, RegistryError> {
        match Challenge::read(challenge) {
            Some(Challenge::Basic) => Ok(self.credentials.as_ref().map(Credentials::basic)),
            Some(Challenge::Bearer { realm, service }) => {
                if !realm.starts_with("https://") && !self.is_own(&realm) {
                    return Err(self.unfit(&format!("{realm} is no place to ask for a token")));
                }
                let url = self.reference.token_url(&realm, service.as_deref(), writes);
                let basic = self.credentials.as_ref().map(Credentials::basic);
                let mut request = HttpRequest { max_body: MOST_TEXT, ..get(url) };
                request.headers.extend(basic.map(|basic| ("authorization".to_owned(), basic)));
                let answer = self.network.send("", request).await;
                let answer = answer.map_err(|error| self.unreachable(error))?;
                let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                let token = body["token"].as_str().or_else(|| body["access_token"].as_str());
                Ok(token.map(|token| format!("Bearer {token}")))
            }
            None => Ok(None),
        }
    }

    fn is_own(&self, url: &str) -> bool {
        let own = self.reference.url("");
        let root = |url: &str| url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        root(url) == root(&own)
    }

    fn unreachable(&self, error: HttpError) -> RegistryError {
        let why = words(error);
        RegistryError::Unreachable { server: self.reference.server.clone(), why }
    }

    fn unfit(&self, why: &str) -> RegistryError {
        RegistryError::Unfit { reference: self.reference.to_string(), why: why.to_owned() }
    }
}

/// Digest and size of the one layer of a manifest that is a component.
///
/// # Errors
/// Why there is none, in words.
pub fn layer(manifest: &[u8]) -> Result<(String, u64), String> {
    let manifest: Value = serde_json::from_slice(manifest).map_err(|error| error.to_string())?;
    let layers = manifest["layers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let fits =
        |layer: &&Value| layer["mediaType"].as_str().is_some_and(|media| LAYERS.contains(&media));
    let found: Vec<_> = layers.iter().filter(fits).collect();
    let [layer] = found[..] else {
        let kind = manifest["mediaType"].as_str().unwrap_or("something");
        return Err(format!("{kind} with {} layers of {LAYER}, and one is wanted", found.len()));
    };
    let digest = layer["digest"].as_str().unwrap_or_default();
    if !is_digest(digest) {
        return Err(format!(
            "the layer's digest is {digest:?}, and sha256:… with 64 digits is wanted"
        ));
    }
    let size = layer["size"].as_u64();
    let size = size.ok_or_else(|| format!("the layer's size is {}", layer["size"]))?;
    Ok((digest.to_owned(), size))
}

/// What stands for a component beside its bytes.
struct Image {
    config: Vec<u8>,
    manifest: Vec<u8>,
}

fn image(bytes: &[u8], outline: &Outline) -> Image {
    let config = config(bytes, outline);
    let blob = |media: &str, bytes: &[u8]| json!({"mediaType": media, "digest": digest_of(bytes), "size": bytes.len()});
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": blob(CONFIG, &config),
        "layers": [blob(LAYER, bytes)],
        "annotations": annotations(outline),
    });
    let manifest = sorted(&manifest).to_string().into_bytes();
    Image { config, manifest }
}

/// What can be known without pulling the layer. The time is none, so that pushing the same
/// component twice gives the same digest.
fn config(bytes: &[u8], outline: &Outline) -> Vec<u8> {
    let config = json!({
        "created": "1970-01-01T00:00:00Z",
        "architecture": "wasm",
        "os": "wasip2",
        "layerDigests": [digest_of(bytes)],
        "component": {"exports": [outline.speaks], "imports": outline.imports, "target": null},
    });
    sorted(&config).to_string().into_bytes()
}

fn annotations(outline: &Outline) -> Value {
    let manifest = outline.manifest.as_deref().unwrap_or("null");
    let manifest: Value = serde_json::from_str(manifest).unwrap_or_default();
    let mut annotations = json!({});
    for (name, field) in [("title", "name"), ("version", "version"), ("description", "description")]
    {
        if let Some(text) = manifest[field].as_str().filter(|text| !text.is_empty()) {
            annotations[format!("org.opencontainers.image.{name}")] = text.into();
        }
    }
    annotations
}
