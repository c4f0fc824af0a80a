//! Notifications: the outbox is written before a turn's record, and emptied beside the turns.
//!
//! A call of a notifier is no part of a turn: one may take half a minute, and no release waits for
//! a chat. Of one rollout each notifier is called by one task at a time, and of all rollouts by a
//! few, so that one which hangs keeps nobody but itself waiting. What was delivered is noted in
//! memory, and taken out of the outbox by the next turn.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use k8s_openapi::api::core::v1::ObjectReference;
use serde_json::Value;
use sluice_core::{Order, Wake};
use sluice_engine::{Key, ObjectId, Version};
use sluice_port::Fault;
use sluice_wire::Objects;
use sluice_wire::notify::{
    Complaint, Ended, Entry, Id, New, Settled, settle, subscriptions, trigger,
};
use sluice_wire::rollout::{Event, Turn};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::error::ApiError;
use crate::events::reference;
use crate::health::Told;
use crate::shared::{Shared, lock, now};

/// How many calls of one notifier there may be at a time, as many as its component has places for
/// unless somebody gives it fewer.
const PLACES: usize = 4;

/// Places for calls of notifiers, by name.
#[derive(Debug, Default)]
pub(crate) struct Places(Mutex<BTreeMap<String, Arc<Semaphore>>>);

impl Places {
    fn of(&self, notifier: &str) -> Arc<Semaphore> {
        let mut all = lock(&self.0);
        // Names are what users write, so those that nobody waits for are not kept.
        all.retain(|_, places| Arc::strong_count(places) > 1);
        let places = all.entry(notifier.to_owned());
        places.or_insert_with(|| Arc::new(Semaphore::new(PLACES))).clone()
    }
}

/// Put into the outbox what the turn is about to make true, and take out what was delivered. The
/// record is then for the version of the rollout that has the new outbox.
///
/// # Errors
/// Those of a write; nothing may be recorded then.
pub(crate) async fn before_record(
    shared: &Shared,
    key: &Key,
    objects: &Objects,
    plan: &mut Turn,
    wrote: &mut Vec<(ObjectId, Version)>,
) -> Result<Settled, ApiError> {
    let number = plan.effects.iter().find_map(|(order, _)| {
        if let Order::NumberRollout { number } = order { Some(*number) } else { None }
    });
    let new = New { events: &plan.events, recorded: plan.record.is_some(), number };
    let settled =
        shared.remember(key, |memory| settle(&objects.rollout, &memory.desk, new, objects.now));
    if let Some(write) = &settled.write {
        let before = wrote.len();
        shared.write(write, wrote).await?;
        if let (Some(record), Some((_, version))) = (&mut plan.record, wrote.get(before)) {
            record.body["metadata"]["resourceVersion"] = version.0.to_string().into();
        }
    }
    Ok(settled)
}

/// The record was accepted: tell what is due, each notifier in a task of its own. When to look
/// again.
pub(crate) fn after_record(
    shared: &Arc<Shared>,
    key: &Key,
    objects: &Objects,
    settled: &Settled,
) -> Option<Wake> {
    let about = reference(&objects.rollout);
    if let Some(event) = given_up(&settled.given_up) {
        shared.recorder.announce(&about, event);
    }
    let triggers = subscriptions(&objects.rollout).into_iter().map(|one| one.trigger).collect();
    let (due, wake) = shared.remember(key, |memory| {
        memory.desk.settled(settled, triggers);
        let due = memory.desk.due(&settled.waiting, objects.now);
        (due, memory.desk.wake(&settled.waiting))
    });
    for (notifier, entries) in due {
        let call = Call {
            shared: shared.clone(),
            key: key.clone(),
            about: about.clone(),
            rollout: objects.rollout.clone(),
            notifier,
        };
        tokio::spawn(call.make(entries));
    }
    wake
}

/// Something was announced about a rollout beside a record; if somebody wants to hear of it, the
/// next turn puts it into the outbox.
pub(crate) fn announce(shared: &Shared, key: &Key, about: &ObjectReference, event: Event) {
    let cares = shared.remember(key, |memory| memory.desk.say(&event, now()));
    shared.recorder.announce(about, event);
    if cares {
        // Nobody listens once the controller stops.
        let _ = shared.nudge.send(key.clone());
    }
}

