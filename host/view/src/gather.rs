//! From objects to a card.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;
use sluice_api::keys;

use crate::card::{
    Card, Counts, Experiment, Image, Job, Pod, ReplicaSet, Replicas, Revision, Role, Run, Step,
};
use crate::lens::Lens;
use crate::{phase, pod};

/// Metadata of a measurement: the Job that took it.
const JOB_NAME: &str = "job-name";

/// The objects that a card is built from.
///
/// The lists may hold strangers, for example everything in the namespace: what belongs to the
/// rollout is found by its controlling owner.
#[derive(Clone, Copy, Debug)]
pub struct Objects<'a> {
    /// The rollout.
    pub rollout: &'a Value,
    /// ReplicaSets.
    pub replica_sets: &'a [Value],
    /// Pods.
    pub pods: &'a [Value],
    /// Analysis runs.
    pub analysis_runs: &'a [Value],
    /// Experiments.
    pub experiments: &'a [Value],
}

impl<'a> Objects<'a> {
    /// A rollout on its own, for the lines that need nothing else.
    pub fn alone(rollout: &'a Value) -> Self {
        Self { rollout, replica_sets: &[], pods: &[], analysis_runs: &[], experiments: &[] }
    }
}

/// The card of a rollout, as of `now`.
pub fn card(objects: &Objects<'_>, now: Timestamp) -> Card {
    let rollout = objects.rollout;
    let phase = phase(rollout);
    let revisions = revisions(objects);
    let canary = rollout.at(&["spec", "strategy", "canary"]);
    let strategy = match canary {
        Some(_) => "Canary",
        None if rollout.at(&["spec", "strategy", "blueGreen"]).is_some() => "BlueGreen",
        None => "",
    };
    Card {
        name: rollout.name().to_owned(),
        namespace: rollout.text(&["metadata", "namespace"]).unwrap_or_default().to_owned(),
        phase: phase.phase,
        message: phase.message,
        waits: None,
        strategy: strategy.to_owned(),
        step: canary.and_then(|canary| step(rollout, canary)),
        set_weight: canary.map(|canary| set_weight(rollout, canary)),
        actual_weight: canary.map(|canary| actual_weight(rollout, canary, &revisions)),
        images: images(&revisions),
        replicas: replicas(rollout),
        revisions,
        created_at: rollout.created(),
        seen_at: now,
    }
}

fn replicas(rollout: &Value) -> Replicas {
    let count = |field| rollout.int(&["status", field]).unwrap_or(0);
    Replicas {
        desired: rollout.int(&["spec", "replicas"]).unwrap_or(1),
        current: count("replicas"),
        updated: count("updatedReplicas"),
        ready: count("readyReplicas"),
        available: count("availableReplicas"),
    }
}

/// The place in the steps; a rollout without an index is at the first.
fn step(rollout: &Value, canary: &Value) -> Option<Step> {
    let total = i64::try_from(canary.items(&["steps"]).len()).ok().filter(|total| *total > 0)?;
    let completed = rollout.int(&["status", "currentStepIndex"]).unwrap_or(0);
    Some(Step { completed, total })
}

/// The whole that weights are parts of.
fn whole(canary: &Value) -> i64 {
    canary.int(&["trafficRouting", "maxTrafficWeight"]).unwrap_or(100)
}

/// The weight that the steps ask for: that of the nearest weight step at or before the place.
fn set_weight(rollout: &Value, canary: &Value) -> i64 {
    if rollout.flag(&["status", "abort"]) {
        return 0;
    }
    let steps = canary.items(&["steps"]);
    let place = rollout.int(&["status", "currentStepIndex"]).unwrap_or(0);
    let place = usize::try_from(place).unwrap_or(0);
    if place >= steps.len() {
        return whole(canary);
    }
    steps.iter().take(place + 1).rev().find_map(|step| step.int(&["setWeight"])).unwrap_or(0)
}

