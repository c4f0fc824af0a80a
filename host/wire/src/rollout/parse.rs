//! What a user wants, from the Rollout's specification: all of it, or every complaint about it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use sluice_core::lender::ScaleDown;
use sluice_core::rollout::{Rollout, SpecialRoute, Strategy};
use sluice_core::{Pods, Timestamp};

use crate::clock::parse_time;
use crate::field::{Field, Refusal, Refusals};
use crate::rollout::marks::{AntiAffinity, MetadataPair};
use crate::rollout::workload;

mod blue_green;
mod canary;
mod experiment;
mod routes;
mod steps;

pub(crate) use canary::{DRAIN, fallback};
pub use routes::RouteRule;

const PROGRESS_DEADLINE: u32 = 600;

/// A validated specification: what the core needs, and what only writes need.
#[derive(Clone, Debug, PartialEq)]
pub struct Intent {
    /// What the core decides on.
    pub rollout: Rollout,
    /// `spec.template`, untouched.
    pub template: Value,
    /// `spec.selector`, untouched.
    pub selector: Value,
    /// `spec.minReadySeconds`.
    pub min_ready_seconds: u32,
    /// `spec.progressDeadlineSeconds`.
    pub progress_deadline: Duration,
    /// The routers in the order in which they are asked: component name and configuration.
    pub routers: Vec<(String, Value)>,
    /// The analyses of the steps that have one, by index.
    pub step_analyses: BTreeMap<usize, Value>,
    /// Every route that a step makes, and what routers are told of it.
    pub special_routes: Vec<(SpecialRoute, RouteRule)>,
    /// The names of `trafficRouting.managedRoutes`, in the user's order.
    pub managed_routes: Vec<String>,
    /// The background analysis.
    pub background: Option<Value>,
    /// `strategy.blueGreen.prePromotionAnalysis`.
    pub pre_promotion: Option<Value>,
    /// `strategy.blueGreen.postPromotionAnalysis`.
    pub post_promotion: Option<Value>,
    /// The metadata that pods get by their role.
    pub metadata: MetadataPair,
    /// How an update keeps away from the nodes of the stable revision.
    pub anti_affinity: Option<AntiAffinity>,
    /// `spec.restartAt`, in whole seconds as the API has times.
    pub restart_at: Option<Timestamp>,
    /// When the Deployment that lends the template loses its pods.
    pub scale_down: ScaleDown,
    /// `strategy.canary.steps`, untouched.
    pub steps: Option<Value>,
}

/// The two Services that change sides with every promotion of a canary, ping before pong.
pub(crate) const PING_PONG: [&str; 2] = ["pingPong.pingService", "pingPong.pongService"];

/// The Services of the stable and of the canary side, by the names that they have in the canary
/// and in the blue-green strategy.
pub(crate) const SERVICES: [(&str, &str); 2] =
    [("stableService", "activeService"), ("canaryService", "previewService")];

impl Intent {
    /// `steps[index].plugin.config`, if there is one.
    pub fn step_plugin(&self, index: usize) -> Option<&Value> {
        self.steps.as_ref()?.get(index)?.get("plugin")?.get("config")
    }
}

