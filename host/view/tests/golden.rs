//! Cards of whole clusters, compared with the text that a person sees.
//!
//! `UPDATE=1 cargo test -p sluice-view --test golden` writes what is rendered now; the change of
//! the golden files is then what there is to review.
#![expect(clippy::expect_used, reason = "a test that cannot read its files has failed")]

use std::path::PathBuf;
use std::{env, fs};

use jiff::Timestamp;
use serde_json::{Value, json};
use sluice_view::{
    Card, Objects, Style, card, experiment_card, experiment_row, render_experiment,
    render_experiments, render_list, render_tree,
};

/// The objects of a fixture, by kind.
struct Cluster(Vec<Value>);

impl Cluster {
    fn load(name: &str) -> Self {
        let path = here().join("fixtures").join(name);
        let text = fs::read_to_string(path).expect("a fixture is readable");
        Self(serde_saphyr::from_multiple(&text).expect("a fixture is YAML"))
    }

    fn of_kind(&self, kind: &str) -> Vec<Value> {
        self.0.iter().filter(|object| object["kind"] == kind).cloned().collect()
    }

    /// The card at noon of the first of March.
    fn card(&self) -> Card {
        let rollouts = self.of_kind("Rollout");
        let objects = Objects {
            rollout: &rollouts[0],
            replica_sets: &self.of_kind("ReplicaSet"),
            pods: &self.of_kind("Pod"),
            analysis_runs: &self.of_kind("AnalysisRun"),
            experiments: &self.of_kind("Experiment"),
        };
        card(&objects, noon())
    }
}

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn noon() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().expect("a timestamp")
}

#[track_caller]
fn assert_golden(name: &str, seen: &str) {
    let path = here().join("golden").join(name);
    if env::var_os("UPDATE").is_some() {
        fs::write(&path, seen).expect("a golden file is writable");
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(seen == expected, "{name} differs from what is rendered now:\n{seen}");
}

#[test]
fn a_paused_canary_shows_its_pods_runs_and_experiment() {
    assert_golden(
        "canary.txt",
        &render_tree(&Cluster::load("canary.yaml").card(), Style::default()),
    );
}

#[test]
fn a_switched_blue_green_shows_the_delay_of_the_former_replica_set() {
    let seen = render_tree(&Cluster::load("bluegreen.yaml").card(), Style::default());
    assert_golden("bluegreen.txt", &seen);
}

#[test]
fn a_card_is_json_in_camel_case() {
    let card = Cluster::load("bluegreen.yaml").card();
    let seen = serde_json::to_string_pretty(&card).expect("a card is JSON");
    assert_golden("bluegreen.json", &(seen + "\n"));
}

#[test]
fn rollouts_are_listed_a_line_each() {
    let cards = [Cluster::load("canary.yaml").card(), Cluster::load("bluegreen.yaml").card()];
    let seen = format!("{}\n{}", render_list(&cards, false), render_list(&cards, true));
    assert_golden("list.txt", &seen);
}

#[test]
fn experiments_are_listed_with_the_time_that_is_left() {
    let experiment = |name: &str, phase: Value, begun: Value| {
        json!({
            "metadata": {"name": name, "namespace": "market",
                "creationTimestamp": "2026-03-01T11:00:00Z"},
            "spec": {"duration": "1h30m"},
            "status": {"phase": phase, "availableAt": begun},
        })
    };
    let mut endless = experiment("judged", json!("Running"), json!("2026-03-01T11:10:00Z"));
    endless["spec"] = json!({});
    let rows: Vec<_> = [
        experiment("running", json!("Running"), json!("2026-03-01T11:10:00Z")),
        experiment("new", Value::Null, Value::Null),
        experiment("over", json!("Successful"), json!("2026-03-01T09:00:00Z")),
        endless,
    ]
    .iter()
    .map(|object| experiment_row(object, noon()))
    .collect();
    let seen =
        format!("{}\n{}", render_experiments(&rows, false), render_experiments(&rows[..1], true));
    assert_golden("experiments.txt", &seen);
}

#[test]
fn an_experiment_is_shown_with_its_pods_and_runs() {
    let cluster = Cluster::load("canary.yaml");
    let mut found = cluster.of_kind("Experiment").remove(0);
    found["metadata"]["namespace"] = "market".into();
    found["spec"] = json!({"duration": "1h"});
    found["status"]["availableAt"] = "2026-03-01T11:53:00Z".into();
    let rollout = Value::Null;
    let objects = Objects {
        replica_sets: &cluster.of_kind("ReplicaSet"),
        pods: &cluster.of_kind("Pod"),
        analysis_runs: &cluster.of_kind("AnalysisRun"),
        ..Objects::alone(&rollout)
    };
    let card = experiment_card(&found, &objects, noon());
    let json = serde_json::to_string_pretty(&card).expect("a card is JSON");
    assert_golden(
        "experiment.txt",
        &format!("{}\n{json}\n", render_experiment(&card, Style::default())),
    );
}

#[test]
fn color_touches_the_marks_alone() {
    let card = Cluster::load("canary.yaml").card();
    let plain = render_tree(&card, Style::default());
    let colored = render_tree(&card, Style { color: true });
    assert!(colored.contains("\u{1b}[31m✖\u{1b}[0m CrashLoopBackOff"), "{colored}");
    let mut stripped = colored;
    for code in ["0", "31", "32", "33", "36", "90"] {
        stripped = stripped.replace(&format!("\u{1b}[{code}m"), "");
    }
    assert_eq!(stripped, plain);
}

#[test]
fn an_empty_object_still_gives_a_card() {
    let text = render_tree(&card(&Objects::alone(&json!({})), noon()), Style::default());
    assert!(text.contains("waiting for a controller to report a status"), "{text}");
}

#[test]
fn without_a_router_the_weight_is_the_share_of_available_pods() {
    let mut cluster = Cluster::load("canary.yaml");
    for object in &mut cluster.0 {
        match object["kind"].as_str() {
            Some("Rollout") => object["spec"]["strategy"]["canary"]["trafficRouting"] = Value::Null,
            Some("ReplicaSet") => object["status"]["availableReplicas"] = json!(2),
            _ => {}
        }
    }
    assert_eq!(cluster.card().actual_weight, Some(40));
}

#[test]
fn the_asked_weight_follows_the_steps() {
    let weight_at = |index: i64, abort: bool| {
        let rollout = json!({
            "spec": {"strategy": {"canary": {
                "steps": [{"pause": {}}, {"setWeight": 20}, {"pause": {}}],
                "trafficRouting": {"maxTrafficWeight": 1000},
            }}},
            "status": {"currentStepIndex": index, "abort": abort},
        });
        card(&Objects::alone(&rollout), noon()).set_weight
    };
    let seen: Vec<_> = (0..4).map(|index| weight_at(index, false)).collect();
    assert_eq!(seen, [Some(0), Some(20), Some(20), Some(1000)]);
    assert_eq!(weight_at(2, true), Some(0));
}
