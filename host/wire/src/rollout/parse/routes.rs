//! Header and mirror routes: which requests take them, for routers, and what tells two apart, for
//! the core.

use serde_json::Value;
use sluice_core::rollout::{RouteChange, SpecialRoute};
use sluice_port::traffic::{HeaderMatch, HeaderRoute, MirrorMatch, MirrorRoute, StringMatch};

use crate::field::{Field, Refusals};

const HEADER_POLICY: &str =
    "Invalid value: SetHeaderRoute requires TrafficRouting, supports Istio and ALB and Apisix";
const MIRROR_POLICY: &str =
    "Invalid value: SetMirrorRoute requires TrafficRouting, supports Istio only";
const ONE_MATCH: &str = "Invalid value: StringMatch match value must have exactly one of the following: exact, regex, prefix";
const ALL_COPIED: u32 = 100;

/// What routers are told of a special route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteRule {
    /// Requests with these headers go to the canary.
    Header(HeaderRoute),
    /// Matching requests are copied to the canary.
    Mirror(MirrorRoute),
}

/// What the steps say about special routes.
#[derive(Debug)]
pub(super) struct RouteReader<'v> {
    /// The configured routers and `managedRoutes`; absent without a router.
    routing: Field<'v>,
    managed: Vec<String>,
    /// Every route that some step makes.
    pub(super) found: Vec<(SpecialRoute, RouteRule)>,
}

impl<'v> RouteReader<'v> {
    pub(super) fn new(canary: &Field<'v>) -> Self {
        let routing = canary.get("trafficRouting");
        let managed = managed_routes(&routing);
        Self { routing, managed, found: Vec::new() }
    }

    /// The routes that one step makes or takes back.
    pub(super) fn step(&mut self, step: &Field<'v>, bad: &mut Refusals) -> Vec<RouteChange> {
        let (header, mirror) = (step.get("setHeaderRoute"), step.get("setMirrorRoute"));
        let header = header.is_set().then(|| self.header(&header, bad));
        let mirror = mirror.is_set().then(|| self.mirror(&mirror, bad));
        header.into_iter().chain(mirror).collect()
    }

    fn header(&mut self, field: &Field<'v>, bad: &mut Refusals) -> RouteChange {
        self.able(field, &["istio", "alb", "apisix", "plugins"], HEADER_POLICY, bad);
        let exact_only = self.routing.get("alb").is_set();
        let mut headers = Vec::new();
        for item in field.get("match").items() {
            let name = item.get("headerName");
            if name.name().is_none() {
                bad.add(&name, "Required value: name the header");
            }
            let value = item.get("headerValue");
            let Some(matched) = string_match(&value, bad) else { continue };
            if exact_only && !matches!(matched, StringMatch::Exact(_)) {
                bad.add(&value, "Invalid value: SetHeaderRoute match value invalid. ALB supports 'exact' value only");
            }
            let name = name.str().unwrap_or_default().to_owned();
            headers.push(HeaderMatch { name, value: matched });
        }
        let name = self.name(field, bad);
        let rule = RouteRule::Header(HeaderRoute { name: name.clone(), headers });
        let removes = field.get("match").items().is_empty();
        self.change(name, rule, removes)
    }

    fn mirror(&mut self, field: &Field<'v>, bad: &mut Refusals) -> RouteChange {
        self.able(field, &["istio", "plugins"], MIRROR_POLICY, bad);
        let mut matches = Vec::new();
        for item in field.get("match").items() {
            let part = |name: &str, bad: &mut Refusals| {
                let part = item.get(name);
                if part.is_set() { string_match(&part, bad) } else { None }
            };
            let (method, path) = (part("method", bad), part("path", bad));
            let fields = item.get("headers");
            let names = fields.value().and_then(Value::as_object);
            let mut names: Vec<_> = names.into_iter().flat_map(|fields| fields.keys()).collect();
            names.sort();
            let headers = names.into_iter().filter_map(|name| {
                let value = string_match(&fields.get(name), bad)?;
                Some(HeaderMatch { name: name.clone(), value })
            });
            let headers = headers.collect();
            matches.push(MirrorMatch { method, path, headers });
        }
        let percentage = field.get("percentage");
        let copied = bad.count(&percentage, ALL_COPIED);
        if copied > ALL_COPIED {
            bad.add(&percentage, format!("Invalid value: {copied}: must be between 0 and 100"));
        }
        let name = self.name(field, bad);
        let removes = matches.is_empty();
        let rule =
            RouteRule::Mirror(MirrorRoute { name: name.clone(), matches, percentage: copied });
        self.change(name, rule, removes)
    }

    fn able(&self, field: &Field<'_>, routers: &[&str], policy: &str, bad: &mut Refusals) {
        if !routers.iter().any(|router| self.routing.get(router).is_set()) {
            bad.add(field, policy);
        }
    }

    fn name(&self, field: &Field<'_>, bad: &mut Refusals) -> String {
        let name = field.get("name");
        let Some(text) = name.name() else {
            bad.add(&name, "Required value: name one of trafficRouting.managedRoutes");
            return String::new();
        };
        if self.routing.is_set() && !self.managed.iter().any(|known| known == text) {
            bad.add(
                &name,
                format!("Invalid value: \"{text}\": Steps define a route that does not exist in spec.strategy.canary.trafficRouting.managedRoutes; add it there"),
            );
        }
        text.to_owned()
    }

    fn change(&mut self, name: String, rule: RouteRule, removes: bool) -> RouteChange {
        if removes {
            return RouteChange { name, route: None };
        }
        let mirrors = matches!(rule, RouteRule::Mirror(_));
        let route = SpecialRoute { name: name.clone(), mirrors, rule: format!("{rule:?}") };
        self.found.push((route.clone(), rule));
        RouteChange { name, route: Some(route) }
    }
}

/// The names of `trafficRouting.managedRoutes`, in the user's order.
pub(super) fn managed_routes(routing: &Field<'_>) -> Vec<String> {
    let routes = routing.get("managedRoutes").items();
    routes.iter().filter_map(|route| route.get("name").name().map(str::to_owned)).collect()
}

fn string_match(field: &Field<'_>, bad: &mut Refusals) -> Option<StringMatch> {
    let text = |name: &str| field.get(name).name().map(str::to_owned);
    match (text("exact"), text("prefix"), text("regex")) {
        (Some(exact), None, None) => Some(StringMatch::Exact(exact)),
        (None, Some(prefix), None) => Some(StringMatch::Prefix(prefix)),
        (None, None, Some(regex)) => Some(StringMatch::Regex(regex)),
        (None, None, None) => {
            bad.add(field, "Invalid value: StringMatch value missed, match value must have one of the following: exact, regex, prefix");
            None
        }
        (Some(_), _, _) | (_, Some(_), Some(_)) => {
            bad.add(field, ONE_MATCH);
            None
        }
    }
}
