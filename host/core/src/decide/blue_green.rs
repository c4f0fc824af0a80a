//! Blue-green: the new revision is made ready beside the old one and shown by the preview Service;
//! then the active Service is turned to it, all at once.
//!
//! ```text
//!   Previewing ──ready, proved, promoted──► Promoting ──turned, proved──► Settled
//!        └────────────────────────── Aborted ◄──┘
//! ```

use super::advance::{abort, forget_resumption, note_run, settle_hold, timed_out};
use super::{Draft, restart, retire, upkeep};
use crate::fact::{Completion, Fact};
use crate::observed::{Door, Observed, Purpose, RunPhase};
use crate::phase::{Hold, PauseReason, Phase, RunRef};
use crate::quantity::Pods;
use crate::rollout::{BlueGreen, Promotion};
use crate::traffic::Side;
use crate::waiting::Waiting;

mod pods;
mod runs;
#[cfg(test)]
mod tests;

pub(super) fn blue_green(draft: &mut Draft<'_>, strategy: &BlueGreen) {
    advance(draft, strategy);
    explain(draft, strategy);
    pods::sizes(draft, strategy);
    upkeep::upkeep(draft);
    doors(draft);
    pods::replaced(draft, strategy);
    restart::restart(draft);
    let others = draft.seen.others(draft.memory.stable.as_ref());
    retire::forget_oldest(draft, &others);
    runs::runs(draft, strategy);
}

/// Decide where the rollout stands now.
fn advance(draft: &mut Draft<'_>, strategy: &BlueGreen) {
    let seen = draft.seen;
    (draft.memory.step_run, draft.memory.background_run, draft.memory.routed) = (None, None, None);
    note_run(seen, &mut draft.memory.pre_run, Some(Purpose::PrePromotion), &mut draft.facts);
    note_run(seen, &mut draft.memory.post_run, Some(Purpose::PostPromotion), &mut draft.facts);
    if seen.stable_revision().is_none() {
        return first_deployment(draft);
    }
    let settled = draft.memory.stable.as_ref() == Some(&seen.wanted);
    if seen.changed {
        return reset(draft, settled);
    }
    if settled {
        draft.memory.phase = Phase::Settled;
        return;
    }
    if let Some(why) = verdict(draft) {
        return abort(draft, Some(why));
    }
    match draft.memory.phase.clone() {
        Phase::Aborted { .. } => {}
        Phase::Previewing { hold } => preview(draft, strategy, hold),
        Phase::Promoting { full, hold } => promote(draft, strategy, full, hold),
        // The stable revision is another one, or the strategy was, so this cannot stay so.
        Phase::Settled | Phase::Stepping { .. } => preview(draft, strategy, Hold::None),
    }
}

/// Nothing to fall back to: the wanted revision is stable from the start, and the active Service
/// follows once all its pods are there.
fn first_deployment(draft: &mut Draft<'_>) {
    let seen = draft.seen;
    let known = draft.memory.stable.as_ref() == Some(&seen.wanted) && !seen.changed;
    draft.memory.stable = Some(seen.wanted.clone());
    draft.memory.phase = Phase::Settled;
    forget_runs(draft);
    if !known {
        let number = draft.next_number();
        let because = Completion::FirstDeployment;
        draft.facts.push(Fact::Completed { number, hash: seen.wanted.clone(), because });
    }
}

/// The template is another one than before: begin anew.
fn reset(draft: &mut Draft<'_>, settled: bool) {
    let seen = draft.seen;
    let number = draft.next_number();
    forget_runs(draft);
    if settled {
        draft.memory.phase = Phase::Settled;
        return;
    }
    draft.facts.push(Fact::Begun { number, hash: seen.wanted.clone() });
    draft.memory.phase = if seen.is_way_back() {
        Phase::Promoting { full: false, hold: Hold::None }
    } else {
        Phase::Previewing { hold: Hold::None }
    };
}

/// Why the update has to be given up now, if it has to.
fn verdict(draft: &Draft<'_>) -> Option<String> {
    let (run, what) = match &draft.memory.phase {
        Phase::Previewing { .. } => (&draft.memory.pre_run, "pre"),
        Phase::Promoting { full: false, .. } if !draft.seen.is_trusted() => {
            (&draft.memory.post_run, "post")
        }
        Phase::Promoting { .. } => (&None, ""),
        Phase::Settled | Phase::Stepping { .. } | Phase::Aborted { .. } => return None,
    };
    let is_bad = |run: &&RunRef| matches!(run.phase, RunPhase::Failed | RunPhase::Error);
    let words = |run: &RunRef| {
        format!("Blue/green {what}-promotion analysis phase error/failed: {}", run.message)
    };
    run.as_ref().filter(is_bad).map(words).or_else(|| timed_out(draft))
}

/// See whether the preview is over.
fn preview(draft: &mut Draft<'_>, strategy: &BlueGreen, hold: Hold) {
    let seen = draft.seen;
    let hold = settle_hold(draft, hold);
    let promoted = Phase::Promoting { full: false, hold: Hold::None };
    let proved = !strategy.pre_analysis || succeeded(&draft.memory.pre_run);
    // A word of the user's counts once, also while pods are missing or the user pauses: what
    // follows waits for both.
    let let_go = proved && hold == Hold::Resumed;
    if let_go || seen.selected(Side::Stable) == Some(&seen.wanted) {
        draft.memory.phase = promoted;
        return;
    }
    let hold = forget_resumption(hold);
    let held = seen.rollout.paused || hold.pause(PauseReason::Inconclusive).is_some();
    if held || !proved || !seen.is_ready(strategy) {
        draft.memory.phase = Phase::Previewing { hold };
        return;
    }
    let pause = hold.pause(PauseReason::Preview);
    let over = match strategy.promotion {
        Promotion::AtOnce => true,
        Promotion::After(wait) => pause.is_some_and(|pause| seen.now >= pause.since.after(wait)),
        Promotion::ByUser => false,
    };
    if over {
        draft.memory.phase = promoted;
        return;
    }
    if pause.is_none() {
        draft.facts.push(Fact::Paused { reason: PauseReason::Preview });
    }
    draft.memory.phase = Phase::Previewing { hold: hold.with(PauseReason::Preview, seen.now) };
}

