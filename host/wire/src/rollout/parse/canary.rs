//! What a user wants of the canary strategy.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use serde_json::Value;
use sluice_core::rollout::{self, Pause, Routing, Step, Steps};
use sluice_core::{Pods, Share};

use crate::clock::parse_duration;
use crate::field::{Field, Refusals};
use crate::rollout::percent::surge_and_unavailable;

/// How long requests may follow an older routing, where the data plane cannot say that it took
/// the new one up.
const DRAIN: Duration = Duration::from_secs(5);
const SCALE_DOWN_DELAY: u32 = 30;

const STEP_KINDS: &[&str] = &["setWeight", "pause", "analysis"];
const STEP_KINDS_NOT_YET: &[&str] =
    &["experiment", "setCanaryScale", "setHeaderRoute", "setMirrorRoute", "plugin"];

/// Built-in routers, in the order in which Argo asks them.
const ROUTERS: &[&str] =
    &["istio", "nginx", "alb", "smi", "ambassador", "appMesh", "traefik", "apisix"];
/// Routers that tell the two sides apart by their Services.
const ROUTERS_BY_SERVICE: &[&str] =
    &["nginx", "alb", "smi", "ambassador", "appMesh", "traefik", "apisix"];

/// What `strategy.canary` says, for the core and for writes.
pub(super) struct Canary {
    pub(super) strategy: rollout::Canary,
    pub(super) max_unavailable: Pods,
    pub(super) routers: Routers,
    pub(super) step_analyses: BTreeMap<usize, Value>,
}

pub(super) fn canary(canary: &Field<'_>, replicas: Pods, bad: &mut Refusals) -> Canary {
    let (routers, routing) = routing(canary, bad);
    let whole =
        routing.as_ref().map_or(NonZeroU32::MIN.saturating_add(99), |routing| routing.whole);
    let (steps, step_analyses) = steps(canary, whole, bad);
    let (max_surge, max_unavailable) = surge(canary, replicas, bad);
    let background_from = background_start(&canary.get("analysis"), bad);
    let strategy = rollout::Canary { steps, max_surge, routing, background_from };
    Canary { strategy, max_unavailable, routers, step_analyses }
}

fn surge(canary: &Field<'_>, replicas: Pods, bad: &mut Refusals) -> (Pods, Pods) {
    let (surge, unavailable) = (canary.get("maxSurge"), canary.get("maxUnavailable"));
    let nothing = |field: &Field<'_>| {
        matches!(field.value(), Some(Value::Number(n)) if n.as_i64() == Some(0))
            || matches!(field.str(), Some("0" | "0%"))
    };
    if nothing(&surge) && nothing(&unavailable) {
        bad.add(&surge, "Invalid value: 0: MaxSurge and MaxUnavailable both can not be zero");
    }
    surge_and_unavailable(surge.value(), unavailable.value(), replicas)
}

type Routers = Vec<(String, Value)>;

fn routing(canary: &Field<'_>, bad: &mut Refusals) -> (Routers, Option<Routing>) {
    let field = canary.get("trafficRouting");
    let delay = canary.get("scaleDownDelaySeconds");
    let abort_delay = canary.get("abortScaleDownDelaySeconds");
    let delay_seconds = bad.count(&delay, SCALE_DOWN_DELAY);
    let abort_seconds = bad.count(&abort_delay, SCALE_DOWN_DELAY);
    let limit = canary.get("scaleDownDelayRevisionLimit");
    let limit_count = bad.count(&limit, 0);
    if !field.is_set() {
        if delay.is_set() {
            bad.add(
                &delay,
                "Invalid value: Canary scaleDownDelaySeconds can only be used with traffic routing",
            );
        }
        return (Vec::new(), None);
    }
    let mut routers: Routers = ROUTERS
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), field.get(name).value()?.clone())))
        .collect();
    let plugins = field.get("plugins");
    let plugins = plugins.value().and_then(Value::as_object);
    // Sorted, so that several plugins are asked in the same order every time.
    let plugins: BTreeMap<_, _> = plugins.into_iter().flatten().collect();
    routers.extend(plugins.into_iter().map(|(name, config)| (name.clone(), config.clone())));
    if routers.is_empty() {
        let known = ROUTERS.join(", ");
        bad.add(&field, format!("Required value: name a router: {known}, or one below plugins"));
    }
    both_services(canary, &field, &routers, bad);
    let whole = bad.count(&field.get("maxTrafficWeight"), 100);
    let by_weight =
        |(name, _): &(String, Value)| name == "nginx" || !ROUTERS.contains(&name.as_str());
    if field.get("maxTrafficWeight").is_set() && !routers.iter().any(by_weight) {
        bad.add(
            &field.get("maxTrafficWeight"),
            "Invalid value: MaxTrafficWeight can only be used with nginx or plugins",
        );
    }
    let Some(whole) = NonZeroU32::new(whole) else {
        bad.add(&field.get("maxTrafficWeight"), "Invalid value: 0: must be at least 1");
        return (routers, None);
    };
    let routing = Routing {
        whole,
        scale_down_delay: Duration::from_secs(u64::from(delay_seconds)),
        scale_down_delay_revisions: limit.is_set().then_some(limit_count as usize),
        abort_scale_down_delay: (abort_seconds > 0)
            .then(|| Duration::from_secs(u64::from(abort_seconds))),
        drain: DRAIN,
    };
    (routers, Some(routing))
}

