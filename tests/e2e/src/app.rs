//! An application in several versions, with metrics of its own.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use tokio::{net::TcpListener, task::JoinHandle, time::MissedTickBehavior};

use crate::http;

/// A server in the test process that plays all versions of an application.
///
/// `GET /VERSION` is a request to that version. It is answered with 200, or
/// with 500 as often as the version's error rate says. `GET /metrics` tells
/// Prometheus what was answered:
///
/// ```text
/// http_requests_total{version="v1",code="200"} 42
/// ```
///
/// Versions spring into being with their first request or rate.
#[derive(Debug)]
pub struct App {
    address: SocketAddr,
    versions: Versions,
    task: JoinHandle<()>,
}

/// A load on an [`App`] that ends when this is dropped.
#[derive(Debug)]
pub struct Load(JoinHandle<()>);

type Versions = Arc<Mutex<BTreeMap<String, Version>>>;

#[derive(Debug, Default)]
struct Version {
    answered: u64,
    failed: u64,
    error_rate: f64,
    /// The part of an error that is owed, below one. Errors are spread evenly
    /// and not drawn, so that a rate holds over few requests as well.
    owed: f64,
}

impl Version {
    fn fails(&mut self) -> bool {
        self.owed += self.error_rate;
        let fails = self.owed >= 1.0;
        if fails {
            self.owed -= 1.0;
            self.failed += 1;
        } else {
            self.answered += 1;
        }
        fails
    }
}

impl App {
    /// Starts the server on a free port of the loopback interface.
    ///
    /// # Errors
    ///
    /// When there is no port.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let versions = Versions::default();
        let routes = Router::new()
            .route("/metrics", get(metrics))
            .route("/{version}", get(answer))
            .with_state(Arc::clone(&versions));
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, routes).await {
                eprintln!("the application's server ended: {error}");
            }
        });
        Ok(Self { address, versions, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on this share of the requests to `version` fails, from 0 to 1.
    /// It is 0 at first.
    ///
    /// # Errors
    ///
    /// When `rate` is no such share.
    pub fn set_error_rate(&self, version: &str, rate: f64) -> Result<()> {
        ensure!((0.0..=1.0).contains(&rate), "an error rate of {rate} is not within 0 and 1");
        lock(&self.versions).entry(version.to_owned()).or_default().error_rate = rate;
        Ok(())
    }

    /// Makes one request to `version`, and tells whether it succeeded.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub async fn request(&self, version: &str) -> Result<bool> {
        Ok(http::client()?.get(self.url(version)).send().await?.status().is_success())
    }

    /// How many requests to `version` were answered with 200, and with 500.
    pub fn counts(&self, version: &str) -> (u64, u64) {
        lock(&self.versions).get(version).map_or((0, 0), |known| (known.answered, known.failed))
    }

    /// Makes `per_second` requests a second, each to the version that `choose`
    /// names at that moment, until the result is dropped.
    ///
    /// # Errors
    ///
    /// When `per_second` is zero.
    pub fn load(
        &self,
        per_second: u32,
        mut choose: impl FnMut() -> String + Send + 'static,
    ) -> Result<Load> {
        let pause = Duration::from_secs(1).checked_div(per_second).context("a load of nothing")?;
        let client = http::client()?;
        let address = self.address;
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(pause);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                // The server counts what it answers; a request that fails
                // because the server has just ended counts nowhere.
                let _ = client.get(format!("http://{address}/{}", choose())).send().await;
            }
        });
        Ok(Load(task))
    }

    fn url(&self, version: &str) -> String {
        format!("http://{}/{version}", self.address)
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn answer(State(versions): State<Versions>, Path(version): Path<String>) -> StatusCode {
    if lock(&versions).entry(version).or_default().fails() {
        StatusCode::INTERNAL_SERVER_ERROR
    } else {
        StatusCode::OK
    }
}

async fn metrics(State(versions): State<Versions>) -> String {
    let mut text = String::from("# TYPE http_requests_total counter\n");
    for (version, counts) in lock(&versions).iter() {
        for (code, count) in [(200, counts.answered), (500, counts.failed)] {
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "http_requests_total{{version=\"{version}\",code=\"{code}\"}} {count}"
            );
        }
    }
    text
}

fn lock(versions: &Versions) -> MutexGuard<'_, BTreeMap<String, Version>> {
    versions.lock().unwrap_or_else(PoisonError::into_inner)
}
