//! The swarm, and the checks that the repository makes of itself.
//!
//! The end-to-end tests are in `tests/e2e`, the control plane that they run on in
//! `tests/cluster`.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use sluice_sim::swarm::{Plan, Report, run};

/// What many seeds came to.
#[derive(Debug, Default)]
pub struct Tally {
    /// Seeds that were run.
    pub seeds: u64,
    /// Instants that were judged.
    pub instants: u64,
    /// How often runs ended in which phase, by their first word.
    pub ends: BTreeMap<String, u64>,
    /// The reports of runs that broke a rule or did not come to rest.
    pub bad: Vec<Report>,
}

/// Run the plans that `plan` draws from `count` seeds from `first` on, on every core. What comes
/// of it does not depend on how many there are.
pub fn swarm(plan: fn(u64) -> Plan, first: u64, count: u64) -> Tally {
    let next = AtomicU64::new(first);
    let end = first.saturating_add(count);
    let work = || {
        let mut tally = Tally::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return tally;
            }
            tally.count(run(&plan(seed)));
        }
    };
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let mut all = thread::scope(|scope| {
        let others: Vec<_> = (1..cores).map(|_| scope.spawn(work)).collect();
        let mut all = work();
        for other in others {
            match other.join() {
                Ok(tally) => all.add(tally),
                Err(panic) => resume_unwind(panic),
            }
        }
        all
    });
    all.bad.sort_by_key(|report| report.seed);
    all
}

impl Tally {
    fn count(&mut self, report: Report) {
        self.seeds += 1;
        self.instants += report.instants;
        let phase = report.ended.split(':').next().unwrap_or_default().to_owned();
        *self.ends.entry(phase).or_default() += 1;
        if !report.is_fine() {
            self.bad.push(report);
        }
    }

    fn add(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.instants += other.instants;
        for (phase, count) in other.ends {
            *self.ends.entry(phase).or_default() += count;
        }
        self.bad.extend(other.bad);
    }
}

/// What is wrong with a run, in a few lines, and how to see all of it.
pub fn describe(report: &Report) -> String {
    let rules = report.violations.iter().map(|violation| violation.what.clone());
    let wrong: Vec<_> = rules.chain(report.stuck.clone()).take(3).collect();
    format!(
        "seed {}: {}\n  all of it: cargo run -p sluice-tests --bin swarm -- --seed {}{}",
        report.seed,
        wrong.join("\n  "),
        report.seed,
        if report.blue_green { " --blue-green" } else { "" }
    )
}
