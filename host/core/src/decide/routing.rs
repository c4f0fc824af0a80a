//! Services and traffic.

use super::Draft;
use crate::observed::{Door, Hash, Observed};
use crate::phase::Phase;
use crate::quantity::{Pods, Share};
use crate::steps::SpecialRoute;
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
    let ping_pong = draft.seen.rollout.ping_pong();
    match (side, &draft.memory.phase) {
        (Side::Stable, _) => Some(stable),
        // A ping-pong Service that gets nothing is left as it is until the next update.
        (Side::Canary, Phase::Aborted { .. } | Phase::Settled) if ping_pong => None,
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
    if let Some(waiting) = scaled_below(draft) {
        draft.wait(waiting);
    }
    let Some(split) = split_aim(draft) else { return };
    if seen.traffic.confirmed() == Some(&split) {
        return;
    }
    let share = split.share;
    match seen.clear(split) {
        Ok(clear) => {
            if let Some(trouble) = seen.traffic.last_trouble() {
                draft.wait(Waiting::RouterTrouble(trouble.why.clone()));
            }
            draft.plan.shift(clear);
            draft.wait(Waiting::Router(share));
        }
        Err(waiting) => draft.wait(waiting),
    }
}

/// The step that keeps the canary too small for good for what it is to get: the weight, or, where
/// it has that since it was larger, a route beside it.
fn scaled_below(draft: &Draft<'_>) -> Option<Waiting> {
    let Phase::Stepping { index, .. } = draft.memory.phase else { return None };
    let seen = draft.seen;
    let (step, _) = seen.rollout.steps().scale_at(index)?;
    let share = seen.rollout.steps().share_at(index);
    let given = seen.canary_size_at(index);
    let needs = seen.canary_needs(share);
    let short = given < needs && seen.available(&seen.wanted) < needs;
    let reached = seen.split_reached(share) && seen.routes_reached(index);
    (short && !reached).then_some(Waiting::ScaledBelow { step, share, given, needs })
}

pub(super) fn split_aim(draft: &Draft<'_>) -> Option<Split> {
    let seen = draft.seen;
    let leaves = super::leave::can_leave(seen);
    let share = if leaves { leaving_share(draft)? } else { share_aim(draft)? };
    let routes = if leaves { Vec::new() } else { routes_aim(draft, share) };
    let pong = draft.memory.pong;
    let stable = behind(seen, Side::Stable, draft.memory.stable.as_ref()?);
    let canary = behind(seen, Side::Canary, &seen.wanted);
    // Where the route itself names the revisions, the canary's subset may not leave a revision
    // that may still get traffic: first the traffic goes, then the subset moves.
    let left = seen.traffic.possible().unwrap_or_default().iter().find(|live| {
        seen.canary_door == Door::None
            && live.canary != canary
            && !(live.share.is_none() && live.routes.is_empty())
    });
    if let Some(left) = left {
        // Back to a stable revision that has but a part of the pods goes bit by bit.
        let dynamic =
            seen.rollout.dynamic_stable() && draft.memory.stable.as_ref() == Some(&seen.wanted);
        let share = if dynamic { share } else { Share::NONE };
        let (canary, routes, additional) = (left.canary.clone(), vec![], vec![]);
        return Some(Split { stable, canary, share, routes, pong, additional });
    }
    let additional = if leaves { Vec::new() } else { super::experiments::destinations(draft) };
    Some(Split { stable, canary, share, routes, pong, additional })
}

/// What a routing that is left still gives the canary: nothing, as soon as the stable destination
/// reaches the stable revision.
fn leaving_share(draft: &Draft<'_>) -> Option<Share> {
    match draft.memory.phase {
        Phase::Settled | Phase::Previewing { .. } => settled_share(draft),
        Phase::Stepping { .. } | Phase::Promoting { .. } | Phase::Aborted { .. } => {
            Some(Share::NONE)
        }
    }
}

/// The special routes that are wanted beside this share.
fn routes_aim(draft: &Draft<'_>, share: Share) -> Vec<SpecialRoute> {
    let seen = draft.seen;
    let steps = seen.rollout.steps();
    let usable = seen.available(&seen.wanted) > Pods::ZERO && !seen.canary_door_lags();
    match draft.memory.phase {
        Phase::Stepping { index, .. } if usable => {
            if seen.carries_step(index) {
                steps.routes_at(index)
            } else {
                steps.routes_before(index)
            }
        }
        // Beside everything there is nothing left for a route of its own.
        Phase::Promoting { full: false, .. } if usable && share != Share::ALL => {
            steps.routes_at(steps.len())
        }
        Phase::Stepping { .. }
        | Phase::Previewing { .. }
        | Phase::Promoting { .. }
        | Phase::Settled
        | Phase::Aborted { .. } => Vec::new(),
    }
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
        // Whoever begins to lead in the middle of a retreat knows no split, and may not give one to
        // a canary that has been told to go meanwhile.
        Phase::Aborted { .. } => {
            let stays = seen.new_revision().map_or(Pods::ZERO, |new| new.available.min(new.wanted));
            Some(retreat(seen)?.min(seen.carried(stays)?))
        }
        Phase::Stepping { .. } | Phase::Promoting { .. } if nothing_there => Some(Share::NONE),
        // What the canary's Service still selects was passed over by this update. It gets
        // nothing any more, and the Service can be turned while nothing comes through it.
        Phase::Stepping { .. } | Phase::Promoting { .. } if seen.canary_door_lags() => {
            Some(Share::NONE)
        }
        // Pods leave the stable revision as they come here, and so does the traffic.
        Phase::Promoting { full: true, .. } if seen.rollout.dynamic_stable() => {
            let carried = seen.carried(seen.available(&seen.wanted))?;
            Some(carried.max(seen.traffic.confirmed().map_or(Share::NONE, |split| split.share)))
        }
        Phase::Promoting { full: true, .. } => {
            Some(seen.memory.routed.as_ref().map_or(Share::NONE, |routed| routed.share))
        }
        Phase::Promoting { full: false, .. } => {
            let enough = seen.rollout.enough().of(seen.rollout.replicas);
            let reached = seen.available(&seen.wanted) >= enough;
            Some(match reached {
                _ if steps.is_empty() => Share::NONE,
                true => Share::ALL,
                false => steps.share_before(steps.len()),
            })
        }
        Phase::Stepping { index, .. } => {
            let share = steps.share_at(*index);
            let reached = seen.carries_step(*index);
            Some(if reached { share } else { steps.share_before(*index) })
        }
    }
}

