//! How a new version replaces the old one.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_with::skip_serializing_none;

pub use crate::analysis::{RolloutAnalysis, RolloutAnalysisBackground};
pub use crate::experiment::{
    ExperimentStep, ExperimentStepAnalysis, ExperimentStepTemplate, TemplateService,
};
use crate::quantity::{ExtraMetadata, IntOrString, anything};
pub use crate::traffic::TrafficRouting;

/// Exactly one of canary and blueGreen.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStrategy {
    /// Two complete fleets, and a switch from one to the other.
    pub blue_green: Option<BlueGreenStrategy>,
    /// The new version takes over step by step.
    pub canary: Option<CanaryStrategy>,
}

/// Two complete fleets, and a switch from one to the other.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlueGreenStrategy {
    /// The Service that receives production traffic.
    pub active_service: String,
    /// The Service that shows the new version before the switch.
    pub preview_service: Option<String>,
    /// How many pods the new version has before the switch. Default: all.
    pub preview_replica_count: Option<i32>,
    /// Whether the switch needs no promotion. Default: true.
    pub auto_promotion_enabled: Option<bool>,
    /// How many seconds the new version is available before it is promoted by itself.
    /// Default: 0.
    pub auto_promotion_seconds: Option<i32>,
    /// How many pods a restart may take down at once, as a number or a share. Default: 25%.
    pub max_unavailable: Option<IntOrString>,
    /// How many seconds the old version outlives the switch. Default: 30.
    pub scale_down_delay_seconds: Option<i32>,
    /// How many old versions may wait for their end at a time. Default: any number.
    pub scale_down_delay_revision_limit: Option<i32>,
    /// Analysis that must succeed before the switch.
    pub pre_promotion_analysis: Option<RolloutAnalysis>,
    /// Keeps old and new pods on different nodes.
    pub anti_affinity: Option<AntiAffinity>,
    /// Analysis after the switch; its failure switches back.
    pub post_promotion_analysis: Option<RolloutAnalysis>,
    /// Added to the pods while they are the preview.
    pub preview_metadata: Option<ExtraMetadata>,
    /// Added to the pods while they are active.
    pub active_metadata: Option<ExtraMetadata>,
    /// How many seconds an aborted version is kept. Default: 30; 0 keeps it for good.
    pub abort_scale_down_delay_seconds: Option<i32>,
}

/// The new version takes over step by step.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryStrategy {
    /// The Service that selects the new version only.
    pub canary_service: Option<String>,
    /// The Service that selects the stable version only.
    pub stable_service: Option<String>,
    /// What is done, in this order, before the new version is stable.
    pub steps: Option<Vec<CanaryStep>>,
    /// Who splits the traffic. Without it, the numbers of pods do.
    pub traffic_routing: Option<TrafficRouting>,
    /// How many pods may be missing during the update, as a number or a share. Default: 25%.
    pub max_unavailable: Option<IntOrString>,
    /// How many pods may be added during the update, as a number or a share. Default: 25%.
    pub max_surge: Option<IntOrString>,
    /// Analysis that runs beside the steps.
    pub analysis: Option<RolloutAnalysisBackground>,
    /// Keeps old and new pods on different nodes.
    pub anti_affinity: Option<AntiAffinity>,
    /// Added to the pods while they are the canary.
    pub canary_metadata: Option<ExtraMetadata>,
    /// Added to the pods while they are stable.
    pub stable_metadata: Option<ExtraMetadata>,
    /// How many seconds the old version outlives the update. Only with trafficRouting.
    /// Default: 30.
    pub scale_down_delay_seconds: Option<i32>,
    /// How many old versions may wait for their end at a time. Default: any number.
    pub scale_down_delay_revision_limit: Option<i32>,
    /// How many seconds an aborted canary is kept. Only with trafficRouting. Default: 30; 0 keeps
    /// it for good.
    pub abort_scale_down_delay_seconds: Option<i32>,
    /// Whether the stable version shrinks as traffic leaves it. Default: false.
    pub dynamic_stable_scale: Option<bool>,
    /// Two Services that change roles with each update, instead of canaryService and
    /// stableService.
    pub ping_pong: Option<PingPong>,
    /// The fewest pods of a version that has any. Only with trafficRouting.
    pub min_pods_per_replica_set: Option<i32>,
    /// How many pods of a step must be available before the next one.
    pub replica_progress_threshold: Option<ReplicaProgressThreshold>,
}

