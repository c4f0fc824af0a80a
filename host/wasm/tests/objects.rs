//! Components of Plugin objects: who is called, who comes back, and what is kept from them.
#![expect(clippy::unwrap_used, reason = "helpers of tests may")]

mod fixture;

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use fixture::{Gate, act, provider};
use sluice_port::http::{Egress, HttpError, HttpRequest, HttpResponse};
use sluice_port::{Components, Measured, MetricCall};
use sluice_wasm::{
    ComponentHost, Credential, Grants, HostConfig, Kind, Origin, Private, Server, Swap, Terms,
};

const NAME: &str = "test";

fn host() -> ComponentHost {
    ComponentHost::new(HostConfig::new(Gate::with(1000))).unwrap()
}

fn object() -> Origin {
    Origin::Object("test".to_owned())
}

async fn install(host: &ComponentHost, number: f64, origin: Origin, swap: Swap) {
    let terms = Terms { swap, ..Terms::default() };
    host.install_on(NAME, provider(number), origin, terms).await.unwrap();
}

fn call(run: &str, what: u32) -> MetricCall {
    MetricCall {
        run: run.to_owned(),
        namespace: "shop".to_owned(),
        index: what,
        ..Default::default()
    }
}

async fn measured(host: &ComponentHost, run: &str) -> Measured {
    host.measure(NAME, &call(run, act::ANSWER)).await.unwrap().outcome
}

async fn trap(host: &ComponentHost) {
    host.measure(NAME, &call("", act::TRAP)).await.unwrap_err();
}

#[tokio::test]
async fn an_object_goes_before_a_folder_and_that_before_what_is_bundled() {
    let host = host();
    let folder = || Origin::File("test.wasm".into());
    install(&host, 1.0, Origin::Bundled, Swap::Immediate).await;
    install(&host, 3.0, object(), Swap::Immediate).await;
    install(&host, 2.0, folder(), Swap::Immediate).await;
    assert_eq!(measured(&host, "").await, Measured::Number(3.0));
    host.remove_object(Kind::Metric, NAME);
    assert_eq!(measured(&host, "").await, Measured::Number(2.0));
    host.remove(Kind::Metric, NAME);
    assert_eq!(measured(&host, "").await, Measured::Number(1.0));
    host.remove(Kind::Metric, NAME);
    assert_eq!(measured(&host, "").await, Measured::Number(1.0), "what is bundled stays");
}

#[tokio::test]
async fn three_faults_among_the_first_calls_bring_the_one_before_back() {
    let host = host();
    install(&host, 1.0, Origin::Bundled, Swap::Immediate).await;
    assert_eq!(measured(&host, "").await, Measured::Number(1.0));
    install(&host, 2.0, object(), Swap::Immediate).await;
    for _ in 0..2 {
        trap(&host).await;
        assert_eq!(measured(&host, "").await, Measured::Number(2.0));
    }
    assert_eq!(host.withdrawn(Kind::Metric, NAME), None);
    trap(&host).await;
    assert_eq!(measured(&host, "").await, Measured::Number(1.0));
    host.changed().await;
    let withdrawn = host.withdrawn(Kind::Metric, NAME).unwrap();
    assert_eq!((withdrawn.calls, withdrawn.faults), (5, 3));
    assert_eq!(withdrawn.instead, host.installed()[0].digest);
    assert!(withdrawn.first.unwrap().to_string().contains("unreachable"));

    install(&host, 3.0, object(), Swap::Immediate).await;
    assert_eq!(host.withdrawn(Kind::Metric, NAME), None, "another one is another matter");
}

#[tokio::test]
async fn nothing_comes_back_that_misbehaved_itself() {
    let host = host();
    install(&host, 1.0, Origin::Bundled, Swap::Immediate).await;
    trap(&host).await;
    install(&host, 2.0, object(), Swap::Immediate).await;
    for _ in 0..3 {
        trap(&host).await;
    }
    assert_eq!(host.withdrawn(Kind::Metric, NAME), None);
    assert!(host.installed()[0].suspended, "the breaker has opened instead");
}

