//! Why a rollout stands where it stands: the answer to each state, compared with its text.
//!
//! `UPDATE=1 cargo test -p sluice-view --test explain` writes what is rendered now.
#![expect(clippy::expect_used, reason = "a test that cannot read its files has failed")]

use std::path::PathBuf;
use std::{env, fs};

use serde_json::{Value, json};
use sluice_core::called::Operation;
use sluice_core::observed::Hash;
use sluice_core::traffic::Side;
use sluice_core::{Pods, Share, Timestamp, Waiting};
use sluice_view::{Answer, Style, answer, render_answer};
use sluice_wire::Store;
use sluice_wire::explain::{Explanation, Why, explain};
use sluice_wire::rollout::hash::steps_hash;
use sluice_wire::store::Watched;

/// Noon of the first of March.
const NOON: Timestamp = Timestamp(1_772_366_400_000);

#[track_caller]
fn assert_golden(name: &str, seen: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if env::var_os("UPDATE").is_some() {
        fs::write(&path, seen).expect("a golden file is writable");
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(seen == expected, "{name} differs from what is rendered now:\n{seen}");
}

/// So many pods of `old` and of `new`; a Service of the stable revision and one of `new`; the
/// rollout is at its second revision.
struct World {
    rollout: Value,
    old: u32,
    pods: u32,
}

impl World {
    fn canary(more: Value, steps: Value, index: usize) -> Self {
        let mut canary = json!({"stableService": "web-stable", "canaryService": "web-canary"});
        canary["steps"] = steps;
        for (key, value) in more.as_object().into_iter().flatten() {
            canary[key] = value.clone();
        }
        let hash = steps_hash(canary.get("steps"));
        let mut world = Self::with(json!({"canary": canary}));
        world.rollout["status"]["currentStepHash"] = hash.into();
        world.rollout["status"]["currentStepIndex"] = index.into();
        world
    }

    fn blue_green(more: Value) -> Self {
        let mut strategy = json!({"activeService": "web-stable", "previewService": "web-canary"});
        for (key, value) in more.as_object().into_iter().flatten() {
            strategy[key] = value.clone();
        }
        let mut world = Self::with(json!({"blueGreen": strategy}));
        world.pods = 10;
        world.status(json!({"blueGreen": {"activeSelector": "old", "previewSelector": "new"}}));
        world
    }

    fn with(strategy: Value) -> Self {
        let template = json!({
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "c", "image": "web:2"}]},
        });
        let rollout = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": {"name": "web", "namespace": "shop", "uid": "u", "generation": 1,
                "resourceVersion": "1", "annotations": {"rollout.argoproj.io/revision": "2"}},
            "spec": {"replicas": 10, "selector": {"matchLabels": {"app": "web"}},
                "template": template, "strategy": strategy},
            "status": {"observedGeneration": "1", "currentPodHash": "new", "stableRS": "old",
                "phase": "Progressing", "message": "more replicas need to be updated",
                "conditions": [{"type": "Progressing", "status": "True",
                    "reason": "ReplicaSetUpdated", "message": "",
                    "lastUpdateTime": "2026-03-01T11:58:00Z",
                    "lastTransitionTime": "2026-03-01T11:50:00Z"}]},
        });
        Self { rollout, old: 10, pods: 0 }
    }

    fn pods(mut self, pods: u32) -> Self {
        self.pods = pods;
        self
    }

    fn status(&mut self, more: Value) {
        for (key, value) in more.as_object().into_iter().flatten() {
            self.rollout["status"][key] = value.clone();
        }
    }

    /// The status of a pause with this reason since two minutes.
    fn paused(mut self, reason: &str) -> Self {
        self.status(json!({
            "phase": "Paused", "message": reason, "controllerPause": true,
            "pauseConditions": [{"reason": reason, "startTime": "2026-03-01T11:58:00Z"}],
        }));
        self
    }

    fn with_status(mut self, more: Value) -> Self {
        self.status(more);
        self
    }

    fn store(self) -> (Store, Value) {
        let mut store = Store::new();
        store.apply(Watched::Rollout, self.rollout.clone());
        for (hash, number, pods) in [("old", "1", self.old), ("new", "2", self.pods)] {
            store.apply(
                Watched::ReplicaSet,
                json!({
                    "apiVersion": "apps/v1", "kind": "ReplicaSet",
                    "metadata": {"name": format!("web-{hash}"), "namespace": "shop", "uid": hash,
                        "generation": 1, "resourceVersion": "1",
                        "labels": {"app": "web", "rollouts-pod-template-hash": hash},
                        "annotations": {"rollout.argoproj.io/revision": number,
                            "rollout.argoproj.io/desired-replicas": "10"},
                        "ownerReferences": [{"apiVersion": "argoproj.io/v1alpha1",
                            "kind": "Rollout", "name": "web", "uid": "u", "controller": true}]},
                    "spec": {"replicas": pods},
                    "status": {"replicas": pods, "readyReplicas": pods,
                        "availableReplicas": pods, "observedGeneration": 1},
                }),
            );
        }
        let stable = self.rollout["status"]["stableRS"].as_str().unwrap_or_default();
        for (name, hash) in [("web-stable", stable), ("web-canary", "new")] {
            store.apply(
                Watched::Service,
                json!({
                    "apiVersion": "v1", "kind": "Service",
                    "metadata": {"name": name, "namespace": "shop", "resourceVersion": "1",
                        "annotations": {"argo-rollouts.argoproj.io/managed-by-rollouts": "web"}},
                    "spec": {"selector": {"app": "web", "rollouts-pod-template-hash": hash}},
                }),
            );
        }
        (store, self.rollout)
    }

    fn answer(self) -> Answer {
        let (store, rollout) = self.store();
        let explanation = explain(&store, "shop", "web", NOON).expect("the rollout is there");
        answer(&rollout, &explanation, noon())
    }
}

