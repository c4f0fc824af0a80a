//! Why a routing cannot be carried by Ingresses.

use sluice_sdk::Error;
use thiserror::Error as ThisError;

/// What is wrong, where, and what helps.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
pub enum Problem {
    /// Neither or both of the two fields are set.
    #[error(
        "trafficRouting.nginx: either stableIngress or stableIngresses must be set, and not both"
    )]
    IngressesNotChosen,
    /// The list holds an empty name.
    #[error("trafficRouting.nginx.stableIngresses[{0}]: must be the name of an Ingress")]
    IngressUnnamed(usize),
    /// The list holds a name twice.
    #[error("trafficRouting.nginx.stableIngresses: Ingress `{0}` is listed twice")]
    IngressTwice(String),
    /// Cutting long names made two of them one.
    #[error(
        "trafficRouting.nginx.stableIngresses: the canaries of two Ingresses would both be \
         named `{0}`; shorten the name of the Rollout or of the Ingresses"
    )]
    CanaryNameTwice(String),
    /// A side of the split has no Service.
    #[error(
        "{0} must be set to use trafficRouting.nginx, since an Ingress sends traffic to a Service"
    )]
    ServiceUnnamed(&'static str),
    /// Experiments want weight.
    #[error(
        "trafficRouting.nginx: ingress-nginx splits between two versions only, and cannot send \
         weight to Service `{0}` as well; remove the weight from the experiment's template"
    )]
    ThirdDestination(String),
    /// A stable Ingress is not there.
    #[error("ingress `{name}` not found in namespace `{namespace}`: create it, or correct {field}")]
    IngressMissing {
        /// The Ingress.
        name: String,
        /// Where it was looked for.
        namespace: String,
        /// The field that names it.
        field: &'static str,
    },
    /// A stable Ingress does not lead to the stable Service.
    #[error(
        "ingress `{ingress}` has no rules using service {service} backend: add a rule with it, \
         or correct {field} or stableService"
    )]
    NoRules {
        /// The Ingress.
        ingress: String,
        /// The stable Service.
        service: String,
        /// The field that names the Ingress.
        field: &'static str,
    },
    /// The canary's name is taken.
    #[error(
        "canary ingress `{ingress}` is controlled by {owner} and not by Rollout `{rollout}`: \
         delete or rename it"
    )]
    Controlled {
        /// The Ingress in the way.
        ingress: String,
        /// Who controls it: kind and name, or `nothing`.
        owner: String,
        /// The rollout that wants to route.
        rollout: String,
    },
    /// The canary was left behind by a rollout of this name that is no more.
    #[error(
        "canary ingress `{ingress}` belongs to an earlier Rollout `{rollout}` and is waiting to \
         be collected as garbage"
    )]
    LeftBehind {
        /// The Ingress in the way.
        ingress: String,
        /// The rollout's name.
        rollout: String,
    },
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::LeftBehind { .. } => Self::transient(problem.to_string()),
            _ => Self::invalid_config(problem.to_string()),
        }
    }
}
