//! What an experiment makes: ReplicaSets and Services, and how it lets them go.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use sluice_core::experiment::Order;

use crate::clock::{format_time, next_second};
use crate::experiment::Objects;
use crate::experiment::name::{Named, set_of, without_hash};
use crate::experiment::observe::Seen;
use crate::experiment::run::build;
use crate::field::Field;
use crate::keys;
use crate::objects::{Meta, ReplicaSet};
use crate::rollout::{Event, Target, Verb, Write};

/// What performs `order`; `None` if its object is gone, so that there is nothing to do.
pub(super) fn write(objects: &Objects, seen: &Seen, order: &Order) -> Option<Write> {
    let meta = Meta::read(&objects.experiment);
    let spec = Field::root(&objects.experiment).get("spec");
    let scene = Scene { objects, meta: &meta };
    let templates = spec.get("templates").items();
    let version = |index: usize| Some((templates.get(index)?, seen.names.get(index)?));
    match order {
        Order::CreateSet { template, to } => {
            let (template, named) = version(*template)?;
            Some(scene.create_set(template, named, to.0))
        }
        Order::CreateService { template } => {
            let (template, named) = version(*template)?;
            scene.create_service(template, named)
        }
        Order::Scale { template, from, to } => scene.scale(version(*template)?.0, from.0, to.0),
        Order::Deadline { template, at } => {
            let set = scene.set(version(*template)?.0)?;
            let at = at.map(|at| format_time(next_second(at)));
            let body = json!({"metadata": {"annotations": {keys::SCALE_DOWN_DEADLINE: at}}});
            Some(scene.write(Verb::Merge, "ReplicaSet", &set.meta.name, body))
        }
        Order::DeleteService { template } => {
            let (template, named) = version(*template)?;
            let name = service_name(template, named)?;
            let there = &objects.services.get(&name)?.meta;
            let body =
                json!({"preconditions": {"uid": there.uid, "resourceVersion": there.version}});
            Some(scene.write(Verb::Delete, "Service", &name, body))
        }
        Order::StartRun { analysis } => {
            let name = &seen.observed.analyses.get(*analysis)?.run_name;
            let analyses = spec.get("analyses").items();
            let available = seen.observed.status.available_at.unwrap_or(objects.now);
            // What cannot be built was told as the fault of its analysis, and is not ordered.
            let body = build(objects, &seen.names, analyses.get(*analysis)?, name, available);
            Some(scene.write(Verb::Create, "AnalysisRun", name, body.ok()?))
        }
        Order::StopRun { analysis } => {
            let name = &seen.observed.analyses.get(*analysis)?.run_name;
            let body = json!({"spec": {"terminate": true}});
            let event = Event::normal(
                "AnalysisRunTerminating",
                format!("Terminating AnalysisRun '{name}'"),
            );
            let write = scene.write(Verb::Merge, "AnalysisRun", name, body);
            Some(Write { event: Some(event), ..write })
        }
    }
}

struct Scene<'a> {
    objects: &'a Objects,
    meta: &'a Meta,
}

