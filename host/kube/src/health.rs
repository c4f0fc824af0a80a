//! What the controller tells of itself: whether it is ready, and what it has done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use sluice_engine::Key;
use sluice_wire::analysis::metric::is_dry_run;
use sluice_wire::clock::parse_time;
use sluice_wire::field::Field;
use sluice_wire::store::{Id, Watched};

use crate::client::{About, plural};

/// Upper bounds of the buckets of turn durations, in seconds.
pub const BUCKETS: [f64; 5] = [0.01, 0.15, 0.25, 0.5, 1.0];

/// A handle on what the controller tells of itself; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<Snapshot>>);

/// Everything that is told, as of now.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The kinds of which everything has been seen at least once.
    pub synced: BTreeSet<&'static str>,
    /// Whether this process leads.
    pub leading: bool,
    /// Keys that are due and wait for a turn.
    pub backlog: usize,
    /// Turns in flight.
    pub running: usize,
    /// Turns by key.
    pub turns: BTreeMap<Key, Turns>,
    /// Records that were void because somebody else wrote first.
    pub conflicts: u64,
    /// Requests by verb, what they were about and status code; code 0 is no answer.
    pub calls: BTreeMap<(&'static str, About, u16), u64>,
    /// Events by namespace, name, type and reason.
    pub events: BTreeMap<(String, String, &'static str, String), u64>,
    /// The rollouts.
    pub rollouts: BTreeMap<Id, RolloutInfo>,
    /// The analysis runs.
    pub runs: BTreeMap<Id, RunInfo>,
    /// The phase of each experiment; empty while it has none.
    pub experiments: BTreeMap<Id, String>,
    /// The analysis templates; those of the cluster have an empty namespace.
    pub templates: BTreeMap<Id, BTreeMap<String, &'static str>>,
    /// How long rollouts took that ended while this process watched, by how they ended.
    pub durations: BTreeMap<(Id, String), Durations>,
    /// Tries to tell somebody, by rollout.
    pub telling: BTreeMap<Id, Turns>,
    /// How many of such tries succeeded, and how many did not.
    pub told: BTreeMap<Told, (u64, u64)>,
}

/// What was to be told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    /// The rollout that it was about.
    pub rollout: Id,
    /// Who was to tell it.
    pub notifier: String,
    /// `Normal` or `Warning`.
    pub severity: &'static str,
    /// The reason of the Event.
    pub reason: String,
}

/// How long updates of one rollout took that ended in one way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Durations {
    /// From the beginning to the end.
    pub whole: Spread,
    /// The same without the time in which somebody was waited for.
    pub progression: Spread,
    /// The time in which somebody was waited for.
    pub manual_pause: Spread,
}

/// Upper bounds of the buckets of durations, in seconds.
pub const LONG_BUCKETS: [u64; 11] =
    [30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400, 28_800];

/// Durations, counted by how long they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// How many.
    pub count: u64,
    /// Seconds of all together.
    pub total: u64,
    /// How many were at most as long as each of [`LONG_BUCKETS`].
    pub buckets: [u64; LONG_BUCKETS.len()],
}

impl Spread {
    fn add(&mut self, seconds: u64) {
        self.count += 1;
        self.total = self.total.saturating_add(seconds);
        for (count, bound) in self.buckets.iter_mut().zip(LONG_BUCKETS) {
            *count += u64::from(seconds <= bound);
        }
    }
}

/// The turns of one key.
#[derive(Clone, Debug, Default)]
pub struct Turns {
    /// How many.
    pub count: u64,
    /// How many failed.
    pub failed: u64,
    /// How long they took together.
    pub total: Duration,
    /// How many took at most as long as each of [`BUCKETS`].
    pub buckets: [u64; BUCKETS.len()],
}

impl Turns {
    fn add(&mut self, took: Duration, failed: bool) {
        self.count += 1;
        self.failed += u64::from(failed);
        self.total += took;
        for (count, bound) in self.buckets.iter_mut().zip(BUCKETS) {
            *count += u64::from(took.as_secs_f64() <= bound);
        }
    }
}

