//! A Deployment that lends its template: it is never told to have fewer pods than the rollout
//! does not replace yet, and none once the rollout is healthy.

use std::time::Duration;

use serde_json::Value;

use super::window::Window;
use crate::cluster::Cluster;
use crate::shell::lock;

/// What was true while the controller may have looked.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The pods that the Deployment had first.
    first: Option<u32>,
    /// The pods that it was told to have last.
    last: Option<u32>,
    /// Available pods of the rollout and the size of its fleet, lately.
    seen: Window<(u32, u32)>,
}

impl Watch {
    pub(super) fn look(
        &mut self,
        cluster: &Cluster,
        (namespace, name): (&str, &str),
        staleness: Duration,
    ) -> Option<String> {
        let world = lock(&cluster.world);
        let rollout = world.get("Rollout", namespace, name)?;
        let lender = rollout.pointer("/spec/workloadRef/name")?.as_str()?;
        let wanted = number(world.get("Deployment", namespace, lender)?, "/spec/replicas")?;
        let fleet = number(rollout, "/spec/replicas").unwrap_or(1);
        let sets = world
            .list("ReplicaSet")
            .filter(|(_, set)| set["metadata"]["labels"].get(super::HASH).is_some())
            .filter(|(_, set)| !super::experiments::has_made(set));
        let available = sets.map(|(place, set)| {
            let told = number(set, "/spec/replicas").unwrap_or(1);
            cluster.fleet.available(place, cluster.now).min(told)
        });
        self.seen.push(cluster.now, (available.sum(), fleet));
        self.seen.forget(cluster.now, staleness);
        let first = *self.first.get_or_insert(wanted);
        let before = self.last.replace(wanted).unwrap_or(wanted);
        let best = self.seen.iter().map(|(available, _)| *available).max().unwrap_or(0);
        let fleet = self.seen.iter().map(|(_, fleet)| *fleet).min().unwrap_or(fleet);
        let replaced = wanted + best >= first.max(fleet) || best >= fleet;
        (wanted < before && !replaced).then(|| {
            format!("lender: it was scaled from {before} to {wanted} of {first} pods, and the rollout had at most {best}")
        })
    }

    /// What is wrong once nothing happens any more.
    pub(super) fn rest(&self, cluster: &Cluster, namespace: &str, name: &str) -> Option<String> {
        let world = lock(&cluster.world);
        let rollout = world.get("Rollout", namespace, name)?;
        let lender = rollout.pointer("/spec/workloadRef/name")?.as_str()?;
        let deployment = world.get("Deployment", namespace, lender)?;
        let text = |pointer: &str| rollout.pointer(pointer).and_then(Value::as_str);
        let generation = deployment.pointer("/metadata/generation")?.to_string();
        let observed = text("/status/workloadObservedGeneration");
        if text("/status/phase") == Some("Healthy") && observed != Some(generation.as_str()) {
            return Some(format!(
                "generation {generation} of the Deployment, and {observed:?} was seen"
            ));
        }
        let taken = deployment["metadata"]["labels"].get("sluice.dev/taken-over").is_some();
        let wanted = number(deployment, "/spec/replicas")?;
        let healthy = text("/status/phase") == Some("Healthy");
        (taken && healthy && wanted > 0)
            .then(|| format!("the rollout is Healthy, and the Deployment still has {wanted} pods"))
    }
}

fn number(object: &Value, pointer: &str) -> Option<u32> {
    u32::try_from(object.pointer(pointer)?.as_u64()?).ok()
}
