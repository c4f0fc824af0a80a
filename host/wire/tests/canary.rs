//! What a canary's fields come to at the door: what routers are told, and what the status says.

#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

mod patch;

use serde_json::{Value, json};
use sluice_core::Timestamp;
use sluice_core::traffic::{Certainty, Split, Traffic};
use sluice_port::Routing;
use sluice_port::traffic::{HeaderMatch, HeaderRoute, MirrorMatch, MirrorRoute, StringMatch};
use sluice_wire::Store;
use sluice_wire::rollout::routers::noted;
use sluice_wire::rollout::{Effect, Turn, turn};
use sluice_wire::store::Watched;

use patch::merge;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// Ten pods of `old` and ten of `new`, and a rollout with this strategy and status.
fn world(canary: Value, status: Value) -> Store {
    let template = json!({
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": "web:2"}]},
    });
    let rollout = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u", "generation": 1,
            "resourceVersion": "1", "annotations": {"rollout.argoproj.io/revision": "2"}},
        "spec": {"replicas": 10, "selector": {"matchLabels": {"app": "web"}},
            "template": template, "strategy": {"canary": canary}},
        "status": status,
    });
    let mut store = Store::new();
    store.apply(Watched::Rollout, rollout);
    for (hash, number) in [("old", "1"), ("new", "2")] {
        store.apply(
            Watched::ReplicaSet,
            json!({
                "apiVersion": "apps/v1", "kind": "ReplicaSet",
                "metadata": {"name": format!("web-{hash}"), "namespace": "shop", "uid": hash,
                    "generation": 1, "resourceVersion": "1",
                    "labels": {"app": "web", "rollouts-pod-template-hash": hash},
                    "annotations": {"rollout.argoproj.io/revision": number,
                        "rollout.argoproj.io/desired-replicas": "10"},
                    "ownerReferences": [{"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
                        "name": "web", "uid": "u", "controller": true}]},
                "spec": {"replicas": 10},
                "status": {"replicas": 10, "readyReplicas": 10, "availableReplicas": 10,
                    "observedGeneration": 1},
            }),
        );
    }
    for (name, hash) in [("one", "old"), ("two", "new")] {
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
    store
}

/// The status of a rollout at the step `index`; the step hash is whatever the door computes.
fn at_step(canary: &Value, index: u64, more: Value) -> Value {
    let hash = sluice_wire::rollout::hash::steps_hash(canary.get("steps"));
    let mut status = json!({"observedGeneration": "1", "currentPodHash": "new", "stableRS": "old",
        "currentStepHash": hash, "currentStepIndex": index});
    status["canary"] = more;
    status
}

fn take(store: &Store, traffic: Traffic) -> Turn {
    let mut objects = store.collect("shop", "web", "", traffic, NOW).unwrap();
    objects.rollout = noted(&objects.rollout).into();
    let turn = turn(&objects);
    assert!(turn.refusals.is_empty(), "{:?}", turn.refusals);
    turn
}

/// What the routers are asked, by name.
fn asked(turn: &Turn) -> Vec<(String, Routing)> {
    let routes = turn.effects.iter().find_map(|(_, effect)| match effect {
        Effect::Route { routes, .. } => Some(routes.clone()),
        Effect::Write(_)
        | Effect::Pods(_)
        | Effect::Experiment(_)
        | Effect::Call(_)
        | Effect::Look(_)
        | Effect::Note(_)
        | Effect::Release(_)
        | Effect::Evict { .. } => None,
    });
    routes.unwrap().into_iter().map(|route| (route.router, route.routing)).collect()
}

/// Whether a router is asked or a Service is turned.
fn moves(turn: &Turn) -> bool {
    turn.effects.iter().any(|(_, effect)| match effect {
        Effect::Route { .. } => true,
        Effect::Write(write) => write.target.kind == "Service",
        Effect::Pods(_)
        | Effect::Experiment(_)
        | Effect::Call(_)
        | Effect::Look(_)
        | Effect::Note(_)
        | Effect::Release(_)
        | Effect::Evict { .. } => false,
    })
}

fn exact(text: &str) -> StringMatch {
    StringMatch::Exact(text.to_owned())
}

#[test]
fn routers_that_can_are_told_of_header_and_mirror_routes() {
    let beta = json!({"headerName": "x-beta", "headerValue": {"exact": "yes"}});
    let reads = json!({"method": {"exact": "GET"}, "path": {"prefix": "/api"},
        "headers": {"x-b": {"regex": ".+"}, "x-a": {"exact": "1"}}});
    let canary = json!({
        "stableService": "one", "canaryService": "two",
        "trafficRouting": {
            "nginx": {"stableIngress": "web"}, "istio": {"virtualService": {"name": "web"}},
            "managedRoutes": [{"name": "beta"}, {"name": "reads"}],
        },
        "steps": [
            {"setWeight": 20},
            {"setHeaderRoute": {"name": "beta", "match": [beta]},
                "setMirrorRoute": {"name": "reads", "percentage": 35, "match": [reads]}},
        ],
    });
    let store = world(canary.clone(), at_step(&canary, 1, json!({})));
    let asked = asked(&take(&store, Traffic::unknown(NOW)));
    let names: Vec<_> = asked.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["istio", "nginx"], "in Argo's order");
    let istio = &asked[0].1;
    assert_eq!(istio.canary.weight, 20);
    assert_eq!(istio.managed_routes, ["beta", "reads"]);
    let header = HeaderMatch { name: "x-beta".into(), value: exact("yes") };
    assert_eq!(istio.header_routes, [HeaderRoute { name: "beta".into(), headers: vec![header] }]);
    let headers = vec![
        HeaderMatch { name: "x-a".into(), value: exact("1") },
        HeaderMatch { name: "x-b".into(), value: StringMatch::Regex(".+".into()) },
    ];
    let matches = vec![MirrorMatch {
        method: Some(exact("GET")),
        path: Some(StringMatch::Prefix("/api".into())),
        headers,
    }];
    let mirror = MirrorRoute { name: "reads".into(), matches, percentage: 35 };
    assert_eq!(istio.mirror_routes, [mirror]);
    // The other carries the weights and has no such routes.
    let nginx = &asked[1].1;
    assert_eq!((nginx.canary.weight, nginx.header_routes.len()), (20, 0));
    assert!(nginx.mirror_routes.is_empty());
}

