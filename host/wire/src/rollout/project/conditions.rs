//! The conditions of a rollout: order is recency, and an unchanged condition is left alone.

use serde_json::{Map, Value, json};
use sluice_core::phase::{Hold, Phase};
use sluice_core::{Decision, Timestamp};

use super::{Seen, blue_green};
use crate::clock::format_time;
use crate::field::Field;
use crate::objects::Objects;
use crate::rollout::observe::deadline;

/// A change of a condition that is worth an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The specification is refused; the whole message.
    Refused(String),
    /// The rollout is given up; the whole message.
    Aborted(String),
    /// It is paused; the reason.
    Paused(String),
    /// It goes on.
    Resumed,
    /// The progress deadline passed; the whole message.
    Overdue(String),
}

pub(crate) struct Conditions {
    list: Vec<Map<String, Value>>,
    now: String,
    changes: Vec<Change>,
}

const TRUE: &str = "True";
const FALSE: &str = "False";
const UNKNOWN: &str = "Unknown";

impl Conditions {
    pub(crate) fn of(status: &Field<'_>, now: Timestamp) -> Self {
        let list = status.get("conditions").items();
        let list = list.iter().filter_map(|item| item.value()?.as_object().cloned()).collect();
        Self { list, now: format_time(now), changes: Vec::new() }
    }

    pub(crate) fn finish(self) -> (Value, Vec<Change>) {
        (self.list.into_iter().map(Value::Object).collect(), self.changes)
    }

    fn find(&self, kind: &str) -> Option<&Map<String, Value>> {
        self.list
            .iter()
            .find(|condition| condition.get("type").and_then(Value::as_str) == Some(kind))
    }

    fn part(&self, kind: &str, part: &str) -> &str {
        self.find(kind)
            .and_then(|found| found.get(part))
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    pub(crate) fn remove(&mut self, kind: &str) {
        self.list.retain(|condition| condition.get("type").and_then(Value::as_str) != Some(kind));
    }

    /// Nothing happens when status and reason are what they were; true if something did.
    pub(crate) fn set(&mut self, kind: &str, status: &str, reason: &str, message: &str) -> bool {
        if self.part(kind, "status") == status && self.part(kind, "reason") == reason {
            return false;
        }
        let kept = self.part(kind, "status") == status;
        let transition =
            if kept { self.part(kind, "lastTransitionTime").to_owned() } else { self.now.clone() };
        self.remove(kind);
        let condition = json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastUpdateTime": self.now, "lastTransitionTime": transition,
        });
        self.list.extend(condition.as_object().cloned());
        true
    }

    /// Like `set`, but the time of the update moves although nothing else does.
    fn renew(&mut self, kind: &str, status: &str, reason: &str, message: &str) {
        if self.set(kind, status, reason, message) {
            return;
        }
        let now = Value::from(self.now.clone());
        let same =
            |c: &&mut Map<String, Value>| c.get("type").and_then(Value::as_str) == Some(kind);
        if let Some(condition) = self.list.iter_mut().find(same) {
            condition.insert("lastUpdateTime".into(), now);
            condition.insert("message".into(), message.into());
        }
    }

    pub(crate) fn refuse(&mut self, message: &str) {
        if self.part("InvalidSpec", "message") != message {
            self.remove("InvalidSpec");
            self.set("InvalidSpec", TRUE, "InvalidSpec", message);
            self.changes.push(Change::Refused(message.to_owned()));
        }
    }

    /// The specification is good.
    pub(crate) fn accept(&mut self) {
        self.remove("InvalidSpec");
    }

    pub(super) fn update(
        &mut self,
        name: &str,
        objects: &Objects,
        seen: &Seen,
        decision: &Decision,
        status: &Map<String, Value>,
    ) {
        let facts = Standing::of(objects, seen, decision, status);
        self.paused(objects, decision);
        self.progressing(name, objects, seen, decision, &facts);
        if facts.healthy {
            self.set("Healthy", TRUE, "RolloutHealthy", "Rollout is healthy");
        } else if self.find("Healthy").is_some() {
            self.set("Healthy", FALSE, "RolloutHealthy", "Rollout is not healthy");
        }
        let complete = if facts.complete { TRUE } else { FALSE };
        self.set("Completed", complete, "RolloutCompleted", "RolloutCompleted");
        if facts.available {
            let message = "Rollout has minimum availability";
            self.set("Available", TRUE, "AvailableReason", message);
        } else {
            let message = "Rollout does not have minimum availability";
            self.set("Available", FALSE, "AvailableReason", message);
        }
        match facts.failure {
            Some((reason, message)) => {
                self.set("ReplicaFailure", TRUE, &reason, &message);
            }
            None => self.remove("ReplicaFailure"),
        }
    }

    fn paused(&mut self, objects: &Objects, decision: &Decision) {
        let by_user = Field::root(&objects.rollout).at("spec.paused").bool();
        let reason = match decision.memory.phase.hold() {
            Hold::Paused(pauses) => pauses.first().map(|pause| super::reason(pause.reason)),
            Hold::None | Hold::Resumed => None,
        };
        let aborted = matches!(decision.memory.phase, Phase::Aborted { .. });
        if !aborted && (by_user || reason.is_some()) {
            if self.set("Paused", TRUE, "RolloutPaused", "Rollout is paused") {
                let why = reason.unwrap_or("spec.paused").to_owned();
                self.changes.push(Change::Paused(why));
            }
            self.set("Progressing", UNKNOWN, "RolloutPaused", "Rollout is paused");
            return;
        }
        let was = self.part("Paused", "status") == TRUE;
        // Present from the start, so that a client can wait for it to be false.
        self.set("Paused", FALSE, "RolloutPaused", "Rollout is not paused");
        if was && !aborted {
            self.changes.push(Change::Resumed);
            self.set("Progressing", UNKNOWN, "RolloutResumed", "Rollout is resumed");
        }
    }

    fn progressing(
        &mut self,
        name: &str,
        objects: &Objects,
        seen: &Seen,
        decision: &Decision,
        facts: &Standing,
    ) {
        let set = format!("{name}-{}", seen.observed.wanted);
        if let Phase::Aborted { why, .. } = &decision.memory.phase {
            let number = facts.number;
            let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            let message = format!("Rollout aborted update to revision {number}{why}");
            if self.set("Progressing", FALSE, "RolloutAborted", &message) {
                self.changes.push(Change::Aborted(message));
            }
            return;
        }
        if self.part("Progressing", "reason") == "RolloutAborted" && !facts.progressed {
            self.set("Progressing", UNKNOWN, "RolloutRetry", "Retrying rollout after abort");
            return;
        }
        if self.part("Progressing", "reason") == "RolloutPaused"
            && self.part("Paused", "status") == TRUE
        {
            return;
        }
        if facts.complete && facts.available {
            let message = format!("ReplicaSet \"{set}\" has successfully progressed.");
            self.set("Progressing", TRUE, "NewReplicaSetAvailable", &message);
        } else if facts.progressed || self.find("Progressing").is_none() {
            let message = format!("ReplicaSet \"{set}\" is progressing.");
            self.renew("Progressing", TRUE, "ReplicaSetUpdated", &message);
        } else if facts.complete && self.part("Progressing", "reason") == "NewReplicaSetAvailable" {
            let message = format!("ReplicaSet \"{set}\" is not available");
            self.set("Progressing", TRUE, "ReplicaSetNotAvailable", &message);
        } else {
            let late = deadline(&objects.rollout, &seen.intent, &seen.observed.revisions);
            let message = format!("ReplicaSet \"{set}\" has timed out progressing.");
            if late.is_some_and(|late| late < objects.now)
                && self.set("Progressing", FALSE, "ProgressDeadlineExceeded", &message)
            {
                self.changes.push(Change::Overdue(message));
            }
        }
    }
}