/// The weight that the wanted revision receives: what the router was told, or else the share of
/// available pods. A revision that has become the stable one receives everything, whatever
/// the router's weight for the other side says.
fn actual_weight(rollout: &Value, canary: &Value, revisions: &[Revision]) -> i64 {
    let stable = rollout.text(&["status", "stableRS"]);
    if stable.is_some() && stable == rollout.text(&["status", "currentPodHash"]) {
        return whole(canary);
    }
    if canary.at(&["trafficRouting"]).is_some() {
        return rollout.int(&["status", "canary", "weights", "canary", "weight"]).unwrap_or(0);
    }
    let available = rollout.int(&["status", "availableReplicas"]).unwrap_or(0);
    let of_canary = revisions
        .iter()
        .flat_map(|revision| &revision.replica_sets)
        .find(|set| set.roles.contains(&Role::Canary))
        .map_or(0, |set| set.available);
    of_canary.saturating_mul(100).checked_div(available).unwrap_or(0)
}

/// Everything that the rollout controls, by revision, newest first.
fn revisions(objects: &Objects<'_>) -> Vec<Revision> {
    let mut revisions = BTreeMap::<i64, Revision>::new();
    for object in by_age(objects.replica_sets, objects.rollout) {
        let set = replica_set(object, roles(objects.rollout, object), objects.pods);
        entry(&mut revisions, object).replica_sets.push(set);
    }
    for object in by_age(objects.experiments, objects.rollout) {
        entry(&mut revisions, object).experiments.push(experiment(object, objects));
    }
    for object in by_age(objects.analysis_runs, objects.rollout) {
        entry(&mut revisions, object).analysis_runs.push(run(object));
    }
    let mut revisions: Vec<_> = revisions.into_values().rev().collect();
    for revision in &mut revisions {
        revision.replica_sets.sort_by(|a, b| a.name.cmp(&b.name));
    }
    revisions
}

/// The revision that an object belongs to.
fn entry<'a>(revisions: &'a mut BTreeMap<i64, Revision>, object: &Value) -> &'a mut Revision {
    let number = object.annotation(keys::REVISION).and_then(|text| text.parse().ok()).unwrap_or(0);
    revisions.entry(number).or_insert_with(|| Revision { number, ..Revision::default() })
}

/// The objects that `owner` controls, oldest first.
fn by_age<'a>(objects: &'a [Value], owner: &Value) -> Vec<&'a Value> {
    let mut owned: Vec<_> =
        objects.iter().filter(|object| object.is_controlled_by(owner)).collect();
    owned.sort_by_key(|object| (object.created(), object.name()));
    owned
}

fn roles(rollout: &Value, replica_set: &Value) -> Vec<Role> {
    let Some(hash) = replica_set.label(keys::POD_TEMPLATE_HASH) else { return Vec::new() };
    let is = |path: &[&str]| rollout.text(path) == Some(hash);
    let is_canary = rollout.at(&["spec", "strategy", "canary"]).is_some();
    let is_stable = is(&["status", "stableRS"]);
    let is_active = is(&["status", "blueGreen", "activeSelector"]);
    let is_preview = is(&["status", "blueGreen", "previewSelector"]);
    [
        (Role::Canary, is_canary && !is_stable && is(&["status", "currentPodHash"])),
        (Role::Stable, is_stable),
        (Role::Active, !is_canary && is_active),
        (Role::Preview, !is_canary && is_preview && !is_active),
    ]
    .into_iter()
    .filter_map(|(role, applies)| applies.then_some(role))
    .collect()
}

fn replica_set(object: &Value, roles: Vec<Role>, pods: &[Value]) -> ReplicaSet {
    let desired = object.int(&["spec", "replicas"]).unwrap_or(1);
    let available = object.int(&["status", "availableReplicas"]).unwrap_or(0);
    let has_failure = object.items(&["status", "conditions"]).iter().any(|condition| {
        condition.text(&["type"]) == Some("ReplicaFailure")
            && condition.text(&["status"]) == Some("True")
    });
    let status = match () {
        () if desired == 0 && object.int(&["status", "replicas"]).unwrap_or(0) == 0 => "ScaledDown",
        () if has_failure => "Degraded",
        () if available < desired || desired == 0 => "Progressing",
        () => "Healthy",
    };
    let containers = object.items(&["spec", "template", "spec", "containers"]);
    let deadline = object.annotation(keys::SCALE_DOWN_DEADLINE);
    ReplicaSet {
        name: object.name().to_owned(),
        status: status.to_owned(),
        roles,
        images: containers
            .iter()
            .filter_map(|container| container.text(&["image"]).map(str::to_owned))
            .collect(),
        desired,
        available,
        scale_down_at: deadline.filter(|_| desired > 0).and_then(|text| text.parse().ok()),
        created_at: object.created(),
        pods: by_age(pods, object).into_iter().map(pod_of).collect(),
    }
}

