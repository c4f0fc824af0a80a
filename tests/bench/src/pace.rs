//! What well-behaved components feel of hostile ones beside them: the same crowd of rollouts
//! measures and routes, first alone and then beside components that loop, allocate, flood the log
//! and wait for ever, each called as often at a time as it may be.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use sluice_hostile::{asking, attacker, flooding_the_log};
use sluice_port::{Components, Fault, MetricCall};
use sluice_wasm::{ComponentHost, Kind, Limits, Origin};
use tokio::task::JoinSet;

use crate::servers::{HANGS, host, nginx_wish, prometheus_call, terms};
use crate::{Sorted, row};

const ROLLOUTS: u64 = 100;
const LASTS: Duration = Duration::from_secs(8);
/// How long a server of a metric takes.
const SERVER: Duration = Duration::from_millis(2);

/// How long calls took.
struct Pace {
    measured: Sorted,
    routed: Sorted,
}

/// Print the rows.
pub async fn pace() -> Result<()> {
    let host = host(None, SERVER).await?;
    crowd(&host, Duration::from_secs(1)).await?;
    let alone = crowd(&host, LASTS).await?;
    let attack = attack(&host).await?;
    let beside = crowd(&host, LASTS).await?;
    drop(attack);
    let stats = |name: &str| host.installed().into_iter().find(|info| info.name == name);
    let stopped: Vec<_> = HOSTILE
        .iter()
        .filter_map(|name| Some(format!("{name} {:?}", stats(name)?.stats.calls)))
        .collect();
    row("calls of hostile components that ended meanwhile", &stopped.join("; "));
    for (what, alone, beside) in [
        ("measurements", alone.measured, beside.measured),
        ("routings", alone.routed, beside.routed),
    ] {
        row(
            &format!("{what} of {ROLLOUTS} rollouts, alone"),
            &format!("{alone}, of {}", alone.count()),
        );
        row(
            &format!("{what} of {ROLLOUTS} rollouts, beside hostile components"),
            &format!("{beside}, of {}", beside.count()),
        );
        let added = |part| beside.part(part).saturating_sub(alone.part(part));
        row(
            &format!("{what}: what the hostile ones add"),
            &format!("p50 {:.1?}, p99 {:.1?}", added(50), added(99)),
        );
    }
    Ok(())
}

/// A measurement and a routing of every rollout, again and again for a while.
async fn crowd(host: &ComponentHost, lasts: Duration) -> Result<Pace> {
    let until = Instant::now() + lasts;
    let mut rollouts = JoinSet::new();
    for number in 0..ROLLOUTS {
        let (host, rest) = (host.clone(), Duration::from_millis(100 + number));
        rollouts.spawn(async move {
            let call = prometheus_call(&format!("run-{number}"));
            let (wanted, objects) = nginx_wish(&format!("web-{number}"));
            let (mut measured, mut routed) = (Vec::new(), Vec::new());
            // Rollouts do not begin in the same moment.
            tokio::time::sleep(rest).await;
            while Instant::now() < until {
                let begun = Instant::now();
                host.measure("prometheus", &call).await?;
                measured.push(begun.elapsed());
                let begun = Instant::now();
                host.route("nginx", &wanted, &objects).await?;
                routed.push(begun.elapsed());
                tokio::time::sleep(rest).await;
            }
            Ok::<_, Fault>((measured, routed))
        });
    }
    let (mut measured, mut routed) = (Vec::new(), Vec::new());
    while let Some(done) = rollouts.join_next().await {
        let (more_measured, more_routed) = done?.context("a well-behaved call failed")?;
        measured.extend(more_measured);
        routed.extend(more_routed);
    }
    Ok(Pace { measured: Sorted::of(measured), routed: Sorted::of(routed) })
}

const HOSTILE: [&str; 5] = ["loops", "loops-too", "allocates", "floods", "hangs"];

/// Have hostile components called until what is returned is dropped.
async fn attack(host: &ComponentHost) -> Result<JoinSet<()>> {
    let forever = "(loop $on (br $on))";
    let touch_all = "(loop $on (drop (memory.grow (i32.const 1)))
        (i32.store (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 4)) (i32.const 1))
        (br $on))";
    let hangs = asking(&format!("http://{HANGS}/"));
    let bytes =
        [attacker(forever), attacker(forever), attacker(touch_all), flooding_the_log(), hangs];
    let mut calls = JoinSet::new();
    for (name, bytes) in HOSTILE.into_iter().zip(bytes) {
        host.install_on(name, bytes, Origin::Other("hostile".to_owned()), terms()).await?;
        for _ in 0..Limits::of(Kind::Metric).concurrency {
            let host = host.clone();
            calls.spawn(async move {
                let call = MetricCall { config: "{}".to_owned(), ..MetricCall::default() };
                loop {
                    if let Err(Fault::Suspended { for_ms }) = host.measure(name, &call).await {
                        tokio::time::sleep(Duration::from_millis(for_ms)).await;
                    }
                }
            });
        }
    }
    Ok(calls)
}
