//! Restarts: no more pods are missing than the user lets be missing, nobody who gets requests
//! loses the last pod, and in the end no pod is from before the restart.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use sluice_core::Timestamp;
use sluice_wire::rollout::Verb;

use super::window::Window;
use crate::cluster::Cluster;
use crate::plane::Live;
use crate::pods::Evicted;
use crate::shell::{Note, lock};

/// What was true while the controller may have looked.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The pods that the fleet may not fall below, lately.
    floors: Window<u32>,
    /// The pods that the user wanted, lately.
    fleets: Window<u32>,
    /// The pods that were available and told to stay, lately.
    available: Window<u32>,
    /// The restart that no update overtook since, as an update replaces the pods anyway.
    asked: Option<Timestamp>,
    /// The wanted revision.
    current: Option<Value>,
}

impl Watch {
    /// A user asks for a restart.
    pub(super) fn asked(&mut self, at: Timestamp) {
        self.asked = Some(at);
    }

    pub(super) fn look(
        &mut self,
        cluster: &Cluster,
        (namespace, name): (&str, &str),
        staleness: Duration,
        notes: &[Note],
    ) -> Vec<String> {
        let Some((told, left, rollout)) = count(cluster, namespace, name) else {
            return Vec::new();
        };
        let now = cluster.now;
        self.floors.push(now, floor(&rollout, told));
        let best = self.available.iter().copied().max().unwrap_or(left);
        self.available.push(now, left);
        self.fleets.push(now, number(&rollout, "/spec/replicas").unwrap_or(1));
        for window in [&mut self.floors, &mut self.available, &mut self.fleets] {
            window.forget(now, staleness);
        }
        let current = rollout.pointer("/status/currentPodHash").cloned();
        if self.current != current {
            self.current = current;
            self.asked = None;
        }
        let evicted = notes.iter().filter_map(|note| match note {
            Note::Evicted(evicted) if evicted.available => Some(evicted),
            _ => None,
        });
        let evicted: Vec<_> = evicted.collect();
        // What was taken otherwise in the same instant has rules of its own.
        let shrank = notes.iter().any(|note| match note {
            Note::Wrote(write) => {
                write.verb == Verb::Merge
                    && write.target.kind == "ReplicaSet"
                    && write.body.pointer("/spec/replicas").is_some()
            }
            _ => false,
        });
        if evicted.is_empty() || shrank {
            return Vec::new();
        }
        let least = self.floors.iter().copied().min().unwrap_or(0);
        let mut bad = Vec::new();
        // A pod that stopped being available just now was counted by whoever looked before.
        let counted = best.saturating_sub(u32::try_from(evicted.len()).unwrap_or(u32::MAX));
        if left < least && counted < least {
            bad.push(format!(
                "restart: {left} pods are available after {} were evicted, and {least} must be",
                evicted.len()
            ));
        }
        // Of a fleet of one the only pod has to go, also for whoever was not told yet of more.
        if self.fleets.iter().all(|fleet| *fleet > 1) {
            let live = cluster.live_and_pending(namespace, name);
            bad.extend(
                evicted.iter().filter_map(|pod| last_of_all(cluster, namespace, &live, pod)),
            );
        }
        bad
    }

    /// What is wrong once nothing happens any more.
    pub(super) fn rest(&self, cluster: &Cluster, namespace: &str, name: &str) -> Option<String> {
        let world = lock(&cluster.world);
        let rollout = world.get("Rollout", namespace, name)?;
        let text = |pointer: &str| rollout.pointer(pointer).and_then(Value::as_str);
        let asked = text("/spec/restartAt")?;
        let done = text("/status/restartedAt") == Some(asked);
        if text("/status/phase") == Some("Healthy") && !done {
            return Some(format!("it is Healthy, and the restart at {asked} is not done"));
        }
        let asked = self.asked.filter(|_| done)?;
        let sets = world.list("ReplicaSet");
        let sets = sets.filter(|(_, set)| !super::experiments::has_made(set));
        let pods = sets.flat_map(|(place, _)| world.pods.of(place));
        let old = pods.filter(|pod| pod.born < asked && !pod.ending).count();
        (old > 0).then(|| format!("{old} pods are from before the restart that is said to be done"))
    }
}

/// Note how many available pods each revision has after `notes`. Whoever looked before pods were
/// evicted in this instant saw those as well.
pub(super) fn remember(
    seen: &mut Window<BTreeMap<String, u32>>,
    cluster: &Cluster,
    available: BTreeMap<String, u32>,
    notes: &[Note],
) {
    let mut before = available.clone();
    for note in notes {
        let Note::Evicted(Evicted { set, available: true, .. }) = note else { continue };
        let world = lock(&cluster.world);
        let Some(set) = world.get(&set.0, &set.1, &set.2) else { continue };
        let hash = set["metadata"]["labels"][super::HASH].as_str().unwrap_or_default();
        *before.entry(hash.to_owned()).or_insert(0) += 1;
    }
    if before != available {
        seen.push(cluster.now, before);
    }
    seen.push(cluster.now, available);
}

/// An eviction that left a revision without pods, though requests may reach it.
fn last_of_all(
    cluster: &Cluster,
    namespace: &str,
    live: &[Live],
    evicted: &Evicted,
) -> Option<String> {
    if cluster.fleet.available(&evicted.set, cluster.now) > 0 {
        return None;
    }
    let world = lock(&cluster.world);
    let set = world.get("ReplicaSet", namespace, &evicted.set.2)?;
    let hash = set["metadata"]["labels"][super::HASH].as_str()?.to_owned();
    let behind = |service: &str, routed: &str| match service {
        "" => routed == hash,
        name => world
            .get("Service", namespace, name)
            .is_some_and(|found| found["spec"]["selector"][super::HASH] == hash.as_str()),
    };
    let reached = live.iter().any(|live| {
        (live.canary < live.whole && behind(&live.stable_service, &live.stable_hash))
            || (live.canary > 0 && behind(&live.canary_service, &live.canary_hash))
    });
    reached.then(|| format!("restart: {} was the last available pod of {hash}", evicted.pod))
}

/// The pods that are told to be, and those that are available and will stay.
fn count(cluster: &Cluster, namespace: &str, name: &str) -> Option<(u32, u32, Value)> {
    let world = lock(&cluster.world);
    let rollout = world.get("Rollout", namespace, name)?;
    let (mut told, mut left) = (0, 0);
    for (place, set) in world.list("ReplicaSet") {
        let ours = !super::experiments::has_made(set);
        if set["metadata"]["labels"].get(super::HASH).is_none() || !ours {
            continue;
        }
        let wanted = number(set, "/spec/replicas").unwrap_or(1);
        told += wanted;
        left += cluster.fleet.available(place, cluster.now).min(wanted);
    }
    Some((told, left, (**rollout).clone()))
}

fn number(object: &Value, pointer: &str) -> Option<u32> {
    u32::try_from(object.pointer(pointer)?.as_u64()?).ok()
}

/// The fewest pods that the user's word lets be available while pods are restarted.
fn floor(rollout: &Value, told: u32) -> u32 {
    let fleet = number(rollout, "/spec/replicas").unwrap_or(1);
    let given = ["canary", "blueGreen"]
        .iter()
        .find_map(|strategy| number(rollout, &format!("/spec/strategy/{strategy}/maxUnavailable")));
    let missing = given.unwrap_or(fleet / 4).min(fleet).max(1);
    fleet.max(told).saturating_sub(missing)
}
