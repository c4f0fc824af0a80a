//! One turn of a rollout, all of it but the performing: pure, and the same in every shell.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use sluice_core::observed::Purpose;
use sluice_core::phase::Phase;
use sluice_core::{Decision, Order, Timestamp, Waiting, Wake, decide};

use crate::analysis::arguments::Sources;
use crate::analysis::run::{NewRun, build, check};
use crate::field::{Field, Refusal};
use crate::keys;
use crate::objects::{Meta, Objects, TemplateName};
use crate::rollout::Intent;
use crate::rollout::claim::{Errand, claims};
use crate::rollout::effects::{Effect, Target, Verb, Write, blocked_event, effect};
use crate::rollout::events::{Event, of_change, of_fact};
use crate::rollout::observe::{Seen, deadline, observe};
use crate::rollout::project::{Projected, difference, project, project_refusal};
use crate::rollout::workload::Borrowed;

/// What one turn comes to.
#[derive(Clone, Debug)]
pub struct Turn {
    /// What to record first, as a rule the status; nothing is performed unless it was accepted.
    /// `None`: the status already says it.
    pub record: Option<Write>,
    /// What to announce once the record was accepted.
    pub events: Vec<Event>,
    /// What to perform then. None relies on another.
    pub effects: Vec<(Order, Effect)>,
    /// Orders that cannot be performed as things stand, and why.
    pub blocked: Vec<(Order, String)>,
    /// What the rollout waits for.
    pub waiting: Option<Waiting>,
    /// When to look again though nothing may have changed.
    pub wake: Option<Wake>,
    /// Complaints about the specification; then nothing else is done.
    pub refusals: Vec<Refusal>,
    /// The phase that was decided, unless the specification was refused.
    pub phase: Option<Phase>,
    /// What to do beside the orders: undo what the rollout does not name any more.
    pub tidy: Vec<Write>,
    /// What to do instead of everything above; then the turn is taken again.
    pub errands: Vec<Errand>,
}

/// Take everything but the acts of one turn.
pub fn turn(objects: &Objects) -> Turn {
    if objects.borrowed == Borrowed::Unread {
        return before_deciding(Vec::new());
    }
    if let Some(write) = borrowed_anew(objects) {
        return recorded_first(write);
    }
    match observe(objects) {
        Err(refusals) => refused(objects, refusals),
        Ok(_) if Field::root(&objects.rollout).at("spec.replicas").value().is_none() => {
            completed(objects)
        }
        Ok(mut seen) => {
            let mut errands = claims(objects);
            errands.extend(seen.identity.question.take().map(Errand::Ask));
            if !errands.is_empty() {
                return before_deciding(errands);
            }
            let decision = decide(&seen.observed);
            decided(objects, &seen, decision)
        }
    }
}

fn before_deciding(errands: Vec<Errand>) -> Turn {
    Turn {
        record: None,
        events: Vec::new(),
        effects: Vec::new(),
        blocked: Vec::new(),
        waiting: Some(Waiting::Itself),
        wake: None,
        refusals: Vec::new(),
        phase: None,
        tidy: Vec::new(),
        errands,
    }
}

fn refused(objects: &Objects, refusals: Vec<Refusal>) -> Turn {
    let projected = project_refusal(objects, &refusals);
    Turn {
        events: projected.changes.iter().map(of_change).collect(),
        record: record(objects, projected),
        effects: Vec::new(),
        blocked: Vec::new(),
        waiting: None,
        wake: None,
        refusals,
        phase: None,
        tidy: Vec::new(),
        errands: Vec::new(),
    }
}

/// Autoscalers read `spec.replicas`, so the default is written where they find it, and nothing is
/// decided until it is there.
fn completed(objects: &Objects) -> Turn {
    let meta = Meta::read(&objects.rollout);
    let body = json!({"metadata": {"resourceVersion": meta.version}, "spec": {"replicas": 1}});
    recorded_first(Write { verb: Verb::Merge, body, target: of_rollout(meta, None), event: None })
}