/// Read a Rollout.
pub fn parse(rollout: &Value) -> Result<Intent, Vec<Refusal>> {
    let root = Field::root(rollout);
    let spec = root.get("spec");
    let mut bad = Refusals::default();
    let replicas = Pods(bad.count(&spec.get("replicas"), 1));
    // Without its workload, a borrowed template cannot be judged.
    if !spec.get("workloadRef").is_set() || spec.get("template").is_set() {
        template(&spec, &mut bad);
    }
    let scale_down = workload::scale_down(&spec, &mut bad);
    let min_ready_seconds = bad.count(&spec.get("minReadySeconds"), 0);
    let history = bad.count(&spec.get("revisionHistoryLimit"), 10);
    let deadline_field = spec.get("progressDeadlineSeconds");
    let deadline = bad.count(&deadline_field, PROGRESS_DEADLINE);
    if deadline <= min_ready_seconds {
        bad.add(
            &deadline_field,
            format!("Invalid value: {deadline}: must be greater than minReadySeconds"),
        );
    }
    let window = spec.at("rollbackWindow.revisions");
    let rollback_window =
        window.is_set().then(|| bad.count(&window, 0)).filter(|window| *window > 0);
    let good_runs = bad.count(&spec.at("analysis.successfulRunHistoryLimit"), 5);
    let bad_runs = bad.count(&spec.at("analysis.unsuccessfulRunHistoryLimit"), 5);

    let restart_at = restart_at(&spec.get("restartAt"), &mut bad);

    let metadata = MetadataPair::parse(&spec.get("strategy"), &mut bad);
    let anti_affinity = AntiAffinity::parse(&spec.get("strategy"), &mut bad);
    let canary = strategy(&spec, &mut bad);
    let blue_green = spec.at("strategy.blueGreen");
    let is_blue_green = blue_green.is_set() && !canary.is_set();
    let canary::Canary { strategy, max_unavailable, routers, step_analyses, special_routes } =
        canary::canary(&canary, replicas, &mut bad);
    let (strategy, max_unavailable) = if is_blue_green {
        let read = blue_green::blue_green(&blue_green, replicas, history, &mut bad);
        (Strategy::BlueGreen(read.strategy), read.max_unavailable)
    } else {
        (Strategy::Canary(strategy), max_unavailable)
    };

    bad.or(Intent {
        rollout: Rollout {
            replicas,
            paused: spec.get("paused").bool(),
            abort_when_overdue: spec.get("progressDeadlineAbort").bool(),
            history_limit: history as usize,
            rollback_window,
            keeps_apart: anti_affinity.is_some(),
            run_limits: (good_runs as usize, bad_runs as usize),
            max_unavailable,
            strategy,
        },
        template: spec.get("template").value().cloned().unwrap_or_default(),
        selector: spec.get("selector").value().cloned().unwrap_or_default(),
        min_ready_seconds,
        progress_deadline: Duration::from_secs(u64::from(deadline)),
        routers,
        step_analyses,
        special_routes,
        managed_routes: routes::managed_routes(&canary.get("trafficRouting")),
        background: canary.get("analysis").value().cloned(),
        pre_promotion: blue_green.get("prePromotionAnalysis").value().cloned(),
        post_promotion: blue_green.get("postPromotionAnalysis").value().cloned(),
        metadata,
        anti_affinity,
        restart_at,
        scale_down,
        steps: canary.get("steps").value().cloned(),
    })
}

/// A time that cannot be read would never come, and so nobody would learn of the mistake.
fn restart_at(field: &Field<'_>, bad: &mut Refusals) -> Option<Timestamp> {
    let value = field.value()?;
    let at = field.str().and_then(parse_time);
    if at.is_none() {
        bad.add(
            field,
            format!("Invalid value: {value}: must be a time such as \"2026-01-31T12:00:00Z\""),
        );
    }
    at.map(|at| Timestamp(at.0 - at.0 % 1000))
}

fn template(spec: &Field<'_>, bad: &mut Refusals) {
    let selector = spec.get("selector");
    let template = spec.get("template");
    let labels = template.at("metadata.labels");
    if !selector.is_set() {
        bad.add(&selector, "Required value: Rollout has missing field '.spec.selector'");
    }
    let wanted = selector.get("matchLabels");
    let wanted = wanted.value().and_then(Value::as_object);
    let expressions = !selector.get("matchExpressions").items().is_empty();
    if selector.is_set() && wanted.is_none_or(serde_json::Map::is_empty) && !expressions {
        bad.add(&selector, "Invalid value: empty selector is invalid for deployment");
    }
    let mismatch = wanted
        .into_iter()
        .flatten()
        .any(|(key, value)| labels.value().and_then(|labels| labels.get(key)) != Some(value));
    if mismatch {
        let found = labels.value().cloned().unwrap_or_default();
        bad.add(
            &labels,
            format!("Invalid value: {found}: `selector` does not match template `labels`"),
        );
    }
    let containers = template.at("spec.containers");
    if containers.items().is_empty() {
        bad.add(&containers, "Required value: a pod template needs at least one container");
    }
    for container in containers.items() {
        for name in ["name", "image"] {
            if container.get(name).name().is_none() {
                bad.add(&container.get(name), "Required value");
            }
        }
    }
}

fn strategy<'v>(spec: &Field<'v>, bad: &mut Refusals) -> Field<'v> {
    let strategy = spec.get("strategy");
    let (canary, blue_green) = (strategy.get("canary"), strategy.get("blueGreen"));
    match (canary.is_set(), blue_green.is_set()) {
        (true, true) => bad.add(&strategy, "Invalid value: Multiple Strategies can not be listed"),
        (false, false) => bad.add(
            &strategy,
            "Required value: Rollout has missing field '.spec.strategy.canary or .spec.strategy.blueGreen'",
        ),
        (true, false) | (false, true) => {}
    }
    let same = canary.get("stableService").name();
    if same.is_some() && same == canary.get("canaryService").name() {
        bad.add(
            &canary.get("stableService"),
            "Invalid value: This rollout uses the same service for the stable and canary services, but two different services are required.",
        );
    }
    canary
}
