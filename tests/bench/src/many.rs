//! Many components, many calls at a time, and changes under load. What takes memory is measured in
//! a process of its own, so that nothing that went before is counted.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use sluice_port::{Components, MetricCall};
use sluice_wasm::{ComponentHost, HostConfig, Kind, Limits, Origin};
use tokio::task::JoinSet;

use crate::servers::{HANGS, Servers, bundled, host, padded, prometheus_call, terms};
use crate::{Sorted, row, temporary};

const MANY: u8 = 50;
const FEW: u8 = 10;
/// Components that are called while calls are counted: each has eight at a time.
const CALLED: u8 = 8;

/// Print the rows about memory and starts.
pub fn memory() -> Result<()> {
    let cache = temporary("many");
    let child = |what: &str, count: u8| -> Result<Vec<f64>> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["child", what, &count.to_string()]).arg(&cache);
        let output = command.output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        let numbers = text.split_whitespace().map(str::parse).collect::<Result<_, _>>();
        numbers.with_context(|| text.clone())
    };
    // The first time fills the cache.
    child("load", MANY)?;
    let [took, own, resident] = child("load", FEW)?[..] else { return Ok(()) };
    row(&format!("{FEW} components from the cache, ready"), &format!("{took:.1}ms"));
    let each = own / f64::from(FEW);
    let [took, own, _] = child("load", MANY)?[..] else { return Ok(()) };
    row(&format!("{MANY} components from the cache, ready"), &format!("{took:.0}ms"));
    let more = own / f64::from(MANY);
    row(
        &format!("memory per idle component, not mapped from files, of {FEW} and of {MANY}"),
        &format!("{each:.0} kB, {more:.0} kB"),
    );
    row(
        &format!("a process with {FEW} components, resident"),
        &format!("{:.1} MB", resident / 1e3),
    );
    let [calls, own, _] = child("calls", CALLED)?[..] else { return Ok(()) };
    row(
        &format!("memory per call under way, of {calls:.0} that wait for a server"),
        &format!("{:.0} kB", own / calls),
    );
    std::fs::remove_dir_all(&cache)?;
    Ok(())
}

/// What the process for one figure does: prints a time in milliseconds or a count, and by how many
/// kilobytes its own and its resident memory grew, the latter from nothing.
pub async fn child(arguments: &[String]) -> Result<()> {
    let [what, count, cache] = arguments else { anyhow::bail!("usage: child WHAT COUNT CACHE") };
    let (count, cache) = (count.parse::<u8>()?, Path::new(cache));
    let config = HostConfig {
        cache_dir: Some(cache.to_path_buf()),
        ..HostConfig::new(Arc::new(Servers { take: Duration::ZERO }))
    };
    let host = ComponentHost::new(config)?;
    let empty = kilobytes("RssAnon:")?;
    let begun = Instant::now();
    install(&host, count).await?;
    let took = begun.elapsed().as_secs_f64() * 1e3;
    let loaded = kilobytes("RssAnon:")?;
    if what == "load" {
        println!("{took} {} {}", loaded - empty, kilobytes("VmRSS:")?);
        return Ok(());
    }
    let calls = waiting(&host, count).await?;
    println!("{calls} {} {}", kilobytes("RssAnon:")? - loaded, kilobytes("VmRSS:")?);
    Ok(())
}

async fn install(host: &ComponentHost, count: u8) -> Result<()> {
    for mark in 0..count {
        let bytes = padded(bundled("prometheus")?, mark);
        let origin = Origin::Other("bench".into());
        host.install_on(&format!("many-{mark}"), bytes, origin, terms()).await?;
    }
    Ok(())
}

/// Have every component called as often at a time as it may be, until all wait for their server.
async fn waiting(host: &ComponentHost, count: u8) -> Result<u64> {
    let config = serde_json::json!({"address": format!("http://{HANGS}"), "query": "up"});
    let begun = Arc::new(AtomicU64::new(0));
    let mut calls = JoinSet::new();
    let each = Limits::of(Kind::Metric).concurrency as u64;
    for mark in 0..count {
        for _ in 0..each {
            let (host, begun) = (host.clone(), begun.clone());
            let call = MetricCall { config: config.to_string(), ..MetricCall::default() };
            calls.spawn(async move {
                begun.fetch_add(1, Ordering::Relaxed);
                // It is given up with the process.
                let _ = host.measure(&format!("many-{mark}"), &call).await;
            });
        }
    }
    let all = u64::from(count) * each;
    while begun.load(Ordering::Relaxed) < all {
        tokio::task::yield_now().await;
    }
    // All of them have begun; this one is behind them in the queue, and then they wait.
    tokio::time::sleep(Duration::from_millis(500)).await;
    ensure!(calls.try_join_next().is_none(), "a call did not wait");
    std::mem::forget(calls);
    Ok(all)
}

fn kilobytes(field: &str) -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|line| line.trim().strip_suffix("kB"));
    Ok(number.context("the process has no memory")?.trim().parse()?)
}

/// Print the rows about changes of a component that is called a thousand times a second.
pub async fn swaps() -> Result<()> {
    const LASTS: Duration = Duration::from_secs(5);
    let host = host(None, Duration::from_millis(1)).await?;
    let until = Instant::now() + LASTS;
    let calling = tokio::spawn({
        let host = host.clone();
        async move {
            let mut pace = tokio::time::interval(Duration::from_millis(1));
            let mut calls = JoinSet::new();
            while Instant::now() < until {
                pace.tick().await;
                let host = host.clone();
                calls.spawn(async move {
                    let begun = Instant::now();
                    let failed = host.measure("prometheus", &prometheus_call("")).await.is_err();
                    (begun.elapsed(), failed)
                });
            }
            calls.join_all().await
        }
    });
    let bytes = bundled("prometheus")?;
    let (mut swapped, mut taking) = (0_u8, Vec::new());
    while Instant::now() < until {
        let origin = Origin::Other("bench".into());
        let other = padded(bytes, swapped);
        let prepared = host.prepare("prometheus", other, origin, terms()).await?;
        let begun = Instant::now();
        host.enter(prepared);
        taking.push(begun.elapsed());
        swapped += 1;
    }
    let calls = calling.await?;
    let failed = calls.iter().filter(|(_, failed)| *failed).count();
    let times = Sorted::of(calls.into_iter().map(|(time, _)| time).collect());
    let rate = times.count() as f64 / LASTS.as_secs_f64();
    row(
        &format!("{swapped} changes of a component under {rate:.0} calls per second"),
        &format!("{failed} failed calls, {times}, with the compiling of the next beside them"),
    );
    row("one change of a component, once it is compiled", &Sorted::of(taking).to_string());
    Ok(())
}