/// Clients tell from the rollout which generation of a workload its template is of, so that is
/// written first, and nothing is decided until it is there.
fn borrowed_anew(objects: &Objects) -> Option<Write> {
    let workload = objects.borrowed.workload()?;
    let meta = Meta::read(&objects.rollout);
    let generation = workload.meta.generation.to_string();
    if meta.annotations.get(keys::WORKLOAD_GENERATION) == Some(&generation) {
        return None;
    }
    let body = json!({"metadata": {
        "resourceVersion": meta.version,
        "annotations": {keys::WORKLOAD_GENERATION: generation},
    }});
    Some(Write { verb: Verb::Merge, body, target: of_rollout(meta, None), event: None })
}

fn recorded_first(record: Write) -> Turn {
    Turn {
        record: Some(record),
        events: Vec::new(),
        effects: Vec::new(),
        blocked: Vec::new(),
        waiting: Some(Waiting::Itself),
        wake: None,
        refusals: Vec::new(),
        phase: None,
        tidy: Vec::new(),
        errands: Vec::new(),
    }
}

fn of_rollout(meta: Meta, subresource: Option<&'static str>) -> Target {
    Target {
        api_version: "argoproj.io/v1alpha1",
        kind: "Rollout",
        namespace: meta.namespace,
        name: meta.name,
        subresource,
    }
}

fn decided(objects: &Objects, seen: &Seen, decision: Decision) -> Turn {
    let projected = project(objects, seen, &decision);
    let mut events: Vec<_> = decision.facts.iter().filter_map(|fact| of_fact(seen, fact)).collect();
    if !seen.is_first_left() {
        events.extend(projected.changes.iter().map(of_change));
    }
    let mut effects = Vec::new();
    let mut blocked = Vec::new();
    let record = if seen.is_first_left() { None } else { record(objects, projected) };
    let (record, counted) = apart(objects, record);
    let mut noted = false;
    for order in &decision.orders {
        match effect(objects, seen, order) {
            // Each is for the version that was seen, and a record or a note makes another one.
            Ok(Some(Effect::Note(_) | Effect::Release(_))) if record.is_some() || noted => {}
            Ok(Some(effect)) => {
                noted |= matches!(effect, Effect::Note(_));
                effects.push((order.clone(), effect));
            }
            Ok(None) => {}
            Err(why) => {
                events.push(blocked_event(&why));
                blocked.push((order.clone(), why));
            }
        }
    }
    // The deadline is looked at the moment after it passed, as it is judged to the second.
    let late = deadline(&objects.rollout, &seen.intent, &seen.observed.revisions)
        .map(|at| Timestamp(at.0.saturating_add(1000)))
        .filter(|at| *at > objects.now)
        .map(|at| Wake { at, because: "the progress deadline passes" });
    Turn {
        record,
        events,
        effects,
        blocked,
        waiting: decision.waiting,
        wake: Wake::sooner(Wake::sooner(decision.wake, late), counted),
        refusals: Vec::new(),
        phase: Some(decision.memory.phase),
        tidy: objects.remains.clone(),
        errands: Vec::new(),
    }
}

/// The status patch, for exactly the version that was seen.
fn record(objects: &Objects, projected: Projected) -> Option<Write> {
    let old = Field::root(&objects.rollout).get("status");
    let patch = difference(old.value(), &projected.status)?;
    let meta = Meta::read(&objects.rollout);
    Some(Write {
        verb: Verb::Merge,
        body: json!({"metadata": {"resourceVersion": meta.version}, "status": patch}),
        target: of_rollout(meta, Some("status")),
        event: None,
    })
}

/// How long pods that come and go are counted before the count is recorded.
const COUNTED: Duration = Duration::from_secs(1);

/// What only counts pods is recorded once a second: every pod that becomes ready would be a write
/// otherwise, and half of all writes would say nothing that anybody acts on. Nothing is decided
/// from what a status counts.
fn apart(objects: &Objects, record: Option<Write>) -> (Option<Write>, Option<Wake>) {
    let due = objects.learnt.recorded.map(|at| at.after(COUNTED)).filter(|due| *due > objects.now);
    match (&record, due) {
        (Some(write), Some(at)) if only_counts(&objects.rollout, &write.body["status"]) => {
            (None, Some(Wake { at, because: "the pods that were counted are recorded" }))
        }
        _ => (record, None),
    }
}

