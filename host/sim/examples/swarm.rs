//! Run seeds: `cargo run --example swarm -- FIRST COUNT [SHOW]`.
use sluice_sim::swarm::{plan, run};

fn main() {
    let args: Vec<u64> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    let (first, count) = (args.first().copied().unwrap_or(0), args.get(1).copied().unwrap_or(100));
    let show = args.get(2).copied().unwrap_or(1);
    let mut bad = 0;
    let mut ends = std::collections::BTreeMap::<String, u64>::new();
    let mut instants = 0;
    for seed in first..first + count {
        let report = run(&plan(seed));
        instants += report.instants;
        *ends.entry(report.ended.clone()).or_default() += 1;
        if !report.is_fine() {
            bad += 1;
            if bad <= show {
                println!("{}", report.transcript);
                println!("{:#?}", plan(seed));
            }
            println!("seed {seed}: {:?} {:?}", report.violations.first(), report.stuck);
        }
    }
    println!("{ends:#?}");
    println!("{count} seeds, {instants} instants, {bad} bad");
}
