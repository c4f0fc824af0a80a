//! Checkers that own their truth: what they know of traffic and pods comes from the simulated
//! world, never from the core, and they compute with numbers of their own.
//!
//! * I1: when traffic is sent somewhere, there are pods for it.
//! * I2: no ReplicaSet is told to have fewer pods than the traffic that can reach it needs.
//! * I3: a Service is not turned to a revision that cannot carry what comes through it.
//! * Without a router: no more pods are taken away than the user lets be unavailable.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::Value;
use sluice_core::Timestamp;
use sluice_wire::rollout::Verb;

use crate::cluster::Cluster;
use crate::plane::Live;
use crate::shell::{Note, lock};
use crate::world::Place;

const HASH: &str = "rollouts-pod-template-hash";

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When.
    pub at: Timestamp,
    /// Which rule, and the numbers.
    pub what: String,
}

/// Watches one rollout in one namespace.
#[derive(Debug)]
pub struct Checker {
    namespace: String,
    name: String,
    /// How old what the controller knows may be.
    staleness: Duration,
    /// Available pods of every ReplicaSet over the time that the controller may be behind.
    seen: VecDeque<(Timestamp, BTreeMap<String, u32>)>,
    /// What was live before.
    last: Vec<Live>,
    /// The fleet sizes that the user asked for lately.
    fleets: VecDeque<(Timestamp, u32)>,
    wanted: BTreeMap<String, u32>,
    doors: BTreeMap<&'static str, Option<String>>,
}

/// What is true at one instant.
struct Truth {
    fleet: u32,
    most_unavailable: u32,
    routed: bool,
    sets: BTreeMap<String, Set>,
    stable_door: Option<String>,
    canary_door: Option<String>,
    has_services: bool,
}

struct Set {
    wanted: u32,
    available: u32,
}

