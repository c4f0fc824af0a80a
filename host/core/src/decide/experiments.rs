//! Experiments: the one of the present step is made and followed, others are told to end, old ones
//! are dropped. What they do is decided in [`crate::experiment`]; here they are objects with a phase.

use super::Draft;
use crate::observed::{Run, RunPhase};
use crate::phase::{Hold, Phase};
use crate::plan::Order;
use crate::rollout::Act;
use crate::traffic::Additional;
use crate::waiting::Waiting;

/// The experiment of the present step, if it exists.
pub(super) fn current<'d>(draft: &'d Draft<'_>) -> Option<&'d Run> {
    let Phase::Stepping { index, .. } = draft.memory.phase else { return None };
    let name = draft.memory.experiment.as_ref()?;
    let seen = draft.seen;
    let found = seen.experiments.iter().find(|experiment| experiment.name == *name)?;
    let here = found.hash == seen.wanted && found.step().is_none_or(|step| step == index);
    here.then_some(found)
}

/// Forget an experiment of another step or revision.
pub(super) fn forget_former(draft: &mut Draft<'_>) {
    let there = draft.memory.experiment.as_ref().is_some_and(|name| {
        draft.seen.experiments.iter().any(|experiment| experiment.name == *name)
    });
    if there && current(draft).is_none() {
        draft.memory.experiment = None;
    }
}

/// Why the experiment of the present step ends the release, if it does.
pub(super) fn verdict(draft: &Draft<'_>) -> Option<String> {
    let experiment = current(draft)?;
    let how = match experiment.phase {
        RunPhase::Failed => "failed",
        RunPhase::Error => "error",
        RunPhase::Pending | RunPhase::Running | RunPhase::Successful | RunPhase::Inconclusive => {
            return None;
        }
    };
    Some(format!("Experiment analysis phase is error/{how}: {}", experiment.message))
}

/// Whether the experiment of the present step is in this phase.
pub(super) fn is(draft: &Draft<'_>, phase: RunPhase) -> bool {
    current(draft).is_some_and(|experiment| experiment.phase == phase)
}

/// What goes to the pods of the present step's experiment: its shares while it runs, and only
/// where its pods are there.
pub(super) fn destinations(draft: &Draft<'_>) -> Vec<Additional> {
    let running = |one: &&Run| one.phase == RunPhase::Running && !one.terminating;
    let Some(current) = current(draft).filter(running) else { return Vec::new() };
    let extras = draft.seen.extras.iter().filter(|extra| extra.experiment == current.name);
    let fit = extras.filter(|extra| !extra.share.is_none() && draft.seen.carries_extra(extra));
    let mut all: Vec<_> = fit
        .map(|extra| Additional {
            service: extra.service.clone(),
            hash: extra.hash.clone(),
            share: extra.share,
        })
        .collect();
    all.sort_by(|a, b| a.service.cmp(&b.service));
    all
}

pub(super) fn experiments(draft: &mut Draft<'_>) {
    step(draft);
    let seen = draft.seen;
    let is_current = |name: &String| draft.memory.experiment.as_ref() == Some(name);
    let stop = seen.experiments.iter().filter(|experiment| {
        !experiment.phase.is_over() && !experiment.terminating && !is_current(&experiment.name)
    });
    let stop: Vec<_> = stop.map(|experiment| seen.quiet(&experiment.name)).collect();
    for quiet in stop {
        match quiet {
            Ok(quiet) => draft.plan.stop_experiment(quiet),
            Err(waiting) => draft.wait(waiting),
        }
    }
    drop_old(draft);
}

fn step(draft: &mut Draft<'_>) {
    let seen = draft.seen;
    let at = match &draft.memory.phase {
        Phase::Stepping { index, hold } => Some((*index, *hold == Hold::None)),
        Phase::Settled
        | Phase::Previewing { .. }
        | Phase::Promoting { .. }
        | Phase::Aborted { .. } => None,
    };
    let steps = seen.rollout.steps();
    let here = at.filter(|(index, _)| *steps.position(*index).act() == Act::Experiment);
    let Some((index, free)) = here else {
        draft.memory.experiment = None;
        return;
    };
    // Its name tells the step, and is for the step at which the rollout was found.
    let found_here = matches!(seen.memory.phase, Phase::Stepping { index: at, .. } if at == index);
    if draft.memory.experiment.is_none() && free && found_here {
        draft.memory.experiment = Some(seen.experiment_name.clone());
    }
    let Some(name) = draft.memory.experiment.clone() else { return };
    let there = seen.experiments.iter().find(|experiment| experiment.name == name);
    // Its pods are those of the two revisions, so both must be there.
    if there.is_none() && seen.new_revision().is_some() && seen.stable_revision().is_some() {
        let number = draft.next_number();
        draft.plan.add(Order::StartExperiment { name: name.clone(), index, number });
    }
    if there.is_none_or(|experiment| !experiment.phase.is_over()) {
        draft.wait(Waiting::Experiment(name));
    }
}

/// Experiments of revisions that are gone, and the oldest beyond the limits of analysis runs.
fn drop_old(draft: &mut Draft<'_>) {
    let seen = draft.seen;
    let current = draft.memory.experiment.as_ref();
    let over = seen.experiments.iter().filter(|one| one.phase.is_over());
    let mut over: Vec<_> = over.filter(|one| current != Some(&one.name)).collect();
    over.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| b.name.cmp(&a.name)));
    let (mut good, mut bad) = seen.rollout.run_limits;
    for experiment in over {
        let left = if experiment.phase == RunPhase::Successful { &mut good } else { &mut bad };
        let known = seen.revision(&experiment.hash).is_some() || experiment.hash == seen.wanted;
        if known && *left > 0 {
            *left -= 1;
        } else {
            match seen.quiet(&experiment.name) {
                Ok(quiet) => draft.plan.delete_experiment(quiet),
                Err(waiting) => draft.wait(waiting),
            }
        }
    }
}