/// Whether a patch of the status changes counts, and what is said of them, alone.
fn only_counts(rollout: &Value, patch: &Value) -> bool {
    const COUNTS: [&str; 6] = [
        "HPAReplicas",
        "availableReplicas",
        "message",
        "readyReplicas",
        "replicas",
        "updatedReplicas",
    ];
    let old = Field::root(rollout).at("status.conditions");
    Field::root(patch).value().and_then(Value::as_object).is_some_and(|members| {
        members.iter().all(|(name, value)| match name.as_str() {
            "conditions" => standing(&Field::root(value)) == standing(&old),
            name => COUNTS.contains(&name),
        })
    })
}

/// Type, status and reason of conditions, whatever their order.
fn standing(conditions: &Field<'_>) -> BTreeSet<[String; 3]> {
    let text = |condition: &Field<'_>, name: &str| {
        condition.get(name).str().unwrap_or_default().to_owned()
    };
    let conditions = conditions.items();
    conditions.iter().map(|c| ["type", "status", "reason"].map(|name| text(c, name))).collect()
}

/// Complaints about the analyses that the specification names.
pub(crate) fn check_analyses(objects: &Objects, intent: &Intent) -> Vec<Refusal> {
    let placeholder = Sources { rollout: &objects.rollout, stable: "stable", latest: "latest" };
    let steps = intent.step_analyses.iter().map(|(index, analysis)| {
        (format!("spec.strategy.canary.steps[{index}].analysis"), analysis, Purpose::Step(*index))
    });
    let background = intent.background.iter().map(|analysis| {
        ("spec.strategy.canary.analysis".to_owned(), analysis, Purpose::Background)
    });
    let promotion = [
        ("prePromotionAnalysis", &intent.pre_promotion, Purpose::PrePromotion),
        ("postPromotionAnalysis", &intent.post_promotion, Purpose::PostPromotion),
    ];
    let promotion = promotion.into_iter().filter_map(|(name, analysis, purpose)| {
        Some((format!("spec.strategy.blueGreen.{name}"), analysis.as_ref()?, purpose))
    });
    steps
        .chain(background)
        .chain(promotion)
        .filter_map(|(path, analysis, purpose)| {
            let find = |name: &TemplateName| objects.templates.get(name).map(|t| &**t);
            let error = check(analysis, &placeholder, purpose, find).err()?;
            Some(Refusal { path, message: format!("Invalid value: {error}") })
        })
        .collect()
}

/// The AnalysisRun that a rollout starts.
pub(crate) fn run_object(
    objects: &Objects,
    seen: &Seen,
    name: &str,
    purpose: Purpose,
) -> Result<Value, String> {
    let intent = &seen.intent;
    let analysis = match purpose {
        Purpose::Step(index) => intent.step_analyses.get(&index),
        Purpose::Background => intent.background.as_ref(),
        Purpose::PrePromotion => intent.pre_promotion.as_ref(),
        Purpose::PostPromotion => intent.post_promotion.as_ref(),
    };
    let Some(analysis) = analysis else {
        return Err(format!("analysis run {name}: its analysis is no longer in the specification"));
    };
    let stable = seen.observed.memory.stable.as_ref();
    let number = seen.observed.new_revision().map_or(0, |new| new.number);
    let new = NewRun {
        name,
        rollout: &objects.rollout,
        analysis,
        purpose,
        stable: stable.map(|hash| hash.0.as_str()).unwrap_or_default(),
        latest: &seen.observed.wanted.0,
        number: number.max(seen.observed.number),
        instance: &objects.instance,
    };
    build(&new, |name| objects.templates.get(name).map(|t| &**t))
        .map_err(|error| format!("analysis run {name}: {error}"))
}
