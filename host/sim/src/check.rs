//! Checkers that own their truth: what they know of traffic and pods comes from the simulated
//! world, never from the core, and they compute with numbers of their own.
//!
//! * I1: when traffic is sent somewhere, there are pods for it.
//! * I2: no ReplicaSet is told to have fewer pods than the traffic that can reach it needs.
//! * I3: a Service is not turned to a revision that cannot carry what comes through it.
//! * Without a router: no more pods are taken away than the user lets be unavailable.
//!
//! A blue-green rollout has rules of its own, in a file of their own.

mod blue_green;
mod experiments;
mod lender;
mod plugins;
mod restart;
mod routers;
mod window;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use sluice_core::Timestamp;
use sluice_wire::rollout::Verb;

use self::window::Window;
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
    seen: Window<BTreeMap<String, u32>>,
    /// What was live before.
    last: Vec<Live>,
    /// The fleet sizes that the user asked for lately.
    fleets: Window<u32>,
    wanted: BTreeMap<String, u32>,
    doors: BTreeMap<String, Option<String>>,
    blue_green: blue_green::Watch,
    plugins: plugins::Watch,
    restart: restart::Watch,
    lender: lender::Watch,
    experiments: experiments::Watch,
}

/// What is true at one instant.
struct Truth {
    fleet: u32,
    most_unavailable: u32,
    routed: bool,
    /// Whether the manifest names no router.
    unnamed: bool,
    sets: BTreeMap<String, Set>,
    /// What each Service of the rollout selects.
    doors: BTreeMap<String, Option<String>>,
    enough: Enough,
    /// The revision that was promoted last.
    stable: String,
}

/// How many of the pods that it needs the user lets be enough for a canary.
#[derive(Clone, Copy)]
enum Enough {
    All,
    Percent(u32),
    Pods(u32),
}

