//! What is read is what is written, in the order in which it is hashed.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use serde_json::{Value, json};
use sluice_api::quantity::IntOrString;
use sluice_api::rollout::{RolloutSpec, RolloutStatus};
use sluice_api::strategy::CanaryStep;
use sluice_api::{AnalysisRun, AnalysisTemplate, Experiment, Plugin, Rollout};

fn round_trip<T: serde::de::DeserializeOwned + serde::Serialize>(object: Value) {
    let read: T = serde_json::from_value(object.clone()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), object);
}

#[test]
fn rollout() {
    round_trip::<Rollout>(json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": { "name": "shop" },
        "spec": {
            "replicas": 5,
            "selector": { "matchLabels": { "app": "shop" } },
            "template": {
                "metadata": { "labels": { "app": "shop" } },
                "spec": { "containers": [{ "name": "shop", "newerThanThis": { "a": [1, null] } }] },
            },
            "strategy": { "canary": {
                "maxSurge": "25%",
                "maxUnavailable": 0,
                "steps": [
                    { "setWeight": 0 },
                    { "pause": {} },
                    { "pause": { "duration": 30 } },
                    { "pause": { "duration": "5m" } },
                    { "setHeaderRoute": { "name": "beta", "match": [
                        { "headerName": "x-beta", "headerValue": { "exact": "1" } },
                    ] } },
                    { "plugin": { "name": "acme/step", "config": { "any": [1, "thing"] } } },
                ],
                "trafficRouting": {
                    "nginx": { "stableIngress": "shop" },
                    "plugins": { "acme/mesh": { "route": "shop" } },
                    "appMesh": { "virtualService": { "name": "shop" } },
                },
            } },
        },
        "status": {
            "HPAReplicas": 5,
            "stableRS": "6f7c8d",
            "observedGeneration": "3",
            "phase": "SomethingNew",
            "currentStepIndex": 1,
            "pauseConditions": [{ "reason": "CanaryPauseStep", "startTime": "2026-01-01T00:00:00Z" }],
            "canary": { "weights": { "canary": { "weight": 20 }, "stable": { "weight": 80 } } },
        },
    }));
}

#[test]
fn analysis() {
    let metric = json!({
        "name": "errors",
        "interval": "30s",
        "count": "5",
        "failureLimit": -1,
        "successCondition": "result[0] < 0.05",
        "provider": { "prometheus": { "address": "http://prometheus:9090", "query": "up" } },
    });
    let plugged = json!({ "name": "own", "provider": { "plugin": { "acme/metric": { "a": 1 } } } });
    round_trip::<AnalysisTemplate>(json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {},
        "spec": { "args": [{ "name": "service", "value": "" }], "metrics": [metric, plugged] },
    }));
    round_trip::<AnalysisRun>(json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisRun",
        "metadata": {},
        "spec": { "metrics": [metric] },
        "status": {
            "phase": "Running",
            "metricResults": [{ "name": "errors", "phase": "Running", "measurements": [
                { "phase": "Successful", "value": "[0.01]", "startedAt": "2026-01-01T00:00:00Z" },
            ] }],
        },
    }));
}

#[test]
fn experiment() {
    round_trip::<Experiment>(json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Experiment",
        "metadata": {},
        "spec": { "duration": "5m", "templates": [{
            "name": "baseline",
            "selector": { "matchLabels": { "app": "shop" } },
            "template": { "spec": { "containers": [{ "name": "shop" }] } },
        }] },
    }));
}

#[test]
fn plugin() {
    round_trip::<Plugin>(json!({
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "Plugin",
        "metadata": { "name": "datadog" },
        "spec": {
            "source": { "configMap": { "name": "datadog" } },
            "digest": "sha256:0000000000000000000000000000000000000000000000000000000000000000",
            "permissions": { "http": [{ "url": "https://api.datadoghq.com:443", "methods": ["GET"] }] },
            "limits": { "memory": "64Mi", "wall": "10s" },
        },
    }));
}

/// Argo's order, on which the hash over the steps depends.
#[test]
fn members_of_a_step_keep_their_order() {
    let names = [
        "setWeight",
        "pause",
        "experiment",
        "analysis",
        "setCanaryScale",
        "setHeaderRoute",
        "setMirrorRoute",
        "plugin",
    ];
    let step: CanaryStep = serde_json::from_value(json!({
        "plugin": { "name": "p" },
        "setMirrorRoute": { "name": "m" },
        "setHeaderRoute": {},
        "setCanaryScale": {},
        "analysis": {},
        "experiment": { "templates": [] },
        "pause": {},
        "setWeight": 10,
    }))
    .unwrap();
    let text = serde_json::to_string(&step).unwrap();
    let places: Vec<_> =
        names.iter().map(|name| text.find(&format!("\"{name}\":")).expect(name)).collect();
    assert!(places.is_sorted(), "{text}");
}

#[test]
fn reading_is_tolerant() {
    let status: RolloutStatus = serde_json::from_value(json!({
        "fromTheFuture": { "a": 1 },
        "abort": null,
        "pauseConditions": null,
        "phase": "Unheard",
    }))
    .unwrap();
    assert_eq!(status, RolloutStatus { phase: Some("Unheard".into()), ..Default::default() });

    let bare: Rollout = serde_json::from_value(json!({ "spec": {} })).unwrap();
    assert_eq!(bare, Rollout::default());
    assert_eq!(bare.api_version, "argoproj.io/v1alpha1");
    assert_eq!(bare.spec, RolloutSpec::default());
}

#[test]
fn numbers_and_texts_stay_what_they_are() {
    let read = |value: Value| serde_json::from_value::<IntOrString>(value).unwrap();
    assert_eq!(read(json!(5)), IntOrString::Int(5));
    assert_eq!(read(json!("5")), IntOrString::String("5".into()));
}
