//! Whether traffic ever went where there were too few pods.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::Value;

use crate::{History, Kind, Namespace};

/// A fact about the cluster that matters to the users of an application.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// The canary's share, in per cent.
    Weight(u32),
    /// The revision that a Service selects, by the hash of its pod template.
    Selects(String, String),
    /// The pods that a revision is to have, and those that are available, by its hash.
    Pods(String, u32, u32),
}

/// All that happened to the rollout `web` and its Services `web-stable` and `web-canary`, with
/// weights by the canary Ingress of `web`.
///
/// The moments are ordered by the version that the write gave to the object. All objects of a
/// cluster are versioned in one sequence, so the order is that of the writes, whatever watch was
/// faster.
#[derive(Debug)]
pub struct Capacity {
    histories: Vec<History<(u64, Moment)>>,
}

impl Capacity {
    /// Starts to record.
    ///
    /// # Errors
    ///
    /// When a watch does not begin.
    pub async fn watch(namespace: &Namespace) -> Result<Self> {
        let canary = "web-web-canary";
        Ok(Self {
            histories: vec![
                History::record(namespace, Kind::INGRESS, canary, versioned(weight)).await?,
                History::record_all(namespace, Kind::SERVICE, versioned(selects)).await?,
                History::record_all(namespace, Kind::REPLICA_SET, versioned(pods)).await?,
            ],
        })
    }

    /// Everything so far, in the order of the writes.
    pub fn moments(&self) -> Vec<Moment> {
        let mut all: Vec<_> = self.histories.iter().flat_map(History::values).collect();
        all.sort();
        all.into_iter().map(|(_, moment)| moment).collect()
    }

    /// The moments at which a revision had fewer available pods than its share of `replicas`,
    /// rounded up, in words. Nothing is demanded before the first weight.
    pub fn shortages(&self, replicas: u32) -> Vec<String> {
        let mut scene = Scene::default();
        let mut shortages = Vec::new();
        for moment in self.moments() {
            let words = format!("{moment:?}");
            scene.take(moment);
            shortages.extend(scene.shortage(replicas).map(|what| format!("{words}: {what}")));
        }
        shortages
    }
}

#[derive(Default)]
struct Scene {
    weight: Option<u32>,
    selected: BTreeMap<String, String>,
    available: BTreeMap<String, u32>,
}

impl Scene {
    fn take(&mut self, moment: Moment) {
        match moment {
            Moment::Weight(weight) => self.weight = Some(weight),
            Moment::Selects(service, hash) => {
                self.selected.insert(service, hash);
            }
            Moment::Pods(hash, _, available) => {
                self.available.insert(hash, available);
            }
        }
    }

    fn shortage(&self, replicas: u32) -> Option<String> {
        let weight = self.weight?;
        let shares = [("web-stable", 100 - weight.min(100)), ("web-canary", weight)];
        shares.into_iter().find_map(|(service, share)| {
            let needs = (share * replicas).div_ceil(100);
            let hash = self.selected.get(service);
            let has = hash.and_then(|hash| self.available.get(hash)).copied().unwrap_or_default();
            (has < needs).then(|| {
                format!("{service} gets {share} % and has {has} of {needs} pods behind {hash:?}")
            })
        })
    }
}

fn versioned(read: impl Fn(&Value) -> Option<Moment>) -> impl Fn(&Value) -> Option<(u64, Moment)> {
    move |object| {
        let version = object.pointer("/metadata/resourceVersion")?.as_str()?.parse().ok()?;
        Some((version, read(object)?))
    }
}

fn weight(ingress: &Value) -> Option<Moment> {
    let weight = "/metadata/annotations/nginx.ingress.kubernetes.io~1canary-weight";
    Some(Moment::Weight(ingress.pointer(weight)?.as_str()?.parse().ok()?))
}

fn selects(service: &Value) -> Option<Moment> {
    let name = service.pointer("/metadata/name")?.as_str()?;
    let hash = service.pointer("/spec/selector/rollouts-pod-template-hash")?.as_str()?;
    Some(Moment::Selects(name.to_owned(), hash.to_owned()))
}

fn pods(set: &Value) -> Option<Moment> {
    let hash = set.pointer("/metadata/labels/rollouts-pod-template-hash")?.as_str()?;
    let count = |path| set.pointer(path).and_then(Value::as_u64).unwrap_or_default();
    let wanted = u32::try_from(count("/spec/replicas")).ok()?;
    let available = u32::try_from(count("/status/availableReplicas")).ok()?;
    Some(Moment::Pods(hash.to_owned(), wanted, available))
}
