//! Why a rollout does not move: the one list from which every explanation is printed.

use std::fmt;

use crate::called::Operation;
use crate::observed::Hash;
use crate::quantity::{Pods, Share};
use crate::time::Timestamp;
use crate::traffic::Side;

/// What a rollout waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The user holds it with `spec.paused`.
    User,
    /// A pause step that ends by itself.
    PauseUntil(Timestamp),
    /// A pause step that ends when somebody promotes.
    Promotion,
    /// The preview of a blue-green release: until then, or until somebody promotes.
    Preview(Option<Timestamp>),
    /// An analysis was inconclusive; somebody has to decide.
    Decision,
    /// It was given up, and stays so until the template changes or somebody retries.
    Retry,
    /// The router refused or failed.
    RouterTrouble(String),
    /// The router was asked and has not confirmed.
    Router(Share),
    /// The routing that the user does not name any more still sends requests to the canary.
    Leaving,
    /// A router that is in charge no more has not taken back what is its.
    Former {
        /// The router.
        router: String,
        /// What it says; empty before it was asked.
        why: String,
    },
    /// A revision has too few available pods for what it is to carry.
    Capacity {
        /// Behind which destination.
        side: Side,
        /// The revision.
        hash: Hash,
        /// Pods that must be available.
        needs: Pods,
        /// Pods that are.
        has: Pods,
    },
    /// A revision has too few available pods for a Service to be turned to it.
    Service {
        /// Which destination's Service.
        side: Side,
        /// Its name.
        service: String,
        /// The revision.
        hash: Hash,
        /// Pods that must be available.
        needs: Pods,
        /// Pods that are.
        has: Pods,
    },
    /// A revision cannot lose pods, since it may still receive traffic.
    TrafficOn {
        /// The revision.
        hash: Hash,
        /// The most that it may be receiving.
        share: Share,
    },
    /// A revision cannot lose pods, since a Service selects it.
    Selected {
        /// The revision.
        hash: Hash,
        /// The Service.
        service: String,
    },
    /// A revision cannot lose its last pod, since a header or mirror route may still lead to it.
    RoutesOn {
        /// The revision.
        hash: Hash,
    },
    /// A `setCanaryScale` step keeps the canary smaller than its weight needs.
    ScaledBelow {
        /// The index of that step.
        step: usize,
        /// The share that is waited for.
        share: Share,
        /// The pods that the step gives.
        given: Pods,
        /// Pods that must be available.
        needs: Pods,
    },
    /// A revision cannot lose pods, since requests may still follow an older routing.
    Draining {
        /// The revision.
        hash: Hash,
        /// Until when.
        until: Timestamp,
    },
    /// Pods of one revision are not as many as they are to be.
    Pods {
        /// The revision.
        hash: Hash,
        /// Pods that must be available.
        needs: Pods,
        /// Pods that are.
        has: Pods,
    },
    /// A component has not finished with a step.
    Plugin {
        /// The step.
        step: usize,
        /// The component.
        name: String,
        /// What it was asked to do.
        operation: Operation,
        /// Its last words, or what went wrong; empty before the first answer.
        why: String,
        /// When it is asked again; `None` while it is being asked.
        again: Option<Timestamp>,
    },
    /// An experiment is not over.
    Experiment(String),
    /// An experiment cannot be told to end, since its pods may still get requests.
    ExperimentTraffic(String),
    /// An analysis run is not over.
    Analysis(String),
    /// A replaced revision keeps its pods for a while, so that going back is fast.
    ScaleDown {
        /// The revision.
        hash: Hash,
        /// Until when.
        until: Timestamp,
    },
    /// Pods from before `spec.restartAt` are still there.
    Restart {
        /// How many; `None` before they were counted.
        left: Option<usize>,
    },
    /// A disruption budget does not let a pod go that is to be replaced.
    Disruption {
        /// The pod.
        pod: String,
        /// The server's words.
        why: String,
        /// When it is tried again.
        until: Timestamp,
    },
    /// Pods of replaced revisions are still there.
    OldPods(Hash),
    /// What it has just ordered or recorded has to show.
    Itself,
}

