//! From measurements to judgements: of one metric, and of the run.

use super::words::{RUN_TERMINATED, assessed, dry_run_assessed, excess};
use super::{
    Decision, Fact, Finished, Measurement, MetricResult, MetricSpec, Observed, Outcome, Status,
    Summary, Tally, Verdict,
};
use crate::observed::RunPhase;

/// Take in what came back. The text is why the run cannot go on at all.
pub(super) fn fold(seen: &Observed, metrics: &[MetricSpec], status: &mut Status) -> Option<String> {
    for spec in metrics {
        for finished in seen.finished.iter().filter(|finished| finished.metric == spec.name) {
            let known = status.result(&spec.name);
            let expected = known.map_or(0, |result| result.tally.index());
            let over = known.is_some_and(|result| result.phase.is_over());
            if finished.index != expected || over {
                continue;
            }
            if let Outcome::Unresolvable(why) = &finished.outcome {
                return Some(why.clone());
            }
            record(result_of(status, spec), finished);
        }
    }
    None
}

/// The result of a metric, begun if it is not there yet.
fn result_of<'s>(status: &'s mut Status, spec: &MetricSpec) -> &'s mut MetricResult {
    let at = status.results.iter().position(|result| result.name == spec.name);
    let at = at.unwrap_or_else(|| {
        status.results.push(MetricResult {
            name: spec.name.clone(),
            phase: RunPhase::Running,
            message: String::new(),
            tally: Tally::default(),
            dry_run: spec.dry_run,
            metadata: Vec::new(),
            measurements: Vec::new(),
        });
        status.results.len() - 1
    });
    &mut status.results[at]
}

/// Put one answer into a metric's result: in place of the unfinished measurement if there is one.
fn record(result: &mut MetricResult, finished: &Finished) {
    let unfinished = match result.measurements.last() {
        Some(last) if !last.phase.is_over() => result.measurements.pop(),
        _ => None,
    };
    let started = unfinished.as_ref().and_then(|last| last.started).unwrap_or(finished.started);
    let metadata = match unfinished {
        Some(last) if finished.metadata.is_empty() => last.metadata,
        _ => finished.metadata.clone(),
    };
    let mut measurement = Measurement {
        phase: RunPhase::Running,
        message: String::new(),
        value: String::new(),
        started: Some(started),
        finished: None,
        resume: None,
        token: None,
        metadata,
    };
    match &finished.outcome {
        Outcome::Judged { verdict, value, message } => {
            measurement.phase = verdict.phase();
            measurement.value.clone_from(value);
            measurement.message.clone_from(message);
            measurement.finished = Some(finished.at);
            result.tally.add(*verdict);
        }
        Outcome::Running { token, resume, message } => {
            measurement.message.clone_from(message);
            measurement.token = Some(token.clone());
            measurement.resume = Some(*resume);
        }
        // The caller ends the run instead of recording it.
        Outcome::Unresolvable(_) => return,
    }
    if !finished.metric_metadata.is_empty() {
        result.metadata.clone_from(&finished.metric_metadata);
    }
    result.measurements.push(measurement);
}

impl Tally {
    /// Count one finished measurement.
    pub(super) fn add(&mut self, verdict: Verdict) {
        let more = |counter: &mut u32| *counter = counter.saturating_add(1);
        match verdict {
            Verdict::Successful => more(&mut self.successful),
            Verdict::Failed => more(&mut self.failed),
            Verdict::Inconclusive => more(&mut self.inconclusive),
            Verdict::Error => more(&mut self.error),
        }
        if verdict == Verdict::Error {
            more(&mut self.consecutive_error);
        } else {
            more(&mut self.count);
            self.consecutive_error = 0;
        }
        if verdict == Verdict::Successful {
            more(&mut self.consecutive_success);
        } else {
            self.consecutive_success = 0;
        }
    }
}

impl Verdict {
    /// The phase of a measurement with this verdict.
    pub fn phase(self) -> RunPhase {
        match self {
            Self::Successful => RunPhase::Successful,
            Self::Failed => RunPhase::Failed,
            Self::Inconclusive => RunPhase::Inconclusive,
            Self::Error => RunPhase::Error,
        }
    }
}

/// Bring every metric's phase up to date, and tell of those that ended.
pub(super) fn metrics(metrics: &[MetricSpec], terminating: bool, draft: &mut Decision) {
    for spec in metrics {
        let Some(result) = draft.status.results.iter_mut().find(|r| r.name == spec.name) else {
            continue;
        };
        result.dry_run = spec.dry_run;
        let phase = metric(spec, result, terminating);
        if phase == result.phase {
            continue;
        }
        result.phase = phase;
        if let Some(last) = result.measurements.last() {
            result.message.clone_from(&last.message);
        }
        if !phase.is_over() {
            continue;
        }
        if spec.dry_run
            && let Some(because) = excess(spec, phase, &result.tally)
        {
            result.message = dry_run_assessed(phase, &because);
        }
        let metric = spec.name.clone();
        draft.facts.push(Fact::MetricCompleted { metric, phase, dry_run: spec.dry_run });
    }
}

