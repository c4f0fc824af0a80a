//! The AnalysisRun that a rollout starts.

use serde_json::{Map, Value, json};
use sluice_core::observed::Purpose;

use crate::analysis::arguments::{ArgumentError, PLACEHOLDER, Sources, Values, fill, of_rollout};
use crate::analysis::metric::{MetricError, parse};
use crate::analysis::template::{Template, TemplateError, unite_references};
use crate::field::Field;
use crate::keys;
use crate::objects::{Meta, TemplateName};

/// Why a rollout's analysis cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// Its templates.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// Its arguments.
    #[error(transparent)]
    Argument(#[from] ArgumentError),
    /// Its metrics.
    #[error("AnalysisTemplate {0}: {1}")]
    Metric(String, MetricError),
    /// A run that is to end could never do so.
    #[error(
        "AnalysisTemplate {template} has metric {metric} which runs indefinitely. Invalid value for count: {count}"
    )]
    Endless {
        /// The template's name.
        template: String,
        /// The metric's name.
        metric: String,
        /// What it has for a count.
        count: String,
    },
}

/// A run to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewRun<'a> {
    /// The object's name.
    pub name: &'a str,
    /// The Rollout.
    pub rollout: &'a Value,
    /// The step's or the strategy's `analysis`.
    pub analysis: &'a Value,
    /// What it is for.
    pub purpose: Purpose,
    /// The hash of the stable revision; empty while there is none.
    pub stable: &'a str,
    /// The hash of the revision that is measured.
    pub latest: &'a str,
    /// That revision's number.
    pub number: u32,
    /// The controller's instance id; empty for the default instance.
    pub instance: &'a str,
}

/// Make the object.
///
/// # Errors
/// What is missing or does not fit together.
pub fn build<'t>(
    new: &NewRun<'_>,
    find: impl Fn(&TemplateName) -> Option<&'t Value>,
) -> Result<Value, RunError> {
    let rollout = Meta::read(new.rollout);
    let sources = Sources { rollout: new.rollout, stable: new.stable, latest: new.latest };
    let (template, args) = resolve(new.analysis, &sources, find)?;
    let mut spec = Map::new();
    let lists = [
        ("metrics", template.metrics),
        ("args", args),
        ("dryRun", template.dry_run),
        ("measurementRetention", template.retention),
    ];
    for (name, list) in lists {
        if !list.is_empty() {
            spec.insert(name.to_owned(), Value::Array(list));
        }
    }
    Ok(json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisRun",
        "metadata": {
            "name": new.name,
            "namespace": rollout.namespace,
            "labels": labels(new),
            "annotations": annotations(new),
            "ownerReferences": [crate::rollout::effects::owner(&rollout)],
        },
        "spec": spec,
    }))
}

/// Whether a rollout's analysis could be run, and a step's could end.
///
/// # Errors
/// The first thing that is missing or wrong.
pub fn check<'t>(
    analysis: &Value,
    sources: &Sources<'_>,
    purpose: Purpose,
    find: impl Fn(&TemplateName) -> Option<&'t Value>,
) -> Result<(), RunError> {
    let (template, args) = resolve(analysis, sources, find)?;
    let values = Values::of(&args, |_| Ok(PLACEHOLDER.to_owned()))?;
    let metrics: Result<Vec<_>, _> =
        template.metrics.iter().map(|metric| values.substitute(metric)).collect();
    let metrics = metrics?;
    let (dry_run, retention) = (Value::Array(template.dry_run), Value::Array(template.retention));
    let specs = parse(&metrics, &Field::root(&dry_run), &Field::root(&retention));
    let origin = |index: usize| template.origins.get(index).cloned().unwrap_or_default();
    let specs = specs.map_err(|error| {
        let index = match &error {
            MetricError::Wrong(index, _) | MetricError::Duplicate(index, _) => *index,
            MetricError::None | MetricError::IdleRule(..) => 0,
        };
        RunError::Metric(origin(index), error)
    })?;
    let endless = specs.iter().position(|spec| spec.target().is_none());
    match (purpose, endless) {
        (Purpose::Step(_) | Purpose::PrePromotion | Purpose::PostPromotion, Some(index)) => {
            Err(RunError::Endless {
                template: origin(index),
                metric: specs[index].name.clone(),
                count: specs[index].count.unwrap_or(0).to_string(),
            })
        }
        (Purpose::Background, _) | (_, None) => Ok(()),
    }
}

fn resolve<'t>(
    analysis: &Value,
    sources: &Sources<'_>,
    find: impl Fn(&TemplateName) -> Option<&'t Value>,
) -> Result<(Template, Vec<Value>), RunError> {
    let analysis = Field::root(analysis);
    let mut template = unite_references(&analysis.get("templates"), find)?;
    template.add_rules(&analysis.get("dryRun"), &analysis.get("measurementRetention"))?;
    let given = of_rollout(&analysis.get("args"), sources)?;
    let args = fill(&template.args, &given)?;
    Ok((template, args))
}

fn entries<'v>(field: &Field<'v>) -> impl Iterator<Item = (String, Value)> + 'v {
    let entries = field.value().and_then(Value::as_object).into_iter().flatten();
    entries.map(|(key, value)| (key.clone(), value.clone()))
}

