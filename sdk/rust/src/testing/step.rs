//! Steps in unit tests. Configurations and states are JSON here, and read and written the way they
//! are between two calls of the controller.

use serde_json::Value;

use super::{Host, Ran};
use crate::error::{Error, Result};
use crate::step::{Context, Progress, Step, read_state, write_state};

impl Host {
    /// Sets the step that is done.
    #[must_use]
    pub fn step(mut self, context: Context) -> Self {
        self.step = context;
        self
    }

    /// Calls a step's `validate`, the configuration being read the way the host's is.
    ///
    /// # Errors
    /// As the step says.
    pub fn validate_step<S: Step>(self, config: Value) -> Result<()> {
        self.call(|_| S::validate(&crate::parse_config(&config.to_string())?)).result
    }

    /// Calls a step's `run` with what an earlier call left behind.
    pub fn run_step<S: Step>(self, config: Value, state: Option<Value>) -> Ran<Progress<Value>> {
        self.called::<S, _>(config, state, |context, config, state| {
            let Progress { outcome, state, message } = S::run(context, config, state)?;
            let state = read_state(write_state(state.as_ref())?.as_deref())?;
            Ok(Progress { outcome, state, message })
        })
    }

    /// Calls a step's `terminate`.
    pub fn terminate_step<S: Step>(self, config: Value, state: Option<Value>) -> Ran<()> {
        self.called::<S, _>(config, state, S::terminate)
    }

    /// Calls a step's `abort`.
    pub fn abort_step<S: Step>(self, config: Value, state: Option<Value>) -> Ran<()> {
        self.called::<S, _>(config, state, S::abort)
    }

    fn called<S: Step, T>(
        self,
        config: Value,
        state: Option<Value>,
        act: impl FnOnce(&Context, S::Config, Option<S::State>) -> Result<T, Error>,
    ) -> Ran<T> {
        let context = self.step.clone();
        self.call(|_| {
            let config = crate::parse_config(&config.to_string())?;
            let state = read_state(state.map(|state| state.to_string()).as_deref())?;
            act(&context, config, state)
        })
    }
}
