//! Experiments at the door: the object that a step makes, and what is read of one.

#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

use serde_json::{Value, json};
use sluice_core::Timestamp;
use sluice_core::traffic::Traffic;
use sluice_wire::Store;
use sluice_wire::rollout::experiment::New;
use sluice_wire::rollout::{Effect, Turn, turn};
use sluice_wire::store::Watched;

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const HASH: &str = "rollouts-pod-template-hash";

fn owner() -> Value {
    json!([{"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "web", "uid": "u",
        "controller": true, "blockOwnerDeletion": true}])
}

fn set(hash: &str, number: &str) -> Value {
    let labels = json!({"app": "web", HASH: hash});
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": format!("web-{hash}"), "namespace": "shop", "uid": hash,
            "generation": 1, "resourceVersion": "1", "labels": labels,
            "annotations": {"rollout.argoproj.io/revision": number,
                "rollout.argoproj.io/desired-replicas": "1"},
            "ownerReferences": owner()},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "c", "image": format!("web:{number}")}]}}},
        "status": {"replicas": 1, "readyReplicas": 1, "availableReplicas": 1,
            "observedGeneration": 1},
    })
}

/// A release of `new` at a step with this experiment.
fn world(experiment: &Value, status: Value) -> Store {
    let steps = json!([{"experiment": experiment}]);
    let mut store = Store::new();
    store.apply(
        Watched::Rollout,
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": {"name": "web", "namespace": "shop", "uid": "u", "generation": 1,
                "resourceVersion": "1", "labels": {"team": "a"},
                "annotations": {"rollout.argoproj.io/revision": "2"}},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "c", "image": "web:2"}]}},
                "strategy": {"canary": {"steps": steps}}},
            "status": {"observedGeneration": "1", "currentPodHash": "new", "stableRS": "old",
                "currentStepHash": sluice_wire::rollout::hash::steps_hash(Some(&steps)),
                "currentStepIndex": 0, "canary": status},
        }),
    );
    store.apply(Watched::ReplicaSet, set("old", "1"));
    store.apply(Watched::ReplicaSet, set("new", "2"));
    store
}

fn take(store: &Store) -> Turn {
    turn(&store.collect("shop", "web", "", Traffic::unknown(NOW), NOW).unwrap())
}

fn made(turn: &Turn) -> Option<New> {
    turn.effects.iter().find_map(|(_, effect)| match effect {
        Effect::Experiment(new) => Some(new.clone()),
        Effect::Write(_)
        | Effect::Pods(_)
        | Effect::Call(_)
        | Effect::Look(_)
        | Effect::Note(_)
        | Effect::Release(_)
        | Effect::Evict { .. }
        | Effect::Route { .. } => None,
    })
}

fn recorded(turn: &Turn) -> Value {
    let record = turn.record.as_ref().unwrap();
    record.body["status"]["canary"]["currentExperiment"].clone()
}

fn two_templates() -> Value {
    json!({
        "templates": [
            {"name": "base", "specRef": "stable", "replicas": 2,
                "metadata": {"labels": {"role": "base"}, "annotations": {"a": "1"}}},
            {"name": "new", "specRef": "canary", "service": {"name": "try"},
                "selector": {"matchLabels": {"own": "1"}}},
        ],
        "duration": "5m",
        "scaleDownDelaySeconds": 7,
        "analyses": [{"name": "compare", "templateName": "rates", "requiredForCompletion": true,
            "args": [{"name": "stable", "valueFrom": {"podTemplateHashValue": "Stable"}},
                {"name": "fixed", "value": "x"}]}],
    })
}

