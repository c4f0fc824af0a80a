//! A random canary strategy: every field that this controller knows, in every company.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Act, NAMESPACE, Plan};
use crate::experiments::Player;
use crate::rng::Rng;
use crate::step::{End, Stepper};

/// Draw what stands below `strategy.canary` for a fleet of this size.
pub(super) fn canary(rng: &mut Rng, replicas: u64, routed: bool, services: bool) -> Value {
    let whole = if routed && rng.percent(15) { rng.between(1, 1_000) } else { 100 };
    let mut canary = json!({"steps": steps(rng, replicas, whole, routed)});
    if routed {
        routing(rng, &mut canary, whole);
    } else if rng.percent(60) {
        canary["maxSurge"] = rng.between(0, 3).into();
        canary["maxUnavailable"] = rng.between(0, 3).into();
        if canary["maxSurge"] == 0 && canary["maxUnavailable"] == 0 {
            canary["maxSurge"] = 1.into();
        }
    }
    if rng.percent(20) {
        let (kind, most) = if rng.percent(50) { ("Percent", 100) } else { ("Pods", 4) };
        canary["replicaProgressThreshold"] = json!({"type": kind, "value": rng.between(0, most)});
    }
    match (services, routed && rng.percent(30)) {
        (true, true) => {
            canary["pingPong"] = json!({"pingService": "stable", "pongService": "canary"});
        }
        (true, false) => {
            canary["stableService"] = "stable".into();
            canary["canaryService"] = "canary".into();
        }
        (false, _) => {}
    }
    canary
}

fn routing(rng: &mut Rng, canary: &mut Value, whole: u64) {
    let mut routing = json!({
        "plugins": {"scripted": {}},
        "managedRoutes": [{"name": "one"}, {"name": "two"}],
    });
    if rng.percent(25) {
        routing["plugins"]["another"] = json!({});
    }
    if whole != 100 {
        routing["maxTrafficWeight"] = whole.into();
    }
    canary["trafficRouting"] = routing;
    let dynamic = rng.percent(30);
    if dynamic {
        canary["dynamicStableScale"] = true.into();
    }
    if rng.percent(30) && !dynamic {
        canary["scaleDownDelaySeconds"] = rng.between(0, 60).into();
    }
    if rng.percent(30) {
        canary["abortScaleDownDelaySeconds"] = rng.between(0, 40).into();
    }
    if rng.percent(20) {
        canary["scaleDownDelayRevisionLimit"] = rng.between(0, 2).into();
    }
    if rng.percent(25) {
        canary["minPodsPerReplicaSet"] = rng.between(1, 4).into();
    }
    if rng.percent(30) {
        canary["maxUnavailable"] = rng.between(0, 3).into();
    }
}

fn steps(rng: &mut Rng, replicas: u64, whole: u64, routed: bool) -> Value {
    let count = rng.between(0, 6);
    (0..count).map(|_| step(rng, replicas, whole, routed)).collect()
}

fn step(rng: &mut Rng, replicas: u64, whole: u64, routed: bool) -> Value {
    let mut step = match rng.between(0, 9) {
        0..=5 => json!({"setWeight": rng.between(0, whole)}),
        6..=8 => json!({"pause": {"duration": rng.between(1, 90)}}),
        _ => json!({"pause": {}}),
    };
    if !routed || rng.percent(60) {
        return step;
    }
    // Beside what the step does, or alone.
    if rng.percent(50) {
        step = json!({});
    }
    match rng.between(0, 3) {
        0..=1 => step["setCanaryScale"] = scale(rng, replicas, whole),
        2 => step["setHeaderRoute"] = header_route(rng),
        _ => step["setMirrorRoute"] = mirror_route(rng),
    }
    step
}

fn scale(rng: &mut Rng, replicas: u64, whole: u64) -> Value {
    match rng.between(0, 3) {
        0 => json!({"replicas": rng.between(0, replicas + 2)}),
        1 => json!({"weight": rng.between(0, whole)}),
        2 => json!({"matchTrafficWeight": true}),
        _ => json!({"weight": whole}),
    }
}

fn route_name(rng: &mut Rng) -> &'static str {
    if rng.percent(50) { "one" } else { "two" }
}

