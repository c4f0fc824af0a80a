//! AnalysisTemplate, ClusterAnalysisTemplate and AnalysisRun, and how a Rollout refers to them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

pub use crate::provider::MetricProvider;
use crate::quantity::{DurationString, ExtraMetadata, IntOrString, ObjectMeta, Time};
use crate::resource::{api_version, kind, resource};

/// Pending, Running, Successful, Failed, Error or Inconclusive; anything else is kept as it is.
pub type AnalysisPhase = String;

/// What to measure and how to judge it, for the Rollouts of a namespace.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisTemplate {
    /// `argoproj.io/v1alpha1`.
    #[serde(default = "api_version::<AnalysisTemplate>")]
    pub api_version: String,
    /// `AnalysisTemplate`.
    #[serde(default = "kind::<AnalysisTemplate>")]
    pub kind: String,
    /// Standard metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What to measure and how to judge it.
    pub spec: AnalysisTemplateSpec,
}

resource!(AnalysisTemplate, "argoproj.io", "analysistemplates", NamespaceResourceScope { spec });

/// What to measure and how to judge it, for the Rollouts of all namespaces.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterAnalysisTemplate {
    /// `argoproj.io/v1alpha1`.
    #[serde(default = "api_version::<ClusterAnalysisTemplate>")]
    pub api_version: String,
    /// `ClusterAnalysisTemplate`.
    #[serde(default = "kind::<ClusterAnalysisTemplate>")]
    pub kind: String,
    /// Standard metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What to measure and how to judge it.
    pub spec: AnalysisTemplateSpec,
}

resource!(
    ClusterAnalysisTemplate,
    "argoproj.io",
    "clusteranalysistemplates",
    ClusterResourceScope { spec }
);

/// What to measure and how to judge it.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisTemplateSpec {
    /// The measurements. May be omitted if templates has some.
    pub metrics: Option<Vec<Metric>>,
    /// The arguments, with their defaults.
    pub args: Option<Vec<Argument>>,
    /// Metrics that are measured and shown, but do not count.
    pub dry_run: Option<Vec<DryRun>>,
    /// How many measurements of a metric are kept.
    pub measurement_retention: Option<Vec<MeasurementRetention>>,
    /// Templates whose metrics and arguments are added to these.
    pub templates: Option<Vec<AnalysisTemplateRef>>,
}

/// Measurements that were started, and what became of them.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisRun {
    /// `argoproj.io/v1alpha1`.
    #[serde(default = "api_version::<AnalysisRun>")]
    pub api_version: String,
    /// `AnalysisRun`.
    #[serde(default = "kind::<AnalysisRun>")]
    pub kind: String,
    /// Standard metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is measured.
    pub spec: AnalysisRunSpec,
    /// What was measured.
    pub status: Option<AnalysisRunStatus>,
}

resource!(AnalysisRun, "argoproj.io", "analysisruns", NamespaceResourceScope { spec, status });

/// What is measured.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisRunSpec {
    /// The measurements.
    pub metrics: Vec<Metric>,
    /// The arguments.
    pub args: Option<Vec<Argument>>,
    /// Set by a client to stop the run.
    pub terminate: Option<bool>,
    /// Metrics that are measured and shown, but do not count.
    pub dry_run: Option<Vec<DryRun>>,
    /// How many measurements of a metric are kept.
    pub measurement_retention: Option<Vec<MeasurementRetention>>,
    /// How long the run is kept once it ended.
    pub ttl_strategy: Option<TtlStrategy>,
}

/// How long a run is kept once it ended. The most specific member counts.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TtlStrategy {
    /// Seconds after it ended.
    pub seconds_after_completion: Option<i32>,
    /// Seconds after it failed.
    pub seconds_after_failure: Option<i32>,
    /// Seconds after it succeeded.
    pub seconds_after_success: Option<i32>,
}

/// One measurement and how it is judged.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// How long after one measurement the next is made. Without it, only one is.
    pub interval: Option<DurationString>,
    /// How long after the start of the run the first one is made.
    pub initial_delay: Option<DurationString>,
    /// How many are made. Default: 1 without an interval, else any number.
    pub count: Option<IntOrString>,
    /// An expression over result that is true for a good measurement.
    pub success_condition: Option<String>,
    /// An expression over result that is true for a bad measurement.
    pub failure_condition: Option<String>,
    /// How many bad ones are tolerated. Default: 0; -1 tolerates all.
    pub failure_limit: Option<IntOrString>,
    /// How many undecided ones are tolerated. Default: 0.
    pub inconclusive_limit: Option<IntOrString>,
    /// How many errors in a row are tolerated. Default: 4.
    pub consecutive_error_limit: Option<IntOrString>,
    /// After how many good ones in a row the metric succeeds. Default: 0, which is never.
    pub consecutive_success_limit: Option<IntOrString>,
    /// Who measures.
    pub provider: MetricProvider,
}

/// An argument of an analysis.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Argument {
    /// Its name: args.NAME in double braces stands for it.
    pub name: String,
    /// Its value, or its default.
    pub value: Option<String>,
    /// Where its value is found.
    pub value_from: Option<ValueFrom>,
}

/// Where the value of an argument is found.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ValueFrom {
    /// In a Secret.
    pub secret_key_ref: Option<SecretKeyRef>,
    /// In the Rollout.
    pub field_ref: Option<FieldRef>,
}

