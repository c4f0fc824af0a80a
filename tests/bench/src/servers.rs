//! Servers for components, played: answers that do not change, after a time that does not either.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use sluice_bundled::BUNDLED;
use sluice_port::http::{Egress, HttpError, HttpRequest, HttpResponse};
use sluice_port::{Destination, MetricCall, Routing};
use sluice_wasm::{ComponentHost, Grants, HostConfig, Origin, Terms};

/// A host name that never answers.
pub const HANGS: &str = "hangs.test";

/// Prometheus, the server of the SDKs' first example, and one that never answers.
pub struct Servers {
    /// How long each of them takes.
    pub take: Duration,
}

impl Egress for Servers {
    fn send<'a>(
        &'a self,
        _: &'a str,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>> {
        let vector = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1700000000,"0.97"]}]}}"#;
        let body = match request.url.contains("/rates") {
            true => r#"{"rate":0.02}"#,
            false => vector,
        };
        let answer = HttpResponse { status: 200, headers: Vec::new(), body: body.into() };
        Box::pin(async move {
            if request.url.contains(HANGS) {
                tokio::time::sleep(Duration::from_millis(request.timeout_ms)).await;
                return Err(HttpError::Timeout);
            }
            if !self.take.is_zero() {
                tokio::time::sleep(self.take).await;
            }
            Ok(answer)
        })
    }
}

/// A host with what is bundled, whose servers take this long.
pub async fn host(cache: Option<&Path>, take: Duration) -> Result<ComponentHost> {
    let mut config = HostConfig::new(Arc::new(Servers { take }));
    config.cache_dir = cache.map(Path::to_path_buf);
    let host = ComponentHost::new(config)?;
    for bundled in BUNDLED {
        host.install(bundled.name, bundled.bytes.to_vec(), Origin::Bundled).await?;
    }
    Ok(host)
}

/// The bytes of a bundled component.
pub fn bundled(name: &str) -> Result<&'static [u8]> {
    let found = BUNDLED.iter().find(|bundled| bundled.name == name);
    Ok(found.with_context(|| format!("{name} is not bundled"))?.bytes)
}

/// The same component with another digest: with a section that means nothing at its end.
pub fn padded(bytes: &[u8], mark: u8) -> Vec<u8> {
    // The section's number, its length, and its name with the length of that.
    [bytes, &[0, 3, 2, b'a' + mark / 26, b'a' + mark % 26]].concat()
}

/// Any server, as the bundled ones have it.
pub fn terms() -> Terms {
    Terms { grants: Some(Grants::any_server()), ..Terms::default() }
}

/// A measurement by the bundled Prometheus.
pub fn prometheus_call(run: &str) -> MetricCall {
    let config = serde_json::json!({"address": "http://prometheus:9090", "query": "up"});
    let (config, metric) = (config.to_string(), "m".to_owned());
    MetricCall { run: run.to_owned(), config, metric, ..MetricCall::default() }
}

/// What the bundled nginx is to bring about, and the Ingress with which it begins.
pub fn nginx_wish(rollout: &str) -> (Routing, Vec<String>) {
    let side = |service: &str, weight| Destination {
        service: service.into(),
        pod_hash: "h".into(),
        weight,
    };
    let wanted = Routing {
        namespace: "ns".into(),
        rollout: rollout.into(),
        rollout_uid: "u".into(),
        config: serde_json::json!({"stableIngress": "web"}).to_string(),
        stable: side("stable", 80),
        canary: side("canary", 20),
        total_weight: 100,
        extensions: "{}".into(),
        ..Routing::default()
    };
    let backend = serde_json::json!({"service": {"name": "stable", "port": {"number": 80}}});
    let path = serde_json::json!({"path": "/", "pathType": "Prefix", "backend": backend});
    let ingress = serde_json::json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": "web", "namespace": "ns"},
        "spec": {"rules": [{"host": "web.test", "http": {"paths": [path]}}]},
    });
    (wanted, vec![ingress.to_string()])
}
