//! What is to be done: owned, comparable, printable, and safe to repeat.

use crate::called::Operation;
use crate::evidence::{Clear, Idle, Left, Missable, Open, Quiet, Relieved, Spare};
use crate::observed::{Hash, Observed, Purpose, Revision};
use crate::quantity::Pods;
use crate::time::Timestamp;
use crate::traffic::{Side, Split};

/// One thing to do. Each is idempotent, and none relies on another of the same plan: what must
/// come later needs evidence that only a later observation can give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Make the ReplicaSet of the wanted template, at its first size.
    Create {
        /// Its hash.
        hash: Hash,
        /// Its revision number.
        number: u32,
        /// Its first size.
        to: Pods,
        /// Whose metadata its pods get.
        side: Side,
        /// The revision whose nodes its pods keep away from.
        avoids: Option<Hash>,
    },
    /// Take over annotations and `minReadySeconds` from the rollout.
    Refresh {
        /// Which.
        hash: Hash,
    },
    /// Say whose nodes the pods of a ReplicaSet keep away from, for pods to come.
    Avoid {
        /// Which.
        hash: Hash,
        /// The revision that they keep away from; `None` from nobody.
        other: Option<Hash>,
    },
    /// Give the pods of a ReplicaSet the metadata of a side: those to come.
    Mark {
        /// Which.
        hash: Hash,
        /// Whose.
        side: Side,
    },
    /// Give the pods of a ReplicaSet the metadata of a side: those that are there.
    MarkPods {
        /// Which.
        hash: Hash,
        /// Whose.
        side: Side,
    },
    /// Give a ReplicaSet its revision number.
    Number {
        /// Which.
        hash: Hash,
        /// The number.
        number: u32,
    },
    /// Note the rollout's own revision number on it.
    NumberRollout {
        /// The number.
        number: u32,
    },
    /// Change the size of a ReplicaSet, or the fleet size noted on it.
    Scale {
        /// Which.
        hash: Hash,
        /// Its size now.
        from: Pods,
        /// Its size to be.
        to: Pods,
    },
    /// Note on a ReplicaSet when it is to lose its pods, or remove the note.
    Deadline {
        /// Which.
        hash: Hash,
        /// When; `None` removes.
        at: Option<Timestamp>,
    },
    /// Turn the Service of one side to a revision.
    Switch {
        /// Which side's.
        side: Side,
        /// The revision.
        hash: Hash,
    },
    /// Ask the router for a split.
    Shift {
        /// The split.
        to: Split,
    },
    /// Leave the routing that the user does not name any more: its routers are in charge no more.
    Leave {
        /// Why they could not be told to send nothing to the canary, if they could not.
        lost: Option<String>,
    },
    /// Let a router that is in charge no more take back what is its.
    Release {
        /// Its name.
        router: String,
        /// Which of the former routers it is.
        index: usize,
    },
    /// Make an analysis run.
    StartRun {
        /// Its name.
        name: String,
        /// What it is for.
        purpose: Purpose,
    },
    /// Tell an analysis run to stop.
    StopRun {
        /// Its name.
        name: String,
    },
    /// Make an experiment.
    StartExperiment {
        /// Its name.
        name: String,
        /// The step that it is for.
        index: usize,
        /// The revision number that is released.
        number: u32,
    },
    /// Tell an experiment to end.
    StopExperiment {
        /// Its name.
        name: String,
    },
    /// Delete an experiment that is over.
    DeleteExperiment {
        /// Its name.
        name: String,
    },
    /// Ask a component about a step.
    CallStep {
        /// The step.
        index: usize,
        /// The component.
        name: String,
        /// What it is asked to do.
        operation: Operation,
        /// Which call it is, from 1; the same once more if its answer was lost.
        execution: u32,
        /// The revision number that is released.
        number: u32,
        /// What it wanted to be told, as JSON.
        state: Option<String>,
    },
    /// Note on the Deployment that lends its template that the rollout replaces its pods.
    TakeOver {
        /// Pods that it has.
        before: Pods,
    },
    /// Change the size of the Deployment that lends its template.
    ScaleLender {
        /// Its size now.
        from: Pods,
        /// Its size to be.
        to: Pods,
    },
    /// Give the Deployment that lends its template the pods that it had, and take the note off.
    GiveBack {
        /// Its size to be.
        to: Pods,
    },
    /// List the pods of all revisions, for the next decision.
    LookAtPods,
    /// Evict a pod, so that a new one replaces it.
    Evict {
        /// Its name.
        pod: String,
        /// Its version; if it has another one, it is to be left alone.
        version: String,
        /// The revision that it is one of.
        hash: Hash,
    },
    /// Delete an old ReplicaSet without pods.
    DeleteRevision {
        /// Which.
        hash: Hash,
    },
    /// Delete an analysis run that is over.
    DeleteRun {
        /// Its name.
        name: String,
    },
}

