//! Why a rollout stands where it stands, found out again from its objects.
//!
//! Nothing is asked of the controller. Its decision is a function of what is observed, so whoever
//! sees the same objects comes to the same reason. What no object holds is what the routers last
//! said; of that the status has the split that they confirmed, and the trouble that they named.

use serde_json::Value;
use sluice_core::phase::{Phase, Recorded};
use sluice_core::traffic::{Certainty, Split, Traffic, Trouble};
use sluice_core::{Timestamp, Waiting, Wake};

use crate::clock::parse_time;
use crate::field::{Field, Refusal};
use crate::keys;
use crate::objects::{Meta, Objects};
use crate::rollout::effects::{Effect, Verb};
use crate::rollout::events::step_words;
use crate::rollout::observe::{Seen, observe};
use crate::rollout::routers::noted;
use crate::rollout::turn::{Turn, turn};
use crate::store::Store;

/// What is known of a rollout that does not move, or does.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Where it stands, as a fragment: `step 2 of 4 (pause)`; empty when that is not known.
    pub place: String,
    /// Why it stands there.
    pub why: Why,
    /// Since when that is so; `None` if no object tells.
    pub since: Option<Timestamp>,
    /// When the controller looks again though nothing may have changed.
    pub wake: Option<Wake>,
    /// What is about to be done, as fragments: `create ReplicaSet web-5d4f`.
    pub next: Vec<String>,
    /// What cannot be done as things stand, in words.
    pub blocked: Vec<String>,
}

/// Why a rollout stands where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is where it is to be.
    Settled,
    /// The decision's own reason.
    Waits(Waiting),
    /// The specification is refused.
    Refused(Vec<Refusal>),
    /// No controller has looked at the present specification.
    Unseen,
    /// It is being deleted.
    Going,
}

/// Explain the rollout of this name; `None` if the store has none.
///
/// The store should hold what the controller would: the rollout's ReplicaSets and those of its
/// namespace that nobody controls, Services, AnalysisRuns and templates. A template that is
/// missing there reads as a specification that names one which does not exist.
pub fn explain(store: &Store, namespace: &str, name: &str, now: Timestamp) -> Option<Explanation> {
    let rollout = &*store.rollout(namespace, name)?;
    let meta = Meta::read(rollout);
    if meta.deleting {
        return Some(Explanation::of(Why::Going));
    }
    if !is_observed(rollout, &meta) {
        return Some(Explanation::of(Why::Unseen));
    }
    // Whoever asks wants this rollout explained, whichever controller looks after it.
    let instance = meta.labels.get(keys::INSTANCE_ID).map(String::as_str).unwrap_or_default();
    let mut objects = store.collect(namespace, name, instance, Traffic::unknown(now), now)?;
    let seen = match observe(&objects) {
        Ok(seen) => seen,
        Err(refusals) => {
            let since = condition_time(rollout, "InvalidSpec", "lastTransitionTime");
            return Some(Explanation { since, ..Explanation::of(Why::Refused(refusals)) });
        }
    };
    let turn = recorded_traffic(&mut objects, &seen);
    Some(of_turn(&objects, &seen, turn))
}

impl Explanation {
    fn of(why: Why) -> Self {
        Self {
            place: String::new(),
            why,
            since: None,
            wake: None,
            next: Vec::new(),
            blocked: Vec::new(),
        }
    }
}

/// Whether the status is about the present specification. A text that is no number is another
/// controller's and counts.
fn is_observed(rollout: &Value, meta: &Meta) -> bool {
    let status = Field::root(rollout).get("status");
    let observed = status.get("observedGeneration").str();
    match observed.map(str::parse::<i64>) {
        Some(Ok(observed)) => observed >= meta.generation,
        Some(Err(_)) => true,
        None => status.get("currentPodHash").is_set(),
    }
}

