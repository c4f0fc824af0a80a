//! The schema of the pod templates and Jobs within other kinds.
//!
//! They are opaque JSON to everyone but the API server. Their schema says only what changes what
//! is stored: defaults, and which lists are maps for server-side apply. Every level of a pod
//! specification keeps fields that the schema does not know, so that one from a newer Kubernetes
//! reaches the ReplicaSet. The template's metadata keeps labels and annotations alone: Argo
//! Rollouts prunes the rest, and what is stored must not differ or the revision's hash would.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// A pod template.
pub(crate) fn pod_template(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": {
            "metadata": metadata(),
            "spec": pod_spec(),
        },
    })
}

/// A Job's specification.
pub(crate) fn job_spec(generator: &mut SchemaGenerator) -> Schema {
    let mut template = pod_template(generator).to_value();
    template["description"] = json!("The pods of the Job.");
    let mut schema = open(json!({ "template": template }), &["template"]);
    schema["description"] = json!("The Job.");
    Schema::try_from(schema).unwrap_or_default()
}

fn metadata() -> Value {
    json!({
        "description": "Labels and annotations of the pods.",
        "type": "object",
        "properties": {
            "labels": strings("Labels of the pods."),
            "annotations": strings("Annotations of the pods."),
        },
    })
}

fn pod_spec() -> Value {
    let mut spec = open(
        json!({
            "containers": list_map(container(), &["name"]),
            "initContainers": list_map(container(), &["name"]),
            "ephemeralContainers": list_map(container(), &["name"]),
            "imagePullSecrets": list_map(open(json!({ "name": defaulted("") }), &[]), &["name"]),
            "hostAliases": list_map(open(json!({ "ip": string() }), &["ip"]), &["ip"]),
            "resourceClaims": list_map(open(json!({ "name": string() }), &["name"]), &["name"]),
            "schedulingGates": list_map(open(json!({ "name": string() }), &["name"]), &["name"]),
            "topologySpreadConstraints": list_map(
                open(
                    json!({ "topologyKey": string(), "whenUnsatisfiable": string() }),
                    &["topologyKey", "whenUnsatisfiable"],
                ),
                &["topologyKey", "whenUnsatisfiable"],
            ),
            "nodeSelector": {
                "type": "object",
                "additionalProperties": { "type": "string" },
                "x-kubernetes-map-type": "atomic",
            },
        }),
        &["containers"],
    );
    spec["description"] = json!("The pods, as in a Deployment.");
    spec
}

fn container() -> Value {
    let port = open(
        json!({ "containerPort": integer(), "protocol": defaulted("TCP") }),
        &["containerPort"],
    );
    let grpc = open(json!({ "port": integer(), "service": defaulted("") }), &["port"]);
    let probe = open(json!({ "grpc": grpc }), &[]);
    let claims = list_map(open(json!({ "name": string() }), &["name"]), &["name"]);
    open(
        json!({
            "name": string(),
            "image": string(),
            "command": { "type": "array", "items": string() },
            "args": { "type": "array", "items": string() },
            "ports": list_map(port, &["containerPort", "protocol"]),
            "env": list_map(environment_variable(), &["name"]),
            "envFrom": { "type": "array", "items": environment_source() },
            "livenessProbe": probe,
            "readinessProbe": probe,
            "startupProbe": probe,
            "resources": open(json!({ "claims": claims }), &[]),
            "volumeMounts": list_map(
                open(json!({ "name": string(), "mountPath": string() }), &["mountPath", "name"]),
                &["mountPath"],
            ),
            "volumeDevices": list_map(
                open(json!({ "name": string(), "devicePath": string() }), &["devicePath", "name"]),
                &["devicePath"],
            ),
        }),
        &["name"],
    )
}

fn environment_variable() -> Value {
    let key_of = || open(json!({ "key": string(), "name": defaulted("") }), &["key"]);
    let file_key = open(json!({ "optional": { "type": "boolean", "default": false } }), &[]);
    open(
        json!({
            "name": string(),
            "value": string(),
            "valueFrom": open(
                json!({
                    "configMapKeyRef": key_of(),
                    "secretKeyRef": key_of(),
                    "fileKeyRef": file_key,
                }),
                &[],
            ),
        }),
        &["name"],
    )
}

fn environment_source() -> Value {
    let reference = || open(json!({ "name": defaulted("") }), &[]);
    open(json!({ "configMapRef": reference(), "secretRef": reference() }), &[])
}

/// An object that keeps what the schema does not know.
fn open(properties: Value, required: &[&str]) -> Value {
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "x-kubernetes-preserve-unknown-fields": true,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn list_map(item: Value, keys: &[&str]) -> Value {
    json!({
        "type": "array",
        "items": item,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": keys,
    })
}

fn strings(description: &str) -> Value {
    json!({
        "description": description,
        "type": "object",
        "additionalProperties": { "type": "string" },
    })
}

fn string() -> Value {
    json!({ "type": "string" })
}

fn integer() -> Value {
    json!({ "type": "integer", "format": "int32" })
}

fn defaulted(value: &str) -> Value {
    json!({ "type": "string", "default": value })
}