fn noon() -> jiff::Timestamp {
    let millis = i64::try_from(NOON.0).expect("a time of our days");
    jiff::Timestamp::from_millisecond(millis).expect("a timestamp")
}

fn text(answer: &Answer) -> String {
    render_answer(answer, Style::default())
}

fn routed(weight: u32) -> (Value, Value) {
    let more = json!({"trafficRouting": {"nginx": {"stableIngress": "web"}}});
    let side = |weight: u32, hash: &str| json!({"weight": weight, "podTemplateHash": hash});
    let weights = json!({"canary": side(weight, "new"), "stable": side(100 - weight, "old")});
    (more, json!({"canary": {"weights": weights}}))
}

/// A story for each way in which a rollout can stand still.
fn stories() -> Vec<(&'static str, Answer)> {
    let endless = || json!([{"setWeight": 20}, {"pause": {}}]);
    let (nginx, at_20) = routed(20);
    let mut by_user = World::canary(json!({}), endless(), 1).pods(2);
    by_user.rollout["spec"]["paused"] = true.into();
    by_user.status(json!({"phase": "Paused", "message": "manually paused"}));
    let mut unseen = World::canary(json!({}), endless(), 0);
    unseen.rollout["metadata"]["generation"] = 2.into();
    let mut fresh = World::canary(json!({}), endless(), 0);
    fresh.rollout["status"] = json!({});
    let mut going = World::canary(json!({}), endless(), 0);
    going.rollout["metadata"]["deletionTimestamp"] = "2026-03-01T11:59:00Z".into();
    let mut refused = World::canary(json!({}), json!([{"setWeight": 120}]), 0);
    refused.status(json!({"phase": "Degraded", "message": "InvalidSpec: see below"}));
    let mut settled = World::canary(json!({}), endless(), 2).pods(10);
    settled.old = 0;
    settled.status(json!({"phase": "Healthy", "message": "", "stableRS": "new"}));
    let refusal = "waiting for the traffic router: nginx: Ingress web: not found; create it";
    vec![
        ("a pause with an end", {
            let steps = json!([{"setWeight": 20}, {"pause": {"duration": "10m"}}]);
            World::canary(json!({}), steps, 1).pods(2).paused("CanaryPauseStep").answer()
        }),
        ("a pause without an end", {
            let world = World::canary(nginx.clone(), endless(), 1).pods(2);
            world.with_status(at_20.clone()).paused("CanaryPauseStep").answer()
        }),
        ("a pause of the user's", by_user.answer()),
        ("too few pods", World::canary(json!({}), endless(), 0).pods(1).answer()),
        ("a router that has not confirmed", {
            let (_, at_0) = routed(0);
            World::canary(nginx.clone(), endless(), 0).pods(2).with_status(at_0).answer()
        }),
        ("a router in trouble", {
            let (_, at_0) = routed(0);
            let world = World::canary(nginx, endless(), 0).pods(2).with_status(at_0);
            world.with_status(json!({"message": refusal})).answer()
        }),
        ("an abort", {
            let why = "Rollout aborted update to revision 2: Metric \"errors\" assessed Failed";
            let world = World::canary(json!({}), endless(), 0).with_status(json!({
                "abort": true, "abortedAt": "2026-03-01T11:00:00Z", "phase": "Degraded",
                "message": format!("RolloutAborted: {why}"),
                "conditions": [{"type": "Progressing", "status": "False",
                    "reason": "RolloutAborted", "message": why}],
            }));
            world.answer()
        }),
        ("a preview", {
            let more = json!({"autoPromotionEnabled": false});
            World::blue_green(more).paused("BlueGreenPause").answer()
        }),
        ("a preview with an end", {
            let more = json!({"autoPromotionSeconds": 300});
            World::blue_green(more).paused("BlueGreenPause").answer()
        }),
        ("a specification that is refused", refused.answer()),
        ("a specification that nobody has seen", unseen.answer()),
        ("a rollout that nobody has seen", fresh.answer()),
        ("a deletion", going.answer()),
        ("nothing to wait for", settled.answer()),
    ]
}

