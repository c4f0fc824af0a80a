//! From a decision to the status: every field, condition and counter that clients read.

use serde_json::{Map, Value, json};
use sluice_core::observed::{Door, RunPhase};
use sluice_core::phase::{Hold, PauseReason, Phase, RunRef};
use sluice_core::traffic::{Additional, Side};
use sluice_core::{Decision, Waiting};

use sluice_core::rollout::Tenure;

use crate::clock::{format_time, next_second};
use crate::field::{Field, Refusal};
use crate::objects::Objects;
use crate::rollout::observe::{Seen, recorded_steps};
use crate::rollout::recall::{
    PAUSE_EXPERIMENT, PAUSE_INCONCLUSIVE, PAUSE_PREVIEW, PAUSE_STEP, PING, PONG,
};

mod blue_green;
pub(crate) mod conditions;
mod duration;

pub use conditions::Change;
use conditions::Conditions;

/// A status, and which of its conditions changed in a way that is an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Projected {
    /// The whole status.
    pub status: Value,
    /// In the order in which they happened.
    pub changes: Vec<Change>,
}

/// The status that follows from a decision.
pub fn project(objects: &Objects, seen: &Seen, decision: &Decision) -> Projected {
    let rollout = &*objects.rollout;
    let old = Field::root(rollout).get("status");
    let mut status = old.value().and_then(Value::as_object).cloned().unwrap_or_default();
    counters(&mut status, objects, seen);
    identity(&mut status, objects, seen, decision);
    progress(&mut status, seen, decision);
    put(&mut status, "duration", duration::duration(old.get("duration").value(), seen, decision));
    let name = Field::root(rollout).at("metadata.name").str().unwrap_or_default().to_owned();
    let mut conditions = Conditions::of(&old, objects.now);
    conditions.update(&name, objects, seen, decision, &status);
    if let Some(why) = refused(seen) {
        let field = "spec.strategy.canary.trafficRouting";
        conditions.refuse(&format!("The Rollout \"{name}\" is invalid: {field}: {why}"));
    } else {
        conditions.accept();
    }
    let (list, changes) = conditions.finish();
    status.insert("conditions".into(), list);
    let mut status = Value::Object(status);
    let routed = seen.intent.rollout.routing().is_some();
    let replicas = seen.intent.rollout.replicas.0;
    let restarting = seen
        .intent
        .restart_at
        .is_some_and(|asked| asked < objects.now && decision.memory.restarted != Some(asked));
    let (phase, message) = super::phase::phase(rollout, &status, replicas, routed, restarting);
    // Argo has no words for a router that refuses; the object and the fix are in the router's.
    let message = match &decision.waiting {
        Some(waiting @ Waiting::RouterTrouble(_))
            if phase == "Progressing" || phase == "Healthy" =>
        {
            format!("waiting for {waiting}")
        }
        _ => message,
    };
    status["phase"] = phase.into();
    set(&mut status, "message", Some(message).filter(|text| !text.is_empty()).map(Value::from));
    Projected { status, changes }
}

/// What a router says of a routing that it cannot do as the user asked for it.
fn refused(seen: &Seen) -> Option<&str> {
    // What the user does not name any more is no mistake in the specification.
    seen.intent.rollout.routing().filter(|routing| routing.tenure == Tenure::Stays)?;
    let trouble = seen.observed.traffic.last_trouble()?;
    trouble.refused.then_some(&*trouble.why)
}

/// The status of a rollout whose specification is refused. What was recorded stays.
pub fn project_refusal(objects: &Objects, refusals: &[Refusal]) -> Projected {
    let root = Field::root(&objects.rollout);
    let old = root.get("status");
    let name = root.at("metadata.name").str().unwrap_or_default();
    let why: Vec<_> = refusals.iter().map(ToString::to_string).collect();
    let message = format!("The Rollout \"{name}\" is invalid: {}", why.join("; "));
    let mut status = old.value().and_then(Value::as_object).cloned().unwrap_or_default();
    let mut conditions = Conditions::of(&old, objects.now);
    conditions.refuse(&message);
    let (list, changes) = conditions.finish();
    status.insert("conditions".into(), list);
    let generation = root.at("metadata.generation").i64().unwrap_or_default();
    status.insert("observedGeneration".into(), generation.to_string().into());
    status.insert("phase".into(), "Degraded".into());
    status.insert("message".into(), format!("InvalidSpec: {message}").into());
    Projected { status: Value::Object(status), changes }
}

