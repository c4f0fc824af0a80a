//! Components that do steps, as a scenario or a seed wants them: how long they take, how they end,
//! and how often a call brings no answer.

use std::time::Duration;

use sluice_core::Timestamp;
use sluice_port::{Fault, StepAnswer, StepCall, StepOutcome};

/// How a step ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// Well.
    #[default]
    Done,
    /// It says no.
    Failed,
    /// Never.
    Never,
}

/// A component that does steps. What it knows of a step it keeps in the step's state, as real ones
/// have to.
#[derive(Clone, Debug, Default)]
pub struct Stepper {
    /// How long a step takes, from its first call.
    pub takes: Duration,
    /// In how much time it is to be asked again.
    pub again: Duration,
    /// How it ends.
    pub end: End,
    /// Every so many calls one fails; 0 is never.
    pub fails_every: u64,
    calls: u64,
}

impl Stepper {
    /// A component that ends so, after so long.
    pub fn new(takes: Duration, again: Duration, end: End, fails_every: u64) -> Self {
        Self { takes, again, end, fails_every, calls: 0 }
    }

    /// The same without faults, and with an end.
    pub fn healed(&self) -> Self {
        let end = match self.end {
            End::Done | End::Never => End::Done,
            End::Failed => End::Failed,
        };
        Self { fails_every: 0, end, ..self.clone() }
    }

    /// Do a step, or go on with it.
    ///
    /// # Errors
    /// One call in so many.
    pub fn run(&mut self, call: &StepCall, now: Timestamp) -> Result<StepAnswer, Fault> {
        self.stop()?;
        let since = call.state.as_ref().and_then(|state| state.parse().ok()).map(Timestamp);
        let since = since.unwrap_or(now);
        let over = now >= since.after(self.takes);
        let again = u32::try_from(self.again.as_millis()).unwrap_or(u32::MAX);
        let outcome = match self.end {
            End::Done if over => StepOutcome::Done,
            End::Failed if over => StepOutcome::Failed("the step says no".to_owned()),
            End::Done | End::Failed | End::Never => StepOutcome::Again(again),
        };
        Ok(StepAnswer { outcome, state: Some(since.0.to_string()), message: None })
    }

    /// Stop or undo a step.
    ///
    /// # Errors
    /// One call in so many.
    pub fn stop(&mut self) -> Result<(), Fault> {
        self.calls += 1;
        if self.fails_every > 0 && self.calls.is_multiple_of(self.fails_every) {
            return Err(Fault::Trapped { message: "unreachable".to_owned() });
        }
        Ok(())
    }
}
