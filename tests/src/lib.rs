//! The swarm, and the checks that the repository makes of itself.
//!
//! The end-to-end tests are in `tests/e2e`, the control plane that they run on in
//! `tests/cluster`.

use std::collections::BTreeMap;

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

/// Run the plans that `plan` draws from `count` seeds from `first` on.
pub fn swarm(plan: fn(u64) -> Plan, first: u64, count: u64) -> Tally {
    let mut tally = Tally::default();
    for seed in first..first.saturating_add(count) {
        let report = run(&plan(seed));
        tally.seeds += 1;
        tally.instants += report.instants;
        let phase = report.ended.split(':').next().unwrap_or_default().to_owned();
        *tally.ends.entry(phase).or_default() += 1;
        if !report.is_fine() {
            tally.bad.push(report);
        }
    }
    tally
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
