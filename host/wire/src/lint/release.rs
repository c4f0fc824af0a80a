//! Rollouts: the specification, and whether it fits what it refers to.

use serde_json::{Value, json};
use sluice_core::observed::Purpose;

use crate::analysis::arguments::{ArgumentError, Sources};
use crate::analysis::metric::MetricError;
use crate::analysis::run::{self, RunError};
use crate::analysis::template::{TemplateError, unite_references};
use crate::field::{Field, Refusal};
use crate::keys;
use crate::lint::around::{Around, references, warn_of_absent};
use crate::lint::template::member;
use crate::lint::{Page, Part};
use crate::objects::{Service, TemplateName};
use crate::rollout::parse::{PING_PONG, parse};
use crate::rollout::workload::{Lends, reference};

/// What helps against refusals that do not say so themselves, by a part of their message.
const FIXES: &[(&str, &str)] = &[
    ("MaxSurge and MaxUnavailable both", "set one of them to at least 1"),
    ("`selector` does not match", "give the pods every label of spec.selector.matchLabels"),
    ("empty selector is invalid", "name a label of the pods in matchLabels"),
    ("must be greater than minReadySeconds", "raise it above spec.minReadySeconds"),
    ("Multiple Strategies", "keep spec.strategy.canary"),
    ("missing field '.spec.strategy", "add spec.strategy.canary"),
    ("the same service for the stable and canary", "make a second Service with the same selector"),
    ("the same service for the active and preview", "make a second Service with the same selector"),
    ("revision history limit can not be smaller", "lower it, or raise spec.revisionHistoryLimit"),
    ("must to be set to use Traffic Routing", "name a Service for each of the two sides"),
    ("Step must have one of", "set setWeight, pause or analysis"),
    ("Step must only have one of", "make it several steps, one after the other"),
    ("can only be used with traffic routing", "remove it, or add trafficRouting"),
    ("requires TrafficRouting", "add trafficRouting with a router that can do it"),
    ("cannot be used with scaleDownDelaySeconds", "remove one of the two"),
    ("the same service for the ping and pong", "make a second Service with the same selector"),
    ("Ping service and Pong service must", "name a Service for each of the two"),
    ("Ping-pong feature works with", "name stableService and canaryService instead of pingPong"),
    ("match value must have", "set one of exact, prefix and regex"),
    ("ALB supports 'exact' value only", "write the whole value as exact"),
];

/// Judge a Rollout.
pub(super) fn check(page: &mut Page<'_>, around: &Around<'_>) {
    if let Err(refusals) = parse(&page.document.object) {
        for refusal in &refusals {
            let (problem, fix) = words(refusal);
            page.error(&refusal.path, problem, fix);
        }
    }
    workload(page);
    let root = page.root();
    let canary = root.at("spec.strategy.canary");
    services(page, around, &canary, &["stableService", "canaryService"]);
    services(page, around, &canary, &PING_PONG);
    routers(page, around, &canary);
    crate::lint::steps::steps(page, &canary);
    let steps = canary.get("steps").items();
    for (index, step) in steps.iter().enumerate() {
        analysis(page, around, &step.get("analysis"), Purpose::Step(index));
        plugin(page, around, &step.get("plugin"));
        warn_of_absent(page, around, &step.at("experiment.analyses"));
    }
    let background = canary.get("analysis");
    analysis(page, around, &background, Purpose::Background);
    let start = background.get("startingStep");
    if start.u32().is_some_and(|start| start as usize >= steps.len().max(1)) {
        let problem = format!("never starts: there are {} steps", steps.len());
        page.warning(start.path(), problem, Some("steps are counted from 0"));
    }
    blue_green(page, around, &root.at("spec.strategy.blueGreen"));
}

/// The workload that lends the template.
fn workload(page: &mut Page<'_>) {
    let field = page.root().at("spec.workloadRef");
    match reference(&page.document.object) {
        Err(refusal) => {
            let (problem, fix) = words(&refusal);
            page.error(&refusal.path, problem, fix);
        }
        Ok(Some(found)) if found.kind != Lends::Deployment => {
            let scale_down = field.get("scaleDown");
            if scale_down.name().is_some_and(|how| how != "never") {
                let problem = "does nothing: only a Deployment has pods to lose".to_owned();
                page.warning(scale_down.path(), problem, Some("remove it"));
            }
        }
        Ok(_) => {}
    }
}