/// What metrics tell of a rollout.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RolloutInfo {
    /// `canary` or `blueGreen`.
    pub strategy: &'static str,
    /// The routers, joined by commas.
    pub traffic_router: String,
    /// `status.phase`.
    pub phase: String,
    /// `spec.replicas`.
    pub desired: u64,
    /// `status.availableReplicas`.
    pub available: u64,
    /// `status.replicas` that are not available.
    pub unavailable: u64,
    /// `status.updatedReplicas`.
    pub updated: u64,
    /// The update that ended last, as `status.duration` has it.
    pub ended: Option<Ended>,
}

/// An update that has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// When, as it is written.
    pub at: String,
    /// How: `Promoted`, `Aborted` and the like.
    pub how: String,
    /// Seconds from the beginning to the end.
    pub seconds: u64,
    /// Seconds of that in which somebody was waited for.
    pub waited: u64,
}

/// What metrics tell of an analysis run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunInfo {
    /// `status.phase`.
    pub phase: String,
    /// Every metric by its name.
    pub metrics: BTreeMap<String, MetricInfo>,
}

/// What metrics tell of a metric of an analysis run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricInfo {
    /// Its provider, in Argo's words.
    pub kind: &'static str,
    /// Its phase; `Pending` until one is reported.
    pub phase: String,
    /// Whether nothing follows from it.
    pub dry_run: bool,
}

impl Health {
    /// Everything, copied.
    pub fn snapshot(&self) -> Snapshot {
        self.lock().clone()
    }

    /// Whether every kind has been seen and turns are taken, or another process leads.
    pub fn ready(&self) -> bool {
        self.lock().synced.len() == Watched::ALL.len()
    }

    pub(crate) fn called(&self, verb: &'static str, about: About, code: u16) {
        *self.lock().calls.entry((verb, about, code)).or_default() += 1;
    }

    pub(crate) fn announced(&self, id: Id, severity: &'static str, reason: &str) {
        let key = (id.0, id.1, severity, reason.to_owned());
        *self.lock().events.entry(key).or_default() += 1;
    }

    pub(crate) fn turned(&self, key: &Key, took: Duration, failed: bool) {
        let mut all = self.lock();
        all.turns.entry(key.clone()).or_default().add(took, failed);
    }

    pub(crate) fn told(&self, told: Told, took: Duration, success: bool) {
        let mut all = self.lock();
        all.telling.entry(told.rollout.clone()).or_default().add(took, !success);
        let (succeeded, failed) = all.told.entry(told).or_default();
        *if success { succeeded } else { failed } += 1;
    }

    pub(crate) fn conflicted(&self) {
        self.lock().conflicts += 1;
    }

    pub(crate) fn synced(&self, kind: Watched) {
        self.lock().synced.insert(kind.kind());
    }

    /// Whether this process leads.
    pub fn is_leading(&self) -> bool {
        self.lock().leading
    }

    pub(crate) fn leading(&self, leading: bool) {
        self.lock().leading = leading;
    }

    pub(crate) fn busy(&self, backlog: usize, running: usize) {
        let mut all = self.lock();
        all.backlog = backlog;
        all.running = running;
    }

    pub(crate) fn saw(&self, kind: Watched, id: &Id, object: &Value) {
        match kind {
            Watched::Rollout => {
                let info = RolloutInfo::read(object);
                let mut all = self.lock();
                let before = all.rollouts.insert(id.clone(), info.clone());
                // What had ended when the watch began was counted by whoever saw it end.
                if let (Some(before), Some(ended)) = (before, info.ended)
                    && before.ended.as_ref() != Some(&ended)
                {
                    all.ended(id, &ended);
                }
            }
            Watched::AnalysisRun => {
                let info = RunInfo::read(object);
                self.lock().runs.insert(id.clone(), info);
            }
            Watched::AnalysisTemplate | Watched::ClusterAnalysisTemplate => {
                let metrics = Field::root(object).at("spec.metrics").items();
                let metrics = metrics.iter().map(|metric| (text(metric, "name"), provider(metric)));
                self.lock().templates.insert(id.clone(), metrics.collect());
            }
            Watched::Experiment => {
                let phase = text(&Field::root(object).get("status"), "phase");
                self.lock().experiments.insert(id.clone(), phase);
            }
            Watched::ReplicaSet | Watched::Service | Watched::Deployment => {}
        }
    }

