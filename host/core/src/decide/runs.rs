//! Analysis runs: start the ones that are due, stop the ones that are not, drop old ones.

use super::Draft;
use crate::fact::Fact;
use crate::observed::{Purpose, Run, RunPhase};
use crate::phase::{Hold, Phase, RunRef};
use crate::plan::Order;
use crate::rollout::Act;
use crate::waiting::Waiting;

pub(super) fn runs(draft: &mut Draft<'_>) {
    step_run(draft);
    background_run(draft);
    stop_others(draft, is_current);
    drop_old(draft);
}

fn step_run(draft: &mut Draft<'_>) {
    let Phase::Stepping { index, hold } = &draft.memory.phase else { return };
    let index = *index;
    if *draft.seen.rollout.steps().position(index).act() != Act::Analysis {
        return;
    }
    let free = *hold == Hold::None;
    let name = &draft.seen.run_names.0;
    let current = start(draft.memory.step_run.clone(), free, name);
    draft.memory.step_run = ensure(draft, current, Purpose::Step(index));
    if let Some(run) = draft.memory.step_run.clone().filter(|run| !run.phase.is_over()) {
        draft.wait(Waiting::Analysis(run.name));
    }
}

fn background_run(draft: &mut Draft<'_>) {
    let Some(from) = draft.seen.rollout.background_from() else { return };
    let begun = match &draft.memory.phase {
        Phase::Stepping { index, .. } => *index >= from,
        Phase::Promoting { full, .. } => !full && !draft.seen.rolls_back_within_window(),
        Phase::Settled | Phase::Previewing { .. } | Phase::Aborted { .. } => false,
    };
    if !begun {
        return;
    }
    let name = &draft.seen.run_names.1;
    let current = start(draft.memory.background_run.clone(), true, name);
    draft.memory.background_run = ensure(draft, current, Purpose::Background);
}

pub(super) fn start(current: Option<RunRef>, free: bool, name: &str) -> Option<RunRef> {
    let begin =
        || RunRef { name: name.to_owned(), phase: RunPhase::Pending, message: String::new() };
    current.or_else(|| free.then(begin))
}

/// Order the run if it is not there: it was just named, or its making was cut short.
pub(super) fn ensure(
    draft: &mut Draft<'_>,
    run: Option<RunRef>,
    purpose: Purpose,
) -> Option<RunRef> {
    let run = run?;
    if draft.seen.run(&run.name).is_none() && !run.phase.is_over() {
        let (name, to) = (run.name.clone(), run.phase);
        draft.plan.add(Order::StartRun { name: name.clone(), purpose });
        if to == RunPhase::Pending {
            draft.facts.push(Fact::RunChanged { purpose, name, from: None, to });
        }
    }
    Some(run)
}

fn is_current(draft: &Draft<'_>, run: &Run) -> bool {
    draft.memory.runs().any(|current| current.name == run.name)
}

/// Stop the runs that are of no use any more.
pub(super) fn stop_others(draft: &mut Draft<'_>, is_of_use: fn(&Draft<'_>, &Run) -> bool) {
    let stop: Vec<_> = draft
        .seen
        .runs
        .iter()
        .filter(|run| !run.phase.is_over() && !run.terminating && !is_of_use(draft, run))
        .map(|run| Order::StopRun { name: run.name.clone() })
        .collect();
    stop.into_iter().for_each(|order| draft.plan.add(order));
}

/// Runs of revisions that are gone, and the oldest beyond the limits.
pub(super) fn drop_old(draft: &mut Draft<'_>) {
    let seen = draft.seen;
    let mut over: Vec<_> =
        seen.runs.iter().filter(|run| run.phase.is_over() && !is_current(draft, run)).collect();
    over.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| b.name.cmp(&a.name)));
    let (mut good, mut bad) = seen.rollout.run_limits;
    for run in over {
        let left = if run.phase == RunPhase::Successful { &mut good } else { &mut bad };
        let kept = *left > 0 && (seen.revision(&run.hash).is_some() || run.hash == seen.wanted);
        if kept {
            *left -= 1;
        } else {
            draft.plan.add(Order::DeleteRun { name: run.name.clone() });
        }
    }
}