fn blue_green(page: &mut Page<'_>, around: &Around<'_>, blue_green: &Field<'_>) {
    services(page, around, blue_green, &["activeService", "previewService"]);
    for (name, purpose) in [
        ("prePromotionAnalysis", Purpose::PrePromotion),
        ("postPromotionAnalysis", Purpose::PostPromotion),
    ] {
        analysis(page, around, &blue_green.get(name), purpose);
    }
    let (enabled, seconds) =
        (blue_green.get("autoPromotionEnabled"), blue_green.get("autoPromotionSeconds"));
    if enabled.is_set() && !enabled.bool() && seconds.u32().is_some_and(|seconds| seconds > 0) {
        let problem = "has no effect, since autoPromotionEnabled is false";
        page.warning(seconds.path(), problem, Some("remove one of the two"));
    }
}

/// What is wrong, without the words that the API server puts before it where they tell nothing,
/// and what to do about it.
fn words(refusal: &Refusal) -> (&str, Option<&str>) {
    let text = refusal.message.as_str();
    // The last part is advice, unless the semicolon is within a value that is quoted.
    let advice = text.rsplit_once("; ").filter(|(_, advice)| !advice.contains(['"', '}']));
    let (problem, advice) = advice.map_or((text, None), |(text, advice)| (text, Some(advice)));
    let known = || FIXES.iter().find(|(part, _)| text.contains(part)).map(|(_, fix)| *fix);
    let problem = problem.strip_prefix("Forbidden: ").unwrap_or(problem);
    let problem = problem.strip_prefix("Invalid value: ").unwrap_or(problem);
    (problem, advice.or_else(known))
}

fn services(page: &mut Page<'_>, around: &Around<'_>, strategy: &Field<'_>, names: &[&str]) {
    let (namespace, root) = (page.namespace(), page.root());
    let labels = root.at("spec.template.metadata.labels");
    for name in names {
        let field = strategy.at(name);
        let Some(name) = field.name() else { continue };
        let Some(service) = around.find("Service", &namespace, name) else {
            page.warning(field.path(), format!("Service {name:?} is not in these files"), None);
            continue;
        };
        for (key, wanted) in &Service::read(service).selector {
            let found = labels.value().and_then(|labels| labels.get(key)).and_then(Value::as_str);
            if key != keys::HASH && found != Some(wanted) {
                let problem = format!(
                    "Service {name:?} selects {key}={wanted}, but the pods have {}",
                    found.map_or("no such label".to_owned(), |found| format!("{key}={found}"))
                );
                let fix =
                    "make the Service's spec.selector and spec.template.metadata.labels agree";
                page.error(field.path(), problem, Some(fix));
            }
        }
    }
}

fn routers(page: &mut Page<'_>, around: &Around<'_>, canary: &Field<'_>) {
    let routing = canary.get("trafficRouting");
    let fields = |field: &Field<'_>| {
        let fields = field.value().and_then(Value::as_object).cloned().unwrap_or_default();
        fields.into_iter().filter(|(_, config)| !config.is_null())
    };
    for (name, config) in fields(&routing) {
        if !["plugins", "managedRoutes", "maxTrafficWeight"].contains(&name.as_str()) {
            let path = format!("{}{}", routing.path(), member(&name));
            around.ask(page, Part::Router, &name, &path, &config);
        }
    }
    let plugins = routing.get("plugins");
    for (name, config) in fields(&plugins) {
        let path = format!("{}{}", plugins.path(), member(&name));
        around.ask(page, Part::Router, &name, &path, &config);
    }
    ingresses(page, around, canary, &routing.get("nginx"));
}

fn plugin(page: &mut Page<'_>, around: &Around<'_>, plugin: &Field<'_>) {
    let Some(name) = plugin.get("name").name() else { return };
    let config = plugin.get("config");
    let given = config.value().cloned().unwrap_or_default();
    around.ask(page, Part::Step, name, config.path(), &given);
}

