//! Pods of experiments that get a share of the traffic: they are there when it begins, and nobody
//! tells them to go before it ended.
//!
//! Where experiments run, and are not played: each version of one that runs is told to have all of
//! its pods, nothing is made twice, and of one that is over nothing with pods is left, and no
//! Service.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use sluice_core::experiment::Waiting;

use super::window::Window;
use crate::cluster::Cluster;
use crate::experiments::is_over;
use crate::plane::Live;
use crate::shell::lock;

/// What is remembered between two looks.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The most that each Service could get before.
    shares: BTreeMap<String, u32>,
    /// The experiments that were there and not told to end, with their Services.
    open: BTreeMap<String, Vec<Backed>>,
    /// Experiments that the controller was told of as running.
    ran: BTreeSet<String>,
    /// How many pods each of their ReplicaSets was to have before.
    sets: BTreeMap<String, u64>,
    /// The available pods behind each Service, over the time that the controller may be behind.
    seen: Window<BTreeMap<String, u32>>,
}

/// Whether a ReplicaSet is an experiment's.
pub(super) fn has_made(set: &Value) -> bool {
    set["metadata"]["ownerReferences"][0]["kind"] == "Experiment"
}

/// The pods behind a Service.
#[derive(Clone, Debug)]
struct Backed {
    service: String,
    wanted: u32,
    available: u32,
}

impl Watch {
    pub(super) fn look(
        &mut self,
        cluster: &Cluster,
        staleness: Duration,
        live: &[Live],
        fleet: u32,
        bad: &mut Vec<String>,
    ) {
        let mut shares: BTreeMap<String, u32> = BTreeMap::new();
        for (service, weight) in live.iter().flat_map(|live| &live.extra) {
            let most = shares.entry(service.clone()).or_insert(0);
            *most = (*most).max(*weight);
        }
        let all = found(cluster);
        let open: BTreeMap<_, _> = all
            .iter()
            .filter(|(_, object, _)| !is_over(object) && object["spec"]["terminate"] != true)
            .map(|(name, _, backed)| (name.clone(), backed.clone()))
            .collect();
        let ran = all.iter().filter(|(_, object, _)| object["status"]["phase"] == "Running");
        self.ran.extend(ran.map(|(name, ..)| name.clone()));
        let backed = all.iter().flat_map(|(_, _, backed)| backed);
        let available = backed.map(|one| (one.service.clone(), one.available)).collect();
        self.seen.push(cluster.now, available);
        self.seen.forget(cluster.now, staleness);
        self.begun(&shares, live, fleet, &all, bad);
        self.provided(cluster, &shares, &all, bad);
        self.told_to_end(&shares, &open, &all, bad);
        (self.shares, self.open) = (shares, open);
    }

    /// Whether a ReplicaSet of this name is, or was, an experiment's.
    pub(super) fn has_set(&self, name: &str) -> bool {
        self.sets.contains_key(name)
    }

    /// E1: whoever runs has all pods that it is to have, as far as they are told to be. E2: nothing
    /// is there twice. I2: nobody's pods go while something can reach them.
    fn provided(
        &mut self,
        cluster: &Cluster,
        shares: &BTreeMap<String, u32>,
        all: &[Experiment],
        bad: &mut Vec<String>,
    ) {
        let world = lock(&cluster.world);
        let mut versions = BTreeSet::new();
        for (_, set) in world.list("ReplicaSet").filter(|(_, set)| has_made(set)) {
            let meta = &set["metadata"];
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let (name, owner) = (text(&meta["name"]), text(&meta["ownerReferences"][0]["name"]));
            let template = text(&meta["annotations"]["experiment.argoproj.io/template-name"]);
            if !versions.insert((owner.clone(), template.clone())) {
                bad.push(format!("E2: template {template} of {owner} has a second ReplicaSet"));
            }
            let told = set["spec"]["replicas"].as_u64().unwrap_or(1);
            let before = self.sets.insert(name.clone(), told).unwrap_or(told);
            let object =
                all.iter().find(|(found, ..)| *found == owner).map(|(_, object, _)| object);
            let Some(object) = object else { continue };
            let of_it = |list: &Value| {
                let found = list.as_array().into_iter().flatten();
                found.into_iter().find(|one| one["name"] == *template).cloned().unwrap_or_default()
            };
            let wanted = of_it(&object["spec"]["templates"])["replicas"].as_u64().unwrap_or(1);
            let runs = object["status"]["phase"] == "Running";
            if runs && told < wanted {
                bad.push(format!(
                    "E1: {owner} runs, and {name} is told to have {told} of {wanted}"
                ));
            }
            let service = text(&of_it(&object["status"]["templateStatuses"])["serviceName"]);
            if told < before && shares.contains_key(&service) {
                bad.push(format!(
                    "I2: {name} was shrunk from {before} to {told}, and requests may reach {service}"
                ));
            }
        }
    }

