//! Experiments from their first turn to their last, with an API server of a few lines.

#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sluice_core::experiment::Waiting;
use sluice_core::observed::Hash;
use sluice_core::traffic::{Additional, Certainty, Split, Traffic};
use sluice_core::{Share, Timestamp};
use sluice_wire::Store;
use sluice_wire::experiment::{Learnt, Turn, turn};
use sluice_wire::rollout::{Verb, Write};
use sluice_wire::store::Watched;

const HASH: &str = "rollouts-pod-template-hash";

fn at(seconds: u64) -> Timestamp {
    Timestamp(1_700_000_000_000 + seconds * 1000)
}

/// The objects, and the experiment `e` among them.
struct World {
    objects: BTreeMap<(String, String), Value>,
    store: Store,
    learnt: Learnt,
    /// What is known of the traffic of rollouts.
    traffic: Traffic,
    now: Timestamp,
    version: u64,
    /// Reason and message of every event.
    events: Vec<(String, String)>,
}

impl World {
    fn new(spec: Value) -> Self {
        let mut world = Self {
            objects: BTreeMap::new(),
            store: Store::new(),
            learnt: Learnt::default(),
            traffic: Traffic::unknown(at(0)),
            now: at(0),
            version: 0,
            events: Vec::new(),
        };
        world.put(json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Experiment",
            "metadata": {"name": "e", "namespace": "shop", "uid": "u-e",
                "creationTimestamp": "2023-11-14T22:13:20Z"},
            "spec": spec,
        }));
        world
    }

    /// Store an object as a server does, and tell of it.
    fn put(&mut self, mut object: Value) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        object["metadata"]["namespace"] = "shop".into();
        let text = |pointer| object.pointer(pointer).unwrap().as_str().unwrap().to_owned();
        let (kind, name) = (text("/kind"), text("/metadata/name"));
        if let Some(kind) = Watched::of_kind(&kind) {
            self.store.apply(kind, object.clone());
        }
        self.objects.insert((kind, name), object);
    }

    fn get(&self, kind: &str, name: &str) -> Option<&Value> {
        self.objects.get(&(kind.to_owned(), name.to_owned()))
    }

    fn status(&self) -> &Value {
        &self.get("Experiment", "e").unwrap()["status"]
    }

    fn change(&mut self, kind: &str, name: &str, patch: &Value) {
        let mut object = self.get(kind, name).unwrap().clone();
        merge(&mut object, patch);
        self.put(object);
    }

    fn perform(&mut self, write: &Write) {
        let (kind, name) = (write.target.kind, write.target.name.as_str());
        match write.verb {
            Verb::Create => {
                assert!(self.get(kind, name).is_none(), "{kind} {name} is made twice");
                let mut object = write.body.clone();
                object["metadata"]["uid"] = format!("u-{name}").into();
                self.put(object);
            }
            Verb::Merge => {
                let lock = write.body.pointer("/metadata/resourceVersion");
                let have = &self.get(kind, name).unwrap()["metadata"]["resourceVersion"];
                assert!(lock.is_none_or(|lock| lock == have), "{kind} {name} changed meanwhile");
                self.change(kind, name, &write.body);
            }
            Verb::Delete => {
                self.objects.remove(&(kind.to_owned(), name.to_owned())).unwrap();
                self.store.remove(Watched::of_kind(kind).unwrap(), "shop", name);
            }
            Verb::Patch => panic!("nothing is patched so"),
        }
    }

    fn look(&self) -> Turn {
        let traffic = |_: &str, _: &str| self.traffic.clone();
        let objects = self.store.collect_experiment("shop", "e", "", self.now, traffic);
        let mut objects = objects.unwrap();
        objects.learnt.taken.extend(self.learnt.taken.iter().cloned());
        objects.learnt.refused.clone_from(&self.learnt.refused);
        objects.learnt.trouble.clone_from(&self.learnt.trouble);
        turn(&objects)
    }

    /// Take turns until there is nothing to write, of which each ends after `most` writes: the
    /// controller dies then.
    fn settle_dying_after(&mut self, most: usize) -> Turn {
        for _ in 0..50 {
            let turn = self.look();
            let writes = turn.record.iter().chain(turn.effects.iter().map(|(_, write)| write));
            let writes: Vec<Write> = writes.take(most).cloned().collect();
            let events = turn.events.iter();
            self.events.extend(events.map(|one| (one.reason.to_owned(), one.message.clone())));
            if writes.is_empty() {
                return turn;
            }
            for write in writes {
                self.perform(&write);
            }
        }
        panic!("it never comes to rest: {:?}", self.look());
    }

    fn settle(&mut self) -> Turn {
        self.settle_dying_after(usize::MAX)
    }

    /// All pods that a ReplicaSet is to have are there, and none else.
    fn pods(&mut self, set: &str) {
        let wanted = self.get("ReplicaSet", set).unwrap()["spec"]["replicas"].clone();
        let status = json!({"replicas": wanted, "readyReplicas": wanted,
            "availableReplicas": wanted, "observedGeneration": 1});
        self.change("ReplicaSet", set, &json!({"status": status}));
    }

    fn names(&self) -> Vec<String> {
        self.objects.keys().map(|(kind, name)| format!("{kind} {name}")).collect()
    }
}

