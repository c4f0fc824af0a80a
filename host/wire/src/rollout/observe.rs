//! From the objects of one turn to what the core may look at.

use std::collections::BTreeMap;

use serde_json::Value;
use sluice_core::observed::{Door, Hash, Marks, Observed, Purpose, Revision, Run};
use sluice_core::rollout::{Strategy, Tenure};
use sluice_core::{Pods, Timestamp};

use crate::clock::parse_time;
use crate::field::{Field, Refusal, Refusals};
use crate::keys;
use crate::objects::{Meta, Objects, ReplicaSet};
use crate::rollout::experiment;
use crate::rollout::hash::steps_hash;
use crate::rollout::identity::{Identity, identify, injected};
use crate::rollout::marks::{AntiAffinity, PodMetadata};
use crate::rollout::parse::{Intent, PING_PONG, SERVICES, parse};
use crate::rollout::recall::{recall, run_phase, stable_is_pong};
use crate::rollout::routers::Routers;
use crate::rollout::workload::{Borrowed, lender};

/// A specification and what was observed around it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The specification.
    pub intent: Intent,
    /// What the core decides on.
    pub observed: Observed,
    /// Who the wanted revision is.
    pub identity: Identity,
    /// Who is in charge of its traffic. Where that is to be left, it is what `intent` says.
    pub routers: Routers,
}

impl Seen {
    /// Whether a routing of another strategy is left before anything else is done. Nothing that
    /// is seen then is of the strategy that the user names, so none of it is recorded.
    pub(crate) fn is_first_left(&self) -> bool {
        let routing = self.intent.rollout.routing();
        routing.is_some_and(|routing| routing.tenure == Tenure::LeavesFirst)
    }
}

/// Read everything, or every complaint.
pub fn observe(objects: &Objects) -> Result<Seen, Vec<Refusal>> {
    let rollout = &*objects.rollout;
    if let Borrowed::Refused(refusal) = &objects.borrowed {
        return Err(vec![refusal.clone()]);
    }
    let mut intent = parse(rollout)?;
    let meta = Meta::read(rollout);
    let routers = Routers::look(rollout, &meta, &mut intent);
    let mut bad = Refusals::default();
    let pong = stable_is_pong(rollout, &intent);
    let names = match (&intent.rollout.strategy, PING_PONG) {
        (Strategy::BlueGreen(_), _) => SERVICES.map(|(_, by_blue_green)| by_blue_green),
        (Strategy::Canary(canary), _) if !canary.ping_pong => SERVICES.map(|(name, _)| name),
        (Strategy::Canary(_), [ping, pong_side]) if pong => [pong_side, ping],
        (Strategy::Canary(_), ping_first) => ping_first,
    };
    let left = routers.doors(objects, pong);
    let [stable_door, canary_door] =
        left.unwrap_or_else(|| names.map(|name| door(objects, &meta, &intent, name, &mut bad)));
    bad.extend(crate::rollout::turn::check_analyses(objects, &intent));
    bad.or(())?;

    let identity = identify(objects);
    let wanted = identity.hash.clone();
    let status = Field::root(rollout).get("status");
    let changed = status.get("currentPodHash").name() != Some(wanted.0.as_str())
        || status.get("currentStepHash").name() != recorded_steps(&intent).as_deref();
    let mut memory = recall(rollout, &intent, &wanted, objects.now);
    let revisions: Vec<_> =
        objects.replica_sets.iter().map(|set| revision(set, &intent, &meta)).collect();
    let runs: Vec<_> = objects.runs.iter().map(|run| read_run(run)).collect();
    let number = annotated_number(&meta.annotations);
    let ([step, background, pre, post], base) =
        run_names(&meta, &wanted, &revisions, &memory, &runs);
    let experiments: Vec<_> = objects.experiments.iter().map(|one| experiment::read(one)).collect();
    // A name that turned out to be somebody else's is none.
    memory.experiment.take_if(|name| objects.learnt.taken.contains(name));
    let extras = experiment::extras(objects, &intent, &memory);
    let experiment_name = experiment::free_name(objects, &base, &experiments);
    let mut traffic = objects.traffic.clone().seen_from(pong);
    if !routers.is_noted() {
        // What was confirmed is what others were told.
        traffic.doubt(objects.now);
    }
    let formers = routers.formers(objects);
    if formers.iter().any(|former| former.lost.is_some()) {
        traffic.beyond_control();
    }
    let overdue = overdue(rollout, &intent, &revisions, objects.now);
    let observed = Observed {
        now: objects.now,
        rollout: intent.rollout.clone(),
        wanted,
        changed,
        memory,
        number,
        revisions,
        stable_door,
        canary_door,
        traffic,
        runs,
        run_names: (step, background),
        promotion_names: (pre, post),
        experiments,
        extras,
        experiment_name,
        replies: objects.learnt.replies.clone(),
        formers,
        overdue,
        lender: lender(&objects.borrowed, &meta.name, intent.scale_down),
        restart: crate::rollout::restart::restart(objects, &intent),
    };
    Ok(Seen { intent, observed, identity, routers })
}

