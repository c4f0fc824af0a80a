//! Experiments.

use serde_json::Value;

use crate::clock::parse_duration;
use crate::field::Field;
use crate::lint::Page;
use crate::lint::around::{Around, warn_of_absent};

/// Judge an Experiment.
pub(super) fn check(page: &mut Page<'_>, around: &Around<'_>) {
    let spec = page.root().get("spec");
    let templates = spec.get("templates");
    distinct(page, &templates);
    for template in templates.items() {
        selects(page, &template);
    }
    let duration = spec.get("duration");
    if let Some(text) = duration.str()
        && parse_duration(text).is_none()
    {
        page.error(
            duration.path(),
            format!("{text:?} is no duration"),
            Some("write a number and a unit, such as 90s or 1h30m"),
        );
    }
    let analyses = spec.get("analyses");
    distinct(page, &analyses);
    warn_of_absent(page, around, &analyses);
}

/// Refuse a second item of the same name.
fn distinct(page: &mut Page<'_>, list: &Field<'_>) {
    let items = list.items();
    for (index, item) in items.iter().enumerate() {
        let name = item.get("name");
        let before = items.iter().take(index).any(|other| other.get("name").str() == name.str());
        if before && let Some(text) = name.str() {
            page.error(name.path(), format!("{text:?} is there already"), Some("rename it"));
        }
    }
}

fn selects(page: &mut Page<'_>, template: &Field<'_>) {
    let wanted = template.at("selector.matchLabels");
    let labels = template.at("template.metadata.labels");
    for (key, value) in wanted.value().and_then(Value::as_object).into_iter().flatten() {
        if labels.value().and_then(|labels| labels.get(key)) != Some(value) {
            page.error(
                labels.path(),
                format!("the selector wants {key}={}", value.as_str().unwrap_or_default()),
                Some("give the pods every label of the selector"),
            );
        }
    }
}