fn merge(into: &mut Value, patch: &Value) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            for (key, value) in patch {
                if value.is_null() {
                    into.remove(key);
                } else {
                    merge(into.entry(key.clone()).or_insert(Value::Null), value);
                }
            }
        }
        (into, patch @ Value::Object(_)) => {
            *into = json!({});
            merge(into, patch);
        }
        (into, patch) => *into = patch.clone(),
    }
}

fn template(name: &str, replicas: u32) -> Value {
    json!({
        "name": name, "replicas": replicas,
        "selector": {"matchLabels": {"app": "shop", "side": name}},
        "template": {
            // As a step copies them from a ReplicaSet.
            "metadata": {"labels": {"app": "shop", "side": name, HASH: "older"}},
            "spec": {"containers": [{"name": "c", "image": "shop:1",
                "ports": [{"containerPort": 80, "name": "http"}]}]}},
    })
}

fn judge() -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
        "metadata": {"name": "judge"},
        "spec": {"args": [{"name": "hash"}, {"name": "from"}],
            "metrics": [{"name": "m", "provider": {"prometheus": {"query": "q"}}}]},
    })
}

/// Two versions with a Service and an analysis, for five minutes.
fn full() -> Value {
    let mut new = template("new", 2);
    new["service"] = json!({});
    json!({
        "duration": "5m",
        "templates": [template("base", 1), new],
        "analyses": [{"name": "check", "templateName": "judge", "args": [
            {"name": "hash", "value": "{{templates.new.podTemplateHash}}"},
            {"name": "from", "value": "{{ experiment.availableAt }}"},
        ]}],
        "analysisRunMetadata": {"labels": {"team": "red"}},
    })
}

fn live(most: usize) -> World {
    let mut world = World::new(full());
    world.put(judge());
    world.settle_dying_after(most);
    for set in ["e-base", "e-new"] {
        world.pods(set);
    }
    world.now = at(10);
    world.settle_dying_after(most);
    world
}

#[test]
fn what_is_made_has_the_names_and_labels_that_find_it() {
    let world = live(usize::MAX);
    let set = world.get("ReplicaSet", "e-new").unwrap();
    let hash = set["metadata"]["labels"][HASH].as_str().unwrap();
    assert_ne!(hash, "older");
    let labels = json!({"app": "shop", "side": "new", HASH: hash});
    assert_eq!(set["spec"]["template"]["metadata"]["labels"], labels);
    assert_eq!(set["spec"]["selector"], json!({"matchLabels": labels}));
    let notes = json!({"experiment.argoproj.io/name": "e",
        "experiment.argoproj.io/template-name": "new"});
    assert_eq!(set["metadata"]["annotations"], notes);
    assert_eq!(set["metadata"]["ownerReferences"][0]["uid"], "u-e");
    let service = world.get("Service", "e-new").unwrap();
    let port = json!([{"name": "http", "port": 80, "targetPort": 80, "protocol": "TCP"}]);
    assert_eq!(service["spec"], json!({"selector": labels, "ports": port}));
    let run = world.get("AnalysisRun", "e-check").unwrap();
    let args = json!([{"name": "hash", "value": hash},
        {"name": "from", "value": "2023-11-14T22:13:30Z"}]);
    assert_eq!(run["spec"]["args"], args);
    assert_eq!(run["metadata"]["labels"], json!({"team": "red"}));
    let status = world.status();
    assert_eq!(
        (&status["phase"], &status["availableAt"]),
        (&json!("Running"), &json!("2023-11-14T22:13:30Z"))
    );
    let mut shown = status["templateStatuses"][1].clone();
    let since = shown.as_object_mut().unwrap().remove("lastTransitionTime");
    assert_eq!(since, Some(json!("2023-11-14T22:13:30Z")));
    let expected = json!({"name": "new", "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2,
        "availableReplicas": 2, "status": "Running", "serviceName": "e-new",
        "podTemplateHash": hash});
    assert_eq!(shown, expected);
    let runs = json!([{"name": "check", "analysisRun": "e-check", "phase": "Pending"}]);
    assert_eq!(status["analysisRuns"], runs);
}

