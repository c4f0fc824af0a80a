//! What a user writes under `trafficRouting.nginx`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::problem::Problem;

/// Where ingress-nginx looks for its annotations unless it was told otherwise.
const DEFAULT_PREFIX: &str = "nginx.ingress.kubernetes.io";

/// The router's configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// The prefix of the annotations. Default: `nginx.ingress.kubernetes.io`.
    #[serde(default)]
    annotation_prefix: String,
    #[serde(default)]
    stable_ingress: String,
    #[serde(default)]
    stable_ingresses: Vec<String>,
    /// Annotations for the canary Ingresses; the prefix is put before their names.
    #[serde(default)]
    pub additional_ingress_annotations: BTreeMap<String, String>,
    /// Annotations for the canary Ingresses under exactly these names.
    #[serde(default)]
    pub canary_ingress_annotations: BTreeMap<String, String>,
}

impl Config {
    /// Checks what can be checked without any object.
    ///
    /// # Errors
    /// If not exactly one of `stableIngress` and `stableIngresses` is set, or a name is empty or
    /// occurs twice.
    pub fn check(&self) -> Result<(), Problem> {
        if self.stable_ingress.is_empty() == self.stable_ingresses.is_empty() {
            return Err(Problem::IngressesNotChosen);
        }
        for (at, name) in self.stable_ingresses.iter().enumerate() {
            if name.is_empty() {
                return Err(Problem::IngressUnnamed(at));
            }
            if self.stable_ingresses[..at].contains(name) {
                return Err(Problem::IngressTwice(name.clone()));
            }
        }
        Ok(())
    }

    /// The Ingresses that carry the stable version, in the user's order.
    pub fn stable_ingresses(&self) -> impl Iterator<Item = &str> {
        let one = Some(self.stable_ingress.as_str()).filter(|name| !name.is_empty());
        one.into_iter().chain(self.stable_ingresses.iter().map(String::as_str))
    }

    /// The field that names the Ingresses, for messages.
    pub fn ingress_field(&self) -> &'static str {
        match self.stable_ingress.is_empty() {
            true => "trafficRouting.nginx.stableIngresses",
            false => "trafficRouting.nginx.stableIngress",
        }
    }

    /// An annotation's full name: the prefix and a slash before it, unless it starts with the
    /// prefix.
    pub fn annotation(&self, name: &str) -> String {
        let prefix = match self.annotation_prefix.as_str() {
            "" => DEFAULT_PREFIX,
            prefix => prefix,
        };
        match name.starts_with(prefix) {
            true => name.to_owned(),
            false => format!("{prefix}/{name}"),
        }
    }
}
