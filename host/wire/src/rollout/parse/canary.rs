//! What a user wants of the canary strategy.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use serde_json::Value;
use sluice_core::Pods;
use sluice_core::rollout::{self, Enough, Routing, SpecialRoute, Tenure};

use super::routes::RouteRule;
use super::steps::{Parsed, steps};
use crate::field::{Field, Refusals};
use crate::rollout::percent::surge_and_unavailable;

/// How long requests may follow an older routing, where the data plane cannot say that it took
/// the new one up.
pub(crate) const DRAIN: Duration = Duration::from_secs(5);
const SCALE_DOWN_DELAY: u32 = 30;

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
    pub(super) special_routes: Vec<(SpecialRoute, RouteRule)>,
}

pub(super) fn canary(canary: &Field<'_>, replicas: Pods, bad: &mut Refusals) -> Canary {
    ping_pong(canary, bad);
    let (routers, routing) = routing(canary, bad);
    let whole =
        routing.as_ref().map_or(NonZeroU32::MIN.saturating_add(99), |routing| routing.whole);
    let Parsed { steps, analyses: step_analyses, routes: special_routes } =
        steps(canary, whole, bad);
    let (max_surge, max_unavailable) = surge(canary, replicas, bad);
    let background_from = background_start(&canary.get("analysis"), bad);
    let enough = enough(&canary.get("replicaProgressThreshold"), bad);
    let ping_pong = canary.get("pingPong").is_set();
    let strategy =
        rollout::Canary { steps, max_surge, routing, background_from, enough, ping_pong };
    Canary { strategy, max_unavailable, routers, step_analyses, special_routes }
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
    let dynamic = canary.get("dynamicStableScale");
    let min_pods = bad.count(&canary.get("minPodsPerReplicaSet"), 0);
    if !field.is_set() {
        if delay.is_set() {
            bad.add(
                &delay,
                "Invalid value: Canary scaleDownDelaySeconds can only be used with traffic routing",
            );
        }
        if dynamic.bool() {
            bad.add(
                &dynamic,
                "Invalid value: true: Canary dynamicStableScale can only be used with traffic routing",
            );
        }
        return (Vec::new(), None);
    }
    if dynamic.bool() && delay.is_set() {
        bad.add(
            &dynamic,
            "Invalid value: true: Canary dynamicStableScale cannot be used with scaleDownDelaySeconds",
        );
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
        abort_scale_down_delay: match (abort_delay.is_set(), abort_seconds) {
            // Where the stable revision grows as the canary goes, the pods are for it.
            (false, _) if dynamic.bool() => Some(Duration::ZERO),
            (true, 0) => None,
            (true | false, seconds) => Some(Duration::from_secs(u64::from(seconds))),
        },
        drain: DRAIN,
        dynamic_stable: dynamic.bool(),
        min_pods: Pods(min_pods),
        tenure: Tenure::Stays,
    };
    (routers, Some(routing))
}

/// How traffic is shifted where the specification says nothing of it any more.
pub(crate) fn fallback(whole: NonZeroU32) -> Routing {
    let delay = Duration::from_secs(u64::from(SCALE_DOWN_DELAY));
    Routing {
        whole,
        scale_down_delay: delay,
        scale_down_delay_revisions: None,
        abort_scale_down_delay: Some(delay),
        drain: DRAIN,
        dynamic_stable: false,
        min_pods: Pods::ZERO,
        tenure: Tenure::Stays,
    }
}

fn both_services(canary: &Field<'_>, field: &Field<'_>, routers: &Routers, bad: &mut Refusals) {
    let subsets = field.at("istio.destinationRule").is_set();
    let ping_pong = canary.get("pingPong").is_set();
    let needed = routers.iter().any(|(name, _)| match name.as_str() {
        "alb" => !ping_pong,
        "istio" => !ping_pong && !subsets,
        name => ROUTERS_BY_SERVICE.contains(&name),
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

fn background_start(background: &Field<'_>, bad: &mut Refusals) -> Option<usize> {
    if !background.is_set() {
        return None;
    }
    let start = background.get("startingStep");
    Some(bad.count(&start, 0) as usize)
}

/// How many of the pods that a canary is to have are enough; a negative number says nothing.
fn enough(threshold: &Field<'_>, bad: &mut Refusals) -> Enough {
    if !threshold.is_set() {
        return Enough::All;
    }
    let (kind, value) = (threshold.get("type"), threshold.get("value"));
    if value.i64().is_some_and(|value| value < 0) {
        return Enough::All;
    }
    if !value.is_set() {
        bad.add(&value, "Required value: how many pods are enough");
    }
    let number = bad.count(&value, 0);
    match kind.str() {
        Some("Percent") if number <= 100 => Enough::Percent(number),
        Some("Percent") => {
            bad.add(&value, format!("Invalid value: {number}: no more than 100 % of the pods can be available; write 0 to 100"));
            Enough::All
        }
        Some("Pods") => Enough::Pods(Pods(number)),
        Some(_) | None => {
            let found = kind.value().cloned().unwrap_or_default();
            bad.add(&kind, format!("Unsupported value: {found}: write Percent or Pods"));
            Enough::All
        }
    }
}

/// Two Services that change sides need a router that can be told so.
fn ping_pong(canary: &Field<'_>, bad: &mut Refusals) {
    let field = canary.get("pingPong");
    if !field.is_set() {
        return;
    }
    let routing = canary.get("trafficRouting");
    let able = ["alb", "istio", "plugins"].iter().any(|name| routing.get(name).is_set());
    if routing.is_set() && !able {
        bad.add(
            &field,
            "Invalid value: Ping-pong feature works with the ALB and Istio traffic routers only",
        );
    }
    let (ping, pong) = (field.get("pingService"), field.get("pongService"));
    for service in [&ping, &pong] {
        if service.name().is_none() {
            bad.add(service, "Required value: Ping service and Pong service must to be set to use Ping-Pong feature");
        }
    }
    if ping.name().is_some() && ping.name() == pong.name() {
        bad.add(&ping, "Invalid value: This rollout uses the same service for the ping and pong services, but two different services are required.");
    }
    let alb = routing.get("alb");
    if alb.is_set() && alb.get("rootService").name().is_none() {
        bad.add(&alb.get("rootService"), "Required value: Root service field is required for the configuration with ALB and ping-pong feature enabled");
    }
    for name in ["stableService", "canaryService"] {
        if canary.get(name).is_set() {
            bad.add(
                &canary.get(name),
                "Forbidden: pingPong names both Services, and this one would get nothing; remove it",
            );
        }
    }
    if routing.at("istio.destinationRule").is_set() {
        bad.add(
            &routing.at("istio.destinationRule"),
            "Forbidden: with pingPong the Services tell the versions apart, not subsets; remove it",
        );
    }
}
