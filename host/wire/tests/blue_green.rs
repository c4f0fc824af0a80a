//! Blue-green through the door: what clients write, what they read, and what is remembered.

#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

mod patch;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use sluice_core::observed::{Hash, RunPhase};
use sluice_core::phase::{Hold, Memory, Pause, PauseReason, Phase, RunRef};
use sluice_core::traffic::Traffic;
use sluice_core::{Decision, Timestamp, decide};
use sluice_wire::objects::{Objects, ReplicaSet, Service};
use sluice_wire::rollout::observe::{Seen, observe};
use sluice_wire::rollout::project::project;
use sluice_wire::rollout::recall::recall;
use sluice_wire::rollout::{Turn, turn};

use patch::merge;

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const HASH: &str = "rollouts-pod-template-hash";

fn rollout(strategy: Value) -> Value {
    json!({
        "metadata": {"name": "web", "namespace": "shop", "uid": "u", "generation": 3,
            "annotations": {"rollout.argoproj.io/revision": "2"}},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "web:2"}]},
            },
            "strategy": strategy,
        },
    })
}

fn blue_green(more: Value) -> Value {
    let mut strategy = json!({"activeService": "live", "previewService": "next"});
    strategy.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    rollout(json!({"blueGreen": strategy}))
}

fn service(name: &str, hash: &str) -> (String, Arc<Service>) {
    let object = json!({
        "metadata": {"name": name, "annotations": {"argo-rollouts.argoproj.io/managed-by-rollouts": "web"}},
        "spec": {"selector": {"app": "web", HASH: hash}},
    });
    (name.to_owned(), Arc::new(Service::read(&object)))
}

fn set(hash: &str, number: u32, pods: u32) -> Arc<ReplicaSet> {
    Arc::new(ReplicaSet::read(&json!({
        "metadata": {
            "name": format!("web-{hash}"), "labels": {"app": "web", HASH: hash},
            "generation": 1,
            "creationTimestamp": format!("2023-01-0{number}T00:00:00Z"),
            "annotations": {"rollout.argoproj.io/revision": number.to_string(),
                "rollout.argoproj.io/desired-replicas": "2"},
        },
        "spec": {"replicas": pods},
        "status": {"replicas": pods, "readyReplicas": pods, "availableReplicas": pods,
            "observedGeneration": 1},
    })))
}

/// Version `old` is stable; `new` is wanted, with all its pods; the Services select these.
fn scene(rollout: Value, active: &str, preview: &str) -> Objects {
    Objects {
        now: NOW,
        rollout: Arc::new(rollout),
        replica_sets: vec![set("old", 1, 2), set("new", 2, 2)],
        services: BTreeMap::from([service("live", active), service("next", preview)]),
        runs: Vec::new(),
        templates: BTreeMap::new(),
        traffic: Traffic::unknown(NOW),
        instance: String::new(),
        orphans: Vec::new(),
        experiments: Vec::new(),
        learnt: sluice_wire::objects::Learnt::default(),
        borrowed: Default::default(),
        remains: Vec::new(),
    }
}

fn with_status(mut rollout: Value, more: Value) -> Value {
    let mut status = json!({
        "observedGeneration": "3", "currentPodHash": "new", "stableRS": "old",
        "replicas": 4, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2,
    });
    status.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    rollout["status"] = status;
    rollout
}

/// The status that a turn leaves behind.
fn status(objects: &Objects, turn: &Turn) -> Value {
    let mut status = objects.rollout["status"].clone();
    if let Some(record) = &turn.record {
        merge(&mut status, &record.body["status"]);
    }
    status
}

fn pauses(reasons: &[PauseReason]) -> Hold {
    let pause = |reason: &PauseReason| Pause { reason: *reason, since: NOW };
    Hold::Paused(reasons.iter().map(pause).collect())
}

fn remembered(objects: &Objects, seen: &Seen, memory: &Memory) -> Memory {
    let orders = Vec::new();
    let decision =
        Decision { orders, memory: memory.clone(), waiting: None, wake: None, facts: Vec::new() };
    let mut rollout = (*objects.rollout).clone();
    rollout["status"] = project(objects, seen, &decision).status;
    recall(&rollout, &seen.intent, &seen.observed.wanted, NOW)
}

