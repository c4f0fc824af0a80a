//! Rollout: what was seen, and what clients ask of the controller.
//!
//! Clients write into the status too: `abort`, `pauseConditions`, `promoteFull` and
//! `currentStepIndex` are how promotion and abortion are asked for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_with::skip_serializing_none;

use crate::quantity::{DurationString, Time, anything};

/// What was seen of a Rollout, and what clients ask of the controller.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStatus {
    /// Set by a client to abort the update, removed by a client to try again.
    pub abort: Option<bool>,
    /// Why the rollout waits. A client promotes by setting it to null.
    pub pause_conditions: Option<Vec<PauseCondition>>,
    /// Whether the controller itself paused the rollout.
    pub controller_pause: Option<bool>,
    /// When the update was aborted.
    #[schemars(extend("format" = "date-time"))]
    pub aborted_at: Option<Time>,
    /// The revision that the pod template asks for.
    pub current_pod_hash: Option<String>,
    /// The steps that currentStepIndex counts in.
    pub current_step_hash: Option<String>,
    /// How many pods there are.
    pub replicas: Option<i32>,
    /// How many of them are of the new version.
    pub updated_replicas: Option<i32>,
    /// How many of them are ready.
    pub ready_replicas: Option<i32>,
    /// How many of them are available: ready for minReadySeconds.
    pub available_replicas: Option<i32>,
    /// The step at which the rollout is; the number of steps once all are done.
    pub current_step_index: Option<i32>,
    /// How many revision names were taken.
    pub collision_count: Option<i32>,
    /// The generation that this status is about, as text.
    pub observed_generation: Option<String>,
    /// What is true and what is not; the most recent change stands last.
    pub conditions: Option<Vec<RolloutCondition>>,
    /// What only canaries have.
    pub canary: Option<CanaryStatus>,
    /// What only blue-green rollouts have.
    pub blue_green: Option<BlueGreenStatus>,
    /// How many pods an autoscaler should count.
    #[serde(rename = "HPAReplicas")]
    pub hpa_replicas: Option<i32>,
    /// Which pods an autoscaler should count.
    pub selector: Option<String>,
    /// The stable revision.
    #[serde(rename = "stableRS")]
    pub stable_rs: Option<String>,
    /// When the pods were last restarted.
    #[schemars(extend("format" = "date-time"))]
    pub restarted_at: Option<Time>,
    /// Set by a client to skip all steps, analyses and pauses.
    pub promote_full: Option<bool>,
    /// Healthy, Degraded, Progressing or Paused.
    pub phase: Option<String>,
    /// Why the phase is what it is.
    pub message: Option<String>,
    /// The generation of the workload that lends its template, as text.
    pub workload_observed_generation: Option<String>,
    /// The load balancer, if there is one Ingress.
    pub alb: Option<AlbStatus>,
    /// The load balancers, if there are several Ingresses.
    pub albs: Option<Vec<AlbStatus>>,
    /// How long the update took.
    pub duration: Option<RolloutDuration>,
}

/// Why a rollout waits.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PauseCondition {
    /// InconclusiveAnalysisRun, InconclusiveExperiment, CanaryPauseStep or BlueGreenPause.
    pub reason: String,
    /// Since when.
    #[schemars(extend("format" = "date-time"))]
    pub start_time: Time,
}

/// Something that is true of an object, or not.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutCondition {
    /// What it is about, such as Available, Progressing, Paused, Completed or InvalidSpec.
    #[serde(rename = "type")]
    pub type_: String,
    /// True, False or Unknown.
    pub status: String,
    /// When it was last touched.
    #[schemars(extend("format" = "date-time"))]
    pub last_update_time: Time,
    /// When status last changed.
    #[schemars(extend("format" = "date-time"))]
    pub last_transition_time: Time,
    /// Why, in one word.
    pub reason: String,
    /// Why, for people.
    pub message: String,
}

