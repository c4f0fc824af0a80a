//! From one phase to the next.

use super::Draft;
use crate::fact::{Completion, Fact, Skip};
use crate::observed::{Purpose, RunPhase};
use crate::phase::{Hold, PauseReason, Phase, RunRef};
use crate::quantity::{Pods, Share};
use crate::rollout::{Pause, Position, Step};

/// Decide where the rollout stands now. At most one step is completed in one decision.
pub(super) fn advance(draft: &mut Draft<'_>) {
    note_runs(draft);
    if draft.seen.stable_revision().is_none() {
        return first_deployment(draft);
    }
    let settled = draft.memory.stable.as_ref() == Some(&draft.seen.wanted);
    if draft.seen.changed {
        return reset(draft, settled);
    }
    if settled {
        if draft.memory.phase != Phase::Settled {
            draft.memory.phase = Phase::Settled;
            forget_runs(draft);
        }
        return;
    }
    if seen_before(draft) {
        return skip(draft);
    }
    if let Some(why) = verdict(draft) {
        return abort(draft, why);
    }
    match draft.memory.phase.clone() {
        // The stable revision is another one, so this cannot stay so.
        Phase::Settled => begin(draft, Hold::None),
        Phase::Aborted { .. } => forget_runs(draft),
        Phase::Stepping { index, hold } => step(draft, index, hold),
        Phase::Promoting { full, hold } => promote(draft, full, hold),
    }
}

/// Nothing to fall back to: the wanted revision is stable from the start, and steps are for
/// later updates.
fn first_deployment(draft: &mut Draft<'_>) {
    let seen = draft.seen;
    let known = draft.memory.stable.as_ref() == Some(&seen.wanted) && !seen.changed;
    draft.memory.stable = Some(seen.wanted.clone());
    draft.memory.phase = Phase::Settled;
    forget_runs(draft);
    if !known {
        let number = draft.next_number();
        draft.facts.push(Fact::Begun { number, hash: seen.wanted.clone() });
        let because = Completion::FirstDeployment;
        draft.facts.push(Fact::Completed { number, hash: seen.wanted.clone(), because });
    }
}

/// The template or the steps are others than before: begin anew.
fn reset(draft: &mut Draft<'_>, settled: bool) {
    let seen = draft.seen;
    forget_runs(draft);
    let number = draft.next_number();
    if settled {
        draft.memory.phase = Phase::Settled;
        // Only a revision that came after the stable one makes this a way back: the steps of an
        // idle rollout may change as well.
        if seen.new_revision().is_some_and(|stable| stable.number < number) {
            draft.facts.push(Fact::StepsSkipped { because: Skip::Stable });
            let because = Completion::Rollback;
            draft.facts.push(Fact::Completed { number, hash: seen.wanted.clone(), because });
        }
        return;
    }
    if seen.rolls_back_within_window() {
        if seen.new_revision().is_some_and(|new| new.wanted > Pods::ZERO) {
            draft.facts.push(Fact::StepsSkipped { because: Skip::WithinWindow });
        }
        draft.facts.push(Fact::Begun { number, hash: seen.wanted.clone() });
        return skip(draft);
    }
    draft.facts.push(Fact::Begun { number, hash: seen.wanted.clone() });
    begin(draft, Hold::None);
}

/// Whether everything up to the last step can be skipped, whatever holds the rollout now: what
/// the wanted revision does is known.
fn seen_before(draft: &Draft<'_>) -> bool {
    let full = matches!(draft.memory.phase, Phase::Promoting { full: true, .. });
    !full && draft.seen.rolls_back_within_window()
}

/// Past the last step, without analysis and without pauses.
fn skip(draft: &mut Draft<'_>) {
    forget_runs(draft);
    promote(draft, false, Hold::None);
}

fn begin(draft: &mut Draft<'_>, hold: Hold) {
    draft.memory.phase = enter(draft, 0, hold);
}

