//! What the user wants, validated: there is no invalid rollout in this crate.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::quantity::{Pods, Share};

/// A validated rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    /// `spec.replicas`.
    pub replicas: Pods,
    /// `spec.paused`: the user holds everything but traffic and analysis.
    pub paused: bool,
    /// Whether passing the progress deadline aborts.
    pub abort_when_overdue: bool,
    /// How many old ReplicaSets without pods are kept.
    pub history_limit: usize,
    /// How many finished runs are kept: successful ones and others.
    pub run_limits: (usize, usize),
    /// How many revisions back a rollback may skip steps and analysis; `None` if none may.
    pub rollback_window: Option<u32>,
    /// Whether pods of an update keep away from nodes that have pods of the stable revision.
    pub keeps_apart: bool,
    /// Pods below `replicas` that may be missing.
    pub max_unavailable: Pods,
    /// How one revision follows another.
    pub strategy: Strategy,
}

/// How one revision follows another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Step by step.
    Canary(Canary),
}

/// The canary strategy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    /// The steps from stable to canary.
    pub steps: Steps,
    /// Pods above `replicas` that may exist while no router shifts traffic.
    pub max_surge: Pods,
    /// Present when a router shifts traffic.
    pub routing: Option<Routing>,
    /// The step from which the background analysis runs; `None` without one.
    pub background_from: Option<usize>,
}

impl Rollout {
    /// The steps; a strategy that knows none has none.
    pub fn steps(&self) -> &Steps {
        match &self.strategy {
            Strategy::Canary(canary) => &canary.steps,
        }
    }

    /// How traffic is shifted; `None` when no router shifts any.
    pub fn routing(&self) -> Option<&Routing> {
        match &self.strategy {
            Strategy::Canary(canary) => canary.routing.as_ref(),
        }
    }

    /// Pods above [`Self::replicas`] that may exist while no router shifts traffic.
    pub fn max_surge(&self) -> Pods {
        match &self.strategy {
            Strategy::Canary(canary) => canary.max_surge,
        }
    }

    /// The step from which the background analysis runs; `None` without one.
    pub fn background_from(&self) -> Option<usize> {
        match &self.strategy {
            Strategy::Canary(canary) => canary.background_from,
        }
    }
}

/// How traffic is shifted and how long old pods outlive it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routing {
    /// The weight that means everything.
    pub whole: NonZeroU32,
    /// How long a ReplicaSet that was replaced keeps its pods.
    pub scale_down_delay: Duration,
    /// How many replaced ReplicaSets may be waiting for that.
    pub scale_down_delay_revisions: Option<usize>,
    /// How long an aborted canary keeps its pods; `None` is for ever.
    pub abort_scale_down_delay: Option<Duration>,
    /// How long requests may still arrive after a route was changed whose data plane cannot say
    /// that it took the change up.
    pub drain: Duration,
}

/// One step of a canary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Give the canary this share.
    SetWeight(Share),
    /// Wait.
    Pause(Pause),
    /// Run an analysis to its end.
    Analysis,
}

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// This long.
    For(Duration),
    /// Until somebody promotes.
    UntilPromoted,
}

/// The list of steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps(Vec<Step>);

/// What is at a place in a list of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position<'s> {
    /// A step.
    At(&'s Step),
    /// The end of the list.
    Past,
}

impl Steps {
    /// In the order in which they are taken.
    pub fn new(steps: Vec<Step>) -> Self {
        Self(steps)
    }

    /// How many there are; as an index, the place past the last.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is at `index`; an index beyond the end is past it.
    pub fn position(&self, index: usize) -> Position<'_> {
        self.0.get(index).map_or(Position::Past, Position::At)
    }

    /// The last weight set at or before `index`; nothing if none was, everything past the end.
    pub fn share_at(&self, index: usize) -> Share {
        if index >= self.0.len() {
            return Share::ALL;
        }
        self.last_set(index + 1)
    }

    /// The last weight set before `index`; nothing if none was.
    pub fn share_before(&self, index: usize) -> Share {
        self.last_set(index)
    }

    fn last_set(&self, end: usize) -> Share {
        let reached = &self.0[..end.min(self.0.len())];
        reached
            .iter()
            .rev()
            .find_map(|step| match step {
                Step::SetWeight(share) => Some(*share),
                Step::Pause(_) | Step::Analysis => None,
            })
            .unwrap_or(Share::NONE)
    }
}
