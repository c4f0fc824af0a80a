//! What is written onto revisions: metadata of a role, a rule about nodes, and notes.

use crate::bench::{Bench, NAMESPACE, rollout};
use serde_json::{Value, json};

const EPHEMERAL: &str = "rollout.argoproj.io/ephemeral-metadata";

fn role(set: &Value) -> &Value {
    &set["spec"]["template"]["metadata"]["labels"]["role"]
}

#[test]
fn pods_have_the_metadata_of_their_role() {
    let canary = json!({
        "steps": [{"setWeight": 50}, {"pause": {}}],
        "canaryMetadata": {"labels": {"role": "canary"}, "annotations": {"look": "here"}},
        "stableMetadata": {"labels": {"role": "stable"}},
    });
    let mut bench = Bench::new(vec![rollout(canary)]);
    bench.pass(60);
    assert_eq!(role(&bench.set(1)), "stable", "the first version is the stable one at once");
    bench.update(2);
    bench.pass(60);
    let (one, two) = (bench.set(1), bench.set(2));
    assert_eq!((role(&one), role(&two)), (&json!("stable"), &json!("canary")));
    assert_eq!(two["spec"]["template"]["metadata"]["annotations"]["look"], "here");
    let expected = r#"{"labels":{"role":"canary"},"annotations":{"look":"here"}}"#;
    assert_eq!(two["metadata"]["annotations"][EPHEMERAL], expected);
    bench.patch(Some("status"), json!({"status": {"promoteFull": true}}));
    bench.pass(60);
    let two = bench.set(2);
    assert_eq!(role(&two), "stable");
    assert_eq!(two["spec"]["template"]["metadata"]["annotations"], json!({}));
    assert_eq!(two["metadata"]["annotations"][EPHEMERAL], r#"{"labels":{"role":"stable"}}"#);
    assert_eq!(two["metadata"]["annotations"]["sluice.dev/pods-lag"], Value::Null);
    assert_eq!(bench.sets().len(), 2, "metadata makes no revision");
}

#[test]
fn metadata_that_hid_the_users_own_gives_it_back() {
    let canary = json!({"steps": [{"pause": {}}], "canaryMetadata": {"labels": {"app": "web", "team": "x"}}});
    let mut first = rollout(canary);
    first["spec"]["template"]["metadata"]["labels"]["team"] = "own".into();
    let mut bench = Bench::new(vec![first]);
    bench.pass(60);
    bench.update(2);
    bench.patch(None, json!({"spec": {"template": {"metadata": {"labels": {"team": "own"}}}}}));
    bench.pass(60);
    assert_eq!(bench.set(2)["spec"]["template"]["metadata"]["labels"]["team"], "x");
    bench.patch(Some("status"), json!({"status": {"promoteFull": true}}));
    bench.pass(60);
    let labels = bench.set(2)["spec"]["template"]["metadata"]["labels"].clone();
    assert_eq!((&labels["team"], &labels["app"]), (&json!("own"), &json!("web")));
}

#[test]
fn an_update_keeps_away_from_the_nodes_of_the_stable_revision() {
    let rule = json!({"preferredDuringSchedulingIgnoredDuringExecution": {"weight": 5}});
    let canary = json!({"steps": [{"setWeight": 50}, {"pause": {}}], "antiAffinity": rule});
    let mut bench = Bench::new(vec![rollout(canary)]);
    bench.pass(60);
    assert_eq!(bench.set(1)["spec"]["template"]["spec"]["affinity"], Value::Null);
    bench.update(2);
    bench.pass(60);
    let stable = bench.rollout("/status/stableRS");
    let expected = json!({"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{
        "weight": 5,
        "podAffinityTerm": {
            "labelSelector": {"matchExpressions": [
                {"key": "rollouts-pod-template-hash", "operator": "In", "values": [stable]},
            ]},
            "namespaces": [NAMESPACE],
            "topologyKey": "kubernetes.io/hostname",
        },
    }]}});
    assert_eq!(bench.set(2)["spec"]["template"]["spec"]["affinity"], expected);
    bench.patch(Some("status"), json!({"status": {"promoteFull": true}}));
    bench.pass(60);
    assert_eq!(bench.set(2)["spec"]["template"]["spec"]["affinity"], Value::Null);
    assert_eq!(bench.sets().len(), 2, "the rule makes no revision");
}

#[test]
fn notes_of_the_rollout_are_taken_over_and_its_own_are_not() {
    let mut first = rollout(json!({}));
    first["metadata"]["annotations"] = json!({
        "team": "a", "kubectl.kubernetes.io/last-applied-configuration": "{}",
    });
    let mut bench = Bench::new(vec![first]);
    bench.pass(60);
    let annotations = bench.set(1)["metadata"]["annotations"].clone();
    let expected = json!({
        "team": "a",
        "rollout.argoproj.io/revision": "1",
        "rollout.argoproj.io/desired-replicas": "2",
    });
    assert_eq!(annotations, expected);
    bench.patch(
        None,
        json!({
            "metadata": {"annotations": {"team": "b", "more": "c"}},
            "spec": {"minReadySeconds": 3},
        }),
    );
    bench.pass(60);
    let set = bench.set(1);
    let annotations = &set["metadata"]["annotations"];
    assert_eq!((&annotations["team"], &annotations["more"]), (&json!("b"), &json!("c")));
    assert_eq!(annotations["rollout.argoproj.io/revision-history"], Value::Null);
    assert_eq!(set["spec"]["minReadySeconds"], 3);
}

#[test]
fn a_revision_that_comes_back_says_which_numbers_it_had() {
    let mut bench = Bench::new(vec![rollout(json!({}))]);
    bench.pass(60);
    for version in [2, 1, 2] {
        bench.update(version);
        bench.pass(60);
    }
    let numbers = |set: Value| {
        let annotations = &set["metadata"]["annotations"];
        ["revision", "revision-history"]
            .map(|key| annotations[format!("rollout.argoproj.io/{key}")].clone())
    };
    assert_eq!(numbers(bench.set(1)), [json!("3"), json!("1")]);
    assert_eq!(numbers(bench.set(2)), [json!("4"), json!("2")]);
}