/// The phase at `index`. A pause begins when it is reached, not when somebody looks again.
fn enter(draft: &mut Draft<'_>, index: usize, hold: Hold) -> Phase {
    match draft.seen.rollout.steps().position(index) {
        Position::Past => Phase::Promoting { full: false, hold },
        Position::At(Step::Pause(_)) => {
            draft.facts.push(Fact::Paused { reason: PauseReason::Step });
            let hold = hold.with(PauseReason::Step, draft.seen.now);
            Phase::Stepping { index, hold }
        }
        Position::At(Step::SetWeight(_) | Step::Analysis) => Phase::Stepping { index, hold },
    }
}

fn abort(draft: &mut Draft<'_>, why: Option<String>) {
    let number = draft.next_number();
    draft.facts.push(Fact::Aborted { number, why: why.clone() });
    draft.memory.phase = Phase::Aborted { since: draft.seen.now, why };
    forget_runs(draft);
}

/// Why the rollout has to be given up now, if it has to.
fn verdict(draft: &Draft<'_>) -> Option<Option<String>> {
    if !matches!(draft.memory.phase, Phase::Stepping { .. } | Phase::Promoting { .. }) {
        return None;
    }
    let judged = |run: &Option<RunRef>, what: &str| {
        let run = run.as_ref()?;
        let how = match run.phase {
            RunPhase::Failed => "failed",
            RunPhase::Error => "error",
            RunPhase::Pending
            | RunPhase::Running
            | RunPhase::Successful
            | RunPhase::Inconclusive => return None,
        };
        Some(format!("{what} analysis phase error/{how}: {}", run.message))
    };
    if let Some(why) = judged(&draft.memory.step_run, "Step-based") {
        return Some(Some(why));
    }
    if let Some(why) = judged(&draft.memory.background_run, "Background") {
        return Some(Some(why));
    }
    if draft.seen.overdue && draft.seen.rollout.abort_when_overdue {
        let hash = &draft.seen.wanted;
        return Some(Some(format!("ReplicaSet of revision {hash} has timed out progressing.")));
    }
    None
}

fn step(draft: &mut Draft<'_>, index: usize, hold: Hold) {
    let hold = settle_hold(draft, hold);
    // A user's pause lets nothing be completed; what is under way goes on.
    let held = draft.seen.rollout.paused || hold.pause(PauseReason::Inconclusive).is_some();
    let done = !held && step_done(draft, index, &hold);
    if !done {
        let hold = match draft.seen.rollout.steps().position(index) {
            Position::At(Step::Pause(_)) if hold == Hold::None => {
                draft.facts.push(Fact::Paused { reason: PauseReason::Step });
                hold.with(PauseReason::Step, draft.seen.now)
            }
            Position::At(_) => forget_resumption(hold),
            // The list became shorter, or a client counted past its end.
            Position::Past => {
                draft.memory.phase =
                    Phase::Promoting { full: false, hold: forget_resumption(hold) };
                return;
            }
        };
        draft.memory.phase = Phase::Stepping { index, hold };
        return;
    }
    draft.facts.push(Fact::StepCompleted { index });
    if hold != Hold::None {
        draft.facts.push(Fact::Resumed);
    }
    draft.memory.step_run = None;
    draft.memory.phase =
        enter(draft, index + 1, forget_resumption(hold.without(PauseReason::Step)));
}

fn forget_resumption(hold: Hold) -> Hold {
    if hold == Hold::Resumed { Hold::None } else { hold }
}

/// Let inconclusive runs hold the rollout, and let a user's word end that.
fn settle_hold(draft: &mut Draft<'_>, hold: Hold) -> Hold {
    let inconclusive =
        |run: &Option<RunRef>| run.as_ref().is_some_and(|run| run.phase == RunPhase::Inconclusive);
    let runs = &mut draft.memory;
    if !inconclusive(&runs.step_run) && !inconclusive(&runs.background_run) {
        return hold;
    }
    if hold == Hold::Resumed {
        // Whoever resumes from an inconclusive run wants it measured again.
        if inconclusive(&runs.step_run) {
            runs.step_run = None;
        }
        if inconclusive(&runs.background_run) {
            runs.background_run = None;
        }
        draft.facts.push(Fact::Resumed);
        return Hold::None;
    }
    if hold.pause(PauseReason::Inconclusive).is_none() {
        draft.facts.push(Fact::Paused { reason: PauseReason::Inconclusive });
    }
    hold.with(PauseReason::Inconclusive, draft.seen.now)
}