#[tokio::test]
async fn a_run_ends_with_the_component_that_it_began_with() {
    let host = host();
    install(&host, 1.0, Origin::Bundled, Swap::Immediate).await;
    assert_eq!(measured(&host, "first").await, Measured::Number(1.0));
    install(&host, 2.0, object(), Swap::OnNewRun).await;
    assert_eq!(measured(&host, "first").await, Measured::Number(1.0));
    assert_eq!(measured(&host, "second").await, Measured::Number(2.0));
    assert_eq!(host.installed()[0].older, 1);
    let first = BTreeSet::from([("shop".to_owned(), "first".to_owned())]);
    assert_eq!(host.runs_on_older(), first);
    host.ended(&first);
    assert_eq!((host.installed()[0].older, host.runs_on_older()), (0, BTreeSet::new()));

    assert_eq!(measured(&host, "third").await, Measured::Number(2.0));
    install(&host, 3.0, object(), Swap::Immediate).await;
    assert_eq!(measured(&host, "third").await, Measured::Number(3.0), "not where it is immediate");
}

/// A network that keeps what was sent.
#[derive(Default)]
struct Kept(Mutex<Vec<HttpRequest>>);

impl Egress for Kept {
    fn send<'a>(
        &'a self,
        _plugin: &'a str,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>> {
        self.0.lock().unwrap().push(request);
        Box::pin(async { Ok(HttpResponse { status: 200, ..HttpResponse::default() }) })
    }
}

#[tokio::test]
async fn a_credential_is_added_on_the_way_out() {
    let kept = Arc::new(Kept::default());
    let host = ComponentHost::new(HostConfig::new(kept.clone())).unwrap();
    let grants: Grants =
        serde_json::from_str(r#"{"http": [{"url": "http://metrics.test"}]}"#).unwrap();
    let server = Server::try_from("http://metrics.test".to_owned()).unwrap();
    let credential = Credential { server, header: "x-key".to_owned(), value: "hunter2".to_owned() };
    let private = Private { credentials: vec![credential], ..Private::default() };
    let terms = Terms { grants: Some(grants), private, ..Terms::default() };
    host.install_on(NAME, provider(0.0), object(), terms).await.unwrap();
    host.measure(NAME, &call("", act::FETCH)).await.unwrap();
    let sent = kept.0.lock().unwrap()[0].headers.clone();
    assert_eq!(sent, [("x-key".to_owned(), "hunter2".to_owned())]);
    let server = Server::try_from("http://metrics.test".to_owned()).unwrap();
    let other = Credential { server, header: "x-key".to_owned(), value: "rotated".to_owned() };
    let other = Private { credentials: vec![other], ..Private::default() };
    host.entrust(Kind::Metric, NAME, other);
    host.measure(NAME, &call("", act::FETCH)).await.unwrap();
    let sent = kept.0.lock().unwrap();
    assert_eq!(sent[1].headers[0].1, "rotated");
    let known = format!("{:?}", host.installed());
    assert!(!known.contains("hunter2"), "{known}");
}

#[tokio::test]
async fn a_rehearsal_changes_nothing_for_anybody() {
    let host = host();
    install(&host, 1.0, Origin::Bundled, Swap::Immediate).await;
    let prepared = host.prepare(NAME, provider(2.0), object(), Terms::default()).await.unwrap();
    let refusal = host.rehearse(&prepared, "{}").await.unwrap_err();
    assert_eq!(refusal.kind(), "invalid-config", "this one wants the network: {refusal}");
    assert_eq!(measured(&host, "").await, Measured::Number(1.0));
    assert_eq!(host.enter(prepared).origin, object());
    assert_eq!(measured(&host, "").await, Measured::Number(2.0));
}