/// Two Services that change roles with each update.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PingPong {
    /// The Service that is stable first.
    pub ping_service: String,
    /// The Service that is the canary first.
    pub pong_service: String,
}

/// How many pods of a step must be available before the next one.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaProgressThreshold {
    /// Percent or Pods.
    #[serde(rename = "type")]
    pub type_: String,
    /// So many percent, or so many pods.
    pub value: i32,
}

/// Keeps old and new pods on different nodes: exactly one of the two.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AntiAffinity {
    /// As far as possible.
    pub preferred_during_scheduling_ignored_during_execution: Option<PreferredAntiAffinity>,
    /// In any case.
    pub required_during_scheduling_ignored_during_execution: Option<RequiredAntiAffinity>,
}

/// Anti-affinity as far as possible.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreferredAntiAffinity {
    /// How much it counts, 1 to 100.
    pub weight: i32,
}

/// Anti-affinity in any case; nothing to set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RequiredAntiAffinity {}

/// One step of a canary. Normally one member is set.
// The fields stand in the order in which Argo serialises them: the hash over the steps, which
// tells a changed list from the same one, depends on it.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryStep {
    /// How much traffic the new version receives, out of maxTrafficWeight (100).
    pub set_weight: Option<i32>,
    /// Waits.
    pub pause: Option<PauseStep>,
    /// Runs versions side by side for a while.
    pub experiment: Option<ExperimentStep>,
    /// Measures the new version; failure aborts.
    pub analysis: Option<RolloutAnalysis>,
    /// Sets how many pods the new version has, apart from its traffic.
    pub set_canary_scale: Option<SetCanaryScale>,
    /// Sends requests with certain headers to the new version.
    pub set_header_route: Option<SetHeaderRoute>,
    /// Sends copies of requests to the new version.
    pub set_mirror_route: Option<SetMirrorRoute>,
    /// Leaves the step to a plugin.
    pub plugin: Option<PluginStep>,
}

/// A wait.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PauseStep {
    /// Seconds, or a duration such as 5m. Without it, until someone promotes.
    pub duration: Option<IntOrString>,
}

/// How many pods the new version has, apart from its traffic.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SetCanaryScale {
    /// So many percent of spec.replicas.
    pub weight: Option<i32>,
    /// So many pods.
    pub replicas: Option<i32>,
    /// As many as its traffic needs, as if this step had never been.
    pub match_traffic_weight: Option<bool>,
}

/// Sends requests with certain headers to the new version.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SetHeaderRoute {
    /// The route, which must be listed in trafficRouting.managedRoutes.
    pub name: Option<String>,
    /// The headers. Without any, the route is removed.
    #[serde(rename = "match")]
    pub match_: Option<Vec<HeaderMatch>>,
}

/// One header and its value.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeaderMatch {
    /// The name of the header.
    pub header_name: String,
    /// What its value must be.
    pub header_value: StringMatch,
}

/// What a text must be: exactly one of the three.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StringMatch {
    /// This text.
    pub exact: Option<String>,
    /// A text that begins so.
    pub prefix: Option<String>,
    /// A text that this regular expression matches.
    pub regex: Option<String>,
}

/// Sends copies of requests to the new version.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SetMirrorRoute {
    /// The route, which must be listed in trafficRouting.managedRoutes.
    pub name: String,
    /// The requests. Without any, the route is removed.
    #[serde(rename = "match")]
    pub match_: Option<Vec<RouteMatch>>,
    /// How many percent of them are copied. Default: 100.
    pub percentage: Option<i32>,
}

/// What a request must be; all that is set must hold.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouteMatch {
    /// Its method.
    pub method: Option<StringMatch>,
    /// Its path.
    pub path: Option<StringMatch>,
    /// Its headers, by name.
    pub headers: Option<BTreeMap<String, StringMatch>>,
}

/// Leaves a step to a plugin.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PluginStep {
    /// The plugin.
    pub name: String,
    /// What the plugin is told; its own words.
    #[serde(default)]
    #[schemars(schema_with = "anything")]
    pub config: Option<Value>,
}