/// What only canaries have.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryStatus {
    /// The analysis of the current step.
    pub current_step_analysis_run_status: Option<AnalysisRunRef>,
    /// The analysis beside the steps.
    pub current_background_analysis_run_status: Option<AnalysisRunRef>,
    /// The experiment of the current step.
    pub current_experiment: Option<String>,
    /// How the traffic is split.
    pub weights: Option<TrafficWeights>,
    /// Which of the two Services is stable: ping or pong.
    pub stable_ping_pong: Option<String>,
    /// What plugins made of the steps that were left to them.
    pub step_plugin_statuses: Option<Vec<StepPluginStatus>>,
}

/// An analysis run of a Rollout.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisRunRef {
    /// Its name.
    pub name: String,
    /// Its phase.
    pub status: String,
    /// Why the phase is what it is.
    pub message: Option<String>,
}

/// How the traffic is split.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrafficWeights {
    /// The new version.
    pub canary: WeightDestination,
    /// The stable version.
    pub stable: WeightDestination,
    /// Experiments.
    pub additional: Option<Vec<WeightDestination>>,
    /// Whether the data plane says that it took the weights up. Absent if it cannot tell.
    pub verified: Option<bool>,
}

/// How much traffic one version receives.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WeightDestination {
    /// So much, out of maxTrafficWeight (100).
    pub weight: i32,
    /// The Service.
    pub service_name: Option<String>,
    /// The revision.
    pub pod_template_hash: Option<String>,
}

/// What a plugin made of a step that was left to it.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepPluginStatus {
    /// Which step.
    pub index: i32,
    /// Which plugin.
    pub name: String,
    /// Why the phase is what it is.
    pub message: Option<String>,
    /// When it was first called.
    #[schemars(extend("format" = "date-time"))]
    pub started_at: Option<Time>,
    /// When it was last called.
    #[schemars(extend("format" = "date-time"))]
    pub updated_at: Option<Time>,
    /// When it ended.
    #[schemars(extend("format" = "date-time"))]
    pub finished_at: Option<Time>,
    /// Run, Terminate or Abort.
    pub operation: Option<String>,
    /// Running, Successful, Failed or Error.
    pub phase: Option<String>,
    /// How long to wait before the next call.
    pub backoff: Option<DurationString>,
    /// How many calls there were.
    pub executions: Option<i32>,
    /// Whether the plugin is turned off, so that the step passes.
    pub disabled: Option<bool>,
    /// What the plugin wants to know at the next call; its own words.
    #[serde(default)]
    #[schemars(schema_with = "anything")]
    pub status: Option<Value>,
}

/// What only blue-green rollouts have.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlueGreenStatus {
    /// The revision of the preview Service.
    pub preview_selector: Option<String>,
    /// The revision of the active Service.
    pub active_selector: Option<String>,
    /// Whether the preview may grow beyond previewReplicaCount.
    pub scale_up_preview_check_point: Option<bool>,
    /// The analysis before the switch.
    pub pre_promotion_analysis_run_status: Option<AnalysisRunRef>,
    /// The analysis after the switch.
    pub post_promotion_analysis_run_status: Option<AnalysisRunRef>,
}

/// What was found of a load balancer.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlbStatus {
    /// The load balancer.
    pub load_balancer: Option<AwsResourceRef>,
    /// The target group of the new version.
    pub canary_target_group: Option<AwsResourceRef>,
    /// The target group of the stable version.
    pub stable_target_group: Option<AwsResourceRef>,
    /// The Ingress.
    pub ingress: Option<String>,
}

/// Something in AWS.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsResourceRef {
    /// Its name.
    pub name: Option<String>,
    /// Its Amazon resource name.
    pub arn: Option<String>,
    /// Its name as CloudWatch wants it.
    pub full_name: Option<String>,
}

/// How long an update took.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutDuration {
    /// When it began.
    #[schemars(extend("format" = "date-time"))]
    pub rollout_started_at: Option<Time>,
    /// When it began to wait for someone, if it does.
    #[schemars(extend("format" = "date-time"))]
    pub manual_pause_started_at: Option<Time>,
    /// How many seconds it waited for someone.
    pub total_manual_pause_duration_seconds: Option<i64>,
    /// When it ended.
    #[schemars(extend("format" = "date-time"))]
    pub finished_at: Option<Time>,
    /// Promoted, FastPromoted, Aborted, Superseded, RolledBack or FastRolledBack.
    pub completion_status: Option<String>,
}