impl Scene<'_> {
    fn write(&self, verb: Verb, kind: &'static str, name: &str, body: Value) -> Write {
        let api_version = match kind {
            "ReplicaSet" => "apps/v1",
            "Service" => "v1",
            _ => "argoproj.io/v1alpha1",
        };
        let namespace = self.meta.namespace.clone();
        let target =
            Target { api_version, kind, namespace, name: name.to_owned(), subresource: None };
        Write { verb, target, body, event: None }
    }

    fn set(&self, template: &Field<'_>) -> Option<&ReplicaSet> {
        set_of(self.objects, template.get("name").str().unwrap_or_default())
    }

    fn create_set(&self, template: &Field<'_>, named: &Named, to: u32) -> Write {
        let mut pods = without_hash(template.get("template").value().cloned().unwrap_or_default());
        let labels = labels(&pods, named);
        if !pods.get("metadata").is_some_and(Value::is_object) {
            pods["metadata"] = json!({});
        }
        pods["metadata"]["labels"] = Value::Object(labels.clone());
        let mut selector = template.get("selector").value().cloned().unwrap_or_default();
        if !selector.get("matchLabels").is_some_and(Value::is_object) {
            selector["matchLabels"] = json!({});
        }
        selector["matchLabels"][keys::HASH] = named.hash.clone().into();
        let mut spec = json!({"replicas": to, "selector": selector, "template": pods});
        let ready = template.get("minReadySeconds").u32().unwrap_or(0);
        if ready > 0 {
            spec["minReadySeconds"] = ready.into();
        }
        let body = json!({
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": self.metadata(template, &named.set, Some(labels)),
            "spec": spec,
        });
        let event =
            Event::normal("NewReplicaSetCreated", format!("Created ReplicaSet {}", named.set));
        let write = self.write(Verb::Create, "ReplicaSet", &named.set, body);
        Write { event: Some(event), ..write }
    }

    fn metadata(
        &self,
        template: &Field<'_>,
        name: &str,
        labels: Option<Map<String, Value>>,
    ) -> Value {
        let mut metadata = json!({
            "name": name,
            "namespace": self.meta.namespace,
            "annotations": {
                keys::EXPERIMENT_NAME: self.meta.name,
                keys::EXPERIMENT_TEMPLATE_NAME: template.get("name").str().unwrap_or_default(),
            },
            "ownerReferences": [owner(self.meta)],
        });
        if let Some(labels) = labels {
            metadata["labels"] = Value::Object(labels);
        }
        metadata
    }

    fn create_service(&self, template: &Field<'_>, named: &Named) -> Option<Write> {
        let name = service_name(template, named)?;
        let pods = template.get("template").value().cloned().unwrap_or_default();
        let body = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": self.metadata(template, &name, None),
            "spec": {"selector": labels(&without_hash(pods), named), "ports": ports(template)},
        });
        Some(self.write(Verb::Create, "Service", &name, body))
    }

    fn scale(&self, template: &Field<'_>, from: u32, to: u32) -> Option<Write> {
        let set = self.set(template)?;
        let mut body = json!({"spec": {"replicas": to}});
        if to < from {
            // Removing pods is only right for what was seen.
            body["metadata"] = json!({"resourceVersion": set.meta.version});
        }
        if to == 0 {
            body["metadata"]["annotations"] = json!({keys::SCALE_DOWN_DEADLINE: null});
        }
        let way = if to > from { "up" } else { "down" };
        let name = &set.meta.name;
        let event = Event::normal(
            "ScalingReplicaSet",
            format!("Scaled {way} ReplicaSet {name} from {from} to {to}"),
        );
        let write = self.write(Verb::Merge, "ReplicaSet", name, body);
        Some(Write { event: Some(event), ..write })
    }
}

/// The name of the Service through which the pods of a version are reached; `None` if there is to
/// be none, or if its pods listen to no port.
pub(super) fn service_name(template: &Field<'_>, named: &Named) -> Option<String> {
    let service = template.get("service");
    if !service.is_set() || ports(template).is_empty() {
        return None;
    }
    Some(service.get("name").name().unwrap_or(&named.set).to_owned())
}

/// The labels of a version's pods.
fn labels(pods: &Value, named: &Named) -> Map<String, Value> {
    let labels = pods.pointer("/metadata/labels").and_then(Value::as_object);
    let mut labels = labels.cloned().unwrap_or_default();
    labels.insert(keys::HASH.to_owned(), named.hash.clone().into());
    labels
}

/// The ports of a Service in front of these pods: what containers listen to, each once. Several
/// need names, so one without gets its number for a name.
fn ports(template: &Field<'_>) -> Vec<Value> {
    let containers = template.at("template.spec.containers").items();
    let found: Vec<_> = containers
        .iter()
        .flat_map(|container| container.get("ports").items())
        .filter_map(|port| {
            let number = port.get("containerPort").u32()?;
            let protocol = port.get("protocol").name().unwrap_or("TCP").to_owned();
            Some((number, protocol, port.get("name").name().map(str::to_owned)))
        })
        .collect();
    let mut seen = BTreeSet::new();
    let distinct: Vec<_> = found
        .into_iter()
        .filter(|(number, protocol, _)| seen.insert((*number, protocol.clone())))
        .collect();
    let several = distinct.len() > 1;
    let port = |(number, protocol, name): (u32, String, Option<String>)| {
        let unnamed = || several.then(|| format!("port-{number}-{}", protocol.to_lowercase()));
        let mut port = json!({"port": number, "targetPort": number});
        if let Some(name) = name.or_else(unnamed) {
            port["name"] = name.into();
        }
        port["protocol"] = protocol.into();
        port
    };
    distinct.into_iter().map(port).collect()
}

/// The owner reference of what an experiment makes.
pub(super) fn owner(experiment: &Meta) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Experiment",
        "name": experiment.name,
        "uid": experiment.uid,
        "controller": true,
        "blockOwnerDeletion": true,
    })
}