/// The merge patch that makes `old` into `new`; `None` if they are the same.
pub fn difference(old: Option<&Value>, new: &Value) -> Option<Value> {
    let (Some(Value::Object(old)), Value::Object(new)) = (old, new) else {
        return (old != Some(new)).then(|| new.clone());
    };
    let mut patch = Map::new();
    for (key, value) in new {
        if let Some(changed) = difference(old.get(key), value) {
            patch.insert(key.clone(), changed);
        }
    }
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

fn set(status: &mut Value, name: &str, value: Option<Value>) {
    let Some(fields) = status.as_object_mut() else { return };
    match value {
        Some(value) => fields.insert(name.to_owned(), value),
        None => fields.remove(name),
    };
}

fn put(status: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    match value {
        Some(value) => status.insert(name.to_owned(), value),
        None => status.remove(name),
    };
}

fn counters(status: &mut Map<String, Value>, objects: &Objects, seen: &Seen) {
    let wanted = &seen.observed.wanted;
    let sets = &objects.replica_sets;
    let sum = |count: fn(&crate::objects::ReplicaSet) -> u32| -> u32 {
        sets.iter().map(|set| count(set)).fold(0, u32::saturating_add)
    };
    let updated = sets.iter().find(|set| set.hash() == wanted.0).map_or(0, |set| set.current);
    // Zero is left out, as Go leaves it out.
    let counted = |count: u32| (count > 0).then(|| Value::from(count));
    put(status, "replicas", counted(sum(|set| set.current)));
    put(status, "updatedReplicas", counted(updated));
    // Behind a switch only one revision has users, and an autoscaler is to count its pods.
    let active = blue_green::active(objects, seen);
    let of_users =
        |count: fn(&crate::objects::ReplicaSet) -> u32| active.map_or_else(|| sum(count), count);
    put(status, "readyReplicas", counted(of_users(|set| set.ready)));
    put(status, "availableReplicas", counted(of_users(|set| set.available)));
    put(status, "HPAReplicas", counted(of_users(|set| set.current)));
    let selector = active.map(|set| blue_green::selector(seen, set));
    let selector = selector.unwrap_or_else(|| selector_text(&seen.intent.selector));
    put(status, "selector", Some(selector.into()));
}

/// A label selector in the notation of the API's list calls.
fn selector_text(selector: &Value) -> String {
    let root = Field::root(selector);
    let labels = root.get("matchLabels");
    let labels = labels.value().and_then(Value::as_object).into_iter().flatten();
    let mut parts: Vec<_> = labels
        .map(|(key, value)| (key.clone(), format!("{key}={}", value.as_str().unwrap_or_default())))
        .collect();
    for expression in root.get("matchExpressions").items() {
        let key = expression.get("key").str().unwrap_or_default().to_owned();
        let mut values: Vec<_> = expression
            .get("values")
            .items()
            .iter()
            .filter_map(|value| value.str().map(str::to_owned))
            .collect();
        values.sort();
        let values = values.join(",");
        let text = match expression.get("operator").str() {
            Some("In") => format!("{key} in ({values})"),
            Some("NotIn") => format!("{key} notin ({values})"),
            Some("DoesNotExist") => format!("!{key}"),
            _ => key.clone(),
        };
        parts.push((key, text));
    }
    parts.sort();
    parts.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(",")
}

fn identity(status: &mut Map<String, Value>, objects: &Objects, seen: &Seen, decision: &Decision) {
    let generation = Field::root(&objects.rollout).at("metadata.generation").i64();
    put(status, "observedGeneration", generation.map(|number| number.to_string().into()));
    put(status, "currentPodHash", Some(seen.observed.wanted.0.clone().into()));
    put(status, "collisionCount", seen.identity.collisions.map(Value::from));
    put(status, "currentStepHash", recorded_steps(&seen.intent).map(Value::from));
    let stable = decision.memory.stable.as_ref();
    put(status, "stableRS", stable.map(|hash| hash.0.clone().into()));
    let lent = objects.borrowed.workload().map(|workload| workload.meta.generation);
    put(status, "workloadObservedGeneration", lent.map(|number| number.to_string().into()));
    let restarted = decision.memory.restarted;
    put(status, "restartedAt", restarted.map(|at| format_time(at).into()));
}

fn progress(status: &mut Map<String, Value>, seen: &Seen, decision: &Decision) {
    let steps = seen.intent.rollout.steps().len();
    let memory = &decision.memory;
    let hold = memory.phase.hold();
    let index = match &memory.phase {
        Phase::Settled | Phase::Promoting { .. } => steps,
        Phase::Aborted { .. } | Phase::Previewing { .. } => 0,
        Phase::Stepping { index, .. } => *index,
    };
    put(status, "currentStepIndex", (steps > 0).then(|| index.into()));
    let full = matches!(memory.phase, Phase::Promoting { full: true, .. });
    put(status, "promoteFull", full.then_some(true.into()));
    match &memory.phase {
        Phase::Aborted { since, .. } => {
            put(status, "abort", Some(true.into()));
            put(status, "abortedAt", Some(format_time(*since).into()));
        }
        Phase::Settled
        | Phase::Stepping { .. }
        | Phase::Previewing { .. }
        | Phase::Promoting { .. } => {
            put(status, "abort", None);
            put(status, "abortedAt", None);
        }
    }
    let pauses = match hold {
        Hold::Paused(pauses) => pauses
            .iter()
            .map(|pause| {
                let since = format_time(next_second(pause.since));
                json!({"reason": reason(pause.reason), "startTime": since})
            })
            .collect(),
        Hold::None | Hold::Resumed => Vec::new(),
    };
    put(status, "controllerPause", (!pauses.is_empty()).then_some(true.into()));
    put(status, "pauseConditions", (!pauses.is_empty()).then_some(Value::Array(pauses)));
    let of_strategy = |name: &str| {
        let fields = status.get(name).and_then(Value::as_object).cloned();
        fields.filter(|_| seen.intent.rollout.blue_green().is_none()).unwrap_or_default()
    };
    let mut canary = of_strategy("canary");
    put(&mut canary, "currentStepAnalysisRunStatus", memory.step_run.as_ref().map(run_status));
    let background = memory.background_run.as_ref().map(run_status);
    put(&mut canary, "currentBackgroundAnalysisRunStatus", background);
    put(&mut canary, "weights", weights(seen, decision));
    put(&mut canary, "currentExperiment", memory.experiment.clone().map(Value::from));
    put(&mut canary, "stepPluginStatuses", super::called::project(&memory.calls));
    let side = if memory.pong { PONG } else { PING };
    let ping_pong = seen.intent.rollout.ping_pong();
    put(&mut canary, "stablePingPong", ping_pong.then(|| side.into()));
    put(status, "canary", (!canary.is_empty()).then_some(Value::Object(canary)));
    let blue_green =
        seen.intent.rollout.blue_green().and_then(|_| blue_green::status(seen, decision));
    put(status, "blueGreen", blue_green);
}

fn reason(reason: PauseReason) -> &'static str {
    match reason {
        PauseReason::Step => PAUSE_STEP,
        PauseReason::Preview => PAUSE_PREVIEW,
        PauseReason::Inconclusive => PAUSE_INCONCLUSIVE,
        PauseReason::Experiment => PAUSE_EXPERIMENT,
    }
}