fn both_services(canary: &Field<'_>, field: &Field<'_>, routers: &Routers, bad: &mut Refusals) {
    let subsets = field.at("istio.destinationRule").is_set();
    let needed = routers.iter().any(|(name, _)| {
        ROUTERS_BY_SERVICE.contains(&name.as_str()) || (name == "istio" && !subsets)
    });
    for name in ["canaryService", "stableService"] {
        let service = canary.get(name);
        if needed && service.name().is_none() {
            bad.add(
                &service,
                "Required value: Canary service and Stable service must to be set to use Traffic Routing",
            );
        }
    }
}

fn steps(
    canary: &Field<'_>,
    whole: NonZeroU32,
    bad: &mut Refusals,
) -> (Steps, BTreeMap<usize, Value>) {
    let mut analyses = BTreeMap::new();
    let mut steps = Vec::new();
    for (index, field) in canary.get("steps").items().iter().enumerate() {
        let set: Vec<_> = STEP_KINDS.iter().filter(|kind| field.get(kind).is_set()).collect();
        for kind in STEP_KINDS_NOT_YET {
            if field.get(kind).is_set() {
                bad.add(
                    &field.get(kind),
                    "Forbidden: not supported by this version of Sluice; remove the step",
                );
            }
        }
        let later = STEP_KINDS_NOT_YET.iter().any(|kind| field.get(kind).is_set());
        match set.as_slice() {
            [] if later => {}
            [] => bad.add(
                field,
                "Invalid value: Step must have one of the following set: experiment, setWeight, setCanaryScale, plugin or pause",
            ),
            [_, _, ..] => bad.add(field, "Invalid value: Step must only have one of the following set: analysis, pause, setWeight"),
            [_] => {
                if let Some(step) = step(field, whole, bad) {
                    steps.push(step);
                }
            }
        }
        if let Some(analysis) = field.get("analysis").value() {
            analyses.insert(index, analysis.clone());
        }
    }
    (Steps::new(steps), analyses)
}

fn step(field: &Field<'_>, whole: NonZeroU32, bad: &mut Refusals) -> Option<Step> {
    let weight = field.get("setWeight");
    if let Some(value) = weight.value() {
        let share = weight.u32().and_then(|parts| Share::new(parts, whole.get()));
        if share.is_none() {
            bad.add(
                &weight,
                format!("Invalid value: {value}: SetWeight needs to be between 0 and {whole}"),
            );
        }
        return share.map(Step::SetWeight);
    }
    if field.get("analysis").is_set() {
        return Some(Step::Analysis);
    }
    let duration = field.at("pause.duration");
    let Some(value) = duration.value() else { return Some(Step::Pause(Pause::UntilPromoted)) };
    let parsed = pause_duration(value);
    if parsed.is_none() {
        bad.add(
            &duration,
            format!("Invalid value: {value}: Duration needs to be greater than 0; write seconds as a number, or a duration such as 90s or 1h30m"),
        );
    }
    parsed.map(|wait| Step::Pause(Pause::For(wait)))
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

fn background_start(background: &Field<'_>, bad: &mut Refusals) -> Option<usize> {
    if !background.is_set() {
        return None;
    }
    let start = background.get("startingStep");
    Some(bad.count(&start, 0) as usize)
}
