//! What a process knows of one rollout's notifications beyond the outbox: what is under way, when
//! to try again, and what was delivered and is not taken out of the box yet.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use sluice_core::{Timestamp, Wake};
use sluice_port::{Delivery, Fault};

use super::{Entry, Id, Settled, trigger};
use crate::rollout::Event;

/// The first pause between two tries. Each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest, unless the other side asks for a longer one.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// The longest that anybody can ask for.
const LONGEST_WISH: Duration = Duration::from_secs(3600);
/// How much trouble is remembered that was told.
const MOST_TROUBLES: usize = 64;
/// How much may wait to be put into the outbox.
const MOST_SAID: usize = 256;

/// Something that was announced beside a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The event.
    pub event: Event,
    /// When.
    pub at: Timestamp,
}

/// Tries that did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Try {
    /// How many.
    pub count: u32,
    /// When the next one is due.
    pub next: Timestamp,
}

/// What became of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The other side has it, or nobody wants it any more.
    Delivered,
    /// To be tried again: why, and after how many milliseconds if that was said.
    Again {
        /// For people.
        why: String,
        /// The wish of the other side.
        after_ms: Option<u64>,
        /// Whether it is of the kind that passes by itself.
        passing: bool,
    },
}

/// A notifier does not do its work: something that people are told once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The notifier.
    pub service: String,
    /// For people.
    pub why: String,
}

/// What is known of one rollout's notifications.
#[derive(Clone, Debug, Default)]
pub struct Desk {
    /// What was announced and is not in the outbox yet.
    pub(super) said: Vec<Said>,
    /// What was delivered and is still in the outbox.
    pub(super) confirmed: BTreeSet<Id>,
    /// What waits and is known to be recorded.
    pub(super) recorded: BTreeSet<Id>,
    /// The keys of lasting trouble that was told.
    pub(super) troubles: VecDeque<String>,
    /// The triggers that somebody subscribed to, as of the last turn.
    wanted: BTreeSet<String>,
    tries: BTreeMap<Id, Try>,
    /// The notifiers that are called just now.
    busy: BTreeSet<String>,
    /// What people were told of each notifier.
    complaints: BTreeMap<String, String>,
}

impl Ended {
    /// What a notifier's answer means.
    pub fn of(answer: Result<Delivery, Fault>) -> Self {
        let (why, after_ms, passing) = match answer {
            Ok(Delivery::Delivered(_)) => return Self::Delivered,
            Ok(Delivery::RetryAfter(after)) => {
                ("it asked for another try".to_owned(), Some(u64::from(after)), true)
            }
            Err(Fault::Transient { message, after_ms }) => (message, after_ms.map(u64::from), true),
            Err(Fault::Suspended { for_ms }) => {
                (Fault::Suspended { for_ms }.to_string(), Some(for_ms), true)
            }
            Err(fault) => (fault.to_string(), None, false),
        };
        Self::Again { why, after_ms, passing }
    }
}

impl Desk {
    /// Note that something was announced beside a record. Tells whether anybody cares, so that a
    /// turn should come.
    pub fn say(&mut self, event: &Event, at: Timestamp) -> bool {
        let cares = self.wanted.contains(&trigger(event.reason)) && self.said.len() < MOST_SAID;
        if cares {
            self.said.push(Said { event: event.clone(), at });
        }
        cares
    }

    /// The outbox is as it was settled, and the turn's record was accepted.
    pub fn settled(&mut self, settled: &Settled, wanted: BTreeSet<String>) {
        self.wanted = wanted;
        self.said.drain(..settled.said.min(self.said.len()));
        self.confirmed.retain(|id| !settled.confirmed.contains(id));
        let waits: BTreeSet<Id> = settled.waiting.iter().map(Entry::id).collect();
        self.tries.retain(|id, _| waits.contains(id));
        // What somebody else took out of the box is not waited for.
        self.confirmed.retain(|id| waits.contains(id));
        self.recorded = waits;
        self.troubles.extend(settled.troubles.iter().cloned());
        while self.troubles.len() > MOST_TROUBLES {
            self.troubles.pop_front();
        }
    }