#[test]
fn an_experiment_takes_the_pods_of_its_replica_sets() {
    let turn = take(&world(&two_templates(), json!({})));
    assert_eq!(turn.refusals, []);
    assert_eq!(recorded(&turn), "web-new-2-0");
    let new = made(&turn).unwrap();
    assert_eq!(new.sets().into_iter().collect::<Vec<_>>(), ["web-new", "web-old"]);
    assert!(new.fill(&[set("new", "2")]).is_err(), "a ReplicaSet that is gone is no template");
    let write = new.fill(&[set("old", "1"), set("new", "2")]).unwrap();
    let body = &write.body;
    assert_eq!(
        body["metadata"],
        json!({"name": "web-new-2-0", "namespace": "shop",
            "labels": {"team": "a", HASH: "new", "step-index": "0"},
            "annotations": {"rollout.argoproj.io/revision": "2"}, "ownerReferences": owner()})
    );
    let spec = &body["spec"];
    assert_eq!(
        (&spec["duration"], &spec["progressDeadlineSeconds"], &spec["scaleDownDelaySeconds"]),
        (&json!("5m"), &json!(600), &json!(7))
    );
    assert_eq!(
        spec["analyses"],
        json!([{"name": "compare", "templateName": "rates", "requiredForCompletion": true,
            "args": [{"name": "stable", "value": "old"}, {"name": "fixed", "value": "x"}]}])
    );
    let [base, canary] = [&spec["templates"][0], &spec["templates"][1]];
    let labels = json!({"app": "web", HASH: "old", "role": "base"});
    assert_eq!(base["template"]["metadata"], json!({"labels": labels, "annotations": {"a": "1"}}));
    assert_eq!(base["selector"], json!({"matchLabels": labels}));
    assert_eq!(base["template"]["spec"]["containers"][0]["image"], "web:1");
    assert_eq!(base["replicas"], 2);
    assert_eq!(canary["template"]["spec"]["containers"][0]["image"], "web:2");
    assert_eq!(canary["selector"], json!({"matchLabels": {"own": "1"}}));
    assert_eq!(canary["service"], json!({"name": "try"}));
}

#[test]
fn the_end_of_an_experiment_is_read_from_its_status() {
    let status = json!({"currentExperiment": "web-new-2-0"});
    let mut store = world(&two_templates(), status);
    let mut object = made(&take(&store)).unwrap().fill(&[set("old", "1"), set("new", "2")]);
    let object = &mut object.as_mut().unwrap().body;
    object["status"] = json!({"phase": "Running"});
    store.apply(Watched::Experiment, object.clone());
    let turn = take(&store);
    assert_eq!(made(&turn), None);
    assert_eq!(turn.waiting.unwrap().to_string(), "experiment web-new-2-0 to end");
    object["status"] = json!({"phase": "Inconclusive"});
    store.apply(Watched::Experiment, object.clone());
    let record = take(&store).record.unwrap().body;
    assert_eq!(record["status"]["pauseConditions"][0]["reason"], "InconclusiveExperiment");
    assert_eq!(record["status"]["message"], "InconclusiveExperiment");
    object["status"] = json!({"phase": "Successful"});
    store.apply(Watched::Experiment, object.clone());
    let turn = take(&store);
    assert_eq!(recorded(&turn), Value::Null, "what succeeded is not the current one any more");
    assert_eq!(turn.record.unwrap().body["status"]["currentStepIndex"], 1);
}

#[test]
fn a_name_that_is_taken_is_left_alone() {
    let store = world(&two_templates(), json!({"currentExperiment": "web-new-2-0"}));
    let mut objects = store.collect("shop", "web", "", Traffic::unknown(NOW), NOW).unwrap();
    objects.learnt.taken.insert("web-new-2-0".to_owned());
    let turn = turn(&objects);
    assert_eq!(recorded(&turn), "web-new-2-0-1");
    assert_eq!(made(&turn).unwrap().write.target.name, "web-new-2-0-1");
}

#[test]
fn what_no_experiment_can_be_made_of_is_refused() {
    let wrong = json!({
        "templates": [
            {"name": "a", "specRef": "newest", "weight": 5},
            {"name": "a", "specRef": "stable"},
        ],
        "duration": "soon",
        "analyses": [{"name": "b"}],
    });
    let turn = take(&world(&wrong, json!({})));
    let paths: Vec<_> = turn.refusals.iter().map(|refusal| refusal.path.as_str()).collect();
    let at = "spec.strategy.canary.steps[0].experiment";
    let expected = [
        "templates[1].name",
        "templates[0].specRef",
        "templates[0].weight",
        "duration",
        "analyses[0].templateName",
    ];
    assert_eq!(paths, expected.map(|path| format!("{at}.{path}")));
}
