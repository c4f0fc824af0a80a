//! One turn of an experiment, all of it but the performing: pure, and the same in every shell.

use serde_json::{Value, json};
use sluice_core::Wake;
use sluice_core::experiment::{Fact, Order, Status, TemplatePhase, Waiting, decide};
use sluice_core::observed::RunPhase;

use crate::experiment::Objects;
use crate::experiment::make::write;
use crate::experiment::observe::{Seen, observe};
use crate::experiment::project::{project, template_phase_name};
use crate::field::Field;
use crate::objects::Meta;
use crate::rollout::project::{difference, run_phase_name};
use crate::rollout::{Event, Severity, Target, Verb, Write};

/// What one turn comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// The status to record first; nothing is performed unless it was accepted. `None`: the
    /// status already says it.
    pub record: Option<Write>,
    /// What to announce of the experiment once the record was accepted.
    pub events: Vec<Event>,
    /// What to announce then of the Rollout whose step it is, if it is one's: notifications are
    /// ordered there.
    pub owner_events: Vec<Event>,
    /// What to perform then. None relies on another.
    pub effects: Vec<(Order, Write)>,
    /// What it waits for; `None` only when it is over and nothing of it is left.
    pub waiting: Option<Waiting>,
    /// When to look again though nothing may have changed.
    pub wake: Option<Wake>,
    /// What was decided to be so.
    pub status: Status,
}

/// Take everything but the acts of one turn.
pub fn turn(objects: &Objects) -> Turn {
    let seen = observe(objects);
    let decision = decide(&seen.observed);
    let old = Field::root(&objects.experiment).get("status");
    let new = project(objects, &seen, &decision);
    let mut events: Vec<_> = refused(objects, &seen).into_iter().collect();
    events.extend(decision.facts.iter().map(event));
    let runs = decision.facts.iter().filter(|fact| matches!(fact, Fact::RunChanged { .. }));
    Turn {
        record: difference(old.value(), &new).map(|patch| record(objects, &patch)),
        owner_events: runs.map(event).collect(),
        events,
        effects: decision
            .orders
            .iter()
            .filter_map(|order| Some((order.clone(), write(objects, &seen, order)?)))
            .collect(),
        waiting: decision.waiting,
        wake: decision.wake,
        status: decision.status,
    }
}

/// The status patch, for exactly the version that was seen. Experiments have no status
/// subresource, so that a `spec.terminate` of somebody else and this patch compete for one version.
fn record(objects: &Objects, patch: &Value) -> Write {
    let meta = Meta::read(&objects.experiment);
    Write {
        verb: Verb::Merge,
        body: json!({"metadata": {"resourceVersion": meta.version}, "status": patch}),
        target: Target {
            api_version: "argoproj.io/v1alpha1",
            kind: "Experiment",
            namespace: meta.namespace,
            name: meta.name,
            subresource: None,
        },
        event: None,
    }
}

/// That the specification is refused, unless that was said.
fn refused(objects: &Objects, seen: &Seen) -> Option<Event> {
    let why = seen.observed.invalid.as_ref()?;
    let said = Field::root(&objects.experiment).at("status.message").str() == Some(why);
    let over = seen.observed.status.is_over();
    (!said && !over).then(|| Event::warning("InvalidSpec", why.clone()))
}

/// A fact as an event, with Argo's reasons.
fn event(fact: &Fact) -> Event {
    let (what, from, to, message, reason, bad) = match fact {
        Fact::TemplateChanged { template, from, to, message } => {
            let bad = matches!(to, TemplatePhase::Failed | TemplatePhase::Error);
            let names = (from.map(template_phase_name), template_phase_name(*to));
            (format!("Template '{template}'"), names.0, names.1, message, of_template(*to), bad)
        }
        Fact::RunChanged { run, from, to, message } => {
            let names = (from.map(run_phase_name), run_phase_name(*to));
            (format!("AnalysisRun '{run}'"), names.0, names.1, message, of_run(*to), is_bad(*to))
        }
        Fact::Changed { from, to, message } => {
            let names = (from.map(run_phase_name), run_phase_name(*to));
            ("Experiment".to_owned(), names.0, names.1, message, of_phase(*to), is_bad(*to))
        }
    };
    let mut message_text = match from {
        Some(from) => format!("{what} transitioned from {from} -> {to}"),
        None => format!("{what} is {to}"),
    };
    if !message.is_empty() {
        message_text = format!("{message_text}: {message}");
    }
    let severity = if bad { Severity::Warning } else { Severity::Normal };
    Event { severity, reason, message: message_text }
}

fn is_bad(phase: RunPhase) -> bool {
    matches!(phase, RunPhase::Failed | RunPhase::Error)
}

fn of_template(phase: TemplatePhase) -> &'static str {
    match phase {
        TemplatePhase::Progressing => "TemplateProgressing",
        TemplatePhase::Running => "TemplateRunning",
        TemplatePhase::Successful => "TemplateSuccessful",
        TemplatePhase::Failed => "TemplateFailed",
        TemplatePhase::Error => "TemplateError",
    }
}

fn of_run(phase: RunPhase) -> &'static str {
    crate::analysis::turn::run_reason(phase)
}

fn of_phase(phase: RunPhase) -> &'static str {
    match phase {
        RunPhase::Pending => "ExperimentPending",
        RunPhase::Running => "ExperimentRunning",
        RunPhase::Successful => "ExperimentSuccessful",
        RunPhase::Failed => "ExperimentFailed",
        RunPhase::Error => "ExperimentError",
        RunPhase::Inconclusive => "ExperimentInconclusive",
    }
}
