//! The custom resource definitions: every kind, its schema and how it is listed.

use k8s_openapi::Resource;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

use crate::analysis::{
    AnalysisRun, AnalysisRunSpec, AnalysisRunStatus, AnalysisTemplate, AnalysisTemplateSpec,
    ClusterAnalysisTemplate,
};
use crate::experiment::{Experiment, ExperimentSpec, ExperimentStatus};
use crate::plugin::{Plugin, PluginSpec, PluginStatus};
use crate::rollout::{Rollout, RolloutSpec, RolloutStatus};
use crate::structural::structural;

/// Why the definitions cannot be made. Neither case happens with the types of this crate; the
/// tests say so.
#[derive(Debug, thiserror::Error)]
pub enum CrdError {
    /// A schema uses what a definition cannot express.
    #[error("definition of {kind}: {source}")]
    Definition {
        /// The kind.
        kind: &'static str,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A definition cannot be written as YAML.
    #[error("write definitions as YAML: {0}")]
    Yaml(String),
}

/// One kind of the API.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) api_version: &'static str,
    group: &'static str,
    plural: &'static str,
    short: Option<&'static str>,
    cluster: bool,
    /// Name, type and path.
    columns: &'static [(&'static str, &'static str, &'static str)],
    subresources: fn() -> Option<Value>,
    about: &'static str,
    spec: fn() -> Value,
    status: Option<fn() -> Value>,
}

const AGE: (&str, &str, &str) = ("Age", "date", ".metadata.creationTimestamp");

/// Every kind, sorted by group and plural.
pub(crate) static KINDS: [Kind; 6] = [
    Kind {
        about: "Measurements that were started, and what became of them.",
        short: Some("ar"),
        columns: &[("Status", "string", ".status.phase"), AGE],
        status: Some(structural::<AnalysisRunStatus>),
        ..Kind::new::<AnalysisRun>(structural::<AnalysisRunSpec>)
    },
    Kind {
        about: "What to measure and how to judge it, for the Rollouts of a namespace.",
        short: Some("at"),
        ..Kind::new::<AnalysisTemplate>(structural::<AnalysisTemplateSpec>)
    },
    Kind {
        about: "What to measure and how to judge it, for all namespaces.",
        short: Some("cat"),
        cluster: true,
        ..Kind::new::<ClusterAnalysisTemplate>(structural::<AnalysisTemplateSpec>)
    },
    Kind {
        about: "Versions that run side by side for a while.",
        short: Some("exp"),
        columns: &[("Status", "string", ".status.phase"), AGE],
        status: Some(structural::<ExperimentStatus>),
        ..Kind::new::<Experiment>(structural::<ExperimentSpec>)
    },
    Kind {
        about: "A fleet of pods, and how a new version replaces the old one.",
        short: Some("ro"),
        columns: &[
            ("Desired", "integer", ".spec.replicas"),
            ("Current", "integer", ".status.replicas"),
            ("Up-to-date", "integer", ".status.updatedReplicas"),
            ("Available", "integer", ".status.availableReplicas"),
            AGE,
        ],
        subresources: || {
            Some(json!({
                "status": {},
                "scale": {
                    "specReplicasPath": ".spec.replicas",
                    "statusReplicasPath": ".status.HPAReplicas",
                    "labelSelectorPath": ".status.selector",
                },
            }))
        },
        status: Some(structural::<RolloutStatus>),
        ..Kind::new::<Rollout>(structural::<RolloutSpec>)
    },
    Kind {
        about: "A component that measures or routes, and what it may do.",
        cluster: true,
        columns: &[
            ("Phase", "string", ".status.phase"),
            ("Interface", "string", ".status.interface"),
            ("Digest", "string", ".status.digest"),
            ("Calls", "integer", ".status.calls"),
            ("Faults", "integer", ".status.traps"),
            AGE,
        ],
        subresources: || Some(json!({ "status": {} })),
        status: Some(structural::<PluginStatus>),
        ..Kind::new::<Plugin>(structural::<PluginSpec>)
    },
];

/// The definitions of all kinds, sorted by name of their group and plural.
///
/// # Errors
/// [`CrdError::Definition`] if a schema uses what a definition cannot express.
pub fn crds() -> Result<Vec<CustomResourceDefinition>, CrdError> {
    KINDS.iter().map(Kind::definition).collect()
}

/// The definitions of all kinds as YAML documents, in a stable order. They are too large for
/// client-side apply.
///
/// # Errors
/// As [`crds`], and [`CrdError::Yaml`].
pub fn crds_yaml() -> Result<String, CrdError> {
    // Quotes what YAML 1.1 would read as something else than text, such as `y` and `on`.
    let options = serde_saphyr::ser_options! { yaml_12: false };
    let mut text = String::new();
    for definition in crds()? {
        text.push_str("---\n");
        serde_saphyr::to_fmt_writer_with_options(&mut text, &definition, options.clone())
            .map_err(|error| CrdError::Yaml(error.to_string()))?;
    }
    Ok(text)
}

impl Kind {
    const fn new<K: Resource>(spec: fn() -> Value) -> Self {
        Self {
            name: K::KIND,
            api_version: K::API_VERSION,
            group: K::GROUP,
            plural: K::URL_PATH_SEGMENT,
            short: None,
            cluster: false,
            columns: &[AGE],
            subresources: || None,
            about: "",
            spec,
            status: None,
        }
    }

    /// The kind of this name, or none of ours.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.name == name)
    }

    /// The schema of whole objects.
    pub(crate) fn schema(&self) -> Value {
        let mut schema = json!({
            "description": self.about,
            "type": "object",
            "required": ["spec"],
            "properties": {
                "apiVersion": { "type": "string", "description": self.api_version },
                "kind": { "type": "string", "description": self.name },
                "metadata": { "type": "object" },
                "spec": (self.spec)(),
            },
        });
        if let Some(status) = self.status {
            schema["properties"]["status"] = status();
        }
        schema
    }

    fn definition(&self) -> Result<CustomResourceDefinition, CrdError> {
        let singular = self.name.to_lowercase();
        let mut names = json!({
            "kind": self.name,
            "listKind": format!("{}List", self.name),
            "plural": self.plural,
            "singular": singular,
        });
        if let Some(short) = self.short {
            names["shortNames"] = json!([short]);
        }
        let columns: Vec<_> = self
            .columns
            .iter()
            .map(|(name, type_, path)| json!({ "name": name, "type": type_, "jsonPath": path }))
            .collect();
        let mut version = json!({
            "name": "v1alpha1",
            "served": true,
            "storage": true,
            "additionalPrinterColumns": columns,
            "schema": { "openAPIV3Schema": self.schema() },
        });
        if let Some(subresources) = (self.subresources)() {
            version["subresources"] = subresources;
        }
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": { "name": format!("{}.{}", self.plural, self.group) },
            "spec": {
                "group": self.group,
                "names": names,
                "scope": if self.cluster { "Cluster" } else { "Namespaced" },
                "versions": [version],
            },
        });
        serde_json::from_value(definition)
            .map_err(|source| CrdError::Definition { kind: self.name, source })
    }
}