/// What the run is, then what the user adds to runs, then what selects the rollout's pods: the
/// later one wins.
fn labels(new: &NewRun<'_>) -> Map<String, Value> {
    let mut labels = Map::new();
    let mut put = |key: &str, value: String| labels.insert(key.to_owned(), value.into());
    put(keys::HASH, new.latest.to_owned());
    match new.purpose {
        Purpose::Background => put(keys::ROLLOUT_TYPE, "Background".to_owned()),
        Purpose::PrePromotion => put(keys::ROLLOUT_TYPE, "PrePromotion".to_owned()),
        Purpose::PostPromotion => put(keys::ROLLOUT_TYPE, "PostPromotion".to_owned()),
        Purpose::Step(index) => {
            put(keys::STEP_INDEX, index.to_string());
            put(keys::ROLLOUT_TYPE, "Step".to_owned())
        }
    };
    if !new.instance.is_empty() {
        put(keys::INSTANCE_ID, new.instance.to_owned());
    }
    labels.extend(entries(&Field::root(new.analysis).at("analysisRunMetadata.labels")));
    labels.extend(entries(&Field::root(new.rollout).at("spec.selector.matchLabels")));
    labels
}

fn annotations(new: &NewRun<'_>) -> Map<String, Value> {
    let mut annotations = Map::new();
    annotations.insert(keys::REVISION.to_owned(), new.number.to_string().into());
    annotations.extend(entries(&Field::root(new.analysis).at("analysisRunMetadata.annotations")));
    annotations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template() -> Value {
        json!({"spec": {
            "args": [{"name": "service"}, {"name": "token", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
            "metrics": [{
                "name": "rate",
                "provider": {"prometheus": {"query": "rate{app=\"{{args.service}}\"}"}},
            }],
        }})
    }

    fn rollout() -> Value {
        json!({
            "metadata": {"name": "shop", "namespace": "web", "uid": "u-1"},
            "spec": {"selector": {"matchLabels": {"app": "shop"}}},
        })
    }

    fn analysis(args: Value) -> Value {
        json!({
            "templates": [{"templateName": "rates"}],
            "args": args,
            "dryRun": [{"metricName": "rate"}],
            "analysisRunMetadata": {"labels": {"team": "red", "app": "x"}, "annotations": {"a": "b"}},
        })
    }

    fn built(analysis: &Value, purpose: Purpose) -> Result<Value, String> {
        let (rollout, template) = (rollout(), template());
        let new = NewRun {
            name: "shop-abc-2-1",
            rollout: &rollout,
            analysis,
            purpose,
            stable: "old",
            latest: "abc",
            number: 2,
            instance: "blue",
        };
        build(&new, |name| (name.name == "rates").then_some(&template))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_run_carries_what_finds_it_again() {
        let args = json!([
            {"name": "service", "valueFrom": {"podTemplateHashValue": "Latest"}},
            {"name": "undeclared", "value": "x"},
        ]);
        let run = built(&analysis(args), Purpose::Step(1)).unwrap();
        let expected = json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AnalysisRun",
            "metadata": {
                "name": "shop-abc-2-1",
                "namespace": "web",
                "labels": {
                    "rollouts-pod-template-hash": "abc",
                    "rollout-type": "Step",
                    "step-index": "1",
                    "argo-rollouts.argoproj.io/controller-instance-id": "blue",
                    "team": "red",
                    "app": "shop",
                },
                "annotations": {"rollout.argoproj.io/revision": "2", "a": "b"},
                "ownerReferences": [{
                    "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "shop",
                    "uid": "u-1", "controller": true, "blockOwnerDeletion": true,
                }],
            },
            "spec": {
                "metrics": template()["spec"]["metrics"],
                "args": [{"name": "service", "value": "abc"}, template()["spec"]["args"][1]],
                "dryRun": [{"metricName": "rate"}],
            },
        });
        assert_eq!(run, expected);
    }

    #[test]
    fn a_background_run_has_no_step() {
        let args = json!([{"name": "service", "value": "s"}]);
        let run = built(&analysis(args), Purpose::Background).unwrap();
        let labels = &run["metadata"]["labels"];
        assert_eq!(
            (&labels["rollout-type"], &labels["step-index"]),
            (&json!("Background"), &Value::Null)
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let missing = built(&analysis(json!([])), Purpose::Background);
        assert_eq!(missing, Err("args.service was not resolved".to_owned()));
        let other = json!({"templates": [{"templateName": "other"}]});
        let missing = built(&other, Purpose::Background);
        assert_eq!(missing, Err("AnalysisTemplate 'other' not found".to_owned()));
    }

    #[test]
    fn a_step_may_not_run_for_ever_but_the_background_may() {
        let rollout = rollout();
        let sources = Sources { rollout: &rollout, stable: "", latest: "abc" };
        let checked = |fields: Value, purpose| {
            let mut template = template();
            for (name, value) in fields.as_object().unwrap() {
                template["spec"]["metrics"][0][name] = value.clone();
            }
            let analysis = analysis(json!([{"name": "service", "value": "s"}]));
            check(&analysis, &sources, purpose, |_| Some(&template))
                .map_err(|error| error.to_string())
        };
        let endless = json!({"interval": "10s"});
        assert_eq!(checked(endless.clone(), Purpose::Background), Ok(()));
        assert_eq!(
            checked(endless, Purpose::Step(0)).unwrap_err(),
            "AnalysisTemplate rates has metric rate which runs indefinitely. Invalid value for count: 0"
        );
        assert_eq!(
            checked(json!({"count": 2}), Purpose::Step(0)).unwrap_err(),
            "AnalysisTemplate rates: metrics[0]: interval must be specified when count > 1"
        );
        assert_eq!(
            checked(json!({"successCondition": "{{args.x}}"}), Purpose::Background).unwrap_err(),
            "failed to resolve {{args.x}}"
        );
    }
}
