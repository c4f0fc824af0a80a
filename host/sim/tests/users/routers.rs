//! A user names other routers while a release is under way, or none, or gives the rollout up.

use std::time::Duration;

use crate::bench::{Bench, NAME, NAMESPACE, rollout};
use serde_json::{Value, json};
use sluice_sim::plane::{Live, Manner};
use sluice_sim::shell::{Note, lock};

const NOTED: &str = "/metadata/annotations/sluice.dev~1routers";

fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"selector": {"app": NAME}},
    })
}

/// A release of version 2 that has half of the traffic through the router `one`.
fn half_way() -> Bench {
    let canary = json!({
        "stableService": "stable", "canaryService": "canary",
        "trafficRouting": {"plugins": {"one": {"a": 1}}},
        "steps": [{"setWeight": 50}, {"pause": {}}],
    });
    let mut bench = Bench::new(vec![service("stable"), service("canary"), rollout(canary)]);
    bench.pass(60);
    bench.update(2);
    bench.pass(60);
    assert_eq!(bench.weights(), [("one".to_owned(), 50)]);
    bench
}

impl Bench {
    fn live(&self) -> Vec<Live> {
        self.cluster.live(NAMESPACE, NAME)
    }

    /// The canary's weight by router.
    fn weights(&self) -> Vec<(String, u32)> {
        self.live().into_iter().map(|live| (live.router, live.canary)).collect()
    }

    fn reroute(&mut self, routing: Value, seconds: u64) {
        self.patch(None, json!({"spec": {"strategy": {"canary": {"trafficRouting": routing}}}}));
        self.pass(seconds);
    }

    fn released(&self) -> Vec<&str> {
        let released = self.notes.iter().filter_map(|note| match note {
            Note::Released(_, router) => Some(router.as_str()),
            _ => None,
        });
        released.collect()
    }

    fn waits(&self) -> String {
        let turn = self.cluster.shell.peek(NAMESPACE, NAME).unwrap();
        turn.waiting.map_or_else(String::new, |waiting| waiting.to_string())
    }
}

#[test]
fn who_is_asked_is_noted_first() {
    let bench = half_way();
    let asked = bench.notes.iter().position(|note| matches!(note, Note::Asked(..))).unwrap();
    let noted = bench.notes.iter().position(|note| match note {
        Note::Wrote(write) => write.body.pointer(NOTED).is_some(),
        _ => false,
    });
    assert!(noted.unwrap() < asked);
    let noted: Value = serde_json::from_str(bench.rollout(NOTED).as_str().unwrap()).unwrap();
    assert_eq!(noted["inCharge"]["routers"], json!([{"name": "one", "config": {"a": 1}}]));
    // It is no annotation of the user's, which ReplicaSets would carry as well.
    assert!(bench.sets().iter().all(|set| set.pointer(NOTED).is_none()));
}

#[test]
fn another_router_takes_over_and_the_first_takes_its_routes_back() {
    let mut bench = half_way();
    bench.reroute(json!({"plugins": {"one": null, "two": {}}}), 60);
    assert_eq!((bench.weights(), bench.released()), (vec![("two".to_owned(), 50)], vec!["one"]));
    let events = bench.events();
    assert!(events.iter().any(|(reason, _)| *reason == "TrafficRouterReleased"), "{events:?}");
    assert!(!bench.rollout(NOTED).as_str().unwrap().contains("former"));
    assert_eq!(bench.rollout("/status/currentStepIndex"), 1);
}

#[test]
fn one_router_more_changes_nothing_for_the_first() {
    let mut bench = half_way();
    bench.reroute(json!({"plugins": {"two": {}}}), 60);
    assert_eq!(bench.weights(), [("one".to_owned(), 50), ("two".to_owned(), 50)]);
    let asked = bench.notes.iter().filter(|note| matches!(note, Note::Asked(..)));
    assert!(asked.count() < 4 && bench.released().is_empty());
}

#[test]
fn a_router_that_stays_is_not_forgotten_when_its_neighbour_goes() {
    let mut bench = half_way();
    bench.reroute(json!({"plugins": {"two": {}}}), 60);
    bench.patch(
        None,
        json!({"spec": {"strategy": {"canary": {"trafficRouting": {"plugins": {"two": null}}}}}}),
    );
    while bench.rollout(NOTED).as_str().is_none_or(|noted| !noted.contains("former")) {
        let next = bench.cluster.next_at().unwrap();
        let notes = sluice_sim::cluster::at_once(bench.cluster.advance(next));
        bench.notes.extend(notes);
    }
    // Before it is asked again, nobody is named any more.
    bench.reroute(Value::Null, 60);
    let mut released = bench.released();
    // Of two that let go at once, one may have to say so again.
    released.dedup();
    assert_eq!((bench.live(), released), (vec![], vec!["two", "one"]));
}

