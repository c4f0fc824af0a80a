//! Releases that are routed by ingress-nginx and judged by a real Prometheus.
//!
//! The requests of the load follow the weight of the canary Ingress, as a data plane would let
//! them, so that the version under test is measured by the traffic that it is given.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use serde_json::Value;
use sluice_e2e::{
    App, Capacity, Controller, History, Kind, Load, Namespace, Prometheus, Rollout, manifest,
};

const LIMIT: Duration = Duration::from_secs(120);

const STEPS: &str = "steps: [{setWeight: 20}, {pause: {duration: 4s}}, {analysis: {templates: \
     [{templateName: judge}]}}, {setWeight: 60}, {pause: {duration: 2s}}, {analysis: {templates: \
     [{templateName: judge}]}}]";

const ERRORS: &str = r#"sum(rate(http_requests_total{version="v2",code="500"}[3s])) / sum(rate(http_requests_total{version="v2"}[3s]))"#;

/// The application under load, what watches it, and a healthy first version of `web`.
struct Shop {
    app: App,
    weights: Arc<History<u32>>,
    capacity: Capacity,
    _load: Load,
    _prometheus: Prometheus,
}

impl Shop {
    async fn open(namespace: &Namespace) -> Result<Self> {
        let app = App::start().await?;
        let targets = [("app", app.address())];
        let prometheus = Prometheus::scraping(&targets, Duration::from_millis(250)).await?;
        Controller::shared(namespace).await?;
        let web = Rollout::new(namespace, "web");
        let weights = Arc::new(web.nginx_weights("web").await?);
        let capacity = Capacity::watch(namespace).await?;
        let load = app.load(100, versions(Arc::clone(&weights)))?;

        namespace.apply(&manifest::services()).await?;
        namespace.apply(manifest::INGRESS).await?;
        let condition = "len(result) > 0 && result[0] <= 0.05";
        let judge = manifest::judge(
            &prometheus.url(),
            ERRORS,
            condition,
            "count: 3\n    interval: 1s\n    failureLimit: 1",
        );
        namespace.apply(&judge).await?;
        let canary = format!("{}, {STEPS}", manifest::NGINX);
        namespace.apply(&manifest::rollout(5, &canary, "")).await?;
        web.until_phase("Healthy", LIMIT).await?;
        weights.ends_with(&0, LIMIT).await?;
        Ok(Self { app, weights, capacity, _load: load, _prometheus: prometheus })
    }
}

/// The version of each next request: as many of `v2` as the canary's weight says.
fn versions(weights: Arc<History<u32>>) -> impl FnMut() -> String + Send + 'static {
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

/// Records the revision that a Service selects.
async fn selections(namespace: &Namespace, service: &str) -> Result<History<String>> {
    History::record(namespace, Kind::SERVICE, service, |service| {
        let hash = service.pointer("/spec/selector/rollouts-pod-template-hash")?;
        hash.as_str().map(str::to_owned)
    })
    .await
}

fn phases(runs: &[Value]) -> Vec<&str> {
    runs.iter().map(|run| run["status"]["phase"].as_str().unwrap_or_default()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_release_is_promoted() -> Result<()> {
    let namespace = Namespace::new("good").await?;
    let shop = Shop::open(&namespace).await?;
    let web = Rollout::new(&namespace, "web");
    let stable = selections(&namespace, "web-stable").await?;
    let canary = selections(&namespace, "web-canary").await?;

    shop.app.set_error_rate("v2", 0.01)?;
    web.set_image("example:2").await?;
    web.until_phase("Healthy", LIMIT).await?;
    assert_eq!(shop.weights.ends_with(&0, LIMIT).await?, [0, 20, 60, 100, 0]);

    let hashes: Vec<_> = web.revisions().await?.into_iter().map(|set| set.hash).collect();
    assert_eq!(hashes.len(), 2);
    assert_eq!(stable.ends_with(&hashes[1], LIMIT).await?, hashes);
    assert_eq!(canary.ends_with(&hashes[1], LIMIT).await?, hashes);
    assert_eq!(phases(&web.analysis_runs().await?), ["Successful", "Successful"]);
    assert!(shop.app.counts("v2").0 > 0, "the canary got requests");
    let expected = [
        "RolloutNotCompleted",
        "NewReplicaSetCreated",
        "SwitchService",
        "AnalysisRunSuccessful",
        "RolloutCompleted",
    ];
    web.until_events(&expected, LIMIT).await?;
    // The replaced pods go once no request can reach them any more.
    web.until("the old pods to be gone", LIMIT, |status| {
        anyhow::ensure!(status["replicas"] == 5);
        Ok(())
    })
    .await?;
    assert_eq!(shop.capacity.shortages(5), [""; 0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_release_is_taken_back() -> Result<()> {
    let namespace = Namespace::new("bad").await?;
    let shop = Shop::open(&namespace).await?;
    let web = Rollout::new(&namespace, "web");
    let canary = selections(&namespace, "web-canary").await?;

    shop.app.set_error_rate("v2", 0.5)?;
    web.set_image("example:2").await?;
    let status = web.until_phase("Degraded", LIMIT).await?;
    let message = status["message"].as_str().unwrap_or_default();
    for part in ["RolloutAborted", "revision 2", "error-rate", "Failed"] {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
    assert_eq!(shop.weights.ends_with(&0, LIMIT).await?, [0, 20, 0]);

    let revisions = web.revisions().await?;
    assert_eq!(revisions[0].available, 5, "the stable revision kept its pods");
    assert_eq!(status["stableRS"], revisions[0].hash.as_str());
    canary.ends_with(&revisions[0].hash, LIMIT).await?;
    assert_eq!(phases(&web.analysis_runs().await?), ["Failed"]);
    web.until_events(&["RolloutNotCompleted", "AnalysisRunFailed"], LIMIT).await?;
    web.until_events(&["RolloutNotCompleted", "RolloutAborted"], LIMIT).await?;
    web.until("the canary's pods to be gone", LIMIT, |status| {
        anyhow::ensure!(status["replicas"] == 5);
        Ok(())
    })
    .await?;
    assert_eq!(shop.capacity.shortages(5), [""; 0]);
    Ok(())
}
