//! Weights by the canary annotations of ingress-nginx: for every stable Ingress there is a canary
//! Ingress beside it, with the same rules, the canary's Service, and the weight in an annotation.
//!
//! The stable Ingresses are read and never written. A canary Ingress stays, at weight 0, after a
//! promotion, and goes with the rollout or with its move to another router.

mod canary;
mod config;
mod problem;

use serde_json::Value;
use sluice_sdk::traffic::{
    Change, ObjectQuery, ObjectRef, Result, Router, Routing, Verification, first_difference,
};

pub use config::Config;
pub use problem::Problem;

/// The router `nginx`.
pub struct Nginx;

/// A stable Ingress, its canary if there is one, and the canary as it should be.
struct Pair<'a> {
    existing: Option<&'a Value>,
    wanted: Value,
}

impl Router for Nginx {
    type Config = Config;

    fn capabilities() -> &'static [&'static str] {
        &[]
    }

    fn validate(c: &Config) -> Result<()> {
        Ok(c.check()?)
    }

    fn references(w: &Routing, c: &Config, _: &[Value]) -> Result<Vec<ObjectQuery>> {
        c.check()?;
        let names = c.stable_ingresses().map(str::to_owned).chain(canaries(w, c)?);
        Ok(names.map(query).collect())
    }

    fn route(w: &Routing, c: &Config, objects: &[Value]) -> Result<Vec<Change>> {
        let changed = pairs(w, c, objects)?.into_iter().filter(|p| p.existing != Some(&p.wanted));
        Ok(changed.map(|pair| Change::Put(pair.wanted)).collect())
    }

    fn verify(w: &Routing, c: &Config, objects: &[Value]) -> Result<Verification> {
        for Pair { existing, wanted } in pairs(w, c, objects)? {
            let name = &wanted["metadata"]["name"];
            let Some(existing) = existing else {
                return Ok(Verification::Pending(format!("ingress {name} does not exist yet")));
            };
            if let Some(field) = first_difference(existing, &wanted) {
                let message = format!("ingress {name} is not yet as wanted: {field} differs");
                return Ok(Verification::Pending(message));
            }
        }
        Ok(Verification::CannotTell)
    }

    fn release(last: &Routing, c: &Config, objects: &[Value]) -> Result<Vec<Change>> {
        let names = c.stable_ingresses().map(|stable| canary::name(&last.rollout, stable));
        let ours = names.filter(|name| {
            find(last, objects, name).is_some_and(|object| canary::is_ours(last, object))
        });
        Ok(ours.map(|name| Change::Remove(reference(last, name))).collect())
    }
}

fn pairs<'a>(w: &Routing, c: &Config, objects: &'a [Value]) -> Result<Vec<Pair<'a>>, Problem> {
    c.check()?;
    for (service, field) in
        [(&w.stable.service, "stableService"), (&w.canary.service, "canaryService")]
    {
        if service.is_empty() {
            return Err(Problem::ServiceUnnamed(field));
        }
    }
    if let Some(third) = w.additional.iter().find(|third| third.weight > 0) {
        return Err(Problem::ThirdDestination(third.service.clone()));
    }
    let canaries = canaries(w, c)?;
    c.stable_ingresses()
        .zip(&canaries)
        .map(|(name, canary)| {
            let stable = find(w, objects, name).ok_or_else(|| Problem::IngressMissing {
                name: name.to_owned(),
                namespace: w.namespace.clone(),
                field: c.ingress_field(),
            })?;
            let existing = find(w, objects, canary);
            Ok(Pair { existing, wanted: canary::wanted(w, c, stable, existing)? })
        })
        .collect()
}

/// The names of the canary Ingresses, in the order of the stable ones.
fn canaries(w: &Routing, c: &Config) -> Result<Vec<String>, Problem> {
    let mut names: Vec<String> = Vec::new();
    for stable in c.stable_ingresses() {
        let name = canary::name(&w.rollout, stable);
        if names.contains(&name) {
            return Err(Problem::CanaryNameTwice(name));
        }
        names.push(name);
    }
    Ok(names)
}

fn find<'a>(w: &Routing, objects: &'a [Value], name: &str) -> Option<&'a Value> {
    objects.iter().find(|object| {
        object["kind"] == "Ingress"
            && object["metadata"]["name"] == *name
            && object["metadata"]["namespace"] == *w.namespace
    })
}

fn query(name: String) -> ObjectQuery {
    ObjectQuery::named(canary::API_VERSION, "Ingress", name)
}

fn reference(w: &Routing, name: String) -> ObjectRef {
    ObjectRef {
        api_version: canary::API_VERSION.to_owned(),
        kind: "Ingress".to_owned(),
        namespace: Some(w.namespace.clone()),
        name,
    }
}

sluice_sdk::export_traffic_router!(Nginx, requests: {
    kubernetes: "reads the stable Ingresses; makes, changes and removes their canaries",
});
