//! What one decision may look at: built once, immutable, with one clock reading.

use std::fmt;

use crate::called::Reply;
use crate::lender::Lender;
use crate::phase::Memory;
use crate::quantity::{Pods, Share};
use crate::restart::Restart;
use crate::rollout::Rollout;
use crate::time::Timestamp;
use crate::traffic::{Side, Split, Traffic};

/// The identity of a revision: the value of its pod template hash label.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub String);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One ReplicaSet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Its identity.
    pub hash: Hash,
    /// The number in `rollout.argoproj.io/revision`; 0 without one.
    pub number: u32,
    /// Pods that it is told to have.
    pub wanted: Pods,
    /// Pods that it has.
    pub current: Pods,
    /// Pods that have been ready for long enough.
    pub available: Pods,
    /// The fleet size noted in its `desired-replicas` annotation.
    pub noted: Option<Pods>,
    /// When it is to lose its pods, if that was noted. What cannot be read is in the past.
    pub deadline: Option<Timestamp>,
    /// When it was created.
    pub created: Timestamp,
    /// Whether its status is about its present specification.
    pub settled: bool,
    /// Whether it has what it takes over from the rollout: annotations and `minReadySeconds`.
    pub current_notes: bool,
    /// The metadata that was added to its pods.
    pub marks: Marks,
    /// The revision whose nodes its pods keep away from, as far as the controller said so. A hash
    /// that no revision has stands for something that it did not say in this way.
    pub avoids: Option<Hash>,
}

/// Which side's metadata was added to a revision's pods. Sides may have the same, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// It is that of the stable side.
    pub stable: bool,
    /// It is that of the canary side.
    pub canary: bool,
    /// Pods that were there before may still have other metadata.
    pub pods_lag: bool,
}

impl Marks {
    /// Whether it is that of `side`.
    pub fn of(self, side: Side) -> bool {
        match side {
            Side::Stable => self.stable,
            Side::Canary => self.canary,
        }
    }
}

/// What a destination's Service selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Door {
    /// The rollout names no Service for this side: a route chooses the revision itself, or there
    /// is no route.
    None,
    /// A Service.
    Service {
        /// Its name.
        name: String,
        /// The revision it selects, if it selects one.
        selects: Option<Hash>,
        /// Whether it is already marked as managed by this rollout.
        adopted: bool,
    },
}

/// The phase of an analysis run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunPhase {
    /// Not begun.
    Pending,
    /// Measuring.
    Running,
    /// Over: good.
    Successful,
    /// Over: bad.
    Failed,
    /// Over: it could not be measured.
    Error,
    /// Over: neither good nor bad.
    Inconclusive,
}

impl RunPhase {
    /// Whether nothing will change any more.
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

/// What an analysis run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// The analysis step at this index.
    Step(usize),
    /// The analysis that goes on in the background.
    Background,
    /// The analysis before a blue-green promotion.
    PrePromotion,
    /// The analysis after a blue-green promotion.
    PostPromotion,
}

/// One analysis run of this rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The object's name.
    pub name: String,
    /// What it is for; `None` if its labels do not say.
    pub purpose: Option<Purpose>,
    /// How far it is.
    pub phase: RunPhase,
    /// Its own words.
    pub message: String,
    /// The revision it measures.
    pub hash: Hash,
    /// When it was created.
    pub created: Timestamp,
    /// Whether it was told to stop.
    pub terminating: bool,
}

impl Run {
    /// The step that it is for, if it is known and is for one.
    pub(crate) fn step(&self) -> Option<usize> {
        match self.purpose? {
            Purpose::Step(index) => Some(index),
            Purpose::Background | Purpose::PrePromotion | Purpose::PostPromotion => None,
        }
    }
}

/// Pods of an experiment that have a Service of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extra {
    /// The experiment's name.
    pub experiment: String,
    /// The Service.
    pub service: String,
    /// The hash label of its pods.
    pub hash: Hash,
    /// The share of all traffic that its step gives it; nothing, where it gives none.
    pub share: Share,
    /// Pods that the experiment is to have there.
    pub wanted: Pods,
    /// Pods that are available.
    pub available: Pods,
}

/// A router that was in charge of this rollout's traffic, and has yet to take back what is its.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Former {
    /// Its name.
    pub router: String,
    /// Why it could not be told to send nothing to the canary, if it could not.
    pub lost: Option<String>,
    /// Why it did not take back what is its when it was asked last.
    pub trouble: Option<String>,
    /// Whether it leads to pods by their revision, and not through Services.
    pub names_revisions: bool,
    /// When nothing of what it sent is under way any more; `None` before it let go.
    pub over: Option<Timestamp>,
}

/// Everything one decision may look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The one clock reading.
    pub now: Timestamp,
    /// What the user wants.
    pub rollout: Rollout,
    /// The hash of the wanted pod template.
    pub wanted: Hash,
    /// Whether the pod template or the steps are others than those remembered.
    pub changed: bool,
    /// What was recorded by the last decision, and what clients patched into it since.
    pub memory: Memory,
    /// The rollout's own revision number annotation.
    pub number: u32,
    /// Every ReplicaSet that the rollout owns, in no particular order.
    pub revisions: Vec<Revision>,
    /// The Service of the stable destination.
    pub stable_door: Door,
    /// The Service of the canary destination.
    pub canary_door: Door,
    /// Where traffic may be going. Meaningless without [`Rollout::routing`].
    pub traffic: Traffic,
    /// Every analysis run that the rollout owns.
    pub runs: Vec<Run>,
    /// The names that the next runs are to have: for a step, and for the background.
    pub run_names: (String, String),
    /// The names that the next runs are to have: before, and after a blue-green promotion.
    pub promotion_names: (String, String),
    /// Every experiment that the rollout owns; their purposes are steps.
    pub experiments: Vec<Run>,
    /// What has a Service among the pods of those experiments.
    pub extras: Vec<Extra>,
    /// The name that the next experiment is to have.
    pub experiment_name: String,
    /// What components answered about steps; an answer that nobody misses is none.
    pub replies: Vec<Reply>,
    /// Whether the progress deadline has passed.
    pub overdue: bool,
    /// The Deployment that lends its template; `None` without one.
    pub lender: Option<Lender>,
    /// What is known of a restart.
    pub restart: Restart,
    /// Routers that are in charge no more, in the order in which they were left.
    pub formers: Vec<Former>,
}