/// The hash of the steps as the status has it: only a canary has steps.
pub(crate) fn recorded_steps(intent: &Intent) -> Option<String> {
    match &intent.rollout.strategy {
        Strategy::Canary(_) => Some(steps_hash(intent.steps.as_ref())),
        Strategy::BlueGreen(_) => None,
    }
}

/// The number in an object's revision annotation; 0 without one.
pub fn annotated_number(annotations: &BTreeMap<String, String>) -> u32 {
    annotations.get(keys::REVISION).and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn revision(set: &ReplicaSet, intent: &Intent, rollout: &Meta) -> Revision {
    let annotation = |key: &str| set.meta.annotations.get(key);
    Revision {
        hash: Hash(set.hash().to_owned()),
        number: annotated_number(&set.meta.annotations),
        wanted: Pods(set.wanted),
        current: Pods(set.current),
        available: Pods(set.available),
        noted: annotation(keys::DESIRED_REPLICAS).and_then(|text| text.parse().ok()).map(Pods),
        deadline: annotation(keys::SCALE_DOWN_DEADLINE)
            .map(|text| parse_time(text).unwrap_or_default()),
        created: set.meta.created,
        settled: set.settled,
        current_notes: set.min_ready_seconds == intent.min_ready_seconds
            && inherited(rollout).all(|(key, value)| set.meta.annotations.get(key) == Some(value)),
        marks: marks(set, intent),
        avoids: AntiAffinity::read(intent.anti_affinity, &set.affinity),
    }
}

/// The rollout's annotations that its ReplicaSets carry as well.
pub(crate) fn inherited(rollout: &Meta) -> impl Iterator<Item = (&String, &String)> {
    const OWN: [&str; 8] = [
        keys::LAST_APPLIED,
        keys::REVISION,
        keys::REVISION_HISTORY,
        keys::DESIRED_REPLICAS,
        keys::NOTIFIED,
        keys::OUTBOX,
        keys::WORKLOAD_GENERATION,
        keys::ROUTERS,
    ];
    rollout.annotations.iter().filter(|(key, _)| !OWN.contains(&key.as_str()))
}

fn marks(set: &ReplicaSet, intent: &Intent) -> Marks {
    let has = injected(&set.meta).map(|found| PodMetadata::read(&found)).unwrap_or_default();
    Marks {
        stable: has == intent.metadata.stable,
        canary: has == intent.metadata.canary,
        pods_lag: set.meta.annotations.contains_key(keys::PODS_LAG),
    }
}

fn read_run(run: &Value) -> Run {
    let meta = Meta::read(run);
    let root = Field::root(run);
    let label = |key: &str| meta.labels.get(key).map(String::as_str);
    let purpose = match label(keys::ROLLOUT_TYPE) {
        Some("Step") => {
            label(keys::STEP_INDEX).and_then(|index| index.parse().ok()).map(Purpose::Step)
        }
        Some("Background") => Some(Purpose::Background),
        Some("PrePromotion") => Some(Purpose::PrePromotion),
        Some("PostPromotion") => Some(Purpose::PostPromotion),
        _ => None,
    };
    Run {
        purpose,
        phase: run_phase(root.at("status.phase").str()),
        message: root.at("status.message").str().unwrap_or_default().to_owned(),
        hash: Hash(label(keys::HASH).unwrap_or_default().to_owned()),
        created: meta.created,
        terminating: root.at("spec.terminate").bool(),
        name: meta.name,
    }
}

/// Names that no run of the rollout has yet: for a step, for the background, before and after a
/// promotion. And what the name of an experiment of this step begins with.
fn run_names(
    meta: &Meta,
    wanted: &Hash,
    revisions: &[Revision],
    memory: &sluice_core::phase::Memory,
    runs: &[Run],
) -> ([String; 4], String) {
    use sluice_core::phase::Phase;
    let others = revisions.iter().filter(|revision| revision.hash != *wanted);
    let highest = others.map(|revision| revision.number).max().unwrap_or(0);
    let own = revisions.iter().find(|revision| revision.hash == *wanted);
    let number = own.map_or(0, |own| own.number);
    let number = if number > highest { number } else { highest.saturating_add(1) };
    let base = format!("{}-{wanted}-{number}", meta.name);
    let free = |name: String| {
        let taken = |name: &str| runs.iter().any(|run| run.name == name);
        if !taken(&name) {
            return name;
        }
        let mut suffix = 1u32;
        while taken(&format!("{name}.{suffix}")) {
            suffix += 1;
        }
        format!("{name}.{suffix}")
    };
    let index = match memory.phase {
        Phase::Stepping { index, .. } => index,
        Phase::Settled
        | Phase::Previewing { .. }
        | Phase::Promoting { .. }
        | Phase::Aborted { .. } => 0,
    };
    let step = format!("{base}-{index}");
    let all = [step.clone(), base.clone(), format!("{base}-pre"), format!("{base}-post")];
    (all.map(free), step)
}

fn door(objects: &Objects, meta: &Meta, intent: &Intent, field: &str, bad: &mut Refusals) -> Door {
    let strategy = Field::root(&objects.rollout).at("spec.strategy");
    let named = match &intent.rollout.strategy {
        Strategy::Canary(_) => strategy.get("canary").at(field),
        Strategy::BlueGreen(_) => strategy.get("blueGreen").at(field),
    };
    let Some(name) = named.name() else { return Door::None };
    let Some(service) = objects.services.get(name) else {
        bad.add(
            &named,
            format!("Invalid value: \"{name}\": service \"{name}\" not found in namespace {}; create it, or name another", meta.namespace),
        );
        return Door::None;
    };
    let labels = Field::root(&intent.template).at("metadata.labels");
    for (key, value) in service.selector.iter().filter(|(key, _)| *key != keys::HASH) {
        if labels.get(key).str() != Some(value) {
            bad.add(
                &named,
                format!("Invalid value: \"{name}\": Service \"{name}\" has unmatch label \"{key}\" in rollout: its selector wants {key}={value}, and spec.template.metadata.labels does not have that"),
            );
        }
    }
    let manager = service.meta.annotations.get(keys::MANAGED_BY);
    if manager.is_some_and(|manager| *manager != meta.name) {
        let manager = manager.map(String::as_str).unwrap_or_default();
        bad.add(
            &named,
            format!("Invalid value: \"{name}\": Service \"{name}\" is managed by another Rollout, {manager}; name another Service, or remove its annotation {}", keys::MANAGED_BY),
        );
    }
    Door::Service {
        name: name.to_owned(),
        selects: service.selector.get(keys::HASH).map(|hash| Hash(hash.clone())),
        adopted: manager.is_some(),
    }
}

/// Whether the progress deadline has passed: the time of the last progress is that of the
/// Progressing condition, and pauses, aborted rollouts and scale-down delays do not count.
fn overdue(rollout: &Value, intent: &Intent, revisions: &[Revision], now: Timestamp) -> bool {
    deadline(rollout, intent, revisions).is_some_and(|deadline| deadline < now)
}

/// When the progress deadline passes, if it is running.
pub fn deadline(rollout: &Value, intent: &Intent, revisions: &[Revision]) -> Option<Timestamp> {
    use sluice_core::rollout::Act;
    let root = Field::root(rollout);
    let status = root.get("status");
    let stable = status.get("stableRS").str().unwrap_or_default();
    let current = status.get("currentPodHash").str().unwrap_or_default();
    let delayed = revisions.iter().any(|revision| {
        revision.deadline.is_some() && revision.hash.0 != stable && revision.hash.0 != current
    });
    let conditions = status.get("conditions").items();
    let find = |kind: &str| conditions.iter().find(|c| c.get("type").str() == Some(kind));
    let paused = find("Paused").is_some_and(|c| c.get("status").str() == Some("True"));
    let index = status.get("currentStepIndex").u32().unwrap_or(0) as usize;
    let waits = stable != current
        && matches!(
            intent.rollout.steps().position(index).act(),
            Act::Pause(_) | Act::Analysis | Act::Experiment | Act::Plugin(_)
        );
    // An analysis takes the time it takes, before and after the switch as in a step.
    let analyses = status.get("blueGreen");
    let analysed =
        ["prePromotionAnalysisRunStatus", "postPromotionAnalysisRunStatus"].iter().any(|run| {
            analyses.get(run).is_set()
                && !run_phase(analyses.get(run).get("status").str()).is_over()
        });
    if delayed || paused || waits || analysed || intent.rollout.paused {
        return None;
    }
    let progressing = find("Progressing")?;
    let done = ["RolloutAborted", "RolloutPaused", "NewReplicaSetAvailable"];
    if progressing.get("reason").str().is_some_and(|reason| done.contains(&reason)) {
        return None;
    }
    let last = progressing.get("lastUpdateTime").str().and_then(parse_time)?;
    Some(last.after(intent.progress_deadline))
}
