//! The published definitions are those of the types, and what an API server would take.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::path::Path;
use std::{env, fs};

use serde_json::{Map, Value, json};
use sluice_api::crd::{crds, crds_yaml};

#[test]
fn published_definitions_are_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/crds.yaml");
    let text = crds_yaml().unwrap();
    if env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &text).unwrap();
    }
    let published = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        published == text,
        "host/deploy/crds.yaml is not what the types say; run `UPDATE=1 cargo test -p sluice-api`"
    );
}

#[test]
fn yaml_reads_back_as_the_definitions() {
    let documents: Vec<Value> = serde_saphyr::from_multiple(&crds_yaml().unwrap()).unwrap();
    let definitions: Vec<_> =
        crds().unwrap().iter().map(|crd| serde_json::to_value(crd).unwrap()).collect();
    assert_eq!(documents, definitions);
}

#[test]
fn schemas_are_structural() {
    for (name, schema) in schemas() {
        let mut wrong = Vec::new();
        structural("", &schema, &mut wrong);
        assert_eq!(wrong, Vec::<String>::new(), "{name}");
    }
}

/// The lists of required fields are Argo's, so that what it accepts is accepted here.
#[test]
fn only_what_argo_requires_is_required() {
    let schemas = schemas();
    let required = |kind: &str, path: &str| -> Vec<String> {
        let schema = at(&schemas[kind], path);
        let names = schema.get("required").and_then(Value::as_array);
        names.into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect()
    };
    let ro = "rollouts.argoproj.io";
    let canary = "spec.strategy.canary";
    assert_eq!(required(ro, ""), ["spec"]);
    assert_eq!(required(ro, "spec"), Vec::<String>::new());
    assert_eq!(required(ro, "spec.strategy.blueGreen"), ["activeService"]);
    assert_eq!(required(ro, canary), Vec::<String>::new());
    assert_eq!(required(ro, &format!("{canary}.steps")), Vec::<String>::new());
    assert_eq!(required(ro, &format!("{canary}.steps.plugin")), ["name"]);
    assert_eq!(required(ro, &format!("{canary}.steps.setMirrorRoute")), ["name"]);
    assert_eq!(required(ro, &format!("{canary}.steps.setHeaderRoute")), Vec::<String>::new());
    assert_eq!(required(ro, &format!("{canary}.trafficRouting")), Vec::<String>::new());
    assert_eq!(required(ro, &format!("{canary}.trafficRouting.alb")), ["servicePort"]);
    assert_eq!(required(ro, "status"), Vec::<String>::new());
    assert_eq!(required(ro, "status.pauseConditions"), ["reason", "startTime"]);

    let run = "analysisruns.argoproj.io";
    assert_eq!(required(run, "spec"), ["metrics"]);
    assert_eq!(required(run, "spec.metrics"), ["name", "provider"]);
    assert_eq!(required(run, "spec.metrics.provider"), Vec::<String>::new());
    assert_eq!(required(run, "spec.metrics.provider.web"), ["url"]);
    assert_eq!(required(run, "status"), ["phase"]);
    assert_eq!(required("analysistemplates.argoproj.io", "spec"), Vec::<String>::new());
    assert_eq!(required("experiments.argoproj.io", "spec"), ["templates"]);
}

#[test]
fn defaults_are_those_of_argo() {
    let schemas = schemas();
    let template = at(&schemas["analysistemplates.argoproj.io"], "spec.metrics.provider.datadog");
    assert_eq!(template["properties"]["interval"]["default"], "5m");
    assert_eq!(template["properties"]["apiVersion"]["default"], "v1");
    assert_eq!(template["properties"]["requestTimeout"]["default"], "10s");

    for (kind, path) in [
        ("rollouts.argoproj.io", "spec.template.spec"),
        ("experiments.argoproj.io", "spec.templates.template.spec"),
        ("analysisruns.argoproj.io", "spec.metrics.provider.job.spec.template.spec"),
    ] {
        let pod = at(&schemas[kind], path);
        for list in ["containers", "initContainers", "ephemeralContainers"] {
            let default = |path: &str| at(pod, &format!("{list}.{path}"))["default"].clone();
            assert_eq!(default("ports.protocol"), "TCP", "{kind} {list}");
            assert_eq!(default("readinessProbe.grpc.service"), "");
            assert_eq!(default("env.valueFrom.secretKeyRef.name"), "");
            assert_eq!(default("env.valueFrom.fileKeyRef.optional"), false);
            assert_eq!(default("envFrom.configMapRef.name"), "");
        }
        assert_eq!(at(pod, "imagePullSecrets.name")["default"], "");
    }
}

#[test]
fn autoscalers_find_the_scale() {
    let rollout = serde_json::to_value(&crds().unwrap()[4]).unwrap();
    assert_eq!(
        rollout["spec"]["versions"][0]["subresources"],
        json!({
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.HPAReplicas",
                "labelSelectorPath": ".status.selector",
            },
        })
    );
}

fn schemas() -> Map<String, Value> {
    let of = |crd| {
        let crd = serde_json::to_value(crd).unwrap();
        let name = crd["metadata"]["name"].as_str().unwrap().to_owned();
        (name, crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone())
    };
    crds().unwrap().iter().map(of).collect()
}

/// The schema at a dotted path; lists are passed through.
fn at<'s>(schema: &'s Value, path: &str) -> &'s Value {
    let mut schema = schema;
    for name in path.split('.').filter(|name| !name.is_empty()) {
        schema = schema["properties"].get(name).unwrap_or_else(|| panic!("no {name} in {path}"));
        schema = schema.get("items").unwrap_or(schema);
    }
    schema
}

/// The rules of apiextensions for structural schemas, as far as these schemas could break them.
fn structural(path: &str, schema: &Value, wrong: &mut Vec<String>) {
    let flag = |name: &str| schema.get(name) == Some(&Value::Bool(true));
    let typed = schema.get("type").is_some_and(Value::is_string);
    if typed == flag("x-kubernetes-int-or-string") {
        wrong.push(format!("{path}: needs a type or int-or-string, and not both"));
    }
    for forbidden in ["$ref", "definitions", "anyOf", "oneOf", "allOf", "not", "nullable"] {
        if schema.get(forbidden).is_some() {
            wrong.push(format!("{path}: has {forbidden}"));
        }
    }
    if schema.get("properties").is_some() && schema.get("additionalProperties").is_some() {
        wrong.push(format!("{path}: has properties and additionalProperties"));
    }
    if schema.get("type") == Some(&json!("array")) && schema.get("items").is_none() {
        wrong.push(format!("{path}: a list without items"));
    }
    if let Some(keys) = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array) {
        let item = &schema["items"];
        for key in keys.iter().filter_map(Value::as_str) {
            let required =
                item["required"].as_array().is_some_and(|names| names.contains(&json!(key)));
            if !required && item["properties"][key].get("default").is_none() {
                wrong.push(format!("{path}: key {key} is neither required nor defaulted"));
            }
        }
    }
    for (name, property) in
        schema.get("properties").and_then(Value::as_object).into_iter().flatten()
    {
        structural(&format!("{path}.{name}"), property, wrong);
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get(inner) {
            structural(&format!("{path}[]"), inner, wrong);
        }
    }
}
