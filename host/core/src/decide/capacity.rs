//! How many pods the wanted and the stable revision are to have.

use super::Draft;
use crate::observed::{Observed, Revision};
use crate::phase::Phase;
use crate::plan::Order;
use crate::quantity::{Pods, Share};
use crate::rollout::{Enough, Scale, Tenure};
use crate::waiting::Waiting;

/// Sizes that the two revisions are to have now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sizes {
    new: Pods,
    stable: Pods,
}

pub(super) fn capacity(draft: &mut Draft<'_>) {
    let goal = goal(draft);
    number(draft);
    let Some(new) = draft.seen.new_revision() else {
        return create(draft, goal);
    };
    clear_deadlines(draft, new);
    if draft.sizes_held() {
        return;
    }
    let stable = stable_beside(draft);
    match draft.seen.rollout.routing() {
        Some(_) => routed(draft, new, stable, goal),
        None => unrouted(draft, new, stable, goal),
    }
    note_fleet(draft, new, stable);
    explain(draft, new, stable, goal);
}

/// The stable revision where it is not the wanted one.
pub(super) fn stable_beside<'o>(draft: &Draft<'o>) -> Option<&'o Revision> {
    let stable = draft.memory.stable.as_ref()?;
    if *stable == draft.seen.wanted { None } else { draft.seen.revision(stable) }
}

/// Where the sizes are to end for the present phase.
fn goal(draft: &Draft<'_>) -> Sizes {
    let rollout = &draft.seen.rollout;
    match &draft.memory.phase {
        Phase::Settled | Phase::Previewing { .. } => {
            Sizes { new: rollout.replicas, stable: Pods::ZERO }
        }
        Phase::Promoting { .. } => draft.seen.sizes_at(rollout.steps().len()),
        Phase::Aborted { .. } => draft.seen.sizes_for(Share::NONE, None),
        Phase::Stepping { index, .. } => draft.seen.sizes_at(*index),
    }
}

impl Observed {
    fn sizes_at(&self, index: usize) -> Sizes {
        let steps = self.rollout.steps();
        let scale = steps.scale_at(index).map(|(_, scale)| scale);
        self.sizes_for(steps.share_at(index), scale)
    }

    fn sizes_for(&self, share: Share, scale: Option<Scale>) -> Sizes {
        let fleet = self.rollout.replicas;
        let Some(routing) = self.rollout.routing() else {
            return approximate(fleet, share, self.rollout.max_surge());
        };
        let least = routing.min_pods.min(fleet);
        let at_least = |pods: Pods| if pods == Pods::ZERO { pods } else { pods.max(least) };
        // What is left gives everything to the stable revision.
        let divided = routing.dynamic_stable && routing.tenure == Tenure::Stays;
        let stable = if divided { at_least(share.rest().of(fleet)) } else { fleet };
        let new = match scale {
            // What is counted out is meant so, unless the whole fleet is divided.
            Some(Scale::Replicas(pods)) if routing.dynamic_stable => at_least(pods),
            Some(Scale::Replicas(pods)) => pods,
            Some(Scale::Weight(weight)) => at_least(weight.of(fleet)),
            Some(Scale::MatchTraffic) | None => at_least(share.of(fleet)),
        };
        Sizes { new, stable }
    }

    /// The pods that the canary is to have at the step `index`.
    pub(super) fn canary_size_at(&self, index: usize) -> Pods {
        self.sizes_at(index).new
    }

