//! Experiment, and the step of a Rollout that makes one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_with::skip_serializing_none;

use crate::analysis::{AnalysisPhase, Argument, DryRun, MeasurementRetention, RolloutArgument};
use crate::quantity::{
    DurationString, ExtraMetadata, LabelSelector, ObjectMeta, Time, label_selector,
};
use crate::resource::{api_version, kind, resource};
pub use crate::status::RolloutCondition as ExperimentCondition;
use crate::template::pod_template;

/// Versions that run side by side for a while.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Experiment {
    /// `argoproj.io/v1alpha1`.
    #[serde(default = "api_version::<Experiment>")]
    pub api_version: String,
    /// `Experiment`.
    #[serde(default = "kind::<Experiment>")]
    pub kind: String,
    /// Standard metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is wanted.
    pub spec: ExperimentSpec,
    /// What was seen.
    pub status: Option<ExperimentStatus>,
}

resource!(Experiment, "argoproj.io", "experiments", NamespaceResourceScope { spec, status });

/// What is wanted of an Experiment.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentSpec {
    /// The versions.
    pub templates: Vec<ExperimentTemplate>,
    /// How long it runs once all pods are available. Default: until an analysis or someone
    /// ends it.
    pub duration: Option<DurationString>,
    /// After how many seconds without progress it fails. Default: 600.
    pub progress_deadline_seconds: Option<i32>,
    /// Set by a client to end it.
    pub terminate: Option<bool>,
    /// What is measured meanwhile.
    pub analyses: Option<Vec<ExperimentAnalysis>>,
    /// How many seconds the pods outlive it. Default: 30.
    pub scale_down_delay_seconds: Option<i32>,
    /// Metrics that are measured and shown, but do not count.
    pub dry_run: Option<Vec<DryRun>>,
    /// How many measurements of a metric are kept.
    pub measurement_retention: Option<Vec<MeasurementRetention>>,
    /// Added to the analysis runs.
    pub analysis_run_metadata: Option<ExtraMetadata>,
}

/// A version in an experiment.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentTemplate {
    /// Its name.
    pub name: String,
    /// How many pods. Default: 1.
    pub replicas: Option<i32>,
    /// How many seconds a pod must be ready before it counts as available. Default: 0.
    pub min_ready_seconds: Option<i32>,
    /// Which pods belong to it; no two templates may share any.
    #[schemars(schema_with = "label_selector")]
    pub selector: LabelSelector,
    /// The pods to run.
    #[schemars(schema_with = "pod_template")]
    pub template: Value,
    /// Makes a Service for it.
    pub service: Option<TemplateService>,
}

/// A Service that is made for a version in an experiment.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateService {
    /// Its name. Default: that of the ReplicaSet.
    pub name: Option<String>,
}

/// What is measured during an experiment.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentAnalysis {
    /// Its name.
    pub name: String,
    /// The template that the run is made of.
    pub template_name: String,
    /// Whether that is a ClusterAnalysisTemplate. Default: false.
    pub cluster_scope: Option<bool>,
    /// The arguments of the run.
    pub args: Option<Vec<Argument>>,
    /// Whether the experiment waits for the run to end. Default: false.
    pub required_for_completion: Option<bool>,
}

/// What was seen of an Experiment.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentStatus {
    /// Pending, Running, Successful, Failed, Error or Inconclusive.
    pub phase: Option<AnalysisPhase>,
    /// Why the phase is what it is.
    pub message: Option<String>,
    /// What became of each version.
    pub template_statuses: Option<Vec<TemplateStatus>>,
    /// When all pods were available, from which the duration counts.
    #[schemars(extend("format" = "date-time"))]
    pub available_at: Option<Time>,
    /// What is true and what is not: InvalidSpec, Completed, Progressing, Running,
    /// ReplicaFailure.
    pub conditions: Option<Vec<ExperimentCondition>>,
    /// What became of each analysis.
    pub analysis_runs: Option<Vec<ExperimentAnalysisRun>>,
}

/// What became of a version in an experiment.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateStatus {
    /// Its name.
    pub name: String,
    /// How many pods there are.
    pub replicas: i32,
    /// How many of them are as the template says.
    pub updated_replicas: i32,
    /// How many of them are ready.
    pub ready_replicas: i32,
    /// How many of them are available.
    pub available_replicas: i32,
    /// How many ReplicaSet names were taken.
    pub collision_count: Option<i32>,
    /// Progressing, Running, Successful, Failed or Error.
    pub status: Option<String>,
    /// Why the status is what it is.
    pub message: Option<String>,
    /// When it last made progress.
    #[schemars(extend("format" = "date-time"))]
    pub last_transition_time: Option<Time>,
    /// Its Service.
    pub service_name: Option<String>,
    /// Its revision.
    pub pod_template_hash: Option<String>,
}

/// What became of an analysis of an experiment.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentAnalysisRun {
    /// The analysis.
    pub name: String,
    /// The AnalysisRun.
    pub analysis_run: String,
    /// Its phase.
    pub phase: AnalysisPhase,
    /// Why the phase is what it is.
    pub message: Option<String>,
}

/// The step of a canary that makes an experiment.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentStep {
    /// The versions.
    pub templates: Vec<ExperimentStepTemplate>,
    /// How long it runs once all pods are available.
    pub duration: Option<DurationString>,
    /// What is measured meanwhile.
    pub analyses: Option<Vec<ExperimentStepAnalysis>>,
    /// Metrics that are measured and shown, but do not count.
    pub dry_run: Option<Vec<DryRun>>,
    /// Added to the analysis runs.
    pub analysis_run_metadata: Option<ExtraMetadata>,
    /// How many seconds the pods outlive it. Default: 30.
    pub scale_down_delay_seconds: Option<i32>,
}

/// A version in an experiment of a canary.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentStepTemplate {
    /// Its name.
    pub name: String,
    /// Whose pod template it has: canary or stable.
    pub spec_ref: String,
    /// How many pods. Default: 1.
    pub replicas: Option<i32>,
    /// Added to its pods.
    pub metadata: Option<ExtraMetadata>,
    /// Which pods belong to it. Default: as the Rollout.
    #[serde(default)]
    #[schemars(schema_with = "label_selector")]
    pub selector: Option<LabelSelector>,
    /// How many percent of the traffic it receives. Only with some routers.
    pub weight: Option<i32>,
    /// Makes a Service for it.
    pub service: Option<TemplateService>,
}

/// What is measured during an experiment of a canary.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentStepAnalysis {
    /// Its name.
    pub name: String,
    /// The template that the run is made of.
    pub template_name: String,
    /// Whether that is a ClusterAnalysisTemplate. Default: false.
    pub cluster_scope: Option<bool>,
    /// The arguments of the run.
    pub args: Option<Vec<RolloutArgument>>,
    /// Whether the experiment waits for the run to end. Default: false.
    pub required_for_completion: Option<bool>,
}