/// Once the stable destination reaches the stable revision, nothing goes to the canary's.
fn settled_share(draft: &Draft<'_>) -> Option<Share> {
    let seen = draft.seen;
    let turned = match &seen.stable_door {
        Door::None => true,
        Door::Service { selects, .. } => selects.as_ref() == draft.memory.stable.as_ref(),
    };
    // After a way back to it, the stable revision may have but a part of the pods.
    let short = seen.rollout.dynamic_stable()
        && seen.available(&seen.wanted) < seen.rollout.replicas
        && seen.worst(&seen.wanted) != Share::ALL;
    match (turned, short) {
        (false, _) => None,
        (true, false) => Some(Share::NONE),
        (true, true) => retreat(seen),
    }
}

/// Back to the stable revision: at once if it can carry everything, else as much as it can.
fn retreat(seen: &Observed) -> Option<Share> {
    let rollout = &seen.rollout;
    // Where both Services reach the stable revision, nothing is left on the canary.
    if let (Door::Service { selects: canary, .. }, Door::Service { selects: stable, .. }) =
        (&seen.canary_door, &seen.stable_door)
        && canary == stable
    {
        return Some(Share::NONE);
    }
    let stable = seen.stable_revision().map_or(Pods::ZERO, |stable| stable.available);
    // A stable revision with only the pods of its share is short of pods by plan, and they come.
    let missing = if rollout.dynamic_stable() { Pods::ZERO } else { rollout.max_unavailable };
    let enough = rollout.replicas.minus(missing).max(Pods(1).min(rollout.replicas));
    if stable >= enough {
        return Some(Share::NONE);
    }
    let left = seen.carried(stable)?.rest();
    let worst = seen.traffic.worst(Side::Canary);
    if !rollout.dynamic_stable() {
        return Some(left.min(worst));
    }
    // By the weights of the steps, and below the least of them by pods.
    let mut steps: Vec<_> = rollout.steps().shares().filter(|step| !step.is_none()).collect();
    steps.sort();
    let below_all = steps.first().is_none_or(|least| left < *least);
    let step = steps.into_iter().find(|step| *step >= left && !below_all);
    Some(step.unwrap_or(left).min(worst))
}

impl Observed {
    /// Whether there are the pods of the step `index`, and those for its traffic, which may be
    /// more where the steps size the canary apart from it.
    fn carries_step(&self, index: usize) -> bool {
        let needs = self.canary_needs(self.rollout.steps().share_at(index));
        self.counts_reached(index) && self.available(&self.wanted) >= needs
    }

    /// The share that so many pods can carry, rounded down; `None` without a router.
    fn carried(&self, pods: Pods) -> Option<Share> {
        let whole = self.rollout.routing()?.whole;
        let fleet = u64::from(self.rollout.replicas.0.max(1));
        let parts = u64::from(whole.get()) * u64::from(pods.0) / fleet;
        Some(Share::clamped(u32::try_from(parts).unwrap_or(whole.get()), whole))
    }

    /// Whether the canary's Service does not select the wanted revision yet.
    fn canary_door_lags(&self) -> bool {
        match &self.canary_door {
            Door::Service { selects, .. } => selects.as_ref() != Some(&self.wanted),
            Door::None => false,
        }
    }

    /// Whether the router confirmed this share for the wanted revision, or there is no router.
    pub(super) fn split_reached(&self, share: Share) -> bool {
        let confirmed = |split: &Split| {
            let ours = self.is_behind(Side::Canary, &self.wanted, &split.canary);
            split.share == share && (ours || share.is_none())
        };
        self.rollout.routing().is_none() || self.traffic.confirmed().is_some_and(confirmed)
    }

    /// Whether the router confirmed the special routes of the step `index`, or there is no router.
    pub(super) fn routes_reached(&self, index: usize) -> bool {
        let routes = self.rollout.steps().routes_at(index);
        self.rollout.routing().is_none()
            || self.traffic.confirmed().is_some_and(|split| split.routes == routes)
    }
}
