//! Who splits the traffic of a canary.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_with::skip_serializing_none;

use crate::quantity::anything;

/// Who splits the traffic. Several may be set; all of them are kept at the same weight.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrafficRouting {
    /// Istio.
    pub istio: Option<IstioRouting>,
    /// The ingress-nginx controller.
    pub nginx: Option<NginxRouting>,
    /// The AWS load balancer controller.
    pub alb: Option<AlbRouting>,
    /// The Service Mesh Interface.
    pub smi: Option<SmiRouting>,
    /// Ambassador, also known as Emissary.
    pub ambassador: Option<AmbassadorRouting>,
    /// AWS App Mesh.
    pub app_mesh: Option<AppMeshRouting>,
    /// Traefik.
    pub traefik: Option<TraefikRouting>,
    /// The routes that steps may add, first match first.
    pub managed_routes: Option<Vec<ManagedRoute>>,
    /// Apache APISIX.
    pub apisix: Option<ApisixRouting>,
    /// Plugins by name, each with what it is told.
    #[serde(default)]
    #[schemars(schema_with = "anything")]
    pub plugins: Option<BTreeMap<String, Value>>,
    /// The weight that stands for all traffic. Only with nginx or plugins. Default: 100.
    pub max_traffic_weight: Option<i32>,
}

/// A route that steps may add.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedRoute {
    /// Its name.
    pub name: String,
}

/// Istio: one of virtualService and virtualServices.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IstioRouting {
    /// The VirtualService whose weights are set.
    pub virtual_service: Option<IstioVirtualService>,
    /// The DestinationRule whose subsets tell the versions apart, instead of two Services.
    pub destination_rule: Option<IstioDestinationRule>,
    /// Several VirtualServices whose weights are set.
    pub virtual_services: Option<Vec<IstioVirtualService>>,
}

/// A VirtualService whose weights are set.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IstioVirtualService {
    /// Its name, or name.namespace.
    pub name: String,
    /// The HTTP routes, by name. May be omitted if there is only one.
    pub routes: Option<Vec<String>>,
    /// The TLS routes. May be omitted if there is only one.
    pub tls_routes: Option<Vec<TlsRoute>>,
    /// The TCP routes. May be omitted if there is only one.
    pub tcp_routes: Option<Vec<TcpRoute>>,
}

/// A TLS route of a VirtualService.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TlsRoute {
    /// The port that it matches.
    pub port: Option<i64>,
    /// All the SNI hosts that it matches.
    pub sni_hosts: Option<Vec<String>>,
}

/// A TCP route of a VirtualService.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TcpRoute {
    /// The port that it matches.
    pub port: Option<i64>,
}

/// A DestinationRule whose subsets tell the versions apart.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IstioDestinationRule {
    /// Its name.
    pub name: String,
    /// The subset of the new version.
    pub canary_subset_name: String,
    /// The subset of the stable version.
    pub stable_subset_name: String,
    /// Subsets that are left alone, with the weights that they have.
    pub additional_subset_names: Option<Vec<String>>,
}

/// The ingress-nginx controller: one of stableIngress and stableIngresses.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NginxRouting {
    /// The prefix of the annotations. Default: nginx.ingress.kubernetes.io.
    pub annotation_prefix: Option<String>,
    /// The Ingress of the stable version.
    pub stable_ingress: Option<String>,
    /// Annotations of the canary Ingress, without the prefix.
    pub additional_ingress_annotations: Option<BTreeMap<String, String>>,
    /// Several Ingresses of the stable version.
    pub stable_ingresses: Option<Vec<String>>,
    /// Annotations of the canary Ingress, as they are.
    pub canary_ingress_annotations: Option<BTreeMap<String, String>>,
}

/// The AWS load balancer controller: one of ingress and ingresses.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlbRouting {
    /// The Ingress.
    pub ingress: Option<String>,
    /// The port of the Services.
    pub service_port: i32,
    /// The Service that the rules of the Ingress name. Default: stableService.
    pub root_service: Option<String>,
    /// The prefix of the annotations. Default: alb.ingress.kubernetes.io.
    pub annotation_prefix: Option<String>,
    /// Keeps clients with the version that they met first.
    pub stickiness_config: Option<StickinessConfig>,
    /// Several Ingresses.
    pub ingresses: Option<Vec<String>>,
}

/// Keeps clients with the version that they met first.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StickinessConfig {
    /// Whether it does.
    pub enabled: bool,
    /// For how many seconds, 1 to 604800.
    pub duration_seconds: i64,
}

/// The Service Mesh Interface.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SmiRouting {
    /// The Service that clients use. Default: stableService.
    pub root_service: Option<String>,
    /// The TrafficSplit that is made. Default: the name of the Rollout.
    pub traffic_split_name: Option<String>,
}

/// Ambassador, also known as Emissary.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AmbassadorRouting {
    /// The Mappings of the stable version.
    pub mappings: Vec<String>,
}

/// Traefik.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TraefikRouting {
    /// The TraefikService whose weights are set.
    pub weighted_traefik_service_name: String,
}

/// Apache APISIX.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApisixRouting {
    /// The ApisixRoute whose weights are set.
    pub route: Option<ApisixRoute>,
}

/// An ApisixRoute whose weights are set.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApisixRoute {
    /// Its name.
    pub name: String,
    /// The HTTP rules, by name. May be omitted if there is only one.
    pub rules: Option<Vec<String>>,
}

/// AWS App Mesh.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppMeshRouting {
    /// The VirtualService whose router's weights are set.
    pub virtual_service: Option<AppMeshVirtualService>,
    /// The VirtualNodes that tell the versions apart.
    pub virtual_node_group: Option<AppMeshVirtualNodeGroup>,
}

/// A VirtualService of App Mesh.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppMeshVirtualService {
    /// Its name.
    pub name: String,
    /// The routes, by name. May be omitted if there is only one.
    pub routes: Option<Vec<String>>,
}

/// The VirtualNodes that tell the versions apart.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppMeshVirtualNodeGroup {
    /// The VirtualNode of the new version.
    pub canary_virtual_node_ref: AppMeshVirtualNodeRef,
    /// The VirtualNode of the stable version.
    pub stable_virtual_node_ref: AppMeshVirtualNodeRef,
}

/// A VirtualNode of App Mesh.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppMeshVirtualNodeRef {
    /// Its name.
    pub name: String,
}
