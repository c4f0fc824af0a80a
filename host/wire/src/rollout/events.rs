//! Facts as Kubernetes Events, with Argo's reasons and words.

use std::num::NonZeroU32;

use sluice_core::Share;
use sluice_core::fact::{Completion, Fact, Skip};
use sluice_core::observed::{Purpose, RunPhase};
use sluice_core::traffic::Additional;

use crate::field::Field;
use crate::rollout::observe::Seen;
use crate::rollout::project::{Change, run_phase_name};

/// How serious an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// All is well.
    Normal,
    /// Somebody should look.
    Warning,
}

/// An event about one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// How serious.
    pub severity: Severity,
    /// One word for machines.
    pub reason: &'static str,
    /// A sentence for people.
    pub message: String,
}

impl Event {
    /// An event that all is well.
    pub fn normal(reason: &'static str, message: String) -> Self {
        Self { severity: Severity::Normal, reason, message }
    }

    /// An event that somebody should look at.
    pub fn warning(reason: &'static str, message: String) -> Self {
        Self { severity: Severity::Warning, reason, message }
    }
}

/// The event of a fact; `None` where a condition's change or a write's success is the event.
pub fn of_fact(seen: &Seen, fact: &Fact) -> Option<Event> {
    Some(match fact {
        Fact::Begun { number, hash } => Event::normal(
            "RolloutNotCompleted",
            format!("Rollout not completed, started update to revision {number} ({hash})"),
        ),
        Fact::Completed { number, hash, because } => Event::normal(
            "RolloutCompleted",
            format!("Rollout completed update to revision {number} ({hash}): {}", why(*because)),
        ),
        Fact::StepCompleted { index } => {
            let total = seen.intent.rollout.steps().len();
            let step = step_words(seen, *index);
            Event::normal(
                "RolloutStepCompleted",
                format!("Rollout step {}/{total} completed ({step})", index + 1),
            )
        }
        Fact::StepsSkipped { because } => {
            let words = match because {
                Skip::Stable => "Rollback to stable ReplicaSets",
                Skip::WithinWindow => "Rollback to active ReplicaSets within RollbackWindow",
            };
            Event::normal("SkipSteps", words.to_owned())
        }
        Fact::WeightUpdated { from, to, additional } => {
            let whole = seen.intent.rollout.routing()?.whole;
            let words = weight_words((*from, *to), additional.as_deref(), whole);
            Event::normal("TrafficWeightUpdated", format!("Traffic weight updated {words}"))
        }
        Fact::CallChanged { index, name, operation, to, .. } => {
            return super::called::event(*index, name, *operation, *to);
        }
        Fact::RunChanged { purpose, name, from, to } => run_changed(*purpose, name, *from, *to),
        Fact::Updated { .. } | Fact::Aborted { .. } | Fact::Paused { .. } | Fact::Resumed => {
            return None;
        }
    })
}

/// What became of the weights, in Argo's words, which writes destinations as Go does.
fn weight_words(
    (from, to): (Option<Share>, Share),
    additional: Option<&[Additional]>,
    whole: NonZeroU32,
) -> String {
    let now = to.parts_of(whole);
    let moved = match from {
        None => Some(format!("to {now}")),
        Some(from) if from == to => None,
        Some(from) => Some(format!("from {} to {now}", from.parts_of(whole))),
    };
    let additional = additional.map(|all| {
        let one = |one: &Additional| {
            format!("{{{} {} {}}}", one.share.parts_of(whole), one.service, one.hash)
        };
        let all: Vec<_> = all.iter().map(one).collect();
        format!("additional: [{}]", all.join(" "))
    });
    let words: Vec<_> = moved.into_iter().chain(additional).collect();
    words.join(", ")
}

/// The event of a changed condition.
pub fn of_change(change: &Change) -> Event {
    match change {
        Change::Refused(message) => Event::warning("InvalidSpec", message.clone()),
        Change::Aborted(message) => Event::warning("RolloutAborted", message.clone()),
        Change::Paused(reason) => {
            Event::normal("RolloutPaused", format!("Rollout is paused ({reason})"))
        }
        Change::Resumed => Event::normal("RolloutResumed", "Rollout is resumed".to_owned()),
        Change::Overdue(message) => Event::warning("ProgressDeadlineExceeded", message.clone()),
    }
}

fn why(because: Completion) -> String {
    match because {
        Completion::FirstDeployment => "Initial deploy".to_owned(),
        Completion::AllSteps(steps) => format!("Completed all {steps} canary steps"),
        Completion::FullPromotion => "Full promotion requested".to_owned(),
        Completion::BlueGreen => "Completed blue-green update".to_owned(),
        Completion::FastRollback => "Fast rollback".to_owned(),
        Completion::RollbackWithinWindow => "Rollback within window".to_owned(),
    }
}

/// The step's first member, in the order in which Argo looks at them.
pub(crate) fn step_words(seen: &Seen, index: usize) -> String {
    let Some(step) = seen.intent.steps.as_ref().and_then(|steps| steps.get(index)) else {
        return String::new();
    };
    let step = Field::root(step);
    let kinds = [
        "setWeight",
        "pause",
        "experiment",
        "analysis",
        "setCanaryScale",
        "setHeaderRoute",
        "setMirrorRoute",
        "plugin",
    ];
    let Some(kind) = kinds.iter().find(|kind| step.get(kind).is_set()) else {
        return String::new();
    };
    let member = step.get(kind);
    let text = |field: &Field<'_>| {
        field.value().map(|value| value.as_str().map_or(value.to_string(), str::to_owned))
    };
    match *kind {
        "setWeight" => format!("setWeight: {}", text(&member).unwrap_or_default()),
        "pause" => match text(&member.get("duration")) {
            Some(duration) => format!("pause: {duration}"),
            None => "pause".to_owned(),
        },
        "setCanaryScale" => {
            let parts = ["weight", "matchTrafficWeight", "replicas"];
            let said = parts.iter().find_map(|name| Some((name, text(&member.get(name))?)));
            match said {
                Some((name, value)) => format!("setCanaryScale{{{name}: {value}}}"),
                None => "setCanaryScale".to_owned(),
            }
        }
        kind => kind.to_owned(),
    }
}

fn run_changed(purpose: Purpose, name: &str, from: Option<RunPhase>, to: RunPhase) -> Event {
    let kind = match purpose {
        Purpose::Step(_) => "Step",
        Purpose::Background => "Background",
        Purpose::PrePromotion => "PrePromotion",
        Purpose::PostPromotion => "PostPromotion",
    };
    let before = from.map_or("NoPreviousStatus", run_phase_name);
    let message = format!(
        "{kind} Analysis Run '{name}' Status New: '{}' Previous: '{before}'",
        run_phase_name(to)
    );
    match to {
        RunPhase::Pending => Event::normal("AnalysisRunPending", message),
        RunPhase::Running => Event::normal("AnalysisRunRunning", message),
        RunPhase::Successful => Event::normal("AnalysisRunSuccessful", message),
        RunPhase::Failed => Event::warning("AnalysisRunFailed", message),
        RunPhase::Error => Event::warning("AnalysisRunError", message),
        RunPhase::Inconclusive => Event::warning("AnalysisRunInconclusive", message),
    }
}
