//! Notifiers: what became true of a rollout, told to people and their tools.
//!
//! ```
//! use sluice_sdk::{Deserialize, json, notify::*};
//!
//! #[derive(Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     address: String,
//! }
//!
//! struct Chat;
//!
//! impl Notifier for Chat {
//!     type Config = Config;
//!
//!     fn deliver(config: Config, fact: &Fact) -> Result<Outcome> {
//!         for channel in &fact.recipients {
//!             let text = format!("{}/{}: {}", fact.namespace, fact.rollout, fact.message);
//!             http::post(format!("{}/channels/{channel}", config.address))
//!                 .header("idempotency-key", format!("{}/{channel}", fact.key))
//!                 .json(&json!({ "text": text }))
//!                 .send()?
//!                 .success()?;
//!         }
//!         Ok(Outcome::delivered())
//!     }
//! }
//! ```

use std::time::Duration;

use serde::de::DeserializeOwned;

pub use crate::error::{Error, Result};
pub use crate::http;

/// How serious a fact is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Severity {
    /// All is well.
    #[default]
    Normal,
    /// Somebody should look.
    Warning,
}

impl Severity {
    /// As Kubernetes calls it: `Normal` or `Warning`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// Something that became true. It is as it was then, however late it is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fact {
    /// Of this fact alone, and the same for every try: a server that is given it can tell a
    /// repeated request from a second one.
    pub key: String,
    /// What happened in one word, such as `RolloutAborted`.
    pub reason: String,
    /// How serious it is.
    pub severity: Severity,
    /// A sentence for people.
    pub message: String,
    /// When it became true, in milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// Namespace of the rollout.
    pub namespace: String,
    /// Name of the rollout.
    pub rollout: String,
    /// The rollout's UID, which tells it from one of the same name before it.
    pub rollout_uid: String,
    /// The revision that it is about, as in `rollout.argoproj.io/revision`.
    pub revision: String,
    /// The phase of the rollout when it is told, such as `Degraded`.
    pub phase: String,
    /// The images of its pod template when it is told.
    pub images: Vec<String>,
    /// Who is to hear of it, as the rollout's subscription says.
    pub recipients: Vec<String>,
}

/// What became of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The other side has it, with the name that it has there, if any.
    Delivered(Option<String>),
    /// [`Notifier::deliver`] is called again after so many milliseconds; between one second and
    /// one hour.
    RetryAfter(u32),
}

impl Outcome {
    /// The other side has it.
    pub fn delivered() -> Self {
        Self::Delivered(None)
    }

    /// The other side has it, and calls it so.
    pub fn delivered_as(id: impl Into<String>) -> Self {
        Self::Delivered(Some(id.into()))
    }

    /// Not yet.
    pub fn retry_after(wait: Duration) -> Self {
        Self::RetryAfter(u32::try_from(wait.as_millis()).unwrap_or(u32::MAX))
    }
}

/// A notifier. Nothing is kept between calls: each runs in an instance of its own.
pub trait Notifier {
    /// How an operator configures it, once and for all rollouts.
    type Config: DeserializeOwned;

    /// Whether a configuration is right, beyond what its type says. There is neither network nor
    /// cluster.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`], if it is not.
    fn validate(_config: &Self::Config) -> Result<()> {
        Ok(())
    }

    /// Tells it. It may be called again after it was told, as when the controller is killed before
    /// it could note the answer; [`Fact::key`] is the same then.
    ///
    /// # Errors
    /// If it was not told. It is tried again, whatever the error, for a day.
    fn deliver(config: Self::Config, fact: &Fact) -> Result<Outcome>;
}

/// Makes a component of a [`Notifier`]; once in a crate of the type `cdylib`.
///
/// What is asked of the cluster's operator can be said with a reason:
/// `export_notifier!(Mine, requests: { http: "posts to the configured server" })`.
/// It is kept in the component for whoever grants it.
#[macro_export]
macro_rules! export_notifier {
    ($notifier:ty $(, requests: { $($what:ident: $reason:literal),* $(,)? })? $(,)?) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "a component's exports are declared by hand")]
        const _: () = {
            type Component = $crate::wit::NotifierOf<$notifier>;
            $crate::wit::notifier::__export_notifier!(
                Component with_types_in $crate::wit::notifier
            );
            $crate::__manifest!("notifier" $(, $($what: $reason),*)?);
        };
    };
}