fn ingresses(page: &mut Page<'_>, around: &Around<'_>, canary: &Field<'_>, nginx: &Field<'_>) {
    let namespace = page.namespace();
    let named = nginx.get("stableIngresses").items();
    for field in [nginx.get("stableIngress")].into_iter().chain(named) {
        let Some(name) = field.name() else { continue };
        let Some(ingress) = around.find("Ingress", &namespace, name) else {
            page.warning(field.path(), format!("Ingress {name:?} is not in these files"), None);
            continue;
        };
        let Some(stable) = canary.get("stableService").name() else { continue };
        let rules = Field::root(ingress).at("spec.rules").items();
        let mut paths = rules.iter().flat_map(|rule| rule.at("http.paths").items());
        let is_backend = |path: &Field<'_>| {
            let backend = path.get("backend");
            let service = backend.at("service.name").name().or(backend.get("serviceName").name());
            service == Some(stable)
        };
        if !paths.any(|path| is_backend(&path)) {
            let problem = format!("Ingress {name:?} has no rule with the Service {stable:?}");
            let fix = "let a rule of the Ingress lead to stableService";
            page.error(field.path(), problem, Some(fix));
        }
    }
}

fn analysis(page: &mut Page<'_>, around: &Around<'_>, field: &Field<'_>, purpose: Purpose) {
    let Some(analysis) = field.value() else { return };
    let list = field.get("templates");
    if references(&list).is_empty() {
        page.error(list.path(), "names no template", Some("add a templateName"));
        return;
    }
    warn_of_absent(page, around, &list);
    let namespace = page.namespace();
    let find = |name: &TemplateName| around.template(&namespace, name);
    // A template that is not here may declare any argument.
    if let Ok(united) = unite_references(&list, find) {
        idle_arguments(page, field, &united.args);
    }
    let rollout = as_in_a_cluster(&page.document.object);
    let sources = Sources { rollout: &rollout, stable: "6f9c4b7d8d", latest: "7c5d9f8b6b" };
    if let Err(error) = run::check(analysis, &sources, purpose, find) {
        let mut named = references(&list).into_iter();
        let is_known = named.any(|(_, name)| around.is_faulty(&namespace, &name));
        complain(page, field, &error, is_known);
    }
}

/// Arguments may be taken from fields that the API server fills in.
fn as_in_a_cluster(rollout: &Value) -> Value {
    let mut rollout = rollout.clone();
    let filled = ["namespace", "name", "uid", "resourceVersion", "creationTimestamp"];
    if let Some(metadata) = rollout.get_mut("metadata").and_then(Value::as_object_mut) {
        for name in filled {
            metadata.entry(name).or_insert_with(|| json!("filled-in"));
        }
    }
    rollout
}

fn idle_arguments(page: &mut Page<'_>, field: &Field<'_>, declared: &[Value]) {
    for arg in field.get("args").items() {
        let name = arg.get("name");
        let is_declared = declared.iter().any(|arg| arg.get("name") == name.value());
        if let Some(text) = name.name()
            && !is_declared
        {
            let mut known: Vec<_> =
                declared.iter().filter_map(|arg| arg.get("name")?.as_str()).collect();
            known.sort_unstable();
            let fix =
                (!known.is_empty()).then(|| format!("the arguments are {}", known.join(", ")));
            let problem = format!("no template has an argument {text:?}");
            page.warning(name.path(), problem, fix.as_deref());
        }
    }
}

/// Say what keeps an analysis from being run, unless its templates have heard of it already.
fn complain(page: &mut Page<'_>, field: &Field<'_>, error: &RunError, is_known: bool) {
    let templates = field.get("templates");
    match error {
        RunError::Template(TemplateError::NotFound(_)) => {}
        RunError::Argument(ArgumentError::Unresolved(name)) => {
            let problem = format!("argument {name:?} has no value");
            let fix = format!("add {name:?} to args, or give it a value in the template");
            page.error(field.get("args").path(), problem, Some(&fix));
        }
        RunError::Argument(
            why @ (ArgumentError::NoSuchPath(_)
            | ArgumentError::NoValue(_)
            | ArgumentError::NoIndex(_)
            | ArgumentError::OutOfRange(_)),
        ) => page.error(field.get("args").path(), why.to_string(), None),
        RunError::Metric(_, MetricError::IdleRule(list, index))
            if *index < field.get(list).items().len() =>
        {
            let path = format!("{}[{index}].metricName", field.get(list).path());
            page.error(&path, "no metric has a name that matches", None);
        }
        RunError::Endless { .. } => {
            let fix = "give the metric a count, or measure in the background of a canary";
            page.error(templates.path(), error.to_string(), Some(fix));
        }
        RunError::Metric(..) | RunError::Argument(_) | RunError::Template(_) if is_known => {}
        RunError::Metric(..) | RunError::Argument(_) | RunError::Template(_) => {
            page.error(templates.path(), error.to_string(), None);
        }
    }
}