fn of_turn(objects: &Objects, seen: &Seen, turn: Turn) -> Explanation {
    let why = turn.waiting.map_or(Why::Settled, Why::Waits);
    let next = match why {
        // Of everything else it is said what is waited for, and this goes on meanwhile.
        Why::Waits(Waiting::Itself) => {
            turn.effects.iter().filter_map(|(_, effect)| about_to(effect)).collect()
        }
        Why::Settled | Why::Waits(_) | Why::Refused(_) | Why::Unseen | Why::Going => Vec::new(),
    };
    Explanation {
        place: turn.phase.as_ref().map(|phase| place(seen, phase)).unwrap_or_default(),
        since: match &why {
            Why::Waits(waiting) => since(objects, waiting),
            Why::Settled | Why::Refused(_) | Why::Unseen | Why::Going => None,
        },
        wake: turn.wake,
        next,
        blocked: turn.blocked.into_iter().map(|(_, why)| why).collect(),
        why,
    }
}

fn place(seen: &Seen, phase: &Phase) -> String {
    match phase {
        Phase::Settled => String::new(),
        Phase::Stepping { index, .. } => {
            let (number, total) = (index + 1, seen.intent.rollout.steps().len());
            format!("step {number} of {total} ({})", step_words(seen, *index))
        }
        Phase::Previewing { .. } => "the preview".to_owned(),
        Phase::Promoting { full: true, .. } => "the full promotion".to_owned(),
        Phase::Promoting { full: false, .. } => "the promotion".to_owned(),
        Phase::Aborted { why: None, .. } => "aborted".to_owned(),
        Phase::Aborted { why: Some(why), .. } => format!("aborted: {why}"),
    }
}

/// Put what the status says of the routers into `objects`, and take the turn that follows.
fn recorded_traffic(objects: &mut Objects, seen: &Seen) -> Turn {
    objects.rollout = noted(&objects.rollout).into();
    if let Some(recorded) = &seen.observed.memory.routed {
        let split = Split {
            stable: recorded.stable.clone(),
            canary: recorded.canary.clone(),
            share: recorded.share,
            routes: Vec::new(),
            pong: seen.observed.memory.pong,
            additional: recorded.additional.clone(),
        };
        confirm(objects, split, recorded);
    }
    if let Some(trouble) = recorded_trouble(&objects.rollout) {
        objects.traffic.trouble(trouble);
        return turn(objects);
    }
    let first = turn(objects);
    let Some(recorded) = &seen.observed.memory.routed else { return first };
    // Header and mirror routes are in no record. Had the routers not confirmed them, the step
    // that opens them were not complete; so what differs in them alone is taken for confirmed,
    // unless the rollout would then go on.
    let Some(asked) = first.effects.iter().find_map(|(_, effect)| match effect {
        Effect::Route { split, .. } => Some(split.clone()),
        Effect::Write(_)
        | Effect::Pods(_)
        | Effect::Experiment(_)
        | Effect::Call(_)
        | Effect::Look(_)
        | Effect::Note(_)
        | Effect::Release(_)
        | Effect::Evict { .. } => None,
    }) else {
        return first;
    };
    let same = asked.share == recorded.share
        && (&asked.stable, &asked.canary) == (&recorded.stable, &recorded.canary);
    if !same || asked.routes.is_empty() {
        return first;
    }
    confirm(objects, asked, recorded);
    let second = turn(objects);
    if second.phase == first.phase { second } else { first }
}

fn confirm(objects: &mut Objects, split: Split, recorded: &Recorded) {
    // A data plane that cannot tell has had its delay by the time that somebody asks.
    let certainty = match recorded.verified {
        Some(_) => Certainty::Converged,
        None => Certainty::Written,
    };
    objects.traffic = Traffic::unknown(Timestamp(0));
    objects.traffic.confirm(split, certainty, Timestamp(0));
}

/// What the routers said last, if that was not a confirmation: the status repeats it.
fn recorded_trouble(rollout: &Value) -> Option<Trouble> {
    let status = Field::root(rollout).get("status");
    let refused = status.get("conditions").items().iter().find_map(|condition| {
        let is_refusal = condition.get("type").str() == Some("InvalidSpec");
        let message = condition.get("message").str().filter(|_| is_refusal)?;
        Some(message.split_once("spec.strategy.canary.trafficRouting: ")?.1.to_owned())
    });
    if let Some(why) = refused {
        return Some(Trouble { why, refused: true, awaited: false });
    }
    let why = status.get("message").str()?.strip_prefix("waiting for the traffic router: ")?;
    Some(Trouble { why: why.to_owned(), refused: false, awaited: false })
}

