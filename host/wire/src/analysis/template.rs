//! AnalysisTemplates: found by their references, and united into one.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::analysis::arguments::{ArgumentError, unite};
use crate::field::Field;
use crate::objects::TemplateName;

/// Why templates cannot be united.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// There is none of that name.
    #[error("{} '{}' not found", if .0.cluster { "ClusterAnalysisTemplate" } else { "AnalysisTemplate" }, .0.name)]
    NotFound(TemplateName),
    /// Two metrics are called the same.
    #[error("two metrics have the same name '{0}'")]
    DuplicateMetric(String),
    /// Two dry-run rules are the same.
    #[error("two Dry-Run metric rules have the same name '{0}'")]
    DuplicateDryRun(String),
    /// Two retention rules are for the same.
    #[error("two Measurement Retention metric rules have the same name '{0}'")]
    DuplicateRetention(String),
    /// The arguments do not fit together.
    #[error(transparent)]
    Argument(#[from] ArgumentError),
}

/// One or several templates, united. All parts are in the JSON form of the API.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Template {
    /// `metrics`, with distinct names.
    pub metrics: Vec<Value>,
    /// The template that each metric is from.
    pub origins: Vec<String>,
    /// `args`, with distinct names.
    pub args: Vec<Value>,
    /// `dryRun`, with distinct rules.
    pub dry_run: Vec<Value>,
    /// `measurementRetention`, with distinct rules.
    pub retention: Vec<Value>,
}

/// Unite the templates that `references` names, a list of `{templateName, clusterScope}`, and
/// those that they name in turn; each once. Those of the namespace come before those of the
/// cluster.
///
/// # Errors
/// What is missing or does not fit together.
pub fn unite_references<'t>(
    references: &Field<'_>,
    find: impl Fn(&TemplateName) -> Option<&'t Value>,
) -> Result<Template, TemplateError> {
    let mut found = Vec::new();
    collect(references, &find, &mut BTreeSet::new(), &mut found)?;
    found.sort_by_key(|(name, _)| name.cluster);
    unite_specs(found.iter().map(|(name, spec)| (name.name.as_str(), spec)))
}

fn collect<'t>(
    references: &Field<'_>,
    find: &impl Fn(&TemplateName) -> Option<&'t Value>,
    seen: &mut BTreeSet<TemplateName>,
    found: &mut Vec<(TemplateName, Field<'t>)>,
) -> Result<(), TemplateError> {
    for reference in references.items() {
        let name = TemplateName {
            cluster: reference.get("clusterScope").bool(),
            name: reference.get("templateName").str().unwrap_or_default().to_owned(),
        };
        if !seen.insert(name.clone()) {
            continue;
        }
        let template = find(&name).ok_or_else(|| TemplateError::NotFound(name.clone()))?;
        let spec = Field::root(template).get("spec");
        found.push((name, spec.clone()));
        collect(&spec.get("templates"), find, seen, found)?;
    }
    Ok(())
}

/// Unite templates, given by name and specification.
///
/// # Errors
/// What does not fit together.
pub fn unite_specs<'f, 't: 'f>(
    specs: impl IntoIterator<Item = (&'f str, &'f Field<'t>)>,
) -> Result<Template, TemplateError> {
    let mut united = Template::default();
    for (name, spec) in specs {
        let items = |name: &str| {
            let items = spec.get(name).value().and_then(Value::as_array);
            items.map(Vec::as_slice).unwrap_or_default()
        };
        united.metrics.extend_from_slice(items("metrics"));
        united.origins.resize(united.metrics.len(), name.to_owned());
        unite(&mut united.args, items("args"))?;
        united.dry_run.extend_from_slice(items("dryRun"));
        united.retention.extend_from_slice(items("measurementRetention"));
    }
    if let Some(name) = twice(&united.metrics, "name") {
        return Err(TemplateError::DuplicateMetric(name));
    }
    united.check_rules()?;
    Ok(united)
}

impl Template {
    /// Add the rules of whoever uses the template: lists of `{metricName}` and of
    /// `{metricName, limit}`.
    ///
    /// # Errors
    /// A rule that is there already.
    pub fn add_rules(
        &mut self,
        dry_run: &Field<'_>,
        retention: &Field<'_>,
    ) -> Result<(), TemplateError> {
        let items = |field: &Field<'_>| {
            field.value().and_then(Value::as_array).cloned().unwrap_or_default()
        };
        self.dry_run.splice(..0, items(dry_run));
        self.retention.splice(..0, items(retention));
        self.check_rules()
    }

    fn check_rules(&self) -> Result<(), TemplateError> {
        if let Some(name) = twice(&self.dry_run, "metricName") {
            return Err(TemplateError::DuplicateDryRun(name));
        }
        if let Some(name) = twice(&self.retention, "metricName") {
            return Err(TemplateError::DuplicateRetention(name));
        }
        Ok(())
    }
}

