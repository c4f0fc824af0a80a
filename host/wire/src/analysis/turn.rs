//! One turn of an analysis run, all of it but the measuring: pure, and the same in every shell.

use serde_json::{Value, json};
use sluice_core::Timestamp;
use sluice_core::Wake;
use sluice_core::analysis::{Fact, Order, Status, Waiting, decide};
use sluice_core::observed::RunPhase;

use crate::analysis::observe::{Progress, observe};
use crate::analysis::project::project;
use crate::field::Field;
use crate::objects::Meta;
use crate::rollout::project::{difference, run_phase_name};
use crate::rollout::{Event, Severity, Target, Verb, Write};

/// What one turn comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// The status to record first; nothing is performed unless it was accepted. `None`: the
    /// status already says it.
    pub record: Option<Write>,
    /// What to announce once the record was accepted.
    pub events: Vec<Event>,
    /// What to perform then. [`Order::Delete`] is performed by [`deletion`].
    pub orders: Vec<Order>,
    /// What the run waits for; `None` only when it is over.
    pub waiting: Option<Waiting>,
    /// When to look again though nothing may have changed.
    pub wake: Option<Wake>,
    /// What was decided to be so.
    pub status: Status,
}

/// Take everything but the acts of one turn. Once the record was accepted, what was reported as
/// finished is no longer needed.
pub fn turn(run: &Value, progress: &Progress, now: Timestamp) -> Turn {
    let decision = decide(&observe(run, progress, now));
    let old = Field::root(run).get("status");
    let new = project(old.value(), &decision.status);
    Turn {
        record: difference(old.value(), &new).map(|patch| record(run, &patch)),
        events: decision.facts.iter().map(event).collect(),
        orders: decision.orders,
        waiting: decision.waiting,
        wake: decision.wake,
        status: decision.status,
    }
}

fn write(run: &Value, verb: Verb, body: Value) -> Write {
    let meta = Meta::read(run);
    let target = Target {
        api_version: "argoproj.io/v1alpha1",
        kind: "AnalysisRun",
        namespace: meta.namespace,
        name: meta.name,
        subresource: None,
    };
    Write { verb, target, body, event: None }
}

/// The status patch, for exactly the version that was seen. Runs have no status subresource, so
/// that a `spec.terminate` of somebody else and this patch compete for one version.
fn record(run: &Value, patch: &Value) -> Write {
    let version = Meta::read(run).version;
    write(run, Verb::Merge, json!({"metadata": {"resourceVersion": version}, "status": patch}))
}

/// The deletion of a run, if it still is the one that was seen.
pub fn deletion(run: &Value) -> Write {
    let meta = Meta::read(run);
    let preconditions = json!({"uid": meta.uid, "resourceVersion": meta.version});
    write(run, Verb::Delete, json!({"preconditions": preconditions}))
}

/// A fact as an event, with Argo's reasons and words.
fn event(fact: &Fact) -> Event {
    let (phase, reason, message) = match fact {
        Fact::MetricCompleted { metric, phase, .. } => {
            let result = run_phase_name(*phase);
            let message = format!("Metric '{metric}' Completed. Result: {result}");
            (*phase, metric_reason(*phase), message)
        }
        Fact::RunCompleted { phase } => {
            let message = format!("Analysis Completed. Result: {}", run_phase_name(*phase));
            (*phase, run_reason(*phase), message)
        }
    };
    let severity = match phase {
        RunPhase::Failed | RunPhase::Error => Severity::Warning,
        RunPhase::Pending | RunPhase::Running | RunPhase::Successful | RunPhase::Inconclusive => {
            Severity::Normal
        }
    };
    Event { severity, reason, message }
}

fn metric_reason(phase: RunPhase) -> &'static str {
    match phase {
        RunPhase::Pending => "MetricPending",
        RunPhase::Running => "MetricRunning",
        RunPhase::Successful => "MetricSuccessful",
        RunPhase::Failed => "MetricFailed",
        RunPhase::Error => "MetricError",
        RunPhase::Inconclusive => "MetricInconclusive",
    }
}

