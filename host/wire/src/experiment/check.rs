//! Whether the specification of an experiment can be followed.

use serde_json::Value;

use crate::clock::parse_duration;
use crate::field::{Field, Refusal, Refusals};

/// After how many seconds without progress a version fails unless the user says otherwise.
pub(super) const PROGRESS_DEADLINE: u32 = 600;

/// For how many seconds pods outlive their experiment unless the user says otherwise.
pub(super) const SCALE_DOWN_DELAY: u32 = 30;

/// Every complaint about the specification.
pub(super) fn complaints(spec: &Field<'_>) -> Vec<Refusal> {
    let mut bad = Refusals::default();
    let deadline = spec.get("progressDeadlineSeconds");
    let deadline = bad.count(&deadline, PROGRESS_DEADLINE);
    bad.count(&spec.get("scaleDownDelaySeconds"), SCALE_DOWN_DELAY);
    let duration = spec.get("duration");
    if let Some(value) = duration.value()
        && duration.str().and_then(parse_duration).is_none()
    {
        let words = "write a number and a unit, such as 90s or 1h30m";
        bad.add(&duration, format!("Invalid value: {value}: {words}"));
    }
    let templates = spec.get("templates");
    if templates.items().is_empty() {
        bad.add(&templates, "Required value: an experiment needs at least one template");
    }
    distinct(&templates, &mut bad);
    for one in templates.items() {
        template(&one, deadline, &mut bad);
    }
    let analyses = spec.get("analyses");
    distinct(&analyses, &mut bad);
    for analysis in analyses.items() {
        let named = analysis.get("templateName");
        if named.name().is_none() {
            bad.add(&named, "Required value: the name of an analysis template");
        }
    }
    bad.or(()).err().unwrap_or_default()
}

fn template(template: &Field<'_>, deadline: u32, bad: &mut Refusals) {
    bad.count(&template.get("replicas"), 1);
    let ready = template.get("minReadySeconds");
    if bad.count(&ready, 0) > deadline {
        bad.add(
            &ready,
            format!(
                "Invalid value: must be smaller than progressDeadlineSeconds, which is {deadline}"
            ),
        );
    }
    let selector = template.get("selector");
    let wanted = selector.get("matchLabels").value().and_then(Value::as_object);
    let expressions = !selector.get("matchExpressions").items().is_empty();
    if !selector.is_set() {
        bad.add(&selector, "Required value: which pods belong to the template");
    } else if wanted.is_none_or(serde_json::Map::is_empty) && !expressions {
        bad.add(&selector, "Invalid value: an empty selector selects every pod; name a label");
    }
    let labels = template.at("template.metadata.labels");
    for (key, value) in wanted.into_iter().flatten() {
        if labels.value().and_then(|labels| labels.get(key)) != Some(value) {
            let value = value.as_str().unwrap_or_default();
            bad.add(
                &labels,
                format!(
                    "Invalid value: the selector wants {key}={value}; give the pods this label"
                ),
            );
        }
    }
    let containers = template.at("template.spec.containers");
    if containers.items().is_empty() {
        bad.add(&containers, "Required value: a pod needs at least one container");
    }
}

/// Every item needs a name, and no two the same.
fn distinct(list: &Field<'_>, bad: &mut Refusals) {
    let items = list.items();
    for (index, item) in items.iter().enumerate() {
        let name = item.get("name");
        let Some(text) = name.name() else {
            bad.add(&name, "Required value");
            continue;
        };
        let mut before = items.iter().take(index);
        if before.any(|other| other.get("name").name() == Some(text)) {
            bad.add(&name, format!("Duplicate value: \"{text}\""));
        }
    }
}
