//! What happened to a component, for metrics and for people.

use std::collections::BTreeMap;
use std::time::Duration;

use sluice_port::Fault;

/// [`Fault::kind`] of what is the component's own misbehaviour.
const MISBEHAVIOURS: [&str; 5] =
    ["trapped", "timed-out", "cpu-exceeded", "memory-exceeded", "malformed"];

/// How often something happened, and how much was used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Ended calls by result: `ok`, or [`Fault::kind`].
    pub calls: BTreeMap<&'static str, u64>,
    /// The time on the clock of all calls together, waiting for a place not included.
    pub wall: Duration,
    /// The time on a processor of all calls together.
    pub cpu: Duration,
    /// The most bytes of memory that one call had.
    pub memory_peak: usize,
    /// HTTP requests that were tried.
    pub http_calls: u64,
    /// Host calls that were denied.
    pub denied: u64,
}

impl Stats {
    /// Calls that ended, whatever the result.
    pub fn total(&self) -> u64 {
        self.calls.values().sum()
    }

    /// Calls in which the component misbehaved.
    pub fn faults(&self) -> u64 {
        let of = |kind: &&str| self.calls.get(*kind).copied().unwrap_or_default();
        MISBEHAVIOURS.iter().map(of).sum()
    }

    pub(crate) fn add(&mut self, used: &Used, result: Result<(), &Fault>) {
        *self.calls.entry(result.map_or_else(Fault::kind, |()| "ok")).or_default() += 1;
        self.wall += used.wall;
        self.cpu += used.cpu;
        self.memory_peak = self.memory_peak.max(used.memory_peak);
        self.http_calls += u64::from(used.http_calls);
        self.denied += u64::from(used.denied);
    }
}

/// What one call used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    pub(crate) memory_peak: usize,
    pub(crate) http_calls: u32,
    pub(crate) denied: u32,
}
