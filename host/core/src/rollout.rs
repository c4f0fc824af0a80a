//! What the user wants, validated: there is no invalid rollout in this crate.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::quantity::Pods;

pub use crate::steps::{Act, Pause, Position, RouteChange, Scale, SpecialRoute, Step, Steps};

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
    /// Two complete fleets, and a Service that is turned from one to the other.
    BlueGreen(BlueGreen),
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
    /// How many of the pods that a canary is to have are enough to go on.
    pub enough: Enough,
    /// Whether the two Services change sides at every promotion, instead of what they select.
    pub ping_pong: bool,
}

/// How many of the pods that a revision is to have are enough to go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Enough {
    /// All of them.
    #[default]
    All,
    /// So many in a hundred, at most 100.
    Percent(u32),
    /// This many, or all if that is fewer.
    Pods(Pods),
}

impl Enough {
    /// The pods that are enough where `wanted` are to be: never none where there are to be some,
    /// since a version without a pod has shown nothing and can take nothing over.
    pub fn of(self, wanted: Pods) -> Pods {
        let enough = match self {
            Self::All => wanted,
            Self::Percent(percent) => {
                let exact = u64::from(wanted.0) * u64::from(percent);
                Pods(u32::try_from(exact.div_ceil(100)).unwrap_or(wanted.0)).min(wanted)
            }
            Self::Pods(pods) => pods.min(wanted),
        };
        enough.max(Pods(1).min(wanted))
    }
}

/// The blue-green strategy. The stable side's Service is the active one, which users reach; the
/// canary side's is the preview.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlueGreen {
    /// The pods that the new revision has before it is promoted; `None` is the whole fleet.
    pub preview_replicas: Option<Pods>,
    /// What ends the preview.
    pub promotion: Promotion,
    /// Whether an analysis must succeed before the active Service is turned.
    pub pre_analysis: bool,
    /// Whether an analysis must succeed afterwards.
    pub post_analysis: bool,
    /// How long a ReplicaSet that was replaced keeps its pods.
    pub scale_down_delay: Duration,
    /// How many replaced ReplicaSets may be waiting for that.
    pub scale_down_delay_revisions: Option<usize>,
    /// Whether replaced ReplicaSets keep their pods until the analysis after the switch succeeded.
    pub keep_until_proven: bool,
    /// How long an aborted revision keeps its pods; `None` is for ever.
    pub abort_scale_down_delay: Option<Duration>,
}

/// What ends the preview of a blue-green release, once its pods are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promotion {
    /// Nothing more.
    AtOnce,
    /// This much time, or somebody who promotes.
    After(Duration),
    /// Somebody who promotes.
    ByUser,
}

static NO_STEPS: Steps = Steps::none();

impl Rollout {
    /// The steps; a strategy that knows none has none.
    pub fn steps(&self) -> &Steps {
        match &self.strategy {
            Strategy::Canary(canary) => &canary.steps,
            Strategy::BlueGreen(_) => &NO_STEPS,
        }
    }

    /// The blue-green strategy, if it is the one.
    pub fn blue_green(&self) -> Option<&BlueGreen> {
        match &self.strategy {
            Strategy::Canary(_) => None,
            Strategy::BlueGreen(strategy) => Some(strategy),
        }
    }

    /// How traffic is shifted; `None` when no router shifts any.
    pub fn routing(&self) -> Option<&Routing> {
        match &self.strategy {
            Strategy::Canary(canary) => canary.routing.as_ref(),
            Strategy::BlueGreen(_) => None,
        }
    }

    /// Pods above [`Self::replicas`] that may exist while no router shifts traffic.
    pub fn max_surge(&self) -> Pods {
        match &self.strategy {
            Strategy::Canary(canary) => canary.max_surge,
            Strategy::BlueGreen(_) => Pods::ZERO,
        }
    }

    /// The step from which the background analysis runs; `None` without one.
    pub fn background_from(&self) -> Option<usize> {
        match &self.strategy {
            Strategy::Canary(canary) => canary.background_from,
            Strategy::BlueGreen(_) => None,
        }
    }

    /// How many of the pods that a canary is to have are enough to go on.
    pub fn enough(&self) -> Enough {
        match &self.strategy {
            Strategy::Canary(canary) => canary.enough,
            Strategy::BlueGreen(_) => Enough::All,
        }
    }

    /// Whether the two Services change sides at every promotion.
    pub fn ping_pong(&self) -> bool {
        match &self.strategy {
            Strategy::Canary(canary) => canary.ping_pong,
            Strategy::BlueGreen(_) => false,
        }
    }

    /// Whether the user does not name the routing any more that is in force.
    pub fn is_leaving(&self) -> bool {
        self.routing().is_some_and(|routing| routing.tenure != Tenure::Stays)
    }

    /// Whether the stable revision has only the pods that its share needs.
    pub fn dynamic_stable(&self) -> bool {
        self.routing().is_some_and(|routing| routing.dynamic_stable)
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
    /// How long an aborted canary keeps its pods; `None` is for ever, and nothing is as long as it
    /// may get traffic.
    pub abort_scale_down_delay: Option<Duration>,
    /// How long requests may still arrive after a route was changed whose data plane cannot say
    /// that it took the change up.
    pub drain: Duration,
    /// Whether the stable revision has only the pods that its share needs.
    pub dynamic_stable: bool,
    /// The fewest pods of a revision that has any; 0 or 1 says nothing.
    pub min_pods: Pods,
    /// Whether the user still names it.
    pub tenure: Tenure,
}

/// Whether a traffic routing is still the one that the user names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tenure {
    /// It is.
    #[default]
    Stays,
    /// It is not: it is left as soon as the stable side can take everything, and until then it
    /// does what a release asks of it.
    Leaves,
    /// It is not, and neither is its strategy: nothing but leaving it is done.
    LeavesFirst,
}
