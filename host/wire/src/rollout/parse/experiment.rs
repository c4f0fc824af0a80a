//! Experiments as a step asks for them.

use crate::clock::parse_duration;
use crate::field::{Field, Refusals};

/// Complain of what no experiment can be made of.
pub(super) fn experiment(field: &Field<'_>, bad: &mut Refusals) {
    if !field.is_set() {
        return;
    }
    let templates = field.get("templates");
    if templates.items().is_empty() {
        bad.add(&templates, "Required value: an experiment needs at least one template");
    }
    names(&templates, bad);
    for template in templates.items() {
        let spec_ref = template.get("specRef");
        if !matches!(spec_ref.str(), Some("canary" | "stable")) {
            let found = spec_ref.value().cloned().unwrap_or_default();
            bad.add(&spec_ref, format!("Invalid value: {found}: write canary or stable"));
        }
        bad.count(&template.get("replicas"), 1);
        if template.get("weight").is_set() {
            bad.add(
                &template.get("weight"),
                "Forbidden: not supported by this version of Sluice; remove it, and the template gets no traffic",
            );
        }
    }
    let duration = field.get("duration");
    if let Some(value) = duration.value()
        && duration.str().and_then(parse_duration).is_none()
    {
        bad.add(
            &duration,
            format!("Invalid value: {value}: write a number and a unit, such as 90s or 1h30m"),
        );
    }
    let analyses = field.get("analyses");
    names(&analyses, bad);
    for analysis in analyses.items() {
        let template = analysis.get("templateName");
        if template.name().is_none() {
            bad.add(&template, "Required value: the name of an analysis template");
        }
    }
}

fn names(list: &Field<'_>, bad: &mut Refusals) {
    let items = list.items();
    for (index, item) in items.iter().enumerate() {
        let name = item.get("name");
        match name.name() {
            None => bad.add(&name, "Required value"),
            Some(text) => {
                let before = items.iter().take(index);
                if before.clone().any(|other| other.get("name").name() == Some(text)) {
                    bad.add(&name, format!("Duplicate value: \"{text}\""));
                }
            }
        }
    }
}
