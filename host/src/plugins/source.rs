//! From a source to bytes.

use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret as ApiSecret};
use kube::Api;
use sluice_bundled::BUNDLED;
use sluice_plugins::wish::{Secret, VerifyKey};
use sluice_plugins::{Source, Wish};
use sluice_port::http::HttpRequest;
use sluice_wasm::{MOST_COMPONENT, Network};

use super::Around;
use crate::client::causes;
use crate::fetch::{Lost, digest_of, follow, get, in_time, left_alone, rest, words};
use crate::registry::{Credentials, Evidence, Key, Reference, Registry, RegistryError, layout};

/// Why there are no bytes.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Another attempt may help.
    #[error("{0}")]
    Unavailable(String),
    /// Another attempt may help, and the server says when.
    #[error("{why}")]
    Later {
        /// What it says.
        why: String,
        /// After how long.
        rest: Duration,
    },
    /// No attempt will help before the object is another.
    #[error("{0}")]
    Wrong(String),
}

/// The component that is wanted, whatever its digest is, and what shows who signed it, if that
/// matters.
///
/// # Errors
/// See [`SourceError`].
pub async fn fetch(
    around: &Around,
    wish: &Wish,
) -> Result<(Vec<u8>, Option<Evidence>), SourceError> {
    let bytes = match &wish.source {
        Source::ConfigMap { namespace, name, key } => {
            let namespace = namespace.as_deref().unwrap_or(&around.home);
            config_map(around, namespace, name, key).await
        }
        Source::Url(url) => by_url(&around.network, url).await,
        Source::File(path) => file(path.into()).await,
        Source::OciLayout { path, name } => layout(path.into(), name.clone()).await,
        Source::Oci { reference, secret } => {
            let signed = wish.verify.is_some();
            return pull(around, reference, secret.as_ref(), signed).await;
        }
        Source::Bundled(name) => {
            let found = BUNDLED.iter().find(|bundled| bundled.name == name);
            found.map(|bundled| bundled.bytes.to_vec()).ok_or_else(|| {
                let have: Vec<_> = BUNDLED.iter().map(|bundled| bundled.name).collect();
                let have = have.join(", ");
                SourceError::Wrong(format!(
                    "spec.source.bundled: there is no {name:?}; bundled are {have}"
                ))
            })
        }
    };
    Ok((bytes?, None))
}

/// The key with which the component must be signed, if it must be.
///
/// # Errors
/// The Secret cannot be read, or what is there is no key.
pub async fn key(around: &Around, wish: &Wish) -> Result<Option<Key>, SourceError> {
    match &wish.verify {
        None => Ok(None),
        Some(VerifyKey::Text(text)) => Key::read(text)
            .map(Some)
            .map_err(|error| SourceError::Wrong(format!("spec.verify.key: {error}"))),
        Some(VerifyKey::Secret(wanted)) => {
            let value = secret(around, wanted).await?;
            Key::read(&String::from_utf8_lossy(&value)).map(Some).map_err(|error| {
                let Secret { name, key, .. } = wanted;
                SourceError::Unavailable(format!("key {key:?} of Secret {name}: {error}"))
            })
        }
    }
}

async fn config_map(
    around: &Around,
    namespace: &str,
    name: &str,
    key: &str,
) -> Result<Vec<u8>, SourceError> {
    let unavailable =
        |why: String| SourceError::Unavailable(format!("ConfigMap {namespace}/{name}: {why}"));
    let api: Api<ConfigMap> = Api::namespaced(around.client.clone(), namespace);
    let found = api.get_opt(name).await.map_err(|error| unavailable(causes(&error)))?;
    let found = found.ok_or_else(|| unavailable("does not exist".to_owned()))?;
    let bytes = found.binary_data.unwrap_or_default().remove(key);
    bytes.map(|bytes| bytes.0).ok_or_else(|| unavailable(format!("has no binaryData.{key:?}")))
}

