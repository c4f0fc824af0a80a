//! Experiments of a rollout: what is read of them, and the object that a step makes.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use sluice_core::observed::{Extra, Hash, Purpose, Run};
use sluice_core::phase::{Memory, Phase};
use sluice_core::{Pods, Share};

use crate::analysis::arguments::{Sources, of_rollout};
use crate::field::Field;
use crate::keys;
use crate::objects::{Meta, Objects};
use crate::rollout::effects::{Blocked, Target, Verb, Write, owner};
use crate::rollout::events::Event;
use crate::rollout::observe::Seen;
use crate::rollout::parse::Intent;
use crate::rollout::recall::run_phase;

/// An experiment to be made, but for the pod templates, which ReplicaSets have.
#[derive(Clone, Debug, PartialEq)]
pub struct New {
    /// The creation; [`New::fill`] completes it.
    pub write: Write,
    /// The ReplicaSet of each template, in their order.
    templates: Vec<String>,
}

impl New {
    /// The ReplicaSets whose templates are needed, each once.
    pub fn sets(&self) -> BTreeSet<&str> {
        self.templates.iter().map(String::as_str).collect()
    }

    /// The creation, with what `sets` say about their pods.
    ///
    /// # Errors
    /// A ReplicaSet that is not among them, or has no template.
    pub fn fill(&self, sets: &[Value]) -> Result<Write, String> {
        let mut write = self.write.clone();
        let templates = write.body["spec"]["templates"].as_array_mut();
        for (template, set) in templates.into_iter().flatten().zip(&self.templates) {
            let named = |found: &&Value| found["metadata"]["name"] == set.as_str();
            let spec = sets.iter().find(named).map(|found| &found["spec"]);
            let spec = spec.filter(|spec| spec["template"].is_object());
            let spec = spec.ok_or_else(|| format!("ReplicaSet {set} has no pod template"))?;
            complete(template, spec);
        }
        Ok(write)
    }
}

/// Put the pods of a ReplicaSet's specification under what the step says about them.
fn complete(template: &mut Value, spec: &Value) {
    let added = template["template"]["metadata"].take();
    let mut pods = spec["template"].clone();
    add(&mut pods["metadata"], &added);
    template["template"] = pods;
    if template["selector"].is_null() {
        template["selector"] = spec["selector"].clone();
    }
    let labels = json!({"matchLabels": added["labels"]});
    add(&mut template["selector"], &labels);
}

/// Add to every map of `target` the entries of the map of the same name.
fn add(target: &mut Value, added: &Value) {
    for (name, entries) in added.as_object().into_iter().flatten() {
        for (key, value) in entries.as_object().into_iter().flatten() {
            target[name][key] = value.clone();
        }
    }
}

/// What the core knows of an experiment.
pub(crate) fn read(experiment: &Value) -> Run {
    let meta = Meta::read(experiment);
    let root = Field::root(experiment);
    let label = |key: &str| meta.labels.get(key).map(String::as_str);
    Run {
        // Those that Argo's controller made say it in their names alone.
        purpose: label(keys::STEP_INDEX).and_then(|at| at.parse().ok()).map(Purpose::Step),
        phase: run_phase(root.at("status.phase").str()),
        message: root.at("status.message").str().unwrap_or_default().to_owned(),
        hash: Hash(label(keys::HASH).unwrap_or_default().to_owned()),
        created: meta.created,
        terminating: root.at("spec.terminate").bool(),
        name: meta.name,
    }
}

/// The pods of experiments that have a Service: what their status says of it, and the share that
/// the step gives it whose experiment is under way.
pub(crate) fn extras(objects: &Objects, intent: &Intent, memory: &Memory) -> Vec<Extra> {
    let whole = intent.rollout.routing().map(|routing| routing.whole);
    let index = match memory.phase {
        Phase::Stepping { index, .. } => Some(index),
        Phase::Settled
        | Phase::Previewing { .. }
        | Phase::Promoting { .. }
        | Phase::Aborted { .. } => None,
    };
    let steps = intent.steps.as_ref().zip(index).and_then(|(steps, index)| steps.get(index));
    let asked = steps.map(|step| Field::root(step).at("experiment.templates").items());
    let mut extras = Vec::new();
    for experiment in &objects.experiments {
        let (meta, root) = (Meta::read(experiment), Field::root(experiment));
        let current = memory.experiment.as_ref() == Some(&meta.name);
        let asked = asked.as_ref().filter(|_| current);
        let templates = root.at("spec.templates").items();
        for status in root.at("status.templateStatuses").items() {
            let Some(service) = status.get("serviceName").name() else { continue };
            let named = |one: &&Field<'_>| one.get("name").str() == status.get("name").str();
            let weight = asked.and_then(|asked| asked.iter().find(named)?.get("weight").u32());
            let share = weight.zip(whole).map(|(weight, whole)| Share::clamped(weight, whole));
            let wanted = templates.iter().find(named).and_then(|one| one.get("replicas").u32());
            extras.push(Extra {
                experiment: meta.name.clone(),
                service: service.to_owned(),
                hash: Hash(status.get("podTemplateHash").str().unwrap_or_default().to_owned()),
                share: share.unwrap_or(Share::NONE),
                wanted: Pods(wanted.unwrap_or(1)),
                available: Pods(status.get("availableReplicas").u32().unwrap_or(0)),
            });
        }
    }
    extras
}

