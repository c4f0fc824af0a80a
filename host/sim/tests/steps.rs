//! Scenarios that say how a step plugin behaves.

#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

use std::sync::Arc;

use serde_json::{Value, json};
use sluice_sim::cluster::at_once;
use sluice_sim::plane::Plane;
use sluice_sim::release::{Outcomes, simulate};
use sluice_sim::scenario::{MetricsServer, Scenario};

fn play(scenario: Value) -> Outcomes {
    play_steps(
        json!([
            {"plugin": {"name": "migrate"}},
            {"setWeight": 50},
            {"plugin": {"name": "approval", "config": {"channel": "releases"}}},
        ]),
        scenario,
    )
}

fn play_steps(steps: Value, scenario: Value) -> Outcomes {
    let rollout = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "shop"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "shop"}},
            "strategy": {"canary": {"steps": steps}},
            "template": {
                "metadata": {"labels": {"app": "shop"}},
                "spec": {"containers": [{"name": "c", "image": "shop:1"}]},
            },
        },
    });
    let scenario: Scenario = serde_json::from_value(scenario).unwrap();
    assert_eq!(scenario.check(), []);
    let server = MetricsServer::new(&scenario);
    // Steps that no scenario names are done at once.
    let components = Arc::new(Plane::default());
    at_once(simulate(vec![rollout], &scenario, components, server)).unwrap()
}

/// The rows about steps.
fn steps(outcomes: &Outcomes) -> Vec<&str> {
    let rows = outcomes.timeline.rows.iter().map(|row| row.text.as_str());
    rows.filter(|text| text.contains("step ") && text.contains("(steps[")).collect()
}

#[test]
fn a_step_takes_its_time_and_is_waited_for_by_name() {
    let outcomes = play(json!({
        "steps": [{"plugin": "approval", "after": "5m", "again": "30s", "trapsEvery": 4}],
        "acts": [{"setImage": "shop:2"}],
        "expect": {"phase": "Healthy", "stableImage": "shop:2"},
    }));
    let rows = outcomes.timeline.render(false);
    assert!(outcomes.is_fine(), "{:?} {:?}\n{rows}", outcomes.unmet, outcomes.violations);
    assert!(outcomes.took_ms >= 300_000, "{rows}");
    assert!(rows.contains("waits for step plugin approval to finish steps[2]"), "{rows}");
    let told = steps(&outcomes);
    assert_eq!(told.first(), Some(&"step migrate (steps[0]): done"), "{rows}");
    assert!(told.contains(&"step approval (steps[2]): error: the component trapped: unreachable"));
    assert_eq!(told.last(), Some(&"step approval (steps[2]): done"), "{rows}");
}

#[test]
fn a_step_that_says_no_takes_the_release_back_and_the_step_before_it_undone() {
    let outcomes = play(json!({
        "steps": [{"plugin": "approval", "ends": "failed", "after": "1m"}],
        "acts": [{"setImage": "shop:2"}],
        "expect": {"phase": "Degraded", "stableImage": "shop:1",
            "message": "Step Plugin 3 (approval) failed: the step says no"},
    }));
    let rows = outcomes.timeline.render(false);
    assert!(outcomes.is_fine(), "{:?} {:?}\n{rows}", outcomes.unmet, outcomes.violations);
    assert_eq!(steps(&outcomes).last(), Some(&"undo step migrate (steps[0]): done"), "{rows}");
}

#[test]
fn a_step_that_hangs_is_stopped_by_who_skips_it() {
    let outcomes = play(json!({
        "steps": [{"plugin": "approval", "ends": "never", "again": "1m"}],
        "acts": [{"setImage": "shop:2"}, {"after": "1h", "command": "promoteFull"}],
        "expect": {"phase": "Healthy", "stableImage": "shop:2"},
    }));
    let rows = outcomes.timeline.render(false);
    assert!(outcomes.is_fine(), "{:?} {:?}\n{rows}", outcomes.unmet, outcomes.violations);
    assert_eq!(steps(&outcomes).last(), Some(&"stop step approval (steps[2]): done"), "{rows}");
}

#[test]
fn an_experiment_is_waited_for_and_its_failure_takes_the_release_back() {
    let templates = json!([{"name": "base", "specRef": "stable"}]);
    let steps = json!([{"experiment": {"templates": templates}}]);
    let good = play_steps(
        steps.clone(),
        json!({
            "experiments": {"after": "5m"},
            "acts": [{"setImage": "shop:2"}],
            "expect": {"phase": "Healthy", "stableImage": "shop:2"},
        }),
    );
    let rows = good.timeline.render(false);
    assert!(good.is_fine() && good.took_ms >= 300_000, "{:?}\n{rows}", good.unmet);
    assert!(rows.contains("waits for experiment shop-"), "{rows}");
    let bad = play_steps(
        steps,
        json!({
            "experiments": {"ends": "failed"},
            "acts": [{"setImage": "shop:2"}],
            "expect": {"phase": "Degraded", "stableImage": "shop:1",
                "message": "Experiment analysis phase is error/failed: it was played"},
        }),
    );
    assert!(bad.is_fine(), "{:?}\n{}", bad.unmet, bad.timeline.render(false));
}
