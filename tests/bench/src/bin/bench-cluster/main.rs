//! `make bench-cluster`: what many rollouts cost on a real control plane, beside what the same
//! shapes cost as Deployments. Figures are printed and never asserted.
//!
//! Requests are counted from the API server's audit log, times from watches of the objects, memory
//! and processor time from Linux. The controller runs as users run it: one replica, elected, with
//! the limits on requests that it has by default (40 a second, 80 at once, as Argo Rollouts).

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use sluice_e2e::{Controller, Kind, Namespace, eventually, manifest};

use crate::audit::{Asked, Audit};
use crate::fleet::Fleet;
use crate::usage::Usage;

mod audit;
mod fleet;
mod usage;

const SLUICE: &str = "sluice/";
const DEPLOYMENTS: &str = "deployment-controller";
/// The shape that is released: four pods and three weights.
const REPLICAS: u32 = 4;
const STEPS: &str = "steps: [{setWeight: 25}, {setWeight: 50}, {setWeight: 75}]";
/// For how long requests of a controller at rest are counted.
const REST: Duration = Duration::from_secs(60);
/// What is measured, in this order.
const PARTS: [&str; 5] = ["rest", "updates", "routed", "floor", "cycles"];
const LIMIT: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> Result<()> {
    const USAGE: &str = "usage: bench-cluster [PERCENT OF THE FLEETS [PART...]]";
    let mut arguments = std::env::args().skip(1);
    let percent = arguments.next().unwrap_or_else(|| "100".to_owned());
    let percent: usize = percent.parse().context(USAGE)?;
    ensure!((1..=100).contains(&percent), "{USAGE}: a percentage is 1 to 100");
    let mut parts: Vec<String> = arguments.collect();
    if parts.is_empty() {
        parts = PARTS.map(str::to_owned).into();
    }
    let (_, mut audit) = Audit::start().await?;
    println!("| measure | value |\n|---|---|");
    let sized = |count: usize| (count * percent).div_ceil(100);
    for part in parts {
        match part.as_str() {
            "rest" => rest(&mut audit, [500, 1_000, 2_000].map(sized)).await?,
            "updates" => updates(&mut audit, sized(200), "", "").await?,
            "routed" => {
                let strategy = format!("{}, ", manifest::NGINX);
                updates(&mut audit, sized(100), &strategy, ", routed by nginx").await?;
            }
            "floor" => floor(&mut audit, sized(200)).await?,
            "cycles" => cycles(sized(50)).await?,
            _ => bail!("{USAGE}: a part is one of {}", PARTS.join(", ")),
        }
    }
    Ok(())
}

fn row(what: &str, value: &str) {
    println!("| {what} | {value} |");
}

/// Memory and requests of a controller that has nothing to do, and its way back to work.
async fn rest(audit: &mut Audit, sizes: [usize; 3]) -> Result<()> {
    let namespace = Namespace::new("rest").await?;
    let mut controller = Controller::start(&namespace, &[]).await?;
    controller.until_ready().await?;
    let mut fleet = Fleet::new(&namespace, Kind::ROLLOUT).await?;
    for size in sizes {
        fleet.grow(size, |name| rollout(name, 1, ""), |_| String::new()).await?;
        // What it needed to create them is not what it needs to watch them.
        controller.terminate(LIMIT).await?;
        controller.restart()?;
        controller.until_ready().await?;
        settle(&controller).await?;
        audit.skip()?;
        let before = Usage::of(controller.id())?;
        tokio::time::sleep(REST).await;
        let after = Usage::of(controller.id())?;
        let asked = audit.take(SLUICE)?;
        row(
            &format!("memory with {size} healthy rollouts (RSS / PSS / anonymous)"),
            &after.memory(),
        );
        row(
            &format!("requests within a minute at rest, {size} rollouts"),
            &format!(
                "{} reads, {} writes, {} of the Lease; {:.0} ms on a processor",
                asked.reads,
                asked.writes,
                asked.leases,
                (after.cpu - before.cpu).as_secs_f64() * 1e3
            ),
        );
    }
    back_to_work(&namespace, &fleet, controller).await
}

/// Await that a started controller uses a processor for less than a twentieth of a second's time.
async fn settle(controller: &Controller) -> Result<()> {
    let mut last = Usage::of(controller.id())?.cpu;
    let mut seen = Instant::now();
    eventually("the controller to be at rest", LIMIT, async || {
        ensure!(seen.elapsed() >= Duration::from_secs(2), "too early to tell");
        let now = Usage::of(controller.id())?.cpu;
        let share = (now - last).as_secs_f64() / seen.elapsed().as_secs_f64();
        (last, seen) = (now, Instant::now());
        ensure!(share < 0.05, "{:.0} % of a processor", share * 100.0);
        Ok(())
    })
    .await
}