/// Since when it waits for this, as far as the objects tell.
fn since(objects: &Objects, waiting: &Waiting) -> Option<Timestamp> {
    let rollout = &*objects.rollout;
    let status = Field::root(rollout).get("status");
    let paused = |reason: &str| {
        let pauses = status.get("pauseConditions").items();
        let pause = pauses.into_iter().find(|pause| pause.get("reason").str() == Some(reason))?;
        pause.get("startTime").str().and_then(parse_time)
    };
    match waiting {
        Waiting::User => condition_time(rollout, "Paused", "lastTransitionTime"),
        Waiting::PauseUntil(_) | Waiting::Promotion => paused(crate::rollout::recall::PAUSE_STEP),
        Waiting::Preview(_) => paused(crate::rollout::recall::PAUSE_PREVIEW),
        Waiting::Decision => paused(crate::rollout::recall::PAUSE_INCONCLUSIVE),
        Waiting::Restart { .. } => {
            Field::root(rollout).at("spec.restartAt").str().and_then(parse_time)
        }
        Waiting::Retry => status.get("abortedAt").str().and_then(parse_time),
        Waiting::Analysis(name) => {
            let run = objects.runs.iter().find(|run| Meta::read(run).name == *name)?;
            let started = Field::root(run).at("status.startedAt").str().and_then(parse_time);
            Some(started.unwrap_or(Meta::read(run).created))
        }
        Waiting::Plugin { step, name, .. } => {
            let calls = status.at("canary.stepPluginStatuses").items();
            let call = calls.iter().rev().find(|call| {
                call.get("index").u32().map(|index| index as usize) == Some(*step)
                    && call.get("name").str() == Some(name)
            })?;
            call.get("startedAt").str().and_then(parse_time)
        }
        Waiting::Experiment(name) | Waiting::ExperimentTraffic(name) => {
            let found = objects.experiments.iter().find(|one| Meta::read(one).name == *name)?;
            Some(Meta::read(found).created)
        }
        // Nothing notes when these began. What is known is when something moved last.
        Waiting::RouterTrouble(_)
        | Waiting::Router(_)
        | Waiting::Capacity { .. }
        | Waiting::Service { .. }
        | Waiting::TrafficOn { .. }
        | Waiting::Selected { .. }
        | Waiting::RoutesOn { .. }
        | Waiting::Leaving
        | Waiting::Former { .. }
        | Waiting::ScaledBelow { .. }
        | Waiting::Pods { .. }
        | Waiting::Disruption { .. }
        | Waiting::OldPods(_) => condition_time(rollout, "Progressing", "lastUpdateTime"),
        Waiting::Draining { .. } | Waiting::ScaleDown { .. } | Waiting::Itself => None,
    }
}

fn condition_time(rollout: &Value, kind: &str, time: &str) -> Option<Timestamp> {
    let conditions = Field::root(rollout).at("status.conditions").items();
    let found = conditions.iter().find(|condition| condition.get("type").str() == Some(kind))?;
    found.get(time).str().and_then(parse_time)
}

fn about_to(effect: &Effect) -> Option<String> {
    match effect {
        Effect::Write(write) => {
            let verb = match write.verb {
                Verb::Create => "create",
                Verb::Merge | Verb::Patch => "change",
                Verb::Delete => "delete",
            };
            Some(format!("{verb} {} {}", write.target.kind, write.target.name))
        }
        Effect::Experiment(new) => Some(format!("create Experiment {}", new.write.target.name)),
        Effect::Look(_) => Some("list its pods".to_owned()),
        Effect::Evict { pod, .. } => Some(format!("evict pod {pod}")),
        Effect::Call(request) => Some(format!("ask step plugin {}", request.component)),
        Effect::Pods(pods) => Some(format!("change the metadata of the pods of {}", pods.hash)),
        Effect::Note(write) => Some(format!("note its routers on Rollout {}", write.target.name)),
        Effect::Release(release) => {
            Some(format!("let router {} take its routes back", release.router))
        }
        Effect::Route { routes, split } => {
            let names: Vec<_> = routes.iter().map(|route| route.router.as_str()).collect();
            (!names.is_empty())
                .then(|| format!("ask {} for {} canary", names.join(" and "), split.share))
        }
    }
}
