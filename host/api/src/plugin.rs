//! Plugin: a component that measures or routes, and what it may do.
//!
//! An empty permission list permits nothing. A Plugin with the name of a bundled component takes
//! its place.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_with::skip_serializing_none;

use crate::quantity::{DurationString, ObjectMeta, Time, anything};
use crate::resource::{api_version, kind, resource};

/// A component that measures or routes, and what it may do.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plugin {
    /// `sluice.dev/v1alpha1`.
    #[serde(default = "api_version::<Plugin>")]
    pub api_version: String,
    /// `Plugin`.
    #[serde(default = "kind::<Plugin>")]
    pub kind: String,
    /// Standard metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is wanted.
    pub spec: PluginSpec,
    /// What was seen.
    pub status: Option<PluginStatus>,
}

resource!(Plugin, "sluice.dev", "plugins", ClusterResourceScope { spec, status });

/// What is wanted of a Plugin.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.digest) || has(self.source.bundled)",
    "message": "a component that is not bundled needs a digest"
}]))]
pub struct PluginSpec {
    /// The name under which Rollouts and metrics use it, such as acme/datadog. Default:
    /// metadata.name.
    pub name: Option<String>,
    /// Where the component is.
    pub source: PluginSource,
    /// The SHA-256 of the component's bytes, as sha256:HEX. Required unless it is bundled.
    #[schemars(extend("pattern" = "^sha256:[0-9a-f]{64}$"))]
    pub digest: Option<String>,
    /// Who must have signed the component in source.oci. Default: nobody.
    pub verify: Option<PluginVerification>,
    /// A Secret of the type kubernetes.io/dockerconfigjson with the credentials for source.oci.
    pub pull_secret: Option<PullSecret>,
    /// What it may do. Default: nothing; for a bundled component, what it may without a Plugin.
    pub permissions: Option<PluginPermissions>,
    /// How its requests go out. Default: like those of all components.
    pub egress: Option<PluginEgress>,
    /// How much it may use. Default: as the controller is told.
    pub limits: Option<PluginLimits>,
    /// When a new component takes over: Immediate, or OnNewRun, which lets an analysis run end
    /// with the component it began with. Default: OnNewRun for metrics, Immediate for routers.
    #[schemars(extend("enum" = ["Immediate", "OnNewRun"]))]
    pub swap_policy: Option<String>,
    /// How a notifier is configured, in its own words; nothing secret. Other components are
    /// configured where they are used.
    #[serde(default)]
    #[schemars(schema_with = "anything")]
    pub config: Option<Value>,
}

/// Where a component is: exactly one member.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub struct PluginSource {
    /// In a registry: an image reference, such as ghcr.io/acme/datadog:1.4. The digest of spec is
    /// that of the component's bytes, which are the layer application/wasm.
    pub oci: Option<String>,
    /// In files that the controller can read, in the layout of images on disk.
    pub oci_layout: Option<OciLayoutSource>,
    /// In a ConfigMap, under binaryData.
    pub config_map: Option<ConfigMapSource>,
    /// Behind a URL, https://.
    pub url: Option<String>,
    /// In a file that the controller can read: an absolute path.
    pub file: Option<String>,
    /// In the controller: the name of a bundled component.
    pub bundled: Option<String>,
}

/// A component in the layout of images on disk.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OciLayoutSource {
    /// The folder, or the same as a tar file: an absolute path.
    pub path: String,
    /// Which of those in it: the annotation org.opencontainers.image.ref.name, or the digest of
    /// the manifest. Needed where there are several.
    pub name: Option<String>,
}

/// Who must have signed a component: exactly one member.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub struct PluginVerification {
    /// The owner of this key: the text of cosign.pub, an ECDSA public key on the curve P-256 in
    /// PEM. The signature is looked for in the repository, under the tag that cosign gives it;
    /// no other server is asked.
    pub key: Option<String>,
    /// The same with the text in a Secret.
    pub key_secret_ref: Option<SecretRef>,
    /// Whoever had a certificate of this identity. This controller refuses it.
    pub keyless: Option<KeylessIdentity>,
}

/// An identity in a certificate of Sigstore's.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeylessIdentity {
    /// Who vouches for it.
    pub issuer: Option<String>,
    /// Who it is.
    pub subject: Option<String>,
}

/// A Secret with credentials for registries.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PullSecret {
    /// The namespace. Default: the controller's.
    pub namespace: Option<String>,
    /// The Secret.
    pub name: String,
}

/// A component in a ConfigMap.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapSource {
    /// The namespace. Default: the controller's.
    pub namespace: Option<String>,
    /// The ConfigMap.
    pub name: String,
    /// The key under binaryData. Default: plugin.wasm.
    pub key: Option<String>,
}

/// What a component may do.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PluginPermissions {
    /// The servers that it may speak to.
    pub http: Option<Vec<HttpPermission>>,
    /// The objects that a router may read or change, which the controller does for it. Default:
    /// kinds that carry routings, such as Ingress, VirtualService and HTTPRoute, in the Rollout's
    /// namespace and in those that its trafficRouting names. An empty list permits nothing.
    pub kubernetes: Option<Vec<KubernetesPermission>>,
    /// The secrets that it may read.
    pub secrets: Option<Vec<SecretPermission>>,
}

