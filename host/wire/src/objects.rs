//! Objects of the cluster as the stores keep them: trimmed to what a turn looks at.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use sluice_core::Timestamp;
use sluice_core::called::Reply;
use sluice_core::restart::Held;
use sluice_core::traffic::Traffic;

use crate::clock::parse_time;
use crate::field::Field;
use crate::rollout::Write;
use crate::rollout::hash::{template_digest, template_shape};
use crate::rollout::identity::{Defaulted, injected};
use crate::rollout::restart::Looked;
use crate::rollout::workload::Borrowed;

/// The metadata of an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Meta {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub version: String,
    /// `metadata.generation`.
    pub generation: i64,
    /// `metadata.creationTimestamp`.
    pub created: Timestamp,
    /// Whether `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`.
    pub annotations: BTreeMap<String, String>,
    /// The UID of the owner that is the controller.
    pub controller: Option<String>,
    /// `metadata.ownerReferences`, untouched.
    pub owners: Vec<Value>,
}

impl Meta {
    /// Read what can be read.
    pub fn read(object: &Value) -> Self {
        let meta = Field::root(object).get("metadata");
        let text = |name| meta.get(name).str().unwrap_or_default().to_owned();
        let map = |name| {
            let entries = meta.get(name).value().and_then(Value::as_object);
            let entries = entries.into_iter().flatten();
            entries
                .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                .collect()
        };
        let owners = meta.get("ownerReferences").items();
        let controller = owners.iter().find(|owner| owner.get("controller").bool());
        Self {
            namespace: text("namespace"),
            name: text("name"),
            uid: text("uid"),
            version: text("resourceVersion"),
            generation: meta.get("generation").i64().unwrap_or_default(),
            created: meta.get("creationTimestamp").str().and_then(parse_time).unwrap_or_default(),
            deleting: meta.get("deletionTimestamp").is_set(),
            labels: map("labels"),
            annotations: map("annotations"),
            controller: controller.and_then(|owner| owner.get("uid").str()).map(str::to_owned),
            owners: owners.iter().filter_map(|owner| owner.value().cloned()).collect(),
        }
    }
}

/// A ReplicaSet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReplicaSet {
    /// Its metadata.
    pub meta: Meta,
    /// `spec.replicas`.
    pub wanted: u32,
    /// `status.replicas`.
    pub current: u32,
    /// `status.readyReplicas`.
    pub ready: u32,
    /// `status.availableReplicas`.
    pub available: u32,
    /// Whether `status.observedGeneration` is `metadata.generation`.
    pub settled: bool,
    /// `status.conditions` of type `ReplicaFailure` that are true: reason and message.
    pub failure: Option<(String, String)>,
    /// `spec.minReadySeconds`.
    pub min_ready_seconds: u32,
    /// `spec.template.spec.affinity`.
    pub affinity: Value,
    /// `spec.template` as a number to compare: see [`template_digest`].
    pub template: u64,
    /// `spec.template` as a number that rules most others out: see [`template_shape`].
    pub shape: u64,
}

impl ReplicaSet {
    /// Read what can be read.
    pub fn read(object: &Value) -> Self {
        let root = Field::root(object);
        let meta = Meta::read(object);
        let status = |name: &str| root.at("status").get(name).u32().unwrap_or_default();
        let failing = |condition: &Field<'_>| {
            condition.get("type").str() == Some("ReplicaFailure")
                && condition.get("status").str() == Some("True")
        };
        let conditions = root.at("status.conditions").items();
        let text = |field: Field<'_>| field.str().unwrap_or_default().to_owned();
        let template = root.at("spec.template").value().unwrap_or(&Value::Null);
        Self {
            template: template_digest(template, injected(&meta).as_ref()),
            shape: template_shape(template),
            min_ready_seconds: root.at("spec.minReadySeconds").u32().unwrap_or(0),
            affinity: template.pointer("/spec/affinity").cloned().unwrap_or_default(),
            wanted: root.at("spec.replicas").u32().unwrap_or(1),
            current: status("replicas"),
            ready: status("readyReplicas"),
            available: status("availableReplicas"),
            settled: root.at("status.observedGeneration").i64() == Some(meta.generation),
            failure: conditions
                .iter()
                .find(|condition| failing(condition))
                .map(|condition| (text(condition.get("reason")), text(condition.get("message")))),
            meta,
        }
    }

    /// The value of the pod template hash label.
    pub fn hash(&self) -> &str {
        self.meta.labels.get(crate::keys::HASH).map(String::as_str).unwrap_or_default()
    }
}

/// A Service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Service {
    /// Its metadata.
    pub meta: Meta,
    /// `spec.selector`.
    pub selector: BTreeMap<String, String>,
}

impl Service {
    /// Read what can be read.
    pub fn read(object: &Value) -> Self {
        let selector = Field::root(object).at("spec.selector");
        let entries = selector.value().and_then(Value::as_object).into_iter().flatten();
        Self {
            meta: Meta::read(object),
            selector: entries
                .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                .collect(),
        }
    }
}

/// Which analysis template: of the rollout's namespace, or of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TemplateName {
    /// Whether it is a ClusterAnalysisTemplate.
    pub cluster: bool,
    /// Its name.
    pub name: String,
}

/// Everything that one turn of a rollout may see.
#[derive(Clone, Debug)]
pub struct Objects {
    /// The one clock reading.
    pub now: Timestamp,
    /// The Rollout.
    pub rollout: Arc<Value>,
    /// The ReplicaSets that it controls.
    pub replica_sets: Vec<Arc<ReplicaSet>>,
    /// The ReplicaSets of its namespace that nobody controls.
    pub orphans: Vec<Arc<ReplicaSet>>,
    /// The Services that it names and that exist.
    pub services: BTreeMap<String, Arc<Service>>,
    /// The AnalysisRuns that it controls.
    pub runs: Vec<Arc<Value>>,
    /// The Experiments that it controls.
    pub experiments: Vec<Arc<Value>>,
    /// Every analysis template of the namespace, and those of the cluster.
    pub templates: BTreeMap<TemplateName, Arc<Value>>,
    /// What is known of its traffic.
    pub traffic: Traffic,
    /// The controller's instance id; empty for the default instance.
    pub instance: String,
    /// What no watch shows.
    pub learnt: Learnt,
    /// Who lends the template that is in `rollout`.
    pub borrowed: Borrowed,
    /// What the rollout does not name any more, and what is to be done about it.
    pub remains: Vec<Write>,
}

/// What is known since the API server was asked, or said no.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Learnt {
    /// Names of ReplicaSets that are somebody else's.
    pub taken: BTreeSet<String>,
    /// The answer to the question that was asked last.
    pub defaulted: Option<Defaulted>,
    /// What components answered about steps, until it is recorded.
    pub replies: Vec<Reply>,
    /// Why former routers did not take back what is theirs, by their names.
    pub unreleased: BTreeMap<String, String>,
    /// The pods, when they were looked at last.
    pub pods: Option<Looked>,
    /// The eviction that was refused last, unless another one was granted since.
    pub held: Option<Held>,
    /// When this process last recorded something of the rollout.
    pub recorded: Option<Timestamp>,
}