/// From a clean stop to the first ReplicaSet that the next process creates.
async fn back_to_work(
    namespace: &Namespace,
    fleet: &Fleet<'_>,
    mut controller: Controller,
) -> Result<()> {
    let name = fleet.first();
    let patch = json!({"spec": {"template": {"metadata": {"annotations": {"again": "1"}}}}});
    let begun = Instant::now();
    controller.terminate(LIMIT).await?;
    let stopped = begun.elapsed();
    namespace.merge(Kind::ROLLOUT, name, &patch).await?;
    controller.restart()?;
    eventually("a second ReplicaSet", LIMIT, async || {
        let sets = namespace.list(Kind::REPLICA_SET, &format!("app={name}")).await?;
        ensure!(sets.len() > 1);
        Ok(())
    })
    .await?;
    row(
        "clean stop, start, and a waiting change is taken up",
        &format!("{:.0?}, of which {stopped:.0?} to stop", begun.elapsed()),
    );
    controller.terminate(LIMIT).await?;
    Ok(())
}

/// A whole fleet updated at once.
async fn updates(audit: &mut Audit, count: usize, strategy: &str, how: &str) -> Result<()> {
    let namespace = Namespace::new("updates").await?;
    let mut controller = Controller::start(&namespace, &[]).await?;
    controller.until_ready().await?;
    let mut fleet = Fleet::new(&namespace, Kind::ROLLOUT).await?;
    let routed = !strategy.is_empty();
    let canary = format!("{strategy}{STEPS}");
    let make = |name: &str| rollout(name, REPLICAS, &canary);
    let around = |name: &str| if routed { around(name) } else { String::new() };
    fleet.grow(count, make, around).await?;
    settle(&controller).await?;
    audit.skip()?;
    let before = Usage::of(controller.id())?;
    let times = fleet.release("example:2").await?;
    settle(&controller).await?;
    let after = Usage::of(controller.id())?;
    let what = format!("{count} rollouts of {REPLICAS} pods and three weights{how}");
    report(&what, times, audit.take(SLUICE)?);
    let each = (after.cpu - before.cpu) / u32::try_from(count)?;
    row(&format!("{what}: processor time each"), &format!("{:.0} ms", each.as_secs_f64() * 1e3));
    controller.terminate(LIMIT).await?;
    Ok(())
}

/// The same shape as plain Deployments.
async fn floor(audit: &mut Audit, count: usize) -> Result<()> {
    let namespace = Namespace::new("floor").await?;
    let mut fleet = Fleet::new(&namespace, Kind::DEPLOYMENT).await?;
    fleet.grow(count, deployment, |_| String::new()).await?;
    audit.skip()?;
    let times = fleet.release("example:2").await?;
    let what = format!("{count} Deployments of {REPLICAS} pods");
    report(&what, times, audit.take(DEPLOYMENTS)?);
    Ok(())
}

fn report(what: &str, mut times: Vec<Duration>, asked: Asked) {
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    row(
        &format!("{what}: until healthy"),
        &format!("p50 {:.1?}, p95 {:.1?}, max {:.1?}", at(50), at(95), at(100)),
    );
    let each = |number: u32| f64::from(number) / times.len() as f64;
    row(
        &format!("{what}: requests each"),
        &format!(
            "{:.1} writes, {:.1} Events, {:.1} reads, {:.2} conflicts",
            each(asked.writes),
            each(asked.events),
            each(asked.reads),
            each(asked.conflicts)
        ),
    );
}

/// Memory over twenty updates of one fleet.
async fn cycles(count: usize) -> Result<()> {
    let namespace = Namespace::new("cycles").await?;
    // As fast as the control plane goes, since time is not what is measured.
    let quick = ["--qps", "500", "--burst", "1000"];
    let mut controller = Controller::start(&namespace, &quick).await?;
    controller.until_ready().await?;
    let mut fleet = Fleet::new(&namespace, Kind::ROLLOUT).await?;
    fleet.grow(count, |name| rollout(name, REPLICAS, STEPS), |_| String::new()).await?;
    for cycle in 1..=20 {
        fleet.release(&format!("example:{}", cycle + 1)).await?;
        if [1, 5, 10, 20].contains(&cycle) {
            settle(&controller).await?;
            row(
                &format!("memory after {cycle} updates of {count} rollouts"),
                &Usage::of(controller.id())?.memory(),
            );
        }
    }
    controller.terminate(LIMIT).await?;
    Ok(())
}

fn rollout(name: &str, replicas: u32, canary: &str) -> Result<Value> {
    let canary = canary.replace("web", name);
    let canary: Value = serde_saphyr::from_str(&format!("{{{canary}}}"))?;
    Ok(workload("argoproj.io/v1alpha1", "Rollout", name, replicas, json!({"canary": canary})))
}

fn deployment(name: &str) -> Result<Value> {
    let strategy = json!({
        "type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    });
    Ok(workload("apps/v1", "Deployment", name, REPLICAS, strategy))
}

fn workload(version: &str, kind: &str, name: &str, replicas: u32, strategy: Value) -> Value {
    json!({
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "strategy": strategy,
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": "example:1"}]},
            },
        },
    })
}

/// The Services and the Ingress of one rollout.
fn around(name: &str) -> String {
    [manifest::services(), manifest::INGRESS.to_owned()].join("---").replace("web", name)
}
