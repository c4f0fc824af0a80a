//! Experiments at the door: the object that a step makes, and what is read of one.

#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

use serde_json::{Value, json};
use sluice_core::Timestamp;
use sluice_core::traffic::{Certainty, Traffic};
use sluice_port::{Destination, Routing};
use sluice_wire::Store;
use sluice_wire::rollout::experiment::New;
use sluice_wire::rollout::routers::noted;
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

/// The same with a router, where steps before give the canary a fifth.
fn weighted(routing: &Value, weights: [u32; 2], status: Value) -> Store {
    let template = |name: &str, reference: &str, weight: u32| json!({"name": name, "specRef": reference, "weight": weight});
    let [base, new] = weights;
    let templates = [template("base", "stable", base), template("new", "canary", new)];
    let experiment = json!({"templates": templates, "duration": "5m"});
    let mut store = world(&experiment, status);
    let mut rollout = (*store.rollout("shop", "web").unwrap()).clone();
    let steps = json!([{"setWeight": 20}, {"experiment": experiment}]);
    let hash = sluice_wire::rollout::hash::steps_hash(Some(&steps));
    rollout["spec"]["strategy"]["canary"] = json!({
        "steps": steps, "trafficRouting": routing,
        "stableService": "stable", "canaryService": "canary",
    });
    rollout["status"]["currentStepHash"] = hash.into();
    rollout["status"]["currentStepIndex"] = 1.into();
    store.apply(Watched::Rollout, noted(&rollout));
    for (name, hash) in [("stable", "old"), ("canary", "new")] {
        store.apply(
            Watched::Service,
            json!({
                "metadata": {"name": name, "namespace": "shop", "resourceVersion": "1",
                    "annotations": {"argo-rollouts.argoproj.io/managed-by-rollouts": "web"}},
                "spec": {"selector": {"app": "web", HASH: hash}},
            }),
        );
    }
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

fn experiment_of(store: &Store, available: u32) -> Value {
    let mut object = made(&take(store)).unwrap().fill(&[set("old", "1"), set("new", "2")]);
    let mut object = object.as_mut().unwrap().body.clone();
    let template = |name: &str, available: u32| {
        json!({"name": name, "availableReplicas": available, "podTemplateHash": format!("h-{name}"),
            "serviceName": format!("try-{name}")})
    };
    let templates = [template("base", 1), template("new", available)];
    object["status"] = json!({"phase": "Running", "templateStatuses": templates});
    object
}

fn asked(turn: &Turn) -> Option<Routing> {
    turn.effects.iter().find_map(|(_, effect)| match effect {
        Effect::Route { routes, .. } => routes.first().map(|route| route.routing.clone()),
        _ => None,
    })
}

#[test]
fn a_weight_makes_a_service_and_gets_its_share_while_the_experiment_runs() {
    let status = json!({"currentExperiment": "web-new-2-1"});
    let routing = json!({"plugins": {"mesh": {}}});
    let mut store = weighted(&routing, [0, 5], status.clone());
    let object = experiment_of(&store, 1);
    assert_eq!(object["spec"]["templates"][1]["service"], json!({}), "it is named by its owner");
    store.apply(Watched::Experiment, object);
    let routing = asked(&take(&store)).unwrap();
    let told = |one: &Destination| (one.service.clone(), one.pod_hash.clone(), one.weight);
    let additional: Vec<_> = routing.additional.iter().map(told).collect();
    assert_eq!(additional, [("try-new".to_owned(), "h-new".to_owned(), 5)]);
    assert_eq!((routing.canary.weight, routing.stable.weight), (20, 75));
    // Without its pods it gets nothing, and the stable side what it would have got.
    let mut store = weighted(&json!({"plugins": {"mesh": {}}}), [0, 5], status);
    let object = experiment_of(&store, 0);
    store.apply(Watched::Experiment, object);
    let routing = asked(&take(&store)).unwrap();
    assert_eq!((routing.additional.len(), routing.stable.weight), (0, 80));
}

#[test]
fn what_experiments_get_is_recorded_and_told_in_argos_words() {
    let status = json!({"currentExperiment": "web-new-2-1", "weights": {
        "canary": {"weight": 20, "podTemplateHash": "new"},
        "stable": {"weight": 80, "podTemplateHash": "old"}}});
    let mut store = weighted(&json!({"plugins": {"mesh": {}}}), [0, 5], status);
    let object = experiment_of(&store, 1);
    store.apply(Watched::Experiment, object);
    let split = take(&store).effects.into_iter().find_map(|(_, effect)| match effect {
        Effect::Route { split, .. } => Some(split),
        _ => None,
    });
    let mut traffic = Traffic::unknown(NOW);
    traffic.confirm(split.unwrap(), Certainty::Converged, NOW);
    let turn = turn(&store.collect("shop", "web", "", traffic, NOW).unwrap());
    let weights = &turn.record.as_ref().unwrap().body["status"]["canary"]["weights"];
    let one = json!({"weight": 5, "serviceName": "try-new", "podTemplateHash": "h-new"});
    assert_eq!((&weights["additional"], &weights["stable"]["weight"]), (&json!([one]), &json!(75)));
    let told = "Traffic weight updated additional: [{5 try-new h-new}]";
    assert!(turn.events.iter().any(|event| event.message == told), "{:?}", turn.events);
}

#[test]
fn a_weight_that_no_router_can_give_is_refused() {
    let refused = |routing: Value, weights| {
        let turn = take(&weighted(&routing, weights, json!({})));
        turn.refusals.first().map(|refusal| refusal.message.clone()).unwrap_or_default()
    };
    assert!(refused(json!({"nginx": {"stableIngress": "web"}}), [5, 5]).contains("nginx"));
    assert_eq!(refused(json!({"plugins": {"mesh": {}}}), [40, 40]), "");
    let much = refused(json!({"plugins": {"mesh": {}}}), [40, 41]);
    assert!(much.contains("beside the canary's 20 there are 80"), "{much}");
}