fn header_route(rng: &mut Rng) -> Value {
    let name = route_name(rng);
    if rng.percent(25) {
        return json!({"name": name});
    }
    let value = ["a", "b"][usize::from(rng.percent(50))];
    json!({"name": name, "match": [{"headerName": "x-who", "headerValue": {"exact": value}}]})
}

fn mirror_route(rng: &mut Rng) -> Value {
    let name = route_name(rng);
    if rng.percent(25) {
        return json!({"name": name});
    }
    json!({"name": name, "percentage": rng.between(0, 100), "match": [{"path": {"prefix": "/"}}]})
}

/// Put steps among the others that a component does, and draw how it does them. Drawn by numbers
/// of their own, so that what a seed draws besides stays what it was.
pub(super) fn plugins(rollout: &mut Value, seed: u64, quiet: bool) -> Stepper {
    let mut rng = Rng::new(seed ^ 0x57e9_0001);
    let steps = &mut rollout["spec"]["strategy"]["canary"]["steps"];
    let Some(steps) = steps.as_array_mut().filter(|_| rng.percent(25)) else {
        return Stepper::default();
    };
    for count in 0..rng.between(1, 2) {
        let last = u64::try_from(steps.len()).unwrap_or(0);
        let at = usize::try_from(rng.between(0, last)).unwrap_or(0);
        let plugin = json!({"plugin": {"name": format!("step-{count}"), "config": {"a": 1}}});
        steps.insert(at, plugin);
    }
    let end = match rng.between(0, 9) {
        0..=6 => End::Done,
        7..=8 => End::Failed,
        _ => End::Never,
    };
    let takes = Duration::from_secs(rng.between(0, 90));
    let again = Duration::from_millis(rng.between(500, 40_000));
    let fails = if quiet || rng.percent(50) { 0 } else { rng.between(2, 5) };
    Stepper::new(takes, again, end, fails)
}

/// Put an experiment among the steps, and draw how it goes; by numbers of its own as well.
pub(super) fn experiments(rollout: &mut Value, seed: u64) -> Option<Player> {
    let mut rng = Rng::new(seed ^ 0xe8b0_0002);
    let steps = &mut rollout["spec"]["strategy"]["canary"]["steps"];
    let steps = steps.as_array_mut().filter(|_| rng.percent(20))?;
    for _ in 0..rng.between(1, 2) {
        let last = u64::try_from(steps.len()).unwrap_or(0);
        let at = usize::try_from(rng.between(0, last)).unwrap_or(0);
        let templates = json!([
            {"name": "base", "specRef": "stable", "metadata": {"labels": {"role": "base"}}},
            {"name": "new", "specRef": "canary", "replicas": rng.between(1, 3)},
        ]);
        steps.insert(at, json!({"experiment": {"templates": templates, "duration": "1m"}}));
    }
    let ends = match rng.between(0, 9) {
        0..=5 => Some("Successful"),
        6 => Some("Failed"),
        7 => Some("Error"),
        8 => Some("Inconclusive"),
        _ => None,
    };
    let takes = Duration::from_secs(rng.between(1, 120));
    let ready = Duration::from_millis(rng.between(0, 9_000));
    shares(rollout, &mut rng);
    let late = Duration::from_millis(if rng.percent(50) { rng.between(0, 20_000) } else { 0 });
    // Drawn last, so that what a seed draws besides stays what it was.
    if rng.percent(50) {
        return Some(Player { takes, ready, late, ends });
    }
    let steps = &mut rollout["spec"]["strategy"]["canary"]["steps"];
    for step in steps.as_array_mut().into_iter().flatten() {
        if let Some(experiment) = step.get_mut("experiment") {
            experiment["duration"] = format!("{}s", rng.between(0, 90)).into();
            experiment["scaleDownDelaySeconds"] = rng.between(0, 9).into();
        }
    }
    None
}

/// Give the pods of experiments a share of the traffic.
fn shares(rollout: &mut Value, rng: &mut Rng) {
    let canary = &mut rollout["spec"]["strategy"]["canary"];
    let routing = &canary["trafficRouting"];
    if routing.is_null() || rng.percent(30) {
        return;
    }
    let whole = routing["maxTrafficWeight"].as_u64().unwrap_or(100);
    let mut weight = 0;
    for step in canary["steps"].as_array_mut().into_iter().flatten() {
        weight = step["setWeight"].as_u64().unwrap_or(weight);
        let Some(templates) = step.pointer_mut("/experiment/templates") else { continue };
        let most = (whole - weight) / 2;
        for template in templates.as_array_mut().into_iter().flatten() {
            if rng.percent(70) {
                template["weight"] = rng.between(0, most).into();
            }
        }
    }
}