/// The name of a run's phase.
pub fn run_phase_name(phase: RunPhase) -> &'static str {
    match phase {
        RunPhase::Pending => "Pending",
        RunPhase::Running => "Running",
        RunPhase::Successful => "Successful",
        RunPhase::Failed => "Failed",
        RunPhase::Error => "Error",
        RunPhase::Inconclusive => "Inconclusive",
    }
}

fn run_status(run: &RunRef) -> Value {
    let mut status = json!({"name": run.name, "status": run_phase_name(run.phase)});
    if !run.message.is_empty() {
        status["message"] = run.message.clone().into();
    }
    status
}

fn weights(seen: &Seen, decision: &Decision) -> Option<Value> {
    let routing = seen.intent.rollout.routing()?;
    let routed = decision.memory.routed.as_ref()?;
    let canary = routed.share.parts_of(routing.whole);
    let side = |weight: u32, side: Side, hash: &str| {
        let mut entry = json!({"weight": weight});
        if let Door::Service { name, .. } = seen.observed.door(side) {
            entry["serviceName"] = name.clone().into();
        }
        if !hash.is_empty() {
            entry["podTemplateHash"] = hash.into();
        }
        entry
    };
    let parts = |one: &Additional| one.share.parts_of(routing.whole);
    let taken: u32 = routed.additional.iter().map(parts).fold(canary, u32::saturating_add);
    let stable = routing.whole.get().saturating_sub(taken);
    let mut weights = json!({
        "canary": side(canary, Side::Canary, &routed.canary.0),
        "stable": side(stable, Side::Stable, &routed.stable.0),
    });
    if !routed.additional.is_empty() {
        let additional = routed.additional.iter().map(|one| {
            json!({
                "weight": parts(one),
                "serviceName": one.service,
                "podTemplateHash": one.hash.0,
            })
        });
        weights["additional"] = additional.collect();
    }
    if let Some(verified) = routed.verified {
        weights["verified"] = verified.into();
    }
    Some(weights)
}