impl Waiting {
    /// What a reader wants to hear first, when there are several.
    pub(crate) fn rank(&self) -> u8 {
        match self {
            Self::RouterTrouble(_) => 0,
            Self::User => 1,
            Self::Decision => 2,
            Self::PauseUntil(_)
            | Self::Promotion
            | Self::Preview(_)
            | Self::Plugin { .. }
            | Self::Experiment(_)
            | Self::ScaledBelow { .. } => 3,
            Self::Capacity { .. }
            | Self::Service { .. }
            | Self::Pods { .. }
            | Self::Router(_)
            | Self::Disruption { .. } => 4,
            // What cannot go yet is no reason why the rest does not come.
            Self::Analysis(_)
            | Self::TrafficOn { .. }
            | Self::RoutesOn { .. }
            | Self::Leaving
            | Self::ExperimentTraffic(_)
            | Self::Restart { .. } => 5,
            Self::Retry => 6,
            Self::Selected { .. }
            | Self::Draining { .. }
            | Self::ScaleDown { .. }
            | Self::Former { .. }
            | Self::OldPods(_) => 7,
            Self::Itself => 8,
        }
    }

    /// When it ends by itself.
    pub fn until(&self) -> Option<Timestamp> {
        match self {
            Self::PauseUntil(at)
            | Self::Preview(Some(at))
            | Self::Draining { until: at, .. }
            | Self::ScaleDown { until: at, .. }
            | Self::Disruption { until: at, .. } => Some(*at),
            Self::Plugin { again, .. } => *again,
            Self::User
            | Self::Promotion
            | Self::Preview(None)
            | Self::Selected { .. }
            | Self::Decision
            | Self::Retry
            | Self::RouterTrouble(_)
            | Self::Router(_)
            | Self::Capacity { .. }
            | Self::Service { .. }
            | Self::TrafficOn { .. }
            | Self::RoutesOn { .. }
            | Self::ScaledBelow { .. }
            | Self::Pods { .. }
            | Self::Analysis(_)
            | Self::Restart { .. }
            | Self::Experiment(_)
            | Self::ExperimentTraffic(_)
            | Self::Leaving
            | Self::Former { .. }
            | Self::OldPods(_)
            | Self::Itself => None,
        }
    }