impl Checker {
    /// A checker of the rollout with this name.
    pub fn new(namespace: &str, name: &str, staleness: Duration) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            staleness,
            seen: VecDeque::new(),
            last: Vec::new(),
            fleets: VecDeque::new(),
            wanted: BTreeMap::new(),
            doors: BTreeMap::new(),
        }
    }

    /// Look at the cluster after an instant in which `notes` happened.
    pub fn look(&mut self, cluster: &Cluster, notes: &[Note]) -> Vec<Violation> {
        let Some(truth) = self.truth(cluster) else { return Vec::new() };
        let now = cluster.now;
        self.remember(&truth, now);
        let live = cluster.live_and_pending(&self.namespace, &self.name);
        let mut bad = Vec::new();
        if truth.routed {
            self.shrinking(&truth, &live, &mut bad);
            self.sending(&truth, notes, cluster, &mut bad);
            self.turning(&truth, &live, &mut bad);
        } else {
            self.taking(&truth, notes, &mut bad);
        }
        self.last = live;
        self.wanted = truth.sets.iter().map(|(hash, set)| (hash.clone(), set.wanted)).collect();
        self.doors.insert("stable", truth.stable_door.clone());
        self.doors.insert("canary", truth.canary_door.clone());
        bad.into_iter().map(|what| Violation { at: now, what }).collect()
    }

    /// What is wrong with what is written onto revisions, once nothing happens any more.
    pub fn at_rest(&self, cluster: &Cluster) -> Option<String> {
        let world = lock(&cluster.world);
        let rollout = world.get("Rollout", &self.namespace, &self.name)?;
        let canary = rollout.pointer("/spec/strategy/canary")?;
        let status = |name: &str| rollout["status"][name].as_str().unwrap_or_default();
        let (stable, current) = (status("stableRS"), status("currentPodHash"));
        for (_, set) in world.list("ReplicaSet") {
            let hash = set["metadata"]["labels"][HASH].as_str().unwrap_or_default();
            let side = match hash {
                "" => continue,
                hash if hash == stable => "stableMetadata",
                hash if hash == current => "canaryMetadata",
                _ => continue,
            };
            let template = &set["spec"]["template"];
            for (part, key) in [("labels", "role"), ("annotations", "c")] {
                let wanted = &canary[side][part][key];
                let has = &template["metadata"][part][key];
                if has != wanted {
                    return Some(format!(
                        "{hash} has {part} {key}={has}, and {side} says {wanted}"
                    ));
                }
            }
            if hash != current {
                continue;
            }
            let apart = template["spec"]["affinity"].to_string();
            let keeps = apart.contains(HASH);
            let wanted = stable != current && !canary["antiAffinity"].is_null();
            if keeps != wanted || (wanted && !apart.contains(&format!("\"{stable}\""))) {
                return Some(format!("{hash} has affinity {apart} beside the stable {stable}"));
            }
        }
        None
    }

    /// I2: who shrank, and what can reach it?
    fn shrinking(&self, truth: &Truth, live: &[Live], bad: &mut Vec<String>) {
        for (hash, set) in &truth.sets {
            let before = self.wanted.get(hash).copied().unwrap_or(set.wanted);
            if set.wanted >= before {
                continue;
            }
            for routing in live {
                let share = reaching(truth, routing, hash);
                let needs = pods(share, routing.whole, self.least_fleet());
                if set.wanted < needs {
                    bad.push(format!(
                        "I2: {hash} was shrunk from {before} to {}, and {share}/{} of the traffic may reach it, which needs {needs}",
                        set.wanted, routing.whole
                    ));
                }
            }
        }
    }

    /// I1: a routing was asked for; are there pods for it?
    fn sending(&self, truth: &Truth, notes: &[Note], cluster: &Cluster, bad: &mut Vec<String>) {
        let asked = notes.iter().any(|note| matches!(note, Note::Asked(..)));
        let mut all = cluster.live_and_pending(&self.namespace, &self.name);
        let Some(newest) = all.pop() else { return };
        if !asked {
            return;
        }
        // Several routings may have been asked for in one instant.
        all.extend(self.last.iter().cloned());
        let grows = newest.canary > 0 && all.iter().all(|old| old.canary < newest.canary);
        for (hash, has) in self.best() {
            let share = reaching(truth, &newest, &hash);
            let before = all.iter().map(|old| reaching(truth, old, &hash)).max();
            if before.is_some_and(|before| share <= before) {
                continue;
            }
            let stable = share + newest.canary == newest.whole && newest.canary < newest.whole;
            // Leaving a canary is allowed with as few stable pods as the user lets be missing.
            let fleet = if stable && !grows {
                self.least_fleet().saturating_sub(truth.most_unavailable)
            } else {
                self.least_fleet()
            };
            let needs = pods(share, newest.whole, fleet);
            if has < needs {
                bad.push(format!(
                    "I1: {share}/{} of the traffic was sent to {hash}, which needs {needs} pods and had at most {has}",
                    newest.whole
                ));
            }
        }
    }

    /// I3: a Service was turned; can the revision carry what comes through it?
    fn turning(&self, truth: &Truth, live: &[Live], bad: &mut Vec<String>) {
        let doors = [("stable", &truth.stable_door), ("canary", &truth.canary_door)];
        for (side, door) in doors {
            let before = self.doors.get(side).cloned().flatten();
            let (Some(hash), true) = (door, before.is_some() && before != *door) else { continue };
            let has = self.best().get(hash).copied().unwrap_or(0);
            for routing in live {
                let canary =
                    if side == "canary" { routing.canary } else { routing.whole - routing.canary };
                let needs = pods(canary, routing.whole, self.least_fleet()).max(1);
                let needs =
                    needs.saturating_sub(if side == "stable" { truth.most_unavailable } else { 0 });
                if has < needs {
                    bad.push(format!(
                        "I3: the {side} Service was turned to {hash}, which had at most {has} of the {needs} pods that its traffic needs"
                    ));
                }
            }
        }
    }

    /// Without a router: pods were taken away; are enough left?
    fn taking(&self, truth: &Truth, notes: &[Note], bad: &mut Vec<String>) {
        let shrunk = notes.iter().any(|note| match note {
            Note::Wrote(write) => {
                write.verb == Verb::Merge
                    && write.target.kind == "ReplicaSet"
                    && write.body.pointer("/metadata/resourceVersion").is_some()
            }
            _ => false,
        });
        if !shrunk || self.fleets.len() > 1 {
            return;
        }
        let best = self.best();
        // Pods that are not available are the first to go.
        let left: u32 = truth
            .sets
            .iter()
            .map(|(hash, set)| best.get(hash).copied().unwrap_or(set.available).min(set.wanted))
            .sum();
        let before: u32 = best.values().sum();
        let floor = truth.fleet.saturating_sub(truth.most_unavailable).min(before);
        // The controller may have seen the pods of a set when they were fewest; what was not
        // available then serves nobody.
        let fewest = self.fewest();
        let lost = truth.sets.iter().any(|(hash, set)| {
            let before = self.wanted.get(hash).copied().unwrap_or(set.wanted);
            set.wanted < before && fewest.get(hash).is_none_or(|few| set.wanted < *few)
        });
        if left < floor && lost {
            bad.push(format!(
                "availability: {left} pods are left of {before}, and {floor} must be"
            ));
        }
    }

    /// The most available pods that each set had while the controller could have looked.
    fn best(&self) -> BTreeMap<String, u32> {
        let mut best: BTreeMap<String, u32> = BTreeMap::new();
        for (_, seen) in &self.seen {
            for (hash, available) in seen {
                let most = best.entry(hash.clone()).or_insert(0);
                *most = (*most).max(*available);
            }
        }
        best
    }

    /// The fewest available pods that each set had in that time.
    fn fewest(&self) -> BTreeMap<String, u32> {
        let mut fewest: BTreeMap<String, u32> = BTreeMap::new();
        for (_, seen) in &self.seen {
            for (hash, available) in seen {
                let least = fewest.entry(hash.clone()).or_insert(*available);
                *least = (*least).min(*available);
            }
        }
        fewest
    }

    /// The smallest fleet that the user asked for lately: the controller may still be at it.
    fn least_fleet(&self) -> u32 {
        self.fleets.iter().map(|(_, fleet)| *fleet).min().unwrap_or(0)
    }

    fn remember(&mut self, truth: &Truth, now: Timestamp) {
        let available =
            truth.sets.iter().map(|(hash, set)| (hash.clone(), set.available)).collect();
        self.seen.push_back((now, available));
        // What was true when the window began counts as well.
        while self.seen.len() > 1 && self.seen[1].0.after(self.staleness) < now {
            self.seen.pop_front();
        }
        if self.fleets.back().map(|(_, fleet)| *fleet) != Some(truth.fleet) {
            self.fleets.push_back((now, truth.fleet));
        }
        while self.fleets.len() > 1 && self.fleets[1].0.after(self.staleness) < now {
            self.fleets.pop_front();
        }
    }

    fn truth(&self, cluster: &Cluster) -> Option<Truth> {
        let world = lock(&cluster.world);
        let rollout = world.get("Rollout", &self.namespace, &self.name)?.clone();
        let number = |pointer: &str| rollout.pointer(pointer).and_then(Value::as_u64);
        let fleet = u32::try_from(number("/spec/replicas").unwrap_or(1)).ok()?;
        let canary = rollout.pointer("/spec/strategy/canary")?;
        let door = |field: &str| {
            let name = canary.get(field).and_then(Value::as_str)?;
            let service = world.get("Service", &self.namespace, name)?;
            let hash = service.pointer("/spec/selector")?.get(HASH)?;
            hash.as_str().map(str::to_owned)
        };
        let sets = world.list("ReplicaSet").filter(|(place, _)| place.1 == self.namespace);
        let sets = sets.filter_map(|(place, set)| self.set(cluster, place, set)).collect();
        let given = canary.get("maxUnavailable").and_then(Value::as_u64);
        let quarter = fleet / 4;
        let surge = canary.get("maxSurge").and_then(Value::as_u64);
        let most = given.map_or(quarter, |given| u32::try_from(given).unwrap_or(quarter));
        let most = if most == 0 && surge == Some(0) { 1 } else { most };
        Some(Truth {
            fleet,
            most_unavailable: most,
            routed: canary.get("trafficRouting").is_some(),
            sets,
            stable_door: door("stableService"),
            canary_door: door("canaryService"),
            has_services: canary.get("stableService").is_some(),
        })
    }

    fn set(&self, cluster: &Cluster, place: &Place, set: &Value) -> Option<(String, Set)> {
        let hash = set.pointer("/metadata/labels")?.get(HASH)?.as_str()?.to_owned();
        let wanted = set.pointer("/spec/replicas").and_then(Value::as_u64).unwrap_or(1);
        let available = cluster.fleet.available(place, cluster.now);
        Some((hash, Set { wanted: u32::try_from(wanted).ok()?, available }))
    }
}

/// The part of the traffic that a routing sends to the revision `hash`.
fn reaching(truth: &Truth, routing: &Live, hash: &str) -> u32 {
    let (stable, canary) = if truth.has_services {
        (truth.stable_door.as_deref(), truth.canary_door.as_deref())
    } else {
        (Some(routing.stable_hash.as_str()), Some(routing.canary_hash.as_str()))
    };
    let mut share = 0;
    if stable == Some(hash) {
        share += routing.whole - routing.canary;
    }
    if canary == Some(hash) {
        share += routing.canary;
    }
    share
}

/// The pods for so many parts of a fleet, rounded up.
fn pods(parts: u32, whole: u32, fleet: u32) -> u32 {
    let exact = u64::from(parts) * u64::from(fleet);
    u32::try_from(exact.div_ceil(u64::from(whole.max(1)))).unwrap_or(u32::MAX)
}
