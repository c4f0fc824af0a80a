//! Revisions that exist already are found, adopted and released, and names that somebody has are
//! left alone.

use crate::bench::{Bench, HASH, NAME, NAMESPACE, rollout, template};
use serde_json::{Value, json};
use sluice_wire::rollout::hash::{template_hash, template_hash_before_1_9};

/// A ReplicaSet with two pods, as some controller has left it.
fn left_over(hash: &str, template: Value, owner: Option<&str>) -> Value {
    let mut set = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {
            "name": format!("{NAME}-{hash}"), "namespace": NAMESPACE,
            "labels": {"app": NAME, HASH: hash},
            "annotations": {"rollout.argoproj.io/revision": "1"},
        },
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": NAME, HASH: hash}},
            "template": template,
        },
    });
    set["spec"]["template"]["metadata"]["labels"][HASH] = hash.into();
    if let Some(uid) = owner {
        set["metadata"]["ownerReferences"] =
            json!([{"kind": "Rollout", "name": NAME, "uid": uid, "controller": true}]);
    }
    set
}

fn names(bench: &Bench) -> Vec<String> {
    bench.sets().iter().map(|set| set["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

/// The first object that the simulated server creates has this UID, and it is the rollout.
const UID: &str = "uid-000001";

#[test]
fn a_revision_of_an_older_controller_is_known_by_its_label() {
    let old = template_hash_before_1_9(&template(1), None);
    assert_ne!(old, template_hash(&template(1), None));
    let mut bench = Bench::new(vec![rollout(json!({})), left_over(&old, template(1), Some(UID))]);
    bench.pass(60);
    assert_eq!(names(&bench), [format!("web-{old}")]);
    assert_eq!(bench.rollout("/status/stableRS"), old);
    assert_eq!(bench.rollout("/status/phase"), "Healthy");
}

#[test]
fn a_revision_with_another_name_is_known_by_its_template() {
    // The name comes from no hash function that is known here, and the server's defaults and
    // the label of the revision stand in the stored template.
    let mut bench = Bench::new(vec![rollout(json!({})), left_over("x7", template(1), Some(UID))]);
    bench.pass(60);
    assert_eq!(names(&bench), ["web-x7"]);
    assert_eq!(bench.rollout("/status/currentPodHash"), "x7");
    bench.update(2);
    bench.pass(60);
    let second = format!("web-{}", template_hash(&template(2), None));
    assert_eq!(names(&bench).len(), 2);
    assert!(names(&bench).contains(&second));
}

#[test]
fn a_template_that_differs_only_where_servers_have_defaults_is_another() {
    let mut other = template(1);
    other["spec"]["terminationGracePeriodSeconds"] = 5.into();
    let mut bench = Bench::new(vec![rollout(json!({})), left_over("x7", other, Some(UID))]);
    bench.pass(60);
    assert_eq!(bench.rollout("/status/currentPodHash"), template_hash(&template(1), None));
}

#[test]
fn an_orphan_that_is_selected_is_adopted() {
    let hash = template_hash(&template(1), None);
    let mut stranger = left_over("other", template(1), None);
    stranger["metadata"]["labels"]["app"] = "shop".into();
    let orphan = left_over(&hash, template(1), None);
    let mut bench = Bench::new(vec![rollout(json!({})), orphan, stranger]);
    bench.pass(60);
    assert_eq!(bench.set(1)["metadata"]["ownerReferences"][0]["uid"], UID);
    let stranger = bench.sets().into_iter().find(|set| set["metadata"]["labels"]["app"] == "shop");
    assert_eq!(stranger.unwrap()["metadata"]["ownerReferences"], Value::Null);
    assert_eq!(bench.rollout("/status/phase"), "Healthy");
    assert_eq!(bench.rollout("/status/collisionCount"), Value::Null);
}

#[test]
fn what_is_no_longer_selected_is_released() {
    let mut set = left_over("gone", template(1), Some(UID));
    set["metadata"]["labels"]["app"] = "shop".into();
    let mut bench = Bench::new(vec![rollout(json!({})), set]);
    bench.pass(60);
    let gone = bench.sets().into_iter().find(|set| set["metadata"]["name"] == "web-gone").unwrap();
    assert_eq!(gone["metadata"]["ownerReferences"], json!([]));
    assert_eq!(gone["spec"]["replicas"], 2, "its pods are nobody's business any more");
}

#[test]
fn a_name_that_somebody_has_is_left_alone() {
    let hash = template_hash(&template(1), None);
    // Neither the label nor the owner would show it to the controller's watch.
    let mut squatter = left_over(&hash, template(9), Some("somebody"));
    squatter["metadata"]["labels"] = json!({});
    let before = squatter["spec"].clone();
    let mut bench = Bench::new(vec![rollout(json!({})), squatter]);
    bench.pass(60);
    let second = template_hash(&template(1), Some(1));
    assert_eq!(bench.rollout("/status/collisionCount"), 1);
    assert_eq!(bench.rollout("/status/currentPodHash"), second);
    assert_eq!(bench.rollout("/status/stableRS"), second);
    assert_eq!(bench.rollout("/status/phase"), "Healthy");
    let names = names(&bench);
    assert_eq!(names.len(), 2, "{names:?}");
    let squatter = bench.set(9);
    assert_eq!(squatter["spec"]["replicas"], before["replicas"]);
}

#[test]
fn a_template_that_came_while_the_rollout_was_refused_is_not_forgotten() {
    let mut bench = Bench::new(vec![rollout(json!({}))]);
    bench.pass(60);
    bench.patch(None, json!({"spec": {"strategy": {"canary": {"stableService": "late"}}}}));
    bench.update(2);
    bench.pass(60);
    assert_eq!(bench.rollout("/status/phase"), "Degraded");
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "late", "namespace": NAMESPACE},
        "spec": {"selector": {"app": NAME}},
    });
    sluice_sim::shell::lock(&bench.cluster.world).create(service).unwrap();
    bench.pass(60);
    assert_eq!(bench.rollout("/status/phase"), "Healthy");
    assert_eq!(bench.rollout("/status/stableRS"), template_hash(&template(2), None));
}