#[test]
fn an_experiment_ends_after_its_duration_and_leaves_nothing_with_pods() {
    for most in [usize::MAX, 2, 1] {
        let mut world = live(most);
        let running = json!({"status": {"phase": "Running"}});
        world.change("AnalysisRun", "e-check", &running);
        world.now = at(309);
        world.settle_dying_after(most);
        assert_eq!(world.status()["phase"], "Running");
        world.now = at(310);
        let over = world.settle_dying_after(most);
        assert_eq!(world.status()["phase"], "Successful");
        let told = &world.get("AnalysisRun", "e-check").unwrap()["spec"]["terminate"];
        assert_eq!((told, over.wake.unwrap().at), (&json!(true), at(340)));
        let done = json!({"status": {"phase": "Successful"}});
        world.change("AnalysisRun", "e-check", &done);
        world.now = at(340);
        world.settle_dying_after(most);
        assert_eq!(world.get("ReplicaSet", "e-new").unwrap()["spec"]["replicas"], 0);
        for set in ["e-base", "e-new"] {
            world.pods(set);
        }
        let rest = world.settle_dying_after(most);
        assert_eq!((rest.waiting, rest.wake), (None, None));
        let left = [
            "AnalysisRun e-check",
            "AnalysisTemplate judge",
            "Experiment e",
            "ReplicaSet e-base",
            "ReplicaSet e-new",
        ];
        assert_eq!(world.names(), left);
        let status = world.status();
        assert_eq!(status["analysisRuns"][0]["phase"], "Successful");
        let template = &status["templateStatuses"][1];
        assert_eq!((&template["replicas"], template.get("serviceName")), (&json!(0), None));
        let kinds: Vec<_> = status["conditions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                format!("{}={}", one["type"].as_str().unwrap(), one["status"].as_str().unwrap())
            })
            .collect();
        assert_eq!(kinds, ["Progressing=False", "Running=False", "Completed=True"]);
    }
}

#[test]
fn events_have_argos_reasons() {
    let mut world = live(usize::MAX);
    let failed = json!({"status": {"phase": "Failed", "message": "too slow"}});
    world.change("AnalysisRun", "e-check", &failed);
    let turn = world.look();
    let owner: Vec<_> = turn.owner_events.iter().map(|event| event.reason).collect();
    assert_eq!(owner, ["AnalysisRunFailed"]);
    world.settle();
    let said: Vec<_> =
        world.events.iter().map(|(reason, message)| (&**reason, &**message)).collect();
    let expected = [
        ("TemplateProgressing", "Template 'base' is Progressing"),
        ("TemplateProgressing", "Template 'new' is Progressing"),
        ("ExperimentPending", "Experiment is Pending"),
        ("TemplateRunning", "Template 'base' transitioned from Progressing -> Running"),
        ("TemplateRunning", "Template 'new' transitioned from Progressing -> Running"),
        ("AnalysisRunPending", "AnalysisRun 'e-check' is Pending"),
        ("ExperimentRunning", "Experiment transitioned from Pending -> Running"),
        (
            "AnalysisRunFailed",
            "AnalysisRun 'e-check' transitioned from Pending -> Failed: too slow",
        ),
        ("ExperimentFailed", "Experiment transitioned from Running -> Failed: too slow"),
        ("TemplateSuccessful", "Template 'base' transitioned from Running -> Successful"),
        ("TemplateSuccessful", "Template 'new' transitioned from Running -> Successful"),
    ];
    assert_eq!(said, expected);
    assert_eq!(world.status()["message"], "too slow");
}

