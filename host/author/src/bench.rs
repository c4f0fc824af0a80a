//! How long calls take, for whoever wants to know before a release waits for them.

use std::time::Duration;

use sluice_wasm::Kind;

use crate::cases::{self, Case};
use crate::error::Error;
use crate::recorded::Mode;
use crate::trial::{Bench, Trial};
use crate::{notify, router, step};

/// How long the calls of one case took.
#[derive(Clone, Debug)]
pub struct Figures {
    /// The case.
    pub case: String,
    /// How many calls there were.
    pub calls: usize,
    /// Half of them took no longer.
    pub median: Duration,
    /// 99 of 100 took no longer.
    pub p99: Duration,
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Of each case.
    pub figures: Vec<Figures>,
    /// How long it took to load: compiling it, or reading it from the cache.
    pub load: Duration,
    /// Whether it was read from the cache.
    pub cached: bool,
    /// The most bytes of memory that a call had.
    pub memory_peak: usize,
    /// The mean time on a processor of a call.
    pub cpu: Duration,
}

/// Calls every case so many times, each in a fresh instance with the recorded network.
///
/// # Errors
/// If the component does not load or a file of cases cannot be read.
pub async fn measure(trial: &Trial, calls: usize) -> Result<Measured, Error> {
    let bench = Bench::new(trial).await?;
    let loaded = bench.info();
    let mut figures = Vec::new();
    match loaded.kind {
        Kind::Metric => {
            for path in &trial.cases {
                for case in cases::read(path)? {
                    figures.push(one(&bench, &case, calls.max(1)).await?);
                }
            }
        }
        Kind::Step => {
            for (case, times) in step::times(&bench, &trial.cases, calls.max(1)).await? {
                figures.push(figures_of(case, times));
            }
        }
        Kind::Notifier => {
            for (case, times) in notify::times(&bench, &trial.cases, calls.max(1)).await? {
                figures.push(figures_of(case, times));
            }
        }
        Kind::Router => {
            for (case, times) in router::times(&bench, &trial.cases, calls.max(1)).await? {
                figures.push(figures_of(case, times));
            }
        }
    }
    let totals = bench.info().totals;
    let count = u32::try_from(totals.total()).unwrap_or(u32::MAX).max(1);
    Ok(Measured {
        figures,
        load: loaded.load_time,
        cached: loaded.cached,
        memory_peak: totals.memory_peak,
        cpu: totals.cpu / count,
    })
}

async fn one(bench: &Bench, case: &Case, calls: usize) -> Result<Figures, Error> {
    let mut times = Vec::with_capacity(calls);
    for _ in 0..calls {
        times.push(bench.call(case, Mode::Recorded).await?.took);
    }
    Ok(figures_of(case.name.clone(), times))
}

fn figures_of(case: String, mut times: Vec<Duration>) -> Figures {
    times.sort();
    let at = |share: usize| {
        let index = (times.len() * share / 100).min(times.len().saturating_sub(1));
        times.get(index).copied().unwrap_or_default()
    };
    Figures { case, calls: times.len(), median: at(50), p99: at(99) }
}
