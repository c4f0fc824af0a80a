//! How long a rollout took: when it began, how much of that it waited for people, and how it
//! ended. Nothing is decided by it.

use serde_json::{Map, Value, json};
use sluice_core::fact::{Completion, Fact};
use sluice_core::phase::{PauseReason, Phase};
use sluice_core::rollout::{Act, Pause};
use sluice_core::{Decision, Timestamp, Waiting};

use crate::clock::{format_time, parse_time};
use crate::rollout::observe::Seen;

const STARTED: &str = "rolloutStartedAt";
const FINISHED: &str = "finishedAt";
const HOW: &str = "completionStatus";
const WAITS_SINCE: &str = "manualPauseStartedAt";
const WAITED: &str = "totalManualPauseDurationSeconds";

/// What `status.duration` says after a decision; `old` is what it said before.
pub(super) fn duration(old: Option<&Value>, seen: &Seen, decision: &Decision) -> Option<Value> {
    let old = old.and_then(Value::as_object).cloned().unwrap_or_default();
    let now = seen.observed.now;
    let mut next = begin(old, seen, decision);
    if !next.contains_key(STARTED) || next.contains_key(FINISHED) {
        return (!next.is_empty()).then_some(Value::Object(next));
    }
    if let Some(how) = reached(seen, decision) {
        next.entry(HOW).or_insert_with(|| how.into());
    }
    let over = over(seen, decision);
    wait(&mut next, !over && waits_for_people(seen, decision), now);
    if over {
        next.insert(FINISHED.into(), format_time(now).into());
        if matches!(decision.memory.phase, Phase::Aborted { .. }) {
            next.insert(HOW.into(), "Aborted".into());
        }
        next.entry(HOW).or_insert_with(|| "Promoted".into());
    }
    Some(Value::Object(next))
}

/// A change begins a new duration, unless it takes one back that is under way.
fn begin(mut old: Map<String, Value>, seen: &Seen, decision: &Decision) -> Map<String, Value> {
    let observed = &seen.observed;
    let running = old.contains_key(STARTED) && !old.contains_key(FINISHED);
    let stable = observed.memory.stable.as_ref();
    let to_stable = stable == Some(&observed.wanted);
    let retried = old.get(HOW).and_then(Value::as_str) == Some("Aborted")
        && !matches!(decision.memory.phase, Phase::Aborted { .. });
    if running && observed.changed {
        let back = to_stable || observed.rolls_back_within_window();
        let older = observed.new_revision().zip(observed.stable_revision());
        let older = older.is_some_and(|(new, stable)| new.created < stable.created);
        if back || older {
            let how = if back { "FastRolledBack" } else { "RolledBack" };
            old.insert(HOW.into(), how.into());
            return old;
        }
        return started(observed.now);
    }
    let begins = !running && !to_stable && (observed.changed || retried);
    if begins { started(observed.now) } else { old }
}

fn started(now: Timestamp) -> Map<String, Value> {
    Map::from_iter([(STARTED.to_owned(), Value::from(format_time(now)))])
}

/// A promotion in full is known when it is decided, and forgotten by the end.
fn reached(seen: &Seen, decision: &Decision) -> Option<&'static str> {
    let full = |fact: &Fact| match fact {
        Fact::Completed { because, .. } => *because == Completion::FullPromotion,
        Fact::Updated { .. }
        | Fact::Begun { .. }
        | Fact::Aborted { .. }
        | Fact::Paused { .. }
        | Fact::Resumed
        | Fact::StepCompleted { .. }
        | Fact::StepsSkipped { .. }
        | Fact::WeightUpdated { .. }
        | Fact::CallChanged { .. }
        | Fact::RunChanged { .. } => false,
    };
    let changed = seen.observed.changed;
    (!changed && decision.facts.iter().any(full)).then_some("FastPromoted")
}

fn over(seen: &Seen, decision: &Decision) -> bool {
    let observed = &seen.observed;
    let promoted = decision.memory.stable.as_ref() == Some(&observed.wanted)
        && observed.new_revision().is_some()
        && observed.available(&observed.wanted) >= observed.rollout.replicas;
    promoted || matches!(decision.memory.phase, Phase::Aborted { .. })
}

/// Whether nothing goes on until somebody says so.
fn waits_for_people(seen: &Seen, decision: &Decision) -> bool {
    let steps = seen.intent.rollout.steps();
    let held = match &decision.memory.phase {
        Phase::Stepping { index, hold } => {
            let endless = matches!(steps.position(*index).act(), Act::Pause(Pause::UntilPromoted));
            hold.undecided() || (endless && hold.pause(PauseReason::Step).is_some())
        }
        Phase::Previewing { hold } => {
            hold.undecided() || decision.waiting == Some(Waiting::Preview(None))
        }
        Phase::Promoting { hold, .. } => hold.undecided(),
        Phase::Settled | Phase::Aborted { .. } => false,
    };
    held || seen.intent.rollout.paused
}

/// Count the time in which somebody was waited for, in whole seconds.
fn wait(next: &mut Map<String, Value>, waits: bool, now: Timestamp) {
    let since = next.get(WAITS_SINCE).and_then(Value::as_str).and_then(parse_time);
    match (waits, since) {
        (true, None) => {
            next.insert(WAITS_SINCE.into(), format_time(now).into());
        }
        (false, Some(since)) => {
            next.remove(WAITS_SINCE);
            let before = next.get(WAITED).and_then(Value::as_u64).unwrap_or(0);
            let more = now.since(since).as_secs();
            next.insert(WAITED.into(), json!(before.saturating_add(more)));
        }
        (true, Some(_)) | (false, None) => {}
    }
}
