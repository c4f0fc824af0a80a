//! Going back: to the stable revision at once, and to one that ran not long ago without steps.

use crate::bench::{Bench, HASH, rollout};
use serde_json::{Value, json};

/// A rollout that went through three versions, with a pause step that only a user ends.
fn at_third_version(window: Option<u32>) -> Bench {
    let mut rollout = rollout(json!({"steps": [{"setWeight": 50}, {"pause": {}}]}));
    if let Some(revisions) = window {
        rollout["spec"]["rollbackWindow"] = json!({"revisions": revisions});
    }
    let mut bench = Bench::new(vec![rollout]);
    bench.pass(60);
    for version in [2, 3] {
        bench.update(version);
        bench.pass(60);
        assert_eq!(bench.rollout("/status/phase"), "Paused");
        bench.patch(Some("status"), json!({"status": {"promoteFull": true}}));
        bench.pass(60);
        assert_eq!(bench.rollout("/status/phase"), "Healthy", "version {version}");
    }
    bench.events();
    bench
}

fn is_stable(bench: &Bench, version: u32) -> bool {
    bench.set(version)["metadata"]["labels"][HASH] == bench.rollout("/status/stableRS")
}

#[test]
fn a_revision_within_the_window_needs_no_steps() {
    let mut bench = at_third_version(Some(1));
    bench.update(2);
    bench.pass(60);
    assert_eq!(bench.rollout("/status/phase"), "Healthy");
    assert!(is_stable(&bench, 2));
    assert_eq!(bench.rollout("/status/currentStepIndex"), 2);
    let events = bench.events();
    let completed = events.iter().find(|(reason, _)| *reason == "RolloutCompleted").unwrap();
    assert!(completed.1.ends_with("Rollback within window"), "{}", completed.1);
    assert!(events.iter().all(|(reason, _)| *reason != "RolloutStepCompleted"), "{events:?}");
}

#[test]
fn a_revision_before_the_window_takes_its_steps() {
    let mut bench = at_third_version(Some(1));
    bench.update(1);
    bench.pass(60);
    assert_eq!(bench.rollout("/status/phase"), "Paused");
    let mut bench = at_third_version(Some(2));
    bench.update(1);
    bench.pass(60);
    assert_eq!(bench.rollout("/status/phase"), "Healthy");
    assert!(is_stable(&bench, 1));
}

#[test]
fn without_a_window_every_way_back_takes_its_steps() {
    let mut bench = at_third_version(None);
    bench.update(2);
    bench.pass(60);
    assert_eq!(bench.rollout("/status/phase"), "Paused");
}

#[test]
fn going_back_to_the_stable_revision_is_never_held_up() {
    let mut bench = at_third_version(None);
    bench.update(4);
    bench.pass(60);
    assert_eq!(bench.rollout("/status/phase"), "Paused");
    bench.events();
    bench.update(3);
    bench.pass(60);
    assert_eq!(bench.rollout("/status/phase"), "Healthy");
    assert_eq!(bench.rollout("/status/pauseConditions"), Value::Null);
    let events = bench.events();
    let skipped = events.iter().find(|(reason, _)| *reason == "SkipSteps").unwrap();
    assert_eq!(skipped.1, "Rollback to stable ReplicaSets");
}

#[test]
fn a_revision_that_still_has_pods_says_that_steps_are_skipped() {
    let mut bench = at_third_version(Some(1));
    bench.update(2);
    bench.pass(2);
    bench.update(3);
    bench.pass(60);
    assert!(is_stable(&bench, 3));
    // Version 2 is on its way down or gone, and version 3 was the stable one all along.
    let events = bench.events();
    assert!(
        events
            .iter()
            .any(|(reason, words)| *reason == "SkipSteps"
                && words == "Rollback to stable ReplicaSets"),
        "{events:?}"
    );
}
