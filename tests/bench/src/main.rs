//! `make bench`: what decisions, calls, starts and memory cost on this machine. Figures are
//! printed, with their medians, and never asserted.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use sluice_bundled::BUNDLED;
use sluice_e2e::{Controller, Namespace, eventually};
use sluice_port::Components;

mod languages;
mod many;
mod pace;
mod servers;

use servers::{host, nginx_wish, prometheus_call};

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "child") {
        return many::child(&arguments[1..]).await;
    }
    let usage = "usage: bench PATH-OF-SLUICE [PART...]";
    let (binary, parts) = arguments.split_first().context(usage)?;
    let binary = Path::new(binary);
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    println!("| measure | value |\n|---|---|");
    if wanted("decisions") {
        decisions();
        simulation();
    }
    if wanted("calls") {
        calls().await?;
        loading().await?;
    }
    if wanted("languages") {
        let target = binary.ancestors().nth(2).unwrap_or(binary);
        languages::languages(&target.join("bench-components")).await?;
    }
    if wanted("many") {
        many::memory()?;
        many::swaps().await?;
    }
    if wanted("pace") {
        pace::pace().await?;
    }
    if wanted("controller") {
        size(binary)?;
        controller().await?;
    }
    Ok(())
}

fn row(what: &str, value: &str) {
    println!("| {what} | {value} |");
}

/// A place on the disk for this process.
fn temporary(what: &str) -> PathBuf {
    std::env::temp_dir().join(format!("sluice-bench-{what}-{}", std::process::id()))
}

fn median(times: Vec<Duration>) -> Duration {
    Sorted::of(times).part(50)
}

/// Times in their order; shown as the middle one and the one that only one of a hundred exceeds.
struct Sorted(Vec<Duration>);

impl Sorted {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort();
        Self(times)
    }

    fn count(&self) -> usize {
        self.0.len()
    }

    /// The time that so many of a hundred do not exceed.
    fn part(&self, percent: usize) -> Duration {
        self.0.get(self.0.len() * percent / 100).copied().unwrap_or_default()
    }
}

impl fmt::Display for Sorted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p50 {:.0?}, p99 {:.0?}", self.part(50), self.part(99))
    }
}

/// Whole turns of a settled rollout: read the objects, decide, project the status.
fn decisions() {
    use sluice_sim::cluster::{Behaviours, Cluster, at_once};
    use sluice_sim::fleet::Behaviour;
    use sluice_sim::plane::Plane;
    let behaviours: Behaviours = Arc::new(|_| Behaviour::default());
    let start = sluice_sim::START;
    let mut cluster = Cluster::new(start, Plane::default(), behaviours, 1);
    let rollout = serde_json::json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": {"name": "web", "namespace": "bench"},
        "spec": {
            "replicas": 10,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"canary": {"steps": [{"setWeight": 20}, {"pause": {}}]}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": "web:1"}]},
            },
        },
    });
    let _ = sluice_sim::shell::lock(&cluster.world).create(rollout);
    while let Some(next) = cluster.next_at().filter(|next| next.since(start).as_secs() < 600) {
        at_once(cluster.advance(next));
    }
    let begun = Instant::now();
    let mut count = 0u32;
    while begun.elapsed() < Duration::from_secs(2) {
        std::hint::black_box(cluster.shell.peek("bench", "web"));
        count += 1;
    }
    let each = begun.elapsed() / count.max(1);
    let per_second = 1.0 / each.as_secs_f64();
    row(
        "whole turns of one rollout, objects to status",
        &format!("{per_second:.0} per second ({each:.1?} each)"),
    );
}