async fn pull(
    around: &Around,
    reference: &str,
    secret: Option<&Secret>,
    signed: bool,
) -> Result<(Vec<u8>, Option<Evidence>), SourceError> {
    let reference =
        Reference::read(reference).map_err(|error| SourceError::Wrong(error.to_string()))?;
    let credentials = match secret {
        None => None,
        Some(secret) => {
            let config = self::secret(around, secret).await?;
            let found = Credentials::read(&config, &reference.server);
            Some(found.ok_or_else(|| {
                let (name, server) = (&secret.name, &reference.server);
                SourceError::Unavailable(format!("Secret {name} has no credentials for {server}"))
            })?)
        }
    };
    let registry = Registry::new(&*around.network, reference, credentials);
    registry.pull(signed).await.map_err(|error| match error {
        RegistryError::Reference(_) => SourceError::Wrong(error.to_string()),
        RegistryError::Refused { rest: Some(rest), .. } => {
            SourceError::Later { why: error.to_string(), rest }
        }
        RegistryError::Unreachable { .. }
        | RegistryError::Refused { .. }
        | RegistryError::Unfit { .. } => SourceError::Unavailable(error.to_string()),
    })
}

async fn file(path: PathBuf) -> Result<Vec<u8>, SourceError> {
    let shown = path.display().to_string();
    let read = move || {
        let size = std::fs::metadata(&path)?.len();
        if size > MOST_COMPONENT as u64 {
            return Err(std::io::Error::other(format!("{size} bytes are too many")));
        }
        std::fs::read(&path)
    };
    match tokio::task::spawn_blocking(read).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => Err(SourceError::Unavailable(format!("{shown}: {error}"))),
        Err(error) => Err(SourceError::Unavailable(format!("{shown}: {error}"))),
    }
}

async fn layout(path: PathBuf, name: Option<String>) -> Result<Vec<u8>, SourceError> {
    let read = move || layout::read(&path, name.as_deref()).map_err(|error| error.to_string());
    let read = tokio::task::spawn_blocking(read).await.map_err(|error| error.to_string());
    read.flatten().map_err(SourceError::Unavailable)
}

async fn by_url(network: &Network, url: &str) -> Result<Vec<u8>, SourceError> {
    let unavailable = |why: &str| SourceError::Unavailable(format!("{url}: {why}"));
    let request = HttpRequest { max_body: MOST_COMPONENT as u64, ..get(url.to_owned()) };
    let followed = in_time(follow(network, request, |_| None)).await;
    let answer = followed.map_err(|why| unavailable(&why))?.map_err(|lost| match lost {
        Lost::Failed(error) => unavailable(&words(error)),
        Lost::Elsewhere => unavailable("the server sends us elsewhere, and not to an https:// URL"),
        Lost::Circling => unavailable("the server sends us elsewhere again and again"),
        Lost::Packed(way) => unavailable(&format!("the server packs it by {way:?}, and unasked")),
    })?;
    let status = answer.status;
    match (status, rest(&answer)) {
        (200, _) => Ok(answer.body),
        (_, None) => Err(unavailable(&format!("the server answers {status}"))),
        (_, Some(rest)) => {
            let why = format!("{url}: the server answers {status}; {}", left_alone(rest));
            Err(SourceError::Later { why, rest })
        }
    }
}

/// A value of a Secret.
///
/// # Errors
/// It is not there, or may not be read.
pub async fn secret(around: &Around, wanted: &Secret) -> Result<Vec<u8>, SourceError> {
    let namespace = wanted.namespace.as_deref().unwrap_or(&around.home);
    let Secret { name, key, .. } = wanted;
    let unavailable =
        |why: String| SourceError::Unavailable(format!("Secret {namespace}/{name}: {why}"));
    let api: Api<ApiSecret> = Api::namespaced(around.client.clone(), namespace);
    let found = api.get_opt(name).await.map_err(|error| unavailable(causes(&error)))?;
    let found = found.ok_or_else(|| unavailable("does not exist".to_owned()))?;
    let value = found.data.unwrap_or_default().remove(key);
    value.map(|value| value.0).ok_or_else(|| unavailable(format!("has no key {key:?}")))
}

/// Whether bytes have the digest that is wanted; if not, the one that they have.
///
/// # Errors
/// The digest that was found.
pub fn check(bytes: &[u8], wanted: Option<&str>) -> Result<String, String> {
    let found = digest_of(bytes);
    if wanted.is_none_or(|wanted| wanted == found) { Ok(found) } else { Err(found) }
}
