//! The HTTP routes of a VirtualService: which of them carry the split, and those that the rollout
//! makes for headers and mirrors.

use serde_json::{Map, Value, json};
use sluice_sdk::traffic::{
    HeaderMatch, HeaderRoute, MirrorMatch, MirrorRoute, Routing, StringMatch,
};

use crate::problem::RouteProblem;
use crate::split::Split;

/// The routes as they should be: the managed ones in the order of `managedRoutes`, then the
/// user's in theirs.
///
/// # Errors
/// If the routes that carry the split cannot be told, or one of them lacks a version.
pub fn wanted(
    w: &Routing,
    split: &Split<'_>,
    listed: &[String],
    routes: &[Value],
) -> Result<Vec<Value>, RouteProblem> {
    let mut users: Vec<Value> = routes.iter().filter(|r| !is_managed(w, r)).cloned().collect();
    let carriers = carriers(w, listed, &users)?;
    for &at in &carriers {
        split.apply(&mut users[at])?;
    }
    let Some(base) = carriers.first().map(|&at| &users[at]) else {
        return Err(RouteProblem::OnlyManaged);
    };
    let mut all = managed(w, split, base)?;
    all.extend(users);
    Ok(all)
}

/// The names of the wanted header and mirror routes. A route that matches nothing in particular
/// is none: as a step, it takes back the route of its name.
pub fn special(w: &Routing) -> impl Iterator<Item = &str> {
    let headers = w.header_routes.iter().filter(|r| !r.headers.is_empty()).map(|r| &*r.name);
    let mirrors = w.mirror_routes.iter().filter(|r| !r.matches.is_empty()).map(|r| &*r.name);
    headers.chain(mirrors)
}

fn is_managed(w: &Routing, route: &Value) -> bool {
    w.managed_routes.iter().any(|name| route["name"] == **name)
}

/// The indices of the routes that carry the split.
fn carriers(w: &Routing, listed: &[String], users: &[Value]) -> Result<Vec<usize>, RouteProblem> {
    if listed.is_empty() {
        return match users.len() {
            0 => Err(RouteProblem::OnlyManaged),
            1 => Ok(vec![0]),
            _ => Err(RouteProblem::Ambiguous),
        };
    }
    let mut found = Vec::new();
    for name in listed {
        if w.managed_routes.contains(name) {
            return Err(RouteProblem::Managed(name.clone()));
        }
        let at = users.iter().position(|route| route["name"] == **name);
        let at = at.ok_or_else(|| RouteProblem::NotFound(name.clone()))?;
        if !found.contains(&at) {
            found.push(at);
        }
    }
    Ok(found)
}

fn managed(w: &Routing, split: &Split<'_>, base: &Value) -> Result<Vec<Value>, RouteProblem> {
    if let Some(name) = special(w).find(|name| !w.managed_routes.iter().any(|m| m == name)) {
        return Err(RouteProblem::Unmanaged(name.to_owned()));
    }
    let canary = split.canary_destination(base).unwrap_or_default();
    let mut routes = Vec::new();
    for (at, name) in w.managed_routes.iter().enumerate() {
        if w.managed_routes[..at].contains(name) {
            continue;
        }
        let headers = w.header_routes.iter().filter(|r| r.name == *name && !r.headers.is_empty());
        routes.extend(headers.map(|route| header_route(route, &canary)));
        let mirrors = w.mirror_routes.iter().filter(|r| r.name == *name && !r.matches.is_empty());
        routes.extend(mirrors.map(|route| mirror_route(route, base, &canary)));
    }
    Ok(routes)
}

fn header_route(route: &HeaderRoute, canary: &Value) -> Value {
    json!({
        "name": route.name,
        "match": [{ "headers": headers(&route.headers) }],
        "route": [{ "destination": canary, "weight": 100 }],
    })
}

/// A copy of the route that carries the split, timeouts, retries and weights included, so that
/// a request does not fare differently for being mirrored.
fn mirror_route(route: &MirrorRoute, base: &Value, canary: &Value) -> Value {
    let mut copy = base.as_object().cloned().unwrap_or_default();
    for field in ["mirrors", "mirrorPercent", "mirror_percent", "mirror_percentage"] {
        copy.remove(field);
    }
    copy.insert("name".to_owned(), json!(route.name));
    copy.insert("match".to_owned(), route.matches.iter().map(mirror_match).collect());
    copy.insert("mirror".to_owned(), canary.clone());
    copy.insert("mirrorPercentage".to_owned(), json!({ "value": route.percentage }));
    Value::Object(copy)
}

fn mirror_match(one: &MirrorMatch) -> Value {
    let mut out = Map::new();
    if let Some(method) = &one.method {
        out.insert("method".to_owned(), string_match(method));
    }
    if let Some(path) = &one.path {
        out.insert("uri".to_owned(), string_match(path));
    }
    if !one.headers.is_empty() {
        out.insert("headers".to_owned(), headers(&one.headers));
    }
    Value::Object(out)
}

fn headers(all: &[HeaderMatch]) -> Value {
    all.iter().map(|header| (header.name.clone(), string_match(&header.value))).collect()
}

fn string_match(value: &StringMatch) -> Value {
    match value {
        StringMatch::Exact(text) => json!({ "exact": text }),
        StringMatch::Prefix(text) => json!({ "prefix": text }),
        StringMatch::Regex(text) => json!({ "regex": text }),
    }
}
