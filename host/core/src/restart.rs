//! A restart that a user asked for: pods from before a point in time are replaced by new ones.

use crate::observed::Hash;
use crate::time::Timestamp;

/// What is known of a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restart {
    /// `spec.restartAt` in whole seconds: pods made before it are to be replaced.
    pub asked: Option<Timestamp>,
    /// The pods of all revisions as they are at this moment; `None` if nobody looked just now.
    pub pods: Option<Vec<Pod>>,
    /// Who would not let a pod go, and when it was asked last.
    pub held: Option<Held>,
}

/// One pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its version: it is evicted as it was seen, and left alone if it changed since.
    pub version: String,
    /// The revision that it is one of.
    pub hash: Hash,
    /// When it was made.
    pub created: Timestamp,
    /// Whether it has been ready for long enough, and is not ending.
    pub available: bool,
    /// Whether it is ending.
    pub ending: bool,
}

/// An eviction that was refused for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The pod.
    pub pod: String,
    /// The server's words, which name the disruption budget.
    pub why: String,
    /// When to try again.
    pub until: Timestamp,
}
