//! A restart: pods from before `spec.restartAt` are evicted, a few at a time, until none is left.

use super::Draft;
use crate::plan::Order;
use crate::time::{Timestamp, Wake};
use crate::waiting::Waiting;

pub(super) fn restart(draft: &mut Draft<'_>) {
    let seen = draft.seen;
    let Some(asked) = seen.restart.asked.filter(|asked| draft.memory.restarted != Some(*asked))
    else {
        return;
    };
    if seen.now <= asked {
        let at = Timestamp(asked.0.saturating_add(1));
        let wake = Wake { at, because: "the restart begins that was asked for" };
        draft.wake = Wake::sooner(draft.wake, Some(wake));
        return;
    }
    // The pods of an update are new anyway, and replace the others in their time.
    if seen.changed && draft.memory.stable.as_ref() != Some(&seen.wanted) {
        draft.memory.restarted = Some(asked);
        return;
    }
    let Some(pods) = &seen.restart.pods else {
        draft.plan.add(Order::LookAtPods);
        return draft.wait(Waiting::Restart { left: None });
    };
    let remaining = seen.missable(pods, asked);
    if remaining.all == 0 {
        draft.memory.restarted = Some(asked);
        return;
    }
    draft.wait(Waiting::Restart { left: Some(remaining.all) });
    let drained = seen.rollout.routing().map(|routing| seen.traffic.drained_at(routing.drain));
    let drained = drained.filter(|at| seen.now < *at);
    let drained = drained.map(|at| Wake { at, because: "no request follows an older routing" });
    draft.wake = Wake::sooner(draft.wake, drained);
    if let Some(held) = seen.restart.held.as_ref().filter(|held| seen.now < held.until) {
        return draft.wait(Waiting::Disruption {
            pod: held.pod.clone(),
            why: held.why.clone(),
            until: held.until,
        });
    }
    // What moves traffic or takes pods relies on the pods that there are.
    if draft.plan.moves() {
        return;
    }
    draft.plan.evict(remaining.now);
}