impl Enough {
    fn of(self, needs: u32) -> u32 {
        match self {
            Self::All => needs,
            Self::Percent(percent) => pods(percent, 100, needs).clamp(needs.min(1), needs),
            Self::Pods(enough) => enough.clamp(needs.min(1), needs.max(1)).min(needs),
        }
    }
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
            seen: Window::default(),
            last: Vec::new(),
            fleets: Window::default(),
            wanted: BTreeMap::new(),
            doors: BTreeMap::new(),
            blue_green: blue_green::Watch::default(),
            plugins: plugins::Watch::default(),
            restart: restart::Watch::default(),
            lender: lender::Watch::default(),
            experiments: experiments::Watch::default(),
        }
    }

    /// A user promotes what is there, `fully` past everything.
    pub fn promoted(&mut self, fully: bool) {
        self.blue_green.promoted(fully);
        self.plugins.promoted(fully);
    }

    /// A user asks for a restart.
    pub fn restarted(&mut self, at: Timestamp) {
        self.restart.asked(at);
    }

    /// What is wrong with a rollout that came to rest, as far as it has rules of its own for that.
    pub fn rest(&self, cluster: &Cluster) -> Option<String> {
        let place = (self.namespace.as_str(), self.name.as_str());
        // A user who pauses everything lets no pods come, so that nobody may be able to take over
        // what an experiment gets.
        let live = cluster.live_and_pending(&self.namespace, &self.name);
        let paused = lock(&cluster.world)
            .get("Rollout", place.0, place.1)
            .is_some_and(|rollout| rollout.pointer("/spec/paused") == Some(&Value::Bool(true)));
        let live = if paused { live.as_slice() } else { &[] };
        let open = experiments::open(cluster, live);
        let left = self.plugins.rest(open.into_iter());
        let left = left.or_else(|| self.restart.rest(cluster, place.0, place.1));
        let left = left.or_else(|| self.lender.rest(cluster, place.0, place.1));
        let left = left.or_else(|| experiments::Watch::rest(cluster, place.0, live, paused));
        left.or_else(|| self.blue_green.rest(cluster, place))
    }

    /// Look at the cluster after an instant in which `notes` happened.
    pub fn look(&mut self, cluster: &Cluster, notes: &[Note]) -> Vec<Violation> {
        let place = (self.namespace.as_str(), self.name.as_str());
        let now = cluster.now;
        let mut around = self.restart.look(cluster, place, self.staleness, notes);
        around.extend(self.lender.look(cluster, place, self.staleness));
        let around = around.into_iter().map(|what| Violation { at: now, what });
        if let Some(bad) = self.blue_green.look(cluster, place, self.staleness, notes) {
            return around.chain(bad).collect();
        }
        let Some(mut truth) = self.truth(cluster) else { return around.collect() };
        self.remember(&truth, now, cluster, notes);
        let live = cluster.live_and_pending(&self.namespace, &self.name);
        // One that is named no more may still send requests.
        truth.routed |= !live.is_empty();
        let mut bad = Vec::new();
        self.experiments.look(
            cluster,
            self.staleness,
            &live,
            truth.fleet.min(self.least_fleet()),
            &mut bad,
        );
        self.letting_go(&truth, &live, &mut bad);
        self.steps(cluster, notes, &mut bad);
        if truth.routed {
            self.shrinking(&truth, &live, &mut bad);
            self.sending(&truth, notes, cluster, &mut bad);
            self.turning(&truth, &live, &mut bad);
        } else {
            self.taking(&truth, notes, &mut bad);
        }
        self.last = live;
        self.wanted = truth.sets.iter().map(|(hash, set)| (hash.clone(), set.wanted)).collect();
        self.doors.clone_from(&truth.doors);
        around.chain(bad.into_iter().map(|what| Violation { at: now, what })).collect()
    }

    /// Whether steps that components do were done.
    fn steps(&mut self, cluster: &Cluster, notes: &[Note], bad: &mut Vec<String>) {
        let world = lock(&cluster.world);
        let Some(rollout) = world.get("Rollout", &self.namespace, &self.name) else { return };
        let status = |name: &str| rollout["status"][name].as_str().unwrap_or_default();
        let created = |hash: &str| {
            let mut sets = world.list("ReplicaSet").map(|(_, set)| &set["metadata"]);
            let set = sets.find(|meta| meta["labels"][HASH] == hash)?;
            set["creationTimestamp"].as_str().map(str::to_owned)
        };
        let older = created(status("currentPodHash")) < created(status("stableRS"));
        let rolls_back = older && !rollout["spec"]["rollbackWindow"].is_null();
        let phase_of = |name: &str| {
            let experiment = world.get("Experiment", &self.namespace, name);
            let phase = experiment.and_then(|object| object["status"]["phase"].as_str());
            phase.unwrap_or_default().to_owned()
        };
        self.plugins.look(rollout, rolls_back, notes, phase_of, bad);
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
            for routing in live.iter().filter(|live| !truth.is_off(live)) {
                let needs = needs(truth, routing, hash, self.least_fleet());
                if set.wanted < needs {
                    let (share, whole) = (reaching(truth, routing, hash), routing.whole);
                    let special = if routing.special { ", and routes of its own" } else { "" };
                    bad.push(format!(
                        "I2: {hash} was shrunk from {before} to {}, and {share}/{whole} of the traffic{special} may reach it, which needs {needs}",
                        set.wanted
                    ));
                }
            }
        }
    }

    /// I1: a routing was asked for; are there pods for it?
    fn sending(&self, truth: &Truth, notes: &[Note], cluster: &Cluster, bad: &mut Vec<String>) {
        if !notes.iter().any(|note| matches!(note, Note::Asked(..))) {
            return;
        }
        let all = cluster.live_and_pending(&self.namespace, &self.name);
        let key = |live: &Live| (live.router.clone(), live.config.clone());
        let routers: BTreeSet<_> = all.iter().map(key).collect();
        for router in routers {
            let of_router = |live: &&Live| key(live) == router;
            let mut mine: Vec<_> = all.iter().filter(of_router).collect();
            let Some(newest) = mine.pop() else { continue };
            // Several routings may have been asked for in one instant.
            mine.extend(self.last.iter().filter(of_router));
            self.sent(truth, newest, &mine, bad);
        }
    }

    fn sent(&self, truth: &Truth, newest: &Live, all: &[&Live], bad: &mut Vec<String>) {
        let grows = newest.canary > 0 && all.iter().all(|old| old.canary < newest.canary);
        for (hash, has) in self.best() {
            let share = reaching(truth, newest, &hash);
            let special = special(truth, newest, &hash);
            let more = all.iter().all(|old| reaching(truth, old, &hash) < share);
            let newly = special && !all.iter().any(|old| self::special(truth, old, &hash));
            if !more && !newly {
                continue;
            }
            let stable = behind(truth, &newest.stable_service, &newest.stable_hash, &hash);
            let fleet = self.least_fleet();
            let needs = match (more, stable) {
                (false, _) => 1.min(fleet),
                // Leaving a canary is allowed with as few stable pods as the user lets be missing.
                (true, true) if !grows => {
                    pods(share, newest.whole, fleet.saturating_sub(truth.most_unavailable))
                }
                (true, true) => pods(share, newest.whole, fleet),
                (true, false) => truth.enough.of(needs(truth, newest, &hash, fleet)),
            };
            if has < needs {
                bad.push(format!(
                    "I1: {share}/{} of the traffic (own routes: {special}) was sent to {hash}, which needs {needs} pods and had at most {has}",
                    newest.whole
                ));
            }
        }
    }

    /// I3: a Service was turned; can the revision carry what reaches it then?
    fn turning(&self, truth: &Truth, live: &[Live], bad: &mut Vec<String>) {
        for (service, door) in &truth.doors {
            let before = self.doors.get(service).cloned().flatten();
            let (Some(hash), true) = (door, before.is_some() && before != *door) else { continue };
            let has = self.best().get(hash).copied().unwrap_or(0);
            for routing in live {
                let stable = routing.stable_service == *service;
                let through = match stable {
                    true => routing.stable(),
                    false if routing.canary_service == *service => routing.canary,
                    false => 0,
                };
                let all = needs(truth, routing, hash, self.least_fleet());
                let all = truth.enough.of(all);
                let all = all.saturating_sub(if stable { truth.most_unavailable } else { 0 });
                let needs = if through == 0 { 1 } else { all.max(1) };
                if has < needs {
                    bad.push(format!(
                        "I3: Service {service} was turned to {hash}, which had at most {has} of the {needs} pods that what reaches it needs"
                    ));
                }
            }
        }
    }

    /// At rest: does everything go to the stable revision, and to it alone?
    pub fn astray(&self, cluster: &Cluster) -> Option<String> {
        if let Some(left) = self.left_over(cluster) {
            return Some(left);
        }
        let truth = self.truth(cluster)?;
        let live = cluster.live_and_pending(&self.namespace, &self.name);
        let astray = live.iter().find(|live| {
            let special = live.special;
            special || reaching(&truth, live, &truth.stable) != live.whole
        })?;
        Some(format!("it rests, and not all goes to {}: {astray:?}", truth.stable))
    }

    /// Without a router: pods were taken away; are enough left?
    fn taking(&self, truth: &Truth, notes: &[Note], bad: &mut Vec<String>) {
        let shrunk = notes.iter().any(|note| match note {
            Note::Wrote(write) => {
                write.verb == Verb::Merge
                    && !self.experiments.has_set(&write.target.name)
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
        for seen in self.seen.iter() {
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
        for seen in self.seen.iter() {
            for (hash, available) in seen {
                let least = fewest.entry(hash.clone()).or_insert(*available);
                *least = (*least).min(*available);
            }
        }
        fewest
    }

    /// The smallest fleet that the user asked for lately: the controller may still be at it.
    fn least_fleet(&self) -> u32 {
        self.fleets.iter().copied().min().unwrap_or(0)
    }

    fn remember(&mut self, truth: &Truth, now: Timestamp, cluster: &Cluster, notes: &[Note]) {
        let available: BTreeMap<_, _> =
            truth.sets.iter().map(|(hash, set)| (hash.clone(), set.available)).collect();
        restart::remember(&mut self.seen, cluster, available, notes);
        self.seen.forget(now, self.staleness);
        if self.fleets.last() != Some(&truth.fleet) {
            self.fleets.push(now, truth.fleet);
        }
        self.fleets.forget(now, self.staleness);
    }

    fn truth(&self, cluster: &Cluster) -> Option<Truth> {
        let world = lock(&cluster.world);
        let rollout = world.get("Rollout", &self.namespace, &self.name)?.clone();
        let number = |pointer: &str| rollout.pointer(pointer).and_then(Value::as_u64);
        let fleet = u32::try_from(number("/spec/replicas").unwrap_or(1)).ok()?;
        let canary = rollout.pointer("/spec/strategy/canary")?;
        let select = |name: &str| {
            let service = world.get("Service", &self.namespace, name)?;
            let hash = service.pointer("/spec/selector")?.get(HASH)?;
            hash.as_str().map(str::to_owned)
        };
        let named =
            ["/stableService", "/canaryService", "/pingPong/pingService", "/pingPong/pongService"];
        let named = named.iter().filter_map(|field| canary.pointer(field)?.as_str());
        let doors = named.map(|name| (name.to_owned(), select(name))).collect();
        let threshold = |field: &str| canary.get("replicaProgressThreshold")?.get(field);
        let value = threshold("value").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
        let enough = match (threshold("type").and_then(Value::as_str), value) {
            (Some("Percent"), Some(percent)) => Enough::Percent(percent),
            (Some("Pods"), Some(pods)) => Enough::Pods(pods),
            _ => Enough::All,
        };
        let dynamic = canary.get("dynamicStableScale").and_then(Value::as_bool) == Some(true);
        let stable = rollout.pointer("/status/stableRS").and_then(Value::as_str);
        let sets = world.list("ReplicaSet").filter(|(place, _)| place.1 == self.namespace);
        let sets = sets.filter(|(_, set)| !experiments::has_made(set));
        let sets = sets.filter_map(|(place, set)| self.set(cluster, place, set)).collect();
        let given = canary.get("maxUnavailable").and_then(Value::as_u64);
        let quarter = fleet / 4;
        let surge = canary.get("maxSurge").and_then(Value::as_u64);
        let most = given.map_or(quarter, |given| u32::try_from(given).unwrap_or(quarter));
        let most = if most == 0 && surge == Some(0) { 1 } else { most };
        Some(Truth {
            fleet,
            // Where the fleet is divided, the stable revision is short of pods by plan.
            most_unavailable: if dynamic { 0 } else { most },
            routed: canary.get("trafficRouting").is_some(),
            unnamed: canary.get("trafficRouting").is_none(),
            sets,
            doors,
            enough,
            stable: stable.unwrap_or_default().to_owned(),
        })
    }

    fn set(&self, cluster: &Cluster, place: &Place, set: &Value) -> Option<(String, Set)> {
        let hash = set.pointer("/metadata/labels")?.get(HASH)?.as_str()?.to_owned();
        let wanted = set.pointer("/spec/replicas").and_then(Value::as_u64).unwrap_or(1);
        let available = cluster.fleet.available(place, cluster.now);
        Some((hash, Set { wanted: u32::try_from(wanted).ok()?, available }))
    }
}

/// Whether requests to one side reach the revision `hash`: through its Service, or, where there is
/// none, because the route names the revision.
fn behind(truth: &Truth, service: &str, routed: &str, hash: &str) -> bool {
    match service {
        "" => routed == hash,
        name => truth.doors.get(name).cloned().flatten().as_deref() == Some(hash),
    }
}

/// The part of the traffic that a routing sends to the revision `hash`.
fn reaching(truth: &Truth, routing: &Live, hash: &str) -> u32 {
    let mut share = 0;
    if behind(truth, &routing.stable_service, &routing.stable_hash, hash) {
        share += routing.stable();
    }
    if behind(truth, &routing.canary_service, &routing.canary_hash, hash) {
        share += routing.canary;
    }
    share
}

/// Whether a header or mirror route leads to the revision `hash`.
fn special(truth: &Truth, routing: &Live, hash: &str) -> bool {
    routing.special && behind(truth, &routing.canary_service, &routing.canary_hash, hash)
}

/// The pods that `hash` needs for what a routing sends to it.
fn needs(truth: &Truth, routing: &Live, hash: &str, fleet: u32) -> u32 {
    let least = if special(truth, routing, hash) { 1.min(fleet) } else { 0 };
    pods(reaching(truth, routing, hash), routing.whole, fleet).max(least)
}

/// The pods for so many parts of a fleet, rounded up.
fn pods(parts: u32, whole: u32, fleet: u32) -> u32 {
    let exact = u64::from(parts) * u64::from(fleet);
    u32::try_from(exact.div_ceil(u64::from(whole.max(1)))).unwrap_or(u32::MAX)
}