    /// Whether both revisions have the pods that the step `index` asks for.
    ///
    /// More than enough is enough: after a lower weight the surplus can only go once the traffic
    /// has gone, and the traffic goes once this is true. How many of its pods the stable revision
    /// lets go while traffic moves is no part of a step.
    pub(super) fn counts_reached(&self, index: usize) -> bool {
        let sizes = self.sizes_at(index);
        let Some(new) = self.new_revision() else { return false };
        let stable = self.stable_revision();
        let routed = self.rollout.routing().is_some();
        let available = match self.rollout.enough() {
            Enough::All if routed => new.available >= sizes.new,
            Enough::All => new.available == sizes.new,
            enough @ (Enough::Percent(_) | Enough::Pods(_)) => {
                new.available >= enough.of(sizes.new)
            }
        };
        let told = if routed { new.wanted >= sizes.new } else { new.wanted == sizes.new };
        let new_there = told && available;
        let dynamic = self.rollout.dynamic_stable();
        let stable_there = stable.is_none_or(|stable| {
            if dynamic {
                true
            } else if routed {
                stable.wanted >= sizes.stable && stable.current >= sizes.stable
            } else {
                stable.wanted == sizes.stable && stable.current == sizes.stable
            }
        });
        let others_gone = routed
            || self
                .others(self.memory.stable.as_ref())
                .iter()
                .all(|other| other.wanted == Pods::ZERO && other.available == Pods::ZERO);
        new_there && stable_there && others_gone
    }
}

/// The division of `fleet` pods that comes nearest to `share`, with one pod more if surge allows
/// it. Neither side is left without pods while it is to have a share, unless there is no room.
fn approximate(fleet: Pods, share: Share, surge: Pods) -> Sizes {
    if fleet == Pods::ZERO {
        return Sizes { new: Pods::ZERO, stable: Pods::ZERO };
    }
    let (parts, whole) = share.fraction();
    let exact = |total: u32| u64::from(total) * u64::from(parts);
    let ceil = Pods(u32::try_from(exact(fleet.0).div_ceil(u64::from(whole))).unwrap_or(fleet.0));
    let floor = Pods(u32::try_from(exact(fleet.0) / u64::from(whole)).unwrap_or(fleet.0));
    let extreme = share.is_none() || share == Share::ALL;
    let zero_allowed = extreme || (fleet == Pods(1) && surge == Pods::ZERO);
    // Half a pod is nearer to neither side, and rounds up.
    let tied = |total: u32| (exact(total) % u64::from(whole)) * 2 == u64::from(whole);
    let mut options = Vec::with_capacity(4);
    let mut totals = vec![fleet.0];
    if surge > Pods::ZERO {
        totals.push(fleet.0.saturating_add(1));
    }
    for total in totals {
        if ceil.0 < total || zero_allowed {
            options.push((ceil, total));
        }
        if !tied(total) && (floor > Pods::ZERO || zero_allowed) {
            options.push((floor, total));
        }
    }
    // The distance of canary/total from parts/whole, over the common denominator.
    let distance = |(canary, total): &(Pods, u32)| {
        let have = u128::from(canary.0) * u128::from(whole);
        let want = u128::from(parts) * u128::from(*total);
        // Compared across different totals, so scaled by the other one.
        have.abs_diff(want) * u128::from(if *total == fleet.0 { fleet.0 + 1 } else { fleet.0 })
    };
    let best = options.iter().enumerate().min_by_key(|(place, option)| (distance(option), *place));
    let (canary, total) = best.map_or((ceil, fleet.0), |(_, option)| *option);
    Sizes { new: canary, stable: Pods(total).minus(canary) }
}

fn create(draft: &mut Draft<'_>, goal: Sizes) {
    let seen = draft.seen;
    let to = if draft.sizes_held() {
        Pods::ZERO
    } else if seen.rollout.routing().is_some() || draft.seen.stable_revision().is_none() {
        goal.new
    } else {
        goal.new.min(room(seen))
    };
    let number = draft.next_number();
    let (side, avoids) = (draft.side_of_new(), draft.avoided());
    draft.plan.add(Order::Create { hash: seen.wanted.clone(), number, to, side, avoids });
    draft.wait(Waiting::Pods { hash: seen.wanted.clone(), needs: goal.new, has: Pods::ZERO });
}

