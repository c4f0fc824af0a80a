//! `sluice:host/http`: what was granted goes out, within the limits of the call.

use std::time::Duration;

use sluice_port::http::HttpError;

use crate::bindings::host::sluice::host::http;
use crate::ctx::Ctx;

impl http::Host for Ctx {
    async fn send(&mut self, request: http::Request) -> Result<http::Response, http::HttpError> {
        let http::Request { method, url, headers, body, timeout_ms, insecure } = request;
        let granted = self.outgoing.admit(&method, &url, insecure).map_err(translate)?;
        let timeout = timeout_ms.map(|ms| Duration::from_millis(ms.into()));
        let answer = self.outgoing.send(granted, headers, body, timeout).await;
        let answer = answer.map_err(translate)?;
        Ok(http::Response { status: answer.status, headers: answer.headers, body: answer.body })
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
