//! The swarm by hand.
//!
//! `swarm --count N [--first SEED]` runs N seeds; `swarm --seed SEED` runs one and prints
//! everything that happened in it. `--blue-green` draws blue-green releases instead of canaries.

use std::process::ExitCode;

use sluice_sim::swarm::{blue_green, plan, run};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1)?.parse::<u64>().ok()
    };
    let plan = if args.iter().any(|arg| arg == "--blue-green") { blue_green::plan } else { plan };
    if let Some(seed) = number("--seed") {
        let report = run(&plan(seed));
        println!("{:#?}\n{}", plan(seed), report.transcript);
        println!("{}", sluice_tests::describe(&report));
        return if report.is_fine() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let Some(count) = number("--count") else {
        eprintln!(
            "usage: swarm --count N [--first SEED] [--blue-green] | swarm --seed SEED [--blue-green]"
        );
        return ExitCode::from(2);
    };
    let tally = sluice_tests::swarm(plan, number("--first").unwrap_or(0), count);
    for report in tally.bad.iter().take(20) {
        println!("{}", sluice_tests::describe(report));
    }
    println!(
        "{} seeds, {} instants judged, ends {:?}, {} bad",
        tally.seeds,
        tally.instants,
        tally.ends,
        tally.bad.len()
    );
    if tally.bad.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