/// How the requests of a component go out.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PluginEgress {
    /// Whether servers in private networks may be reached, which is where those of the cluster
    /// are. Default: true.
    pub private_ranges: Option<bool>,
    /// The proxy of all its requests: scheme, host and port, such as
    /// http://proxy.example.com:3128. It resolves names, so where they lead is for it to judge.
    /// Default: the one in the controller's environment, if there is any.
    pub proxy: Option<String>,
    /// Certificates of authorities in PEM that are trusted beside those of the system.
    pub ca_bundle: Option<String>,
}

/// A server that a component may speak to.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpPermission {
    /// Scheme, host and port, such as `https://api.datadoghq.com:443`; or * for any server, where
    /// the users of a component name the servers.
    #[schemars(extend("pattern" = "^(\\*|https?://[^/]+)$"))]
    pub url: String,
    /// The methods, in capitals; * is any. Default: GET and HEAD.
    pub methods: Option<Vec<String>>,
    /// Whether it may ask not to check the server's certificate. Default: false.
    pub insecure: Option<bool>,
    /// A credential that is added on the way out; the component never sees it.
    pub auth: Option<HttpCredential>,
}

/// A credential that is added to requests.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpCredential {
    /// The header that carries it.
    pub header: String,
    /// What stands before it, such as Bearer and a space.
    pub prefix: Option<String>,
    /// Where it is.
    pub secret_ref: SecretRef,
}

/// A value in a Secret.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// The namespace. Default: the controller's.
    pub namespace: Option<String>,
    /// The Secret.
    pub name: String,
    /// The key in it.
    pub key: String,
}

/// Objects that a component may read or change.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KubernetesPermission {
    /// Their API version, such as networking.istio.io/v1.
    pub api_version: String,
    /// Their kinds.
    pub kinds: Vec<String>,
    /// get, find, patch, create or remove.
    #[schemars(extend("items" = {
        "type": "string", "enum": ["get", "find", "patch", "create", "remove"]
    }))]
    pub verbs: Vec<String>,
    /// rollout-namespace, or cluster: also in namespaces that the Rollout's trafficRouting names,
    /// and of kinds that belong to no namespace, to get and to find. Default: rollout-namespace.
    #[schemars(extend("enum" = ["rollout-namespace", "cluster"]))]
    pub scope: Option<String>,
    /// Only those with these names. Default: any.
    pub names: Option<Vec<String>>,
}

/// A secret that a component may read.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretPermission {
    /// The name by which the component asks for it.
    pub alias: String,
    /// Where it is.
    pub secret_ref: SecretRef,
}

/// How much one call of a component may use.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PluginLimits {
    /// Memory, as a quantity. Default: 64Mi.
    #[schemars(extend("pattern" = "^[0-9]+(Ki|Mi|Gi)?$"))]
    pub memory: Option<String>,
    /// Time on the clock, waiting included. Default: 30s for metrics, 15s for routers.
    pub wall: Option<DurationString>,
    /// Time on a processor. Default: 1s.
    pub cpu: Option<DurationString>,
    /// How many calls may run at a time. Default: 8.
    #[schemars(extend("minimum" = 1))]
    pub concurrency: Option<i32>,
}

/// What was seen of a Plugin.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PluginStatus {
    /// The generation that this status is about.
    pub observed_generation: Option<i64>,
    /// Pending, PendingApproval, Ready, Degraded or Failed.
    pub phase: Option<String>,
    /// Why the phase is what it is.
    pub message: Option<String>,
    /// The digest in use.
    pub digest: Option<String>,
    /// The digest in use before, to which a faulty component falls back.
    pub previous_digest: Option<String>,
    /// The digest that was taken back because the component misbehaved in its first calls. It is
    /// not tried again until spec changes.
    pub rejected_digest: Option<String>,
    /// The interface that the component speaks, such as sluice:metric/provider@0.1.0.
    pub interface: Option<String>,
    /// What a router can do beyond weights.
    pub capabilities: Option<Vec<String>>,
    /// What the component asks for, one permission a line.
    pub requested: Option<Vec<String>>,
    /// What it was given, one permission a line.
    pub granted: Option<Vec<String>>,
    /// What it asks for and was not given: the phase is PendingApproval until this is nothing.
    pub pending: Option<Vec<String>>,
    /// How many calls there were since the component took over.
    pub calls: Option<i64>,
    /// How many of them it trapped in, or was stopped in.
    pub traps: Option<i64>,
    /// How many requests it tried to send since it took over.
    pub requests: Option<i64>,
    /// How often it was denied something since it took over.
    pub denied: Option<i64>,
    /// The first fault since the component took over, with its backtrace.
    pub first_error: Option<PluginError>,
    /// The last fault since the component took over.
    pub last_error: Option<PluginError>,
    /// Ready: whether what spec wants is in use. InUse: whether a removal waits for its users.
    pub conditions: Option<Vec<PluginCondition>>,
}

/// One thing that is so or is not so of a Plugin.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PluginCondition {
    /// Ready or InUse.
    #[serde(rename = "type")]
    pub type_: String,
    /// True or False.
    pub status: String,
    /// Why, in one word.
    pub reason: Option<String>,
    /// Why, in a sentence.
    pub message: Option<String>,
    /// The generation that it is about.
    pub observed_generation: Option<i64>,
    /// When the status last changed.
    #[schemars(extend("format" = "date-time"))]
    pub last_transition_time: Option<Time>,
}

/// A fault of a component.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PluginError {
    /// When.
    #[schemars(extend("format" = "date-time"))]
    pub time: Time,
    /// What happened, for people.
    pub message: String,
}