/// One event for all that nobody will hear of.
fn given_up(entries: &[Entry]) -> Option<Event> {
    let first = entries.first()?;
    let what = format!("{} for {}", trigger(&first.reason), first.service);
    let more = match entries.len() - 1 {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let message = format!("Notification {what}{more} could not be delivered and is given up");
    Some(Event::warning("NotificationGivenUp", message))
}

/// Calls of one notifier about one rollout.
struct Call {
    shared: Arc<Shared>,
    key: Key,
    about: ObjectReference,
    rollout: Arc<Value>,
    notifier: String,
}

impl Call {
    async fn make(self, entries: Vec<Entry>) {
        let this = Arc::new(self);
        // Its own task, so that a panic ends as a fault like any other.
        let ids: Vec<_> = entries.iter().map(Entry::id).collect();
        let told = tokio::spawn(this.clone().tell(entries)).await;
        let outcomes = told.unwrap_or_else(|_| {
            let fault = Fault::Malformed("the call ended unexpectedly".to_owned());
            ids.into_iter().map(|id| (id, Ended::of(Err(fault.clone())))).collect()
        });
        let complaint = this.shared.remember(&this.key, |memory: &mut crate::shared::Memory| {
            memory.desk.ended(&this.notifier, outcomes, now())
        });
        if let Some(Complaint { service, why }) = complaint {
            let message = format!("Notifications for {service} are not delivered: {why}");
            let event = Event::warning("NotificationFailed", message);
            this.shared.recorder.announce(&this.about, event);
        }
        // Nobody listens once the controller stops.
        let _ = this.shared.nudge.send(this.key.clone());
    }

    async fn tell(self: Arc<Self>, entries: Vec<Entry>) -> Vec<(Id, Ended)> {
        let places = self.shared.telling.of(&self.notifier);
        // Closed never; were it, telling without a limit is better than not telling.
        let _place = places.acquire().await.ok();
        let mut outcomes = Vec::new();
        for entry in entries {
            // Whoever leads then tells it.
            if !self.shared.writer.term.holds() {
                break;
            }
            outcomes.push((entry.id(), self.tell_one(&entry).await));
        }
        outcomes
    }

    async fn tell_one(&self, entry: &Entry) -> Ended {
        let Some(notice) = entry.notice(&self.rollout) else { return Ended::Delivered };
        let began = Instant::now();
        let answer = self.shared.components.deliver(&self.notifier, &notice).await;
        let ended = Ended::of(answer);
        let told = Told {
            rollout: (self.key.namespace.clone(), self.key.name.clone()),
            notifier: self.notifier.clone(),
            severity: if entry.warning { "Warning" } else { "Normal" },
            reason: entry.reason.clone(),
        };
        self.shared.health.told(told, began.elapsed(), ended == Ended::Delivered);
        let (key, notifier, reason) = (&self.key, &self.notifier, &entry.reason);
        match &ended {
            Ended::Delivered => tracing::info!(%key, notifier, reason, "notified"),
            Ended::Again { why, .. } => tracing::warn!(%key, notifier, reason, why, "not notified"),
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_shared_by_name_and_forgotten_after_use() {
        let places = Places::default();
        let (one, same) = (places.of("chat"), places.of("chat"));
        assert!(Arc::ptr_eq(&one, &same));
        drop((one, same));
        let _other = places.of("mail");
        assert_eq!(lock(&places.0).keys().collect::<Vec<_>>(), ["mail"]);
    }

    #[test]
    fn what_is_given_up_is_one_event() {
        let entry = |reason: &str| Entry {
            key: "k".to_owned(),
            service: "chat".to_owned(),
            reason: reason.to_owned(),
            warning: false,
            message: String::new(),
            revision: String::new(),
            time: 0,
            was: String::new(),
        };
        assert_eq!(given_up(&[]), None);
        let one = given_up(&[entry("RolloutAborted")]).map(|event| event.message);
        let text =
            "Notification on-rollout-aborted for chat could not be delivered and is given up";
        assert_eq!(one.as_deref(), Some(text));
        let both = given_up(&[entry("RolloutAborted"), entry("RolloutPaused")]);
        assert!(both.is_some_and(|event| event.message.contains(", and 1 more")));
    }
}
