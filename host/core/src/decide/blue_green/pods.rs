//! How many pods each revision has.
//!
//! Growing costs money and no more. Pods go when the fleet gets smaller, or when the revision's
//! time is over: what users had a moment ago, and what a preview leaves over, is kept for the
//! scale-down delay.

use super::super::capacity::{note_fleet, number, pods, stable_beside};
use super::super::retire::shrink;
use super::Draft;
use crate::observed::Revision;
use crate::phase::Phase;
use crate::plan::Order;
use crate::quantity::Pods;
use crate::rollout::BlueGreen;
use crate::time::{Timestamp, Wake};
use crate::traffic::Side;
use crate::waiting::Waiting;

/// The wanted and the stable revision.
pub(super) fn sizes(draft: &mut Draft<'_>, strategy: &BlueGreen) {
    let seen = draft.seen;
    let fleet = seen.rollout.replicas;
    let goal = goal(draft, strategy);
    number(draft);
    let Some(new) = seen.new_revision() else {
        let (hash, to) = (seen.wanted.clone(), goal.unwrap_or(Pods::ZERO));
        let number = draft.next_number();
        let (side, avoids) = (draft.side_of_new(), draft.avoided());
        draft.plan.add(Order::Create { hash: hash.clone(), number, to, side, avoids });
        return draft.wait(Waiting::Pods { hash, needs: to, has: Pods::ZERO });
    };
    let stable = stable_beside(draft);
    if let Some(stable) = stable {
        undate(draft, stable);
        follow(draft, stable, fleet);
        if goal.is_none() && stable.available < fleet {
            draft.wait(pods(stable, fleet));
        }
    }
    match goal {
        Some(goal) => wanted(draft, strategy, new, goal),
        None => abandoned(draft, strategy, new),
    }
    note_fleet(draft, new, stable);
}

/// The pods that the wanted revision is to have; `None` when it was given up.
fn goal(draft: &Draft<'_>, strategy: &BlueGreen) -> Option<Pods> {
    match draft.memory.phase {
        Phase::Aborted { .. } => None,
        Phase::Settled | Phase::Promoting { .. } => Some(draft.seen.rollout.replicas),
        Phase::Previewing { .. } | Phase::Stepping { .. } => {
            Some(draft.seen.preview_size(strategy))
        }
    }
}

fn undate(draft: &mut Draft<'_>, revision: &Revision) {
    if revision.deadline.is_some() {
        draft.plan.add(Order::Deadline { hash: revision.hash.clone(), at: None });
    }
}

/// Give `revision` the size of the fleet, up or down.
fn follow<'o>(draft: &mut Draft<'o>, revision: &'o Revision, fleet: Pods) {
    draft.plan.grow(revision, fleet);
    if revision.wanted > fleet {
        shrink(draft, revision, fleet);
    }
}

fn wanted<'o>(draft: &mut Draft<'o>, strategy: &BlueGreen, new: &'o Revision, goal: Pods) {
    let seen = draft.seen;
    let most = goal.max(seen.rollout.replicas);
    if new.wanted > most {
        shrink(draft, new, most);
    } else if new.wanted <= goal {
        draft.plan.grow(new, goal);
        let dated = new.deadline.filter(|_| seen.within_delay());
        match dated.filter(|_| draft.memory.phase != Phase::Settled) {
            // The date of an older revision tells that it needs no proof.
            Some(at) => {
                let wake = Wake { at, because: "the scale-down delay of a rollback is over" };
                draft.wake = Wake::sooner(draft.wake, Some(wake));
            }
            None => undate(draft, new),
        }
    } else {
        surplus(draft, strategy, new, goal);
    }
    if new.available < goal {
        draft.wait(pods(new, goal));
    }
}

