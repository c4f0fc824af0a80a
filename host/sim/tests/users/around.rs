//! What stands around a rollout: a workload that lends its template, restarts, and what is left
//! when the rollout goes.

use crate::bench::{Bench, NAME, NAMESPACE, rollout, template};
use serde_json::{Value, json};
use sluice_sim::shell::lock;

const MANAGED_BY: &str = "argo-rollouts.argoproj.io/managed-by-rollouts";

fn deployment(replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "old", "namespace": NAMESPACE},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": NAME}},
            "template": template(1),
        },
    })
}

fn borrowing(scale_down: &str) -> Value {
    let mut rollout = rollout(json!({"steps": [{"setWeight": 50}, {"pause": {}}]}));
    let spec = rollout["spec"].as_object_mut().unwrap();
    spec.remove("template");
    spec.remove("selector");
    let reference = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "old", "scaleDown": scale_down});
    spec.insert("workloadRef".to_owned(), reference);
    rollout
}

impl Bench {
    fn object(&self, kind: &str, name: &str) -> Value {
        let world = lock(&self.cluster.world);
        world.get(kind, NAMESPACE, name).map(|object| (**object).clone()).unwrap_or_default()
    }

    fn merge(&self, kind: &str, name: &str, patch: Value) {
        lock(&self.cluster.world).merge(kind, NAMESPACE, name, None, &patch).unwrap();
    }

    fn delete_rollout(&self) {
        lock(&self.cluster.world).delete("Rollout", NAMESPACE, NAME, &Value::Null).unwrap();
    }
}

#[test]
fn a_deployment_is_replaced_and_its_changes_are_released() {
    let mut bench = Bench::new(vec![deployment(2), borrowing("onsuccess")]);
    bench.pass(60);
    assert_eq!(bench.rollout("/status/phase"), "Healthy");
    assert_eq!(bench.object("Deployment", "old")["spec"]["replicas"], 0);
    assert_eq!(bench.set(1)["spec"]["replicas"], 2);
    bench.merge("Deployment", "old", json!({"spec": {"template": template(2)}}));
    bench.pass(60);
    assert_eq!(bench.rollout("/status/phase"), "Paused");
    assert_eq!(bench.set(2)["spec"]["replicas"], 1);
    let generation = bench.object("Deployment", "old")["metadata"]["generation"].to_string();
    let annotation = "/metadata/annotations/rollout.argoproj.io~1workload-generation";
    assert_eq!(bench.rollout(annotation), *generation);
    assert_eq!(bench.rollout("/status/workloadObservedGeneration"), *generation);
}

#[test]
fn a_deployment_gets_its_pods_back_when_the_rollout_goes_or_lets_it_be() {
    let mut bench = Bench::new(vec![deployment(5), borrowing("progressively")]);
    bench.pass(60);
    assert_eq!(bench.object("Deployment", "old")["spec"]["replicas"], 0);
    bench.patch(None, json!({"spec": {"workloadRef": {"scaleDown": "never"}}}));
    bench.pass(10);
    let given_back = bench.object("Deployment", "old");
    assert_eq!(given_back["spec"]["replicas"], 5);
    let notes = given_back.to_string();
    assert!(!notes.contains("sluice.dev/"), "the notes are taken off: {notes}");

    let mut bench = Bench::new(vec![deployment(5), borrowing("onsuccess")]);
    bench.pass(60);
    assert_eq!(bench.object("Deployment", "old")["spec"]["replicas"], 0);
    bench.delete_rollout();
    bench.pass(10);
    assert_eq!(bench.object("Deployment", "old")["spec"]["replicas"], 5);
}

#[test]
fn a_workload_that_is_missing_is_told_and_waited_for() {
    let mut bench = Bench::new(vec![borrowing("never")]);
    bench.pass(10);
    let message = bench.rollout("/status/message");
    let message = message.as_str().unwrap();
    assert!(message.contains("deployments.apps \"old\" not found"), "{message}");
    lock(&bench.cluster.world).create(deployment(2)).unwrap();
    bench.pass(60);
    assert_eq!(bench.rollout("/status/phase"), "Healthy");
    assert_eq!(bench.object("Deployment", "old")["spec"]["replicas"], 2);
}