/// What the conditions are computed from.
struct Standing {
    number: u32,
    complete: bool,
    available: bool,
    healthy: bool,
    progressed: bool,
    failure: Option<(String, String)>,
}

impl Standing {
    fn of(
        objects: &Objects,
        seen: &Seen,
        decision: &Decision,
        status: &Map<String, Value>,
    ) -> Self {
        let old = Field::root(&objects.rollout).get("status");
        let count = |name: &str| status.get(name).and_then(Value::as_u64).unwrap_or(0);
        let before = |name: &str| old.get(name).value().and_then(Value::as_u64).unwrap_or(0);
        let fleet = u64::from(seen.intent.rollout.replicas.0);
        let complete = decision.memory.stable.as_ref() == Some(&seen.observed.wanted);
        let available = count("availableReplicas") >= fleet
            && blue_green::is_available(objects, seen).unwrap_or(true);
        let generation = Field::root(&objects.rollout).at("metadata.generation").i64();
        let observed = old.get("observedGeneration").str().and_then(|text| text.parse().ok());
        let full = |name: &str| count(name) == fleet;
        let there = blue_green::is_there(seen, decision).unwrap_or_else(|| {
            complete && full("replicas") && matches!(decision.memory.phase, Phase::Settled)
        });
        let old_pods = |updated: u64, all: u64| all.saturating_sub(updated);
        let moved = |name: &str| status.get(name) != old.get(name).value();
        let progressed = moved("updatedReplicas")
            || old_pods(count("updatedReplicas"), count("replicas"))
                < old_pods(before("updatedReplicas"), before("replicas"))
            || count("readyReplicas") > before("readyReplicas")
            || count("availableReplicas") > before("availableReplicas")
            || moved("stableRS")
            || moved("currentStepIndex")
            || moved("currentStepHash")
            || blue_green::turned(&old, status);
        let sets = &objects.replica_sets;
        let new = sets.iter().filter(|set| set.hash() == seen.observed.wanted.0);
        let failure = new.chain(sets.iter()).find_map(|set| set.failure.clone());
        let number = seen.observed.new_revision().map_or(0, |new| new.number);
        Self {
            number: number.max(seen.observed.number),
            complete,
            available,
            healthy: there
                && full("updatedReplicas")
                && full("availableReplicas")
                && observed == generation,
            progressed,
            failure,
        }
    }
}
