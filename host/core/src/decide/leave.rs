//! Routers that the user does not name any more: first they send nothing to the canary, then they
//! are in charge no more, and then they take back what is theirs.

use super::Draft;
use super::routing;
use crate::observed::Observed;

/// Whether the routing in force is to be left, and the stable side can take everything.
pub(super) fn can_leave(seen: &Observed) -> bool {
    seen.rollout.is_leaving() && seen.stable_lacks().is_none()
}

/// Leave a routing that the user does not name any more.
pub(super) fn leave(draft: &mut Draft<'_>) {
    match draft.seen.left() {
        Ok(Some(left)) => draft.plan.leave(left),
        Ok(None) => {}
        Err(waiting) => draft.wait(waiting),
    }
}

/// The strategy is another one, and knows nothing of a router: leave that before anything else
/// is done, and remember nothing of it.
pub(super) fn first(draft: &mut Draft<'_>) {
    let seen = draft.seen;
    if let Some(stable) = seen.stable_revision() {
        draft.plan.grow(stable, seen.rollout.replicas);
    }
    if let Some(waiting) = seen.stable_lacks() {
        draft.wait(waiting);
    }
    routing::traffic(draft);
    leave(draft);
}

/// Let former routers take back what is theirs.
pub(super) fn release(draft: &mut Draft<'_>) {
    let seen = draft.seen;
    for (index, former) in seen.formers.iter().enumerate() {
        match seen.idle(index, former) {
            Ok(idle) => draft.plan.release(idle),
            Err(waiting) => draft.wait(waiting),
        }
        draft.wait(former.waiting());
    }
}
