//! How long a rollout took, as its status tells it.

use crate::bench::{Bench, rollout};
use serde_json::{Value, json};

fn with_pause() -> Bench {
    let mut bench = Bench::new(vec![rollout(json!({"steps": [{"setWeight": 50}, {"pause": {}}]}))]);
    bench.pass(60);
    bench
}

fn told(bench: &Bench) -> [Value; 4] {
    let fields = [
        "completionStatus",
        "finishedAt",
        "manualPauseStartedAt",
        "totalManualPauseDurationSeconds",
    ];
    fields.map(|field| bench.rollout(&format!("/status/duration/{field}")))
}

fn how(bench: &Bench) -> Value {
    let [how, finished, ..] = told(bench);
    assert_eq!(how.is_null(), finished.is_null(), "{how} at {finished}");
    how
}

#[test]
fn a_first_deployment_is_promoted_once_its_pods_are_available() {
    let mut bench = Bench::new(vec![rollout(json!({}))]);
    bench.pass(2);
    assert!(bench.rollout("/status/duration/rolloutStartedAt").is_string());
    assert_eq!(how(&bench), Value::Null);
    bench.pass(60);
    assert_eq!(how(&bench), "Promoted");
}

#[test]
fn time_in_which_people_are_waited_for_is_counted() {
    let mut bench = with_pause();
    bench.update(2);
    bench.pass(30);
    assert!(told(&bench)[2].is_string());
    let since = told(&bench)[2].clone();
    bench.pass(100);
    assert_eq!(told(&bench)[2], since, "it is told once");
    bench.patch(Some("status"), json!({"status": {"pauseConditions": null}}));
    bench.pass(60);
    assert_eq!(how(&bench), "Promoted");
    let [.., waits, waited] = told(&bench);
    assert_eq!(waits, Value::Null);
    let waited = waited.as_u64().unwrap();
    assert!((100..130).contains(&waited), "{waited}");
}

#[test]
fn every_end_has_its_name() {
    let mut bench = with_pause();
    bench.update(2);
    bench.pass(30);
    bench.patch(Some("status"), json!({"status": {"promoteFull": true}}));
    bench.pass(60);
    assert_eq!(how(&bench), "FastPromoted");
    bench.update(3);
    bench.pass(30);
    bench.patch(Some("status"), json!({"status": {"abort": true}}));
    bench.pass(60);
    assert_eq!(how(&bench), "Aborted");
    let began = bench.rollout("/status/duration/rolloutStartedAt");
    bench.patch(Some("status"), json!({"status": {"abort": false}}));
    bench.pass(30);
    assert_eq!(how(&bench), Value::Null, "a retry begins anew");
    assert_ne!(bench.rollout("/status/duration/rolloutStartedAt"), began);
    bench.update(2);
    bench.pass(60);
    assert_eq!(how(&bench), "FastRolledBack");
}

#[test]
fn an_update_that_another_follows_is_forgotten() {
    let mut bench = with_pause();
    bench.update(2);
    bench.pass(30);
    let began = bench.rollout("/status/duration/rolloutStartedAt");
    bench.update(3);
    bench.pass(30);
    assert_ne!(bench.rollout("/status/duration/rolloutStartedAt"), began);
    assert_eq!(told(&bench)[0], Value::Null);
    // An idle rollout does not begin anything when it is scaled.
    bench.patch(Some("status"), json!({"status": {"promoteFull": true}}));
    bench.pass(60);
    let before = bench.rollout("/status/duration");
    bench.patch(None, json!({"spec": {"replicas": 3}}));
    bench.pass(60);
    assert_eq!(bench.rollout("/status/duration"), before);
}