/// A user who restarts, and pods that may not be taken. Drawn by numbers of its own, so that what
/// a seed draws besides stays what it was.
pub(super) fn restarts(acts: &mut Vec<(Duration, Act)>, seed: u64, replicas: u64) {
    let mut rng = Rng::new(seed ^ 0x7e57_a7a7);
    if !rng.percent(30) {
        return;
    }
    for _ in 0..rng.between(1, 3) {
        let at = Duration::from_millis(rng.between(20_000, 390_000));
        acts.push((at, Act::Restart));
        if rng.percent(50) {
            // Somebody flaps just then.
            acts.push((at + Duration::from_millis(rng.between(0, 3_000)), Act::Flap));
        }
    }
    if rng.percent(40) {
        let least = u32::try_from(rng.between(0, replicas)).unwrap_or(0);
        acts.push((Duration::from_millis(rng.between(0, 300_000)), Act::Budget(least)));
    }
    acts.sort_by_key(|(at, _)| *at);
}

/// A user who names other routers in the middle of everything, or none. Drawn by numbers of its
/// own, so that what a seed draws besides stays what it was.
pub(super) fn routers(plan: &mut Plan) {
    let mut rng = Rng::new(plan.seed ^ 0x0f0e_4a11);
    let canary = &plan.rollout["spec"]["strategy"]["canary"];
    if canary["trafficRouting"].is_null() || !rng.percent(30) {
        return;
    }
    // Some fields say nothing without a router, and are refused then.
    let steps = canary["steps"].to_string();
    let needed = ["setCanaryScale", "setHeaderRoute", "setMirrorRoute", "\"weight\""];
    let needed = needed.iter().any(|field| steps.contains(field))
        || !canary["trafficRouting"]["maxTrafficWeight"].is_null();
    for _ in 0..rng.between(1, 3) {
        let at = Duration::from_millis(rng.between(61_000, 390_000));
        let routing = match rng.between(0, 5) {
            0 => json!({"plugins": {"scripted": {}, "another": null}}),
            1 => json!({"plugins": {"scripted": null, "another": {}}}),
            2 => json!({"plugins": {"scripted": {"colour": rng.between(1, 3)}}}),
            3 => json!({"plugins": {"scripted": {}, "another": {}, "third": {}}}),
            _ if needed => json!({"plugins": {"scripted": null, "third": {}}}),
            _ => Value::Null,
        };
        let mut canary = json!({"trafficRouting": routing});
        if routing.is_null() {
            for field in ["dynamicStableScale", "scaleDownDelaySeconds"] {
                canary[field] = Value::Null;
            }
        }
        plan.acts.push((at, Act::Reroute(canary)));
    }
    plan.acts.sort_by_key(|(at, _)| *at);
}

/// The Deployment that lends its template in some runs.
pub(super) const LENDER: &str = "lender";

/// A Deployment whose template the rollout borrows, and whose pods it replaces.
pub(super) fn lender(plan: &mut Plan) {
    let mut rng = Rng::new(plan.seed ^ 0x1e4d_e700);
    if !rng.percent(15) {
        return;
    }
    let Some(spec) = plan.rollout["spec"].as_object_mut() else { return };
    let Some(template) = spec.remove("template") else { return };
    let ways = ["never", "onsuccess", "progressively", "progressively"];
    let way = rng.pick(&ways).copied().unwrap_or("never");
    let replicas = rng.between(0, 13);
    let selector = spec.get("selector").cloned().unwrap_or_default();
    if rng.percent(50) {
        spec.remove("selector");
    }
    let reference = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "name": LENDER, "scaleDown": way,
    });
    spec.insert("workloadRef".to_owned(), reference);
    plan.around.push(json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": LENDER, "namespace": NAMESPACE},
        "spec": {"replicas": replicas, "selector": selector, "template": template},
    }));
}