#[test]
fn each_story_has_its_answer() {
    let seen: Vec<_> =
        stories().iter().map(|(story, answer)| format!("# {story}\n{}", text(answer))).collect();
    assert_golden("explain.txt", &seen.join("\n"));
}

#[test]
fn an_answer_is_json_in_camel_case() {
    let world = World::canary(json!({}), json!([{"pause": {}}]), 0).pods(2);
    let answer = world.paused("CanaryPauseStep").answer();
    let seen = serde_json::to_string_pretty(&answer).expect("an answer is JSON");
    assert_golden("explain.json", &(seen + "\n"));
}

fn plugin(operation: Operation, again: Option<Timestamp>) -> Waiting {
    let (name, why) = ("acme/approval".to_owned(), "nobody has approved yet".to_owned());
    Waiting::Plugin { step: 1, name, operation, why, again }
}

/// One of each, whether or not a story above leads to it.
fn everything_that_is_waited_for() -> Vec<Waiting> {
    let hash = || Hash("new".to_owned());
    let until = NOON.after(std::time::Duration::from_secs(90));
    let share = Share::new(20, 100).expect("a share");
    let (needs, has) = (Pods(2), Pods(1));
    vec![
        Waiting::User,
        Waiting::PauseUntil(until),
        Waiting::Promotion,
        Waiting::Preview(None),
        Waiting::Preview(Some(until)),
        Waiting::Decision,
        Waiting::Retry,
        Waiting::RouterTrouble("nginx: Ingress web: not found".to_owned()),
        Waiting::Router(share),
        Waiting::Capacity { side: Side::Canary, hash: hash(), needs, has },
        Waiting::Service {
            side: Side::Canary,
            service: "web-canary".to_owned(),
            hash: hash(),
            needs,
            has,
        },
        Waiting::TrafficOn { hash: hash(), share },
        Waiting::Selected { hash: hash(), service: "web-canary".to_owned() },
        Waiting::RoutesOn { hash: hash() },
        Waiting::Leaving,
        Waiting::ExperimentTraffic("web-new-2-1".to_owned()),
        Waiting::Former { router: "nginx".to_owned(), why: "it is not installed".to_owned() },
        Waiting::ScaledBelow { step: 1, share, given: has, needs },
        Waiting::Draining { hash: hash(), until },
        Waiting::Pods { hash: hash(), needs, has },
        plugin(Operation::Run, Some(until)),
        plugin(Operation::Abort, None),
        Waiting::Analysis("web-new-2-1".to_owned()),
        Waiting::Experiment("web-new-2-1".to_owned()),
        Waiting::Restart { left: Some(2) },
        Waiting::Disruption {
            pod: "web-new-x1".to_owned(),
            why: "Cannot evict pod as it would violate the pod's disruption budget.".to_owned(),
            until,
        },
        Waiting::ScaleDown { hash: hash(), until },
        Waiting::OldPods(hash()),
        Waiting::Itself,
    ]
}

