//! What the controller tells of itself: whether it is ready, and what it has done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use sluice_engine::Key;
use sluice_wire::field::Field;
use sluice_wire::store::{Id, Watched};

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
    /// Requests by verb, resource and status code; code 0 is no answer.
    pub calls: BTreeMap<(&'static str, String, u16), u64>,
    /// Events by namespace, name, type and reason.
    pub events: BTreeMap<(String, String, &'static str, String), u64>,
    /// The rollouts.
    pub rollouts: BTreeMap<Id, RolloutInfo>,
    /// The analysis runs.
    pub runs: BTreeMap<Id, RunInfo>,
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
}

/// What metrics tell of an analysis run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunInfo {
    /// `status.phase`.
    pub phase: String,
    /// The phase of every metric by its name.
    pub metrics: BTreeMap<String, String>,
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

    pub(crate) fn called(&self, verb: &'static str, resource: &str, code: u16) {
        *self.lock().calls.entry((verb, resource.to_owned(), code)).or_default() += 1;
    }

    pub(crate) fn announced(&self, id: Id, severity: &'static str, reason: &str) {
        let key = (id.0, id.1, severity, reason.to_owned());
        *self.lock().events.entry(key).or_default() += 1;
    }

    pub(crate) fn turned(&self, key: &Key, took: Duration, failed: bool) {
        let mut all = self.lock();
        let turns = all.turns.entry(key.clone()).or_default();
        turns.count += 1;
        turns.failed += u64::from(failed);
        turns.total += took;
        for (count, bound) in turns.buckets.iter_mut().zip(BUCKETS) {
            *count += u64::from(took.as_secs_f64() <= bound);
        }
    }

    pub(crate) fn conflicted(&self) {
        self.lock().conflicts += 1;
    }

    pub(crate) fn synced(&self, kind: Watched) {
        self.lock().synced.insert(kind.kind());
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
                self.lock().rollouts.insert(id.clone(), info);
            }
            Watched::AnalysisRun => {
                let info = RunInfo::read(object);
                self.lock().runs.insert(id.clone(), info);
            }
            Watched::ReplicaSet
            | Watched::Service
            | Watched::Experiment
            | Watched::AnalysisTemplate
            | Watched::ClusterAnalysisTemplate => {}
        }
    }

    /// An object is gone, and its series with it.
    pub(crate) fn lost(&self, kind: Watched, id: &Id) {
        let mut all = self.lock();
        match kind {
            Watched::Rollout => {
                all.rollouts.remove(id);
                all.events.retain(|key, _| (&key.0, &key.1) != (&id.0, &id.1));
            }
            Watched::AnalysisRun => {
                all.runs.remove(id);
            }
            Watched::ReplicaSet
            | Watched::Service
            | Watched::Experiment
            | Watched::AnalysisTemplate
            | Watched::ClusterAnalysisTemplate => return,
        }
        let same = |key: &Key| format!("{:?}", key.kind) == kind.kind();
        all.turns.retain(|key, _| !(same(key) && key.namespace == id.0 && key.name == id.1));
    }

    fn lock(&self) -> MutexGuard<'_, Snapshot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        }
    }
}

impl RunInfo {
    fn read(object: &Value) -> Self {
        let status = Field::root(object).get("status");
        let text = |field: Field<'_>| field.str().unwrap_or_default().to_owned();
        let metrics = status.get("metricResults").items();
        Self {
            phase: text(status.get("phase")),
            metrics: metrics
                .iter()
                .map(|metric| (text(metric.get("name")), text(metric.get("phase"))))
                .collect(),
        }
    }
}