    /// What somebody can do to end it sooner.
    pub fn unblocked_by(&self) -> &'static str {
        match self {
            Self::User => "setting spec.paused to false, or `promote`",
            Self::PauseUntil(_) => "time, or `promote`",
            Self::Preview(Some(_)) => "time, `promote`, or `abort`",
            Self::Promotion | Self::Preview(None) => "`promote`, or `abort`",
            Self::Selected { .. } => "the Service selecting another revision",
            Self::Decision => "`promote` to measure again or go on, or `abort`",
            Self::Retry => "a change of spec.template, or `retry`",
            Self::RouterTrouble(_) => "mending what the router names; it is asked again",
            Self::Router(_) => "the router taking the new weight up",
            Self::Capacity { .. } | Self::Service { .. } | Self::Pods { .. } => {
                "pods becoming available"
            }
            Self::TrafficOn { .. } => "traffic leaving the revision",
            Self::Leaving => "the former routing giving the canary nothing any more",
            Self::Former { .. } => {
                "mending what the router names, or removing the annotation sluice.dev/routers; it is asked again"
            }
            Self::RoutesOn { .. } => "the router taking the route back",
            Self::ScaledBelow { .. } => {
                "a larger setCanaryScale, or matchTrafficWeight: true at the setWeight step"
            }
            Self::Draining { .. } | Self::ScaleDown { .. } => "time",
            Self::Plugin { operation: Operation::Run, .. } => {
                "the step plugin, `promote` to go on without it, or `abort`"
            }
            Self::Plugin { .. } => "the step plugin; it is asked again",
            Self::Experiment(_) => {
                "the experiment coming to its end, `promote` to go on without it, or `abort`"
            }
            Self::ExperimentTraffic(_) => "the router giving its share to the stable side",
            Self::Analysis(_) => "the run ending",
            Self::Restart { .. } => "new pods becoming available in place of those that went",
            Self::Disruption { .. } => {
                "more available pods, or a PodDisruptionBudget that lets one be missing"
            }
            Self::OldPods(_) => "old pods ending",
            Self::Itself => "nothing; the next look follows at once",
        }
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User => write!(f, "somebody to lift spec.paused"),
            Self::PauseUntil(_) => write!(f, "a pause step that ends by itself"),
            Self::Promotion => write!(f, "a pause step that ends when somebody promotes"),
            Self::Preview(Some(_)) => write!(f, "the preview, which is promoted by itself"),
            Self::Preview(None) => write!(f, "somebody to promote the preview"),
            Self::Selected { hash, service } => {
                write!(f, "service {service} to be turned away from {hash}")
            }
            Self::Decision => write!(f, "an inconclusive analysis: somebody has to decide"),
            Self::Retry => write!(f, "a new template or a retry, since it was aborted"),
            Self::RouterTrouble(why) => write!(f, "the traffic router: {why}"),
            Self::Router(share) => write!(f, "the traffic router to confirm {share} canary"),
            Self::Leaving => write!(
                f,
                "the former traffic routing to send everything to the stable side, before it is left"
            ),
            Self::Former { router, why } => {
                write!(f, "router {router}, which is in charge no more, to take its routes back")?;
                if why.is_empty() { Ok(()) } else { write!(f, ": {why}") }
            }
            Self::Capacity { side, hash, needs, has } => write!(
                f,
                "{needs} available pods of {hash} before the {side} side may get its traffic; there are {has}"
            ),
            Self::Service { service, hash, needs, has, .. } => write!(
                f,
                "{needs} available pods of {hash} before service {service} may select it; there are {has}"
            ),
            Self::TrafficOn { hash, share } => {
                write!(f, "traffic to leave {hash}, which may still get {share}")
            }
            Self::RoutesOn { hash } => {
                write!(f, "header and mirror routes to leave {hash}")
            }
            Self::ScaledBelow { step, share, given, needs } => write!(
                f,
                "{needs} canary pods, which {share} of the traffic needs; setCanaryScale in steps[{step}] gives {given}"
            ),
            Self::Draining { hash, .. } => {
                write!(f, "requests that may still follow the old routing to {hash}")
            }
            Self::Pods { hash, needs, has } => {
                write!(f, "pods of {hash}: {has} of {needs} are available")
            }
            Self::Plugin { step, name, operation, why, .. } => {
                let what = match operation {
                    Operation::Run => "finish",
                    Operation::Terminate => "stop",
                    Operation::Abort => "undo",
                };
                write!(f, "step plugin {name} to {what} steps[{step}]")?;
                if why.is_empty() { Ok(()) } else { write!(f, ": {why}") }
            }
            Self::Experiment(name) => write!(f, "experiment {name} to end"),
            Self::ExperimentTraffic(name) => {
                write!(
                    f,
                    "traffic to leave the pods of experiment {name}, before it is told to end"
                )
            }
            Self::Analysis(name) => write!(f, "analysis run {name}"),
            Self::ScaleDown { hash, .. } => {
                write!(f, "the scale-down delay of {hash}, which keeps a rollback fast")
            }
            Self::Restart { left: Some(left) } => {
                write!(f, "{left} pods that are older than spec.restartAt to be replaced")
            }
            Self::Restart { left: None } => write!(f, "the pods to be counted for a restart"),
            Self::Disruption { pod, why, .. } => {
                write!(f, "pod {pod} to be let go for a restart: {why}")
            }
            Self::OldPods(hash) => write!(f, "old pods of {hash} to end"),
            Self::Itself => write!(f, "its own last change to show"),
        }
    }
}
