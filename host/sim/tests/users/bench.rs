//! A small simulated cluster with one rollout, for tests of what users can see.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sluice_core::Timestamp;
use sluice_sim::START;
use sluice_sim::cluster::{Behaviours, Cluster, at_once};
use sluice_sim::fleet::Behaviour;
use sluice_sim::plane::{Manner, Plane};
use sluice_sim::shell::{Note, lock, user_patch};

pub const NAMESPACE: &str = "shop";
pub const NAME: &str = "web";
pub const HASH: &str = "rollouts-pod-template-hash";

/// A cluster, and everything that happened in it.
pub struct Bench {
    pub cluster: Cluster,
    pub notes: Vec<Note>,
    end: Timestamp,
}

/// The pod template of a version.
pub fn template(version: u32) -> Value {
    json!({
        "metadata": {"labels": {"app": NAME}},
        "spec": {"containers": [{"name": "c", "image": format!("web:{version}")}]},
    })
}

/// A rollout of two pods in its first version.
pub fn rollout(canary: Value) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": NAME}},
            "strategy": {"canary": canary},
            "template": template(1),
        },
    })
}

impl Bench {
    /// A cluster with these objects and nothing else.
    pub fn new(objects: Vec<Value>) -> Self {
        let behaviours: Behaviours = Arc::new(|_: &Value| Behaviour::default());
        let cluster = Cluster::new(START, Plane::new(Manner::default()), behaviours, 1);
        let bench = Self { cluster, notes: Vec::new(), end: START };
        for object in objects {
            lock(&bench.cluster.world).create(object).unwrap();
        }
        bench
    }

    /// Let so much time pass.
    pub fn pass(&mut self, seconds: u64) {
        self.end = self.end.after(Duration::from_secs(seconds));
        while let Some(next) = self.cluster.next_at().filter(|next| *next <= self.end) {
            self.notes.extend(at_once(self.cluster.advance(next)));
            assert!(self.notes.len() < 100_000, "it never comes to rest");
        }
        self.notes.extend(at_once(self.cluster.advance(self.end)));
    }

    /// What a user does.
    pub fn patch(&self, part: Option<&str>, patch: Value) {
        user_patch(&self.cluster.world, NAMESPACE, NAME, part, &patch);
    }

    /// Go to another version of the template.
    pub fn update(&self, version: u32) {
        self.patch(None, json!({"spec": {"template": template(version)}}));
    }

    /// The rollout, or what a pointer into it says.
    pub fn rollout(&self, pointer: &str) -> Value {
        let world = lock(&self.cluster.world);
        let rollout = world.get("Rollout", NAMESPACE, NAME).unwrap();
        rollout.pointer(pointer).cloned().unwrap_or_default()
    }

    /// Every ReplicaSet by its name.
    pub fn sets(&self) -> Vec<Value> {
        let world = lock(&self.cluster.world);
        world.list("ReplicaSet").map(|(_, set)| (**set).clone()).collect()
    }

    /// The ReplicaSet of a version.
    pub fn set(&self, version: u32) -> Value {
        let image = format!("web:{version}");
        let image = Some(image.as_str());
        let of = |set: &Value| {
            set.pointer("/spec/template/spec/containers/0/image").and_then(Value::as_str) == image
        };
        self.sets().into_iter().find(of).unwrap_or_default()
    }

    /// The reasons of the events that were announced since the last call.
    pub fn events(&mut self) -> Vec<(&'static str, String)> {
        let notes = std::mem::take(&mut self.notes);
        let events = notes.into_iter().filter_map(|note| match note {
            Note::Announced(_, event) => Some((event.reason, event.message)),
            Note::Wrote(_)
            | Note::Asked(..)
            | Note::Waits(..)
            | Note::Measured(..)
            | Note::Called(..)
            | Note::Released(..)
            | Note::Evicted(_)
            | Note::Crashed
            | Note::Spins(_) => None,
        });
        events.collect()
    }
}