/// The orders of one decision. Whatever order they are added in, they leave it as growth first,
/// then Services, then at most one shift, then shrinking, then the rest.
#[derive(Debug, Default)]
pub struct Plan<'o> {
    grow: Vec<Order>,
    open: Vec<Open<'o>>,
    shift: Option<Clear<'o>>,
    leave: Option<Left<'o>>,
    release: Vec<Idle<'o>>,
    stop_experiments: Vec<Quiet<'o>>,
    delete_experiments: Vec<Quiet<'o>>,
    shrink: Vec<Spare<'o>>,
    evict: Vec<Missable<'o>>,
    relieve: Option<Relieved<'o>>,
    rest: Vec<Order>,
}

impl<'o> Plan<'o> {
    /// Add something that can only cost money: a new ReplicaSet, more pods, a note.
    pub(crate) fn add(&mut self, order: Order) {
        self.rest.push(order);
    }

    /// Make `revision` at least as large as `to`. Needs no evidence.
    pub(crate) fn grow(&mut self, revision: &Revision, to: Pods) {
        if revision.wanted < to {
            self.grow.push(Order::Scale { hash: revision.hash.clone(), from: revision.wanted, to });
        }
    }

    /// Renew the fleet size noted on `revision`.
    pub(crate) fn note(&mut self, revision: &Revision) {
        let same = Order::Scale {
            hash: revision.hash.clone(),
            from: revision.wanted,
            to: revision.wanted,
        };
        if !self.scales(&revision.hash) {
            self.grow.push(same);
        }
    }

    pub(crate) fn scales(&self, hash: &Hash) -> bool {
        let grown =
            |order: &Order| matches!(order, Order::Scale { hash: other, .. } if other == hash);
        self.grow.iter().any(grown) || self.shrink.iter().any(|spare| spare.parts().0.hash == *hash)
    }

    pub(crate) fn open(&mut self, open: Open<'o>) {
        self.open.push(open);
    }

    pub(crate) fn shift(&mut self, clear: Clear<'o>) {
        self.shift = Some(clear);
    }

    pub(crate) fn leave(&mut self, left: Left<'o>) {
        self.leave = Some(left);
    }

    pub(crate) fn stop_experiment(&mut self, quiet: Quiet<'o>) {
        self.stop_experiments.push(quiet);
    }

    pub(crate) fn delete_experiment(&mut self, quiet: Quiet<'o>) {
        self.delete_experiments.push(quiet);
    }

    pub(crate) fn release(&mut self, idle: Idle<'o>) {
        self.release.push(idle);
    }

    pub(crate) fn shrink(&mut self, spare: Spare<'o>) {
        self.shrink.push(spare);
    }

    pub(crate) fn evict(&mut self, pods: Vec<Missable<'o>>) {
        self.evict.extend(pods);
    }

    pub(crate) fn relieve(&mut self, relieved: Relieved<'o>) {
        self.relieve = Some(relieved);
    }

