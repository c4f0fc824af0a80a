//! The card: what a person wants to know of one rollout.

use jiff::Timestamp;
use serde::Serialize;

use crate::explain::Waits;

/// Everything about one rollout at one moment. In JSON, members are in camel case and absent
/// members are left out.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Card {
    /// Name of the rollout.
    pub name: String,
    /// Namespace of the rollout.
    pub namespace: String,
    /// The client's view of the phase; see [`crate::phase()`].
    pub phase: String,
    /// Why it has this phase; may be empty.
    pub message: String,
    /// What it waits for, where that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits: Option<Waits>,
    /// `Canary`, `BlueGreen`, or empty when the spec names neither.
    pub strategy: String,
    /// Place in the list of steps; only for a canary with steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// The weight that the steps ask for; only for a canary. Its whole is 100 unless the
    /// rollout sets `maxTrafficWeight`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_weight: Option<i64>,
    /// The weight that the wanted revision receives now; only for a canary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual_weight: Option<i64>,
    /// Images of all ReplicaSets that are not scaled down, newest revision first.
    pub images: Vec<Image>,
    /// Pod counts over all ReplicaSets.
    pub replicas: Replicas,
    /// Revisions, newest first.
    pub revisions: Vec<Revision>,
    /// When the rollout was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// When this card was made; ages are counted from here.
    pub seen_at: Timestamp,
}

/// A place in the list of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// How many steps are completed.
    pub completed: i64,
    /// How many there are.
    pub total: i64,
}

/// An image, and what it is used for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Image {
    /// The image as the pod template names it.
    pub image: String,
    /// Roles of the ReplicaSets that run it.
    pub roles: Vec<Role>,
    /// Names of the experiments that run it.
    pub experiments: Vec<String>,
}

/// What a ReplicaSet is to its rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The revision being tried out.
    Canary,
    /// The revision to fall back to.
    Stable,
    /// The revision behind the active service.
    Active,
    /// The revision behind the preview service.
    Preview,
}

impl Role {
    /// The role in one lower-case word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Canary => "canary",
            Self::Stable => "stable",
            Self::Active => "active",
            Self::Preview => "preview",
        }
    }
}

/// Pod counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Replicas {
    /// Wanted by the spec; an unset count is 1.
    pub desired: i64,
    /// Existing.
    pub current: i64,
    /// Of the wanted revision.
    pub updated: i64,
    /// Ready.
    pub ready: i64,
    /// Ready for at least `minReadySeconds`.
    pub available: i64,
}

/// One revision, and what belongs to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Revision {
    /// Its number; 0 collects objects that carry none.
    pub number: i64,
    /// ReplicaSets of the rollout, by name.
    pub replica_sets: Vec<ReplicaSet>,
    /// Experiments, oldest first.
    pub experiments: Vec<Experiment>,
    /// Analysis runs of the rollout, oldest first.
    pub analysis_runs: Vec<Run>,
}

/// A ReplicaSet and its pods.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaSet {
    /// Name of the object.
    pub name: String,
    /// `Healthy`, `Progressing`, `Degraded` or `ScaledDown`.
    pub status: String,
    /// What it is to the rollout; empty for retired ones and those of experiments.
    pub roles: Vec<Role>,
    /// Images of its containers, in their order.
    pub images: Vec<String>,
    /// Wanted pods.
    pub desired: i64,
    /// Available pods.
    pub available: i64,
    /// When it will be scaled down, if that is decided and there is something to scale down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_down_at: Option<Timestamp>,
    /// When it was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// Pods, oldest first.
    pub pods: Vec<Pod>,
}

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pod {
    /// Name of the object.
    pub name: String,
    /// Its phase, or the reason of a container that does not run.
    pub status: String,
    /// Containers that are ready.
    pub ready: usize,
    /// Containers in all.
    pub containers: usize,
    /// Restarts of all containers together.
    pub restarts: i64,
    /// When it was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
}

/// An experiment, with what it started.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Experiment {
    /// Name of the object.
    pub name: String,
    /// Its phase; `Pending` until one is reported.
    pub status: String,
    /// Why it has this phase; may be empty.
    pub message: String,
    /// Its ReplicaSets, by name.
    pub replica_sets: Vec<ReplicaSet>,
    /// Its analysis runs, oldest first.
    pub analysis_runs: Vec<Run>,
    /// When it was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
}

/// An analysis run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Name of the object.
    pub name: String,
    /// Its phase; `Pending` until one is reported.
    pub status: String,
    /// Why it has this phase; may be empty.
    pub message: String,
    /// `Step`, `Background`, `PrePromotion` or `PostPromotion`; empty outside of a rollout.
    pub part: String,
    /// Measurements by outcome, over all metrics.
    pub counts: Counts,
    /// Jobs that took measurements, in order of metrics and measurements.
    pub jobs: Vec<Job>,
    /// When it was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
}

/// Measurements by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Successful ones.
    pub successful: i64,
    /// Failed ones.
    pub failed: i64,
    /// Inconclusive ones.
    pub inconclusive: i64,
    /// Ones that could not be taken.
    pub error: i64,
}

/// A Job behind a measurement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// Name of the Job.
    pub name: String,
    /// Phase of its measurement.
    pub status: String,
    /// When the measurement was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
}
