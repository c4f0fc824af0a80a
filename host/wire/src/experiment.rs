//! Experiments at the door: an experiment and what belongs to it become an observation, orders
//! become writes, and the decision becomes status.
//!
//! What a step of a rollout makes of its experiments, and reads of them, is in
//! [`crate::rollout::experiment`]. The two meet only in the object.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use sluice_core::Timestamp;
use sluice_core::traffic::Traffic;

use crate::objects::{ReplicaSet, Service, TemplateName};

mod check;
mod make;
mod name;
pub mod observe;
pub mod project;
pub mod run;
pub mod turn;

pub use turn::{Turn, turn};

/// Everything that one turn of an experiment may see.
#[derive(Clone, Debug)]
pub struct Objects {
    /// The one clock reading.
    pub now: Timestamp,
    /// The Experiment.
    pub experiment: Arc<Value>,
    /// The ReplicaSets that it controls.
    pub replica_sets: Vec<Arc<ReplicaSet>>,
    /// The Services that it controls, and those whose names it could want.
    pub services: BTreeMap<String, Arc<Service>>,
    /// The AnalysisRuns that it controls.
    pub runs: Vec<Arc<Value>>,
    /// Every analysis template of the namespace, and those of the cluster.
    pub templates: BTreeMap<TemplateName, Arc<Value>>,
    /// What is known of the traffic of its owner, if that has routers.
    pub traffic: Option<Traffic>,
    /// The revisions of pods in the namespace that are somebody else's.
    pub hashes: BTreeSet<String>,
    /// The controller's instance id; empty for the default instance.
    pub instance: String,
    /// What no watch shows.
    pub learnt: Learnt,
}

/// What is known since the API server said no.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Learnt {
    /// Kind and name of what somebody else has.
    pub taken: BTreeSet<(String, String)>,
    /// Why the server will not have an object of this kind and name, whenever it is asked.
    pub refused: BTreeMap<(String, String), String>,
    /// Why it could not be made when it was last tried.
    pub trouble: BTreeMap<(String, String), String>,
}

impl Learnt {
    /// What is known of an object that was to be made.
    fn about<'l>(
        known: &'l BTreeMap<(String, String), String>,
        kind: &str,
        name: &str,
    ) -> Option<&'l String> {
        known.get(&(kind.to_owned(), name.to_owned()))
    }
}