    /// What is left of experiments at rest, or still to be done about them. As long as the user has
    /// `paused` everything, whoever may be sent requests keeps what answers them.
    pub(super) fn rest(
        cluster: &Cluster,
        namespace: &str,
        live: &[Live],
        paused: bool,
    ) -> Option<String> {
        if cluster.player.is_some() {
            return None;
        }
        for (name, object, backed) in found(cluster) {
            let turn = cluster.shell.peek_experiment(namespace, &name)?;
            if turn.record.is_some() || !turn.effects.is_empty() {
                return Some(format!("there is still something to do about {name}: {turn:?}"));
            }
            // A controller that began anew may have had nobody to ask what routers do.
            let kept = paused && matches!(turn.waiting, Some(Waiting::Traffic { .. }));
            if !is_over(&object) || is_used(&backed, live) || kept {
                continue;
            }
            let world = lock(&cluster.world);
            let owned = |object: &Value| {
                let owner = &object["metadata"]["ownerReferences"][0];
                owner["kind"] == "Experiment" && owner["name"] == *name
            };
            if let Some((place, _)) = world.list("Service").find(|(_, object)| owned(object)) {
                return Some(format!("{name} is over, and its Service {} is left", place.2));
            }
            let pods = |set: &Value| set["spec"]["replicas"].as_u64().unwrap_or(1);
            let mut sets = world.list("ReplicaSet").filter(|(_, set)| owned(set));
            if let Some((place, _)) = sets.find(|(_, set)| pods(set) > 0) {
                return Some(format!("{name} is over, and {} has pods", place.2));
            }
        }
        None
    }

    /// I1: a Service gets more than before; are there pods for it, or all that it is to have?
    fn begun(
        &self,
        shares: &BTreeMap<String, u32>,
        live: &[Live],
        fleet: u32,
        all: &[Experiment],
        bad: &mut Vec<String>,
    ) {
        let whole = live.iter().map(|live| live.whole).max().unwrap_or(100);
        for (service, share) in shares {
            if *share <= self.shares.get(service).copied().unwrap_or(0) {
                continue;
            }
            let owner =
                all.iter().find(|(_, _, backed)| backed.iter().any(|one| one.service == *service));
            let Some((name, _, backed)) = owner else {
                bad.push(format!("I1: {share}/{whole} was sent to {service}, which is nobody's"));
                continue;
            };
            let pods = backed.iter().find(|one| one.service == *service);
            let wanted = pods.map_or(0, |one| one.wanted);
            let seen = self.seen.iter().filter_map(|seen| seen.get(service));
            let has = seen.copied().max().unwrap_or(0);
            let needs = super::pods(*share, whole, fleet).min(wanted).max(1);
            if has < needs || !self.ran.contains(name) {
                bad.push(format!(
                    "I1: {share}/{whole} was sent to {service} of {name}, which needs {needs} pods and had at most {has}"
                ));
            }
        }
    }

    /// I2: an experiment was told to end, or deleted; can anything still reach its pods?
    fn told_to_end(
        &self,
        shares: &BTreeMap<String, u32>,
        open: &BTreeMap<String, Vec<Backed>>,
        all: &[Experiment],
        bad: &mut Vec<String>,
    ) {
        for (name, backed) in self.open.iter().filter(|(name, _)| !open.contains_key(*name)) {
            let now = all.iter().find(|(found, ..)| found == name);
            let by_itself = now.is_some_and(|(_, object, _)| object["spec"]["terminate"] != true);
            let reached = backed.iter().find(|one| shares.contains_key(&one.service));
            if let Some(Backed { service, .. }) = reached.filter(|_| !by_itself) {
                let share = shares.get(service).copied().unwrap_or(0);
                bad.push(format!(
                    "I2: experiment {name} was told to end, and {share} of the traffic may reach {service}"
                ));
            }
        }
    }
}

/// The experiments that have not ended, but for those to whose pods `live` sends requests.
pub(super) fn open(cluster: &Cluster, live: &[Live]) -> Vec<String> {
    let open = found(cluster).into_iter();
    let open = open.filter(|(_, object, backed)| !is_over(object) && !is_used(backed, live));
    open.map(|(name, ..)| name).collect()
}

/// Whether any of these are sent requests.
fn is_used(backed: &[Backed], live: &[Live]) -> bool {
    backed.iter().any(|one| live.iter().any(|live| live.extra.contains_key(&one.service)))
}

type Experiment = (String, Value, Vec<Backed>);

fn found(cluster: &Cluster) -> Vec<Experiment> {
    let world = lock(&cluster.world);
    let read = |object: &Value| -> Vec<Backed> {
        let statuses = object["status"]["templateStatuses"].as_array();
        let templates = object["spec"]["templates"].as_array();
        let wanted = |name: &Value| {
            let found = templates.and_then(|all| all.iter().find(|one| one["name"] == *name));
            found.and_then(|one| one["replicas"].as_u64()).unwrap_or(1)
        };
        let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let backed = statuses.into_iter().flatten().filter_map(|status| {
            Some(Backed {
                service: status["serviceName"].as_str()?.to_owned(),
                wanted: number(wanted(&status["name"])),
                available: number(status["availableReplicas"].as_u64().unwrap_or(0)),
            })
        });
        backed.collect()
    };
    let all = world.list("Experiment");
    all.map(|((_, _, name), object)| (name.clone(), (**object).clone(), read(object))).collect()
}