fn simulation() {
    let begun = Instant::now();
    let (mut seeds, mut instants, mut virtual_time) = (0u64, 0u64, Duration::ZERO);
    while begun.elapsed() < Duration::from_secs(5) {
        let report = sluice_sim::swarm::run(&sluice_sim::swarm::plan(seeds));
        seeds += 1;
        instants += report.instants;
        virtual_time += report.virtual_time;
    }
    let hours = virtual_time.as_secs_f64() / 3600.0 / begun.elapsed().as_secs_f64();
    row("simulated time of random releases with faults", &format!("{hours:.0} hours per second"));
    let rate = instants as f64 / begun.elapsed().as_secs_f64();
    row("instants judged by the checkers", &format!("{rate:.0} per second, {seeds} releases"));
}

async fn calls() -> Result<()> {
    let host = host(None, Duration::ZERO).await?;
    let call = prometheus_call("");
    let mut times = Vec::new();
    for _ in 0..2_000 {
        let begun = Instant::now();
        host.measure("prometheus", &call).await?;
        times.push(begun.elapsed());
    }
    row(
        "one measurement by the Prometheus component, fresh instance",
        &Sorted::of(times).to_string(),
    );
    let (wanted, _) = nginx_wish("web");
    let mut times = Vec::new();
    for _ in 0..2_000 {
        let begun = Instant::now();
        host.references("nginx", &wanted, &[]).await?;
        times.push(begun.elapsed());
    }
    row(
        "one question to the nginx component, fresh instance",
        &format!("p50 {:.0?}", median(times)),
    );
    Ok(())
}

async fn loading() -> Result<()> {
    let cache = temporary("load");
    let begun = Instant::now();
    host(Some(&cache), Duration::ZERO).await?;
    let cold = begun.elapsed();
    let mut warm = Vec::new();
    for _ in 0..5 {
        let begun = Instant::now();
        host(Some(&cache), Duration::ZERO).await?;
        warm.push(begun.elapsed());
    }
    std::fs::remove_dir_all(&cache)?;
    row("host with all bundled components, nothing cached", &format!("{cold:.0?}"));
    row("the same from the cache", &format!("{:.1?}", median(warm)));
    for bundled in BUNDLED {
        row(&format!("component {}", bundled.name), &format!("{} KB", bundled.bytes.len() / 1000));
    }
    Ok(())
}

fn size(binary: &Path) -> Result<()> {
    let stripped = temporary("stripped");
    let done = std::process::Command::new("strip").arg("-o").arg(&stripped).arg(binary).status();
    let path = if done.is_ok_and(|status| status.success()) { &stripped } else { binary };
    let bytes = std::fs::metadata(path)?.len();
    row(
        "binary, stripped, in the profile that tests use",
        &format!("{:.1} MB", bytes as f64 / 1e6),
    );
    let _ = std::fs::remove_file(&stripped);
    Ok(())
}

/// A controller on the real control plane: from its start to ready, and its memory at rest.
async fn controller() -> Result<()> {
    let namespace = Namespace::new("bench").await?;
    let cache = temporary("cache");
    let dir = cache.display().to_string();
    let arguments = ["--cache-dir", dir.as_str(), "--leader-elect=false"];
    let mut readiness = Vec::new();
    // The first start is not counted: it also starts the control plane and installs the CRDs.
    for attempt in 0..5 {
        if attempt == 1 {
            std::fs::remove_dir_all(&cache)?;
        }
        let begun = Instant::now();
        let mut controller = Controller::start(&namespace, &arguments).await?;
        controller.until_ready().await?;
        if attempt > 0 {
            readiness.push(begun.elapsed());
        }
        if attempt == 4 {
            let (resident, own) =
                eventually("the controller's memory", Duration::from_secs(10), async || {
                    controller.memory()
                })
                .await?;
            let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
            row("memory at rest, resident, no rollouts", &megabytes(resident));
            row("of which not mapped from files", &megabytes(own));
        }
        controller.terminate(Duration::from_secs(20)).await?;
    }
    std::fs::remove_dir_all(&cache)?;
    row("process start to ready, nothing cached", &format!("{:.0?}", readiness[0]));
    row("process start to ready, cached", &format!("{:.0?}", median(readiness[1..].to_vec())));
    Ok(())
}