/// The first of `base`, `base-1`, … that no experiment of the rollout has, and nobody else either
/// as far as that is known.
pub(crate) fn free_name(objects: &Objects, base: &str, experiments: &[Run]) -> String {
    let taken = |name: &String| {
        experiments.iter().any(|one| one.name == *name) || objects.learnt.taken.contains(name)
    };
    let others = (1u32..).map(|suffix| format!("{base}-{suffix}"));
    std::iter::once(base.to_owned()).chain(others).find(|name| !taken(name)).unwrap_or_default()
}

/// The experiment of the step `index`.
pub(crate) fn build(
    objects: &Objects,
    seen: &Seen,
    name: &str,
    index: usize,
    number: u32,
) -> Result<New, Blocked> {
    let steps = seen.intent.steps.as_ref().and_then(|steps| steps.get(index));
    let Some(step) = steps.and_then(|step| step.get("experiment")) else {
        return Err(format!("experiment {name}: its step is no longer in the specification"));
    };
    let field = Field::root(step);
    let rollout = Meta::read(&objects.rollout);
    let mut sets = Vec::new();
    let mut templates = Vec::new();
    for template in field.get("templates").items() {
        sets.push(set_of(objects, seen, &template).ok_or_else(|| {
            format!("experiment {name}: the ReplicaSet of a template does not exist yet")
        })?);
        templates.push(template_of(&template));
    }
    let mut spec = json!({
        "templates": templates,
        "progressDeadlineSeconds": seen.intent.progress_deadline.as_secs(),
    });
    for part in ["duration", "dryRun", "analysisRunMetadata", "scaleDownDelaySeconds"] {
        copy(&field, part, &mut spec);
    }
    let analyses =
        analyses(objects, seen, &field).map_err(|why| format!("experiment {name}: {why}"))?;
    if !analyses.is_empty() {
        spec["analyses"] = analyses.into();
    }
    let mut labels: Map<String, Value> =
        rollout.labels.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect();
    labels.insert(keys::HASH.into(), seen.observed.wanted.0.clone().into());
    labels.insert(keys::STEP_INDEX.into(), index.to_string().into());
    if !objects.instance.is_empty() {
        labels.insert(keys::INSTANCE_ID.into(), objects.instance.clone().into());
    }
    let body = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Experiment",
        "metadata": {
            "name": name,
            "namespace": rollout.namespace,
            "labels": labels,
            "annotations": {keys::REVISION: number.to_string()},
            "ownerReferences": [owner(&rollout)],
        },
        "spec": spec,
    });
    let target = Target {
        api_version: "argoproj.io/v1alpha1",
        kind: "Experiment",
        namespace: rollout.namespace,
        name: name.to_owned(),
        subresource: None,
    };
    let event = Event::normal("ExperimentCreated", format!("Created Experiment '{name}'"));
    let write = Write { verb: Verb::Create, target, body, event: Some(event) };
    Ok(New { write, templates: sets })
}

/// The name of the ReplicaSet that has the pods of a template.
fn set_of(objects: &Objects, seen: &Seen, template: &Field<'_>) -> Option<String> {
    let hash = match template.get("specRef").str() {
        Some("stable") => seen.observed.memory.stable.as_ref()?,
        Some(_) | None => &seen.observed.wanted,
    };
    let set = objects.replica_sets.iter().find(|set| set.hash() == hash.0)?;
    Some(set.meta.name.clone())
}

/// A template, with the metadata that is added to its pods and without these.
fn template_of(template: &Field<'_>) -> Value {
    let mut made = json!({"name": template.get("name").str().unwrap_or_default()});
    for part in ["replicas", "selector", "service"] {
        copy(template, part, &mut made);
    }
    // What gets a share of the traffic needs a Service to get it through.
    if template.get("weight").is_set() && !template.get("service").is_set() {
        made["service"] = json!({});
    }
    let metadata = template.get("metadata").value().cloned().unwrap_or_else(|| json!({}));
    made["template"] = json!({"metadata": metadata});
    made
}

fn copy(from: &Field<'_>, part: &str, to: &mut Value) {
    if let Some(value) = from.get(part).value() {
        to[part] = value.clone();
    }
}

/// The analyses, with the values of their arguments.
fn analyses(objects: &Objects, seen: &Seen, step: &Field<'_>) -> Result<Vec<Value>, String> {
    let stable = seen.observed.memory.stable.as_ref();
    let stable = stable.map(|hash| hash.0.as_str()).unwrap_or_default();
    let sources = Sources { rollout: &objects.rollout, stable, latest: &seen.observed.wanted.0 };
    let analysis = |analysis: &Field<'_>| {
        let mut made = json!({});
        for part in ["name", "templateName", "clusterScope", "requiredForCompletion"] {
            copy(analysis, part, &mut made);
        }
        let args = of_rollout(&analysis.get("args"), &sources).map_err(|why| why.to_string())?;
        if !args.is_empty() {
            made["args"] = args.into();
        }
        Ok(made)
    };
    step.get("analyses").items().iter().map(analysis).collect()
}
