//! One analysis run: what was measured so far goes in; what to measure next, what to record and
//! what is true of the run by now come out.
//!
//! Like the rollout's, this decision is total and pure. A measurement has an identity: the metric
//! and the number of measurements that were finished before it. The shell reports what it has
//! under way and what came back under that identity, so an answer that is reported again after it
//! was recorded changes nothing, and a crash loses no more than the answers not yet recorded:
//! those measurements are simply ordered again.
//!
//! Errors are retried after [`ERROR_RETRY`] whatever the metric's interval, and do not count
//! towards its `count`. A metric that ends badly ends the run, unless it is a dry run.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::observed::RunPhase;
use crate::time::{Timestamp, Wake};

mod assess;
mod schedule;
#[cfg(test)]
mod tests;
mod words;

pub use words::Waiting;

/// How long after a measurement that failed to measure the next one is due.
pub const ERROR_RETRY: Duration = Duration::from_secs(10);

/// How many measurements of a metric are kept unless its retention says otherwise.
pub const KEPT_MEASUREMENTS: usize = 10;

/// How many errors in a row a metric survives unless it says otherwise.
pub const CONSECUTIVE_ERROR_LIMIT: u32 = 4;

/// One metric of a run: validated, arguments substituted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricSpec {
    /// Unique in the run.
    pub name: String,
    /// From the end of one measurement to the beginning of the next.
    pub interval: Option<Duration>,
    /// From the start of the run to the first measurement.
    pub initial_delay: Option<Duration>,
    /// How many measurements are wanted; see [`MetricSpec::target`].
    pub count: Option<u32>,
    /// The metric fails with one more failure; `None` switches the limit off.
    pub failure_limit: Option<u32>,
    /// The metric is inconclusive with one more inconclusive measurement.
    pub inconclusive_limit: u32,
    /// The metric errs with one more error in a row.
    pub consecutive_error_limit: u32,
    /// The metric succeeds with so many successes in a row; 0 switches the limit off.
    pub consecutive_success_limit: u32,
    /// Measured and shown, but never of influence on the run.
    pub dry_run: bool,
    /// How many measurements to keep, at least one.
    pub kept: usize,
}

impl Default for MetricSpec {
    fn default() -> Self {
        Self {
            name: String::new(),
            interval: None,
            initial_delay: None,
            count: None,
            failure_limit: Some(0),
            inconclusive_limit: 0,
            consecutive_error_limit: CONSECUTIVE_ERROR_LIMIT,
            consecutive_success_limit: 0,
            dry_run: false,
            kept: KEPT_MEASUREMENTS,
        }
    }
}

impl MetricSpec {
    /// After how many measurements the metric is done; `None` if it goes on until it is stopped.
    /// Without a count that is one measurement, or with an interval no end.
    pub fn target(&self) -> Option<u32> {
        match (self.count, self.interval) {
            (None | Some(0), None) => Some(1),
            (None | Some(0), Some(_)) => None,
            (Some(count), _) => Some(count),
        }
    }
}

/// How long a finished run is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeToLive {
    /// Whatever the end, unless one of the others applies.
    pub after_completion: Option<Duration>,
    /// If it failed. An error or an inconclusive end is no failure.
    pub after_failure: Option<Duration>,
    /// If it succeeded.
    pub after_success: Option<Duration>,
}

/// One measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measurement {
    /// Its judgement; `Running` until it is finished.
    pub phase: RunPhase,
    /// For people.
    pub message: String,
    /// What was measured, for people.
    pub value: String,
    /// When it was begun.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// When an unfinished one is to be asked about again.
    pub resume: Option<Timestamp>,
    /// What the provider wants to be asked with again. An unfinished measurement without one is
    /// begun again.
    pub token: Option<String>,
    /// What the provider stored with it, sorted by key.
    pub metadata: Vec<(String, String)>,
}

/// What was counted of a metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Measurements that count: all but errors.
    pub count: u32,
    /// Good ones.
    pub successful: u32,
    /// Bad ones.
    pub failed: u32,
    /// Those that are neither.
    pub inconclusive: u32,
    /// Those that could not be measured.
    pub error: u32,
    /// Errors since the last measurement that was none.
    pub consecutive_error: u32,
    /// Successes since the last measurement that was none.
    pub consecutive_success: u32,
}

impl Tally {
    /// The identity that the next measurement has, or the unfinished one.
    pub fn index(&self) -> u32 {
        self.count.saturating_add(self.error)
    }
}

/// What is known of one metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricResult {
    /// The metric's name.
    pub name: String,
    /// Where it stands. Once over, it stays.
    pub phase: RunPhase,
    /// Why.
    pub message: String,
    /// What was counted.
    pub tally: Tally,
    /// Whether it is a dry run.
    pub dry_run: bool,
    /// What the provider says of the metric rather than of one measurement, sorted by key.
    pub metadata: Vec<(String, String)>,
    /// The last few measurements, oldest first. Only the last can be unfinished.
    pub measurements: Vec<Measurement>,
}

/// How many metrics ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// All metrics of this kind.
    pub count: u32,
    /// Those that succeeded.
    pub successful: u32,
    /// Those that failed.
    pub failed: u32,
    /// Those that are neither.
    pub inconclusive: u32,
    /// Those that could not be measured.
    pub error: u32,
}

/// Everything that is recorded of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Where it stands; `None` before the first decision.
    pub phase: Option<RunPhase>,
    /// Why it ended as it did.
    pub message: String,
    /// In the order in which the metrics were first measured.
    pub results: Vec<MetricResult>,
    /// When it was first decided on.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub completed: Option<Timestamp>,
    /// Of the metrics that matter.
    pub summary: Summary,
    /// Of the dry runs.
    pub dry_run_summary: Summary,
}

