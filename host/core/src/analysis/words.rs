//! What an analysis run says. The texts of the run and of its metrics are part of the API: users
//! match alerts on them.

use std::fmt;

use super::{MetricSpec, Tally};
use crate::observed::RunPhase;
use crate::time::Timestamp;

/// The message of a run that somebody stopped.
pub(super) const RUN_TERMINATED: &str = "Run Terminated";

/// The message of a measurement that was stopped.
pub(super) const METRIC_TERMINATED: &str = "Metric Terminated";

/// Which limit brought a metric into `phase`; `None` if none did.
pub(super) fn excess(spec: &MetricSpec, phase: RunPhase, tally: &Tally) -> Option<String> {
    if super::assess::over_limit(spec, tally) != Some(phase) {
        return short_of_success(spec, phase, tally);
    }
    match phase {
        RunPhase::Error => Some(format!(
            "consecutiveErrors ({}) > consecutiveErrorLimit ({})",
            tally.consecutive_error, spec.consecutive_error_limit
        )),
        RunPhase::Inconclusive => Some(format!(
            "inconclusive ({}) > inconclusiveLimit ({})",
            tally.inconclusive, spec.inconclusive_limit
        )),
        RunPhase::Failed => Some(format!(
            "failed ({}) > failureLimit ({})",
            tally.failed,
            spec.failure_limit.unwrap_or_default()
        )),
        RunPhase::Pending | RunPhase::Running | RunPhase::Successful => None,
    }
}

/// A metric that used its measurements up without enough successes in a row went beyond no limit,
/// but somebody will ask why it ended.
fn short_of_success(spec: &MetricSpec, phase: RunPhase, tally: &Tally) -> Option<String> {
    let ended = matches!(phase, RunPhase::Inconclusive | RunPhase::Failed);
    let wanted = spec.consecutive_success_limit;
    (ended && wanted > 0).then(|| {
        format!(
            "consecutiveSuccess ({}) < consecutiveSuccessLimit ({wanted})",
            tally.consecutive_success
        )
    })
}

/// The run's message about the metric that decided it.
pub(super) fn assessed(metric: &str, phase: RunPhase, because: &str, message: &str) -> String {
    let said = format!("Metric \"{metric}\" assessed {} due to {because}", name(phase));
    if message.is_empty() { said } else { format!("{said}: \"Error Message: {message}\"") }
}

/// A dry-run metric's own message: the run never mentions it.
pub(super) fn dry_run_assessed(phase: RunPhase, because: &str) -> String {
    format!("Metric assessed {} due to {because}", name(phase))
}

/// The phase's name in the API.
pub(super) fn name(phase: RunPhase) -> &'static str {
    match phase {
        RunPhase::Pending => "Pending",
        RunPhase::Running => "Running",
        RunPhase::Successful => "Successful",
        RunPhase::Failed => "Failed",
        RunPhase::Error => "Error",
        RunPhase::Inconclusive => "Inconclusive",
    }
}

/// What a run waits for: the metric that will move first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// A measurement is under way.
    Measurement {
        /// The metric's name.
        metric: String,
    },
    /// The metric begins later.
    InitialDelay {
        /// The metric's name.
        metric: String,
        /// When.
        until: Timestamp,
    },
    /// The metric is measured again after its interval.
    Interval {
        /// The metric's name.
        metric: String,
        /// When.
        until: Timestamp,
    },
    /// The last measurement was an error; it is tried again.
    Retry {
        /// The metric's name.
        metric: String,
        /// When.
        until: Timestamp,
        /// How many errors there were in a row.
        errors: u32,
    },
    /// A measurement goes on elsewhere, and is asked about again.
    Resume {
        /// The metric's name.
        metric: String,
        /// When.
        until: Timestamp,
    },
}

impl Waiting {
    /// When it ends by itself; `None` while a measurement is under way.
    pub fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Measurement { .. } => None,
            Self::InitialDelay { until, .. }
            | Self::Interval { until, .. }
            | Self::Retry { until, .. }
            | Self::Resume { until, .. } => Some(*until),
        }
    }

    /// Why to look again then.
    pub(super) fn because(&self) -> &'static str {
        match self {
            Self::Measurement { .. } => "a measurement ends",
            Self::InitialDelay { .. } => "a metric's initial delay ends",
            Self::Interval { .. } => "a metric's interval ends",
            Self::Retry { .. } => "a failed measurement is retried",
            Self::Resume { .. } => "an unfinished measurement is asked about",
        }
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Measurement { metric } => write!(f, "a measurement of {metric}"),
            Self::InitialDelay { metric, .. } => write!(f, "the initial delay of {metric}"),
            Self::Interval { metric, .. } => write!(f, "the next measurement of {metric}"),
            Self::Retry { metric, errors, .. } => {
                write!(f, "another try at {metric} after {errors} errors in a row")
            }
            Self::Resume { metric, .. } => write!(f, "the unfinished measurement of {metric}"),
        }
    }
}