/// A value in a Secret of the same namespace.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// The Secret.
    pub name: String,
    /// The key in it.
    pub key: String,
}

/// A value in the Rollout.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldRef {
    /// Its path, such as metadata.labels['region'].
    pub field_path: String,
}

/// Metrics that are measured and shown, but do not count.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DryRun {
    /// A regular expression for their names.
    pub metric_name: String,
}

/// How many measurements of a metric are kept.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MeasurementRetention {
    /// A regular expression for the names of the metrics.
    pub metric_name: String,
    /// The most recent so many.
    pub limit: i32,
}

/// A template by name.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisTemplateRef {
    /// Its name.
    pub template_name: Option<String>,
    /// Whether it is a ClusterAnalysisTemplate. Default: false.
    pub cluster_scope: Option<bool>,
}

/// An analysis of a Rollout.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutAnalysis {
    /// The templates that one run is made of.
    pub templates: Option<Vec<AnalysisTemplateRef>>,
    /// The arguments of the run.
    pub args: Option<Vec<RolloutArgument>>,
    /// Metrics that are measured and shown, but do not count.
    pub dry_run: Option<Vec<DryRun>>,
    /// How many measurements of a metric are kept.
    pub measurement_retention: Option<Vec<MeasurementRetention>>,
    /// Added to the run.
    pub analysis_run_metadata: Option<ExtraMetadata>,
}

/// An analysis beside the steps of a canary.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutAnalysisBackground {
    /// The templates that one run is made of.
    pub templates: Option<Vec<AnalysisTemplateRef>>,
    /// The arguments of the run.
    pub args: Option<Vec<RolloutArgument>>,
    /// Metrics that are measured and shown, but do not count.
    pub dry_run: Option<Vec<DryRun>>,
    /// How many measurements of a metric are kept.
    pub measurement_retention: Option<Vec<MeasurementRetention>>,
    /// Added to the run.
    pub analysis_run_metadata: Option<ExtraMetadata>,
    /// The step with which it begins. Default: 0.
    pub starting_step: Option<i32>,
}

/// An argument that a Rollout gives to an analysis.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutArgument {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Option<String>,
    /// Where its value is found.
    pub value_from: Option<RolloutValueFrom>,
}

/// Where the value of an argument is found.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutValueFrom {
    /// The revision of a version: Stable or Latest.
    pub pod_template_hash_value: Option<String>,
    /// In the Rollout.
    pub field_ref: Option<FieldRef>,
}

/// What was measured.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisRunStatus {
    /// Pending, Running, Successful, Failed, Error or Inconclusive.
    pub phase: AnalysisPhase,
    /// Why the phase is what it is.
    pub message: Option<String>,
    /// What became of each metric.
    pub metric_results: Option<Vec<MetricResult>>,
    /// When the run began.
    #[schemars(extend("format" = "date-time"))]
    pub started_at: Option<Time>,
    /// How many metrics ended how.
    pub run_summary: Option<RunSummary>,
    /// How many metrics that do not count ended how.
    pub dry_run_summary: Option<RunSummary>,
    /// When the run ended.
    #[schemars(extend("format" = "date-time"))]
    pub completed_at: Option<Time>,
}

/// How many metrics ended how.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunSummary {
    /// All of them.
    pub count: Option<i32>,
    /// Successful ones.
    pub successful: Option<i32>,
    /// Failed ones.
    pub failed: Option<i32>,
    /// Undecided ones.
    pub inconclusive: Option<i32>,
    /// Those that could not be measured.
    pub error: Option<i32>,
}

/// What became of a metric.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricResult {
    /// The metric.
    pub name: String,
    /// Pending, Running, Successful, Failed, Error or Inconclusive.
    pub phase: AnalysisPhase,
    /// The most recent measurements, oldest first.
    pub measurements: Option<Vec<Measurement>>,
    /// Why the phase is what it is.
    pub message: Option<String>,
    /// How many measurements there were, errors not counted.
    pub count: Option<i32>,
    /// How many of them were good.
    pub successful: Option<i32>,
    /// How many of them were bad.
    pub failed: Option<i32>,
    /// How many of them were undecided.
    pub inconclusive: Option<i32>,
    /// How many measurements could not be made.
    pub error: Option<i32>,
    /// How many of these stand in a row at the end.
    pub consecutive_error: Option<i32>,
    /// Whether the metric does not count.
    pub dry_run: Option<bool>,
    /// What the provider says of all measurements, such as the query it resolved.
    pub metadata: Option<BTreeMap<String, String>>,
    /// How many good measurements stand in a row at the end.
    pub consecutive_success: Option<i32>,
}

/// One measurement.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Measurement {
    /// Pending, Running, Successful, Failed, Error or Inconclusive.
    pub phase: AnalysisPhase,
    /// Why the phase is what it is.
    pub message: Option<String>,
    /// When it began.
    #[schemars(extend("format" = "date-time"))]
    pub started_at: Option<Time>,
    /// When it ended.
    #[schemars(extend("format" = "date-time"))]
    pub finished_at: Option<Time>,
    /// The value, as text.
    pub value: Option<String>,
    /// What the provider says of it, and needs to resume it.
    pub metadata: Option<BTreeMap<String, String>>,
    /// When to look again.
    #[schemars(extend("format" = "date-time"))]
    pub resume_at: Option<Time>,
}
