//! The components that are shipped, in the host that calls them.
#![expect(clippy::unwrap_used, reason = "helpers of tests may")]

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use sluice_bundled::BUNDLED;
use sluice_port::http::{Egress, HttpError, HttpRequest, HttpResponse};
use sluice_port::{Components, Fault, Measured, MetricCall};
use sluice_wasm::{ComponentHost, HostConfig, Kind, Origin, PluginInfo};

/// A Prometheus server that has one answer.
struct Server {
    status: u16,
    answer: &'static str,
    asked: Mutex<Vec<HttpRequest>>,
}

impl Egress for Server {
    fn send<'a>(
        &'a self,
        _plugin: &'a str,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>> {
        self.asked.lock().unwrap().push(request);
        let body = self.answer.as_bytes().to_vec();
        Box::pin(async move { Ok(HttpResponse { status: self.status, headers: Vec::new(), body }) })
    }
}

fn server(status: u16, answer: &'static str) -> Arc<Server> {
    Arc::new(Server { status, answer, asked: Mutex::default() })
}

async fn host(config: HostConfig) -> (ComponentHost, Vec<PluginInfo>) {
    let host = ComponentHost::new(config).unwrap();
    let mut infos = Vec::new();
    for bundled in BUNDLED {
        let bytes = bundled.bytes.to_vec();
        infos.push(host.install(bundled.name, bytes, Origin::Bundled).await.unwrap());
    }
    (host, infos)
}

async fn measure(server: &Arc<Server>, config: &str) -> Result<Measured, Fault> {
    let (host, _) = host(HostConfig::new(server.clone())).await;
    let call = MetricCall { config: config.to_owned(), ..MetricCall::default() };
    host.measure("prometheus", &call).await.map(|measurement| measurement.outcome)
}

const CONFIG: &str = r#"{"address": "http://prometheus.test:9090", "query": "up"}"#;

#[tokio::test]
async fn they_load_from_the_cache_and_ask_for_no_more_than_they_need() {
    let cache = tempfile::tempdir().unwrap();
    let config = || HostConfig {
        cache_dir: Some(cache.path().to_owned()),
        ..HostConfig::new(server(200, ""))
    };
    let (_, cold) = host(config()).await;
    let (_, warm) = host(config()).await;
    assert!(cold.iter().all(|info| !info.cached) && warm.iter().all(|info| info.cached));
    for info in warm {
        let ours = info.imports.iter().filter(|import| import.starts_with("sluice:host/"));
        let ours: Vec<_> = ours.map(String::as_str).collect();
        assert!(!ours.contains(&"sluice:host/kubernetes@0.1.0"), "{}: {ours:?}", info.name);
        if info.kind == Kind::Router {
            assert!(ours.iter().all(|import| *import == "sluice:host/log@0.1.0"), "{ours:?}");
        }
        println!("{}: {:?} from the cache", info.name, info.load_time);
    }
}

#[tokio::test]
async fn prometheus_is_asked_and_its_answer_is_read() {
    let answer = r#"{"status": "success", "data": {"resultType": "vector", "result": [
        {"metric": {}, "value": [1700000000, "0.75"]}, {"metric": {}, "value": [1700000000, "NaN"]}
    ]}}"#;
    let server = server(200, answer);
    let Ok(Measured::Numbers(numbers)) = measure(&server, CONFIG).await else {
        panic!("no numbers");
    };
    assert!(matches!(numbers[..], [first, second] if first == 0.75 && second.is_nan()));
    let asked = server.asked.lock().unwrap();
    assert!(asked[0].url.starts_with("http://prometheus.test:9090/api/v1/query"), "{asked:?}");
}

#[tokio::test]
async fn what_prometheus_complains_about_arrives() {
    let answer = r#"{"status": "error", "errorType": "bad_data", "error": "unexpected end"}"#;
    let fault = measure(&server(400, answer), CONFIG).await.unwrap_err();
    assert!(!fault.is_misbehaviour() && fault.to_string().contains("unexpected end"), "{fault:?}");
}

#[tokio::test]
async fn a_configuration_without_an_address_is_refused_by_the_field() {
    let server = server(200, "");
    let (host, _) = host(HostConfig::new(server.clone())).await;
    let fault = host.validate_metric("prometheus", "{}").await.unwrap_err();
    assert!(matches!(&fault, Fault::InvalidConfig(text) if text.contains("address")), "{fault:?}");
    assert!(server.asked.lock().unwrap().is_empty());
}
