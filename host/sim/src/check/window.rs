//! What was true over the time that the controller may be behind.

use std::collections::VecDeque;
use std::time::Duration;

use sluice_core::Timestamp;

/// Values with the time from which on each was true, the oldest first.
#[derive(Debug)]
pub(super) struct Window<T>(VecDeque<(Timestamp, T)>);

impl<T> Default for Window<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Window<T> {
    /// This is true from now on.
    pub(super) fn push(&mut self, now: Timestamp, value: T) {
        self.0.push_back((now, value));
    }

    /// Drop what nobody can have seen any more. What was true when the time began counts as well.
    pub(super) fn forget(&mut self, now: Timestamp, staleness: Duration) {
        while self.0.get(1).is_some_and(|(at, _)| at.after(staleness) < now) {
            self.0.pop_front();
        }
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// What is true now.
    pub(super) fn last(&self) -> Option<&T> {
        self.0.back().map(|(_, value)| value)
    }

    /// The values, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, value)| value)
    }
}
