//! A stand-in for whoever runs Experiments, where a scenario says how they go: it gives each a
//! phase, and an end.

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
    /// How long it takes to run.
    pub ready: Duration,
    /// How much longer its pods take to become available: one that runs may have lost them.
    pub late: Duration,
    /// The phase in which it ends; `None` if it never does by itself.
    pub ends: Option<&'static str>,
}

impl Default for Player {
    fn default() -> Self {
        let ready = Duration::from_secs(5);
        Self {
            takes: Duration::from_secs(60),
            ready,
            late: Duration::ZERO,
            ends: Some("Successful"),
        }
    }
}

impl Player {
    /// Give every experiment the phase that it has at `now`.
    pub fn step(&self, world: &mut World, now: Timestamp) {
        let phases: Vec<(Place, &str, Value)> = world
            .list(KIND)
            .filter(|(_, object)| !is_over(object))
            .map(|(place, object)| {
                let phase = self.phase(object, now);
                (place.clone(), phase, self.templates(object, now))
            })
            .collect();
        for ((_, namespace, name), phase, templates) in phases {
            let status =
                json!({"phase": phase, "message": "it was played", "templateStatuses": templates});
            let patch = json!({"status": status});
            // What was deleted meanwhile needs no phase.
            let _ = world.merge(KIND, &namespace, &name, None, &patch);
        }
    }

    /// When an experiment ends next.
    pub fn next_at(&self, world: &World, now: Timestamp) -> Option<Timestamp> {
        let open = world.list(KIND).filter(|(_, object)| !is_over(object));
        let times = open.flat_map(|(_, object)| {
            let since = created(object);
            let runs = since.after(self.ready);
            [runs, runs.after(self.late), since.after(self.takes)]
        });
        times.filter(|at| *at > now).min()
    }

    /// What the status says of each template. The pods of one that ended by itself stay for a while,
    /// and those of one that was told to end go.
    fn templates(&self, object: &Value, now: Timestamp) -> Value {
        let experiment = object["metadata"]["name"].as_str().unwrap_or_default();
        let at = created(object).after(self.ready).after(self.late);
        let there = now >= at && object["spec"]["terminate"] != true;
        let all = object["spec"]["templates"].as_array().into_iter().flatten();
        let status = |template: &Value| {
            let name = template["name"].as_str().unwrap_or_default();
            let replicas = template["replicas"].as_u64().unwrap_or(1);
            let mut status = json!({
                "name": name,
                "replicas": replicas,
                "availableReplicas": if there { replicas } else { 0 },
            });
            if !template["service"].is_null() {
                let service = template["service"]["name"].as_str().map(str::to_owned);
                status["serviceName"] = service.unwrap_or(format!("{experiment}-{name}")).into();
                status["podTemplateHash"] = format!("of-{name}").into();
            }
            status
        };
        all.map(status).collect()
    }

    fn phase(&self, object: &Value, now: Timestamp) -> &'static str {
        if object["spec"]["terminate"] == true {
            return "Successful";
        }
        let over = now >= created(object).after(self.takes);
        let there = now >= created(object).after(self.ready);
        let open = if there { "Running" } else { "Pending" };
        self.ends.filter(|_| over).unwrap_or(open)
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
