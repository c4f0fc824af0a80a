//! Steps of a release: something to do between two weights, such as asking somebody.
//!
//! A step keeps nothing between calls. Until it is done it is called again and again, with what
//! its last call left behind, so it asks for a thing once and looks after it from then on:
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use sluice_sdk::{Value, step::*};
//! use std::time::Duration;
//!
//! #[derive(Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     address: String,
//! }
//!
//! #[derive(Serialize, Deserialize)]
//! struct Ticket {
//!     id: u64,
//! }
//!
//! struct Approval;
//!
//! impl Step for Approval {
//!     type Config = Config;
//!     type State = Ticket;
//!
//!     fn run(on: &Context, config: Config, ticket: Option<Ticket>) -> Result<Progress<Ticket>> {
//!         let tickets = format!("{}/tickets/{}", config.address, on.key());
//!         let answer: Value = match &ticket {
//!             None => http::put(&tickets).send()?.json()?,
//!             Some(ticket) => http::get(format!("{tickets}?id={}", ticket.id)).send()?.json()?,
//!         };
//!         Ok(match (answer["verdict"].as_str(), answer["id"].as_u64()) {
//!             (Some("yes"), _) => Progress::done(),
//!             (Some("no"), _) => Progress::failed("the ticket was turned down"),
//!             (_, Some(id)) => Progress::again(Ticket { id }, Duration::from_secs(10)),
//!             (_, None) => return Err(Error::failed("no-ticket", "the answer has no id")),
//!         })
//!     }
//! }
//! ```

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use crate::error::{Error, Result};
pub use crate::http;

/// The step of a release that is done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// Namespace of the rollout.
    pub namespace: String,
    /// Name of the rollout.
    pub rollout: String,
    /// The rollout's UID, which tells it from one of the same name before it.
    pub rollout_uid: String,
    /// The revision that is released, as in `rollout.argoproj.io/revision`.
    pub revision: String,
    /// The index of the step among the rollout's, from zero.
    pub step_index: u32,
}

impl Context {
    /// A name for this step of this release that no other has, and that a repeated call has
    /// again. A server that is given it can tell a repeated request from a second one.
    pub fn key(&self) -> String {
        format!("{}-{}-{}", self.rollout_uid, self.revision, self.step_index)
    }
}

/// Whether a step is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The release goes on.
    Done,
    /// The step says no, and why: the release is aborted.
    Failed(String),
    /// [`Step::run`] is called again after so many milliseconds; between one second and one hour.
    Again(u32),
}

/// How far a step is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress<S> {
    /// Whether it is done.
    pub outcome: Outcome,
    /// For the next call; at most 16 KiB as JSON. It outlives the controller and this version of
    /// the plugin.
    pub state: Option<S>,
    /// For people, beside the step.
    pub message: Option<String>,
}

impl<S> Progress<S> {
    fn new(outcome: Outcome) -> Self {
        Self { outcome, state: None, message: None }
    }

    /// The release may go on.
    pub fn done() -> Self {
        Self::new(Outcome::Done)
    }

    /// The release must not go on.
    pub fn failed(why: impl Into<String>) -> Self {
        Self::new(Outcome::Failed(why.into()))
    }

    /// To be called again with this state.
    pub fn again(state: S, after: Duration) -> Self {
        let after = u32::try_from(after.as_millis()).unwrap_or(u32::MAX);
        Self::new(Outcome::Again(after)).keeping(state)
    }

    /// Leaves something behind for [`Step::abort`], which a step that is done may still have to
    /// undo.
    #[must_use]
    pub fn keeping(mut self, state: S) -> Self {
        self.state = Some(state);
        self
    }

    /// Says something to people.
    #[must_use]
    pub fn message(mut self, text: impl Into<String>) -> Self {
        self.message = Some(text.into());
        self
    }
}

/// A step. Nothing is kept between calls but its state: each runs in an instance of its own.
pub trait Step {
    /// What a user writes under `config`.
    type Config: DeserializeOwned;
    /// What one call leaves behind for the next.
    type State: Serialize + DeserializeOwned;

    /// Whether a configuration is right, beyond what its type says. There is neither network nor
    /// cluster.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`], if it is not.
    fn validate(_config: &Self::Config) -> Result<()> {
        Ok(())
    }

    /// Does the step, or goes on with it. `state` is what the last call left behind, and nothing
    /// before the first. After a crash it may be called again with the same state, which must do
    /// no harm; [`Context::key`] helps.
    ///
    /// # Errors
    /// If it cannot be told how far the step is. That is no failure of the step.
    fn run(
        context: &Context,
        config: Self::Config,
        state: Option<Self::State>,
    ) -> Result<Progress<Self::State>>;

    /// The release goes on without the step: stop what was started, as well as can be. It may
    /// never have run.
    ///
    /// # Errors
    /// If that failed.
    fn terminate(
        _context: &Context,
        _config: Self::Config,
        _state: Option<Self::State>,
    ) -> Result<()> {
        Ok(())
    }

    /// The release is aborted: undo what was done. It may never have run, or be done already.
    ///
    /// # Errors
    /// If that failed.
    fn abort(_context: &Context, _config: Self::Config, _state: Option<Self::State>) -> Result<()> {
        Ok(())
    }
}

/// Reads what an earlier call left behind.
///
/// # Errors
/// With the code `bad-state`, if an earlier version of the plugin wrote it otherwise.
pub(crate) fn read_state<S: DeserializeOwned>(state: Option<&str>) -> Result<Option<S>> {
    let broken = |error| Error::failed("bad-state", format!("cannot read the state: {error}"));
    state.map(serde_json::from_str).transpose().map_err(broken)
}

/// Writes what a later call reads.
///
/// # Errors
/// With the code `bad-state`, if it has no form in JSON, as a map whose keys are no texts.
pub(crate) fn write_state<S: Serialize>(state: Option<&S>) -> Result<Option<String>> {
    let broken = |error| Error::failed("bad-state", format!("cannot write the state: {error}"));
    state.map(serde_json::to_string).transpose().map_err(broken)
}

/// Makes a component of a [`Step`]; once in a crate of the type `cdylib`.
///
/// What is asked of the cluster's operator can be said with a reason:
/// `export_step!(Mine, requests: { http: "asks the server that a step names" })`.
/// It is kept in the component for whoever grants it.
#[macro_export]
macro_rules! export_step {
    ($step:ty $(, requests: { $($what:ident: $reason:literal),* $(,)? })? $(,)?) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "a component's exports are declared by hand")]
        const _: () = {
            type Component = $crate::wit::StepOf<$step>;
            $crate::wit::step::__export_step!(
                Component with_types_in $crate::wit::step
            );
            $crate::__manifest!("step" $(, $($what: $reason),*)?);
        };
    };
}
