//! Points in time, and the wish to be woken at one.

use std::time::Duration;

/// A point on the shell's clock: milliseconds since the Unix epoch.
///
/// The core never reads a clock; every observation carries the one reading that is true for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The point `wait` later; the last representable one if that lies beyond it.
    pub fn after(self, wait: Duration) -> Self {
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// The point `wait` earlier; the epoch if it lies before that.
    pub fn before(self, wait: Duration) -> Self {
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(millis))
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// When to look again although nothing may have changed, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wake {
    /// The point in time.
    pub at: Timestamp,
    /// What will be different then, as a fragment: "the pause ends".
    pub because: &'static str,
}

impl Wake {
    /// The earlier of two wishes.
    pub fn sooner(first: Option<Self>, second: Option<Self>) -> Option<Self> {
        match (first, second) {
            (Some(first), Some(second)) if second.at < first.at => Some(second),
            (None, second) => second,
            (first, _) => first,
        }
    }
}