#[test]
fn what_cannot_lend_is_refused() {
    let table = [
        (
            json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "x"}),
            "workload of type apps/StatefulSet is not supported",
        ),
        (
            json!({"apiVersion": "apps/v1", "kind": "Deployment"}),
            "spec.workloadRef.name: Required value",
        ),
        (
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "old", "scaleDown": "now"}),
            "spec.workloadRef.scaleDown: Unsupported value",
        ),
    ];
    for (reference, said) in table {
        let mut rollout = borrowing("never");
        rollout["spec"]["workloadRef"] = reference;
        let mut bench = Bench::new(vec![deployment(2), rollout]);
        bench.pass(10);
        let message = bench.rollout("/status/message");
        assert!(message.as_str().unwrap().contains(said), "{message}");
    }
    let mut both = borrowing("never");
    both["spec"]["template"] = template(1);
    let mut bench = Bench::new(vec![deployment(2), both]);
    bench.pass(10);
    let message = bench.rollout("/status/message");
    let said = "template must be empty for workload reference rollout";
    assert!(message.as_str().unwrap().contains(said), "{message}");
}

#[test]
fn a_pod_template_lends_without_a_selector_of_its_own() {
    let lender = json!({
        "apiVersion": "v1", "kind": "PodTemplate",
        "metadata": {"name": "old", "namespace": NAMESPACE},
        "template": template(1),
    });
    let mut rollout = borrowing("onsuccess");
    rollout["spec"]["workloadRef"] =
        json!({"apiVersion": "v1", "kind": "PodTemplate", "name": "old"});
    let mut bench = Bench::new(vec![lender, rollout]);
    bench.pass(60);
    assert_eq!(bench.rollout("/status/phase"), "Healthy");
}

fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"selector": {"app": NAME}},
    })
}

#[test]
fn a_service_that_is_not_named_any_more_selects_every_pod_again() {
    let canary = json!({"stableService": "live", "canaryService": "next"});
    let mut bench =
        Bench::new(vec![service("live"), service("next"), service("later"), rollout(canary)]);
    bench.pass(60);
    let plain = json!({"app": NAME});
    assert_ne!(bench.object("Service", "live")["spec"]["selector"], plain);
    bench.patch(None, json!({"spec": {"strategy": {"canary": {"canaryService": "later"}}}}));
    bench.pass(10);
    let let_go = bench.object("Service", "next");
    assert_eq!(let_go["spec"]["selector"], plain);
    assert!(let_go["metadata"]["annotations"].get(MANAGED_BY).is_none(), "{let_go}");
    assert_ne!(bench.object("Service", "live")["spec"]["selector"], plain);
    assert_ne!(bench.object("Service", "later")["spec"]["selector"], plain);
    bench.delete_rollout();
    bench.pass(10);
    for name in ["live", "later"] {
        assert_eq!(bench.object("Service", name)["spec"]["selector"], plain, "{name}");
    }
}

#[test]
fn a_restart_replaces_every_pod_and_says_so() {
    let mut bench = Bench::new(vec![rollout(json!({"maxUnavailable": 0}))]);
    bench.pass(60);
    let made = |bench: &Bench| {
        let world = lock(&bench.cluster.world);
        let pods = world.list("ReplicaSet").flat_map(|(set, _)| world.pods.of(set));
        pods.map(|pod| pod.born).collect::<Vec<_>>()
    };
    let before = made(&bench);
    let at = "2023-11-14T22:14:30Z";
    bench.patch(None, json!({"spec": {"restartAt": at}}));
    bench.pass(12);
    assert_eq!(bench.rollout("/status/message"), "rollout is restarting");
    bench.pass(60);
    assert_eq!(bench.rollout("/status/restartedAt"), at);
    assert_eq!(bench.rollout("/status/phase"), "Healthy");
    let after = made(&bench);
    assert_eq!(after.len(), 2);
    assert!(after.iter().all(|born| !before.contains(born)), "{before:?} {after:?}");
    bench.patch(None, json!({"spec": {"restartAt": "soon"}}));
    bench.pass(10);
    let message = bench.rollout("/status/message");
    assert!(message.as_str().unwrap().contains("spec.restartAt: Invalid value"), "{message}");
}