#[test]
fn the_status_says_which_ping_pong_service_is_stable() {
    let canary = json!({
        "pingPong": {"pingService": "one", "pongService": "two"},
        "trafficRouting": {"istio": {"virtualService": {"name": "web"}}},
        "steps": [{"setWeight": 40}],
    });
    // At first ping is stable, and goes on to be so while the release is under way.
    let store = world(canary.clone(), at_step(&canary, 0, json!({})));
    let first = take(&store, Traffic::unknown(NOW));
    let (_, routing) = &asked(&first)[0];
    assert_eq!((routing.stable.service.as_str(), routing.stable.weight), ("one", 60));
    assert_eq!((routing.canary.service.as_str(), routing.canary.weight), ("two", 40));
    let status = &first.record.unwrap().body["status"];
    assert_eq!(status["canary"]["stablePingPong"], "ping");

    // At the promotion one word changes, and nobody is asked for anything.
    let mut traffic = Traffic::unknown(NOW);
    let split = Split {
        stable: sluice_core::Hash("old".into()),
        canary: sluice_core::Hash("new".into()),
        share: sluice_core::Share::ALL,
        routes: Vec::new(),
        pong: false,
        additional: Vec::new(),
    };
    traffic.confirm(split, Certainty::Converged, NOW);
    let store = world(canary.clone(), at_step(&canary, 1, json!({"stablePingPong": "ping"})));
    let promoted = take(&store, traffic.clone());
    assert!(!moves(&promoted), "{:?}", promoted.effects);
    let status = &promoted.record.unwrap().body["status"];
    assert_eq!(
        (&status["stableRS"], &status["canary"]["stablePingPong"]),
        (&json!("new"), &json!("pong"))
    );

    // What was confirmed before is what is wanted after, told from the other side.
    let mut after = at_step(&canary, 1, json!({"stablePingPong": "pong"}));
    after["stableRS"] = "new".into();
    let settled = take(&world(canary, after), traffic);
    assert!(!moves(&settled), "{:?}", settled.effects);
    let weights = &settled.record.unwrap().body["status"]["canary"]["weights"];
    assert_eq!(
        (&weights["stable"]["serviceName"], &weights["stable"]["weight"]),
        (&json!("two"), &json!(100))
    );
}

#[test]
fn pods_that_come_and_go_are_recorded_once_a_second() {
    let canary = json!({"steps": [{"setWeight": 50}, {"pause": {}}]});
    let store = world(canary.clone(), at_step(&canary, 1, json!({})));
    let known = || store.collect("shop", "web", "", Traffic::unknown(NOW), NOW).unwrap();
    let record = turn(&known()).record.unwrap();
    let mut rollout = (*known().rollout).clone();
    merge(&mut rollout["status"], &record.body["status"]);

    let counted = |old: u32, new: u32, recorded: Option<u64>| {
        let mut objects = known();
        objects.rollout = rollout.clone().into();
        for set in &mut objects.replica_sets {
            let set = std::sync::Arc::make_mut(set);
            set.available = if set.hash() == "old" { old } else { new };
        }
        objects.learnt.recorded = recorded.map(|ms| Timestamp(NOW.0 - ms));
        turn(&objects)
    };
    let soon = counted(10, 9, Some(400));
    assert!(soon.record.is_none(), "{:?}", soon.record);
    let wake = soon.wake.unwrap();
    assert_eq!(wake.at, Timestamp(NOW.0 + 600));
    assert_eq!(wake.because, "the pods that were counted are recorded");
    for recorded in [None, Some(1_000), Some(60_000)] {
        let record = counted(10, 9, recorded).record.unwrap();
        assert_eq!(record.body["status"]["availableReplicas"], 19, "{recorded:?}");
    }
    // Too few pods change a condition, and that is told at once.
    let record = counted(5, 0, Some(0)).record.unwrap();
    assert_eq!(record.body["status"]["availableReplicas"], 5);
}

#[test]
fn pods_are_not_removed_while_the_last_removal_is_under_way() {
    let canary = json!({"steps": [{"setWeight": 50}, {"pause": {}}]});
    let store = world(canary.clone(), at_step(&canary, 0, json!({})));
    let shrinks = |change: fn(&mut sluice_wire::objects::ReplicaSet)| {
        let mut objects = store.collect("shop", "web", "", Traffic::unknown(NOW), NOW).unwrap();
        objects.replica_sets.iter_mut().for_each(|set| change(std::sync::Arc::make_mut(set)));
        let effects = turn(&objects).effects;
        let is_shrink = |effect: &Effect| {
            matches!(effect, Effect::Write(write)
                if write.target.kind == "ReplicaSet" && write.body["spec"]["replicas"].is_u64())
        };
        effects.iter().filter(|(_, effect)| is_shrink(effect)).count()
    };
    assert!(shrinks(|_| {}) > 0);
    assert_eq!(shrinks(|set| set.wanted -= 1), 0, "a pod is still there");
    assert_eq!(shrinks(|set| set.settled = false), 0, "the last change is not seen yet");
}
