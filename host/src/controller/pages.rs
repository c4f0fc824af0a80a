//! The pages for probes and for Prometheus.

use std::net::SocketAddr;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use sluice_kube::Health;
use sluice_wasm::ComponentHost;
use tokio::net::TcpListener;

use super::metrics;

/// What the pages tell of.
#[derive(Clone)]
pub struct Pages {
    /// The controller.
    pub health: Health,
    /// The components.
    pub host: ComponentHost,
}

/// Serve all pages at `address` from now on.
///
/// # Errors
/// When the address cannot be listened to.
pub async fn serve(address: SocketAddr, pages: Pages) -> anyhow::Result<()> {
    let listener =
        TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(measure))
        .with_state(pages);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%address, %error, "the pages are no longer served");
        }
    });
    Ok(())
}

/// A controller that waits for the lease is ready as well: it can take over at once.
async fn ready(State(pages): State<Pages>) -> impl IntoResponse {
    if pages.health.ready() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not everything has been seen yet\n")
    }
}

async fn measure(State(pages): State<Pages>) -> impl IntoResponse {
    let text = metrics::text(&pages.health.snapshot(), &pages.host.installed());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}
