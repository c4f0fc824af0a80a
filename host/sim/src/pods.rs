//! Pods as the API shows them to whoever lists or evicts them. The [`crate::fleet`] keeps the table.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sluice_core::Timestamp;
use sluice_wire::clock::format_time;

use crate::world::Place;

/// One pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Another one whenever something of it changed.
    pub version: String,
    /// When it was made.
    pub born: Timestamp,
    /// Whether it is available.
    pub available: bool,
    /// Whether it is ending.
    pub ending: bool,
}

/// All pods, by ReplicaSet.
#[derive(Debug, Default)]
pub struct Pods {
    of: BTreeMap<Place, Vec<Pod>>,
    evicted: Vec<(Place, String)>,
    /// How many pods must be available after an eviction: a PodDisruptionBudget, if there is one.
    pub budget: Option<u32>,
}

/// Why a pod is not evicted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no such pod.
    Gone,
    /// It changed since it was listed.
    Changed,
    /// The budget does not allow it now; the server's words.
    Budget(String),
}

/// A pod that was evicted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evicted {
    /// Its name.
    pub pod: String,
    /// The ReplicaSet that it was one of.
    pub set: Place,
    /// Whether it was available.
    pub available: bool,
}

impl Pods {
    /// These are the pods of a ReplicaSet now.
    pub fn show(&mut self, set: &Place, pods: Vec<Pod>) {
        self.of.insert(set.clone(), pods);
    }

    /// Only these ReplicaSets exist.
    pub fn retain(&mut self, exists: impl Fn(&Place) -> bool) {
        self.of.retain(|set, _| exists(set));
    }

    /// The pods of a ReplicaSet.
    pub fn of(&self, set: &Place) -> &[Pod] {
        self.of.get(set).map(Vec::as_slice).unwrap_or_default()
    }

    /// The pods of a ReplicaSet with this UID, as objects.
    pub fn objects(&self, set: &Place, uid: &str) -> Vec<Value> {
        let object = |pod: &Pod| {
            let made = format_time(pod.born);
            let ready = if pod.available { "True" } else { "False" };
            let mut object = json!({
                "metadata": {
                    "name": pod.name, "namespace": set.1, "creationTimestamp": made,
                    "resourceVersion": pod.version,
                    "ownerReferences": [{"uid": uid, "controller": true}],
                },
                "status": {"conditions": [
                    {"type": "Ready", "status": ready, "lastTransitionTime": made},
                ]},
            });
            if pod.ending {
                object["metadata"]["deletionTimestamp"] = made.into();
            }
            object
        };
        self.of(set).iter().map(object).collect()
    }

    /// Evict a pod as it was listed, if the budget lets it go.
    pub fn evict(
        &mut self,
        namespace: &str,
        name: &str,
        version: &str,
    ) -> Result<Evicted, Refused> {
        let available = self.of.values().flatten().filter(|pod| pod.available).count();
        let left = u32::try_from(available).unwrap_or(u32::MAX).saturating_sub(1);
        let sets = self.of.iter_mut().filter(|(set, _)| set.1 == namespace);
        let mut pods = sets.flat_map(|(set, pods)| pods.iter_mut().map(move |pod| (set, pod)));
        let found = pods.find(|(_, pod)| pod.name == name && !pod.ending);
        let Some((set, pod)) = found else { return Err(Refused::Gone) };
        if pod.version != version {
            return Err(Refused::Changed);
        }
        if pod.available && self.budget.is_some_and(|least| left < least) {
            let why = "Cannot evict pod as it would violate the pod's disruption budget.";
            return Err(Refused::Budget(why.to_owned()));
        }
        let set = set.clone();
        let evicted = Evicted { pod: pod.name.clone(), set: set.clone(), available: pod.available };
        (pod.ending, pod.available) = (true, false);
        self.evicted.push((set, name.to_owned()));
        Ok(evicted)
    }

    /// The pods that were evicted since it was asked last.
    pub fn take_evicted(&mut self) -> Vec<(Place, String)> {
        std::mem::take(&mut self.evicted)
    }
}