/// What the wanted revision has above the size of its preview, from before it was wanted.
fn surplus<'o>(draft: &mut Draft<'o>, strategy: &BlueGreen, new: &'o Revision, goal: Pods) {
    match new.deadline {
        // A new date on an older revision would say that users were content with it just now.
        None if draft.seen.is_older() => shrink(draft, new, goal),
        None => keep_until(draft, new, goal, end(draft, strategy)),
        Some(at) => keep_until(draft, new, goal, at),
    }
}

/// Keep the pods of `revision` until `at`, and note that on it; then leave it `to`.
fn keep_until<'o>(draft: &mut Draft<'o>, revision: &'o Revision, to: Pods, at: Timestamp) {
    if revision.deadline.is_none() && draft.seen.now < at {
        draft.plan.add(Order::Deadline { hash: revision.hash.clone(), at: Some(at) });
    }
    if draft.seen.now < at {
        draft.wait(Waiting::ScaleDown { hash: revision.hash.clone(), until: at });
    } else {
        shrink(draft, revision, to);
    }
}

/// The revision of an aborted update, which is kept for a look at what went wrong.
fn abandoned<'o>(draft: &mut Draft<'o>, strategy: &BlueGreen, new: &'o Revision) {
    let seen = draft.seen;
    let Phase::Aborted { since, .. } = draft.memory.phase else { return };
    let Some(delay) = strategy.abort_scale_down_delay else { return undate(draft, new) };
    if new.wanted == Pods::ZERO {
        return;
    }
    // While users still get it, its time has not begun.
    if seen.selected(Side::Stable) == Some(&new.hash) {
        return undate(draft, new);
    }
    let stable = seen.stable_revision().map_or(Pods::ZERO, |stable| stable.available);
    match new.deadline {
        // A date from before it was wanted again says nothing about this time.
        Some(at) => keep_until(draft, new, Pods::ZERO, at.max(since.after(delay))),
        None if stable >= seen.rollout.replicas => {
            keep_until(draft, new, Pods::ZERO, seen.now.after(delay));
        }
        None => {}
    }
}

/// The revisions that are neither wanted nor stable.
pub(super) fn replaced(draft: &mut Draft<'_>, strategy: &BlueGreen) {
    let seen = draft.seen;
    let held = draft.inconclusive() || unproven(draft, strategy);
    let mut kept = 0;
    for other in seen.others(draft.memory.stable.as_ref()) {
        if seen.selected(Side::Stable) == Some(&other.hash) {
            undate(draft, other);
            follow(draft, other, seen.rollout.replicas);
            let service = Waiting::Selected {
                hash: other.hash.clone(),
                service: seen.service(Side::Stable).to_owned(),
            };
            draft.wait(service);
        } else if other.wanted > Pods::ZERO && held {
            draft.wait(Waiting::OldPods(other.hash.clone()));
        } else if other.wanted > Pods::ZERO {
            let over = strategy.scale_down_delay_revisions.is_some_and(|limit| kept >= limit);
            let at = other.deadline.unwrap_or_else(|| end(draft, strategy));
            if over || seen.now >= at {
                shrink(draft, other, Pods::ZERO);
            } else {
                kept += 1;
                keep(draft, other, at);
            }
        }
    }
}

fn keep<'o>(draft: &mut Draft<'o>, other: &'o Revision, at: Timestamp) {
    let fleet = draft.seen.rollout.replicas;
    keep_until(draft, other, Pods::ZERO, at);
    // What had the whole fleet is of use for a fast rollback only while it has.
    if other.noted == Some(other.wanted) && other.wanted != fleet {
        follow(draft, other, fleet);
    }
}

fn end(draft: &Draft<'_>, strategy: &BlueGreen) -> Timestamp {
    draft.seen.now.after(strategy.scale_down_delay)
}

/// Whether older revisions are kept since the switch has yet to prove right.
fn unproven(draft: &Draft<'_>, strategy: &BlueGreen) -> bool {
    let seen = draft.seen;
    strategy.keep_until_proven
        && matches!(draft.memory.phase, Phase::Promoting { full: false, .. })
        && seen.selected(Side::Stable) == Some(&seen.wanted)
}