/// Where one metric stands.
fn metric(spec: &MetricSpec, result: &MetricResult, terminating: bool) -> RunPhase {
    if result.phase.is_over() {
        return result.phase;
    }
    match result.measurements.last() {
        None if terminating => return RunPhase::Successful,
        None => return RunPhase::Pending,
        Some(last) if !last.phase.is_over() => return RunPhase::Running,
        Some(_) => {}
    }
    if let Some(phase) = over_limit(spec, &result.tally) {
        return phase;
    }
    let wanted = spec.consecutive_success_limit;
    if wanted > 0 && result.tally.consecutive_success >= wanted {
        return RunPhase::Successful;
    }
    if spec.target().is_some_and(|target| result.tally.count >= target) {
        return match (wanted > 0, spec.failure_limit) {
            (true, Some(_)) => RunPhase::Inconclusive,
            (true, None) => RunPhase::Failed,
            (false, _) => RunPhase::Successful,
        };
    }
    if terminating { RunPhase::Successful } else { RunPhase::Running }
}

/// The phase of a metric that went beyond one of its limits. If it went beyond several, an error
/// says more than an inconclusive measurement, and that more than a failure.
pub(super) fn over_limit(spec: &MetricSpec, tally: &Tally) -> Option<RunPhase> {
    if tally.consecutive_error > spec.consecutive_error_limit {
        Some(RunPhase::Error)
    } else if tally.inconclusive > spec.inconclusive_limit {
        Some(RunPhase::Inconclusive)
    } else if spec.failure_limit.is_some_and(|limit| tally.failed > limit) {
        Some(RunPhase::Failed)
    } else {
        None
    }
}

/// Whether nothing is to be measured any more: somebody asked for it, or a metric that matters
/// ended badly.
pub(super) fn terminating(asked: bool, status: &Status) -> bool {
    asked || status.results.iter().any(|result| !result.dry_run && is_bad(result.phase))
}

fn is_bad(phase: RunPhase) -> bool {
    matches!(phase, RunPhase::Failed | RunPhase::Error | RunPhase::Inconclusive)
}

/// Where the run stands, and why.
pub(super) fn run(
    metrics: &[MetricSpec],
    asked: bool,
    terminating: bool,
    status: &Status,
) -> (RunPhase, String) {
    let mut worst: Option<RunPhase> = None;
    let mut message = if asked { RUN_TERMINATED.to_owned() } else { String::new() };
    let mut all_over = true;
    for spec in metrics {
        let Some(result) = status.result(&spec.name).filter(|result| result.phase.is_over()) else {
            all_over = false;
            continue;
        };
        if spec.dry_run || worst.is_some_and(|worst| severity(result.phase) <= severity(worst)) {
            continue;
        }
        worst = Some(result.phase);
        if let Some(because) = excess(spec, result.phase, &result.tally) {
            message = assessed(&spec.name, result.phase, &because, &result.message);
        }
    }
    if terminating || all_over {
        (worst.unwrap_or(RunPhase::Successful), message)
    } else {
        (RunPhase::Running, String::new())
    }
}

/// How bad a phase is among others.
fn severity(phase: RunPhase) -> u8 {
    match phase {
        RunPhase::Successful => 0,
        RunPhase::Running => 1,
        RunPhase::Pending => 2,
        RunPhase::Inconclusive => 3,
        RunPhase::Error => 4,
        RunPhase::Failed => 5,
    }
}

/// Count the metrics by their ends.
pub(super) fn summarise(metrics: &[MetricSpec], status: &mut Status) {
    let of = |dry_run: bool| {
        let mut summary = Summary::default();
        for spec in metrics.iter().filter(|spec| spec.dry_run == dry_run) {
            summary.count += 1;
            match status.result(&spec.name).map(|result| result.phase) {
                Some(RunPhase::Successful) => summary.successful += 1,
                Some(RunPhase::Failed) => summary.failed += 1,
                Some(RunPhase::Inconclusive) => summary.inconclusive += 1,
                Some(RunPhase::Error) => summary.error += 1,
                Some(RunPhase::Pending | RunPhase::Running) | None => {}
            }
        }
        summary
    };
    (status.summary, status.dry_run_summary) = (of(false), of(true));
}

/// Forget the oldest measurements.
pub(super) fn trim(metrics: &[MetricSpec], status: &mut Status) {
    for result in &mut status.results {
        let spec = metrics.iter().find(|spec| spec.name == result.name);
        let kept = spec.map_or(super::KEPT_MEASUREMENTS, |spec| spec.kept).max(1);
        let surplus = result.measurements.len().saturating_sub(kept);
        result.measurements.drain(..surplus);
    }
}