/// The first name that two items share.
fn twice(items: &[Value], key: &str) -> Option<String> {
    let mut seen = BTreeSet::new();
    let mut names = items.iter().map(|item| item.get(key).and_then(Value::as_str).unwrap_or(""));
    names.find(|name| !seen.insert(*name)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn united(references: &Value, templates: &[(bool, &str, Value)]) -> Result<Template, String> {
        let find = |wanted: &TemplateName| {
            let found = templates
                .iter()
                .find(|(cluster, name, _)| *cluster == wanted.cluster && *name == wanted.name);
            found.map(|(_, _, template)| template)
        };
        unite_references(&Field::root(references), find).map_err(|error| error.to_string())
    }

    fn names(items: &[Value], key: &str) -> Vec<String> {
        items.iter().map(|item| item[key].as_str().unwrap().to_owned()).collect()
    }

    fn template(metric: &str, nested: Value) -> Value {
        json!({"spec": {"metrics": [{"name": metric}], "templates": nested}})
    }

    #[test]
    fn references_are_followed_and_each_template_is_taken_once() {
        let templates = [
            (
                false,
                "a",
                template(
                    "a",
                    json!([{"templateName": "b"}, {"templateName": "c", "clusterScope": true}]),
                ),
            ),
            (false, "b", template("b", json!([{"templateName": "a"}]))),
            (true, "c", template("c", json!([{"templateName": "b"}]))),
        ];
        let references =
            json!([{"templateName": "c", "clusterScope": true}, {"templateName": "a"}]);
        let template = united(&references, &templates).unwrap();
        // Those of the namespace first, whatever the order of the references.
        assert_eq!(names(&template.metrics, "name"), ["b", "a", "c"]);
    }

    #[test]
    fn a_template_may_consist_of_references_only() {
        let templates = [
            (false, "all", json!({"spec": {"templates": [{"templateName": "one"}]}})),
            (false, "one", template("m", json!([]))),
        ];
        let template = united(&json!([{"templateName": "all"}]), &templates).unwrap();
        assert_eq!(names(&template.metrics, "name"), ["m"]);
    }

    #[test]
    fn a_missing_template_is_named_with_its_kind() {
        let missing = |cluster| {
            united(&json!([{"templateName": "x", "clusterScope": cluster}]), &[]).unwrap_err()
        };
        assert_eq!(missing(false), "AnalysisTemplate 'x' not found");
        assert_eq!(missing(true), "ClusterAnalysisTemplate 'x' not found");
    }

    #[test]
    fn what_two_templates_both_have_is_refused() {
        let pair = |first: Value, second: Value| {
            let templates =
                [(false, "a", json!({"spec": first})), (false, "b", json!({"spec": second}))];
            united(&json!([{"templateName": "a"}, {"templateName": "b"}]), &templates)
        };
        let metric = json!({"metrics": [{"name": "m"}]});
        assert_eq!(pair(metric.clone(), metric).unwrap_err(), "two metrics have the same name 'm'");
        let dry = json!({"dryRun": [{"metricName": "m"}]});
        assert_eq!(
            pair(dry.clone(), dry).unwrap_err(),
            "two Dry-Run metric rules have the same name 'm'"
        );
        let kept = json!({"measurementRetention": [{"metricName": "m", "limit": 3}]});
        assert_eq!(
            pair(kept.clone(), kept).unwrap_err(),
            "two Measurement Retention metric rules have the same name 'm'"
        );
        let args = |value: &str| json!({"args": [{"name": "a", "value": value}]});
        assert!(pair(args("1"), args("2")).is_err());
        assert_eq!(pair(args("1"), args("1")).unwrap().args.len(), 1);
    }

    #[test]
    fn rules_of_the_user_join_those_of_the_template() {
        let spec = json!({"dryRun": [{"metricName": "a"}]});
        let mut template = unite_specs([("t", &Field::root(&spec))]).unwrap();
        let none = Value::Null;
        let (same, other) = (json!([{"metricName": "a"}]), json!([{"metricName": "b"}]));
        template.add_rules(&Field::root(&other), &Field::root(&none)).unwrap();
        assert_eq!(names(&template.dry_run, "metricName"), ["b", "a"]);
        assert!(template.add_rules(&Field::root(&same), &Field::root(&none)).is_err());
    }
}