impl Status {
    /// What is known of the metric with this name.
    pub fn result(&self, metric: &str) -> Option<&MetricResult> {
        self.results.iter().find(|result| result.name == metric)
    }
}

/// How a finished measurement was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Good.
    Successful,
    /// Bad.
    Failed,
    /// Neither.
    Inconclusive,
    /// It could not be measured or judged.
    Error,
}

/// What came back for one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is finished.
    Judged {
        /// How it was judged.
        verdict: Verdict,
        /// What was measured, for people.
        value: String,
        /// For people.
        message: String,
    },
    /// It goes on, and is to be asked about again.
    Running {
        /// What to ask with.
        token: String,
        /// When.
        resume: Timestamp,
        /// For people.
        message: String,
    },
    /// The metric could not even be asked, since what it refers to is not there. The run ends
    /// with this message.
    Unresolvable(String),
}

/// An answer to an order. The shell reports the newest one of each metric until it was recorded;
/// reporting it for longer does no harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The metric's name.
    pub metric: String,
    /// The index of the order.
    pub index: u32,
    /// When the shell began to ask.
    pub started: Timestamp,
    /// When the answer came.
    pub at: Timestamp,
    /// The answer.
    pub outcome: Outcome,
    /// What the provider stored with the measurement, sorted by key.
    pub metadata: Vec<(String, String)>,
    /// What the provider says of the metric, sorted by key.
    pub metric_metadata: Vec<(String, String)>,
}

/// Everything one decision may look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The one clock reading.
    pub now: Timestamp,
    /// The metrics in the order of the specification, or why there is nothing to go by.
    pub metrics: Result<Vec<MetricSpec>, String>,
    /// Whether somebody asked the run to stop.
    pub terminate: bool,
    /// How long to keep it when it is over.
    pub time_to_live: TimeToLive,
    /// What was recorded by the last decision.
    pub status: Status,
    /// Metric and index of every measurement that the shell has under way.
    pub in_flight: BTreeSet<(String, u32)>,
    /// What came back.
    pub finished: Vec<Finished>,
}

/// What the shell is to do, once the status is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Begin a measurement.
    Measure {
        /// The metric's name.
        metric: String,
        /// Its identity.
        index: u32,
    },
    /// Ask about a measurement that goes on.
    Resume {
        /// The metric's name.
        metric: String,
        /// Its identity.
        index: u32,
        /// What to ask with.
        token: String,
    },
    /// Stop a measurement that goes on. Nobody waits for the answer.
    Terminate {
        /// The metric's name.
        metric: String,
        /// Its identity.
        index: u32,
        /// What to ask with.
        token: String,
    },
    /// Delete the run: it was kept for long enough.
    Delete,
}

/// What just became true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A metric ended.
    MetricCompleted {
        /// Its name.
        metric: String,
        /// How.
        phase: RunPhase,
        /// Whether it was a dry run.
        dry_run: bool,
    },
    /// The run ended.
    RunCompleted {
        /// How.
        phase: RunPhase,
    },
}

/// What follows from one observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What to do, once `status` is recorded.
    pub orders: Vec<Order>,
    /// What to record.
    pub status: Status,
    /// What it waits for; `None` only when the run is over.
    pub waiting: Option<Waiting>,
    /// When to look again though nothing may have changed.
    pub wake: Option<Wake>,
    /// What just became true.
    pub facts: Vec<Fact>,
}

/// Decide.
pub fn decide(seen: &Observed) -> Decision {
    let mut draft = Decision {
        orders: Vec::new(),
        status: seen.status.clone(),
        waiting: None,
        wake: None,
        facts: Vec::new(),
    };
    if seen.status.phase.is_some_and(RunPhase::is_over) {
        schedule::after_the_end(seen, &mut draft);
        return draft;
    }
    match &seen.metrics {
        Err(why) => break_off(seen, &mut draft, why.clone()),
        Ok(metrics) => carry_on(seen, metrics, &mut draft),
    }
    if draft.status.phase.is_some_and(RunPhase::is_over) {
        schedule::after_the_end(seen, &mut draft);
    }
    draft
}

/// One decision of a run that is not over yet.
fn carry_on(seen: &Observed, metrics: &[MetricSpec], draft: &mut Decision) {
    draft.status.started.get_or_insert(seen.now);
    if let Some(why) = assess::fold(seen, metrics, &mut draft.status) {
        break_off(seen, draft, why);
        return;
    }
    assess::metrics(metrics, false, draft);
    let terminating = assess::terminating(seen.terminate, &draft.status);
    if terminating {
        schedule::stop(seen, draft);
        assess::metrics(metrics, true, draft);
    }
    assess::summarise(metrics, &mut draft.status);
    let (phase, message) = assess::run(metrics, seen.terminate, terminating, &draft.status);
    assess::trim(metrics, &mut draft.status);
    if phase.is_over() {
        end(seen, draft, phase, message);
        return;
    }
    if draft.status.phase != Some(phase) {
        draft.status.phase = Some(phase);
        draft.status.message = message;
    }
    schedule::next(seen, metrics, draft);
}

/// End a run that cannot be judged at all. It ends as others do, with a time of completion: one
/// without would be kept for ever.
fn break_off(seen: &Observed, draft: &mut Decision, why: String) {
    schedule::stop(seen, draft);
    end(seen, draft, RunPhase::Error, why);
}

/// End the run.
fn end(seen: &Observed, draft: &mut Decision, phase: RunPhase, message: String) {
    draft.status.phase = Some(phase);
    draft.status.message = message;
    draft.status.completed = Some(seen.now);
    draft.facts.push(Fact::RunCompleted { phase });
}
