//! Restarts: which pods to list, how to read them, and how to ask for one to go.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use sluice_core::Timestamp;
use sluice_core::observed::Hash;
use sluice_core::restart::{Held, Pod, Restart};

use crate::clock::parse_time;
use crate::field::Field;
use crate::keys;
use crate::objects::{Meta, Objects};
use crate::rollout::Intent;

/// How long a list of pods is good for. Pods are not watched: a list of them is for the one
/// decision after it.
const GOOD_FOR: Duration = Duration::from_secs(1);
/// How soon an eviction that was refused is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// The pods as they were listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// When.
    pub at: Timestamp,
    /// All of them.
    pub pods: Vec<Pod>,
}

/// Which pods to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Their namespace.
    pub namespace: String,
    /// A label selector that selects all of them, and maybe others.
    pub selector: String,
    /// The hashes of the ReplicaSets that control them, by UID.
    controllers: BTreeMap<String, Hash>,
    /// How long a pod must have been ready.
    min_ready: Duration,
}

/// What the core is to know of a restart.
pub(crate) fn restart(objects: &Objects, intent: &Intent) -> Restart {
    let looked = objects.learnt.pods.as_ref();
    let fresh = looked.filter(|looked| objects.now <= looked.at.after(GOOD_FOR));
    Restart {
        asked: intent.restart_at,
        pods: fresh.map(|looked| looked.pods.clone()),
        held: objects.learnt.held.clone(),
    }
}

/// A refusal to evict `pod` at this moment.
pub fn held(pod: &str, why: String, now: Timestamp) -> Held {
    Held { pod: pod.to_owned(), why, until: now.after(TRY_AGAIN) }
}

pub(crate) fn look(objects: &Objects) -> Look {
    let rollout = Field::root(&objects.rollout);
    let sets = objects.replica_sets.iter().filter(|set| set.wanted > 0 || set.current > 0);
    let controllers: BTreeMap<_, _> =
        sets.map(|set| (set.meta.uid.clone(), Hash(set.hash().to_owned()))).collect();
    let mut hashes: Vec<_> = controllers.values().map(|hash| hash.0.as_str()).collect();
    hashes.sort_unstable();
    Look {
        namespace: Meta::read(&objects.rollout).namespace,
        selector: format!("{} in ({})", keys::HASH, hashes.join(",")),
        min_ready: Duration::from_secs(
            rollout.at("spec.minReadySeconds").u32().unwrap_or(0).into(),
        ),
        controllers,
    }
}

pub(crate) fn eviction(objects: &Objects, pod: &str, version: &str) -> super::Effect {
    let namespace = Meta::read(&objects.rollout).namespace;
    let body = json!({
        "apiVersion": "policy/v1", "kind": "Eviction",
        "metadata": {"name": pod, "namespace": namespace},
        "deleteOptions": {"preconditions": {"resourceVersion": version}},
    });
    super::Effect::Evict { namespace, pod: pod.to_owned(), version: version.to_owned(), body }
}

impl Look {
    /// Whether there is nobody to list: no ReplicaSet has pods.
    pub fn is_empty(&self) -> bool {
        self.controllers.is_empty()
    }

    /// Read the pods that were listed at `now`; those of others are left out.
    pub fn read<'v>(&self, pods: impl IntoIterator<Item = &'v Value>, now: Timestamp) -> Looked {
        let pods = pods.into_iter().filter_map(|pod| self.pod(pod, now)).collect();
        Looked { at: now, pods }
    }

    fn pod(&self, pod: &Value, now: Timestamp) -> Option<Pod> {
        let meta = Meta::read(pod);
        let hash = self.controllers.get(meta.controller.as_ref()?)?.clone();
        let root = Field::root(pod);
        let conditions = root.at("status.conditions").items();
        let ready = conditions.iter().find(|condition| {
            condition.get("type").str() == Some("Ready")
                && condition.get("status").str() == Some("True")
        });
        let since = ready.map(|ready| {
            ready.get("lastTransitionTime").str().and_then(parse_time).unwrap_or_default()
        });
        let long_enough = since.is_some_and(|since| since.after(self.min_ready) <= now);
        // A pod that has ended is not replaced by evicting it: its ReplicaSet has done that.
        let ended = matches!(root.at("status.phase").str(), Some("Succeeded" | "Failed"));
        Some(Pod {
            name: meta.name,
            version: meta.version,
            hash,
            created: meta.created,
            available: long_enough && !meta.deleting && !ended,
            ending: meta.deleting || ended,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_available_once_it_was_ready_for_long_enough() {
        let look = Look {
            namespace: "shop".to_owned(),
            selector: String::new(),
            controllers: BTreeMap::from([("u1".to_owned(), Hash("abc".to_owned()))]),
            min_ready: Duration::from_secs(10),
        };
        let now = parse_time("2026-01-01T00:01:00Z").unwrap();
        let pod = |owner: &str, ready: &str, since: &str| {
            json!({
                "metadata": {
                    "name": "p", "creationTimestamp": "2026-01-01T00:00:00Z",
                    "ownerReferences": [{"uid": owner, "controller": true}],
                },
                "status": {"conditions": [
                    {"type": "Ready", "status": ready, "lastTransitionTime": since},
                ]},
            })
        };
        let table = [
            (pod("u1", "True", "2026-01-01T00:00:50Z"), Some((true, false))),
            (pod("u1", "True", "2026-01-01T00:00:51Z"), Some((false, false))),
            (pod("u1", "False", "2026-01-01T00:00:00Z"), Some((false, false))),
            (pod("other", "True", "2026-01-01T00:00:00Z"), None),
        ];
        for (pod, expected) in table {
            let read = look.read([&pod], now).pods;
            let read = read.first().map(|pod| (pod.available, pod.ending));
            assert_eq!(read, expected, "{pod}");
        }
        let mut ending = pod("u1", "True", "2026-01-01T00:00:00Z");
        ending["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:59Z");
        let read = look.read([&ending], now).pods;
        assert_eq!((read[0].available, read[0].ending), (false, true));
    }
}