/// Give the wanted revision the highest number, and the rollout the same.
pub(super) fn number(draft: &mut Draft<'_>) {
    let seen = draft.seen;
    let number = draft.next_number();
    if let Some(new) = seen.new_revision().filter(|new| new.number != number) {
        draft.plan.add(Order::Number { hash: new.hash.clone(), number });
    }
    if seen.number != number {
        draft.plan.add(Order::NumberRollout { number });
        draft.facts.insert(0, crate::fact::Fact::Updated { number });
    }
}

impl Draft<'_> {
    /// The number of the wanted revision: above all others.
    pub(super) fn next_number(&self) -> u32 {
        let seen = self.seen;
        let others = seen.revisions.iter().filter(|revision| revision.hash != seen.wanted);
        let highest = others.map(|revision| revision.number).max().unwrap_or(0);
        let own = seen.new_revision().map_or(0, |new| new.number);
        if own > highest { own } else { highest.saturating_add(1) }
    }
}

/// A revision that is in use has no date to lose its pods.
fn clear_deadlines(draft: &mut Draft<'_>, new: &Revision) {
    let aborted = matches!(draft.memory.phase, Phase::Aborted { .. });
    let in_use = stable_beside(draft).into_iter().chain((!aborted).then_some(new));
    let dated: Vec<_> = in_use.filter(|revision| revision.deadline.is_some()).collect();
    for revision in dated {
        draft.plan.add(Order::Deadline { hash: revision.hash.clone(), at: None });
    }
}

/// With a router the canary has the pods of its share, and the stable revision all of them or
/// those of its share.
fn routed<'o>(draft: &mut Draft<'o>, new: &'o Revision, stable: Option<&'o Revision>, goal: Sizes) {
    if let Some(stable) = stable {
        resize(draft, stable, goal.stable.max(called_back(draft)));
    }
    // An aborted canary keeps its pods for a while; `retire` sees to that.
    if !matches!(draft.memory.phase, Phase::Aborted { .. }) {
        resize(draft, new, goal.new);
    }
}

/// The stable pods that carry what is to go back to them now: the canary may have fallen behind
/// its step, and where the fleet is divided the stable revision has no pods to spare for that.
fn called_back(draft: &Draft<'_>) -> Pods {
    match super::routing::split_aim(draft) {
        Some(split) if draft.seen.rollout.dynamic_stable() => {
            split.share.rest().of(draft.seen.rollout.replicas)
        }
        Some(_) | None => Pods::ZERO,
    }
}

pub(super) fn resize<'o>(draft: &mut Draft<'o>, revision: &'o Revision, to: Pods) {
    draft.plan.grow(revision, to);
    // Where the fleet is divided, the other side may be waiting for the room: what carries
    // nothing any more goes, though more is to go later.
    let carries = draft.seen.most_pods(&revision.hash);
    let to = if draft.seen.rollout.dynamic_stable() && to < carries && carries < revision.wanted {
        let share = draft.seen.worst(&revision.hash);
        draft.wait(Waiting::TrafficOn { hash: revision.hash.clone(), share });
        carries
    } else {
        to
    };
    match draft.seen.spare(revision, to) {
        Ok(Some(spare)) => draft.plan.shrink(spare),
        Ok(None) => {}
        Err(waiting) => draft.wait(waiting),
    }
}

/// How many pods may be added without a router.
fn room(seen: &Observed) -> Pods {
    let all: Pods = seen.revisions.iter().map(|revision| revision.wanted).sum();
    seen.rollout.replicas.plus(seen.rollout.max_surge()).minus(all)
}