#[test]
fn what_is_recorded_is_what_is_remembered() {
    let holds = [
        Hold::None,
        pauses(&[PauseReason::Preview]),
        pauses(&[PauseReason::Inconclusive]),
        pauses(&[PauseReason::Inconclusive, PauseReason::Preview]),
    ];
    let mut phases = vec![
        Phase::Settled,
        Phase::Promoting { full: true, hold: Hold::None },
        Phase::Aborted { since: NOW, why: None },
        Phase::Aborted { since: NOW, why: Some("it was bad".into()) },
    ];
    for hold in holds {
        phases.push(Phase::Previewing { hold: hold.clone() });
        phases.push(Phase::Promoting { full: false, hold });
    }
    let run =
        |phase| Some(RunRef { name: "web-new-2-pre".into(), phase, message: "it was 7".into() });
    for phase in phases {
        for (pre_run, post_run) in [
            (None, None),
            (run(RunPhase::Failed), None),
            (run(RunPhase::Successful), run(RunPhase::Running)),
        ] {
            let stable = if phase == Phase::Settled { "new" } else { "old" };
            let memory = Memory {
                stable: Some(Hash(stable.into())),
                phase: phase.clone(),
                pre_run,
                post_run,
                ..Memory::default()
            };
            let objects = scene(with_status(blue_green(json!({})), json!({})), "old", "new");
            let seen = observe(&objects).unwrap();
            assert_eq!(remembered(&objects, &seen, &memory), memory);
        }
    }
}

#[test]
fn a_switch_that_was_done_is_remembered_by_the_service_alone() {
    let objects = scene(with_status(blue_green(json!({})), json!({})), "new", "new");
    let seen = observe(&objects).unwrap();
    let phase = Phase::Promoting { full: false, hold: Hold::None };
    let memory = Memory { stable: Some(Hash("old".into())), phase, ..Memory::default() };
    assert_eq!(remembered(&objects, &seen, &memory), memory);
}

#[test]
fn another_strategys_memory_is_not_taken_over() {
    let run = json!({"name": "r", "status": "Running"});
    let both = json!({
        "currentStepIndex": 1, "currentStepHash": "x", "canary": {"currentStepAnalysisRunStatus": run},
        "blueGreen": {"prePromotionAnalysisRunStatus": run, "activeSelector": "old"},
    });
    let objects = scene(with_status(blue_green(json!({})), both.clone()), "old", "new");
    let seen = observe(&objects).unwrap();
    assert!(seen.observed.changed, "the strategy is another one");
    assert_eq!(seen.observed.memory.step_run, None);
    let left = status(&objects, &turn(&objects));
    assert_eq!((&left["canary"], &left["currentStepIndex"]), (&Value::Null, &Value::Null));

    let canary = rollout(json!({"canary": {"steps": [{"setWeight": 50}]}}));
    let objects = scene(with_status(canary, both), "old", "new");
    let seen = observe(&objects).unwrap();
    assert_eq!(seen.observed.memory.pre_run, None);
    assert_eq!(status(&objects, &turn(&objects))["blueGreen"], Value::Null);
}

#[test]
fn a_client_that_clears_the_conditions_promotes() {
    let manual = || blue_green(json!({"autoPromotionEnabled": false}));
    let ready = scene(with_status(manual(), json!({})), "old", "new");
    let paused = status(&ready, &turn(&ready));
    let condition = json!([{"reason": "BlueGreenPause", "startTime": "2023-11-14T22:13:20Z"}]);
    assert_eq!(
        (&paused["controllerPause"], &paused["pauseConditions"]),
        (&json!(true), &condition)
    );
    assert_eq!(
        (&paused["phase"], &paused["message"]),
        (&json!("Paused"), &json!("BlueGreenPause"))
    );

    let cleared = json!({"controllerPause": true, "pauseConditions": null});
    let cleared = scene(with_status(manual(), cleared), "old", "new");
    let promoted = turn(&cleared);
    let left = status(&cleared, &promoted);
    assert_eq!(left["blueGreen"]["scaleUpPreviewCheckPoint"], json!(true));
    assert_eq!((&left["controllerPause"], &left["pauseConditions"]), (&Value::Null, &Value::Null));
    let orders: Vec<_> = promoted.effects.iter().map(|(order, _)| format!("{order:?}")).collect();
    assert!(orders.iter().any(|order| order.starts_with("Switch { side: Stable")), "{orders:?}");
}

#[test]
fn whoever_retries_has_it_measured_again() {
    let failed =
        json!({"prePromotionAnalysisRunStatus": {"name": "web-new-2-pre", "status": "Failed"}});
    let aborted = json!({"abort": true, "abortedAt": "2023-11-14T22:13:00Z", "blueGreen": failed});
    let of = |more: Value| {
        let analysed = blue_green(json!({"prePromotionAnalysis": {"templates": []}}));
        let rollout = with_status(analysed, more);
        let plain = scene(with_status(blue_green(json!({})), json!({})), "old", "new");
        let seen = observe(&plain).unwrap();
        recall(&rollout, &seen.intent, &seen.observed.wanted, NOW)
    };
    assert_eq!(of(aborted.clone()).pre_run.unwrap().phase, RunPhase::Failed);
    let mut retried = aborted;
    retried["abort"] = false.into();
    assert_eq!(of(retried.clone()).pre_run, None);
    assert_eq!(of(retried).phase, Phase::Previewing { hold: Hold::None });
}

