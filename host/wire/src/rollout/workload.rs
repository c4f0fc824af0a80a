//! Workloads that lend their pod template to a rollout.

use std::sync::Arc;

use serde_json::{Value, json};
use sluice_core::Pods;
use sluice_core::lender::{self, ScaleDown};

use crate::field::{Field, Refusal, Refusals};
use crate::keys;
use crate::objects::Meta;
use crate::rollout::effects::{Target, Verb, Write};
use crate::rollout::events::Event;

/// The kinds that may lend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lends {
    /// `apps/v1` Deployment.
    Deployment,
    /// `apps/v1` ReplicaSet.
    ReplicaSet,
    /// `v1` PodTemplate.
    PodTemplate,
}

impl Lends {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Deployment, Self::ReplicaSet, Self::PodTemplate];

    /// The kind's API version and name.
    pub fn kind(self) -> (&'static str, &'static str) {
        match self {
            Self::Deployment => ("apps/v1", "Deployment"),
            Self::ReplicaSet => ("apps/v1", "ReplicaSet"),
            Self::PodTemplate => ("v1", "PodTemplate"),
        }
    }

    fn resource(self) -> &'static str {
        match self {
            Self::Deployment => "deployments.apps",
            Self::ReplicaSet => "replicasets.apps",
            Self::PodTemplate => "podtemplates",
        }
    }
}

/// Which workload lends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// Its kind.
    pub kind: Lends,
    /// The namespace of both.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// A workload, trimmed to what a rollout borrows.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// Its metadata.
    pub meta: Meta,
    /// Its kind.
    pub kind: Lends,
    /// `spec.replicas`.
    pub replicas: u32,
    selector: Value,
    template: Value,
}

/// Who lends a rollout its template.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Borrowed {
    /// Nobody: it has one of its own.
    #[default]
    Own,
    /// Somebody who has not been read yet.
    Unread,
    /// This workload; the template, and the selector where there was none, are in the rollout.
    From(Arc<Workload>),
    /// Nobody who could.
    Refused(Refusal),
}

impl Borrowed {
    /// The workload.
    pub fn workload(&self) -> Option<&Arc<Workload>> {
        match self {
            Self::From(workload) => Some(workload),
            Self::Own | Self::Unread | Self::Refused(_) => None,
        }
    }
}

impl Workload {
    /// Read what can be read.
    pub fn read(kind: Lends, object: &Value) -> Self {
        let spec = Field::root(object).get("spec");
        let own = |field: Field<'_>| field.value().cloned().unwrap_or_default();
        let (selector, template) = match kind {
            Lends::Deployment | Lends::ReplicaSet => {
                (own(spec.get("selector")), own(spec.get("template")))
            }
            Lends::PodTemplate => {
                let template = own(Field::root(object).get("template"));
                let labels = Field::root(&template).at("metadata.labels");
                (json!({"matchLabels": own(labels)}), template)
            }
        };
        let mut meta = Meta::read(object);
        meta.annotations.retain(|key, _| [keys::TAKEN_BY, keys::BEFORE].contains(&key.as_str()));
        let replicas = spec.get("replicas").u32().unwrap_or(1);
        Self { meta, kind, replicas, selector, template }
    }
}

/// The workload that a rollout refers to; `None` if it refers to none.
///
/// # Errors
/// A reference that cannot be meant, or a template of its own beside it.
pub fn reference(rollout: &Value) -> Result<Option<Reference>, Refusal> {
    let root = Field::root(rollout);
    let field = root.at("spec.workloadRef");
    if !field.is_set() {
        return Ok(None);
    }
    let template = root.at("spec.template");
    let own = ["metadata.labels", "metadata.annotations"].iter().any(|part| {
        let part = template.at(part);
        part.value().and_then(Value::as_object).is_some_and(|part| !part.is_empty())
    });
    if own || !template.at("spec.containers").items().is_empty() {
        return Err(template.refuse(
            "Invalid value: template must be empty for workload reference rollout; remove spec.template, or spec.workloadRef",
        ));
    }
    let version = field.get("apiVersion").name().unwrap_or("v1");
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let kind = field.get("kind").name().unwrap_or_default();
    let known = Lends::ALL.into_iter().find(|known| {
        let (version, name) = known.kind();
        name == kind && version.split_once('/').map_or("", |(group, _)| group) == group
    });
    let Some(known) = known else {
        return Err(field.refuse(format!(
            "Invalid value: workload of type {group}/{kind} is not supported; refer to an apps/v1 Deployment or ReplicaSet, or a v1 PodTemplate"
        )));
    };
    let Some(name) = field.get("name").name() else {
        return Err(field.get("name").refuse("Required value: name the workload"));
    };
    let namespace = Meta::read(rollout).namespace;
    Ok(Some(Reference { kind: known, namespace, name: name.to_owned() }))
}

