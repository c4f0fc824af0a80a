//! Experiments as a step asks for them.

use std::num::NonZeroU32;

use crate::clock::parse_duration;
use crate::field::{Field, Refusals};
use crate::rollout::effects::WITHOUT_DESTINATIONS;

/// Complain of what no experiment can be made of.
///
/// `weight` is the canary's at the step, of `whole`.
pub(super) fn experiment(
    field: &Field<'_>,
    canary: &Field<'_>,
    (weight, whole): (u32, NonZeroU32),
    bad: &mut Refusals,
) {
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
    }
    weights(&templates, canary, whole, weight, bad);
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

/// The shares of templates need a router that can give them, and must fit beside the canary's.
fn weights(
    templates: &Field<'_>,
    canary: &Field<'_>,
    whole: NonZeroU32,
    weight: u32,
    bad: &mut Refusals,
) {
    let items = templates.items();
    let weighted: Vec<_> =
        items.iter().map(|one| one.get("weight")).filter(Field::is_set).collect();
    let Some(first) = weighted.first() else { return };
    let routing = canary.get("trafficRouting");
    if !routing.is_set() {
        return bad.add(
            first,
            "Invalid value: Experiment template weight is only available for TrafficRouting with SMI, ALB, and Istio at this time; name such a router, or remove the weight",
        );
    }
    let able = ["istio", "alb", "smi", "plugins"].iter().any(|name| routing.get(name).is_set());
    if !able {
        return bad.add(
            first,
            format!("Invalid value: Experiment template weight is only available for TrafficRouting with SMI, ALB, and Istio at this time: {} can divide requests between two destinations alone; name another router, or remove the weight", WITHOUT_DESTINATIONS.join(", ")),
        );
    }
    let sum = weighted.iter().map(|weight| bad.count(weight, 0)).fold(0, u32::saturating_add);
    let left = whole.get().saturating_sub(weight);
    if sum > left {
        bad.add(
            first,
            format!("Invalid value: {sum}: the templates of this step get {sum} of {whole}, and beside the canary's {weight} there are {left}; give them less"),
        );
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