impl Observed {
    /// The ReplicaSet of the wanted template, once it exists.
    pub fn new_revision(&self) -> Option<&Revision> {
        self.revision(&self.wanted)
    }

    /// The ReplicaSet that was promoted last, if it still exists.
    pub fn stable_revision(&self) -> Option<&Revision> {
        self.memory.stable.as_ref().and_then(|hash| self.revision(hash))
    }

    /// The ReplicaSet with this hash.
    pub fn revision(&self, hash: &Hash) -> Option<&Revision> {
        self.revisions.iter().find(|revision| revision.hash == *hash)
    }

    /// The ReplicaSets that are neither wanted nor stable by `memory`, newest first.
    pub fn others(&self, stable: Option<&Hash>) -> Vec<&Revision> {
        let mut others: Vec<_> = self
            .revisions
            .iter()
            .filter(|revision| revision.hash != self.wanted && Some(&revision.hash) != stable)
            .collect();
        others.sort_by(|a, b| b.number.cmp(&a.number).then_with(|| b.hash.cmp(&a.hash)));
        others
    }

    /// The revision that the Service of `side` selects, if it selects one.
    pub fn selected(&self, side: Side) -> Option<&Hash> {
        match self.door(side) {
            Door::Service { selects, .. } => selects.as_ref(),
            Door::None => None,
        }
    }

    /// The name of the Service of `side`; empty without one.
    pub fn service(&self, side: Side) -> &str {
        match self.door(side) {
            Door::Service { name, .. } => name,
            Door::None => "",
        }
    }

    /// Whether the wanted revision is an older one that ran not long ago, so that steps and
    /// analysis would tell nothing new: it was created before the stable one, and fewer revisions
    /// than the window has were created between the two.
    pub fn rolls_back_within_window(&self) -> bool {
        let (Some(new), Some(stable)) = (self.new_revision(), self.stable_revision()) else {
            return false;
        };
        let Some(window) = self.rollout.rollback_window else { return false };
        let between = |revision: &&Revision| {
            new.created < revision.created && revision.created < stable.created
        };
        let count = self.revisions.iter().filter(between).count();
        new.created < stable.created && count < window as usize
    }

    /// Available pods of the revision with this hash.
    pub fn available(&self, hash: &Hash) -> Pods {
        self.revision(hash).map_or(Pods::ZERO, |revision| revision.available)
    }

    /// The door of one side.
    pub fn door(&self, side: Side) -> &Door {
        match side {
            Side::Stable => &self.stable_door,
            Side::Canary => &self.canary_door,
        }
    }

    /// The run with this name.
    pub fn run(&self, name: &str) -> Option<&Run> {
        self.runs.iter().find(|run| run.name == name)
    }

    /// Whether requests to `side` reach the revision `hash`, if the route names `routed` for it.
    pub(crate) fn is_behind(&self, side: Side, hash: &Hash, routed: &Hash) -> bool {
        match self.door(side) {
            Door::Service { selects, .. } => selects.as_ref() == Some(hash),
            Door::None => routed == hash,
        }
    }

    /// The part of the traffic that `split` sends to the revision `hash`.
    pub(crate) fn share_for(&self, split: &Split, hash: &Hash) -> Share {
        let reached = |side: &Side| self.is_behind(*side, hash, split.hash_of(*side));
        match (reached(&Side::Stable), reached(&Side::Canary)) {
            (true, true) => split.without_additional(Share::ALL),
            (true, false) => split.share_of(Side::Stable),
            (false, true) => split.share_of(Side::Canary),
            (false, false) => Share::NONE,
        }
    }

    /// The pods that the revision `hash` needs for what `split` sends to it. A special route
    /// may bring any number of requests, and none without a pod.
    pub(crate) fn pods_for(&self, split: &Split, hash: &Hash) -> Pods {
        let fleet = self.rollout.replicas;
        let special = !split.routes.is_empty() && self.is_behind(Side::Canary, hash, &split.canary);
        let least = if special { Pods(1).min(fleet) } else { Pods::ZERO };
        self.share_for(split, hash).of(fleet).max(least)
    }

    /// The pods that the revision `hash` needs for the most that it may be receiving now.
    pub(crate) fn most_pods(&self, hash: &Hash) -> Pods {
        match self.traffic.possible() {
            Some(possible) => {
                let pods = possible.iter().map(|split| self.pods_for(split, hash));
                pods.max().unwrap_or(self.rollout.replicas)
            }
            None => self.worst(hash).of(self.rollout.replicas),
        }
    }

    /// The most traffic that the revision `hash` may be receiving through the router now.
    pub fn worst(&self, hash: &Hash) -> Share {
        match self.traffic.possible() {
            Some(possible) => {
                let shares = possible.iter().map(|split| self.share_for(split, hash));
                shares.max().unwrap_or(Share::ALL)
            }
            // Any split may be live, and a route may name any revision.
            None if Side::BOTH.iter().any(|side| self.is_behind(*side, hash, hash)) => Share::ALL,
            None => Share::NONE,
        }
    }
}
