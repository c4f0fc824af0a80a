//! The analyses before and after the active Service is turned.

use super::super::runs::{drop_old, ensure, start, stop_others};
use super::Draft;
use crate::observed::{Purpose, Run};
use crate::phase::Phase;
use crate::rollout::BlueGreen;
use crate::traffic::Side;
use crate::waiting::Waiting;

pub(super) fn runs(draft: &mut Draft<'_>, strategy: &BlueGreen) {
    match draft.memory.phase {
        Phase::Previewing { .. } if strategy.pre_analysis => before(draft, strategy),
        Phase::Promoting { full: false, .. } if strategy.post_analysis => after(draft),
        Phase::Previewing { .. }
        | Phase::Promoting { .. }
        | Phase::Settled
        | Phase::Stepping { .. }
        | Phase::Aborted { .. } => {}
    }
    stop_others(draft, is_of_use);
    drop_old(draft);
}

fn before(draft: &mut Draft<'_>, strategy: &BlueGreen) {
    let free = draft.seen.is_ready(strategy) && !draft.inconclusive();
    let current = start(draft.memory.pre_run.clone(), free, &draft.seen.promotion_names.0);
    draft.memory.pre_run = ensure(draft, current, Purpose::PrePromotion);
    wait(draft);
}

fn after(draft: &mut Draft<'_>) {
    let seen = draft.seen;
    let turned = seen.selected(Side::Stable) == Some(&seen.wanted);
    let full = seen.available(&seen.wanted) >= seen.rollout.replicas;
    let free = turned && full && !seen.is_trusted() && !draft.inconclusive();
    let current = start(draft.memory.post_run.clone(), free, &seen.promotion_names.1);
    draft.memory.post_run = ensure(draft, current, Purpose::PostPromotion);
    wait(draft);
}

fn wait(draft: &mut Draft<'_>) {
    let runs: Vec<_> = draft.memory.runs().filter(|run| !run.phase.is_over()).cloned().collect();
    runs.into_iter().for_each(|run| draft.wait(Waiting::Analysis(run.name)));
}

/// What is remembered for people to look at need not go on.
fn is_of_use(draft: &Draft<'_>, run: &Run) -> bool {
    let current = match draft.memory.phase {
        Phase::Previewing { .. } => &draft.memory.pre_run,
        Phase::Promoting { full: false, .. } => &draft.memory.post_run,
        Phase::Promoting { full: true, .. }
        | Phase::Settled
        | Phase::Stepping { .. }
        | Phase::Aborted { .. } => &None,
    };
    current.as_ref().is_some_and(|current| current.name == run.name)
}
