//! The changes may stop at any point: whatever was applied until then, no subset gets traffic
//! before it selects the right pods, and none loses its pods while it has traffic.

use serde::Deserialize;
use serde_json::{Value, json};
use sluice_plugin_istio::{Config, Istio};
use sluice_sdk::traffic::{Router, Routing};

use crate::golden;

const HASH: &str = "rollouts-pod-template-hash";
const HASHES: [&str; 3] = ["", "one", "two"];
const WEIGHTS: [u32; 3] = [0, 30, 100];

/// A subset's share of the traffic and the pods that it selects.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Subset<'a> {
    weight: u32,
    hash: &'a str,
}

#[test]
fn the_changes_can_stop_anywhere() {
    let config = config();
    let mut stops = 0;
    for before in splits().filter(|[canary, _]| canary.weight == 0 || !canary.hash.is_empty()) {
        for [canary, stable] in splits() {
            let wanted = golden::parse(&json!({
                "canary": { "weight": canary.weight, "podHash": canary.hash },
                "stable": { "weight": stable.weight, "podHash": stable.hash },
            }));
            if canary.weight > 0 && canary.hash.is_empty() {
                assert!(Istio::route(&wanted, &config, &objects(before)).is_err());
                continue;
            }
            stops += follow(&wanted, &config, before, [canary, stable]);
        }
    }
    assert!(stops > 800, "only {stops} stops were looked at");
}

/// A mirror has no weight, and must not copy requests to every pod either.
#[test]
fn copies_go_to_the_pods_of_the_canary_alone() {
    let config = config();
    let with_copies = golden::parse(&json!({
        "managedRoutes": ["copy"],
        "canary": { "weight": 0, "podHash": "one" },
        "mirrorRoutes": [{ "name": "copy", "matches": [{}], "percentage": 100 }],
    }));
    let stable = Subset { weight: 100, hash: "old" };
    let mut objects = objects([Subset { weight: 0, hash: "one" }, stable]);
    objects = golden::apply(&objects, &Istio::route(&with_copies, &config, &objects).unwrap());
    assert!(has_mirror(&objects));

    let idle = golden::parse(&json!({ "managedRoutes": ["copy"], "canary": { "podHash": "" } }));
    for _ in 0..2 {
        for change in Istio::route(&idle, &config, &objects).unwrap() {
            objects = golden::apply(&objects, &[change]);
            let [(_, hash), _] = subsets(&objects);
            assert!(!has_mirror(&objects) || hash == "one", "copies to every pod: {objects:#?}");
        }
    }
    assert!(!has_mirror(&objects));
    assert_eq!(subsets(&objects), [(0, ""), (100, "old")]);
}

fn config() -> Config {
    let config = json!({
        "virtualService": { "name": "shop" },
        "destinationRule": {
            "name": "shop", "canarySubsetName": "canary", "stableSubsetName": "stable",
        },
    });
    Config::deserialize(config).unwrap()
}

fn has_mirror(objects: &[Value]) -> bool {
    let service = objects.iter().find(|o| o["kind"] == "VirtualService").unwrap();
    let routes = service["spec"]["http"].as_array().unwrap();
    routes.iter().any(|route| route["mirror"]["subset"] == "canary")
}

/// Applies the changes one by one, and those of the next call, and looks at every stop.
fn follow(w: &Routing, c: &Config, before: [Subset<'_>; 2], after: [Subset<'_>; 2]) -> usize {
    let mut objects = objects(before);
    let mut stops = 0;
    for _ in 0..2 {
        for change in Istio::route(w, c, &objects).unwrap() {
            let last = subsets(&objects).map(|(weight, hash)| (weight, hash.to_owned()));
            objects = golden::apply(&objects, &[change]);
            let seen = format!("from {before:?} to {after:?}: {objects:#?}");
            for (at, (weight, hash)) in subsets(&objects).into_iter().enumerate() {
                if last[at].0 == 0 && weight > 0 {
                    assert_eq!(hash, after[at].hash, "traffic before pods, {seen}");
                }
                if weight > 0 && after[at].weight == 0 {
                    assert_eq!(hash, before[at].hash, "pods gone before traffic, {seen}");
                }
            }
            stops += 1;
        }
    }
    let settled = subsets(&objects).map(|(weight, hash)| Subset { weight, hash });
    assert_eq!(settled, after);
    stops
}

fn splits() -> impl Iterator<Item = [Subset<'static>; 2]> {
    WEIGHTS.into_iter().flat_map(|weight| {
        HASHES.into_iter().flat_map(move |canary| {
            HASHES.into_iter().map(move |stable| {
                [Subset { weight, hash: canary }, Subset { weight: 100 - weight, hash: stable }]
            })
        })
    })
}

fn objects([canary, stable]: [Subset<'_>; 2]) -> Vec<Value> {
    let labels = |subset: Subset<'_>| match subset.hash {
        "" => json!({ "app": "shop" }),
        hash => json!({ "app": "shop", HASH: hash }),
    };
    let destination = |subset, weight| json!({ "destination": { "host": "shop", "subset": subset }, "weight": weight });
    vec![
        json!({
            "apiVersion": "networking.istio.io/v1beta1",
            "kind": "DestinationRule",
            "metadata": { "name": "shop", "namespace": "web" },
            "spec": { "host": "shop", "subsets": [
                { "name": "canary", "labels": labels(canary) },
                { "name": "stable", "labels": labels(stable) },
            ]},
        }),
        json!({
            "apiVersion": "networking.istio.io/v1beta1",
            "kind": "VirtualService",
            "metadata": { "name": "shop", "namespace": "web" },
            "spec": { "http": [{ "route": [
                destination("canary", canary.weight),
                destination("stable", stable.weight),
            ]}]},
        }),
    ]
}

/// Weight and hash of the canary's and the stable subset.
fn subsets(objects: &[Value]) -> [(u32, &str); 2] {
    let of_kind = |kind: &str| objects.iter().find(|o| o["kind"] == *kind).unwrap();
    let rule = of_kind("DestinationRule");
    let service = of_kind("VirtualService");
    [0, 1].map(|at| {
        let weight = service["spec"]["http"][0]["route"][at]["weight"].as_u64().unwrap();
        let hash = rule["spec"]["subsets"][at]["labels"][HASH].as_str().unwrap_or_default();
        (u32::try_from(weight).unwrap(), hash)
    })
}
