//! What a person can do about each thing that is waited for.

use sluice_core::Waiting;
use sluice_core::called::Operation;

use super::Command;

/// What can be done about something that is waited for.
pub(super) struct Advice {
    /// One word for machines.
    pub reason: &'static str,
    /// The most likely one first.
    pub ways: Vec<Way>,
}

/// Something to do, or to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Let it go on.
    Promote,
    /// Let it go on to the end.
    PromoteFully,
    /// Give it up.
    Abort,
    /// Try it again.
    Retry,
    /// Go back to the former template.
    Undo,
    /// Mend the specification.
    Edit,
    /// See what became of the pods of a revision.
    Pods(String),
    /// See what a Service selects.
    Service(String),
    /// See what an analysis run has measured.
    Run(String),
    /// See how far an experiment is.
    Experiment(String),
    /// End an analysis run.
    Terminate(String),
    /// See which budgets keep a pod.
    Budgets(String),
    /// See what was reported.
    Events,
    /// See who leads.
    Lease,
}

impl Way {
    /// The command for one rollout.
    pub(super) fn command(&self, rollout: &str, namespace: &str) -> Command {
        let ours = |to: &str, verb: &str| (to.to_owned(), format!("sluice {verb} {rollout}"));
        let kubectl = |to: &str, line: String| (to.to_owned(), format!("kubectl {line}"));
        let (to, run) = match self {
            Self::Promote => ours("let it go on", "promote"),
            Self::PromoteFully => {
                ("go to the end at once".to_owned(), format!("sluice promote {rollout} --full"))
            }
            Self::Abort => ours("take the traffic back", "abort"),
            Self::Retry => ours("try it again", "retry rollout"),
            Self::Undo => ours("go back to the former template", "undo"),
            Self::Edit => kubectl("mend it", format!("edit rollout {rollout}")),
            Self::Pods(hash) => {
                kubectl("see its pods", format!("get pods -l rollouts-pod-template-hash={hash}"))
            }
            Self::Service(name) => {
                kubectl("see the Service", format!("get service {name} -o wide"))
            }
            Self::Run(name) => {
                kubectl("see what it measured", format!("describe analysisrun {name}"))
            }
            Self::Experiment(name) => {
                kubectl("see how far it is", format!("describe experiment {name}"))
            }
            Self::Terminate(name) => {
                ("end the run".to_owned(), format!("sluice terminate analysisrun {name}"))
            }
            Self::Budgets(pod) => {
                kubectl(&format!("see which budget keeps {pod}"), "get pdb".to_owned())
            }
            Self::Events => {
                kubectl("see what was reported", format!("events --for rollout/{rollout}"))
            }
            // It is where the controller is, which nobody knows from here.
            Self::Lease => {
                let field = "--field-selector metadata.name=argo-rollouts-controller-lock";
                let run = format!("kubectl get leases -A {field}");
                return Command { to: "see which controller leads".to_owned(), run };
            }
        };
        Command { to, run: format!("{run} -n {namespace}") }
    }
}

/// What to do about `waiting`.
pub(super) fn advice(waiting: &Waiting) -> Advice {
    let (reason, ways) = match waiting {
        Waiting::User => ("PausedByUser", vec![Way::Promote, Way::Abort]),
        Waiting::PauseUntil(_) => ("PauseStep", vec![Way::Promote, Way::Abort]),
        Waiting::Promotion => {
            ("IndefinitePauseStep", vec![Way::Promote, Way::PromoteFully, Way::Abort])
        }
        Waiting::Preview(_) => ("Preview", vec![Way::Promote, Way::Abort]),
        Waiting::Decision => ("InconclusiveAnalysis", vec![Way::Promote, Way::Abort]),
        Waiting::Retry => ("Aborted", vec![Way::Retry, Way::Undo]),
        Waiting::RouterTrouble(_) => ("RouterTrouble", vec![Way::Events, Way::Abort]),
        Waiting::Router(_) => ("Router", vec![Way::Events]),
        Waiting::Capacity { hash, .. } => ("Capacity", vec![Way::Pods(hash.0.clone()), Way::Abort]),
        Waiting::Service { hash, service, .. } => {
            ("ServiceCapacity", vec![Way::Pods(hash.0.clone()), Way::Service(service.clone())])
        }
        Waiting::Pods { hash, .. } => ("Pods", vec![Way::Pods(hash.0.clone()), Way::Abort]),
        Waiting::TrafficOn { .. } => ("TrafficLeaving", vec![Way::Events]),
        Waiting::RoutesOn { .. } => ("RoutesLeaving", vec![Way::Events]),
        Waiting::Leaving => ("RoutingLeaving", vec![Way::Events]),
        Waiting::Former { .. } => ("FormerRouter", vec![Way::Events, Way::Edit]),
        Waiting::Selected { service, .. } => {
            ("ServiceLeaving", vec![Way::Service(service.clone())])
        }
        Waiting::ScaledBelow { .. } => ("ScaledBelow", vec![Way::Edit, Way::Abort]),
        Waiting::Draining { .. } => ("Draining", Vec::new()),
        Waiting::Analysis(name) => {
            ("Analysis", vec![Way::Run(name.clone()), Way::Terminate(name.clone()), Way::Abort])
        }
        Waiting::Plugin { operation: Operation::Run, .. } => {
            ("StepPlugin", vec![Way::Promote, Way::Abort])
        }
        Waiting::Plugin { operation: Operation::Terminate | Operation::Abort, .. } => {
            ("StepPluginEnding", vec![Way::Events])
        }
        Waiting::Experiment(name) => {
            ("Experiment", vec![Way::Experiment(name.clone()), Way::Promote, Way::Abort])
        }
        Waiting::ExperimentTraffic(name) => {
            ("ExperimentTraffic", vec![Way::Experiment(name.clone()), Way::Events])
        }
        Waiting::Restart { .. } => ("Restart", vec![Way::Events]),
        Waiting::Disruption { pod, .. } => ("DisruptionBudget", vec![Way::Budgets(pod.clone())]),
        Waiting::ScaleDown { .. } => ("ScaleDownDelay", Vec::new()),
        Waiting::OldPods(hash) => ("OldPods", vec![Way::Pods(hash.0.clone())]),
        Waiting::Itself => ("Itself", vec![Way::Lease]),
    };
    Advice { reason, ways }
}
