//! Evidence for replacing pods: the fleet, and whoever sends requests to it, can do without them.

use crate::observed::{Hash, Observed, Revision};
use crate::quantity::Pods;
use crate::restart::Pod;
use crate::time::Timestamp;

/// Evidence that a pod can be missed until its successor is there.
#[derive(Debug)]
pub struct Missable<'o> {
    pod: &'o Pod,
}

impl Missable<'_> {
    /// The pod.
    pub fn pod(&self) -> &Pod {
        self.pod
    }
}

/// What is left of a restart.
#[derive(Debug)]
pub struct Remaining<'o> {
    /// The pods that can go now.
    pub now: Vec<Missable<'o>>,
    /// How many are still from before it.
    pub all: usize,
}

impl Observed {
    /// The pods from before `asked`, and which of them can be missed now.
    ///
    /// A pod that is not available serves nobody and can always go. Of the others no more go than
    /// the user lets be unavailable, and at least one at a time where that is none; and a revision
    /// that a router may send requests to keeps one available pod, unless it is all there is.
    pub fn missable<'o>(&'o self, pods: &'o [Pod], asked: Timestamp) -> Remaining<'o> {
        let old = |pod: &&Pod| pod.created < asked && !pod.ending;
        let all = pods.iter().filter(old).count();
        let mut now: Vec<_> = pods.iter().filter(old).filter(|pod| !pod.available).collect();
        let told: Pods = self.revisions.iter().map(|revision| revision.wanted).sum();
        let available = |revision: &Revision| {
            let listed = pods.iter().filter(|pod| pod.hash == revision.hash && pod.available);
            let listed = Pods(u32::try_from(listed.count()).unwrap_or(u32::MAX));
            // A pod above the told number is on its way out, and what is listed may be newer or
            // older than what the ReplicaSet reports.
            listed.min(revision.available).min(revision.wanted)
        };
        let has: Pods = self.revisions.iter().map(available).sum();
        let may_miss = self.rollout.max_unavailable.max(Pods(1));
        let least = self.rollout.replicas.max(told).minus(may_miss);
        let mut budget = has.minus(least);
        for revision in self.by_turn() {
            let mut spare = budget.min(available(revision).minus(self.keeps_one(&revision.hash)));
            let mut mine: Vec<_> = pods
                .iter()
                .filter(old)
                .filter(|pod| pod.available && pod.hash == revision.hash)
                .collect();
            mine.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
            for pod in mine {
                if spare == Pods::ZERO {
                    break;
                }
                spare = spare.minus(Pods(1));
                budget = budget.minus(Pods(1));
                now.push(pod);
            }
        }
        Remaining { now: now.into_iter().map(|pod| Missable { pod }).collect(), all }
    }

    /// The stable revision, then the wanted one, then the others, newest first.
    fn by_turn(&self) -> Vec<&Revision> {
        let stable = self.stable_revision();
        let new = self.new_revision().filter(|new| Some(*new) != stable);
        let others = self.others(self.memory.stable.as_ref());
        stable.into_iter().chain(new).chain(others).collect()
    }

    /// The pods that a revision may not miss because of what a router may send to it.
    fn keeps_one(&self, hash: &Hash) -> Pods {
        let routed = self.rollout.routing().is_some_and(|routing| {
            // Requests may follow an older routing, which nobody remembers by its shares.
            self.most_pods(hash) > Pods::ZERO || self.now < self.traffic.drained_at(routing.drain)
        });
        let alone = self.rollout.replicas <= Pods(1);
        if routed && !alone { Pods(1) } else { Pods::ZERO }
    }
}
