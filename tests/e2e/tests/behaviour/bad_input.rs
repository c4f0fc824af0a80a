//! What is wrong is named, with the object, the field and the way out; nothing is lost; and the
//! release goes on by itself once it was mended.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Result, bail, ensure};
use axum::{Router, routing::any};
use serde_json::json;
use sluice_e2e::{
    App, Controller, Event, Kind, Namespace, Prometheus, Rollout, eventually, manifest,
};
use tokio::{net::TcpListener, task::JoinHandle};

const LIMIT: Duration = Duration::from_secs(120);

const HALF: &str = "steps: [{setWeight: 50}]";
const JUDGED: &str = "steps: [{setWeight: 50}, {analysis: {templates: [{templateName: judge}]}}]";

async fn start(test: &str) -> Result<Namespace> {
    let namespace = Namespace::new(test).await?;
    Controller::shared(&namespace).await?;
    Ok(namespace)
}

fn contains_all(text: &str, parts: &[&str]) -> Result<()> {
    match parts.iter().find(|part| !text.contains(*part)) {
        None => Ok(()),
        Some(part) => bail!("`{part}` is not in: {text}"),
    }
}

/// Awaits a message in the status that has all `parts`.
async fn until_said(web: &Rollout<'_>, parts: &[&str]) -> Result<()> {
    web.until(&format!("a message with {parts:?}"), LIMIT, |status| {
        contains_all(status["message"].as_str().unwrap_or_default(), parts)
    })
    .await?;
    Ok(())
}

/// Awaits a warning with the reason `reason` and a message that has all `parts`.
async fn until_warned(web: &Rollout<'_>, reason: &str, parts: &[&str]) -> Result<Event> {
    eventually(&format!("a warning with {parts:?}"), LIMIT, async || {
        let events = web.events().await?;
        let warned = events.iter().find(|event| {
            event.severity == "Warning"
                && event.reason == reason
                && contains_all(&event.message, parts).is_ok()
        });
        warned.cloned().ok_or_else(|| anyhow::anyhow!("{events:?}"))
    })
    .await
}

