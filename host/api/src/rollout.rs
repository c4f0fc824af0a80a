//! Rollout: what a user writes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_with::skip_serializing_none;

use crate::quantity::{LabelSelector, ObjectMeta, Time, immutable_selector};
use crate::resource::{api_version, kind, resource};
pub use crate::status::RolloutStatus;
pub use crate::strategy::RolloutStrategy;
use crate::template::pod_template;

/// A fleet of pods, and how a new version replaces the old one.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// `argoproj.io/v1alpha1`.
    #[serde(default = "api_version::<Rollout>")]
    pub api_version: String,
    /// `Rollout`.
    #[serde(default = "kind::<Rollout>")]
    pub kind: String,
    /// Standard metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is wanted.
    pub spec: RolloutSpec,
    /// What was seen, and what clients ask of the controller.
    pub status: Option<RolloutStatus>,
}

resource!(Rollout, "argoproj.io", "rollouts", NamespaceResourceScope { spec, status });

/// What is wanted of a Rollout.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutSpec {
    /// How many pods. Default: 1, written back by the controller for autoscalers.
    pub replicas: Option<i32>,
    /// Which pods belong to the Rollout. Required unless workloadRef is set. Immutable.
    #[serde(default)]
    #[schemars(schema_with = "immutable_selector")]
    pub selector: Option<LabelSelector>,
    /// The pods to run. Must be empty if workloadRef is set.
    #[serde(default)]
    #[schemars(schema_with = "pod_template")]
    pub template: Option<Value>,
    /// A workload that lends its pod template, instead of template.
    pub workload_ref: Option<WorkloadRef>,
    /// How many seconds a pod must be ready before it counts as available. Default: 0.
    pub min_ready_seconds: Option<i32>,
    /// Going back to a recent revision skips the steps.
    pub rollback_window: Option<RollbackWindow>,
    /// How a new version replaces the old one: canary or blueGreen.
    pub strategy: Option<RolloutStrategy>,
    /// How many old ReplicaSets are kept. Default: 10.
    pub revision_history_limit: Option<i32>,
    /// Holds the rollout at its step.
    pub paused: Option<bool>,
    /// After how many seconds without progress the rollout counts as degraded. Time spent in a
    /// pause does not count. Default: 600.
    pub progress_deadline_seconds: Option<i32>,
    /// Whether missing the progress deadline aborts the update. Default: false.
    pub progress_deadline_abort: Option<bool>,
    /// Pods that were created before this time are restarted.
    #[schemars(extend("format" = "date-time"))]
    pub restart_at: Option<Time>,
    /// How many finished analysis runs and experiments are kept.
    pub analysis: Option<RunHistory>,
}

/// A workload that lends its pod template.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadRef {
    /// Its API version, such as apps/v1.
    pub api_version: Option<String>,
    /// Deployment, ReplicaSet or PodTemplate.
    pub kind: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// What happens to a Deployment of this name: never, onsuccess or progressively.
    /// Default: never.
    pub scale_down: Option<String>,
}

/// Which revisions can be returned to without the steps.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RollbackWindow {
    /// How many revisions back.
    pub revisions: Option<i32>,
}

/// How many finished analysis runs and experiments are kept.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunHistory {
    /// How many successful ones. Default: 5.
    pub successful_run_history_limit: Option<i32>,
    /// How many that ended Failed, Error or Inconclusive. Default: 5.
    pub unsuccessful_run_history_limit: Option<i32>,
}