/// The rollout with the template that it borrows. `known` answers what is known of a workload:
/// nothing, that there is none, or what it is.
pub fn resolve<'w>(
    rollout: &Arc<Value>,
    known: impl FnOnce(&Reference) -> Option<&'w Option<Arc<Workload>>>,
) -> (Arc<Value>, Borrowed) {
    let reference = match reference(rollout) {
        Ok(None) => return (rollout.clone(), Borrowed::Own),
        Ok(Some(reference)) => reference,
        Err(refusal) => return (rollout.clone(), Borrowed::Refused(refusal)),
    };
    match known(&reference) {
        None => (rollout.clone(), Borrowed::Unread),
        Some(None) => (rollout.clone(), Borrowed::Refused(missing(rollout, &reference))),
        Some(Some(workload)) => {
            let mut resolved = (**rollout).clone();
            let spec = &mut resolved["spec"];
            spec["template"] = workload.template.clone();
            if spec.get("selector").is_none_or(Value::is_null) {
                spec["selector"] = workload.selector.clone();
            }
            (Arc::new(resolved), Borrowed::From(workload.clone()))
        }
    }
}

fn missing(rollout: &Value, reference: &Reference) -> Refusal {
    let (kind, name) = (reference.kind.resource(), &reference.name);
    Field::root(rollout).at("spec.workloadRef.name").refuse(format!(
        "Not found: \"{name}\": {kind} \"{name}\" not found; create it, or name another workload"
    ))
}

/// `spec.workloadRef.scaleDown`.
pub(crate) fn scale_down(spec: &Field<'_>, bad: &mut Refusals) -> ScaleDown {
    let field = spec.at("workloadRef.scaleDown");
    match field.name() {
        None | Some("never") => ScaleDown::Never,
        Some("onsuccess") => ScaleDown::OnSuccess,
        Some("progressively") => ScaleDown::Progressively,
        Some(other) => {
            bad.add(
                &field,
                format!(
                    "Unsupported value: \"{other}\": supported values: \"never\", \"onsuccess\", \"progressively\""
                ),
            );
            ScaleDown::Never
        }
    }
}

/// The Deployment as the core sees it; other kinds have no pods to take, and one whose pods
/// another rollout replaces is that one's.
pub(crate) fn lender(
    borrowed: &Borrowed,
    rollout: &str,
    scale_down: ScaleDown,
) -> Option<lender::Lender> {
    let workload = borrowed.workload().filter(|workload| workload.kind == Lends::Deployment)?;
    let taken = workload.meta.annotations.get(keys::TAKEN_BY);
    if taken.is_some_and(|other| other != rollout) {
        return None;
    }
    Some(lender::Lender {
        name: workload.meta.name.clone(),
        wanted: Pods(workload.replicas),
        before: taken.map(|_| Pods(before(&workload.meta))),
        scale_down,
    })
}

/// The pods that a Deployment had before its template was borrowed.
pub(crate) fn before(meta: &Meta) -> u32 {
    meta.annotations.get(keys::BEFORE).and_then(|text| text.parse().ok()).unwrap_or(1)
}

fn merge(meta: &Meta, body: Value, event: Option<Event>) -> Write {
    let target = Target {
        api_version: "apps/v1",
        kind: "Deployment",
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
        subresource: None,
    };
    Write { verb: Verb::Merge, target, body, event }
}

/// Note on a Deployment who replaces its pods, and how many it had.
pub(crate) fn take_over(workload: &Workload, rollout: &str) -> Write {
    let meta = &workload.meta;
    let body = json!({"metadata": {
        "resourceVersion": meta.version,
        "labels": {keys::TAKEN: "true"},
        "annotations": {keys::TAKEN_BY: rollout, keys::BEFORE: workload.replicas.to_string()},
    }});
    merge(meta, body, None)
}

/// Change the size of a Deployment.
pub(crate) fn scale(workload: &Workload, from: u32, to: u32) -> Write {
    let meta = &workload.meta;
    let body = json!({
        "metadata": {"resourceVersion": meta.version},
        "spec": {"replicas": to},
    });
    merge(meta, body, Some(scaled(meta, from, to)))
}

/// Give a Deployment the size that it had, and take the note off.
pub(crate) fn give_back(meta: &Meta, from: u32, to: u32) -> Write {
    let mut body = json!({"metadata": {
        "resourceVersion": meta.version,
        "labels": {keys::TAKEN: null},
        "annotations": {keys::TAKEN_BY: null, keys::BEFORE: null},
    }});
    if from == to {
        return merge(meta, body, None);
    }
    body["spec"] = json!({"replicas": to});
    merge(meta, body, Some(scaled(meta, from, to)))
}

fn scaled(meta: &Meta, from: u32, to: u32) -> Event {
    let way = if to > from { "up" } else { "down" };
    let name = &meta.name;
    let message = format!("Scaled {way} Deployment {name} from {from} to {to}");
    Event::normal("ScalingDeployment", message)
}
