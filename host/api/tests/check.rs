//! What a misspelt or mistyped manifest is told.

use serde_json::{Value, json};
use sluice_api::schema::{check, unknown_fields};

fn told(kind: &str, object: &Value) -> Vec<String> {
    check(kind, object).iter().map(ToString::to_string).collect()
}

fn canary(canary: Value) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": { "name": "shop", "labels": { "app": "shop" } },
        "spec": { "strategy": { "canary": canary } },
    })
}

#[test]
fn nothing_is_said_of_a_good_manifest() {
    let object = canary(json!({
        "maxSurge": "25%",
        "maxUnavailable": 1,
        "steps": [{ "setWeight": 20 }, { "pause": {} }, { "pause": { "duration": 10 } }],
        "trafficRouting": {
            "nginx": { "additionalIngressAnnotations": { "canary-by-header": "x" } },
            "plugins": { "acme/mesh": { "anything": 1 } },
        },
    }));
    assert_eq!(told("Rollout", &object), [""; 0]);
}

#[test]
fn a_misspelt_field_has_its_path_and_the_nearest_name() {
    let object = canary(json!({ "steps": [{ "setWeight": 1 }, {}, { "setWeigth": 40 }] }));
    assert_eq!(
        told("Rollout", &object),
        ["spec.strategy.canary.steps[2].setWeigth: unknown field; did you mean setWeight?"]
    );
    let unknown = unknown_fields("Rollout", &object);
    assert_eq!(unknown[0].path, "spec.strategy.canary.steps[2].setWeigth");
    assert_eq!(unknown[0].suggestion.as_deref(), Some("setWeight"));
}

#[test]
fn a_field_that_resembles_none_has_no_suggestion() {
    assert_eq!(
        told("Rollout", &canary(json!({ "blast-radius": 1 }))),
        ["spec.strategy.canary.blast-radius: unknown field"]
    );
}

#[test]
fn wrong_types_are_named() {
    let object = canary(json!({
        "maxSurge": 2.5,
        "dynamicStableScale": "true",
        "steps": { "setWeight": 1 },
        "trafficRouting": { "nginx": { "additionalIngressAnnotations": { "a/b": 3 } } },
    }));
    assert_eq!(
        told("Rollout", &object),
        [
            "spec.strategy.canary.dynamicStableScale: must be boolean, not string; \
             write it without quotes",
            "spec.strategy.canary.maxSurge: must be integer or string, not number",
            "spec.strategy.canary.steps: must be array, not object",
            "spec.strategy.canary.trafficRouting.nginx.additionalIngressAnnotations[\"a/b\"]: \
             must be string, not integer; put it in quotes",
        ]
    );
}

#[test]
fn missing_fields_and_forbidden_values_are_named() {
    let object = json!({ "spec": { "metrics": [
        { "provider": { "datadog": { "aggregator": "median" } } },
        { "name": "web", "provider": { "web": {} } },
    ] } });
    assert_eq!(
        told("AnalysisTemplate", &object),
        [
            "spec.metrics[0].provider.datadog.aggregator: \"median\" is not allowed; \
             use one of avg, min, max, sum, last, percentile, mean, l2norm, area",
            "spec.metrics[0].name: required, but missing",
            "spec.metrics[1].provider.web.url: required, but missing",
        ]
    );
}

#[test]
fn pod_specifications_may_hold_anything_new() {
    let spec = json!({
        "template": {
            "metadata": { "creationTimestamp": null, "lables": {} },
            "spec": {
                "volumes": [{ "name": "v", "emptyDir": {} }],
                "containers": [{ "name": "shop", "unheardOf": 1, "env": [{ "name": "A", "value": 1 }] }],
            },
        },
    });
    assert_eq!(
        told("Rollout", &json!({ "spec": spec })),
        [
            "spec.template.metadata.creationTimestamp: unknown field",
            "spec.template.metadata.lables: unknown field; did you mean labels?",
            "spec.template.spec.containers[0].env[0].value: must be string, not integer; \
             put it in quotes",
        ]
    );
}

#[test]
fn a_plugin_has_one_source() {
    let sources = |source: Value| told("Plugin", &json!({ "spec": { "source": source } }));
    assert_eq!(sources(json!({ "bundled": "nginx" })), [""; 0]);
    assert_eq!(
        sources(json!({})),
        [
            "spec.source: no member is set; set exactly one of bundled, configMap, file, oci, ociLayout, url"
        ]
    );
    assert_eq!(
        sources(json!({ "bundled": "nginx", "file": "/nginx.wasm" })),
        [
            "spec.source: 2 members are set; set exactly one of bundled, configMap, file, oci, ociLayout, url"
        ]
    );
}

#[test]
fn kinds_and_versions_are_checked() {
    assert_eq!(told("Rolout", &json!({})), ["unknown kind; did you mean Rollout?"]);
    assert_eq!(told("Deployment", &json!({})), ["unknown kind"]);
    let object = json!({ "apiVersion": "apps/v1", "kind": "Rollout", "spec": {} });
    assert_eq!(
        told("Rollout", &object),
        ["apiVersion: wrong API version; use argoproj.io/v1alpha1"]
    );
    assert_eq!(told("Rollout", &json!([])), ["must be object, not array"]);
}