    /// Whether something moves traffic, or takes pods from a revision.
    pub(crate) fn moves(&self) -> bool {
        !self.open.is_empty() || self.shift.is_some() || !self.shrink.is_empty()
    }

    /// Whether nothing at all is to be done.
    pub(crate) fn is_empty(&self) -> bool {
        self.grow.is_empty()
            && self.open.is_empty()
            && self.shift.is_none()
            && self.leave.is_none()
            && self.release.is_empty()
            && self.stop_experiments.is_empty()
            && self.delete_experiments.is_empty()
            && self.shrink.is_empty()
            && self.evict.is_empty()
            && self.relieve.is_none()
            && self.rest.is_empty()
    }

    /// Take out what is right by itself and wrong together.
    ///
    /// Every proof is about the observation alone, and an order of the same plan may change what
    /// the proof relied on. Selectors move before weights, so a shift waits for a Service that is
    /// being turned, unless it takes traffic away from the canary: nothing delays a retreat. And
    /// nobody loses pods whom another order of the plan is about to give traffic.
    fn untangle(&mut self, seen: &Observed) {
        if let Some(clear) = &self.shift {
            let retreats = clear.retreats(seen);
            if retreats {
                self.open.retain(|open| open.parts().0 == Side::Stable);
            }
            if !self.open.is_empty() {
                self.shift = None;
            }
        }
        let opened: Vec<Hash> = self.open.iter().map(|open| open.parts().1.clone()).collect();
        let shifted = self.shift.as_ref();
        self.shrink.retain(|spare| {
            let (revision, to) = spare.parts();
            let needs = shifted.map_or(Pods::ZERO, |clear| clear.pods_of(seen, &revision.hash));
            !opened.contains(&revision.hash) && to >= needs
        });
        // What is known of traffic is void once a routing is left, so that comes alone. A router
        // that always fails would be asked for ever.
        if self.leave.as_ref().is_some_and(|left| left.lost().is_some()) {
            self.shift = None;
        }
        if self.shift.is_some() || !self.open.is_empty() {
            self.leave = None;
        }
        // Pods that are about to go carry nothing for anybody.
        if !self.shrink.is_empty() || !self.evict.is_empty() {
            self.relieve = None;
        }
    }

    pub(crate) fn seal(mut self, seen: &Observed) -> Vec<Order> {
        self.untangle(seen);
        let open = self.open.into_iter().map(|open| {
            let (side, hash) = open.parts();
            Order::Switch { side, hash: hash.clone() }
        });
        let shift = self.shift.map(|clear| Order::Shift { to: clear.into_split() });
        let leave = self.leave.map(|left| Order::Leave { lost: left.lost().map(str::to_owned) });
        let release = self.release.into_iter().map(|idle| {
            let (index, former) = idle.parts();
            Order::Release { router: former.router.clone(), index }
        });
        let stop = self.stop_experiments.into_iter();
        let stop = stop.map(|quiet| Order::StopExperiment { name: quiet.name().to_owned() });
        let delete = self.delete_experiments.into_iter();
        let delete = delete.map(|quiet| Order::DeleteExperiment { name: quiet.name().to_owned() });
        let shrink = self.shrink.into_iter().map(|spare| {
            let (revision, to) = spare.parts();
            Order::Scale { hash: revision.hash.clone(), from: revision.wanted, to }
        });
        let evict = self.evict.into_iter().map(|missable| {
            let pod = missable.pod();
            let (hash, version) = (pod.hash.clone(), pod.version.clone());
            Order::Evict { pod: pod.name.clone(), version, hash }
        });
        let relieve = self.relieve.map(|relieved| {
            let (lender, to) = relieved.parts();
            Order::ScaleLender { from: lender.wanted, to }
        });
        let routed = shift.into_iter().chain(leave).chain(release);
        let dangerous =
            open.chain(routed).chain(shrink).chain(evict).chain(relieve).chain(stop).chain(delete);
        self.grow.into_iter().chain(dangerous).chain(self.rest).collect()
    }
}
