//! What can go wrong with one request, and what ends the whole controller.

/// Why the controller stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Another process may lead now. Whoever supervises this one starts it again.
    #[error("the lease was lost: {0}")]
    LeaseLost(String),
    /// A watch ended, which it never does while the process is healthy.
    #[error("the watches stopped")]
    WatchesStopped,
}

/// Why one request did not do what it was for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// It changed since it was read.
    #[error("{0} changed meanwhile")]
    Conflict(String),
    /// It exists and belongs to somebody else.
    #[error("{0} exists and is not controlled by this object")]
    Taken(String),
    /// It, or its kind, does not exist.
    #[error("{0} does not exist")]
    Missing(String),
    /// The credentials do not allow it.
    #[error("{what}: {reason}")]
    Forbidden {
        /// What was asked for.
        what: String,
        /// The server's words.
        reason: String,
    },
    /// The API server will not have the object.
    #[error("{what}: {reason}")]
    Invalid {
        /// What was asked for.
        what: String,
        /// The server's words.
        reason: String,
    },
    /// The API server cannot be reached, is overloaded, or failed.
    #[error("{what}: {reason}")]
    Unavailable {
        /// What was asked for.
        what: String,
        /// What is known of it.
        reason: String,
    },
    /// This process no longer leads.
    #[error("this process no longer leads")]
    NotLeading,
}

impl ApiError {
    /// The client's error about `what`, such as `ReplicaSet shop/web-5d4`.
    pub(crate) fn of(what: &str, error: kube::Error) -> Self {
        let what = what.to_owned();
        let status = match error {
            kube::Error::Api(status) => status,
            other => return Self::Unavailable { what, reason: causes(&other) },
        };
        let reason = status.message.clone();
        match status.code {
            404 => Self::Missing(what),
            409 if status.is_already_exists() => Self::Taken(what),
            409 => Self::Conflict(what),
            401 | 403 => Self::Forbidden { what, reason },
            408 | 425 | 429 | 500.. => Self::Unavailable { what, reason },
            _ => Self::Invalid { what, reason },
        }
    }
}

/// An error and its causes in one line. A cause that repeats what is already said is left out.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        next = cause.source();
    }
    text
}
