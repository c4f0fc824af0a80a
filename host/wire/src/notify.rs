//! Notifications: which of a rollout's facts are for whom, and the outbox in which they wait.
//!
//! The outbox is an annotation on the rollout, so it survives the controller. What a status is
//! about to record is put into it first, with a mark of the status before: while that status is
//! still there, the record was not accepted and nothing is told. Each fact has a key that depends
//! on nothing but the fact, so deciding it again after a crash gives the same one. What was
//! delivered is taken out of the box with the next write.
//!
//! ```text
//!   subscriptions ┐
//!   events        ├─ settle ─► annotation ─► record ─► Desk::due ─► notifiers
//!   outbox        ┘    ▲                                   │
//!                      └──────────── confirmed ◄───────────┘
//! ```

mod desk;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sluice_core::Timestamp;
use sluice_port::Notice;

pub use desk::{Complaint, Desk, Ended, Said, Try};

use crate::field::Field;
use crate::keys;
use crate::objects::Meta;
use crate::rollout::effects::Target;
use crate::rollout::{Event, Severity, Verb, Write};

/// For how long a fact is tried to be told.
pub const GIVEN_UP_AFTER: Duration = Duration::from_secs(24 * 3600);
/// The most facts that wait for one rollout. Beyond that the oldest are let go.
pub const MOST_WAITING: usize = 64;
/// The most bytes of all of them.
pub const MOST_BYTES: usize = 64 << 10;
/// The most characters of a message that is told, as in an Event.
const MOST_MESSAGE: usize = 1024;

/// Who wants to hear of what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subscription {
    /// Such as `on-rollout-aborted`.
    pub trigger: String,
    /// The notifier's name.
    pub service: String,
    /// Channels, addresses or names, as they are written.
    pub recipients: Vec<String>,
}

/// The subscriptions of a rollout, sorted:
/// `notifications.argoproj.io/subscribe.TRIGGER.NOTIFIER: recipient;recipient`.
pub fn subscriptions(rollout: &Value) -> Vec<Subscription> {
    let annotations = Meta::read(rollout).annotations;
    let found = annotations.iter().filter_map(|(key, recipients)| {
        let (trigger, service) =
            key.strip_prefix(keys::NOTIFICATION_SUBSCRIBE_PREFIX)?.split_once('.')?;
        let recipients = recipients.split(';').map(str::trim).filter(|one| !one.is_empty());
        Some(Subscription {
            trigger: trigger.to_owned(),
            service: service.to_owned(),
            recipients: recipients.map(str::to_owned).collect(),
        })
    });
    let mut found: Vec<_> = found.collect();
    found.sort();
    found
}

/// Argo's name for the events of a reason: `RolloutAborted` is `on-rollout-aborted`.
pub fn trigger(reason: &str) -> String {
    let letters: Vec<char> = reason.chars().collect();
    let mut name = "on-".to_owned();
    for (index, letter) in letters.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|index| letters.get(index));
        let after = letters.get(index + 1);
        let begins = letter.is_ascii_uppercase()
            && before.is_some_and(|before| {
                before.is_ascii_lowercase()
                    || before.is_ascii_digit()
                    || (before.is_ascii_uppercase() && after.is_some_and(char::is_ascii_lowercase))
            });
        if begins {
            name.push('-');
        }
        name.push(if letter.is_whitespace() { '-' } else { letter.to_ascii_lowercase() });
    }
    name
}

/// A fact that waits to be told by one notifier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Of the fact alone, and the same for every try.
    pub key: String,
    /// The notifier.
    pub service: String,
    /// The reason of the Event.
    pub reason: String,
    /// Whether the Event is a warning.
    #[serde(default)]
    pub warning: bool,
    /// The message of the Event.
    pub message: String,
    /// The revision that it is about.
    #[serde(default)]
    pub revision: String,
    /// When it became true, in milliseconds since the Unix epoch.
    pub time: u64,
    /// The mark of the status that it was decided on; empty if no status had to be recorded.
    #[serde(default)]
    pub was: String,
}

