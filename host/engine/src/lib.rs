//! The loop, without input or output: due keys, turns in flight, wake-ups, barriers, leadership.
//!
//! It has three doors and no callbacks: [`Engine::handle`] takes in what happened,
//! [`Engine::poll`] names the next key whose turn it is, [`Engine::wake_at`] says when to ask
//! again if nothing happens. The Kubernetes shell and the simulator drive the same engine, so what
//! the simulator tests is what runs.
//!
//! ```text
//!   watch events ─► Changed ┐                        ┌─► key ─► the shell takes a turn
//!   own writes   ─► Seen    ├─► handle ··· poll ─────┤
//!   turns' ends  ─► Done    │                        └─► nothing: sleep until wake_at
//!   the lease    ─► Leading ┘
//! ```
//!
//! Rules it keeps:
//! * A key has at most one turn in flight.
//! * Nothing is due while another controller leads.
//! * After a turn that wrote, the key is not due before the stores show what was written: a
//!   decision on a stale store would undo or repeat it. The wait is bounded, since an object may
//!   be gone before its version ever shows.
//! * Keys come up in the order in which they changed, but a release under way goes ahead of one that
//!   waits to begin, by at most [`HEAD_START`]: where requests are scarce, many releases that are
//!   half done help nobody.
//! * A failed turn is repeated after 250 ms, then twice as long each time, up to a minute; after
//!   250 ms if something changed meanwhile.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sluice_core::{Timestamp, Wake};

pub mod ledger;

pub use ledger::Ledger;

/// How long a key waits at most for its own writes to show.
pub const BARRIER_LIMIT: Duration = Duration::from_secs(10);
/// How far a release that is almost done goes ahead of one that has not begun.
pub const HEAD_START: Duration = Duration::from_secs(5 * 60);
const FIRST_BACKOFF: Duration = Duration::from_millis(250);
const LAST_BACKOFF: Duration = Duration::from_secs(60);

/// What kind of object a turn is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A Rollout.
    Rollout,
    /// An AnalysisRun.
    AnalysisRun,
    /// An Experiment.
    Experiment,
}

/// Whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The kind.
    pub kind: Kind,
    /// The object's namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// An object that was written: what identifies it in a store, such as `ReplicaSet/ns/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub String);

/// A version of an object. Versions of one object are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

/// How far a release is, in hundredths: 0 is none under way, and 100 the most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Advance(u8);

impl Advance {
    /// More than 100 hundredths count as 100.
    pub fn new(hundredths: u8) -> Self {
        Self(hundredths.min(100))
    }

    fn head_start(self) -> Duration {
        HEAD_START * u32::from(self.0) / 100
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Something that the key's turn looks at has changed.
    Changed(Key),
    /// How far the release of the key's rollout is.
    Advanced(Key, Advance),
    /// The key's object is gone.
    Gone(Key),
    /// A store shows this version of an object, or that it is gone.
    Seen(ObjectId, Option<Version>),
    /// A turn ended.
    Done(Key, Turned),
    /// This process began or ceased to lead.
    Leading(bool),
}

/// How a turn ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turned {
    /// It did what it decided.
    Fine {
        /// When to look again though nothing may have changed.
        wake: Option<Wake>,
        /// What it wrote; the key waits until the stores show it.
        wrote: Vec<(ObjectId, Version)>,
        /// Whether to look again as soon as that is seen: something changed that no watch shows.
        again: bool,
    },
    /// It could not; it is repeated later.
    Failed {
        /// What it wrote before it failed.
        wrote: Vec<(ObjectId, Version)>,
    },
}

#[derive(Clone, Debug, Default)]
struct Entry {
    /// When the first change came in since the last turn began.
    changed: Option<Timestamp>,
    advance: Advance,
    running: bool,
    wake: Option<Wake>,
    retry_at: Option<Timestamp>,
    retry_soonest: Option<Timestamp>,
    failures: u32,
    barrier: BTreeMap<ObjectId, Version>,
    barrier_ends: Timestamp,
    gone: bool,
}

impl Entry {
    /// When the key is due, and its place among those that are due at once; `None` if only
    /// something that happens can make it due.
    fn due(&self) -> Option<Due> {
        let head_start = self.advance.head_start();
        let place = self.changed.map(|changed| changed.before(head_start)).unwrap_or_default();
        Some(Due { at: self.due_at()?, place })
    }

