//! Notifications: the example that posts them, and a server played by the tests.

use std::collections::VecDeque;
use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use sluice_e2e::{
    Controller, Kind, Namespace, Rollout, build_example, eventually, manifest, run_folder,
};
use tokio::net::TcpListener;

const LIMIT: Duration = Duration::from_secs(60);
const OUTBOX: &str = "sluice.dev/notifications";
const STEPS: &str = "steps: [{setWeight: 50}, {pause: {}}]";

/// What a server answers to one request.
#[derive(Clone, Copy, Debug)]
enum Does {
    Answer(StatusCode),
    /// It takes the request, and never answers.
    Hang,
}

/// A server that writes down what it is told.
#[derive(Clone, Debug, Default)]
struct Server(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    /// The key in the header, and the body, of each request.
    requests: Vec<(String, Value)>,
    /// What is answered to the next ones; then everything is well.
    next: VecDeque<Does>,
}

impl Server {
    async fn start(next: &[Does]) -> Result<(Self, String)> {
        let told = Told { next: next.iter().copied().collect(), ..Told::default() };
        let server = Self(Arc::new(Mutex::new(told)));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/hook", listener.local_addr()?);
        let routes = Router::new().route("/hook", post(hear)).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok((server, url))
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn until_asked(&self, times: usize) -> Result<Vec<(String, Value)>> {
        eventually(&format!("{times} requests"), LIMIT, async || {
            let requests = self.told().requests.clone();
            ensure!(requests.len() >= times, "{requests:?}");
            Ok(requests)
        })
        .await
    }
}

async fn hear(
    State(server): State<Server>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> StatusCode {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok());
    let does = {
        let mut told = server.told();
        told.requests.push((key.unwrap_or_default().to_owned(), body));
        told.next.pop_front().unwrap_or(Does::Answer(StatusCode::OK))
    };
    match does {
        Does::Answer(status) => status,
        Does::Hang => std::future::pending().await,
    }
}

/// A controller with the example, configured to post to `url`.
async fn controller(namespace: &Namespace, url: &str) -> Result<Controller> {
    let built = tokio::task::spawn_blocking(|| build_example("webhook")).await??;
    let folder = run_folder()?.join(format!("plugins-{}", namespace.name()));
    fs::create_dir_all(&folder)?;
    let grants = json!({"http": [{"url": "*", "methods": ["POST"], "insecure": true}]});
    fs::write(folder.join("webhook.grants.json"), grants.to_string())?;
    fs::write(folder.join("webhook.config.json"), json!({"url": url}).to_string())?;
    fs::copy(&built, folder.join("webhook.wasm"))
        .with_context(|| format!("failed to copy {}", built.display()))?;
    let folder = folder.to_str().context("the folder's name is not text")?;
    Controller::start(namespace, &["--plugins-dir", folder]).await
}

/// A release of `web` that waits for somebody, of a rollout that subscribed to these.
async fn at_the_pause<'n>(namespace: &'n Namespace, subscribed: &[&str]) -> Result<Rollout<'n>> {
    let annotations: Vec<_> = subscribed
        .iter()
        .map(|what| format!("notifications.argoproj.io/subscribe.{what}: ops;shop"))
        .collect();
    let rollout = manifest::rollout(2, STEPS, "");
    let named = format!("{{name: web, annotations: {{{}}}}}", annotations.join(", "));
    namespace.apply(&rollout.replacen("{name: web}", &named, 1)).await?;
    let web = Rollout::new(namespace, "web");
    web.until_phase("Healthy", LIMIT).await?;
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;
    Ok(web)
}

async fn outbox(namespace: &Namespace) -> Result<Value> {
    let rollout = namespace.get(Kind::ROLLOUT, "web").await?;
    Ok(rollout["metadata"]["annotations"][OUTBOX].clone())
}