/// A fact and who tells it.
pub type Id = (String, String);

impl Entry {
    /// Which one it is.
    pub fn id(&self) -> Id {
        (self.key.clone(), self.service.clone())
    }

    /// What a notifier is told, about a rollout as it is now. `None` if nobody wants to hear it any
    /// more.
    pub fn notice(&self, rollout: &Value) -> Option<Notice> {
        let trigger = trigger(&self.reason);
        let subscriptions = subscriptions(rollout);
        let wanted = |one: &&Subscription| one.trigger == trigger && one.service == self.service;
        let recipients = subscriptions.iter().find(wanted)?.recipients.clone();
        let meta = Meta::read(rollout);
        let root = Field::root(rollout);
        let containers = root.at("spec.template.spec.containers").items();
        let images: BTreeSet<_> = containers
            .iter()
            .filter_map(|container| container.get("image").str().map(str::to_owned))
            .collect();
        Some(Notice {
            key: self.key.clone(),
            reason: self.reason.clone(),
            warning: self.warning,
            message: self.message.clone(),
            time_ms: self.time,
            namespace: meta.namespace,
            rollout: meta.name,
            rollout_uid: meta.uid,
            revision: self.revision.clone(),
            phase: root.at("status.phase").str().unwrap_or_default().to_owned(),
            images: images.into_iter().collect(),
            recipients,
        })
    }
}

/// What a turn puts into the outbox.
#[derive(Clone, Copy, Debug)]
pub struct New<'a> {
    /// What is announced once the turn's record is accepted.
    pub events: &'a [Event],
    /// Whether there is a record. Without one the events are true already.
    pub recorded: bool,
    /// The revision that the turn gives the rollout, if it does.
    pub number: Option<u32>,
}

/// What becomes of the outbox in one turn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settled {
    /// The annotation as it should be, before anything is recorded. `None`: it is so already.
    pub write: Option<Write>,
    /// What waits once the turn's record was accepted, oldest first.
    pub waiting: Vec<Entry>,
    /// What nobody will hear of: tried for too long, or too many.
    pub given_up: Vec<Entry>,
    /// What was said beside a record and is in the box now, or is of no interest.
    said: usize,
    /// What was confirmed and is not in the box any more.
    confirmed: BTreeSet<Id>,
    /// The keys of trouble that is in the box now.
    troubles: Vec<String>,
}

/// What the outbox should be, with what a turn is about to record and what was said beside.
pub fn settle(rollout: &Value, desk: &Desk, new: New<'_>, now: Timestamp) -> Settled {
    let mut settled = Settled { said: desk.said.len(), ..Settled::default() };
    let text = Meta::read(rollout).annotations.remove(keys::OUTBOX);
    let subscribed = subscriptions(rollout);
    if text.is_none() && subscribed.is_empty() {
        return settled;
    }
    let mark = digest(Field::root(rollout).get("status").value().unwrap_or(&Value::Null));
    let wanted = |entry: &Entry| {
        let trigger = trigger(&entry.reason);
        subscribed.iter().any(|one| one.trigger == trigger && one.service == entry.service)
    };
    let mut waiting = Vec::new();
    for entry in read(text.as_deref()) {
        if desk.confirmed.contains(&entry.id()) {
            settled.confirmed.insert(entry.id());
        } else if !wanted(&entry) {
            // Nobody cares any more.
        } else if entry.was == mark && !desk.recorded.contains(&entry.id()) {
            // Not recorded, so it is decided anew below if it still holds.
        } else if now.since(Timestamp(entry.time)) >= GIVEN_UP_AFTER {
            settled.given_up.push(entry);
        } else {
            waiting.push(entry);
        }
    }
    let maker = Maker { meta: Meta::read(rollout), number: new.number, mark, subscribed };
    let said = desk.said.iter().map(|said| (&said.event, said.at, false));
    for (event, at, recorded) in
        said.chain(new.events.iter().map(|event| (event, now, new.recorded)))
    {
        let made = maker.entries(event, at, recorded);
        if !recorded && event.severity == Severity::Warning {
            if made.first().is_some_and(|entry| desk.troubles.contains(&entry.key)) {
                continue;
            }
            settled.troubles.extend(made.first().map(|entry| entry.key.clone()));
        }
        for entry in made {
            if !waiting.iter().any(|other: &Entry| other.id() == entry.id()) {
                waiting.push(entry);
            }
        }
    }
    while waiting.len() > MOST_WAITING || written(&waiting).len() > MOST_BYTES {
        settled.given_up.push(waiting.remove(0));
    }
    let wanted = (!waiting.is_empty()).then(|| written(&waiting));
    if wanted != text {
        settled.write = Some(annotate(maker.meta, wanted));
    }
    settled.waiting = waiting;
    settled
}

