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
const FIRST_BACKOFF: Duration = Duration::from_millis(250);
const LAST_BACKOFF: Duration = Duration::from_secs(60);

/// What kind of object a turn is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A Rollout.
    Rollout,
    /// An AnalysisRun.
    AnalysisRun,
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

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Something that the key's turn looks at has changed.
    Changed(Key),
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
    /// A change came in since the last turn began.
    changed: bool,
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
    /// When the key is due; `None` if only something that happens can make it so.
    fn due_at(&self) -> Option<Timestamp> {
        if self.running {
            return None;
        }
        let wish = if self.failures > 0 {
            // What made it fail may be mended; but what changes all the time shall not make a
            // failing turn spin.
            if self.changed { self.retry_soonest } else { self.retry_at }
        } else if self.changed {
            Some(Timestamp(0))
        } else {
            self.wake.map(|wake| wake.at)
        }?;
        let barrier = if self.barrier.is_empty() { Timestamp(0) } else { self.barrier_ends };
        Some(wish.max(barrier))
    }
}

/// See the crate's documentation.
#[derive(Debug, Default)]
pub struct Engine {
    leading: bool,
    entries: BTreeMap<Key, Entry>,
    /// Keys by the time they are due, so that the next one is found without a search.
    due: BTreeSet<(Timestamp, Key)>,
    filed: BTreeMap<Key, Timestamp>,
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
                let entry = self.entries.entry(key.clone()).or_default();
                entry.changed = true;
                entry.gone = false;
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
        let (at, key) = self.due.first()?.clone();
        if at > now {
            return None;
        }
        self.due.remove(&(at, key.clone()));
        self.filed.remove(&key);
        let entry = self.entries.get_mut(&key)?;
        entry.running = true;
        entry.changed = false;
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
        self.due.first().map(|(at, _)| *at)
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
        self.due.iter().take_while(|(at, _)| *at <= now).count()
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
                entry.changed |= again;
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
        let Some(at) = self.entries.get(key).and_then(Entry::due_at) else { return };
        self.due.insert((at, key.clone()));
        self.filed.insert(key.clone(), at);
    }

    fn unfile(&mut self, key: &Key) {
        if let Some(at) = self.filed.remove(key) {
            self.due.remove(&(at, key.clone()));
        }
    }
}

#[cfg(test)]
mod tests;
