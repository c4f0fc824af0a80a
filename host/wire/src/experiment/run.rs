//! The AnalysisRuns of an experiment.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};
use sluice_core::Timestamp;

use crate::analysis::arguments::{ArgumentError, Values, field, fill};
use crate::analysis::template::{TemplateError, unite_references};
use crate::clock::{format_time, next_second, parse_duration};
use crate::experiment::name::{Named, is_taken};
use crate::experiment::{Learnt, Objects};
use crate::field::Field;
use crate::keys;
use crate::objects::{Meta, TemplateName};
use crate::rollout::recall::run_phase;

/// Why an analysis cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// Its templates.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// Its arguments.
    #[error(transparent)]
    Argument(#[from] ArgumentError),
    /// The API server.
    #[error("{0}")]
    Refused(String),
}

/// The name that the run of an analysis has, or is to have: the recorded one, or else the first of
/// `EXPERIMENT-ANALYSIS`, the same with `.1`, … that nobody else has, and no run that has ended:
/// an experiment that is tried again is judged anew.
pub(super) fn run_name(objects: &Objects, experiment: &Meta, analysis: &str) -> String {
    let root = Field::root(&objects.experiment);
    let noted = root.at("status.analysisRuns").items();
    let noted = noted.iter().find(|one| one.get("name").str() == Some(analysis));
    let noted = noted.and_then(|one| one.get("analysisRun").name());
    let free = |name: &String| !is_taken(objects, "AnalysisRun", name);
    if let Some(noted) = noted.map(str::to_owned).filter(free) {
        return noted;
    }
    let base = format!("{}-{analysis}", experiment.name);
    let ended = |name: &String| {
        let mut named = objects.runs.iter().filter(|run| run["metadata"]["name"] == **name);
        named.any(|run| run_phase(run["status"]["phase"].as_str()).is_over())
    };
    let others = (1u32..).map(|count| format!("{base}.{count}"));
    let mut all = std::iter::once(base.clone()).chain(others);
    all.find(|name| free(name) && !ended(name)).unwrap_or(base)
}

/// Make the run of an analysis, one entry of `spec.analyses`.
///
/// `available` is when all pods were available: known when the run is made, and any time while it
/// is only asked whether it could be.
///
/// # Errors
/// What is missing or does not fit together.
pub(super) fn build(
    objects: &Objects,
    names: &[Named],
    analysis: &Field<'_>,
    name: &str,
    available: Timestamp,
) -> Result<Value, RunError> {
    if let Some(why) = Learnt::about(&objects.learnt.refused, "AnalysisRun", name) {
        return Err(RunError::Refused(why.clone()));
    }
    let spec = Field::root(&objects.experiment).get("spec");
    let reference = json!([{
        "templateName": analysis.get("templateName").value(),
        "clusterScope": analysis.get("clusterScope").bool(),
    }]);
    let find = |wanted: &TemplateName| objects.templates.get(wanted).map(|found| &**found);
    let mut template = unite_references(&Field::root(&reference), find)?;
    template.add_rules(&spec.get("dryRun"), &spec.get("measurementRetention"))?;
    let given = arguments(objects, names, analysis, available)?;
    let args = fill(&template.args, &given)?;
    let lists = [
        ("metrics", template.metrics),
        ("args", args),
        ("dryRun", template.dry_run),
        ("measurementRetention", template.retention),
    ];
    let mut body = Map::new();
    for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        body.insert(name.to_owned(), Value::Array(list));
    }
    let meta = Meta::read(&objects.experiment);
    let added = |part: &str| {
        let added = spec.get("analysisRunMetadata").get(part).value().and_then(Value::as_object);
        added.cloned().unwrap_or_default()
    };
    let (mut labels, annotations) = (added("labels"), added("annotations"));
    if !objects.instance.is_empty() {
        labels.insert(keys::INSTANCE_ID.to_owned(), objects.instance.clone().into());
    }
    Ok(json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisRun",
        "metadata": {
            "name": name,
            "namespace": meta.namespace,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [super::make::owner(&meta)],
        },
        "spec": body,
    }))
}

/// The arguments that the experiment gives, with values in place of what refers to its versions.
fn arguments(
    objects: &Objects,
    names: &[Named],
    analysis: &Field<'_>,
    available: Timestamp,
) -> Result<Vec<Value>, ArgumentError> {
    let values = values(objects, names, available);
    let resolve = |arg: &Field<'_>| {
        let name = arg.get("name").str().unwrap_or_default();
        if let Some(value) = arg.get("value").value() {
            return Ok(json!({"name": name, "value": values.substitute(value)?}));
        }
        let source = arg.get("valueFrom");
        if let Some(path) = source.at("fieldRef.fieldPath").str() {
            return Ok(json!({"name": name, "value": field(&objects.experiment, path)?}));
        }
        Ok(json!({"name": name, "valueFrom": source.value()}))
    };
    analysis.get("args").items().iter().map(resolve).collect()
}

fn values(objects: &Objects, names: &[Named], available: Timestamp) -> Values {
    let spec = Field::root(&objects.experiment).get("spec");
    let mut values = BTreeMap::new();
    for (template, named) in spec.get("templates").items().iter().zip(names) {
        let template = template.get("name").str().unwrap_or_default();
        values.insert(format!("templates.{template}.podTemplateHash"), named.hash.clone());
        values.insert(format!("templates.{template}.replicaset.name"), named.set.clone());
    }
    values.insert("experiment.availableAt".to_owned(), format_time(next_second(available)));
    let duration: Option<Duration> = spec.get("duration").str().and_then(parse_duration);
    if let Some(duration) = duration {
        let ends = next_second(available.after(duration));
        values.insert("experiment.finishedAt".to_owned(), format_time(ends));
    }
    Values::named(values)
}
