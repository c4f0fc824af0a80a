//! From an AnalysisRun to what the core may look at.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use sluice_core::Timestamp;
use sluice_core::analysis::{
    Finished, Measurement, MetricResult, MetricSpec, Observed, Status, Summary, Tally, TimeToLive,
};
use sluice_core::observed::RunPhase;

use crate::analysis::arguments::{PLACEHOLDER, Values};
use crate::analysis::metric::parse;
use crate::clock::parse_time;
use crate::field::Field;
use crate::rollout::recall::run_phase;

/// The key under which the metadata of an unfinished measurement keeps the provider's token.
pub(super) const TOKEN: &str = "sluice.dev/resume-token";

/// What the shell knows of a run's measurements that is not recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Metric and index of what is under way.
    pub in_flight: BTreeSet<(String, u32)>,
    /// What came back and may not be recorded yet: the newest of each metric.
    pub finished: Vec<Finished>,
}

impl Progress {
    /// An order was taken up.
    pub fn begin(&mut self, metric: &str, index: u32) {
        self.in_flight.insert((metric.to_owned(), index));
    }

    /// Its answer came.
    pub fn finish(&mut self, finished: Finished) {
        self.in_flight.remove(&(finished.metric.clone(), finished.index));
        self.finished.retain(|older| older.metric != finished.metric);
        self.finished.push(finished);
    }

    /// The turn that was taken on `seen` was recorded. What came back since then stays.
    pub fn recorded(&mut self, seen: &Self) {
        self.finished.retain(|finished| !seen.finished.contains(finished));
    }
}

