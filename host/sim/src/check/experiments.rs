//! Pods of experiments that get a share of the traffic: they are there when it begins, and nobody
//! tells them to go before it ended.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

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
        self.begun(&shares, live, fleet, &all, bad);
        self.told_to_end(&shares, &open, &all, bad);
        (self.shares, self.open) = (shares, open);
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
            let (wanted, has) = pods.map_or((0, 0), |one| (one.wanted, one.available));
            let needs = super::pods(*share, whole, fleet).min(wanted).max(1);
            if has < needs || !self.ran.contains(name) {
                bad.push(format!(
                    "I1: {share}/{whole} was sent to {service} of {name}, which needs {needs} pods and has {has}"
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
    let used = |backed: &[Backed]| {
        backed.iter().any(|one| live.iter().any(|live| live.extra.contains_key(&one.service)))
    };
    let open = found(cluster).into_iter();
    let open = open.filter(|(_, object, backed)| !is_over(object) && !used(backed));
    open.map(|(name, ..)| name).collect()
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
