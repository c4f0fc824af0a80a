//! A stand-in for the controller of Experiments: it gives each a phase, and an end.

use std::time::Duration;

use serde_json::{Value, json};
use sluice_core::Timestamp;
use sluice_wire::clock::parse_time;

use crate::world::{Place, World};

const KIND: &str = "Experiment";

/// How experiments go.
#[derive(Clone, Debug)]
pub struct Player {
    /// How long one takes.
    pub takes: Duration,
    /// The phase in which it ends; `None` if it never does by itself.
    pub ends: Option<&'static str>,
}

impl Default for Player {
    fn default() -> Self {
        Self { takes: Duration::from_secs(60), ends: Some("Successful") }
    }
}

impl Player {
    /// Give every experiment the phase that it has at `now`.
    pub fn step(&self, world: &mut World, now: Timestamp) {
        let phases: Vec<(Place, &str)> = world
            .list(KIND)
            .filter(|(_, object)| !is_over(object))
            .map(|(place, object)| (place.clone(), self.phase(object, now)))
            .collect();
        for ((_, namespace, name), phase) in phases {
            let patch = json!({"status": {"phase": phase, "message": "it was played"}});
            // What was deleted meanwhile needs no phase.
            let _ = world.merge(KIND, &namespace, &name, None, &patch);
        }
    }

    /// When an experiment ends next.
    pub fn next_at(&self, world: &World, now: Timestamp) -> Option<Timestamp> {
        self.ends?;
        let open = world.list(KIND).filter(|(_, object)| !is_over(object));
        open.map(|(_, object)| created(object).after(self.takes)).filter(|at| *at > now).min()
    }

    fn phase(&self, object: &Value, now: Timestamp) -> &'static str {
        if object["spec"]["terminate"] == true {
            return "Successful";
        }
        let over = now >= created(object).after(self.takes);
        self.ends.filter(|_| over).unwrap_or("Running")
    }
}

/// Whether an experiment has come to its end.
pub fn is_over(object: &Value) -> bool {
    let phase = object["status"]["phase"].as_str().unwrap_or_default();
    ["Successful", "Failed", "Error", "Inconclusive"].contains(&phase)
}

fn created(object: &Value) -> Timestamp {
    let time = object["metadata"]["creationTimestamp"].as_str();
    time.and_then(parse_time).unwrap_or_default()
}
