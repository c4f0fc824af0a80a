//! What a user writes under `trafficRouting.istio`.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::problem::Problem;

/// The router's configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    virtual_service: Option<Service>,
    #[serde(default)]
    virtual_services: Vec<Service>,
    /// The DestinationRule whose subsets are the versions; without it the two Services are.
    pub destination_rule: Option<Rule>,
}

/// A VirtualService, and which of its routes carry the split.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Service {
    #[serde(rename = "name")]
    place: String,
    /// Names of HTTP routes. Default: the only one, or the first that has no name.
    #[serde(default)]
    pub routes: Vec<String>,
    /// TLS routes by what they match. Default: the first.
    #[serde(default)]
    pub tls_routes: Vec<TlsRoute>,
    /// TCP routes by what they match. Default: the first.
    #[serde(default)]
    pub tcp_routes: Vec<TcpRoute>,
}

/// Which TLS routes: those with a match that has this port and these hosts.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TlsRoute {
    /// 0 is any.
    #[serde(default)]
    pub port: i64,
    /// All of them and no other; none is any.
    #[serde(default)]
    pub sni_hosts: BTreeSet<String>,
}

/// Which TCP routes: those with a match that has this port.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TcpRoute {
    /// The port.
    #[serde(default)]
    pub port: i64,
}

/// A DestinationRule and its subsets.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Its name, in the rollout's namespace.
    pub name: String,
    /// The subset that is to select the canary's pods.
    pub canary_subset_name: String,
    /// The subset that is to select the stable pods.
    pub stable_subset_name: String,
    /// Subsets that are the user's own: they and their weights are left alone.
    #[serde(default)]
    pub additional_subset_names: Vec<String>,
}

impl Config {
    /// Checks what can be checked without any object.
    ///
    /// # Errors
    /// If not exactly one of `virtualService` and `virtualServices` is set, a name is missing or
    /// occurs twice, or the subsets are not two.
    pub fn check(&self) -> Result<(), Problem> {
        if self.virtual_service.is_some() != self.virtual_services.is_empty() {
            return Err(Problem::ServicesNotChosen);
        }
        let mut seen = BTreeSet::new();
        for service in self.services() {
            if service.name().is_empty() {
                return Err(Problem::ServiceUnnamed);
            }
            if !seen.insert(&service.place) {
                return Err(Problem::ServiceTwice(service.place.clone()));
            }
        }
        let Some(rule) = &self.destination_rule else {
            return Ok(());
        };
        let fields = [
            ("name", &rule.name),
            ("canarySubsetName", &rule.canary_subset_name),
            ("stableSubsetName", &rule.stable_subset_name),
        ];
        if let Some((field, _)) = fields.iter().find(|(_, value)| value.is_empty()) {
            return Err(Problem::RuleFieldMissing(field));
        }
        if rule.canary_subset_name == rule.stable_subset_name {
            return Err(Problem::SubsetsEqual(rule.canary_subset_name.clone()));
        }
        let of_split = [&rule.canary_subset_name, &rule.stable_subset_name];
        match rule.additional_subset_names.iter().find(|name| of_split.contains(name)) {
            Some(name) => Err(Problem::SubsetNotAdditional(name.clone())),
            None => Ok(()),
        }
    }

    /// The VirtualServices, in the user's order.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.virtual_service.iter().chain(&self.virtual_services)
    }
}

impl Service {
    /// The VirtualService's name.
    pub fn name(&self) -> &str {
        self.split().0
    }

    /// The namespace, if it is not the rollout's.
    pub fn namespace(&self) -> Option<&str> {
        self.split().1
    }

    /// `name` or `name.namespace`. A namespace has no dots, so the last one is what divides.
    fn split(&self) -> (&str, Option<&str>) {
        match self.place.rsplit_once('.') {
            Some((name, namespace)) => (name, Some(namespace)),
            None => (&self.place, None),
        }
    }
}