pub(crate) fn run_reason(phase: RunPhase) -> &'static str {
    match phase {
        RunPhase::Pending => "AnalysisRunPending",
        RunPhase::Running => "AnalysisRunRunning",
        RunPhase::Successful => "AnalysisRunSuccessful",
        RunPhase::Failed => "AnalysisRunFailed",
        RunPhase::Error => "AnalysisRunError",
        RunPhase::Inconclusive => "AnalysisRunInconclusive",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::measure::{prepare, unmade};
    use sluice_port::{Measured, Measurement};

    const START: Timestamp = Timestamp(1_700_000_000_000);

    fn at(seconds: u64) -> Timestamp {
        START.after(std::time::Duration::from_secs(seconds))
    }

    fn run(metrics: Value) -> Value {
        json!({
            "metadata": {"name": "r", "namespace": "web", "uid": "u", "resourceVersion": "7"},
            "spec": {"metrics": metrics, "ttlStrategy": {"secondsAfterCompletion": 60}},
        })
    }

    /// Merge a patch as the API server does.
    fn merge(into: &mut Value, patch: &Value) {
        match (into, patch) {
            (Value::Object(into), Value::Object(patch)) => {
                for (key, value) in patch {
                    if value.is_null() {
                        into.remove(key);
                    } else {
                        merge(into.entry(key.clone()).or_insert(Value::Null), value);
                    }
                }
            }
            (into, patch @ Value::Object(_)) => {
                *into = json!({});
                merge(into, patch);
            }
            (into, patch) => *into = patch.clone(),
        }
    }

    /// Take a turn and record it; the second turn on the record has nothing to record.
    fn settle(run: &mut Value, progress: &Progress, now: Timestamp) -> Turn {
        let first = turn(run, progress, now);
        if let Some(write) = &first.record {
            assert_eq!(write.body["metadata"]["resourceVersion"], "7");
            merge(&mut run["status"], &write.body["status"]);
        }
        let again = turn(run, progress, now);
        assert_eq!((&again.record, &again.events[..]), (&None, &[][..]));
        first
    }

    /// Measure what the first order is for.
    fn measure(run: &Value, turn: &Turn, now: Timestamp, outcome: Measured) -> Progress {
        let [Order::Measure { metric, index }] = &turn.orders[..] else {
            panic!("one measurement was expected: {:?}", turn.orders);
        };
        let ready = prepare(run, metric, *index, |_| Ok(String::new())).unwrap();
        let answer = Measurement { outcome, message: None, metadata: Vec::new() };
        Progress { finished: vec![ready.finish(now, now, Ok(answer))], ..Progress::default() }
    }

    fn rate() -> Value {
        json!([{
            "name": "rate", "interval": "10s", "count": 2, "failureLimit": 1,
            "successCondition": "result[0] >= 0.95",
            "provider": {"prometheus": {"query": "rate"}},
        }])
    }

    #[test]
    fn a_run_from_its_first_turn_to_its_deletion() {
        let mut run = run(rate());
        let first = settle(&mut run, &Progress::default(), at(0));
        assert_eq!(
            run["status"],
            json!({
                "phase": "Running",
                "startedAt": "2023-11-14T22:13:20Z",
                "runSummary": {"count": 1},
                "dryRunSummary": {},
            })
        );
        let progress = measure(&run, &first, at(1), Measured::Numbers(vec![0.5]));
        let second = settle(&mut run, &progress, at(1));
        assert_eq!(second.wake.unwrap().at, at(11));
        let third = settle(&mut run, &Progress::default(), at(11));
        let progress = measure(&run, &third, at(11), Measured::Numbers(vec![0.97, 1.0]));
        let last = settle(&mut run, &progress, at(11));
        assert_eq!(
            run["status"],
            json!({
                "phase": "Successful",
                "startedAt": "2023-11-14T22:13:20Z",
                "completedAt": "2023-11-14T22:13:31Z",
                "runSummary": {"count": 1, "successful": 1},
                "dryRunSummary": {},
                "metricResults": [{
                    "name": "rate",
                    "phase": "Successful",
                    "count": 2,
                    "successful": 1,
                    "failed": 1,
                    "consecutiveSuccess": 1,
                    "measurements": [
                        {
                            "phase": "Failed",
                            "value": "[0.5]",
                            "startedAt": "2023-11-14T22:13:21Z",
                            "finishedAt": "2023-11-14T22:13:21Z",
                        },
                        {
                            "phase": "Successful",
                            "value": "[0.97,1]",
                            "startedAt": "2023-11-14T22:13:31Z",
                            "finishedAt": "2023-11-14T22:13:31Z",
                        },
                    ],
                }],
            })
        );
        let told: Vec<_> =
            last.events.iter().map(|event| (event.reason, &*event.message)).collect();
        assert_eq!(
            told,
            [
                ("MetricSuccessful", "Metric 'rate' Completed. Result: Successful"),
                ("AnalysisRunSuccessful", "Analysis Completed. Result: Successful"),
            ]
        );
        let over = turn(&run, &Progress::default(), at(72));
        assert_eq!(over.orders, [Order::Delete]);
        let delete = deletion(&run);
        assert_eq!(delete.body, json!({"preconditions": {"uid": "u", "resourceVersion": "7"}}));
    }

    #[test]
    fn an_unfinished_measurement_survives_a_restart() {
        let mut run = run(json!([{"name": "job", "provider": {"job": {}}}]));
        let first = settle(&mut run, &Progress::default(), at(0));
        let outcome = Measured::Running { token: "t-1".into(), resume_after_ms: 5000 };
        let progress = measure(&run, &first, at(0), outcome);
        settle(&mut run, &progress, at(0));
        let measurement = &run["status"]["metricResults"][0]["measurements"][0];
        assert_eq!(measurement["metadata"], json!({"sluice.dev/resume-token": "t-1"}));
        assert_eq!(measurement["resumeAt"], "2023-11-14T22:13:25Z");
        let resumed = turn(&run, &Progress::default(), at(5));
        let (metric, token) = ("job".to_owned(), "t-1".to_owned());
        assert_eq!(resumed.orders, [Order::Resume { metric, index: 0, token }]);
    }

    #[test]
    fn an_invalid_specification_is_an_error_with_a_time_of_completion() {
        let invalid = |metrics: Value| {
            let mut run = run(metrics);
            settle(&mut run, &Progress::default(), at(0));
            assert_eq!(run["status"]["phase"], "Error");
            assert_eq!(run["status"]["completedAt"], "2023-11-14T22:13:20Z");
            run["status"]["message"].as_str().unwrap().to_owned()
        };
        assert_eq!(invalid(json!([])), "Analysis spec invalid: no metrics specified");
        assert_eq!(
            invalid(json!([{"name": "m", "provider": {"web": {"url": "{{args.x}}"}}}])),
            "Unable to resolve metric arguments: failed to resolve {{args.x}}"
        );
    }

    #[test]
    fn a_missing_secret_ends_the_run() {
        let mut run = run(json!([
            {"name": "m", "provider": {"web": {"url": "{{args.token}}"}}},
        ]));
        let source = json!({"secretKeyRef": {"name": "s", "key": "k"}});
        run["spec"]["args"] = json!([{"name": "token", "valueFrom": source}]);
        settle(&mut run, &Progress::default(), at(0));
        let outcome = prepare(&run, "m", 0, |_| Err("secrets \"s\" not found".into())).unwrap_err();
        let finished = vec![unmade("m", 0, at(1), outcome)];
        settle(&mut run, &Progress { finished, ..Progress::default() }, at(1));
        assert_eq!(run["status"]["phase"], "Error");
        assert_eq!(
            run["status"]["message"],
            "Unable to resolve metric arguments: secrets \"s\" not found"
        );
    }

    #[test]
    fn what_is_not_known_of_a_status_stays() {
        let mut run = run(rate());
        run["status"] = json!({"future": {"field": 1}});
        settle(&mut run, &Progress::default(), at(0));
        assert_eq!(run["status"]["future"], json!({"field": 1}));
    }
}
