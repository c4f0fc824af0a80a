//! Why a routing cannot be carried by Istio's objects.

use thiserror::Error;

/// What is wrong, where, and what helps.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// Neither or both of the two fields are set.
    #[error(
        "trafficRouting.istio: either virtualService or virtualServices must be set, and not both"
    )]
    ServicesNotChosen,
    /// A VirtualService has no name.
    #[error("trafficRouting.istio: a VirtualService must have a name")]
    ServiceUnnamed,
    /// A VirtualService is listed twice.
    #[error("trafficRouting.istio.virtualServices: `{0}` is listed twice; list all routes once")]
    ServiceTwice(String),
    /// A field of the DestinationRule is missing.
    #[error("trafficRouting.istio.destinationRule.{0} must be set")]
    RuleFieldMissing(&'static str),
    /// Both subsets are the same.
    #[error(
        "trafficRouting.istio.destinationRule: canarySubsetName and stableSubsetName are both \
         `{0}`, and must differ"
    )]
    SubsetsEqual(String),
    /// A subset of the split is said to be the user's own.
    #[error(
        "trafficRouting.istio.destinationRule.additionalSubsetNames: `{0}` is the canary's or \
         the stable subset already"
    )]
    SubsetNotAdditional(String),
    /// Neither Services nor subsets tell the versions apart.
    #[error("{0} must be set to use trafficRouting.istio without a destinationRule")]
    NoService(&'static str),
    /// An object is not there.
    #[error("{kind} `{name}` not found in namespace `{namespace}`: create it, or correct {field}")]
    Missing {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Where it was looked for.
        namespace: String,
        /// The field that names it.
        field: &'static str,
    },
    /// The DestinationRule lacks a subset.
    #[error(
        "DestinationRule `{rule}` has no subset `{subset}`: add it, or correct \
         trafficRouting.istio.destinationRule.{field}"
    )]
    SubsetMissing {
        /// The DestinationRule.
        rule: String,
        /// The subset.
        subset: String,
        /// The field that names the subset.
        field: &'static str,
    },
    /// The subset selects every pod, and is to get traffic as if it were the canary's.
    #[error(
        "DestinationRule subset `{0}` cannot get weight or routes yet: there is no ReplicaSet \
         that it could select"
    )]
    SubsetWithoutPods(String),
    /// A VirtualService cannot carry the split.
    #[error("VirtualService `{service}`: {why}")]
    Service {
        /// Its name.
        service: String,
        /// What is wrong with it.
        why: RouteProblem,
    },
}

/// What is wrong with the routes of a VirtualService.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RouteProblem {
    /// It has none at all.
    #[error("has no http, tls or tcp routes")]
    None,
    /// There are header or mirror routes, which only HTTP has.
    #[error("has no http routes, which setHeaderRoute and setMirrorRoute need")]
    NoHttp,
    /// A named route is not there.
    #[error("HTTP Route '{0}' is not found in the defined Virtual Service.")]
    NotFound(String),
    /// A listed route would be removed by the rollout.
    #[error(
        "HTTP Route '{0}' is one of trafficRouting.managedRoutes, which the rollout makes and \
         removes; give the managed route another name"
    )]
    Managed(String),
    /// There are several, and nothing says which.
    #[error(
        "has several http routes; list those that carry the split in \
         trafficRouting.istio.virtualService.routes"
    )]
    Ambiguous,
    /// All of them are managed.
    #[error("has no http route besides those in trafficRouting.managedRoutes")]
    OnlyManaged,
    /// A header or mirror route that the rollout may not make.
    #[error("route '{0}' is not one of trafficRouting.managedRoutes; add it there")]
    Unmanaged(String),
    /// No TLS route matches what was listed.
    #[error("No matching TLS routes found in the defined Virtual Service.")]
    NoTls,
    /// No TCP route matches what was listed.
    #[error("No matching TCP routes found in the defined Virtual Service.")]
    NoTcp,
    /// A route does not lead to a version.
    #[error("{side} {what} '{name}' not found in route")]
    Lacks {
        /// `Canary` or `Stable`.
        side: &'static str,
        /// `Service` or `DestinationRule subset`.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A route leads to a version more than once.
    #[error("{side} {what} '{name}' occurs more than once in a route; keep one destination of it")]
    Repeats {
        /// `Canary` or `Stable`.
        side: &'static str,
        /// `Service` or `DestinationRule subset`.
        what: &'static str,
        /// Its name.
        name: String,
    },
}

impl From<Problem> for sluice_sdk::Error {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::SubsetWithoutPods(_) => Self::transient(problem.to_string()),
            _ => Self::invalid_config(problem.to_string()),
        }
    }
}