#[test]
fn users_and_autoscalers_are_told_of_the_pods_that_users_get() {
    let mut objects = scene(with_status(blue_green(json!({})), json!({})), "old", "new");
    objects.replica_sets = vec![set("old", 1, 2), set("new", 2, 5)];
    let left = status(&objects, &turn(&objects));
    let count = |name: &str| left[name].as_u64().unwrap_or(0);
    assert_eq!([count("replicas"), count("updatedReplicas")], [7, 5]);
    assert_eq!([count("HPAReplicas"), count("readyReplicas"), count("availableReplicas")], [2; 3]);
    assert_eq!(left["selector"], json!(format!("app=web,{HASH}=old")));
    let selectors = json!({"activeSelector": "old", "previewSelector": "new"});
    assert_eq!(left["blueGreen"]["activeSelector"], selectors["activeSelector"]);
    assert_eq!(left["blueGreen"]["previewSelector"], selectors["previewSelector"]);
}

#[test]
fn the_message_says_what_is_left_to_do() {
    let manual = json!({"autoPromotionEnabled": true, "autoPromotionSeconds": 0});
    let post = json!({"postPromotionAnalysis": {"templates": [{"templateName": "rate"}]}});
    let table = [
        (manual.clone(), "old", json!({}), "active service cutover pending"),
        (manual, "new", json!({"stableRS": "new"}), ""),
        (post, "new", json!({}), "waiting for analysis to complete"),
        (json!({}), "new", json!({}), "waiting for post-promotion verification to complete"),
    ];
    for (strategy, active, more, message) in table {
        let rollout = with_status(blue_green(strategy), more);
        let mut whole = rollout["status"].clone();
        whole["blueGreen"] = json!({"activeSelector": active});
        let (phase, said) = sluice_wire::rollout::phase::phase(&rollout, &whole, 2, false, false);
        assert_eq!(said, message);
        assert_eq!(phase, if message.is_empty() { "Healthy" } else { "Progressing" });
    }
}

#[test]
fn it_is_available_only_through_the_active_service() {
    let condition = |objects: &Objects, kind: &str| {
        let left = status(objects, &turn(objects));
        let all = left["conditions"].as_array().unwrap().clone();
        let found = all.iter().find(|condition| condition["type"] == kind);
        found.map(|condition| condition["status"].clone())
    };
    let settled = json!({"stableRS": "new"});
    let nowhere = with_status(blue_green(json!({})), settled.clone());
    let mut pending = scene(nowhere, "old", "new");
    pending.replica_sets = vec![set("new", 2, 2)];
    assert_eq!(condition(&pending, "Available"), Some(json!("False")));
    assert_eq!(condition(&pending, "Healthy"), None);
    assert_eq!(condition(&pending, "Completed"), Some(json!("True")));
    let there = scene(with_status(blue_green(json!({})), settled), "new", "new");
    assert_eq!(condition(&there, "Available"), Some(json!("True")));
    assert_eq!(condition(&there, "Healthy"), Some(json!("True")));
}

#[test]
fn an_analysis_may_take_longer_than_the_progress_deadline() {
    let late = json!({
        "conditions": [{"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated",
            "lastUpdateTime": "2023-11-14T00:00:00Z"}],
    });
    let overdue = |more: Value| {
        let mut status = late.clone();
        merge(&mut status, &more);
        let objects = scene(with_status(blue_green(json!({})), status), "old", "new");
        observe(&objects).unwrap().observed.overdue
    };
    let run = |status: &str| json!({"blueGreen": {"prePromotionAnalysisRunStatus": {"name": "r", "status": status}}});
    assert!(overdue(json!({})));
    assert!(!overdue(run("Running")));
    assert!(overdue(run("Successful")));
}

#[test]
fn services_are_named_by_the_fields_that_name_them() {
    let mut objects = scene(with_status(blue_green(json!({})), json!({})), "old", "new");
    objects.services.remove("next");
    let refusals = observe(&objects).unwrap_err();
    let text: Vec<_> = refusals.iter().map(ToString::to_string).collect();
    assert_eq!(text.len(), 1, "{text:?}");
    assert!(text[0].starts_with("spec.strategy.blueGreen.previewService: "), "{text:?}");
}

#[test]
fn a_decision_is_the_same_every_time() {
    let objects = scene(with_status(blue_green(json!({})), json!({})), "old", "new");
    let seen = observe(&objects).unwrap();
    assert_eq!(decide(&seen.observed), decide(&seen.observed));
}