    /// An object is gone, and its series with it.
    pub(crate) fn lost(&self, kind: Watched, id: &Id) {
        let mut all = self.lock();
        match kind {
            Watched::Rollout => {
                all.rollouts.remove(id);
                all.durations.retain(|(rollout, _), _| rollout != id);
                all.telling.remove(id);
                all.told.retain(|told, _| told.rollout != *id);
            }
            Watched::AnalysisRun => {
                all.runs.remove(id);
            }
            Watched::AnalysisTemplate | Watched::ClusterAnalysisTemplate => {
                all.templates.remove(id);
            }
            Watched::Experiment => {
                all.experiments.remove(id);
            }
            Watched::ReplicaSet | Watched::Service | Watched::Deployment => {}
        }
        // Events are counted by name alone, and a run may be named as a rollout is.
        let named = all.rollouts.contains_key(id)
            || all.runs.contains_key(id)
            || all.experiments.contains_key(id);
        if !named {
            all.events.retain(|key, _| (&key.0, &key.1) != (&id.0, &id.1));
        }
        let resource = plural(kind);
        all.calls.retain(|(_, about, _), _| {
            !(about.resource == resource && about.namespace == id.0 && about.name == id.1)
        });
        let same = |key: &Key| format!("{:?}", key.kind) == kind.kind();
        all.turns.retain(|key, _| !(same(key) && key.namespace == id.0 && key.name == id.1));
    }

    fn lock(&self) -> MutexGuard<'_, Snapshot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Snapshot {
    fn ended(&mut self, id: &Id, ended: &Ended) {
        let key = (id.clone(), ended.how.clone());
        let durations = self.durations.entry(key).or_default();
        durations.whole.add(ended.seconds);
        durations.progression.add(ended.seconds.saturating_sub(ended.waited));
        durations.manual_pause.add(ended.waited);
    }
}

impl Ended {
    /// What `status.duration` says; `None` while the update is under way.
    fn read(status: &Field<'_>) -> Option<Self> {
        let duration = status.get("duration");
        let time = |name: &str| duration.get(name).str().and_then(parse_time);
        let (began, ended) = (time("rolloutStartedAt")?, time("finishedAt")?);
        let waited = duration.get("totalManualPauseDurationSeconds").u32().unwrap_or(0);
        Some(Self {
            at: text(&duration, "finishedAt"),
            how: text(&duration, "completionStatus"),
            seconds: ended.since(began).as_secs(),
            waited: u64::from(waited),
        })
    }
}

impl RolloutInfo {
    fn read(object: &Value) -> Self {
        let root = Field::root(object);
        let count = |path: &str| u64::from(root.at(path).u32().unwrap_or_default());
        let routing = root.at("spec.strategy.canary.trafficRouting");
        let routers: Vec<&str> = routing
            .value()
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
            .filter(|name| !matches!(*name, "managedRoutes" | "maxTrafficWeight"))
            .collect();
        let blue_green = root.at("spec.strategy.blueGreen").is_set();
        let available = count("status.availableReplicas");
        Self {
            strategy: if blue_green { "blueGreen" } else { "canary" },
            traffic_router: routers.join(","),
            phase: root.at("status.phase").str().unwrap_or_default().to_owned(),
            desired: u64::from(root.at("spec.replicas").u32().unwrap_or(1)),
            available,
            unavailable: count("status.replicas").saturating_sub(available),
            updated: count("status.updatedReplicas"),
            ended: Ended::read(&root.get("status")),
        }
    }
}

impl RunInfo {
    fn read(object: &Value) -> Self {
        let root = Field::root(object);
        let status = root.get("status");
        let results = status.get("metricResults").items();
        let dry_run = root.at("spec.dryRun");
        let metric = |metric: &Field<'_>| {
            let name = text(metric, "name");
            let result = results.iter().find(|result| text(result, "name") == name);
            let phase = result.map(|result| text(result, "phase")).unwrap_or_default();
            let info = MetricInfo {
                kind: provider(metric),
                phase: if phase.is_empty() { "Pending".to_owned() } else { phase },
                dry_run: is_dry_run(&dry_run, &name),
            };
            (name, info)
        };
        Self {
            phase: text(&status, "phase"),
            metrics: root.at("spec.metrics").items().iter().map(metric).collect(),
        }
    }
}