fn pod_of(object: &Value) -> Pod {
    let (ready, containers) = pod::readiness(object);
    Pod {
        name: object.name().to_owned(),
        status: pod::status(object),
        ready,
        containers,
        restarts: pod::restarts(object),
        created_at: object.created(),
    }
}

/// The experiment `object`, with what it controls among `objects`; whose they are is of no account.
pub(crate) fn experiment(object: &Value, objects: &Objects<'_>) -> Experiment {
    let mut sets: Vec<_> = by_age(objects.replica_sets, object)
        .into_iter()
        .map(|set| replica_set(set, Vec::new(), objects.pods))
        .collect();
    sets.sort_by(|a, b| a.name.cmp(&b.name));
    Experiment {
        name: object.name().to_owned(),
        status: reported_phase(object),
        message: object.text(&["status", "message"]).unwrap_or_default().to_owned(),
        replica_sets: sets,
        analysis_runs: by_age(objects.analysis_runs, object).into_iter().map(run).collect(),
        created_at: object.created(),
    }
}

fn run(object: &Value) -> Run {
    let metrics = object.items(&["status", "metricResults"]);
    let sum = |field| metrics.iter().filter_map(|metric| metric.int(&[field])).sum();
    Run {
        name: object.name().to_owned(),
        status: reported_phase(object),
        message: object.text(&["status", "message"]).unwrap_or_default().to_owned(),
        part: object.label(keys::ROLLOUT_TYPE).unwrap_or_default().to_owned(),
        counts: Counts {
            successful: sum("successful"),
            failed: sum("failed"),
            inconclusive: sum("inconclusive"),
            error: sum("error"),
        },
        jobs: metrics
            .iter()
            .flat_map(|metric| metric.items(&["measurements"]))
            .filter_map(job)
            .collect(),
        created_at: object.created(),
    }
}

/// The Job behind a measurement, which the job provider names in the measurement's metadata.
fn job(measurement: &Value) -> Option<Job> {
    Some(Job {
        name: measurement.text(&["metadata", JOB_NAME])?.to_owned(),
        status: measurement.text(&["phase"]).unwrap_or("Pending").to_owned(),
        created_at: measurement.time(&["startedAt"]),
    })
}

fn reported_phase(object: &Value) -> String {
    object.text(&["status", "phase"]).unwrap_or("Pending").to_owned()
}

/// Images in the order in which the tree shows them, each once with all that run it.
fn images(revisions: &[Revision]) -> Vec<Image> {
    let mut images: Vec<Image> = Vec::new();
    let mut note = |set: &ReplicaSet, experiment: Option<&str>| {
        if set.desired == 0 {
            return;
        }
        for name in &set.images {
            let place = images.iter().position(|image| image.image == *name);
            let place = place.unwrap_or_else(|| {
                images.push(Image { image: name.clone(), roles: vec![], experiments: vec![] });
                images.len() - 1
            });
            let Some(image) = images.get_mut(place) else { continue };
            image.roles.extend(&set.roles);
            image.roles.sort_unstable();
            image.roles.dedup();
            if let Some(experiment) = experiment
                && !image.experiments.iter().any(|known| known == experiment)
            {
                image.experiments.push(experiment.to_owned());
            }
        }
    };
    for revision in revisions {
        for set in &revision.replica_sets {
            note(set, None);
        }
        for experiment in &revision.experiments {
            for set in &experiment.replica_sets {
                note(set, Some(&experiment.name));
            }
        }
    }
    images
}