struct Maker {
    meta: Meta,
    number: Option<u32>,
    mark: String,
    subscribed: Vec<Subscription>,
}

impl Maker {
    /// An event for everybody who wants to hear of it, each notifier once.
    fn entries(&self, event: &Event, at: Timestamp, recorded: bool) -> Vec<Entry> {
        let trigger = trigger(event.reason);
        let services: BTreeSet<_> =
            self.subscribed.iter().filter(|one| one.trigger == trigger).collect();
        let revision = self.number.map(|number| number.to_string());
        let revision = revision.or_else(|| self.meta.annotations.get(keys::REVISION).cloned());
        let revision = revision.unwrap_or_default();
        // What tells a transition from the same one at another time: the status that it left. What
        // was done is told by when, and trouble that lasts by its words alone.
        let which = match (recorded, event.severity) {
            (true, _) => self.mark.clone(),
            (false, Severity::Normal) => at.0.to_string(),
            (false, Severity::Warning) => String::new(),
        };
        let which = digest(&json!([event.message, which]));
        let message: String = event.message.chars().take(MOST_MESSAGE).collect();
        let entry = |one: &&Subscription| Entry {
            key: format!("{}/{revision}/{trigger}/{which}", self.meta.uid),
            service: one.service.clone(),
            reason: event.reason.to_owned(),
            warning: event.severity == Severity::Warning,
            message: message.clone(),
            revision: revision.clone(),
            time: at.0,
            was: if recorded { self.mark.clone() } else { String::new() },
        };
        services.iter().map(entry).collect()
    }
}

/// What waits, as the annotation has it. What cannot be read was not written by a controller.
fn read(text: Option<&str>) -> Vec<Entry> {
    let text = text.filter(|text| text.len() <= 2 * MOST_BYTES);
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

fn written(waiting: &[Entry]) -> String {
    // Texts and numbers always have a form in JSON.
    serde_json::to_string(waiting).unwrap_or_default()
}

fn annotate(meta: Meta, text: Option<String>) -> Write {
    let body = json!({"metadata": {
        "resourceVersion": meta.version,
        "annotations": {keys::OUTBOX: text},
    }});
    let target = Target {
        api_version: "argoproj.io/v1alpha1",
        kind: "Rollout",
        namespace: meta.namespace,
        name: meta.name,
        subresource: None,
    };
    Write { verb: Verb::Merge, body, target, event: None }
}

/// A short text that is the same for equal values, in whatever order their members are, on every
/// machine and in every version: FNV-1a of 64 bits.
fn digest(value: &Value) -> String {
    let mut sum = 0xcbf2_9ce4_8422_2325_u64;
    feed(&mut sum, value);
    format!("{sum:016x}")
}

fn feed(sum: &mut u64, value: &Value) {
    let mut add = |text: &str| {
        for byte in text.bytes() {
            *sum = (*sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            add(&value.to_string());
        }
        Value::Array(items) => {
            add("[");
            for item in items {
                feed(sum, item);
                *sum = sum.wrapping_mul(0x0100_0000_01b3);
            }
        }
        Value::Object(members) => {
            add("{");
            let mut names: Vec<_> = members.keys().collect();
            names.sort();
            for name in names {
                feed(sum, &Value::from(name.as_str()));
                feed(sum, &members[name]);
                *sum = sum.wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
}

#[cfg(test)]
mod tests;
