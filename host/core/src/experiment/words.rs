//! What an experiment says. Messages of templates are part of the API: users match alerts on them.

use std::fmt;
use std::time::Duration;

use crate::time::Timestamp;

/// The message of an experiment that its analyses brought to a good end.
pub(super) const REQUIRED_COMPLETED: &str = "Required AnalysisRuns completed";

/// The message of a version whose pods did not come.
pub(super) fn too_late(template: &str, deadline: Duration) -> String {
    format!("Template '{template}' exceeded its progressDeadlineSeconds ({})", deadline.as_secs())
}

/// The message of a version whose Service cannot be made, since the name is in use.
pub(super) fn taken(service: &str) -> String {
    format!("Service '{service}' exists and is not controlled by this experiment")
}

/// The message of an analysis whose run somebody deleted.
pub(super) fn deleted(run: &str) -> String {
    format!("AnalysisRun '{run}' was deleted before its end")
}

/// What an experiment waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// What was decided has to be recorded first.
    Itself,
    /// Its specification cannot be followed: why.
    Specification(String),
    /// Not all pods of a version are available.
    Template {
        /// Its name.
        name: String,
        /// What stands in the way, if that is known.
        why: String,
    },
    /// What an analysis needs is not there, or not yet seen.
    Analysis {
        /// Its name.
        name: String,
        /// What is missing.
        why: String,
    },
    /// An analysis run has to end.
    Run(String),
    /// It has not lasted as long as it is to.
    Duration(Timestamp),
    /// Somebody has to end it.
    Somebody,
    /// Its pods are kept for a while.
    ScaleDown {
        /// The version.
        template: String,
        /// Until when.
        until: Timestamp,
    },
    /// A Service of it still gets a share of the traffic.
    Traffic {
        /// The Service.
        service: String,
    },
    /// Pods have to end.
    Pods {
        /// The version.
        template: String,
    },
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Itself => write!(f, "its decision to be recorded"),
            Self::Specification(why) => write!(f, "another specification: {why}"),
            Self::Template { name, why } if why.is_empty() => {
                write!(f, "the pods of template {name} to become available")
            }
            Self::Template { name, why } => write!(f, "template {name}: {why}"),
            Self::Analysis { name, why } => write!(f, "analysis {name}: {why}"),
            Self::Run(name) => write!(f, "analysis run {name} to end"),
            Self::Duration(_) => write!(f, "its duration to pass"),
            Self::Somebody => write!(f, "somebody to end it"),
            Self::ScaleDown { template, .. } => {
                write!(f, "the scale-down delay of template {template} to pass")
            }
            Self::Traffic { service } => {
                write!(f, "the rollout to take back the share of service {service}")
            }
            Self::Pods { template } => write!(f, "the pods of template {template} to end"),
        }
    }
}
