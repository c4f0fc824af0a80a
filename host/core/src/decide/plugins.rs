//! Steps that are left to components: when each is asked to do, to stop or to undo something, and
//! what its answers change.

use super::Draft;
use crate::called::{Call, Operation, Progress};
use crate::fact::Fact;
use crate::phase::{Hold, Phase};
use crate::plan::Order;
use crate::rollout::Act;
use crate::waiting::Waiting;

/// Take in what components answered since.
pub(super) fn note_replies(draft: &mut Draft<'_>) {
    forget_former(draft);
    let seen = draft.seen;
    for reply in seen.replies.iter().filter(|reply| reply.hash == seen.wanted) {
        let call = draft.memory.calls.iter_mut().find(|call| call.is_answered_by(reply));
        let Some(call) = call else { continue };
        let before = call.progress;
        call.take(reply, seen.now);
        if call.progress != before {
            draft.facts.push(changed(call, Some(before)));
        }
    }
}

/// Whoever tries again, or goes back to an earlier step, begins with nothing: what was undone, or
/// is still to come, does not count as done.
fn forget_former(draft: &mut Draft<'_>) {
    let Phase::Stepping { index, .. } = draft.memory.phase else { return };
    let former = |call: &Call| match call.operation {
        Operation::Abort => true,
        Operation::Terminate => call.index >= index,
        Operation::Run => {
            call.index > index || (call.index == index && call.progress == Progress::Failed)
        }
    };
    if draft.memory.calls.iter().any(former) {
        draft.memory.calls.clear();
    }
}

/// Why the step that a component was to do ends the release, if it does.
pub(super) fn refused(draft: &Draft<'_>) -> Option<String> {
    let Phase::Stepping { index, .. } = draft.memory.phase else { return None };
    let call = find(&draft.memory.calls, index, Operation::Run)?;
    let failed = call.progress == Progress::Failed;
    failed.then(|| format!("Step Plugin {} ({}) failed: {}", index + 1, call.name, call.message))
}

/// Whether the component says that the step is done.
pub(super) fn done(draft: &Draft<'_>, index: usize) -> bool {
    find(&draft.memory.calls, index, Operation::Run)
        .is_some_and(|call| call.progress == Progress::Successful)
}

/// Ask whoever is to be asked now.
pub(super) fn plugins(draft: &mut Draft<'_>) {
    match draft.memory.phase.clone() {
        Phase::Stepping { index, hold } => {
            run(draft, index, &hold);
            terminate(draft, index);
        }
        Phase::Promoting { .. } | Phase::Settled => terminate(draft, usize::MAX),
        Phase::Aborted { .. } => abort(draft),
        Phase::Previewing { .. } => {}
    }
    order(draft);
}

fn run(draft: &mut Draft<'_>, index: usize, hold: &Hold) {
    let seen = draft.seen;
    let steps = seen.rollout.steps();
    let Act::Plugin(name) = steps.position(index).act() else { return };
    let free = *hold == Hold::None && !seen.rollout.paused;
    if free && find(&draft.memory.calls, index, Operation::Run).is_none() {
        begin(draft, index, name, Operation::Run);
    }
    if free {
        ask_again(draft, |call| call.index == index && call.operation == Operation::Run);
    }
    wait(draft, |call| call.index == index && call.operation == Operation::Run);
}

/// Let steps that the release passed without waiting for their end be stopped.
fn terminate(draft: &mut Draft<'_>, before: usize) {
    let unfinished: Vec<_> = draft
        .memory
        .calls
        .iter()
        .filter(|call| call.operation == Operation::Run && call.finished.is_none())
        .filter(|call| call.index < before)
        .filter(|call| {
            let other = |operation| find(&draft.memory.calls, call.index, operation).is_some();
            !other(Operation::Terminate) && !other(Operation::Abort)
        })
        .map(|call| (call.index, call.name.clone()))
        .collect();
    for (index, name) in unfinished {
        begin(draft, index, &name, Operation::Terminate);
    }
    ask_again(draft, |call| call.operation == Operation::Terminate);
    wait(draft, |call| call.operation == Operation::Terminate);
}

