//! Experiments of a step that run: their pods, their analysis, their end. What is told of them is
//! in `golden/experiments.txt`; `UPDATE=1 cargo test -p sluice-sim --test experiments` writes it.

#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use sluice_port::Measured;
use sluice_sim::cluster::at_once;
use sluice_sim::plane::Plane;
use sluice_sim::release::{Outcomes, simulate};
use sluice_sim::scenario::{MetricsServer, Scenario};

fn rollout(experiment: &Value) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "shop"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "shop"}},
            "strategy": {"canary": {"steps": [{"experiment": experiment}, {"setWeight": 50}]}},
            "template": {
                "metadata": {"labels": {"app": "shop"}},
                "spec": {"containers": [{"name": "c", "image": "shop:1"}]},
            },
        },
    })
}

fn judge() -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
        "metadata": {"name": "errors"},
        "spec": {"metrics": [{
            "name": "errors", "interval": "60s", "successCondition": "result[0] < 1",
            "provider": {"prometheus": {"query": "errors"}},
        }]},
    })
}

/// A release of `shop:2`, of which every measurement brings `value`.
fn play(experiment: &Value, value: f64, scenario: Value) -> Outcomes {
    let scenario: Scenario = serde_json::from_value(scenario).unwrap();
    assert_eq!(scenario.check(), []);
    let server = MetricsServer::new(&scenario);
    let components = Arc::new(Plane::default());
    components.set_answer(Ok(Measured::Numbers(vec![value])));
    let objects = vec![rollout(experiment), judge()];
    at_once(simulate(objects, &scenario, components, server)).unwrap()
}

fn expecting(phase: &str, image: &str) -> Value {
    json!({
        "acts": [{"setImage": "shop:2"}],
        "expect": {"phase": phase, "stableImage": image},
    })
}

fn fine(outcomes: &Outcomes) -> String {
    let rows = outcomes.timeline.render(false);
    assert!(outcomes.is_fine(), "{:?} {:?}\n{rows}", outcomes.unmet, outcomes.violations);
    rows
}

#[test]
fn an_experiment_runs_for_its_duration_unless_its_analysis_ends_it() {
    let experiment = json!({
        "duration": "5m",
        "templates": [
            {"name": "base", "specRef": "stable"},
            {"name": "new", "specRef": "canary", "replicas": 2},
        ],
        "analyses": [{"name": "check", "templateName": "errors"}],
    });
    let good = play(&experiment, 0.0, expecting("Healthy", "shop:2"));
    assert!(good.took_ms >= 300_000, "{}", good.took_ms);
    let bad = play(&experiment, 5.0, expecting("Degraded", "shop:1"));
    assert!(bad.took_ms < 300_000, "{}", bad.took_ms);
    let told = format!("good\n{}\nbad\n{}", fine(&good), fine(&bad));
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/experiments.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(golden.parent().unwrap()).unwrap();
        std::fs::write(&golden, &told).unwrap();
    }
    assert_eq!(told, std::fs::read_to_string(golden).unwrap());
}

#[test]
fn pods_that_never_come_fail_the_experiment_and_the_release() {
    let experiment = json!({"duration": "5m", "templates": [{"name": "new", "specRef": "canary"}]});
    let mut scenario = expecting("Degraded", "shop:1");
    scenario["versions"] = json!([{"image": "shop:2", "neverReady": true}]);
    scenario["expect"]["message"] = "exceeded its progressDeadlineSeconds (600)".into();
    fine(&play(&experiment, 0.0, scenario));
}

#[test]
fn a_controller_that_dies_finds_the_experiment_again() {
    let experiment = json!({"duration": "5m", "templates": [{"name": "new", "specRef": "canary"}]});
    let mut scenario = expecting("Healthy", "shop:2");
    for after in ["2s", "10s", "4m"] {
        let acts = scenario["acts"].as_array_mut().unwrap();
        acts.push(json!({"after": after, "restartController": true}));
    }
    fine(&play(&experiment, 0.0, scenario));
}
