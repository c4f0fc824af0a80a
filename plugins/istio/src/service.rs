//! The VirtualService: weights in the routes that the user listed, and nothing else of theirs.

use std::collections::BTreeSet;

use serde_json::Value;
use sluice_sdk::traffic::Routing;

use crate::config::{Service, TcpRoute, TlsRoute};
use crate::http;
use crate::problem::RouteProblem;
use crate::split::Split;

/// The VirtualService as it should be.
///
/// # Errors
/// If its routes cannot carry the split.
pub fn wanted(
    w: &Routing,
    split: &Split<'_>,
    c: &Service,
    object: &Value,
) -> Result<Value, RouteProblem> {
    let mut object = object.clone();
    let spec = &mut object["spec"];
    let has = |kind: &str| spec[kind].as_array().is_some_and(|routes| !routes.is_empty());
    let (has_http, has_tls, has_tcp) = (has("http"), has("tls"), has("tcp"));
    if !(has_http || has_tls || has_tcp) {
        return Err(RouteProblem::None);
    }
    if has_http {
        spec["http"] = http::wanted(w, split, &c.routes, list(&spec["http"]))?.into();
    } else if let Some(name) = c.routes.first() {
        return Err(RouteProblem::NotFound(name.clone()));
    } else if http::special(w).next().is_some() {
        return Err(RouteProblem::NoHttp);
    }
    if has_tls || !c.tls_routes.is_empty() {
        let carriers = tls_carriers(&c.tls_routes, list(&spec["tls"]))?;
        apply(split, &mut spec["tls"], &carriers)?;
    }
    if has_tcp || !c.tcp_routes.is_empty() {
        let carriers = tcp_carriers(&c.tcp_routes, list(&spec["tcp"]))?;
        apply(split, &mut spec["tcp"], &carriers)?;
    }
    Ok(object)
}

fn apply(
    split: &Split<'_>,
    routes: &mut Value,
    carriers: &BTreeSet<usize>,
) -> Result<(), RouteProblem> {
    carriers.iter().try_for_each(|&at| split.apply(&mut routes[at]))
}

fn tls_carriers(listed: &[TlsRoute], routes: &[Value]) -> Result<BTreeSet<usize>, RouteProblem> {
    if listed.is_empty() {
        return Ok(BTreeSet::from([0]));
    }
    let mut all = BTreeSet::new();
    for wanted in listed {
        let found = routes_with(routes, |m| {
            let hosts = list(&m["sniHosts"]).iter().filter_map(Value::as_str);
            let hosts: BTreeSet<&str> = hosts.collect();
            (wanted.port == 0 || m["port"] == wanted.port)
                && (wanted.sni_hosts.is_empty()
                    || wanted.sni_hosts.iter().map(String::as_str).eq(hosts))
        });
        if found.is_empty() {
            return Err(RouteProblem::NoTls);
        }
        all.extend(found);
    }
    Ok(all)
}

fn tcp_carriers(listed: &[TcpRoute], routes: &[Value]) -> Result<BTreeSet<usize>, RouteProblem> {
    if listed.is_empty() {
        return Ok(BTreeSet::from([0]));
    }
    let mut all = BTreeSet::new();
    for wanted in listed {
        let found = routes_with(routes, |m| m["port"] == wanted.port);
        if found.is_empty() {
            return Err(RouteProblem::NoTcp);
        }
        all.extend(found);
    }
    Ok(all)
}

/// The indices of the routes that have a match like this.
fn routes_with(routes: &[Value], fits: impl Fn(&Value) -> bool) -> Vec<usize> {
    let numbered = routes.iter().enumerate();
    let fitting = numbered.filter(|(_, route)| list(&route["match"]).iter().any(&fits));
    fitting.map(|(at, _)| at).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