/// Let what was done be undone, the last first, and the next one only when the one after it has
/// answered. One that fails does not keep the others from it; it is asked again.
fn abort(draft: &mut Draft<'_>) {
    let calls = &draft.memory.calls;
    let unanswered = |call: &Call| {
        let first = call.is_asked() && call.progress == Progress::Running;
        call.operation == Operation::Abort && first
    };
    let next = calls
        .iter()
        .rev()
        .filter(|call| call.operation == Operation::Run && call.progress != Progress::Failed)
        .find(|call| find(calls, call.index, Operation::Abort).is_none())
        .map(|call| (call.index, call.name.clone()));
    if let Some((index, name)) = next.filter(|_| !calls.iter().any(unanswered)) {
        begin(draft, index, &name, Operation::Abort);
    }
    ask_again(draft, |call| call.operation == Operation::Abort);
    wait(draft, |call| call.operation == Operation::Abort);
}

fn begin(draft: &mut Draft<'_>, index: usize, name: &str, operation: Operation) {
    let call = Call::first(index, name, operation, draft.seen.now);
    draft.facts.push(changed(&call, None));
    draft.memory.calls.push(call);
}

/// Ask those of `which` again whose time has come.
fn ask_again(draft: &mut Draft<'_>, which: impl Fn(&Call) -> bool) {
    let now = draft.seen.now;
    for call in draft.memory.calls.iter_mut().filter(|call| which(call)) {
        if call.again_at().is_some_and(|at| at <= now) {
            call.ask_again(now);
        }
    }
}

fn wait(draft: &mut Draft<'_>, which: impl Fn(&Call) -> bool) {
    let unfinished = |call: &&Call| call.finished.is_none() && which(call);
    let waiting: Vec<_> = draft
        .memory
        .calls
        .iter()
        .filter(unfinished)
        .map(|call| Waiting::Plugin {
            step: call.index,
            name: call.name.clone(),
            operation: call.operation,
            why: call.message.clone(),
            again: call.again_at(),
        })
        .collect();
    waiting.into_iter().for_each(|waiting| draft.wait(waiting));
}

/// Order every call whose answer is missing, as long as it is of use.
fn order(draft: &mut Draft<'_>) {
    let (number, seen) = (draft.next_number(), draft.seen);
    let current = match &draft.memory.phase {
        Phase::Stepping { index, hold: Hold::None } if !seen.rollout.paused => Some(*index),
        Phase::Stepping { .. }
        | Phase::Settled
        | Phase::Previewing { .. }
        | Phase::Promoting { .. }
        | Phase::Aborted { .. } => None,
    };
    let aborted = matches!(draft.memory.phase, Phase::Aborted { .. });
    let useful = |call: &&Call| match call.operation {
        Operation::Run => current == Some(call.index),
        Operation::Terminate => true,
        Operation::Abort => aborted,
    };
    let calls = &draft.memory.calls;
    let orders: Vec<_> = calls
        .iter()
        .filter(|call| call.is_asked())
        .filter(useful)
        .map(|call| Order::CallStep {
            index: call.index,
            name: call.name.clone(),
            operation: call.operation,
            execution: call.executions,
            number,
            state: find(calls, call.index, Operation::Run).and_then(|run| run.state.clone()),
        })
        .collect();
    orders.into_iter().for_each(|order| draft.plan.add(order));
}

fn find(calls: &[Call], index: usize, operation: Operation) -> Option<&Call> {
    calls.iter().find(|call| call.index == index && call.operation == operation)
}

fn changed(call: &Call, from: Option<Progress>) -> Fact {
    Fact::CallChanged {
        index: call.index,
        name: call.name.clone(),
        operation: call.operation,
        from,
        to: call.progress,
    }
}
