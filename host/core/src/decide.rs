//! The decision: what was seen goes in; what is to be done, remembered, said and waited for
//! comes out. Total and pure: every observation has exactly one decision.

use crate::fact::Fact;
use crate::observed::Observed;
use crate::phase::{Hold, Memory, PauseReason, Phase};
use crate::plan::{Order, Plan};
use crate::rollout::{Strategy, Tenure};
use crate::time::Wake;
use crate::waiting::Waiting;

mod advance;
mod blue_green;
mod capacity;
mod experiments;
mod leave;
mod lender;
mod plugins;
mod restart;
mod retire;
mod routing;
mod runs;
mod upkeep;

/// What follows from one observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What to do, once `memory` is recorded.
    pub orders: Vec<Order>,
    /// What to remember.
    pub memory: Memory,
    /// What it waits for; `None` only when it is where it is to be.
    pub waiting: Option<Waiting>,
    /// When to look again though nothing may have changed.
    pub wake: Option<Wake>,
    /// What just became true.
    pub facts: Vec<Fact>,
}

/// One decision in the making: the parts add to it, and none takes back what another added.
struct Draft<'o> {
    seen: &'o Observed,
    memory: Memory,
    plan: Plan<'o>,
    /// Everything that stands in the way; the most important to a reader is what is told.
    waiting: Vec<Waiting>,
    wake: Option<Wake>,
    facts: Vec<Fact>,
}

impl Draft<'_> {
    fn wait(&mut self, waiting: Waiting) {
        // What was to end by now and has not is held by something else, which will show.
        let until = waiting.until().filter(|at| *at > self.seen.now);
        let wake = until.map(|at| Wake { at, because: "what is waited for is over" });
        self.wake = Wake::sooner(self.wake, wake);
        self.waiting.push(waiting);
    }

    /// Whether sizes stand still: the user or an inconclusive analysis holds them.
    fn sizes_held(&self) -> bool {
        self.inconclusive() || self.seen.rollout.paused
    }

    /// Whether an inconclusive analysis holds it.
    fn inconclusive(&self) -> bool {
        self.memory.phase.hold().pause(PauseReason::Inconclusive).is_some()
    }
}

/// The only way forward.
pub fn decide(seen: &Observed) -> Decision {
    let mut draft = Draft {
        seen,
        memory: seen.memory.clone(),
        plan: Plan::default(),
        waiting: Vec::new(),
        wake: None,
        facts: Vec::new(),
    };
    let tenure = seen.rollout.routing().map(|routing| routing.tenure);
    match &seen.rollout.strategy {
        Strategy::Canary(_) if tenure == Some(Tenure::LeavesFirst) => leave::first(&mut draft),
        Strategy::Canary(_) => canary(&mut draft),
        Strategy::BlueGreen(strategy) => blue_green::blue_green(&mut draft, strategy),
    }

    leave::release(&mut draft);
    lender::lender(&mut draft);
    let Draft { memory, plan, mut waiting, wake, facts, .. } = draft;
    // A stable sort: among equals the first that was found is told.
    waiting.sort_by_key(Waiting::rank);
    let busy = !plan.is_empty() || memory != seen.memory || memory.phase != Phase::Settled;
    let waiting = waiting.into_iter().next().or_else(|| busy.then_some(Waiting::Itself));
    Decision { orders: plan.seal(seen), memory, waiting, wake, facts }
}

fn canary(draft: &mut Draft<'_>) {
    record_traffic(draft);
    advance::advance(draft);
    explain_phase(draft);
    capacity::capacity(draft);
    upkeep::upkeep(draft);
    // Where the two Services have just changed sides, what was observed of either is about the
    // other now: the next look sees them right.
    if draft.memory.pong == draft.seen.memory.pong {
        routing::doors(draft);
        routing::traffic(draft);
        leave::leave(draft);
    }
    retire::retire(draft);
    restart::restart(draft);
    runs::runs(draft);
    experiments::experiments(draft);
    plugins::plugins(draft);
}

/// Take into the record what the router confirmed.
fn record_traffic(draft: &mut Draft<'_>) {
    if draft.seen.rollout.routing().is_none() {
        draft.memory.routed = None;
        return;
    }
    let Some(split) = draft.seen.traffic.confirmed() else { return };
    let before = draft.memory.routed.as_ref();
    let from = before.map(|routed| routed.share);
    let additional = before.is_some_and(|routed| routed.additional != split.additional);
    if from != Some(split.share) || additional {
        let additional = additional.then(|| split.additional.clone());
        draft.facts.push(Fact::WeightUpdated { from, to: split.share, additional });
    }
    draft.memory.routed = Some(crate::phase::Recorded {
        share: split.share,
        canary: split.canary.clone(),
        stable: split.stable.clone(),
        verified: draft.seen.traffic.verified(),
        additional: split.additional.clone(),
    });
}

/// What the phase itself waits for.
fn explain_phase(draft: &mut Draft<'_>) {
    if draft.seen.rollout.paused {
        draft.wait(Waiting::User);
    }
    let waiting = match &draft.memory.phase {
        Phase::Aborted { .. } => Some(Waiting::Retry),
        Phase::Settled => None,
        Phase::Stepping { index, hold } => {
            let step = draft.seen.rollout.steps().position(*index);
            hold_waiting(hold, step)
        }
        Phase::Previewing { hold } | Phase::Promoting { hold, .. } => {
            hold_waiting(hold, crate::rollout::Position::Past)
        }
    };
    if let Some(waiting) = waiting {
        draft.wait(waiting);
    }
}

fn hold_waiting(hold: &Hold, step: crate::rollout::Position<'_>) -> Option<Waiting> {
    use crate::rollout::{Act, Pause};
    if hold.undecided() {
        return Some(Waiting::Decision);
    }
    let pause = hold.pause(PauseReason::Step)?;
    Some(match step.act() {
        Act::Pause(Pause::For(wait)) => Waiting::PauseUntil(pause.since.after(*wait)),
        Act::Pause(Pause::UntilPromoted)
        | Act::SetWeight(_)
        | Act::Analysis
        | Act::Experiment
        | Act::Plugin(_)
        | Act::Nothing => Waiting::Promotion,
    })
}