    fn due_at(&self) -> Option<Timestamp> {
        if self.running {
            return None;
        }
        let wish = if self.failures > 0 {
            // What made it fail may be mended; but what changes all the time shall not make a
            // failing turn spin.
            if self.changed.is_some() { self.retry_soonest } else { self.retry_at }
        } else if self.changed.is_some() {
            // Now, whatever a clock that was set back may say.
            Some(Timestamp(0))
        } else {
            self.wake.map(|wake| wake.at)
        }?;
        let barrier = if self.barrier.is_empty() { Timestamp(0) } else { self.barrier_ends };
        Some(wish.max(barrier))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: Timestamp,
    place: Timestamp,
}

/// See the crate's documentation.
#[derive(Debug, Default)]
pub struct Engine {
    leading: bool,
    entries: BTreeMap<Key, Entry>,
    /// Keys by the time they are due, so that the next one is found without a search.
    due: BTreeSet<(Due, Key)>,
    filed: BTreeMap<Key, Due>,
    waiting_for: BTreeMap<ObjectId, BTreeSet<Key>>,
    running: usize,
}

impl Engine {
    /// An engine that does not lead and knows no keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Take in what happened.
    pub fn handle(&mut self, input: Input, now: Timestamp) {
        match input {
            Input::Leading(leading) => self.leading = leading,
            Input::Changed(key) => {
                let entry = self.entry(&key);
                entry.changed.get_or_insert(now);
                entry.gone = false;
                self.file(&key);
            }
            Input::Advanced(key, advance) => {
                self.entry(&key).advance = advance;
                self.file(&key);
            }
            Input::Gone(key) => self.gone(&key),
            Input::Seen(object, version) => self.seen(&object, version),
            Input::Done(key, turned) => self.done(&key, turned, now),
        }
    }

    /// The next key whose turn it is; the caller takes the turn and reports [`Input::Done`].
    pub fn poll(&mut self, now: Timestamp) -> Option<Key> {
        if !self.leading {
            return None;
        }
        let (due, key) = self.due.first()?.clone();
        if due.at > now {
            return None;
        }
        self.due.remove(&(due, key.clone()));
        self.filed.remove(&key);
        let entry = self.entries.get_mut(&key)?;
        entry.running = true;
        entry.changed = None;
        entry.wake = None;
        self.running += 1;
        self.drop_barrier(&key);
        Some(key)
    }

    /// When some key is due if nothing happens before.
    pub fn wake_at(&self) -> Option<Timestamp> {
        if !self.leading {
            return None;
        }
        self.due.first().map(|(due, _)| due.at)
    }

    /// Turns in flight.
    pub fn running(&self) -> usize {
        self.running
    }

    /// Keys known.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no key is known.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Keys that are due now or overdue.
    pub fn backlog(&self, now: Timestamp) -> usize {
        self.due.iter().take_while(|(due, _)| due.at <= now).count()
    }

    fn entry(&mut self, key: &Key) -> &mut Entry {
        self.entries.entry(key.clone()).or_insert_with(|| Entry {
            // A run or an experiment belongs to a release under way, which waits for it.
            advance: match key.kind {
                Kind::Rollout => Advance::default(),
                Kind::AnalysisRun | Kind::Experiment => Advance::new(100),
            },
            ..Entry::default()
        })
    }

    fn gone(&mut self, key: &Key) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        if entry.running {
            entry.gone = true;
            return;
        }
        self.drop_barrier(key);
        self.unfile(key);
        self.entries.remove(key);
    }

    fn seen(&mut self, object: &ObjectId, version: Option<Version>) {
        let Some(keys) = self.waiting_for.get(object).cloned() else { return };
        for key in keys {
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            let wanted = entry.barrier.get(object);
            let shown = match (wanted, version) {
                (Some(wanted), Some(version)) => version >= *wanted,
                (Some(_), None) | (None, _) => true,
            };
            if shown {
                entry.barrier.remove(object);
                self.forget_waiter(object, &key);
                self.file(&key);
            }
        }
    }

    fn done(&mut self, key: &Key, turned: Turned, now: Timestamp) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        if entry.running {
            entry.running = false;
            self.running = self.running.saturating_sub(1);
        }
        if entry.gone {
            return self.gone(key);
        }
        let wrote = match turned {
            Turned::Fine { wake, wrote, again } => {
                entry.failures = 0;
                entry.retry_at = None;
                entry.wake = wake;
                if again {
                    entry.changed.get_or_insert(now);
                }
                wrote
            }
            Turned::Failed { wrote } => {
                let backoff = FIRST_BACKOFF.saturating_mul(1 << entry.failures.min(8));
                entry.failures = entry.failures.saturating_add(1);
                entry.retry_at = Some(now.after(backoff.min(LAST_BACKOFF)));
                entry.retry_soonest = Some(now.after(FIRST_BACKOFF));
                wrote
            }
        };
        entry.barrier_ends = now.after(BARRIER_LIMIT);
        for (object, version) in wrote {
            let newest = entry.barrier.entry(object.clone()).or_insert(version);
            *newest = version.max(*newest);
            self.waiting_for.entry(object).or_default().insert(key.clone());
        }
        self.file(key);
    }

    fn drop_barrier(&mut self, key: &Key) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        for object in std::mem::take(&mut entry.barrier).into_keys() {
            self.forget_waiter(&object, key);
        }
    }

    fn forget_waiter(&mut self, object: &ObjectId, key: &Key) {
        if let Some(keys) = self.waiting_for.get_mut(object) {
            keys.remove(key);
            if keys.is_empty() {
                self.waiting_for.remove(object);
            }
        }
    }

    /// Put the key where it belongs in the order of what is due.
    fn file(&mut self, key: &Key) {
        self.unfile(key);
        let Some(due) = self.entries.get(key).and_then(Entry::due) else { return };
        self.due.insert((due, key.clone()));
        self.filed.insert(key.clone(), due);
    }

    fn unfile(&mut self, key: &Key) {
        if let Some(due) = self.filed.remove(key) {
            self.due.remove(&(due, key.clone()));
        }
    }
}

#[cfg(test)]
mod tests;
