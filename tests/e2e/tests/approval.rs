//! Steps of a component: the example that asks people, with the people played by the tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use sluice_e2e::{
    Controller, Kind, Namespace, Rollout, build_example, eventually, manifest, run_folder,
};
use tokio::net::TcpListener;
use tokio::sync::OnceCell;

const LIMIT: Duration = Duration::from_secs(60);

/// The service that people answer on, as the example's README describes it.
#[derive(Clone, Debug, Default)]
struct Service(Arc<Mutex<Requests>>);

#[derive(Debug, Default)]
struct Requests {
    /// The decision of each request by its key.
    decisions: BTreeMap<String, String>,
    /// How often the service was asked to ask people.
    asked: usize,
    /// How often somebody looked for an answer.
    looked: usize,
}

impl Service {
    async fn start() -> Result<(Self, String)> {
        let service = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        let routes = Router::new()
            .route("/approvals", post(ask).delete(withdraw))
            .route("/approvals/{key}", get(look))
            .with_state(service.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok((service, address))
    }

    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides every request that is there.
    fn decide(&self, decision: &str) {
        for decided in self.requests().decisions.values_mut() {
            *decided = decision.to_owned();
        }
    }

    async fn until_asked(&self) -> Result<String> {
        eventually("a question", LIMIT, async || {
            let requests = self.requests();
            let question = requests.decisions.keys().next();
            question.cloned().context("nobody was asked")
        })
        .await
    }

    /// Awaits that an answer is looked for after now.
    async fn until_looked(&self) -> Result<()> {
        let before = self.requests().looked;
        eventually("another look at the answer", LIMIT, async || {
            ensure!(self.requests().looked > before);
            Ok(())
        })
        .await
    }
}

fn request(key: &str, decision: &str) -> Value {
    json!({"id": key, "decision": decision, "by": "kim", "comment": "as planned"})
}

async fn ask(State(service): State<Service>, Json(body): Json<Value>) -> Json<Value> {
    let key = body["key"].as_str().unwrap_or_default().to_owned();
    let mut requests = service.requests();
    requests.asked += 1;
    let decision = requests.decisions.entry(key.clone()).or_insert_with(|| "pending".to_owned());
    Json(request(&key, decision))
}

async fn look(
    State(service): State<Service>,
    Path(key): Path<String>,
) -> Result<Json<Value>, StatusCode> {
    let mut requests = service.requests();
    requests.looked += 1;
    let decision = requests.decisions.get(&key).ok_or(StatusCode::NOT_FOUND)?;
    Ok(Json(request(&key, decision)))
}

async fn withdraw(
    State(service): State<Service>,
    Query(query): Query<BTreeMap<String, String>>,
) -> StatusCode {
    let withdrawn = query.get("key").and_then(|key| service.requests().decisions.remove(key));
    if withdrawn.is_some() { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

/// A folder with the example as the component `approval-step`.
async fn plugins() -> Result<&'static PathBuf> {
    static FOLDER: OnceCell<PathBuf> = OnceCell::const_new();
    FOLDER
        .get_or_try_init(|| async {
            let built = tokio::task::spawn_blocking(|| build_example("approval-step")).await??;
            let folder = run_folder()?.join("plugins");
            fs::create_dir_all(&folder)?;
            let grants =
                json!({"http": [{"url": "*", "methods": ["*"], "insecure": true}]}).to_string();
            fs::write(folder.join("approval-step.grants.json"), grants)?;
            fs::copy(&built, folder.join("approval-step.wasm"))
                .with_context(|| format!("failed to copy {}", built.display()))?;
            Ok(folder)
        })
        .await
}

/// A controller with the example, and an update of `web` that waits for people.
async fn at_the_question(namespace: &Namespace, address: &str) -> Result<Controller> {
    let folder = plugins().await?.to_str().context("the folder's name is not text")?;
    let controller = Controller::start(namespace, &["--plugins-dir", folder]).await?;
    let config = json!({"address": address, "question": "More?", "pollSeconds": 1});
    let canary = format!(
        "steps: [{{setWeight: 50}}, {{plugin: {{name: approval-step, config: {config}}}}}, \
         {{setWeight: 100}}]"
    );
    namespace.apply(&manifest::rollout(2, &canary, "")).await?;
    let web = Rollout::new(namespace, "web");
    web.until_phase("Healthy", LIMIT).await?;
    web.set_image("example:2").await?;
    Ok(controller)
}

#[tokio::test(flavor = "multi_thread")]
async fn people_who_agree_let_a_release_go_on_though_its_controller_was_killed() -> Result<()> {
    let (service, address) = Service::start().await?;
    let namespace = Namespace::new("approved").await?;
    let mut controller = at_the_question(&namespace, &address).await?;
    let web = Rollout::new(&namespace, "web");
    let key = service.until_asked().await?;
    service.until_looked().await?;
    let status = web.until_step(1, LIMIT).await?;
    let told = &status["canary"]["stepPluginStatuses"][0];
    assert_eq!((&told["name"], &told["phase"]), (&json!("approval-step"), &json!("Running")));

    controller.kill()?;
    controller.restart()?;
    service.until_looked().await?;
    let requests = service.requests().decisions.keys().cloned().collect::<Vec<_>>();
    assert_eq!((requests, service.requests().asked), (vec![key], 1));

    service.decide("approved");
    web.until_phase("Healthy", LIMIT).await?;
    web.until_pods(&[("1", 0), ("2", 2)], LIMIT).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn people_who_refuse_take_a_release_back() -> Result<()> {
    let (service, address) = Service::start().await?;
    let namespace = Namespace::new("refused").await?;
    let _controller = at_the_question(&namespace, &address).await?;
    let web = Rollout::new(&namespace, "web");
    service.until_asked().await?;
    service.decide("rejected");
    web.until_message("rejected by kim: as planned", LIMIT).await?;
    web.until_pods(&[("1", 2), ("2", 0)], LIMIT).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_withdraws_the_question() -> Result<()> {
    let (service, address) = Service::start().await?;
    let namespace = Namespace::new("withdrawn").await?;
    let _controller = at_the_question(&namespace, &address).await?;
    let web = Rollout::new(&namespace, "web");
    service.until_asked().await?;
    service.until_looked().await?;
    web.abort().await?;
    eventually("the question to be withdrawn", LIMIT, async || {
        ensure!(service.requests().decisions.is_empty());
        Ok(())
    })
    .await?;
    web.until_pods(&[("1", 2), ("2", 0)], LIMIT).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_of_a_component_that_is_not_there_says_so() -> Result<()> {
    let namespace = Namespace::new("nobody-asks").await?;
    let _controller = Controller::start(&namespace, &[]).await?;
    let canary = "steps: [{plugin: {name: approval-step}}, {pause: {}}]";
    namespace.apply(&manifest::rollout(1, canary, "")).await?;
    let web = Rollout::new(&namespace, "web");
    web.until_phase("Healthy", LIMIT).await?;
    web.set_image("example:2").await?;
    eventually("a step that names the component", LIMIT, async || {
        let status = web.status().await?;
        let told = status["canary"]["stepPluginStatuses"][0].to_string();
        ensure!(told.contains("approval-step") && told.contains("no step"), "{status}");
        Ok(())
    })
    .await?;
    assert_eq!(namespace.list(Kind::ROLLOUT, "").await?.len(), 1);
    Ok(())
}
