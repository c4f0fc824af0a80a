//! From objects to what the decision looks at.

use std::time::Duration;

use serde_json::Value;
use sluice_core::experiment::{
    Analysis, Door, Observed, Run, RunStatus, Set, Status, Template, TemplatePhase, TemplateStatus,
};
use sluice_core::{Pods, Timestamp};

use crate::clock::{parse_duration, parse_time};
use crate::experiment::check::{PROGRESS_DEADLINE, SCALE_DOWN_DELAY, complaints};
use crate::experiment::name::{Named, is_taken, names, set_of};
use crate::experiment::run::{build, run_name};
use crate::experiment::{Learnt, Objects, make};
use crate::field::Field;
use crate::keys;
use crate::objects::{Meta, ReplicaSet};
use crate::rollout::parse::DRAIN;
use crate::rollout::recall::run_phase;

/// What is observed, and what it is called.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// For the decision.
    pub observed: Observed,
    /// The names of each version, in the order of the specification.
    pub(super) names: Vec<Named>,
}

/// Read everything.
pub fn observe(objects: &Objects) -> Seen {
    let meta = Meta::read(&objects.experiment);
    let root = Field::root(&objects.experiment);
    let spec = root.get("spec");
    let complaints: Vec<_> = complaints(&spec).iter().map(ToString::to_string).collect();
    let invalid = (!complaints.is_empty())
        .then(|| format!("The Experiment \"{}\" is invalid: {}", meta.name, complaints.join("; ")));
    let seconds = |name: &str, default: u32| {
        Duration::from_secs(spec.get(name).u32().unwrap_or(default).into())
    };
    let status = status(&root.get("status"), meta.created);
    let names = names(objects);
    let templates = spec.get("templates").items();
    let observed = Observed {
        now: objects.now,
        created: meta.created,
        invalid,
        terminate: spec.get("terminate").bool(),
        duration: spec.get("duration").str().and_then(parse_duration),
        progress_deadline: seconds("progressDeadlineSeconds", PROGRESS_DEADLINE),
        scale_down_delay: seconds("scaleDownDelaySeconds", SCALE_DOWN_DELAY),
        drained: objects.traffic.as_ref().map(|known| known.drained_at(DRAIN)).unwrap_or_default(),
        templates: templates
            .iter()
            .zip(&names)
            .map(|(one, named)| template(objects, &meta, one, named))
            .collect(),
        analyses: {
            let available = status.available_at.unwrap_or(objects.now);
            let analyses = spec.get("analyses").items();
            analyses.iter().map(|one| analysis(objects, &meta, &names, one, available)).collect()
        },
        status,
    };
    Seen { observed, names }
}

fn template(objects: &Objects, meta: &Meta, template: &Field<'_>, named: &Named) -> Template {
    let name = template.get("name").str().unwrap_or_default();
    let service = make::service_name(template, named);
    let door = match service.as_ref().and_then(|service| objects.services.get(service)) {
        Some(there) if there.meta.controller.as_deref() == Some(&meta.uid) => Door::Ours,
        Some(_) => Door::Theirs,
        None if service.as_ref().is_some_and(|name| is_taken(objects, "Service", name)) => {
            Door::Theirs
        }
        None => Door::Absent,
    };
    let set = set_of(objects, name);
    let said = |known| {
        let of_set = Learnt::about(known, "ReplicaSet", &named.set).filter(|_| set.is_none());
        let of_service = service.as_ref().filter(|_| door == Door::Absent);
        of_set.or_else(|| of_service.and_then(|name| Learnt::about(known, "Service", name)))
    };
    let not_made = |why: &String| format!("Template '{name}' cannot be made: {why}");
    let failing = set.and_then(|set| set.failure.as_ref()).map(|(_, message)| message.clone());
    let refused = said(&objects.learnt.refused).map(not_made);
    let trouble = failing.or_else(|| said(&objects.learnt.trouble).map(not_made));
    Template {
        name: name.to_owned(),
        replicas: Pods(template.get("replicas").u32().unwrap_or(1)),
        routed: service.as_ref().is_some_and(|service| may_lead(objects, service)),
        service,
        door,
        refused,
        trouble,
        set: set.map(pods),
    }
}

/// Whether a routing of the owner may lead to a Service. It may lead anywhere as long as nothing is
/// known of it.
fn may_lead(objects: &Objects, service: &str) -> bool {
    let Some(traffic) = &objects.traffic else { return false };
    traffic.possible().is_none_or(|possible| {
        let mut shares = possible.iter().flat_map(|split| &split.additional);
        shares.any(|one| one.service == service && !one.share.is_none())
    })
}

fn pods(set: &ReplicaSet) -> Set {
    let deadline = set.meta.annotations.get(keys::SCALE_DOWN_DEADLINE);
    Set {
        wanted: Pods(set.wanted),
        current: Pods(set.current),
        available: Pods(set.available),
        deadline: deadline.and_then(|text| parse_time(text)),
    }
}

fn analysis(
    objects: &Objects,
    meta: &Meta,
    names: &[Named],
    analysis: &Field<'_>,
    available: Timestamp,
) -> Analysis {
    let name = analysis.get("name").str().unwrap_or_default();
    let run_name = run_name(objects, meta, name);
    let run = objects.runs.iter().find(|run| run["metadata"]["name"] == run_name.as_str());
    let fault = match run {
        Some(_) => None,
        None => build(objects, names, analysis, &run_name, available).err(),
    };
    Analysis {
        name: name.to_owned(),
        required: analysis.get("requiredForCompletion").bool(),
        run: run.map(|run| read_run(run)),
        fault: fault.map(|why| why.to_string()),
        run_name,
    }
}

fn read_run(run: &Value) -> Run {
    let root = Field::root(run);
    Run {
        phase: run_phase(root.at("status.phase").str()),
        message: root.at("status.message").str().unwrap_or_default().to_owned(),
        terminating: root.at("spec.terminate").bool(),
    }
}

/// Read a status.
fn status(status: &Field<'_>, created: Timestamp) -> Status {
    let text = |field: &Field<'_>, name: &str| field.get(name).str().unwrap_or_default().to_owned();
    let template = |one: &Field<'_>| {
        Some(TemplateStatus {
            name: text(one, "name"),
            phase: template_phase(one.get("status").str()?)?,
            message: text(one, "message"),
            since: one.get("lastTransitionTime").str().and_then(parse_time).unwrap_or(created),
            available: Pods(one.get("availableReplicas").u32().unwrap_or(0)),
        })
    };
    let run = |one: &Field<'_>| RunStatus {
        name: text(one, "name"),
        run: text(one, "analysisRun"),
        phase: run_phase(one.get("phase").str()),
        message: text(one, "message"),
    };
    Status {
        phase: status.get("phase").name().map(|phase| run_phase(Some(phase))),
        message: text(status, "message"),
        available_at: status.get("availableAt").str().and_then(parse_time),
        templates: status.get("templateStatuses").items().iter().filter_map(template).collect(),
        runs: status.get("analysisRuns").items().iter().map(run).collect(),
    }
}

fn template_phase(text: &str) -> Option<TemplatePhase> {
    Some(match text {
        "Progressing" => TemplatePhase::Progressing,
        "Running" => TemplatePhase::Running,
        "Successful" => TemplatePhase::Successful,
        "Failed" => TemplatePhase::Failed,
        "Error" => TemplatePhase::Error,
        _ => return None,
    })
}