/// See whether the wanted revision is the stable one now.
fn promote(draft: &mut Draft<'_>, strategy: &BlueGreen, full: bool, hold: Hold) {
    let seen = draft.seen;
    let way_back = seen.is_trusted();
    let trusted = full || way_back;
    let hold = if trusted { Hold::None } else { forget_resumption(settle_hold(draft, hold)) };
    let proved = trusted || !strategy.post_analysis || succeeded(&draft.memory.post_run);
    let turned = seen.selected(Side::Stable) == Some(&seen.wanted);
    if !turned || !proved || hold != Hold::None {
        draft.memory.phase = Phase::Promoting { full, hold };
        return;
    }
    let because = match (full, way_back) {
        (true, _) => Completion::FullPromotion,
        (false, true) => Completion::FastRollback,
        (false, false) => Completion::BlueGreen,
    };
    let number = draft.next_number();
    draft.memory.stable = Some(seen.wanted.clone());
    draft.memory.phase = Phase::Settled;
    draft.facts.push(Fact::Completed { number, hash: seen.wanted.clone(), because });
}

fn succeeded(run: &Option<RunRef>) -> bool {
    run.as_ref().is_some_and(|run| run.phase == RunPhase::Successful)
}

fn forget_runs(draft: &mut Draft<'_>) {
    draft.memory.pre_run = None;
    draft.memory.post_run = None;
}

/// What the phase itself waits for.
fn explain(draft: &mut Draft<'_>, strategy: &BlueGreen) {
    if draft.seen.rollout.paused {
        draft.wait(Waiting::User);
    }
    if matches!(draft.memory.phase, Phase::Aborted { .. }) {
        draft.wait(Waiting::Retry);
    }
    if draft.inconclusive() {
        draft.wait(Waiting::Decision);
    }
    let Some(pause) = draft.memory.phase.hold().pause(PauseReason::Preview) else { return };
    let until = match strategy.promotion {
        Promotion::After(wait) => Some(pause.since.after(wait)),
        Promotion::AtOnce | Promotion::ByUser => None,
    };
    draft.wait(Waiting::Preview(until));
}

/// Turn the Services to the revisions that they are to select.
///
/// A user's pause and an inconclusive analysis hold both, but not the way back of an aborted
/// update.
fn doors(draft: &mut Draft<'_>) {
    let seen = draft.seen;
    let held = draft.sizes_held();
    let stable = draft.memory.stable.clone();
    let active = match &draft.memory.phase {
        Phase::Aborted { .. } => stable,
        _ if held => None,
        Phase::Settled => stable,
        Phase::Promoting { .. } => Some(seen.wanted.clone()),
        // While the preview lasts, users stay where they are, if they are anywhere.
        Phase::Previewing { .. } | Phase::Stepping { .. } => {
            stable.filter(|_| seen.active_is_nowhere())
        }
    };
    let preview = (!held).then(|| seen.wanted.clone());
    for (side, aim) in [(Side::Stable, active), (Side::Canary, preview)] {
        let revision = aim.and_then(|hash| seen.revision(&hash));
        let Some(revision) = revision else { continue };
        match seen.open(side, &revision.hash) {
            Ok(Some(open)) => draft.plan.open(open),
            Ok(None) => {}
            Err(waiting) => draft.wait(waiting),
        }
    }
}

impl Observed {
    /// Whether the active Service selects no revision that there is.
    fn active_is_nowhere(&self) -> bool {
        match &self.stable_door {
            Door::Service { selects, .. } => {
                selects.as_ref().is_none_or(|hash| self.revision(hash).is_none())
            }
            Door::None => false,
        }
    }

    /// The pods that the wanted revision has during its preview.
    fn preview_size(&self, strategy: &BlueGreen) -> Pods {
        strategy.preview_replicas.unwrap_or(self.rollout.replicas)
    }

    /// Whether the wanted revision has the pods of its preview.
    fn is_ready(&self, strategy: &BlueGreen) -> bool {
        let size = self.preview_size(strategy);
        self.new_revision().is_some_and(|new| new.wanted >= size && new.available >= size)
    }

    /// Whether the wanted revision is older than the stable one.
    fn is_older(&self) -> bool {
        match (self.new_revision(), self.stable_revision()) {
            (Some(new), Some(stable)) => new.created < stable.created,
            _ => false,
        }
    }

    /// Whether the wanted revision is an older one that is within the delay after which it was to
    /// lose its pods. Users had it and were content with it, so nothing is left to prove.
    fn within_delay(&self) -> bool {
        let deadline = self.new_revision().and_then(|new| new.deadline);
        self.is_older() && deadline.is_some_and(|at| self.now < at)
    }

    /// Whether users were content with the wanted revision not long ago: within its delay, or
    /// within the user's window.
    fn is_trusted(&self) -> bool {
        self.within_delay() || self.rolls_back_within_window()
    }

    /// The same, also right after it was replaced, when no delay was noted yet.
    fn is_way_back(&self) -> bool {
        let is_full = |new: &crate::observed::Revision| {
            new.deadline.is_none() && new.wanted > Pods::ZERO && new.wanted >= self.rollout.replicas
        };
        self.is_trusted() || self.is_older() && self.new_revision().is_some_and(is_full)
    }
}
