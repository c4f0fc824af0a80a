//! From one phase to the next.

use super::{Draft, experiments, plugins};
use crate::fact::{Completion, Fact, Skip};
use crate::observed::{Observed, Purpose, RunPhase};
use crate::phase::{Hold, PauseReason, Phase, RunRef};
use crate::quantity::{Pods, Share};
use crate::rollout::{Act, Pause, Position};

/// Decide where the rollout stands now. At most one step is completed in one decision.
pub(super) fn advance(draft: &mut Draft<'_>) {
    note_runs(draft);
    experiments::forget_former(draft);
    plugins::note_replies(draft);
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
        abort(draft, why);
        return forget_runs(draft);
    }
    match draft.memory.phase.clone() {
        // The stable revision is another one, or the strategy was, so this cannot stay so.
        Phase::Settled | Phase::Previewing { .. } => begin(draft, Hold::None),
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
    draft.memory.calls.clear();
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
    draft.memory.experiment = None;
    draft.memory.calls.clear();
    let number = draft.next_number();
    if settled {
        draft.memory.phase = Phase::Settled;
        // Only a revision that came after the stable one makes this a way back: the steps of an
        // idle rollout may change as well.
        if seen.new_revision().is_some_and(|stable| stable.number < number) {
            draft.facts.push(Fact::StepsSkipped { because: Skip::Stable });
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
    let step = match draft.seen.rollout.steps().position(index) {
        Position::Past => return Phase::Promoting { full: false, hold },
        Position::At(step) => step,
    };
    match step.act {
        Act::Pause(_) => {
            draft.facts.push(Fact::Paused { reason: PauseReason::Step });
            let hold = hold.with(PauseReason::Step, draft.seen.now);
            Phase::Stepping { index, hold }
        }
        Act::SetWeight(_) | Act::Analysis | Act::Experiment | Act::Plugin(_) | Act::Nothing => {
            Phase::Stepping { index, hold }
        }
    }
}

/// Give the update up.
pub(super) fn abort(draft: &mut Draft<'_>, why: Option<String>) {
    let number = draft.next_number();
    draft.facts.push(Fact::Aborted { number, why: why.clone() });
    draft.memory.phase = Phase::Aborted { since: draft.seen.now, why };
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
    if let Some(why) = experiments::verdict(draft) {
        return Some(Some(why));
    }
    if let Some(why) = plugins::refused(draft) {
        return Some(Some(why));
    }
    timed_out(draft).map(Some)
}

/// What is said when the progress deadline passed and that is to end the update.
pub(super) fn timed_out(draft: &Draft<'_>) -> Option<String> {
    let over = draft.seen.overdue && draft.seen.rollout.abort_when_overdue;
    over.then(|| format!("ReplicaSet of revision {} has timed out progressing.", draft.seen.wanted))
}

fn step(draft: &mut Draft<'_>, index: usize, hold: Hold) {
    let hold = settle_hold(draft, hold);
    // A user's pause lets nothing be completed; what is under way goes on.
    let held = draft.seen.rollout.paused || hold.undecided();
    let done = !held && step_done(draft, index, &hold);
    if !done {
        let hold = match draft.seen.rollout.steps().position(index) {
            Position::At(step) if matches!(step.act, Act::Pause(_)) && hold == Hold::None => {
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
    draft.memory.experiment = None;
    draft.memory.phase =
        enter(draft, index + 1, forget_resumption(hold.without(PauseReason::Step)));
}

pub(super) fn forget_resumption(hold: Hold) -> Hold {
    if hold == Hold::Resumed { Hold::None } else { hold }
}

/// Let inconclusive runs hold the rollout, and let a user's word end that.
pub(super) fn settle_hold(draft: &mut Draft<'_>, hold: Hold) -> Hold {
    let inconclusive = |run: &RunRef| run.phase == RunPhase::Inconclusive;
    let run = draft.memory.runs().any(inconclusive);
    let experiment = experiments::is(draft, RunPhase::Inconclusive);
    if !run && !experiment {
        return hold;
    }
    if hold == Hold::Resumed {
        // Whoever resumes from an inconclusive run wants it measured again.
        for slot in draft.memory.runs_mut() {
            slot.take_if(|run| inconclusive(run));
        }
        if experiment {
            draft.memory.experiment = None;
        }
        draft.facts.push(Fact::Resumed);
        return Hold::None;
    }
    let reasons = [(run, PauseReason::Inconclusive), (experiment, PauseReason::Experiment)];
    reasons.into_iter().filter(|(is_so, _)| *is_so).fold(hold, |hold, (_, reason)| {
        if hold.pause(reason).is_none() {
            draft.facts.push(Fact::Paused { reason });
        }
        hold.with(reason, draft.seen.now)
    })
}

/// Whether the step is complete. A step with several parts is as complete as its pause; else as
/// its sizes and its weight; else as its analysis; else as its routes.
fn step_done(draft: &Draft<'_>, index: usize, hold: &Hold) -> bool {
    let seen = draft.seen;
    let Position::At(step) = seen.rollout.steps().position(index) else { return false };
    match &step.act {
        Act::Pause(pause) => match (hold, pause) {
            (Hold::Resumed, _) => true,
            (Hold::Paused(_), Pause::For(wait)) => hold
                .pause(PauseReason::Step)
                .is_some_and(|pause| seen.now >= pause.since.after(*wait)),
            (Hold::Paused(_), Pause::UntilPromoted) | (Hold::None, _) => false,
        },
        Act::SetWeight(share) => seen.counts_reached(index) && seen.split_reached(*share),
        Act::Analysis | Act::Nothing if step.scale.is_some() => seen.counts_reached(index),
        Act::Analysis => {
            draft.memory.step_run.as_ref().is_some_and(|run| run.phase == RunPhase::Successful)
        }
        Act::Experiment => experiments::is(draft, RunPhase::Successful),
        Act::Plugin(_) => plugins::done(draft, index),
        // Routes to a canary without pods come into force with its first pod.
        Act::Nothing => seen.routes_reached(index) || seen.canary_size_at(index) == Pods::ZERO,
    }
}

fn promote(draft: &mut Draft<'_>, full: bool, hold: Hold) {
    let seen = draft.seen;
    let hold = forget_resumption(settle_hold(draft, hold));
    let steps = seen.rollout.steps().len();
    let enough = seen.available(&seen.wanted) >= seen.rollout.enough().of(seen.rollout.replicas)
        && seen.new_revision().is_some_and(|new| new.wanted >= seen.rollout.replicas);
    // Without steps, and when the user skips them, all traffic follows through the Services.
    let routed = match seen.rollout.routing() {
        None => true,
        Some(routing) if steps == 0 || (full && !routing.dynamic_stable) => {
            seen.traffic.confirmed().is_some_and(|split| split.routes.is_empty())
        }
        // After an update was superseded, the whole traffic may still be that of the one before.
        Some(_) => seen.traffic.confirmed().is_some_and(|split| {
            split.share == Share::ALL && split.routes.is_empty() && split.canary == seen.wanted
        }),
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
    draft.memory.pong ^= seen.rollout.ping_pong();
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
        Phase::Settled
        | Phase::Previewing { .. }
        | Phase::Promoting { .. }
        | Phase::Aborted { .. } => None,
    };
    let seen = draft.seen;
    let facts = &mut draft.facts;
    note_run(seen, &mut draft.memory.step_run, index.map(Purpose::Step), facts);
    note_run(seen, &mut draft.memory.background_run, Some(Purpose::Background), facts);
}

/// Take the present phase of one run into the record, unless it is for something else.
pub(super) fn note_run(
    seen: &Observed,
    slot: &mut Option<RunRef>,
    purpose: Option<Purpose>,
    facts: &mut Vec<Fact>,
) {
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
}