fn step_done(draft: &Draft<'_>, index: usize, hold: &Hold) -> bool {
    let seen = draft.seen;
    match seen.rollout.steps().position(index) {
        Position::Past => false,
        Position::At(Step::Pause(pause)) => match (hold, pause) {
            (Hold::Resumed, _) => true,
            (Hold::Paused(_), Pause::For(wait)) => hold
                .pause(PauseReason::Step)
                .is_some_and(|pause| seen.now >= pause.since.after(*wait)),
            (Hold::Paused(_), Pause::UntilPromoted) | (Hold::None, _) => false,
        },
        Position::At(Step::SetWeight(share)) => {
            seen.counts_reached(*share) && seen.split_reached(*share)
        }
        Position::At(Step::Analysis) => {
            draft.memory.step_run.as_ref().is_some_and(|run| run.phase == RunPhase::Successful)
        }
    }
}

fn promote(draft: &mut Draft<'_>, full: bool, hold: Hold) {
    let seen = draft.seen;
    let hold = forget_resumption(settle_hold(draft, hold));
    let steps = seen.rollout.steps().len();
    let enough = seen.available(&seen.wanted) >= seen.rollout.replicas
        && seen.new_revision().is_some_and(|new| new.wanted >= seen.rollout.replicas);
    // Without steps, and when the user skips them, all traffic follows through the Services.
    let routed = match seen.rollout.routing() {
        None => true,
        Some(_) if full || steps == 0 => seen.traffic.confirmed().is_some(),
        // After an update was superseded, the whole traffic may still be that of the one before.
        Some(_) => seen
            .traffic
            .confirmed()
            .is_some_and(|split| split.share == Share::ALL && split.canary == seen.wanted),
    };
    if !enough || !routed || hold != Hold::None {
        draft.memory.phase = Phase::Promoting { full, hold };
        return;
    }
    let because = if full {
        Completion::FullPromotion
    } else if seen.rolls_back_within_window() {
        Completion::RollbackWithinWindow
    } else {
        Completion::AllSteps(steps)
    };
    let number = draft.next_number();
    draft.memory.stable = Some(seen.wanted.clone());
    draft.memory.phase = Phase::Settled;
    forget_runs(draft);
    draft.facts.push(Fact::Completed { number, hash: seen.wanted.clone(), because });
}

fn forget_runs(draft: &mut Draft<'_>) {
    draft.memory.step_run = None;
    draft.memory.background_run = None;
}

/// Take the present phases of the runs into the record.
fn note_runs(draft: &mut Draft<'_>) {
    let index = match draft.memory.phase {
        Phase::Stepping { index, .. } => Some(index),
        Phase::Settled | Phase::Promoting { .. } | Phase::Aborted { .. } => None,
    };
    let seen = draft.seen;
    let mut facts = Vec::new();
    let mut note = |slot: &mut Option<RunRef>, purpose: Option<Purpose>| {
        let Some(reference) = slot else { return };
        let Some(run) = seen.run(&reference.name) else { return };
        if run.purpose != purpose || run.hash != seen.wanted {
            *slot = None;
            return;
        }
        if let Some(purpose) = purpose.filter(|_| run.phase != reference.phase) {
            facts.push(Fact::RunChanged {
                purpose,
                name: run.name.clone(),
                from: Some(reference.phase),
                to: run.phase,
            });
        }
        reference.phase = run.phase;
        reference.message.clone_from(&run.message);
    };
    note(&mut draft.memory.step_run, index.map(Purpose::Step));
    note(&mut draft.memory.background_run, Some(Purpose::Background));
    draft.facts.append(&mut facts);
}
