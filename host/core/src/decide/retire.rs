//! Revisions that are no longer wanted: how they lose their pods, and when they go.

use super::Draft;
use super::capacity::resize;
use crate::observed::Revision;
use crate::phase::Phase;
use crate::plan::Order;
use crate::quantity::Pods;
use crate::rollout::Routing;
use crate::time::Timestamp;
use crate::waiting::Waiting;

pub(super) fn retire(draft: &mut Draft<'_>) {
    let stable = draft.memory.stable.clone();
    let others = draft.seen.others(stable.as_ref());
    if !draft.sizes_held() {
        match draft.seen.rollout.routing().cloned() {
            Some(routing) => routed(draft, &others, &routing),
            None => unrouted(draft, &others),
        }
    }
    forget_oldest(draft, &others);
}

pub(super) fn shrink<'o>(draft: &mut Draft<'o>, revision: &'o Revision, to: Pods) {
    match draft.seen.spare_replaced(revision, to) {
        Ok(Some(spare)) => {
            draft.plan.shrink(spare);
            draft.wait(Waiting::OldPods(revision.hash.clone()));
        }
        Ok(None) => {}
        Err(waiting) => draft.wait(waiting),
    }
}

fn routed<'o>(draft: &mut Draft<'o>, others: &[&'o Revision], routing: &Routing) {
    let mut dated = 0;
    for other in others.iter().filter(|other| other.wanted > Pods::ZERO) {
        // What an update passed over is of no use for a fast rollback.
        let replaced = matches!(draft.memory.phase, Phase::Settled) || other.deadline.is_some();
        if routing.dynamic_stable {
            resize(draft, other, Pods::ZERO);
            continue;
        }
        if !replaced || routing.scale_down_delay.is_zero() {
            shrink(draft, other, Pods::ZERO);
            continue;
        }
        if other.available < other.wanted && other.available > Pods::ZERO {
            // Kept for a fast rollback, which pods that are not available do not make.
            shrink(draft, other, other.available);
            continue;
        }
        let over = routing.scale_down_delay_revisions.is_some_and(|limit| dated >= limit);
        dated += 1;
        let at = other.deadline.unwrap_or_else(|| draft.seen.now.after(routing.scale_down_delay));
        if over {
            shrink(draft, other, Pods::ZERO);
        } else {
            keep_until(draft, other, at);
        }
    }
    abandoned(draft, routing);
}

/// Keep the pods of `revision` until `at`, and note that on it.
fn keep_until<'o>(draft: &mut Draft<'o>, revision: &'o Revision, at: Timestamp) {
    if revision.deadline.is_none() {
        draft.plan.add(Order::Deadline { hash: revision.hash.clone(), at: Some(at) });
    }
    if draft.seen.now < at {
        draft.wait(Waiting::ScaleDown { hash: revision.hash.clone(), until: at });
    } else {
        shrink(draft, revision, Pods::ZERO);
    }
}

/// The canary of an aborted rollout, which is kept for a look at what went wrong.
fn abandoned<'o>(draft: &mut Draft<'o>, routing: &Routing) {
    if !matches!(draft.memory.phase, Phase::Aborted { .. }) {
        return;
    }
    let Some(delay) = routing.abort_scale_down_delay else { return };
    let seen = draft.seen;
    let Some(new) = seen.new_revision().filter(|new| new.wanted > Pods::ZERO) else { return };
    if delay.is_zero() {
        return resize(draft, new, Pods::ZERO);
    }
    let stable = seen.stable_revision().map_or(Pods::ZERO, |stable| stable.available);
    match new.deadline {
        Some(at) => keep_until(draft, new, at),
        None if stable >= seen.rollout.replicas => keep_until(draft, new, seen.now.after(delay)),
        None => {}
    }
}

/// Without a router old pods go as fast as availability allows.
fn unrouted<'o>(draft: &mut Draft<'o>, others: &[&'o Revision]) {
    let seen = draft.seen;
    let active: Vec<_> = others.iter().filter(|other| other.wanted > Pods::ZERO).collect();
    let unhealthy: Vec<_> = active.iter().filter(|other| other.available < other.wanted).collect();
    if !unhealthy.is_empty() {
        // Pods that serve nobody cost no availability.
        unhealthy.into_iter().for_each(|other| shrink(draft, other, other.available));
        return;
    }
    // A pod above the wanted number is on its way out, though it still counts as available.
    let available: Pods =
        seen.revisions.iter().map(|revision| revision.available.min(revision.wanted)).sum();
    let least = seen.rollout.replicas.minus(seen.rollout.max_unavailable);
    let mut budget = available.minus(least);
    for other in active {
        let cut = budget.min(other.wanted);
        budget = budget.minus(cut);
        if cut > Pods::ZERO {
            shrink(draft, other, other.wanted.minus(cut));
        } else {
            draft.wait(Waiting::OldPods(other.hash.clone()));
        }
    }
}

/// Delete the oldest of the revisions without pods beyond the history limit.
pub(super) fn forget_oldest(draft: &mut Draft<'_>, others: &[&Revision]) {
    let Some(surplus) = others.len().checked_sub(draft.seen.rollout.history_limit) else { return };
    let mut oldest: Vec<_> = others.to_vec();
    oldest.sort_by(|a, b| a.created.cmp(&b.created).then_with(|| a.number.cmp(&b.number)));
    for old in oldest.into_iter().take(surplus) {
        if old.wanted == Pods::ZERO && old.current == Pods::ZERO && old.settled {
            draft.plan.add(Order::DeleteRevision { hash: old.hash.clone() });
        }
    }
}