fn text(field: &Field<'_>, name: &str) -> String {
    field.get(name).str().unwrap_or_default().to_owned()
}

/// What measures a metric, as Argo's metrics call it.
fn provider(metric: &Field<'_>) -> &'static str {
    const NAMES: [(&str, &str); 12] = [
        ("prometheus", "Prometheus"),
        ("job", "Job"),
        ("kayenta", "Kayenta"),
        ("web", "Web"),
        ("datadog", "Datadog"),
        ("wavefront", "Wavefront"),
        ("newRelic", "NewRelic"),
        ("cloudWatch", "CloudWatch"),
        ("graphite", "Graphite"),
        ("influxdb", "Influxdb"),
        ("skywalking", "SkyWalking"),
        ("plugin", "RPCPlugin"),
    ];
    let provider = metric.get("provider");
    let found = NAMES.iter().find(|(member, _)| provider.get(member).is_set());
    found.map_or("Unknown Provider", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id(name: &str) -> Id {
        ("shop".to_owned(), name.to_owned())
    }

    #[test]
    fn an_update_is_counted_when_it_is_seen_to_end() {
        let health = Health::default();
        let rollout = |more: Value| {
            let mut duration = json!({"rolloutStartedAt": "2026-03-01T12:00:00Z"});
            for (key, value) in more.as_object().into_iter().flatten() {
                duration[key] = value.clone();
            }
            json!({"status": {"duration": duration}})
        };
        let over = rollout(json!({
            "finishedAt": "2026-03-01T12:10:00Z", "completionStatus": "Promoted",
            "totalManualPauseDurationSeconds": 540,
        }));
        health.saw(Watched::Rollout, &id("web"), &over);
        assert_eq!(health.snapshot().durations.len(), 0, "it had ended before");
        health.saw(Watched::Rollout, &id("web"), &rollout(json!({})));
        health.saw(Watched::Rollout, &id("web"), &over);
        health.saw(Watched::Rollout, &id("web"), &over);
        let seen = health.snapshot();
        let durations = &seen.durations[&(id("web"), "Promoted".to_owned())];
        assert_eq!((durations.whole.count, durations.whole.total), (1, 600));
        assert_eq!((durations.progression.total, durations.manual_pause.total), (60, 540));
        assert_eq!(durations.progression.buckets[..3], [0, 1, 1]);
        health.lost(Watched::Rollout, &id("web"));
        assert_eq!(health.snapshot().durations.len(), 0);
    }

    #[test]
    fn a_metric_has_its_provider_before_it_has_a_result() {
        let run = json!({
            "spec": {
                "metrics": [
                    {"name": "rate", "provider": {"prometheus": {}}},
                    {"name": "smoke", "provider": {"plugin": {"own/one": {}}}},
                ],
                "dryRun": [{"metricName": "smo.*"}],
            },
            "status": {"phase": "Running",
                "metricResults": [{"name": "rate", "phase": "Successful"}]},
        });
        let info = RunInfo::read(&run);
        let rate = MetricInfo { kind: "Prometheus", phase: "Successful".into(), dry_run: false };
        let smoke = MetricInfo { kind: "RPCPlugin", phase: "Pending".into(), dry_run: true };
        assert_eq!(info.metrics, BTreeMap::from([("rate".into(), rate), ("smoke".into(), smoke)]));
    }

    #[test]
    fn what_is_gone_takes_its_requests_and_events_along() {
        let health = Health::default();
        let about = |name: &str| About {
            resource: "analysisruns".into(),
            namespace: "shop".into(),
            name: name.into(),
        };
        for name in ["one", "two"] {
            health.saw(Watched::AnalysisRun, &id(name), &json!({}));
            health.called("patch", about(name), 200);
            health.announced(id(name), "Normal", "AnalysisRunRunning");
        }
        health.lost(Watched::AnalysisRun, &id("one"));
        let seen = health.snapshot();
        assert_eq!(seen.calls.keys().map(|key| &*key.1.name).collect::<Vec<_>>(), ["two"]);
        assert_eq!(seen.events.keys().map(|key| &*key.1).collect::<Vec<_>>(), ["two"]);
    }
}
