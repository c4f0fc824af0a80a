//! `sluice:host/http`: what was granted goes out, within the limits of the call.

use std::time::Duration;

use reqwest::Url;
use sluice_port::http::{HttpError, HttpRequest};

use crate::bindings::host::sluice::host::http;
use crate::ctx::Ctx;

impl http::Host for Ctx {
    async fn send(&mut self, request: http::Request) -> Result<http::Response, http::HttpError> {
        let request = self.admit(request).inspect_err(|error| {
            self.denied += u32::from(matches!(error, http::HttpError::NotGranted(_)));
        })?;
        let answer = self.egress.send(&self.plugin, request).await;
        match answer {
            Ok(answer) => Ok(http::Response {
                status: answer.status,
                headers: answer.headers,
                body: answer.body,
            }),
            Err(error) => {
                self.denied += u32::from(matches!(error, HttpError::NotGranted(_)));
                Err(translate(error))
            }
        }
    }
}

impl Ctx {
    fn admit(&mut self, request: http::Request) -> Result<HttpRequest, http::HttpError> {
        let denied = http::HttpError::NotGranted;
        let invalid = http::HttpError::InvalidRequest;
        let most = self.limits.http_calls;
        if most == 0 {
            return Err(denied("there is no network while a configuration is checked".to_owned()));
        }
        if self.http_calls >= most {
            return Err(denied(format!("one call may send {most} requests, and has")));
        }
        self.http_calls += 1;
        let bytes = request.body.as_ref().map_or(0, Vec::len);
        if bytes > self.limits.body_out {
            let most = self.limits.body_out;
            return Err(invalid(format!("the body has {bytes} bytes, and {most} are the most")));
        }
        let url = Url::parse(&request.url)
            .map_err(|error| invalid(format!("{:?} is no absolute URL: {error}", request.url)))?;
        if !matches!(url.scheme(), "http" | "https") {
            let scheme = url.scheme();
            return Err(invalid(format!("the scheme is {scheme}, and can be http or https")));
        }
        let method = request.method.to_ascii_uppercase();
        self.grants.admit(&method, &url, request.insecure).map_err(denied)?;
        let left = self.limits.for_requests(self.left());
        let asked = request.timeout_ms.map(|ms| Duration::from_millis(ms.into()));
        let timeout = asked.unwrap_or(left).min(left);
        if timeout.is_zero() {
            return Err(http::HttpError::Timeout);
        }
        let mut headers = request.headers;
        self.private.sign(&url, &mut headers);
        Ok(HttpRequest {
            method,
            // What was parsed and granted is what goes out, not what somebody else might read
            // in the text.
            url: url.into(),
            headers,
            body: request.body,
            timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX).max(1),
            max_body: self.limits.body_in,
            insecure: request.insecure,
        })
    }
}

fn translate(error: HttpError) -> http::HttpError {
    match error {
        HttpError::NotGranted(text) => http::HttpError::NotGranted(text),
        HttpError::InvalidRequest(text) => http::HttpError::InvalidRequest(text),
        HttpError::Timeout => http::HttpError::Timeout,
        HttpError::Connect(text) => http::HttpError::Connect(text),
        HttpError::TooLarge(bytes) => http::HttpError::TooLarge(bytes),
        HttpError::Other(text) => http::HttpError::Other(text),
    }
}
