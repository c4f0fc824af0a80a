//! How the destinations of one route share its traffic.

use serde_json::{Value, json};
use sluice_sdk::traffic::Routing;

use crate::config::Rule;
use crate::problem::{Problem, RouteProblem};

/// What Istio's weights add up to.
const WHOLE: u64 = 100;

/// The wanted weights, and how a version is told from another.
#[derive(Clone, Debug)]
pub struct Split<'a> {
    canary: &'a str,
    stable: &'a str,
    /// Versions are subsets of a DestinationRule; without one they are Services.
    rule: Option<&'a Rule>,
    canary_weight: u64,
    /// Experiments' Services and their weights, by name.
    extras: Vec<(&'a str, u64)>,
}

/// Whose a destination is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Canary,
    Stable,
    /// The index in `extras`.
    Extra(usize),
    /// A subset that the user weighs.
    User,
    Nobody,
}

impl<'a> Split<'a> {
    /// The split that the rollout wants.
    ///
    /// # Errors
    /// If there is nothing by which to tell the versions apart.
    pub fn new(w: &'a Routing, rule: Option<&'a Rule>) -> Result<Self, Problem> {
        let (canary, stable) = match rule {
            Some(rule) => (&rule.canary_subset_name, &rule.stable_subset_name),
            None => (&w.canary.service, &w.stable.service),
        };
        for (name, field) in [(canary, "canaryService"), (stable, "stableService")] {
            if name.is_empty() {
                return Err(Problem::NoService(field));
            }
        }
        let scale = |weight| percent(weight, w.total_weight);
        let extras = w.additional.iter().filter(|extra| extra.weight > 0);
        let mut extras: Vec<_> =
            extras.map(|extra| (extra.service.as_str(), scale(extra.weight))).collect();
        extras.sort_unstable();
        Ok(Self { canary, stable, rule, canary_weight: scale(w.canary.weight), extras })
    }

    /// Gives the destinations of a route their weights.
    ///
    /// The user's own subsets keep theirs, and the stable version gets what is left. A destination
    /// that is nobody's goes, as that of an experiment that ended; at weight 0 it stays, since it
    /// does no harm there.
    ///
    /// # Errors
    /// If one of the versions is not among the destinations, or is there more than once.
    pub fn apply(&self, route: &mut Value) -> Result<(), RouteProblem> {
        let Some(destinations) = route.get_mut("route").and_then(Value::as_array_mut) else {
            return Err(self.lacks(Owner::Canary));
        };
        for side in [Owner::Canary, Owner::Stable] {
            match destinations.iter().filter(|d| self.owner(d) == side).count() {
                0 => return Err(self.lacks(side)),
                1 => {}
                _ => return Err(self.repeats(side)),
            }
        }
        destinations.retain(|d| self.owner(d) != Owner::Nobody || weight(d) == 0);
        for (at, (service, _)) in self.extras.iter().enumerate() {
            if !destinations.iter().any(|d| self.owner(d) == Owner::Extra(at)) {
                destinations.push(json!({ "destination": { "host": service } }));
            }
        }
        let users = destinations.iter().filter(|d| self.owner(d) == Owner::User);
        let users: u64 = users.map(weight).sum();
        let extras: u64 = self.extras.iter().map(|(_, weight)| weight).sum();
        let taken = self.canary_weight.saturating_add(extras).saturating_add(users);
        for destination in destinations {
            let wanted = match self.owner(destination) {
                Owner::Canary => self.canary_weight,
                Owner::Stable => WHOLE.saturating_sub(taken),
                Owner::Extra(at) => self.extras[at].1,
                Owner::User | Owner::Nobody => continue,
            };
            if weight(destination) != wanted {
                destination["weight"] = json!(wanted);
            }
        }
        Ok(())
    }

    /// Where a route sends what is for the canary: host, subset and port, as the user wrote them.
    pub fn canary_destination(&self, route: &Value) -> Option<Value> {
        let destinations = route["route"].as_array()?;
        let canary = destinations.iter().find(|d| self.owner(d) == Owner::Canary)?;
        Some(canary["destination"].clone())
    }

    fn owner(&self, destination: &Value) -> Owner {
        let destination = &destination["destination"];
        let host = first_label(destination["host"].as_str().unwrap_or_default());
        let subset = destination["subset"].as_str().unwrap_or_default();
        let version = match self.rule {
            Some(rule) if rule.additional_subset_names.iter().any(|name| name == subset) => {
                return Owner::User;
            }
            Some(_) => subset,
            None => host,
        };
        match version {
            version if version == self.canary => return Owner::Canary,
            version if version == self.stable => return Owner::Stable,
            _ => {}
        }
        match self.extras.iter().position(|(service, _)| *service == host) {
            Some(at) => Owner::Extra(at),
            None => Owner::Nobody,
        }
    }

    fn lacks(&self, side: Owner) -> RouteProblem {
        let (side, what, name) = self.words(side);
        RouteProblem::Lacks { side, what, name }
    }

    fn repeats(&self, side: Owner) -> RouteProblem {
        let (side, what, name) = self.words(side);
        RouteProblem::Repeats { side, what, name }
    }

    fn words(&self, side: Owner) -> (&'static str, &'static str, String) {
        let what = if self.rule.is_some() { "DestinationRule subset" } else { "Service" };
        match side {
            Owner::Canary => ("Canary", what, self.canary.to_owned()),
            _ => ("Stable", what, self.stable.to_owned()),
        }
    }
}

/// A destination's weight; one that says nothing has none.
fn weight(destination: &Value) -> u64 {
    destination["weight"].as_u64().unwrap_or_default()
}

/// Whether any route of a VirtualService sends a share, or copies of requests, to this subset.
pub fn carries(service: &Value, subset: &str) -> bool {
    let routes = ["http", "tls", "tcp"].map(|kind| service["spec"][kind].as_array());
    routes.into_iter().flatten().flatten().any(|route| {
        let destinations = list(&route["route"]);
        // A destination that is alone gets everything, whether or not it says so.
        let alone = destinations.len() == 1;
        let mut mirrors = list(&route["mirrors"]).iter().map(|mirror| &mirror["destination"]);
        route["mirror"]["subset"] == *subset
            || mirrors.any(|mirror| mirror["subset"] == *subset)
            || destinations
                .iter()
                .any(|d| d["destination"]["subset"] == *subset && (alone || weight(d) > 0))
    })
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The first label of a host, which is the Service's name however the host is written.
fn first_label(host: &str) -> &str {
    host.split_once('.').map_or(host, |(first, _)| first)
}

/// Part of a total in percent, to the nearest.
fn percent(weight: u32, total: u32) -> u64 {
    let (weight, total) = (u64::from(weight), u64::from(total.max(1)));
    (weight * WHOLE + total / 2) / total
}
