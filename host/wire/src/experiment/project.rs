//! From a decision to the status of an Experiment.

use serde_json::{Map, Value, json};
use sluice_core::Timestamp;
use sluice_core::experiment::{Decision, Door, Status, TemplatePhase, TemplateStatus};
use sluice_core::observed::RunPhase;

use crate::clock::{format_time, next_second};
use crate::experiment::Objects;
use crate::experiment::name::set_of;
use crate::experiment::observe::Seen;
use crate::field::Field;
use crate::objects::Meta;
use crate::rollout::project::conditions::Conditions;
use crate::rollout::project::run_phase_name;

/// The status to record. What this version does not know of the old one stays.
pub fn project(objects: &Objects, seen: &Seen, decision: &Decision) -> Value {
    let old = Field::root(&objects.experiment).get("status");
    let mut fields = old.value().and_then(Value::as_object).cloned().unwrap_or_default();
    let status = &decision.status;
    put(&mut fields, "phase", status.phase.map(|phase| run_phase_name(phase).into()));
    put(&mut fields, "message", text(&status.message));
    put(&mut fields, "availableAt", status.available_at.map(time));
    let templates: Vec<_> =
        status.templates.iter().map(|one| template(objects, seen, &old, one)).collect();
    put(&mut fields, "templateStatuses", list(templates));
    let runs: Vec<_> = status
        .runs
        .iter()
        .map(|run| {
            let phase = run_phase_name(run.phase);
            let mut noted = json!({"name": run.name, "analysisRun": run.run, "phase": phase});
            if !run.message.is_empty() {
                noted["message"] = run.message.clone().into();
            }
            noted
        })
        .collect();
    put(&mut fields, "analysisRuns", list(runs));
    // What was finished before is left as whoever finished it has left it.
    if !seen.observed.status.is_over() {
        fields.insert("conditions".to_owned(), conditions(objects, seen, status));
    }
    Value::Object(fields)
}

fn put(fields: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    match value {
        Some(value) => fields.insert(name.to_owned(), value),
        None => fields.remove(name),
    };
}

fn text(text: &str) -> Option<Value> {
    (!text.is_empty()).then(|| text.into())
}

fn list(items: Vec<Value>) -> Option<Value> {
    (!items.is_empty()).then_some(Value::Array(items))
}

fn time(at: Timestamp) -> Value {
    format_time(next_second(at)).into()
}

fn template(objects: &Objects, seen: &Seen, old: &Field<'_>, status: &TemplateStatus) -> Value {
    let all = old.get("templateStatuses").items();
    let before = all.iter().find(|one| one.get("name").str() == Some(&status.name));
    let before = before.and_then(|before| before.value()?.as_object());
    let mut fields = before.cloned().unwrap_or_default();
    let set = set_of(objects, &status.name);
    let count = |number: Option<u32>| Some(Value::from(number.unwrap_or(0)));
    put(&mut fields, "name", Some(status.name.clone().into()));
    put(&mut fields, "replicas", count(set.map(|set| set.current)));
    put(&mut fields, "updatedReplicas", count(set.map(|set| set.current)));
    put(&mut fields, "readyReplicas", count(set.map(|set| set.ready)));
    put(&mut fields, "availableReplicas", count(set.map(|set| set.available)));
    put(&mut fields, "status", Some(template_phase_name(status.phase).into()));
    put(&mut fields, "message", text(&status.message));
    put(&mut fields, "lastTransitionTime", Some(time(status.since)));
    if let Some(set) = set {
        put(&mut fields, "podTemplateHash", text(set.hash()));
    }
    let position = seen.observed.templates.iter().position(|one| one.name == status.name);
    if let Some(index) = position {
        let (wanted, named) = (&seen.observed.templates[index], &seen.names[index]);
        // It is told once it is there: a router may be given it from then on.
        let service = wanted.service.clone().filter(|_| wanted.door == Door::Ours);
        put(&mut fields, "serviceName", service.map(Value::from));
        // A version that is over gets no ReplicaSet any more, so which name it would get now, beside
        // the pods that others have by now, is nothing to record.
        if set.is_some() || !status.phase.is_over() {
            put(&mut fields, "collisionCount", named.collisions.map(Value::from));
        }
    }
    Value::Object(fields)
}

/// The name of a version's phase.
pub fn template_phase_name(phase: TemplatePhase) -> &'static str {
    match phase {
        TemplatePhase::Progressing => "Progressing",
        TemplatePhase::Running => "Running",
        TemplatePhase::Successful => "Successful",
        TemplatePhase::Failed => "Failed",
        TemplatePhase::Error => "Error",
    }
}

fn conditions(objects: &Objects, seen: &Seen, status: &Status) -> Value {
    const TRUE: &str = "True";
    const FALSE: &str = "False";
    let old = Field::root(&objects.experiment).get("status");
    let mut conditions = Conditions::of(&old, objects.now);
    match &seen.observed.invalid {
        Some(why) => conditions.refuse(why),
        None => conditions.accept(),
    }
    let failing = objects.replica_sets.iter().find_map(|set| set.failure.clone());
    match failing.filter(|_| !status.is_over()) {
        Some((reason, message)) => {
            conditions.set("ReplicaFailure", TRUE, &reason, &message);
        }
        None => conditions.remove("ReplicaFailure"),
    }
    let name = Meta::read(&objects.experiment).name;
    let Some(phase) = status.phase.filter(|_| seen.observed.invalid.is_none()) else {
        return conditions.finish().0;
    };
    match phase {
        RunPhase::Pending => {
            let message = format!("Experiment \"{name}\" is progressing.");
            conditions.set("Progressing", TRUE, "ReplicaSetUpdated", &message);
            if old.get("availableAt").is_set() {
                let message = format!("Experiment \"{name}\" misses pods.");
                conditions.set("Running", FALSE, "ReplicaSetNotAvailable", &message);
            }
        }
        RunPhase::Running => {
            let message = format!("Experiment \"{name}\" has all of its pods.");
            conditions.set("Progressing", TRUE, "NewReplicaSetAvailable", &message);
            let message = format!("Experiment \"{name}\" is running.");
            conditions.set("Running", TRUE, "ExperimentRunning", &message);
        }
        RunPhase::Successful | RunPhase::Failed | RunPhase::Error | RunPhase::Inconclusive => {
            let late = status.templates.iter().any(|one| one.phase == TemplatePhase::Failed);
            let (reason, message) = if late {
                ("ProgressDeadlineExceeded", "has timed out progressing.")
            } else {
                ("ExperimentCompleted", "has come to its end.")
            };
            let message = format!("Experiment \"{name}\" {message}");
            conditions.set("Progressing", FALSE, reason, &message);
            let message = format!("Experiment \"{name}\" ended: {}", run_phase_name(phase));
            conditions.set("Running", FALSE, "ExperimentCompleted", &message);
            conditions.set("Completed", TRUE, "ExperimentCompleted", &message);
        }
    }
    conditions.finish().0
}
