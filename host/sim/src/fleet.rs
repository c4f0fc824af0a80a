//! The pods: what a ReplicaSet controller, a scheduler and kubelets do, as far as a rollout sees.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use sluice_core::Timestamp;

use crate::pods::Pod as Shown;
use crate::world::{Place, World};

/// How the pods of one version behave.
#[derive(Clone, Debug, PartialEq)]
pub struct Behaviour {
    /// How long a pod takes to become available.
    pub ready_after: Duration,
    /// Whether pods never become available.
    pub never_ready: bool,
    /// How long after becoming available a pod stops being so, once.
    pub unready_after: Option<Duration>,
    /// How long a pod takes to end.
    pub ends_after: Duration,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            ready_after: Duration::from_secs(5),
            never_ready: false,
            unready_after: None,
            ends_after: Duration::from_secs(2),
        }
    }
}

#[derive(Clone, Debug)]
struct Pod {
    number: u64,
    born: Timestamp,
    /// When it is available from; `None` is never.
    from: Option<Timestamp>,
    /// When it stops being available by itself.
    until: Option<Timestamp>,
    /// When it is gone, once it is ending.
    ends: Option<Timestamp>,
}

impl Pod {
    fn available(&self, now: Timestamp) -> bool {
        self.ends.is_none()
            && self.from.is_some_and(|from| from <= now)
            && self.until.is_none_or(|until| now < until)
    }
}

/// All pods, by ReplicaSet.
#[derive(Debug, Default)]
pub struct Fleet {
    pods: BTreeMap<Place, Vec<Pod>>,
    /// How long the controller of ReplicaSets takes to react.
    pub reaction: Duration,
    reacts_at: BTreeMap<Place, Timestamp>,
    /// Pods that were ever made.
    made: u64,
}

impl Fleet {
    /// Available pods of the ReplicaSet at `place`, as they are and not as anybody wrote.
    pub fn available(&self, place: &Place, now: Timestamp) -> u32 {
        let pods = self.pods.get(place).map(Vec::as_slice).unwrap_or_default();
        count(pods.iter().filter(|pod| pod.available(now)))
    }

    /// The next time that something happens by itself.
    pub fn next_at(&self, now: Timestamp) -> Option<Timestamp> {
        let pods = self.pods.values().flatten();
        let times = pods.flat_map(|pod| [pod.from, pod.until, pod.ends]).flatten();
        let times = times.chain(self.reacts_at.values().copied());
        times.filter(|at| *at > now).min()
    }

    /// One available pod of the set at `place` stops being so for `pause`.
    pub fn flap(&mut self, place: &Place, now: Timestamp, pause: Duration) {
        let pods = self.pods.entry(place.clone()).or_default();
        if let Some(pod) = pods.iter_mut().find(|pod| pod.available(now)) {
            pod.from = Some(now.after(pause));
            pod.until = None;
        }
    }

    /// Bring pods and the statuses of ReplicaSets up to `now`.
    pub fn step(
        &mut self,
        world: &mut World,
        now: Timestamp,
        behaviour: impl Fn(&Value) -> Behaviour,
    ) {
        let sets: Vec<_> = world
            .list("ReplicaSet")
            .map(|(place, object)| (place.clone(), object.clone()))
            .collect();
        self.pods.retain(|place, _| sets.iter().any(|(known, _)| known == place));
        self.reacts_at.retain(|place, _| sets.iter().any(|(known, _)| known == place));
        world.pods.retain(|place| sets.iter().any(|(known, _)| known == place));
        let evicted = world.pods.take_evicted();
        for (place, set) in sets {
            let wanted = set.pointer("/spec/replicas").and_then(Value::as_u64).unwrap_or(1);
            let behaviour = behaviour(&set);
            let leaving = evicted.iter().filter(|(set, _)| *set == place);
            for (_, name) in leaving {
                let pods = self.pods.get_mut(&place).into_iter().flatten();
                for pod in pods.filter(|pod| named(&place, pod) == *name) {
                    pod.ends = Some(now.after(behaviour.ends_after));
                }
            }
            self.reconcile(&place, usize::try_from(wanted).unwrap_or(0), now, &behaviour);
            self.report(world, &place, &set, now);
        }
    }

    fn reconcile(&mut self, place: &Place, wanted: usize, now: Timestamp, behaviour: &Behaviour) {
        let pods = self.pods.entry(place.clone()).or_default();
        pods.retain(|pod| pod.ends.is_none_or(|ends| now < ends));
        let living = pods.iter().filter(|pod| pod.ends.is_none()).count();
        if living == wanted {
            self.reacts_at.remove(place);
            return;
        }
        let reaction = self.reaction;
        let at = *self.reacts_at.entry(place.clone()).or_insert_with(|| now.after(reaction));
        if now < at {
            return;
        }
        self.reacts_at.remove(place);
        for _ in living..wanted {
            let from = (!behaviour.never_ready).then(|| now.after(behaviour.ready_after));
            let until = from.zip(behaviour.unready_after).map(|(from, after)| from.after(after));
            self.made += 1;
            pods.push(Pod { number: self.made, born: now, from, until, ends: None });
        }
        // Pods that are not available go first, then the youngest.
        let mut order: Vec<_> = (0..pods.len()).filter(|i| pods[*i].ends.is_none()).collect();
        order.sort_by_key(|i| (pods[*i].available(now), std::cmp::Reverse(pods[*i].born)));
        for i in order.into_iter().take(living.saturating_sub(wanted)) {
            pods[i].ends = Some(now.after(behaviour.ends_after));
        }
    }

    fn report(&self, world: &mut World, place: &Place, set: &Value, now: Timestamp) {
        let pods = self.pods.get(place).map(Vec::as_slice).unwrap_or_default();
        let living = count(pods.iter().filter(|pod| pod.ends.is_none()));
        let available = count(pods.iter().filter(|pod| pod.available(now)));
        let shown = pods.iter().map(|pod| Shown {
            name: named(place, pod),
            version: format!("{:?}-{}-{}", pod.from, pod.available(now), pod.ends.is_some()),
            born: pod.born,
            available: pod.available(now),
            ending: pod.ends.is_some(),
        });
        world.pods.show(place, shown.collect());
        let status = json!({"status": {
            "replicas": living,
            "readyReplicas": available,
            "availableReplicas": available,
            "observedGeneration": set.pointer("/metadata/generation"),
        }});
        // A status that says nothing new is not written.
        let _ = world.merge(&place.0, &place.1, &place.2, Some("status"), &status);
    }
}

fn named(set: &Place, pod: &Pod) -> String {
    format!("{}-{:04}", set.2, pod.number)
}

fn count<'p>(pods: impl Iterator<Item = &'p Pod>) -> u32 {
    u32::try_from(pods.count()).unwrap_or(u32::MAX)
}