#[test]
fn somebody_elses_names_are_left_alone() {
    let foreign = |kind: &str, name: &str| {
        let mut object = json!({"apiVersion": "x/v1", "kind": kind,
            "metadata": {"name": name, "uid": format!("u-other-{name}")}, "spec": {}});
        if kind == "ReplicaSet" {
            object["metadata"]["labels"] = json!({HASH: "theirs"});
        }
        object
    };
    let mut world = World::new(full());
    world.put(judge());
    world.put(foreign("ReplicaSet", "e-new"));
    world.put(foreign("AnalysisRun", "e-check"));
    world.settle();
    assert_eq!(world.status()["templateStatuses"][1]["collisionCount"], 1);
    for set in ["e-base", "e-new-1"] {
        world.pods(set);
    }
    world.settle();
    let run = &world.status()["analysisRuns"][0]["analysisRun"];
    assert_eq!(run, "e-check.1");
    let service = &world.get("Service", "e-new-1").unwrap()["spec"]["selector"];
    let set = &world.get("ReplicaSet", "e-new-1").unwrap()["metadata"]["labels"];
    assert_eq!(service, set);
}

#[test]
fn two_versions_of_the_same_pods_have_hashes_of_their_own() {
    let mut same = template("one", 1);
    same["name"] = "two".into();
    let mut world = World::new(json!({"templates": [template("one", 1), same]}));
    world.settle();
    let hash =
        |set: &str| world.get("ReplicaSet", set).unwrap()["metadata"]["labels"][HASH].clone();
    assert_ne!(hash("e-one"), hash("e-two"));
}

#[test]
fn a_service_of_a_name_that_is_in_use_is_waited_for() {
    let mut spec = full();
    spec["templates"][1]["service"] = json!({"name": "front"});
    let mut world = World::new(spec);
    world.put(judge());
    world.put(json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "front", "uid": "u-front"}, "spec": {}}));
    world.settle();
    for set in ["e-base", "e-new"] {
        world.pods(set);
    }
    world.settle();
    let template = &world.status()["templateStatuses"][1];
    assert_eq!(template["status"], "Progressing");
    let why = "Service 'front' exists and is not controlled by this experiment";
    assert_eq!((&template["message"], template.get("serviceName")), (&json!(why), None));
    world.objects.remove(&("Service".to_owned(), "front".to_owned()));
    let touched = world.store.remove(Watched::Service, "shop", "front");
    assert!(touched.experiments.contains(&("shop".to_owned(), "e".to_owned())));
    world.settle();
    assert_eq!(world.status()["templateStatuses"][1]["serviceName"], "front");
}

#[test]
fn what_the_server_will_not_have_ends_the_experiment() {
    let mut world = World::new(full());
    world.put(judge());
    let key = ("ReplicaSet".to_owned(), "e-new".to_owned());
    world.learnt.trouble.insert(key.clone(), "exceeded quota".to_owned());
    let turn = world.look();
    let why = "Template 'new' cannot be made: exceeded quota".to_owned();
    assert_eq!(turn.waiting, Some(Waiting::Template { name: "base".into(), why: String::new() }));
    assert_eq!(turn.status.templates[1].message, why);
    world.learnt.refused.insert(key, "spec.containers: Required value".to_owned());
    let turn = world.look();
    let phase = turn.status.phase;
    let why = "Template 'new' cannot be made: spec.containers: Required value";
    assert_eq!((phase, &*turn.status.message), (Some(sluice_core::observed::RunPhase::Error), why));
}

#[test]
fn a_malformed_experiment_says_everything_that_is_wrong() {
    let mut broken = template("base", 1);
    broken["selector"] = json!({"matchLabels": {"app": "other"}});
    broken["minReadySeconds"] = 900.into();
    let mut world =
        World::new(json!({"duration": "soon", "templates": [broken, template("base", 1)]}));
    world.settle();
    let expected = "The Experiment \"e\" is invalid: \
        spec.duration: Invalid value: \"soon\": write a number and a unit, such as 90s or 1h30m; \
        spec.templates[1].name: Duplicate value: \"base\"; \
        spec.templates[0].minReadySeconds: Invalid value: must be smaller than \
        progressDeadlineSeconds, which is 600; \
        spec.templates[0].template.metadata.labels: Invalid value: the selector wants app=other; \
        give the pods this label";
    assert_eq!(world.status()["message"], expected);
    let condition = &world.status()["conditions"][0];
    assert_eq!(
        (&condition["type"], &condition["message"]),
        (&json!("InvalidSpec"), &json!(expected))
    );
    assert_eq!(world.events.len(), 2, "{:?}", world.events);
    assert_eq!(world.names(), ["Experiment e"]);
}