/// Read everything.
pub fn observe(run: &Value, progress: &Progress, now: Timestamp) -> Observed {
    let root = Field::root(run);
    let spec = root.get("spec");
    let seconds = |name: &str| {
        let seconds = spec.get("ttlStrategy").get(name).i64();
        seconds.map(|seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
    };
    Observed {
        now,
        metrics: metrics(&spec),
        terminate: spec.get("terminate").bool(),
        time_to_live: TimeToLive {
            after_completion: seconds("secondsAfterCompletion"),
            after_failure: seconds("secondsAfterFailure"),
            after_success: seconds("secondsAfterSuccess"),
        },
        status: status(&root.get("status")),
        in_flight: progress.in_flight.clone(),
        finished: progress.finished.clone(),
    }
}

/// The metrics as they are measured, but for the secrets, which are not there yet.
fn metrics(spec: &Field<'_>) -> Result<Vec<MetricSpec>, String> {
    let list = |name: &str| {
        let list = spec.get(name).value().and_then(Value::as_array);
        list.map(Vec::as_slice).unwrap_or_default()
    };
    let resolved = Values::of(list("args"), |_| Ok(PLACEHOLDER.to_owned())).and_then(|values| {
        list("metrics")
            .iter()
            .map(|metric| values.substitute(metric))
            .collect::<Result<Vec<_>, _>>()
    });
    let resolved =
        resolved.map_err(|error| format!("Unable to resolve metric arguments: {error}"))?;
    parse(&resolved, &spec.get("dryRun"), &spec.get("measurementRetention"))
        .map_err(|error| format!("Analysis spec invalid: {error}"))
}

fn text(field: &Field<'_>, name: &str) -> String {
    field.get(name).str().unwrap_or_default().to_owned()
}

fn time(field: &Field<'_>, name: &str) -> Option<Timestamp> {
    field.get(name).str().and_then(parse_time)
}

fn count(field: &Field<'_>, name: &str) -> u32 {
    field.get(name).u32().unwrap_or(0)
}

fn pairs(field: &Field<'_>) -> Vec<(String, String)> {
    let entries = field.value().and_then(Value::as_object).into_iter().flatten();
    let mut pairs: Vec<_> = entries
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect();
    pairs.sort();
    pairs
}

/// Read a status.
pub fn status(status: &Field<'_>) -> Status {
    Status {
        phase: status.get("phase").name().map(|phase| run_phase(Some(phase))),
        message: text(status, "message"),
        results: status.get("metricResults").items().iter().map(result).collect(),
        started: time(status, "startedAt"),
        completed: time(status, "completedAt"),
        summary: summary(&status.get("runSummary")),
        dry_run_summary: summary(&status.get("dryRunSummary")),
    }
}

fn summary(summary: &Field<'_>) -> Summary {
    Summary {
        count: count(summary, "count"),
        successful: count(summary, "successful"),
        failed: count(summary, "failed"),
        inconclusive: count(summary, "inconclusive"),
        error: count(summary, "error"),
    }
}

fn result(result: &Field<'_>) -> MetricResult {
    MetricResult {
        name: text(result, "name"),
        phase: run_phase(result.get("phase").str()),
        message: text(result, "message"),
        tally: Tally {
            count: count(result, "count"),
            successful: count(result, "successful"),
            failed: count(result, "failed"),
            inconclusive: count(result, "inconclusive"),
            error: count(result, "error"),
            consecutive_error: count(result, "consecutiveError"),
            consecutive_success: count(result, "consecutiveSuccess"),
        },
        dry_run: result.get("dryRun").bool(),
        metadata: pairs(&result.get("metadata")),
        measurements: result.get("measurements").items().iter().map(measurement).collect(),
    }
}

/// Whether a measurement is finished is told by its phase, and by nothing else: one that claims
/// to be over without a time is over since it began.
fn measurement(measurement: &Field<'_>) -> Measurement {
    let phase = run_phase(measurement.get("phase").str());
    let started = time(measurement, "startedAt");
    let finished = time(measurement, "finishedAt");
    let over = phase.is_over();
    let (mut metadata, mut token) = (Vec::new(), None);
    for (key, value) in pairs(&measurement.get("metadata")) {
        if key == TOKEN {
            token = Some(value);
        } else {
            metadata.push((key, value));
        }
    }
    Measurement {
        phase: if over { phase } else { RunPhase::Running },
        message: text(measurement, "message"),
        value: text(measurement, "value"),
        started,
        finished: if over { finished.or(started) } else { None },
        resume: time(measurement, "resumeAt"),
        token,
        metadata,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::measure::unmade;
    use sluice_core::analysis::Outcome;

    #[test]
    fn progress_keeps_the_newest_answer_until_it_is_recorded() {
        let answer = |metric: &str, index| {
            unmade(metric, index, Timestamp(1), Outcome::Unresolvable(String::new()))
        };
        let mut progress = Progress::default();
        progress.begin("a", 0);
        progress.finish(answer("a", 0));
        assert_eq!((progress.in_flight.len(), progress.finished.len()), (0, 1));
        let seen = progress.clone();
        progress.begin("a", 1);
        progress.finish(answer("a", 1));
        progress.finish(answer("b", 0));
        progress.recorded(&seen);
        assert_eq!(progress.finished, [answer("a", 1), answer("b", 0)]);
        progress.recorded(&progress.clone());
        assert_eq!(progress, Progress::default());
    }

    #[test]
    fn a_status_that_does_not_fit_the_schema_is_read_as_far_as_it_can_be() {
        let odd = serde_json::json!({
            "phase": "Running",
            "startedAt": 7,
            "metricResults": [{"name": "m", "count": "x", "measurements": [
                {"phase": "Failed", "startedAt": "2023-11-14T22:13:20Z"}, "what",
            ]}],
        });
        let read = status(&Field::root(&odd));
        assert_eq!((read.phase, read.started), (Some(RunPhase::Running), None));
        let [first, second] = &read.results[0].measurements[..] else { panic!("two were there") };
        assert_eq!((first.phase, first.finished), (RunPhase::Failed, first.started));
        assert_eq!(second.phase, RunPhase::Running);
    }
}