#[test]
fn another_configuration_is_another_place() {
    let mut bench = half_way();
    bench.reroute(json!({"plugins": {"one": {"a": 2}}}), 60);
    let live = bench.live();
    assert_eq!((live.len(), live[0].canary, live[0].config.as_str()), (1, 50, r#"{"a":2}"#));
}

#[test]
fn without_a_router_pods_divide_the_traffic_once_the_last_took_its_routes_back() {
    let mut bench = half_way();
    bench.reroute(Value::Null, 60);
    assert_eq!((bench.live(), bench.released()), (vec![], vec!["one"]));
    assert_eq!(bench.rollout(NOTED), Value::Null);
    assert_eq!(
        (&bench.set(1)["spec"]["replicas"], &bench.set(2)["spec"]["replicas"]),
        (&json!(1), &json!(1))
    );
}

#[test]
fn another_strategy_begins_once_the_router_is_left() {
    let mut bench = half_way();
    let blue_green = json!({"activeService": "stable", "previewService": "canary", "autoPromotionEnabled": false});
    bench.patch(None, json!({"spec": {"strategy": {"canary": null, "blueGreen": blue_green}}}));
    bench.pass(60);
    assert_eq!((bench.live(), bench.released()), (vec![], vec!["one"]));
    assert_eq!(bench.rollout("/status/phase"), "Paused");
    assert_eq!(
        bench.rollout("/status/blueGreen/previewSelector"),
        bench.rollout("/status/currentPodHash")
    );
    assert_ne!(bench.rollout("/status/stableRS"), bench.rollout("/status/currentPodHash"));
}

#[test]
fn a_router_that_takes_nothing_back_stops_nobody_and_is_told_of() {
    let mut bench = half_way();
    bench.patch(None, json!({"spec": {"strategy": {"canary": {"trafficRouting": {"plugins": {"one": null, "two": {}}}}}}}));
    // From the moment at which the first is left, nothing that is asked succeeds for a while.
    while bench.rollout(NOTED).as_str().is_none_or(|noted| !noted.contains("former")) {
        let next = bench.cluster.next_at().unwrap();
        let notes = sluice_sim::cluster::at_once(bench.cluster.advance(next));
        bench.notes.extend(notes);
    }
    bench.cluster.plane.set_manner(Manner { fails_every: 1, ..Manner::default() });
    bench.pass(30);
    assert!(bench.released().is_empty());
    bench.cluster.plane.set_manner(Manner::default());
    bench.pass(10);
    assert_eq!(bench.rollout("/status/canary/weights/canary/weight"), 50);
    assert!(bench.notes.iter().any(|note| match note {
        Note::Announced(_, event) => event.reason == "TrafficRoutingError",
        _ => false,
    }));
    bench.pass(60);
    assert_eq!(bench.released(), ["one"]);
}

#[test]
fn a_router_that_always_fails_is_left_all_the_same() {
    let mut bench = half_way();
    bench.cluster.plane.set_manner(Manner { fails_every: 1, ..Manner::default() });
    bench.reroute(json!({"plugins": {"one": null, "two": {}}}), 30);
    let noted = bench.rollout(NOTED).to_string();
    assert!(noted.contains("lost") && noted.contains("did not answer"), "{noted}");
    bench.cluster.plane.set_manner(Manner::default());
    bench.pass(120);
    assert_eq!((bench.weights(), bench.released()), (vec![("two".to_owned(), 50)], vec!["one"]));
    assert_eq!(bench.waits(), "a pause step that ends when somebody promotes");
}

#[test]
fn the_routers_of_a_rollout_that_is_gone_take_their_routes_back() {
    let mut bench = half_way();
    lock(&bench.cluster.world).delete("Rollout", NAMESPACE, NAME, &Value::Null).unwrap();
    bench.pass(60);
    assert_eq!((bench.live(), bench.released()), (vec![], vec!["one"]));
}

#[test]
fn a_rollout_of_the_same_name_keeps_the_routes() {
    let mut bench = half_way();
    let mut again = rollout(json!({
        "stableService": "stable", "canaryService": "canary",
        "trafficRouting": {"plugins": {"one": {"a": 1}}}, "steps": [],
    }));
    again["spec"]["replicas"] = 1.into();
    for kind in ["Rollout", "Service"] {
        lock(&bench.cluster.world).set_lag(kind, Duration::ZERO);
    }
    lock(&bench.cluster.world).delete("Rollout", NAMESPACE, NAME, &Value::Null).unwrap();
    lock(&bench.cluster.world).create(again).unwrap();
    bench.pass(60);
    assert!(bench.released().is_empty());
    assert_eq!(bench.weights(), [("one".to_owned(), 0)]);
}