#[test]
fn an_argument_that_names_no_version_ends_the_experiment() {
    let mut spec = full();
    spec["analyses"][0]["args"][0]["value"] = "{{templates.old.podTemplateHash}}".into();
    let mut world = World::new(spec);
    world.put(judge());
    world.now = at(6);
    world.settle();
    let status = world.status();
    assert_eq!(
        (&status["phase"], &status["message"]),
        (&json!("Error"), &json!("failed to resolve {{templates.old.podTemplateHash}}"))
    );
}

#[test]
fn one_that_is_tried_again_is_judged_anew() {
    let mut world = live(usize::MAX);
    let failed = json!({"status": {"phase": "Failed", "message": "too slow"}});
    world.change("AnalysisRun", "e-check", &failed);
    world.settle();
    let deadline = |world: &World| {
        let set = world.get("ReplicaSet", "e-new").unwrap();
        set.pointer("/metadata/annotations/scale-down-deadline").cloned()
    };
    assert_eq!((&world.status()["phase"], deadline(&world).is_some()), (&json!("Failed"), true));
    // As `kubectl argo rollouts retry experiment` does.
    world.change("Experiment", "e", &json!({"status": null}));
    world.settle();
    let status = world.status();
    let runs = json!([{"name": "check", "analysisRun": "e-check.1", "phase": "Pending"}]);
    assert_eq!((&status["phase"], &status["analysisRuns"]), (&json!("Running"), &runs));
    assert_eq!(deadline(&world), None);
}

#[test]
fn another_instance_and_one_that_is_going_are_left_alone() {
    let mut world = World::new(full());
    let there = |world: &World, instance: &str| {
        world
            .store
            .collect_experiment("shop", "e", instance, at(0), |_, _| Traffic::unknown(at(0)))
            .is_some()
    };
    assert!(there(&world, "") && !there(&world, "blue"));
    let label = json!({"argo-rollouts.argoproj.io/controller-instance-id": "blue"});
    world.change("Experiment", "e", &json!({"metadata": {"labels": label}}));
    assert!(!there(&world, "") && there(&world, "blue"));
    let going = json!({"metadata": {"deletionTimestamp": "2023-11-14T22:13:20Z"}});
    world.change("Experiment", "e", &going);
    assert!(!there(&world, "blue"));
}

#[test]
fn pods_stay_while_the_rollout_may_send_requests_to_them() {
    let mut world = live(usize::MAX);
    world.put(json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": {"name": "shop", "uid": "u-r"},
        "spec": {"strategy": {"canary": {"trafficRouting": {"istio": {}}}}}}));
    let owner = json!([{"kind": "Rollout", "name": "shop", "uid": "u-r", "controller": true}]);
    let end = json!({"metadata": {"ownerReferences": owner},
        "spec": {"scaleDownDelaySeconds": 0, "terminate": true}});
    world.change("Experiment", "e", &end);
    world.change("AnalysisRun", "e-check", &json!({"status": {"phase": "Successful"}}));
    let hash = || Hash("new".to_owned());
    let share = Share::new(10, 100).unwrap();
    let one = Additional { service: "e-new".into(), hash: hash(), share };
    let split = |additional: Vec<Additional>| Split {
        stable: hash(),
        canary: hash(),
        share: Share::NONE,
        routes: Vec::new(),
        pong: false,
        additional,
    };
    let replicas = |world: &World| {
        ["e-base", "e-new"]
            .map(|set| world.get("ReplicaSet", set).unwrap()["spec"]["replicas"].clone())
    };
    // A controller that has just begun knows nothing, and one that asked does not know yet.
    let mut asked = Traffic::unknown(at(0));
    asked.confirm(split(Vec::new()), Certainty::Converged, at(0));
    asked.asked(split(vec![one]));
    for unsure in [Traffic::unknown(at(0)), asked] {
        world.traffic = unsure;
        let kept = world.settle();
        assert_eq!(world.status()["phase"], "Successful");
        assert_eq!(replicas(&world), [json!(0), json!(2)]);
        assert_eq!(kept.waiting, Some(Waiting::Pods { template: "base".into() }));
    }
    world.traffic.confirm(split(Vec::new()), Certainty::Written, at(20));
    world.now = at(24);
    world.settle();
    assert_eq!(replicas(&world), [json!(0), json!(2)], "requests may still be under way");
    world.now = at(25);
    world.settle();
    assert_eq!(replicas(&world), [json!(0), json!(0)]);
}