    /// What is to be told now, by notifier. Those are busy from now on.
    pub fn due(&mut self, waiting: &[Entry], now: Timestamp) -> BTreeMap<String, Vec<Entry>> {
        let mut due: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
        for entry in waiting {
            let later = self.tries.get(&entry.id()).is_some_and(|tried| tried.next > now);
            let done = self.confirmed.contains(&entry.id());
            if !later && !done && !self.busy.contains(&entry.service) {
                due.entry(entry.service.clone()).or_default().push(entry.clone());
            }
        }
        self.busy.extend(due.keys().cloned());
        due
    }

    /// When to look again, if nothing else happens. Who is busy comes back by itself.
    pub fn wake(&self, waiting: &[Entry]) -> Option<Wake> {
        let idle = |entry: &&Entry| {
            !self.busy.contains(&entry.service) && !self.confirmed.contains(&entry.id())
        };
        let next = waiting.iter().filter(idle).filter_map(|entry| self.tries.get(&entry.id()));
        let at = next.map(|tried| tried.next).min()?;
        Some(Wake { at, because: "a notification is tried again" })
    }

    /// A notifier was called, with these outcomes. What people should be told of it, if anything.
    pub fn ended(
        &mut self,
        service: &str,
        outcomes: Vec<(Id, Ended)>,
        now: Timestamp,
    ) -> Option<Complaint> {
        self.busy.remove(service);
        let mut complaint = None;
        for (id, ended) in outcomes {
            match ended {
                Ended::Delivered => {
                    self.tries.remove(&id);
                    self.complaints.remove(service);
                    self.confirmed.insert(id);
                }
                Ended::Again { why, after_ms, passing } => {
                    let count = self.tries.get(&id).map_or(0, |tried| tried.count) + 1;
                    let wish = Duration::from_millis(after_ms.unwrap_or(0)).min(LONGEST_WISH);
                    let next = now.after(pause(count).max(wish));
                    self.tries.insert(id, Try { count, next });
                    let new = self.complaints.get(service) != Some(&why);
                    if !passing && new {
                        self.complaints.insert(service.to_owned(), why.clone());
                        complaint = Some(Complaint { service: service.to_owned(), why });
                    }
                }
            }
        }
        complaint
    }
}

/// How long to wait after so many tries.
fn pause(count: u32) -> Duration {
    let doubled = 1_u32.checked_shl(count.saturating_sub(1)).unwrap_or(u32::MAX);
    FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_from_a_second_to_five_minutes() {
        let seconds = |count| pause(count).as_secs();
        assert_eq!([1, 2, 3, 9, 10, 40].map(seconds), [1, 2, 4, 256, 300, 300]);
    }

    fn again(why: &str, after_ms: Option<u64>, passing: bool) -> Ended {
        Ended::Again { why: why.to_owned(), after_ms, passing }
    }

    #[test]
    fn trouble_with_a_notifier_is_said_once_until_it_works_again() {
        let mut desk = Desk::default();
        let id = ("key".to_owned(), "slack".to_owned());
        let mut call = |ended: Ended| {
            let complaint = desk.ended("slack", vec![(id.clone(), ended)], Timestamp(0));
            complaint.map(|complaint| complaint.why)
        };
        assert_eq!(call(again("missing", None, false)), Some("missing".to_owned()));
        assert_eq!(call(again("missing", None, false)), None);
        assert_eq!(call(again("503", None, true)), None, "what passes is not said");
        assert_eq!(call(again("trapped", None, false)), Some("trapped".to_owned()));
        assert_eq!(call(Ended::Delivered), None);
        assert_eq!(call(again("trapped", None, false)), Some("trapped".to_owned()));
    }

    #[test]
    fn a_wish_for_patience_counts_if_it_is_longer_and_no_longer_than_an_hour() {
        let next = |after_ms| {
            let mut desk = Desk::default();
            let id = ("key".to_owned(), "slack".to_owned());
            desk.ended("slack", vec![(id.clone(), again("x", after_ms, true))], Timestamp(0));
            desk.tries[&id].next.0
        };
        assert_eq!(
            [None, Some(10), Some(90_000), Some(u64::MAX)].map(next),
            [1_000, 1_000, 90_000, 3_600_000]
        );
    }
}
