//! Types that every kind of plugin uses, from and to those of the interfaces.

use super::metric::sluice::host::http as wire;
use super::metric::sluice::host::log::Level as WireLevel;
use super::metric::sluice::host::secrets::SecretError as WireSecretError;
use super::metric::sluice::plugin::types::{Failure, PluginError, RetryHint};
use crate::error::Error;
use crate::http::{HttpError, Request, Response};
use crate::log::Level;
use crate::secrets::SecretError;

impl From<Error> for PluginError {
    fn from(error: Error) -> Self {
        match error {
            Error::InvalidConfig(text) => Self::InvalidConfig(text),
            Error::Transient { message, after_ms } => {
                Self::Transient(RetryHint { message, after_ms })
            }
            Error::Failed { code, message } => Self::Failed(Failure { code, message }),
        }
    }
}

impl From<Request> for wire::Request {
    fn from(from: Request) -> Self {
        Self {
            method: from.method,
            url: from.url,
            headers: from.headers,
            body: from.body,
            timeout_ms: from.timeout_ms,
            insecure: from.insecure,
        }
    }
}

impl From<wire::Response> for Response {
    fn from(from: wire::Response) -> Self {
        Self { status: from.status, headers: from.headers, body: from.body }
    }
}

impl From<wire::HttpError> for HttpError {
    fn from(from: wire::HttpError) -> Self {
        match from {
            wire::HttpError::NotGranted(grant) => Self::NotGranted(grant),
            wire::HttpError::InvalidRequest(why) => Self::InvalidRequest(why),
            wire::HttpError::Timeout => Self::Timeout,
            wire::HttpError::Connect(why) => Self::Connect(why),
            wire::HttpError::TooLarge(limit) => Self::TooLarge(limit),
            wire::HttpError::Other(why) => Self::Other(why),
        }
    }
}

impl From<WireSecretError> for SecretError {
    fn from(from: WireSecretError) -> Self {
        match from {
            WireSecretError::NotGranted(grant) => Self::NotGranted(grant),
            WireSecretError::NotFound(what) => Self::NotFound(what),
            WireSecretError::Unavailable(why) => Self::Unavailable(why),
        }
    }
}

impl From<Level> for WireLevel {
    fn from(from: Level) -> Self {
        match from {
            Level::Trace => Self::Trace,
            Level::Debug => Self::Debug,
            Level::Info => Self::Info,
            Level::Warn => Self::Warn,
            Level::Error => Self::Error,
        }
    }
}