/// Without a router the two revisions share the fleet: pods move from one to the other, never
/// more at a time than surge and unavailability allow.
fn unrouted<'o>(
    draft: &mut Draft<'o>,
    new: &'o Revision,
    stable: Option<&'o Revision>,
    goal: Sizes,
) {
    let seen = draft.seen;
    let mut room = room(seen);
    let growth = stable.map(|stable| (stable, goal.stable)).into_iter().chain([(new, goal.new)]);
    for (revision, to) in growth {
        let to = to.min(revision.wanted.plus(room));
        room = room.minus(to.minus(revision.wanted));
        draft.plan.grow(revision, to);
    }
    let others = seen.others(draft.memory.stable.as_ref());
    if others.iter().any(|other| other.wanted > Pods::ZERO) {
        // Revisions that are neither go first; `retire` sees to that.
        return;
    }
    let Some((drained, to)) = drain(seen, new, stable, goal) else { return };
    match seen.spare(drained, to) {
        Ok(Some(spare)) => draft.plan.shrink(spare),
        Ok(None) => {}
        Err(waiting) => draft.wait(waiting),
    }
}

/// Which side loses pods now, and what it keeps.
fn drain<'o>(
    seen: &Observed,
    new: &'o Revision,
    stable: Option<&'o Revision>,
    goal: Sizes,
) -> Option<(&'o Revision, Pods)> {
    let Some(stable) = stable else {
        return (new.wanted > goal.new).then_some((new, goal.new));
    };
    let growing = new.wanted <= goal.new;
    // The pods of the side that is drained count whether they are available or not.
    let counted = |revision: &Revision, drained: bool| {
        if drained { revision.wanted } else { revision.wanted.min(revision.available) }
    };
    let all = counted(new, !growing).plus(counted(stable, growing));
    let least = seen.rollout.replicas.minus(seen.rollout.max_unavailable);
    let budget = all.minus(least);
    let (drained, aim) = if growing { (stable, goal.stable) } else { (new, goal.new) };
    let to = aim.max(drained.wanted.minus(budget));
    (to < drained.wanted).then_some((drained, to))
}

/// The fleet size is noted on every revision in use, for other controllers and clients.
pub(super) fn note_fleet(draft: &mut Draft<'_>, new: &Revision, stable: Option<&Revision>) {
    for revision in [Some(new), stable].into_iter().flatten() {
        let in_use = revision.wanted > Pods::ZERO;
        if in_use && revision.noted != Some(draft.seen.rollout.replicas) {
            draft.plan.note(revision);
        }
    }
}

fn explain(draft: &mut Draft<'_>, new: &Revision, stable: Option<&Revision>, goal: Sizes) {
    if matches!(draft.memory.phase, Phase::Aborted { .. }) {
        let stable = stable.filter(|stable| stable.available < goal.stable);
        if let Some(stable) = stable {
            draft.wait(pods(stable, goal.stable));
        }
        return;
    }
    if new.available < goal.new || new.wanted != goal.new {
        draft.wait(pods(new, goal.new));
    }
    if let Some(stable) = stable.filter(|stable| stable.current != goal.stable) {
        draft.wait(pods(stable, goal.stable));
    }
}

pub(super) fn pods(revision: &Revision, needs: Pods) -> Waiting {
    Waiting::Pods { hash: revision.hash.clone(), needs, has: revision.available }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(fleet: u32, percent: u32, surge: u32) -> (u32, u32) {
        let share = Share::new(percent, 100).unwrap();
        let Sizes { new, stable } = approximate(Pods(fleet), share, Pods(surge));
        (new.0, stable.0)
    }

    #[test]
    fn pods_come_nearest_to_the_weight() {
        let table = [
            // fleet, percent, surge -> canary, stable
            ((10, 20, 1), (2, 8)),
            ((10, 25, 1), (3, 8)),
            ((10, 25, 0), (3, 7)),
            ((1, 50, 1), (1, 1)),
            ((1, 50, 0), (1, 0)),
            ((4, 10, 1), (1, 4)),
            ((4, 10, 0), (1, 3)),
            ((5, 0, 1), (0, 5)),
            ((5, 100, 1), (5, 0)),
            ((0, 50, 1), (0, 0)),
        ];
        for ((fleet, percent, surge), expected) in table {
            assert_eq!(sizes(fleet, percent, surge), expected, "{fleet} pods, {percent} %");
        }
    }
}
