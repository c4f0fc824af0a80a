//! Weights, header routes and mirror routes in Istio's VirtualServices, and the subsets of a
//! DestinationRule.
//!
//! The DestinationRule is put before the VirtualServices, so that a subset selects its pods before
//! it gets weight. What must happen the other way round, since a subset still has weight that it
//! is to lose, waits for the next pass: the list of changes can be cut anywhere.

mod config;
mod http;
mod problem;
mod rule;
mod service;
mod split;

use serde_json::Value;
use sluice_sdk::traffic::{
    Change, ObjectQuery, Result, Router, Routing, Verification, capability, first_difference,
};

pub use config::{Config, Rule, Service, TcpRoute, TlsRoute};
pub use problem::{Problem, RouteProblem};
use split::Split;

/// The group whose objects these are; every version of it has the same fields.
const GROUP: &str = "networking.istio.io/";

/// The version that the objects are asked for in: every Istio since 1.5 serves it.
const API_VERSION: &str = "networking.istio.io/v1beta1";

const VIRTUAL_SERVICE: &str = "VirtualService";
const DESTINATION_RULE: &str = "DestinationRule";

/// The router `istio`.
pub struct Istio;

/// An object as it is and as it should be.
struct Pair<'a> {
    existing: &'a Value,
    wanted: Value,
}

impl Pair<'_> {
    fn differs(&self) -> bool {
        *self.existing != self.wanted
    }
}

impl Router for Istio {
    type Config = Config;

    fn capabilities() -> &'static [&'static str] {
        &[
            capability::HEADER_ROUTES,
            capability::MIRROR_ROUTES,
            capability::ADDITIONAL_DESTINATIONS,
            capability::PING_PONG,
        ]
    }

    fn validate(c: &Config) -> Result<()> {
        Ok(c.check()?)
    }

    fn references(_: &Routing, c: &Config, _: &[Value]) -> Result<Vec<ObjectQuery>> {
        c.check()?;
        let rule = c.destination_rule.iter().map(|rule| query(DESTINATION_RULE, &rule.name, None));
        let services = c.services().map(|s| query(VIRTUAL_SERVICE, s.name(), s.namespace()));
        Ok(rule.chain(services).collect())
    }

    fn route(w: &Routing, c: &Config, objects: &[Value]) -> Result<Vec<Change>> {
        let changed = pairs(w, c, objects)?.into_iter().filter(Pair::differs);
        Ok(changed.map(|pair| Change::Put(pair.wanted)).collect())
    }

    fn verify(w: &Routing, c: &Config, objects: &[Value]) -> Result<Verification> {
        for Pair { existing, wanted } in pairs(w, c, objects)? {
            if let Some(field) = first_difference(existing, &wanted) {
                let (kind, name) = (text(&wanted["kind"]), text(&wanted["metadata"]["name"]));
                let message = format!("{kind} `{name}` is not yet as wanted: {field} differs");
                return Ok(Verification::Pending(message));
            }
        }
        Ok(Verification::CannotTell)
    }

    /// Everything goes to the stable version, the rollout's routes go, and the subsets select
    /// whatever they did before the rollout. What cannot be found or understood is left alone,
    /// for it must not keep a rollout from going.
    fn release(last: &Routing, c: &Config, objects: &[Value]) -> Result<Vec<Change>> {
        let mut idle = last.clone();
        idle.canary.weight = 0;
        idle.stable.weight = idle.total_weight;
        idle.additional.clear();
        idle.header_routes.clear();
        idle.mirror_routes.clear();
        let mut changes = Vec::new();
        if let Ok(split) = Split::new(&idle, c.destination_rule.as_ref()) {
            let pairs = c.services().filter_map(|s| service_pair(&idle, &split, s, objects).ok());
            changes.extend(pairs.filter(Pair::differs).map(|pair| Change::Put(pair.wanted)));
        }
        if let Some(rule) = &c.destination_rule {
            let existing = find(objects, DESTINATION_RULE, &rule.name, &idle.namespace);
            let released = existing.and_then(|object| rule::released(&idle, rule, object));
            changes.extend(released.map(Change::Put));
        }
        Ok(changes)
    }
}

/// The objects in the order in which they may change.
fn pairs<'a>(w: &Routing, c: &Config, objects: &'a [Value]) -> Result<Vec<Pair<'a>>, Problem> {
    c.check()?;
    let split = Split::new(w, c.destination_rule.as_ref())?;
    let services = c.services().map(|service| service_pair(w, &split, service, objects));
    let services = services.collect::<Result<Vec<_>, _>>()?;
    let Some(rule) = &c.destination_rule else {
        return Ok(services);
    };
    let needs_pods = w.canary.weight > 0 || http::special(w).next().is_some();
    if needs_pods && w.canary.pod_hash.is_empty() {
        return Err(Problem::SubsetWithoutPods(rule.canary_subset_name.clone()));
    }
    let existing = find(objects, DESTINATION_RULE, &rule.name, &w.namespace);
    let existing = existing.ok_or_else(|| Problem::Missing {
        kind: DESTINATION_RULE,
        name: rule.name.clone(),
        namespace: w.namespace.clone(),
        field: "trafficRouting.istio.destinationRule.name",
    })?;
    // A subset that is losing its last share keeps its pods until the share is gone.
    let is_held = |subset: &str| {
        services.iter().any(|s| split::carries(s.existing, subset))
            && !services.iter().any(|s| split::carries(&s.wanted, subset))
    };
    let wanted = rule::wanted(w, rule, existing, is_held)?;
    Ok(std::iter::once(Pair { existing, wanted }).chain(services).collect())
}

fn service_pair<'a>(
    w: &Routing,
    split: &Split<'_>,
    service: &Service,
    objects: &'a [Value],
) -> Result<Pair<'a>, Problem> {
    let namespace = service.namespace().unwrap_or(&w.namespace);
    let existing = find(objects, VIRTUAL_SERVICE, service.name(), namespace);
    let existing = existing.ok_or_else(|| Problem::Missing {
        kind: VIRTUAL_SERVICE,
        name: service.name().to_owned(),
        namespace: namespace.to_owned(),
        field: "the name under trafficRouting.istio",
    })?;
    let wanted = service::wanted(w, split, service, existing)
        .map_err(|why| Problem::Service { service: service.name().to_owned(), why })?;
    Ok(Pair { existing, wanted })
}

fn find<'a>(objects: &'a [Value], kind: &str, name: &str, namespace: &str) -> Option<&'a Value> {
    objects.iter().find(|object| {
        object["kind"] == *kind
            && text(&object["apiVersion"]).starts_with(GROUP)
            && object["metadata"]["name"] == *name
            && object["metadata"]["namespace"] == *namespace
    })
}

fn query(kind: &str, name: &str, namespace: Option<&str>) -> ObjectQuery {
    let namespace = namespace.map(str::to_owned);
    ObjectQuery { namespace, ..ObjectQuery::named(API_VERSION, kind, name) }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

sluice_sdk::export_traffic_router!(Istio, requests: {
    kubernetes: "reads and changes VirtualServices and DestinationRules",
});
