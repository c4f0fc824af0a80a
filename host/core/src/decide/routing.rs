//! Services and traffic.

use super::Draft;
use crate::observed::{Door, Hash, Observed};
use crate::phase::Phase;
use crate::quantity::{Pods, Share};
use crate::traffic::{Side, Split};
use crate::waiting::Waiting;

/// Turn the Services to the revisions that they are to select.
pub(super) fn doors(draft: &mut Draft<'_>) {
    let seen = draft.seen;
    for side in Side::BOTH {
        let Some(hash) = door_aim(draft, side) else { continue };
        let Some(revision) = seen.revision(&hash) else { continue };
        match seen.open(side, &revision.hash) {
            Ok(Some(open)) => draft.plan.open(open),
            Ok(None) => {}
            Err(waiting) => draft.wait(waiting),
        }
    }
}

/// The revision that the Service of `side` is to select.
fn door_aim(draft: &Draft<'_>, side: Side) -> Option<Hash> {
    let stable = draft.memory.stable.clone()?;
    match (side, &draft.memory.phase) {
        (Side::Stable, _) => Some(stable),
        // An aborted canary gets no requests, through whatever door.
        (Side::Canary, Phase::Aborted { .. }) => Some(stable),
        (Side::Canary, _) => Some(draft.seen.wanted.clone()),
    }
}

/// Ask the router for the split that is wanted, if every revision can carry it.
pub(super) fn traffic(draft: &mut Draft<'_>) {
    let seen = draft.seen;
    if seen.rollout.routing().is_none() {
        return;
    }
    if let Some(trouble) = seen.traffic.last_trouble() {
        draft.wait(Waiting::RouterTrouble(trouble.why.clone()));
    }
    let Some(split) = split_aim(draft) else { return };
    if seen.traffic.confirmed() == Some(&split) {
        return;
    }
    let share = split.share;
    match seen.clear(split) {
        Ok(clear) => {
            draft.plan.shift(clear);
            draft.wait(Waiting::Router(share));
        }
        Err(waiting) => draft.wait(waiting),
    }
}

fn split_aim(draft: &Draft<'_>) -> Option<Split> {
    let seen = draft.seen;
    let share = share_aim(draft)?;
    let stable = behind(seen, Side::Stable, draft.memory.stable.as_ref()?);
    let canary = behind(seen, Side::Canary, &seen.wanted);
    // Where the route itself names the revisions, the canary's subset may not leave a revision
    // that may still get traffic: first the traffic goes, then the subset moves.
    let left = seen.traffic.possible().unwrap_or_default().iter().find(|live| {
        seen.canary_door == Door::None && live.canary != canary && !live.share.is_none()
    });
    if let Some(left) = left {
        return Some(Split { stable, canary: left.canary.clone(), share: Share::NONE });
    }
    Some(Split { stable, canary, share })
}

/// The revision that requests to `side` reach: what its Service selects, or what the route is to
/// name where there is no Service.
fn behind(seen: &Observed, side: Side, aim: &Hash) -> Hash {
    match seen.door(side) {
        Door::Service { selects, .. } => selects.clone().unwrap_or_default(),
        Door::None => aim.clone(),
    }
}

/// The canary's share that is wanted now; `None` leaves it as it is.
fn share_aim(draft: &Draft<'_>) -> Option<Share> {
    let seen = draft.seen;
    let steps = seen.rollout.steps();
    let nothing_there = seen.available(&seen.wanted) == Pods::ZERO;
    match &draft.memory.phase {
        Phase::Settled | Phase::Previewing { .. } => settled_share(draft),
        Phase::Aborted { .. } => retreat(seen),
        Phase::Stepping { .. } | Phase::Promoting { .. } if nothing_there => Some(Share::NONE),
        // What the canary's Service still selects was passed over by this update. It gets
        // nothing any more, and the Service can be turned while nothing comes through it.
        Phase::Stepping { .. } | Phase::Promoting { .. } if seen.canary_door_lags() => {
            Some(Share::NONE)
        }
        Phase::Promoting { full: true, .. } => {
            Some(seen.memory.routed.as_ref().map_or(Share::NONE, |routed| routed.share))
        }
        Phase::Promoting { full: false, .. } => {
            let reached = seen.available(&seen.wanted) >= seen.rollout.replicas;
            Some(match reached {
                _ if steps.is_empty() => Share::NONE,
                true => Share::ALL,
                false => steps.share_before(steps.len()),
            })
        }
        Phase::Stepping { index, .. } => {
            let share = steps.share_at(*index);
            let reached = seen.counts_reached(share);
            Some(if reached { share } else { steps.share_before(*index) })
        }
    }
}

/// Once the stable destination reaches the stable revision, nothing goes to the canary's.
fn settled_share(draft: &Draft<'_>) -> Option<Share> {
    match &draft.seen.stable_door {
        Door::None => Some(Share::NONE),
        Door::Service { selects, .. } if selects.as_ref() == draft.memory.stable.as_ref() => {
            Some(Share::NONE)
        }
        Door::Service { .. } => None,
    }
}

/// Back to the stable revision: at once if it can carry everything, else as much as it can.
fn retreat(seen: &Observed) -> Option<Share> {
    let rollout = &seen.rollout;
    let whole = rollout.routing()?.whole;
    // Where both Services reach the stable revision, nothing is left on the canary.
    if let (Door::Service { selects: canary, .. }, Door::Service { selects: stable, .. }) =
        (&seen.canary_door, &seen.stable_door)
        && canary == stable
    {
        return Some(Share::NONE);
    }
    let stable = seen.stable_revision().map_or(Pods::ZERO, |stable| stable.available);
    let enough = rollout.replicas.minus(rollout.max_unavailable).max(Pods(1).min(rollout.replicas));
    if stable >= enough {
        return Some(Share::NONE);
    }
    let carried =
        u64::from(whole.get()) * u64::from(stable.0) / u64::from(rollout.replicas.0.max(1));
    let left = whole.get().saturating_sub(u32::try_from(carried).unwrap_or(whole.get()));
    let left = Share::clamped(left, whole);
    Some(left.min(seen.traffic.worst(Side::Canary)))
}

impl Observed {
    /// Whether the canary's Service does not select the wanted revision yet.
    fn canary_door_lags(&self) -> bool {
        match &self.canary_door {
            Door::Service { selects, .. } => selects.as_ref() != Some(&self.wanted),
            Door::None => false,
        }
    }

    /// Whether the router confirmed this share, or there is no router.
    pub(super) fn split_reached(&self, share: Share) -> bool {
        self.rollout.routing().is_none()
            || self.traffic.confirmed().is_some_and(|split| split.share == share)
    }
}
