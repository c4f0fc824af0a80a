//! A release on a real control plane: the controller, ingress-nginx annotations, a real
//! Prometheus, and an application whose error rate it measures. `make cluster-demo` runs it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use sluice_e2e::{App, Controller, History, Namespace, Prometheus, Rollout, eventually, manifest};

const LIMIT: Duration = Duration::from_secs(120);

const STEPS: &str = "steps: [{setWeight: 20}, {pause: {duration: 5s}}, {analysis: {templates: \
     [{templateName: judge}]}}, {setWeight: 60}, {pause: {duration: 5s}}, {analysis: {templates: \
     [{templateName: judge}]}}]";

const ERRORS: &str = r#"sum(rate(http_requests_total{version="v2",code="500"}[3s])) / sum(rate(http_requests_total{version="v2"}[3s]))"#;

#[tokio::main]
async fn main() -> Result<()> {
    println!("Starting etcd, kube-apiserver, controllers, Prometheus and an application ...");
    let namespace = Namespace::new("demo").await?;
    let app = App::start().await?;
    let targets = [("app", app.address())];
    let prometheus = Prometheus::scraping(&targets, Duration::from_millis(250)).await?;
    let _controller = Controller::start(&namespace, &[]).await?;
    let web = Rollout::new(&namespace, "web");
    let weights = Arc::new(web.nginx_weights("web").await?);
    let _load = app.load(100, by_weight(Arc::clone(&weights)))?;

    namespace.apply(&manifest::services()).await?;
    namespace.apply(manifest::INGRESS).await?;
    let condition = "len(result) > 0 && result[0] <= 0.05";
    let more = "count: 3\n    interval: 1s\n    failureLimit: 1";
    namespace.apply(&manifest::judge(&prometheus.url(), ERRORS, condition, more)).await?;
    let canary = format!("{}, {STEPS}", manifest::NGINX);
    namespace.apply(&manifest::rollout(5, &canary, "")).await?;
    web.until_phase("Healthy", LIMIT).await?;
    println!("Version 1 is healthy with 5 pods. Releasing version 2, of which 1 % fails.\n");

    app.set_error_rate("v2", 0.01)?;
    let started = Instant::now();
    web.set_image("example:2").await?;
    follow(&web, started).await?;
    let (good, bad) = app.counts("v2");
    println!(
        "\nVersion 2 is stable. It answered {} requests on the way, {bad} of them badly.",
        good + bad
    );
    Ok(())
}

/// Print every event of the release as it comes, until the rollout is healthy again.
async fn follow(web: &Rollout<'_>, started: Instant) -> Result<()> {
    let mut told = BTreeSet::new();
    eventually("the release to be promoted", LIMIT, async || {
        for event in web.events().await? {
            let line = format!("{:<24} {}", event.reason, event.message);
            if told.insert(line.clone()) {
                println!("{:>6.1} s  {line}", started.elapsed().as_secs_f64());
            }
        }
        let status = web.status().await?;
        let promoted =
            status["stableRS"] == status["currentPodHash"] && status["phase"] == "Healthy";
        let observed = told.iter().any(|line| line.contains("Completed all"));
        anyhow::ensure!(promoted && observed, "{}: {}", status["phase"], status["message"]);
        Ok(())
    })
    .await
}

/// The version of each next request: as many of `v2` as the canary's weight says.
fn by_weight(weights: Arc<History<u32>>) -> impl FnMut() -> String + Send + 'static {
    let mut owed = 0;
    move || {
        owed += weights.values().last().copied().unwrap_or_default();
        let canary = owed >= 100;
        if canary {
            owed -= 100;
        }
        if canary { "v2".into() } else { "v1".into() }
    }
}
