//! The steps of a canary.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use serde_json::Value;
use sluice_core::Share;
use sluice_core::rollout::{Act, Pause, Scale, SpecialRoute, Step, Steps};

use super::experiment::experiment;
use super::routes::{RouteReader, RouteRule};
use crate::clock::parse_duration;
use crate::field::{Field, Refusals};

/// Members of a step of which it may have one.
const ACTS: &[&str] = &["experiment", "setWeight", "pause", "analysis"];
/// Members that may stand beside one of those, or alone.
const BESIDES: &[&str] = &["setCanaryScale", "setHeaderRoute", "setMirrorRoute", "plugin"];

/// The steps, and what only writes need of them.
pub(super) struct Parsed {
    pub(super) steps: Steps,
    pub(super) analyses: BTreeMap<usize, Value>,
    pub(super) routes: Vec<(SpecialRoute, RouteRule)>,
}

pub(super) fn steps(canary: &Field<'_>, whole: NonZeroU32, bad: &mut Refusals) -> Parsed {
    let mut analyses = BTreeMap::new();
    let mut steps = Vec::new();
    let mut weight = 0;
    let mut routes = RouteReader::new(canary);
    let routed = canary.get("trafficRouting").is_set();
    for (index, field) in canary.get("steps").items().iter().enumerate() {
        if let Some(set) = field.get("setWeight").u32() {
            weight = set;
        }
        members(field, bad);
        experiment(&field.get("experiment"), canary, (weight, whole), bad);
        steps.push(Step {
            act: act(field, whole, bad),
            scale: scale(&field.get("setCanaryScale"), whole, routed, bad),
            routes: routes.step(field, bad),
        });
        if let Some(analysis) = field.get("analysis").value() {
            analyses.insert(index, analysis.clone());
        }
    }
    Parsed { steps: Steps::new(steps), analyses, routes: routes.found }
}

fn members(field: &Field<'_>, bad: &mut Refusals) {
    let is_set = |kind: &&&str| field.get(kind).is_set();
    if ACTS.iter().filter(is_set).count() > 1 {
        bad.add(field, "Invalid value: Step must only have one of the following set: analysis, experiment, pause, setWeight");
    } else if !ACTS.iter().chain(BESIDES).any(|kind| is_set(&kind)) {
        bad.add(
            field,
            "Invalid value: Step must have one of the following set: experiment, setWeight, setCanaryScale, plugin or pause",
        );
    }
    plugin(field, bad);
}

/// A component's step is complete when the component says so. Beside another member it would be
/// complete with that one, whatever the component says.
fn plugin(field: &Field<'_>, bad: &mut Refusals) {
    let plugin = field.get("plugin");
    if !plugin.is_set() {
        return;
    }
    if plugin.get("name").name().is_none() {
        bad.add(&plugin.get("name"), "Required value: the name of an installed step plugin");
    }
    let others = ACTS.iter().chain(BESIDES).filter(|kind| **kind != "plugin");
    if let Some(other) = others.clone().find(|kind| field.get(kind).is_set()) {
        bad.add(
            &plugin,
            format!("Forbidden: a plugin is a step of its own, and this one has {other} as well; make them two steps"),
        );
    }
}

fn act(field: &Field<'_>, whole: NonZeroU32, bad: &mut Refusals) -> Act {
    let weight = field.get("setWeight");
    if let Some(value) = weight.value() {
        let share = weight.u32().and_then(|parts| Share::new(parts, whole.get()));
        if share.is_none() {
            bad.add(
                &weight,
                format!("Invalid value: {value}: SetWeight needs to be between 0 and {whole}"),
            );
        }
        return share.map_or(Act::Nothing, Act::SetWeight);
    }
    if field.get("analysis").is_set() {
        return Act::Analysis;
    }
    if field.get("experiment").is_set() {
        return Act::Experiment;
    }
    if let Some(name) = field.at("plugin.name").name() {
        return Act::Plugin(name.to_owned());
    }
    if !field.get("pause").is_set() {
        return Act::Nothing;
    }
    let duration = field.at("pause.duration");
    let Some(value) = duration.value() else { return Act::Pause(Pause::UntilPromoted) };
    let parsed = pause_duration(value);
    if parsed.is_none() {
        bad.add(
            &duration,
            format!("Invalid value: {value}: Duration needs to be greater than 0; write seconds as a number, or a duration such as 90s or 1h30m"),
        );
    }
    parsed.map_or(Act::Nothing, |wait| Act::Pause(Pause::For(wait)))
}

/// Seconds as a number or as digits, or a Go duration.
fn pause_duration(value: &Value) -> Option<Duration> {
    match value {
        Value::Number(number) => number.as_u64().map(Duration::from_secs),
        Value::String(text) => match text.parse::<u64>() {
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            Err(_) => parse_duration(text),
        },
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// What a step says about the canary's size. One that says nothing in particular lets it follow
/// the traffic, as `matchTrafficWeight` does, which counts before the other two.
fn scale(field: &Field<'_>, whole: NonZeroU32, routed: bool, bad: &mut Refusals) -> Option<Scale> {
    if !field.is_set() {
        return None;
    }
    if !routed {
        bad.add(field, "Invalid value: SetCanaryScale requires TrafficRouting to be set");
    }
    let (replicas, weight) = (field.get("replicas"), field.get("weight"));
    let pods = bad.count(&replicas, 0);
    let parts = bad.count(&weight, 0);
    let share = Share::new(parts, whole.get());
    if share.is_none() {
        bad.add(
            &weight,
            format!("Invalid value: {parts}: the canary's share of the pods must be between 0 and {whole}; for more pods than that, set replicas"),
        );
    }
    Some(if field.get("matchTrafficWeight").bool() {
        Scale::MatchTraffic
    } else if replicas.is_set() {
        Scale::Replicas(sluice_core::Pods(pods))
    } else if weight.is_set() {
        Scale::Weight(share.unwrap_or(Share::ALL))
    } else {
        Scale::MatchTraffic
    })
}
