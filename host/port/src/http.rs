//! HTTP on behalf of a component: one buffered call, one buffered answer.
//!
//! The component host checks grants, sizes and deadlines; what is behind this trait only carries
//! the request. In the controller that is the network, in the simulator the scenario.

use std::future::Future;
use std::pin::Pin;

/// A request that was granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpRequest {
    /// Upper case.
    pub method: String,
    /// Absolute.
    pub url: String,
    /// In order; names may repeat.
    pub headers: Vec<(String, String)>,
    /// The body, if there is one.
    pub body: Option<Vec<u8>>,
    /// What is left of the call's deadline, in milliseconds.
    pub timeout_ms: u64,
    /// The most bytes of body that the answer may have.
    pub max_body: u64,
    /// Whether the server's certificate is not to be checked.
    pub insecure: bool,
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// In order; names may repeat.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// The grants hold no such scheme, host and port, or the name resolved to a forbidden address.
    NotGranted(String),
    /// The request itself is malformed.
    InvalidRequest(String),
    /// The deadline passed.
    Timeout,
    /// DNS, TCP or TLS.
    Connect(String),
    /// The answer is larger than so many bytes.
    TooLarge(u64),
    /// Anything else.
    Other(String),
}

/// What carries requests.
pub trait Egress: Send + Sync {
    /// Send `request` on behalf of the component named `plugin`.
    fn send<'a>(
        &'a self,
        plugin: &'a str,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>>;
}
