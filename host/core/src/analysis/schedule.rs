//! What to measure and when: before the end of a run, at its end, and after it.

use std::time::Duration;

use super::words::METRIC_TERMINATED;
use super::{
    Decision, ERROR_RETRY, Measurement, MetricResult, MetricSpec, Observed, Order, Outcome, Status,
    TimeToLive, Verdict, Waiting,
};
use crate::observed::RunPhase;
use crate::time::{Timestamp, Wake};

/// Order what is due, and wish to be woken for what is not.
pub(super) fn next(seen: &Observed, metrics: &[MetricSpec], draft: &mut Decision) {
    let Decision { orders, status, waiting, wake, .. } = draft;
    for spec in metrics {
        let result = status.result(&spec.name);
        let index = result.map_or(0, |result| result.tally.index());
        let wait = match due(spec, result, status, seen.now) {
            Due::Never => continue,
            Due::Later(wait) => wait,
            Due::Now(order) => {
                if !seen.in_flight.contains(&(spec.name.clone(), index)) {
                    orders.push(order);
                }
                Waiting::Measurement { metric: spec.name.clone() }
            }
        };
        if let Some(at) = wait.until() {
            let because = wait.because();
            *wake = Wake::sooner(*wake, Some(Wake { at, because }));
        }
        let sooner = waiting.as_ref().is_none_or(|present| wait.until() < present.until());
        if sooner {
            *waiting = Some(wait);
        }
    }
}

/// When a metric is to be measured.
enum Due {
    /// Not any more.
    Never,
    /// Now.
    Now(Order),
    /// At a later time, which the wait knows.
    Later(Waiting),
}

fn due(spec: &MetricSpec, result: Option<&MetricResult>, status: &Status, now: Timestamp) -> Due {
    let metric = spec.name.clone();
    let Some((result, last)) = result.and_then(|r| r.measurements.last().map(|last| (r, last)))
    else {
        let delay = spec.initial_delay.unwrap_or_default();
        let until = status.started.unwrap_or(now).after(delay);
        return if until > now {
            Due::Later(Waiting::InitialDelay { metric, until })
        } else {
            Due::Now(Order::Measure { metric, index: 0 })
        };
    };
    if result.phase.is_over() {
        return Due::Never;
    }
    let index = result.tally.index();
    if !last.phase.is_over() {
        return due_again(last, metric, index, now);
    }
    if spec.target().is_some_and(|target| result.tally.count >= target) {
        return Due::Never;
    }
    let erred = last.phase == RunPhase::Error;
    let pause = if erred { ERROR_RETRY } else { spec.interval.unwrap_or(ERROR_RETRY) };
    let until = last.finished.map_or(now, |finished| finished.after(pause));
    if until <= now {
        Due::Now(Order::Measure { metric, index })
    } else if erred {
        Due::Later(Waiting::Retry { metric, until, errors: result.tally.consecutive_error })
    } else {
        Due::Later(Waiting::Interval { metric, until })
    }
}

/// When an unfinished measurement is to be asked about.
fn due_again(last: &Measurement, metric: String, index: u32, now: Timestamp) -> Due {
    match (last.resume, last.token.clone()) {
        (Some(until), _) if until > now => Due::Later(Waiting::Resume { metric, until }),
        (_, Some(token)) => Due::Now(Order::Resume { metric, index, token }),
        (_, None) => Due::Now(Order::Measure { metric, index }),
    }
}

/// Stop every measurement that goes on elsewhere. What the shell itself has under way is left to
/// end: its answer comes too late to be recorded.
pub(super) fn stop(seen: &Observed, draft: &mut Decision) {
    for result in &mut draft.status.results {
        let index = result.tally.index();
        let Some(last) = result.measurements.last_mut().filter(|last| !last.phase.is_over()) else {
            continue;
        };
        if let Some(token) = last.token.take() {
            draft.orders.push(Order::Terminate { metric: result.name.clone(), index, token });
        }
        last.phase = RunPhase::Inconclusive;
        last.message = METRIC_TERMINATED.to_owned();
        last.finished = Some(seen.now);
        last.resume = None;
        result.tally.add(Verdict::Inconclusive);
    }
}

/// What is left to do when a run is over: stop measurements that were begun too late to be
/// recorded, and delete the run once it was kept for long enough.
pub(super) fn after_the_end(seen: &Observed, draft: &mut Decision) {
    for finished in &seen.finished {
        let Outcome::Running { token, .. } = &finished.outcome else { continue };
        let order = Order::Terminate {
            metric: finished.metric.clone(),
            index: finished.index,
            token: token.clone(),
        };
        if !draft.orders.contains(&order) {
            draft.orders.push(order);
        }
    }
    let (Some(phase), Some(completed)) = (draft.status.phase, draft.status.completed) else {
        return;
    };
    let Some(kept) = seen.time_to_live.of(phase) else { return };
    // Ages are compared in whole seconds, and a run is kept for at least its time.
    let at = completed.after(kept).after(Duration::from_secs(1));
    if at <= seen.now {
        draft.orders.push(Order::Delete);
    } else {
        draft.wake = Some(Wake { at, because: "the run was kept for long enough" });
    }
}

impl TimeToLive {
    /// How long a run with this end is kept; `None` for as long as somebody owns it.
    pub fn of(&self, phase: RunPhase) -> Option<Duration> {
        let special = match phase {
            RunPhase::Successful => self.after_success,
            RunPhase::Failed => self.after_failure,
            RunPhase::Pending | RunPhase::Running | RunPhase::Error | RunPhase::Inconclusive => {
                None
            }
        };
        special.or(self.after_completion)
    }
}
