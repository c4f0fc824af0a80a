//! The way out of one call: what may be requested, what is added to it, and what became of it.
//!
//! Components send requests by `sluice:host/http` and by `wasi:http`. Both come through here, so
//! neither can do what the other cannot.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use reqwest::Url;
use sluice_port::http::{Egress, HttpError, HttpRequest, HttpResponse};

use crate::grants::Grants;
use crate::limits::Limits;
use crate::private::Private;
use crate::trace::Trace;

/// The way out of one call. Clones are the same one, and count together.
#[derive(Clone)]
pub(crate) struct Outgoing(Arc<Rules>);

/// What holds for every request of a call, and how many there were.
struct Rules {
    bound: Bound,
    began: Instant,
    /// Requests that were tried.
    sent: AtomicU32,
    /// Requests that were denied.
    denied: AtomicU32,
}

/// What the requests of a call are bound by.
pub(crate) struct Bound {
    pub(crate) plugin: Arc<str>,
    pub(crate) egress: Arc<dyn Egress>,
    pub(crate) grants: Arc<Grants>,
    pub(crate) private: Arc<Private>,
    /// What requests say of the trace that they are part of.
    pub(crate) trace: Option<Trace>,
    pub(crate) limits: Limits,
}

/// A request that was counted and granted, and is sent once. Only [`Outgoing::admit`] makes one.
pub(crate) struct Granted {
    method: String,
    url: Url,
    insecure: bool,
}

impl Outgoing {
    /// The way out of a call that begins now.
    pub(crate) fn new(bound: Bound) -> Self {
        let (sent, denied) = (AtomicU32::new(0), AtomicU32::new(0));
        Self(Arc::new(Rules { bound, began: Instant::now(), sent, denied }))
    }

    /// How many requests were tried.
    pub(crate) fn sent(&self) -> u32 {
        self.0.sent.load(Ordering::Relaxed)
    }

    /// How many requests were denied.
    pub(crate) fn denied(&self) -> u32 {
        self.0.denied.load(Ordering::Relaxed)
    }

    /// How long a request may still take.
    pub(crate) fn left(&self) -> Duration {
        let limits = &self.0.bound.limits;
        limits.for_requests(limits.wall.saturating_sub(self.0.began.elapsed()))
    }

    /// The most bytes of one request's body.
    pub(crate) fn most_out(&self) -> usize {
        self.0.bound.limits.body_out
    }

    /// Count a request, and judge whom it is for.
    pub(crate) fn admit(
        &self,
        method: &str,
        url: &str,
        insecure: bool,
    ) -> Result<Granted, HttpError> {
        self.judge(method, url, insecure).inspect_err(|error| self.count(error))
    }

    /// Send what was granted, with what the host adds to it.
    pub(crate) async fn send(
        &self,
        granted: Granted,
        headers: Vec<(String, String)>,
        body: Option<Vec<u8>>,
        timeout: Option<Duration>,
    ) -> Result<HttpResponse, HttpError> {
        let request = self.complete(granted, headers, body, timeout)?;
        let Bound { egress, plugin, .. } = &self.0.bound;
        egress.send(plugin, request).await.inspect_err(|error| self.count(error))
    }

    /// Denials are counted; whatever else goes wrong is between the component and its server.
    fn count(&self, error: &HttpError) {
        if matches!(error, HttpError::NotGranted(_)) {
            self.0.denied.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn judge(&self, method: &str, url: &str, insecure: bool) -> Result<Granted, HttpError> {
        let denied = HttpError::NotGranted;
        let invalid = HttpError::InvalidRequest;
        let most = self.0.bound.limits.http_calls;
        if most == 0 {
            return Err(denied("there is no network while a configuration is checked".to_owned()));
        }
        let next = |sent: u32| (sent < most).then_some(sent + 1);
        if self.0.sent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_err() {
            return Err(denied(format!("one call may send {most} requests, and has")));
        }
        let url = Url::parse(url)
            .map_err(|error| invalid(format!("{url:?} is no absolute URL: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            let scheme = url.scheme();
            return Err(invalid(format!("the scheme is {scheme}, and can be http or https")));
        }
        let method = method.to_ascii_uppercase();
        self.0.bound.grants.admit(&method, &url, insecure).map_err(denied)?;
        Ok(Granted { method, url, insecure })
    }

    fn complete(
        &self,
        granted: Granted,
        mut headers: Vec<(String, String)>,
        body: Option<Vec<u8>>,
        timeout: Option<Duration>,
    ) -> Result<HttpRequest, HttpError> {
        let Granted { method, url, insecure } = granted;
        let Bound { limits, private, trace, .. } = &self.0.bound;
        let (bytes, most) = (body.as_ref().map_or(0, Vec::len), limits.body_out);
        if bytes > most {
            let why = format!("the body has {bytes} bytes, and {most} are the most");
            return Err(HttpError::InvalidRequest(why));
        }
        let left = self.left();
        let timeout = timeout.unwrap_or(left).min(left);
        if timeout.is_zero() {
            return Err(HttpError::Timeout);
        }
        if let Some(trace) = trace {
            trace.mark(&mut headers);
        }
        private.sign(&url, &mut headers);
        Ok(HttpRequest {
            method,
            // What was parsed and granted is what goes out, not what somebody else might read
            // in the text.
            url: url.into(),
            headers,
            body,
            timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX).max(1),
            max_body: limits.body_in,
            insecure,
        })
    }
}