#[test]
fn everything_that_can_be_waited_for_has_words() {
    let (_, rollout) = World::canary(json!({}), json!([{"pause": {}}]), 0).store();
    let mut reasons = Vec::new();
    let mut seen = String::new();
    for waiting in everything_that_is_waited_for() {
        let explanation = Explanation {
            place: "step 1 of 1 (pause)".to_owned(),
            why: Why::Waits(waiting),
            since: None,
            wake: None,
            next: Vec::new(),
            blocked: Vec::new(),
        };
        let answer = answer(&rollout, &explanation, noon());
        let waits = answer.waits.as_ref().expect("it waits");
        reasons.push(waits.reason);
        seen.push_str(&format!("# {}\n{}\n", waits.reason, text(&answer)));
    }
    assert_golden("waiting.txt", &seen);
    let count = reasons.len();
    reasons.sort_unstable();
    reasons.dedup();
    // The two previews differ in their end alone.
    assert_eq!(reasons.len(), count - 1, "two states have the same word: {reasons:?}");
}

#[test]
fn the_tree_says_it_in_short() {
    let world = World::canary(json!({}), json!([{"setWeight": 20}, {"pause": {}}]), 1).pods(2);
    let (store, rollout) = world.paused("CanaryPauseStep").store();
    let explanation = explain(&store, "shop", "web", NOON).expect("the rollout is there");
    let mut card = sluice_view::card(&sluice_view::Objects::alone(&rollout), noon());
    card.waits = answer(&rollout, &explanation, noon()).waits;
    let text = sluice_view::render_tree(&card, Style::default());
    let waits = "Waits for:       a pause step that ends when somebody promotes, for 2m\n";
    assert!(text.contains(waits), "{text}");
    assert!(text.contains("Ends by:       `promote`, or `abort`\n"), "{text}");
}

#[test]
fn header_routes_that_an_earlier_step_opened_are_taken_for_confirmed() {
    let beta = json!([{"headerName": "x-beta", "headerValue": {"exact": "yes"}}]);
    let steps = json!([
        {"setWeight": 20},
        {"setHeaderRoute": {"name": "beta", "match": beta}},
        {"analysis": {"templates": [{"templateName": "errors"}]}},
    ]);
    let more = json!({"trafficRouting": {
        "istio": {"virtualService": {"name": "web"}}, "managedRoutes": [{"name": "beta"}],
    }});
    let explained_at = |index: usize| {
        let (_, mut weights) = routed(20);
        weights["canary"]["currentStepAnalysisRunStatus"] =
            json!({"name": "web-new-2-2", "status": "Running"});
        let world = World::canary(more.clone(), steps.clone(), index).pods(2);
        let (mut store, _) = world.with_status(weights).store();
        store.apply(
            Watched::AnalysisTemplate,
            json!({
                "metadata": {"name": "errors", "namespace": "shop"},
                "spec": {"metrics": [{"name": "rate", "count": 1,
                    "provider": {"prometheus": {"query": "up"}}}]},
            }),
        );
        let owner = json!([{"controller": true, "uid": "u"}]);
        store.apply(
            Watched::AnalysisRun,
            json!({
                "metadata": {"name": "web-new-2-2", "namespace": "shop", "uid": "r",
                    "creationTimestamp": "2026-03-01T11:55:00Z", "ownerReferences": owner,
                    "labels": {"rollout-type": "Step", "step-index": "2",
                        "rollouts-pod-template-hash": "new"}},
                "status": {"phase": "Running", "startedAt": "2026-03-01T11:56:00Z"},
            }),
        );
        explain(&store, "shop", "web", NOON).expect("the rollout is there")
    };
    let past = explained_at(2);
    assert_eq!(past.why, Why::Waits(Waiting::Analysis("web-new-2-2".to_owned())));
    assert_eq!(past.since, Some(Timestamp(NOON.0 - 240_000)), "since the run began");
    // The step that opens the route is not over before the routers have it.
    let share = Share::new(20, 100).expect("a share");
    assert_eq!(explained_at(1).why, Why::Waits(Waiting::Router(share)));
}
