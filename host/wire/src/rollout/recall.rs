//! From the recorded status to one phase.
//!
//! Clients write into the status: they abort, resume, promote and count steps there, and that is
//! the API. The cloud of booleans that this makes ends here.

use serde_json::Value;
use sluice_core::observed::{Hash, RunPhase};
use sluice_core::phase::{Hold, Memory, Pause, PauseReason, Phase, Recorded, RunRef};
use sluice_core::rollout::Strategy;
use sluice_core::traffic::Additional;
use sluice_core::{Share, Timestamp};

use crate::clock::parse_time;
use crate::field::Field;
use crate::rollout::Intent;

mod blue_green;

/// The reason that a pause condition gives for a pause step.
pub const PAUSE_STEP: &str = "CanaryPauseStep";
/// The reason that a pause condition gives for the preview of a blue-green release.
pub const PAUSE_PREVIEW: &str = "BlueGreenPause";
/// The reason that a pause condition gives for an inconclusive run.
pub const PAUSE_INCONCLUSIVE: &str = "InconclusiveAnalysisRun";
/// The reason that a pause condition gives for an inconclusive experiment.
pub const PAUSE_EXPERIMENT: &str = "InconclusiveExperiment";
/// What the status calls the first of two ping-pong Services.
pub const PING: &str = "ping";
/// What the status calls the second of two ping-pong Services.
pub const PONG: &str = "pong";
const ABORTED: &str = "RolloutAborted";

/// What was recorded, read for the wanted revision.
pub fn recall(rollout: &Value, intent: &Intent, wanted: &Hash, now: Timestamp) -> Memory {
    let status = Field::root(rollout).get("status");
    let stable = status.get("stableRS").name().map(|hash| Hash(hash.to_owned()));
    let by_steps = matches!(intent.rollout.strategy, Strategy::Canary(_));
    let settled = stable.as_ref() == Some(wanted);
    let phase = if settled {
        Phase::Settled
    } else if status.get("abort").bool() {
        let since = status.get("abortedAt").str().and_then(parse_time).unwrap_or(now);
        Phase::Aborted { since, why: aborted_because(&status) }
    } else if status.get("promoteFull").bool() {
        Phase::Promoting { full: true, hold: Hold::None }
    } else if !by_steps {
        blue_green::phase(&status, wanted)
    } else {
        let index = status.get("currentStepIndex").u32().unwrap_or(0) as usize;
        let hold = hold(&status);
        if index < intent.rollout.steps().len() {
            Phase::Stepping { index, hold }
        } else {
            Phase::Promoting { full: false, hold }
        }
    };
    // What another strategy recorded is not remembered.
    let (pre_run, post_run) = if by_steps { (None, None) } else { blue_green::runs(&status) };
    let step_run = |name: &str| run_ref(&status.get("canary").get(name)).filter(|_| by_steps);
    Memory {
        stable,
        phase,
        step_run: step_run("currentStepAnalysisRunStatus"),
        background_run: step_run("currentBackgroundAnalysisRunStatus"),
        pre_run,
        post_run,
        experiment: status
            .at("canary.currentExperiment")
            .name()
            .filter(|_| by_steps)
            .map(str::to_owned),
        calls: if by_steps { super::called::recall(&status) } else { Vec::new() },
        routed: recorded(&status.at("canary.weights"), intent),
        pong: stable_is_pong(rollout, intent),
        restarted: status.get("restartedAt").str().and_then(parse_time),
    }
}

/// Whether the second of two ping-pong Services is the stable one; at first the first one is.
pub fn stable_is_pong(rollout: &Value, intent: &Intent) -> bool {
    let said = Field::root(rollout).at("status.canary.stablePingPong");
    intent.rollout.ping_pong() && said.str() == Some(PONG)
}

fn hold(status: &Field<'_>) -> Hold {
    let pauses: Vec<_> = status
        .get("pauseConditions")
        .items()
        .iter()
        .filter_map(|pause| {
            let reason = match pause.get("reason").str()? {
                PAUSE_INCONCLUSIVE => PauseReason::Inconclusive,
                PAUSE_EXPERIMENT => PauseReason::Experiment,
                PAUSE_STEP => PauseReason::Step,
                PAUSE_PREVIEW => PauseReason::Preview,
                _ => return None,
            };
            let since = pause.get("startTime").str().and_then(parse_time).unwrap_or_default();
            Some(Pause { reason, since })
        })
        .collect();
    if !pauses.is_empty() {
        Hold::Paused(pauses)
    } else if status.get("controllerPause").bool() {
        // A client took the conditions away and left this: that is how it says "go on".
        Hold::Resumed
    } else {
        Hold::None
    }
}

/// What the condition says after "Rollout aborted update to revision N: ".
fn aborted_because(status: &Field<'_>) -> Option<String> {
    let conditions = status.get("conditions").items();
    let condition = conditions.iter().find(|condition| {
        condition.get("type").str() == Some("Progressing")
            && condition.get("reason").str() == Some(ABORTED)
    })?;
    let (_, why) = condition.get("message").str()?.split_once(": ")?;
    Some(why.to_owned())
}

fn run_ref(field: &Field<'_>) -> Option<RunRef> {
    Some(RunRef {
        name: field.get("name").name()?.to_owned(),
        phase: run_phase(field.get("status").str()),
        message: field.get("message").str().unwrap_or_default().to_owned(),
    })
}

/// The phase of a run; a phase that is not known is not over.
pub fn run_phase(text: Option<&str>) -> RunPhase {
    match text.unwrap_or_default() {
        "Running" => RunPhase::Running,
        "Successful" => RunPhase::Successful,
        "Failed" => RunPhase::Failed,
        "Error" => RunPhase::Error,
        "Inconclusive" => RunPhase::Inconclusive,
        _ => RunPhase::Pending,
    }
}

fn recorded(weights: &Field<'_>, intent: &Intent) -> Option<Recorded> {
    let whole = intent.rollout.routing()?.whole;
    let hash = |side: &str| {
        Hash(weights.get(side).get("podTemplateHash").str().unwrap_or_default().to_owned())
    };
    let additional = |one: &Field<'_>| {
        Some(Additional {
            service: one.get("serviceName").name()?.to_owned(),
            hash: Hash(one.get("podTemplateHash").str().unwrap_or_default().to_owned()),
            share: Share::clamped(one.get("weight").u32()?, whole),
        })
    };
    let parts = weights.at("canary.weight").u32()?;
    Some(Recorded {
        share: Share::clamped(parts, whole),
        canary: hash("canary"),
        stable: hash("stable"),
        verified: weights.get("verified").value().and_then(Value::as_bool),
        additional: weights.get("additional").items().iter().filter_map(additional).collect(),
    })
}
