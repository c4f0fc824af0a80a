//! Why a plugin did not do what it was asked.

use std::fmt;
use std::time::Duration;

/// What a plugin answers instead of a result. The text of every case reaches people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// What the user configured is wrong, and trying again will not help: name the field, and
    /// what it should be.
    InvalidConfig(String),
    /// Worth another try: the other side cannot be reached, is busy, or was changed meanwhile.
    Transient {
        /// What happened.
        message: String,
        /// When to try again, in milliseconds, if that is known. The host has limits.
        after_ms: Option<u32>,
    },
    /// Anything else.
    Failed {
        /// For machines: stable, lower-kebab-case, at most 64 bytes.
        code: String,
        /// What happened.
        message: String,
    },
}

/// What most functions of a plugin return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The user's configuration is wrong.
    pub fn invalid_config(message: impl Into<String>) -> Self {
        Self::InvalidConfig(message.into())
    }

    /// Worth another try, whenever the host sees fit.
    pub fn transient(message: impl Into<String>) -> Self {
        Self::Transient { message: message.into(), after_ms: None }
    }

    /// Neither the user's mistake nor worth another try. The code is lower-kebab-case.
    pub fn failed(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Failed { code: code.into(), message: message.into() }
    }

    /// The same error, with a time to wait before the next try if it is worth one.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        if let Self::Transient { after_ms, .. } = &mut self {
            *after_ms = Some(u32::try_from(wait.as_millis()).unwrap_or(u32::MAX));
        }
        self
    }

    /// The text for people.
    pub fn message(&self) -> &str {
        match self {
            Self::InvalidConfig(message)
            | Self::Transient { message, .. }
            | Self::Failed { message, .. } => message,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for Error {}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::failed("bad-json", error.to_string())
    }
}
