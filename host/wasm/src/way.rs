//! A way to the network for one component, beside that of all others.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use reqwest::{Certificate, Proxy, Url};
use sluice_port::http::{Egress, HttpError, HttpRequest, HttpResponse};

use crate::egress::{Bounds, Network};

/// How a component's requests go out where that differs from others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detour {
    /// Whether private networks are out of bounds as well, unless [`Bounds::allowed`] has them.
    pub public_only: bool,
    /// The proxy of all requests, `http://` or `https://`, in the place of those of the
    /// environment.
    pub proxy: Option<String>,
    /// Certificates of authorities in PEM that are trusted beside the usual ones.
    pub authorities: Option<String>,
}

/// A way to the network. Two are equal if they are the same one.
#[derive(Clone)]
pub struct Way(Arc<dyn Egress>);

impl Way {
    /// The network within `bounds`, by a detour.
    ///
    /// # Errors
    /// The proxy is none, or the certificates cannot be read.
    pub fn new(bounds: Bounds, detour: &Detour) -> Result<Self, HttpError> {
        Ok(Self(Arc::new(Network::by(bounds, detour)?)))
    }

    pub(crate) fn egress(&self) -> Arc<dyn Egress> {
        self.0.clone()
    }
}

impl Egress for Way {
    fn send<'a>(
        &'a self,
        plugin: &'a str,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>> {
        self.0.send(plugin, request)
    }
}

impl Detour {
    /// The proxy, and its host.
    pub(crate) fn proxy(&self) -> Result<Option<(Proxy, String)>, HttpError> {
        let Some(text) = &self.proxy else { return Ok(None) };
        let wrong = |why: String| HttpError::InvalidRequest(format!("proxy {text:?}: {why}"));
        let url = Url::parse(text).map_err(|error| wrong(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("the scheme must be http or https".to_owned()));
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        let proxy = Proxy::all(url).map_err(|error| wrong(error.to_string()))?;
        Ok(Some((proxy, host)))
    }

    pub(crate) fn authorities(&self) -> Result<Vec<Certificate>, HttpError> {
        let Some(text) = &self.authorities else { return Ok(Vec::new()) };
        let wrong = |why: &str| HttpError::InvalidRequest(format!("certificates: {why}"));
        let all = Certificate::from_pem_bundle(text.as_bytes())
            .map_err(|error| wrong(&error.to_string()))?;
        if all.is_empty() {
            return Err(wrong("there is none"));
        }
        Ok(all)
    }
}

impl PartialEq for Way {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Way {}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Way").finish_non_exhaustive()
    }
}
