//! Steps that components do, at the door: what is recorded, what is called, and what an answer
//! makes of the record.

#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

use serde_json::{Value, json};
use sluice_core::Timestamp;
use sluice_core::traffic::Traffic;
use sluice_port::{Fault, StepAnswer, StepOutcome};
use sluice_wire::Store;
use sluice_wire::objects::Objects;
use sluice_wire::rollout::called::Request;
use sluice_wire::rollout::{Effect, Turn, turn};
use sluice_wire::store::Watched;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// A release of `new` that is at its only step, one of a plugin.
fn objects(calls: Value) -> Objects {
    let steps = json!([{"plugin": {"name": "approval", "config": {"channel": "releases"}}}]);
    let hash = sluice_wire::rollout::hash::steps_hash(Some(&steps));
    let owner = json!([{"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "name": "web", "uid": "u", "controller": true}]);
    let mut store = Store::new();
    store.apply(
        Watched::Rollout,
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": {"name": "web", "namespace": "shop", "uid": "u", "generation": 1,
                "resourceVersion": "1", "annotations": {"rollout.argoproj.io/revision": "2"}},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "c", "image": "web:2"}]}},
                "strategy": {"canary": {"steps": steps}}},
            "status": {"observedGeneration": "1", "currentPodHash": "new", "stableRS": "old",
                "currentStepHash": hash, "currentStepIndex": 0,
                "canary": {"stepPluginStatuses": calls}},
        }),
    );
    for (hash, number) in [("old", "1"), ("new", "2")] {
        store.apply(
            Watched::ReplicaSet,
            json!({
                "apiVersion": "apps/v1", "kind": "ReplicaSet",
                "metadata": {"name": format!("web-{hash}"), "namespace": "shop", "uid": hash,
                    "generation": 1, "resourceVersion": "1",
                    "labels": {"app": "web", "rollouts-pod-template-hash": hash},
                    "annotations": {"rollout.argoproj.io/revision": number,
                        "rollout.argoproj.io/desired-replicas": "1"},
                    "ownerReferences": owner},
                "spec": {"replicas": 1},
                "status": {"replicas": 1, "readyReplicas": 1, "availableReplicas": 1,
                    "observedGeneration": 1},
            }),
        );
    }
    store.collect("shop", "web", "", Traffic::unknown(NOW), NOW).unwrap()
}

fn take(objects: &Objects) -> Turn {
    let turn = turn(objects);
    assert!(turn.refusals.is_empty(), "{:?}", turn.refusals);
    turn
}

fn recorded(turn: &Turn) -> Value {
    turn.record.as_ref().unwrap().body["status"]["canary"]["stepPluginStatuses"].clone()
}

fn called(turn: &Turn) -> Option<Request> {
    turn.effects.iter().find_map(|(_, effect)| match effect {
        Effect::Call(request) => Some(request.clone()),
        Effect::Write(_)
        | Effect::Pods(_)
        | Effect::Experiment(_)
        | Effect::Look(_)
        | Effect::Note(_)
        | Effect::Release(_)
        | Effect::Evict { .. }
        | Effect::Route { .. } => None,
    })
}

#[test]
fn a_call_is_recorded_before_it_is_made() {
    let turn = take(&objects(json!([])));
    let entry = json!([{"index": 0, "name": "approval", "operation": "Run", "phase": "Running",
        "executions": 1, "startedAt": "2023-11-14T22:13:20Z",
        "updatedAt": "2023-11-14T22:13:20Z"}]);
    assert_eq!(recorded(&turn), entry);
    let request = called(&turn).unwrap();
    assert_eq!(request.component, "approval");
    assert_eq!(request.call.config, r#"{"channel":"releases"}"#);
    assert_eq!((request.call.index, request.call.revision.as_str()), (0, "2"));
    assert_eq!(request.call.state, None);
    // A controller that starts anew finds the record and no answer.
    let again = called(&take(&objects(entry))).unwrap();
    assert_eq!(again, request);
}

#[test]
fn an_answer_is_recorded_with_what_the_step_wants_to_know_again() {
    let mut objects = objects(json!([{"index": 0, "name": "approval", "operation": "Run",
        "phase": "Running", "executions": 1, "startedAt": "2023-11-14T22:13:10Z",
        "updatedAt": "2023-11-14T22:13:10Z"}]));
    let request = called(&take(&objects)).unwrap();
    let answer = StepAnswer {
        outcome: StepOutcome::Again(45_500),
        state: Some(r#"{"ticket":7}"#.to_owned()),
        message: Some("asked in #releases".to_owned()),
    };
    objects.learnt.replies = vec![request.reply(Ok(answer))];
    let turn = take(&objects);
    assert_eq!(
        recorded(&turn),
        json!([{"index": 0, "name": "approval", "operation": "Run", "phase": "Running",
            "executions": 1, "startedAt": "2023-11-14T22:13:10Z",
            "updatedAt": "2023-11-14T22:13:20Z", "backoff": "45500ms",
            "message": "asked in #releases", "status": {"ticket": 7}}])
    );
    assert_eq!(called(&turn), None);
    let said = turn.waiting.unwrap().to_string();
    assert_eq!(said, "step plugin approval to finish steps[0]: asked in #releases");
}

#[test]
fn a_fault_is_an_error_that_names_itself_and_aborts_nothing() {
    let mut objects = objects(json!([]));
    let request = called(&take(&objects)).unwrap();
    // The record of the first turn, as it is read again.
    let turn = take(&objects);
    let mut rollout = (*objects.rollout).clone();
    rollout["status"]["canary"]["stepPluginStatuses"] = recorded(&turn);
    objects.rollout = rollout.into();
    let missing = Fault::Missing { kind: "step", name: "approval".to_owned(), have: vec![] };
    objects.learnt.replies = vec![request.reply(Err(missing))];
    let turn = take(&objects);
    let entry = &recorded(&turn)[0];
    assert_eq!((&entry["phase"], &entry["backoff"]), (&json!("Error"), &json!("30s")));
    let event = turn.events.iter().find(|event| event.reason == "StepPluginTransition").unwrap();
    assert_eq!(event.message, "Step Plugin 1 (approval): Run is Error");
    let status = &turn.record.as_ref().unwrap().body["status"];
    assert_eq!(status.get("abort"), None);
}