/// Awaits that the specification is refused, with all `parts` in the status and in an event.
async fn until_refused(web: &Rollout<'_>, parts: &[&str]) -> Result<()> {
    until_said(web, &[&["InvalidSpec: "], parts].concat()).await?;
    web.until_phase("Degraded", LIMIT).await?;
    until_warned(web, "InvalidSpec", parts).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_missing_or_selects_others() -> Result<()> {
    let namespace = start("services").await?;
    let web = Rollout::new(&namespace, "web");
    namespace.apply(manifest::INGRESS).await?;
    namespace.apply(&manifest::service("web-stable")).await?;
    let canary = format!("{}, {HALF}", manifest::NGINX);
    namespace.apply(&manifest::rollout(2, &canary, "")).await?;
    let missing = ["canaryService", "service \"web-canary\" not found", "create it"];
    until_refused(&web, &missing).await?;

    let astray = manifest::service("web-canary").replace("{app: web}", "{app: shop}");
    namespace.apply(&astray).await?;
    let unmatched = ["canaryService", "\"web-canary\" has unmatch label \"app\"", "app=shop"];
    until_refused(&web, &unmatched).await?;

    namespace.apply(&manifest::service("web-canary")).await?;
    let status = web.until_phase("Healthy", LIMIT).await?;
    assert!(!status["conditions"].to_string().contains("InvalidSpec"), "{status}");

    // The same in the life of a release: what runs goes on running.
    namespace.delete(Kind::SERVICE, "web-canary").await?;
    until_refused(&web, &missing).await?;
    assert_eq!(web.revisions().await?[0].available, 2);
    namespace.apply(&manifest::service("web-canary")).await?;
    web.until_phase("Healthy", LIMIT).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_analysis_template_that_is_missing_and_a_weight_that_is_none() -> Result<()> {
    let namespace = start("specs").await?;
    let web = Rollout::new(&namespace, "web");
    namespace.apply(&manifest::rollout(2, JUDGED, "")).await?;
    until_refused(&web, &["spec.strategy.canary.steps[1].analysis", "judge", "not found"]).await?;
    let good = manifest::judge("http://127.0.0.1:1", "up", "true", "");
    namespace.apply(&good).await?;
    web.until_phase("Healthy", LIMIT).await?;

    namespace.apply(&manifest::rollout(2, "steps: [{setWeight: 120}]", "")).await?;
    let weight = ["spec.strategy.canary.steps[0].setWeight", "120", "between 0 and 100"];
    until_refused(&web, &weight).await?;
    assert_eq!(web.revisions().await?[0].available, 2, "what runs goes on running");
    namespace.apply(&manifest::rollout(2, HALF, "")).await?;
    web.until_phase("Healthy", LIMIT).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingress_that_is_missing_or_somebody_elses() -> Result<()> {
    let namespace = start("ingress").await?;
    let web = Rollout::new(&namespace, "web");
    namespace.apply(&manifest::services()).await?;
    let canary = format!("{}, {HALF}", manifest::NGINX);
    namespace.apply(&manifest::rollout(2, &canary, "")).await?;
    let missing = ["nginx", "ingress `web` not found", "trafficRouting.nginx.stableIngress"];
    until_warned(&web, "InvalidSpec", &missing).await?;
    until_said(&web, &missing).await?;
    assert_eq!(web.status().await?["phase"], "Degraded");
    // A release waits for it, with all its pods, and says why.
    web.set_image("example:2").await?;
    until_said(&web, &missing).await?;
    assert_eq!(web.revisions().await?[0].available, 2, "the stable pods stay");

    let taken = manifest::INGRESS.replace("{name: web}", "{name: web-web-canary}");
    namespace.apply(&taken).await?;
    namespace.apply(manifest::INGRESS).await?;
    let taken = ["canary ingress `web-web-canary` is controlled by nothing", "delete or rename it"];
    until_said(&web, &taken).await?;
    until_warned(&web, "InvalidSpec", &taken).await?;
    let untouched = namespace.get(Kind::INGRESS, "web-web-canary").await?;
    assert_eq!(untouched["metadata"]["annotations"], json!(null), "it is left alone");

    namespace.delete(Kind::INGRESS, "web-web-canary").await?;
    let status = web.until_phase("Healthy", LIMIT).await?;
    assert_eq!(status["message"], json!(null));
    eventually("the weight to return to 0", LIMIT, async || {
        let weight = web.nginx_weight("web").await?;
        ensure!(weight == Some(0), "{weight:?}");
        Ok(())
    })
    .await?;
    Ok(())
}

/// What the judge's first measurement says, and how its run stands.
async fn judged(web: &Rollout<'_>) -> Result<(String, String)> {
    let runs = web.analysis_runs().await?;
    let Some(run) = runs.last() else { bail!("there is no analysis run") };
    let text = |path: &str| {
        run.pointer(path).and_then(|value| value.as_str()).unwrap_or_default().to_owned()
    };
    Ok((text("/status/metricResults/0/measurements/0/message"), text("/status/phase")))
}

/// Awaits that the first measurement is an error whose message has all `parts`, and that the run
/// has not ended by it.
async fn until_error(web: &Rollout<'_>, parts: &[&str]) -> Result<()> {
    eventually(&format!("a measurement with {parts:?}"), LIMIT, async || {
        let (message, phase) = judged(web).await?;
        contains_all(&message, parts)?;
        ensure!(phase == "Running", "{phase}: {message}");
        Ok(())
    })
    .await
}

/// Deploys `example:1`, and begins to release `example:2` under the judgement of `template`.
async fn release<'a>(namespace: &'a Namespace, template: &str) -> Result<Rollout<'a>> {
    let web = Rollout::new(namespace, "web");
    namespace.apply(template).await?;
    namespace.apply(&manifest::rollout(2, JUDGED, "")).await?;
    web.until_phase("Healthy", LIMIT).await?;
    web.set_image("example:2").await?;
    Ok(web)
}

/// Answers every request at `address` as a Prometheus that knows one series with the value 0.
async fn answer(address: SocketAddr) -> Result<JoinHandle<()>> {
    let body = json!({"status": "success", "data": {"resultType": "vector",
        "result": [{"metric": {}, "value": [1, "0"]}]}});
    let body = body.to_string();
    let page = any(move || {
        let body = body.clone();
        async move { ([("content-type", "application/json")], body) }
    });
    let listener = TcpListener::bind(address).await?;
    Ok(tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, Router::new().fallback(page)).await {
            eprintln!("the server of answers ended: {error}");
        }
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prometheus_that_is_away() -> Result<()> {
    let namespace = start("away").await?;
    let address = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let url = format!("http://{address}");
    let judge = manifest::judge(&url, "up", "result[0] < 1", "");
    let web = release(&namespace, &judge).await?;
    until_error(&web, &[&address.to_string()]).await?;

    let server = answer(address).await?;
    web.until_phase("Healthy", LIMIT).await?;
    server.abort();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_without_a_result() -> Result<()> {
    let namespace = start("empty").await?;
    let app = App::start().await?;
    let targets = [("app", app.address())];
    let prometheus = Prometheus::scraping(&targets, Duration::from_millis(250)).await?;
    let query = r#"http_requests_total{version="v2",code="500"}"#;
    let judge = manifest::judge(&prometheus.url(), query, "result[0] < 1", "");
    let web = release(&namespace, &judge).await?;
    until_error(&web, &["successCondition", "result[0] < 1", "no data"]).await?;

    app.request("v2").await?;
    web.until_phase("Healthy", LIMIT).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_is_not_a_number() -> Result<()> {
    let namespace = start("nan").await?;
    let prometheus = Prometheus::scraping(&[], Duration::from_secs(1)).await?;
    let judge = manifest::judge(&prometheus.url(), "vector(0) / 0", "result[0] < 1", "");
    let web = release(&namespace, &judge).await?;
    let status = web.until_phase("Degraded", LIMIT).await?;
    let message = status["message"].as_str().unwrap_or_default();
    contains_all(message, &["RolloutAborted", "error-rate", "Failed"])?;
    let run = web.analysis_runs().await?.pop().unwrap_or_default();
    let measured = &run["status"]["metricResults"][0]["measurements"][0];
    assert_eq!(measured["phase"], "Failed", "not a number is never good: {measured}");
    assert_eq!(measured["value"], "[NaN]");
    web.until("the stable pods to be back", LIMIT, |status| {
        ensure!(status["availableReplicas"] == 2 && status["updatedReplicas"].is_null());
        Ok(())
    })
    .await?;

    let judge = manifest::judge(&prometheus.url(), "vector(0)", "result[0] < 1", "");
    namespace.apply(&judge).await?;
    web.retry().await?;
    web.until_phase("Healthy", LIMIT).await?;
    Ok(())
}