async fn until_nothing_waits(namespace: &Namespace) -> Result<()> {
    eventually("an empty outbox", LIMIT, async || {
        let waiting = outbox(namespace).await?;
        ensure!(waiting.is_null(), "{waiting}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_is_told_under_one_key_though_the_controller_was_killed_meanwhile() -> Result<()> {
    let (server, url) = Server::start(&[Does::Hang]).await?;
    let namespace = Namespace::new("notified").await?;
    let mut controller = controller(&namespace, &url).await?;
    let web = at_the_pause(&namespace, &["on-rollout-aborted.webhook"]).await?;
    assert_eq!(outbox(&namespace).await?, Value::Null, "nobody asked for what happened so far");
    web.abort().await?;
    server.until_asked(1).await?;
    // It has it, and whoever asked it is gone before the answer.
    controller.kill()?;
    assert!(outbox(&namespace).await?.is_string());
    controller.restart()?;
    let requests = server.until_asked(2).await?;
    until_nothing_waits(&namespace).await?;
    let (key, body) = &requests[0];
    assert!(!key.is_empty() && requests.iter().all(|(other, _)| other == key), "{requests:?}");
    assert_eq!((&body["reason"], &body["severity"]), (&json!("RolloutAborted"), &json!("Warning")));
    assert_eq!(body["message"], "Rollout aborted update to revision 2");
    assert_eq!((&body["rollout"], &body["revision"]), (&json!("web"), &json!("2")));
    assert_eq!((&body["images"], &body["key"]), (&json!(["example:2"]), &json!(key)));
    assert_eq!(body["recipients"], json!(["ops", "shop"]));

    // What was confirmed is told to nobody again.
    controller.kill()?;
    controller.restart()?;
    controller.until_ready().await?;
    web.retry().await?;
    web.until_paused_at(1, LIMIT).await?;
    web.abort().await?;
    let requests = server.until_asked(3).await?;
    assert_eq!(requests.len(), 3);
    assert_ne!(requests[2].0, *key, "another abort is another fact");
    until_nothing_waits(&namespace).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_busy_is_asked_again_under_the_same_key() -> Result<()> {
    let busy = Does::Answer(StatusCode::SERVICE_UNAVAILABLE);
    let (server, url) = Server::start(&[busy, busy]).await?;
    let namespace = Namespace::new("renotified").await?;
    let controller = controller(&namespace, &url).await?;
    let web = at_the_pause(&namespace, &["on-rollout-aborted.webhook"]).await?;
    web.abort().await?;
    let requests = server.until_asked(3).await?;
    assert!(requests.iter().all(|(key, _)| *key == requests[0].0), "{requests:?}");
    until_nothing_waits(&namespace).await?;
    assert_eq!(server.told().requests.len(), 3);
    let page = controller.http("/metrics").await?;
    for metric in ["notification_send_error", "notification_send_success"] {
        assert!(page.contains(metric), "no {metric}");
    }
    let events = namespace.events(Kind::ROLLOUT, "web").await?;
    let said = events.iter().any(|event| event.reason.starts_with("Notification"));
    assert!(!said, "what passes by itself is nobody's business: {events:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notifier_that_is_not_there_is_told_once_and_holds_up_nobody() -> Result<()> {
    let namespace = Namespace::new("unnotified").await?;
    let _controller = Controller::start(&namespace, &[]).await?;
    let all = ["on-rollout-aborted.nobody", "on-rollout-paused.nobody"];
    let web = at_the_pause(&namespace, &all).await?;
    web.abort().await?;
    web.until_pods(&[("1", 2), ("2", 0)], LIMIT).await?;
    let failed = eventually("an Event", LIMIT, async || {
        let events = namespace.events(Kind::ROLLOUT, "web").await?;
        let failed = events.into_iter().filter(|event| event.reason == "NotificationFailed");
        let failed: Vec<_> = failed.collect();
        ensure!(!failed.is_empty());
        Ok(failed)
    })
    .await?;
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert!(failed[0].message.contains("nobody"), "{failed:?}");
    // It waits for somebody to install one, or to subscribe no more.
    assert!(outbox(&namespace).await?.is_string());
    let none = json!({"metadata": {"annotations": {
        "notifications.argoproj.io/subscribe.on-rollout-aborted.nobody": null,
        "notifications.argoproj.io/subscribe.on-rollout-paused.nobody": null,
    }}});
    namespace.merge(Kind::ROLLOUT, "web", &none).await?;
    until_nothing_waits(&namespace).await
}
