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
    ComponentHost, Credential, Earlier, Grants, Held, HostConfig, Kind, Origin, Private, Server,
    Swap, Terms,
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
async fn a_request_says_which_call_it_belongs_to() {
    let kept = Arc::new(Kept::default());
    let config = HostConfig { traces: true, ..HostConfig::new(kept.clone()) };
    let host = ComponentHost::new(config).unwrap();
    let terms = Terms { grants: Some(Grants::any_server()), ..Terms::default() };
    host.install_on(NAME, provider(0.0), object(), terms).await.unwrap();
    for _ in 0..2 {
        host.measure(NAME, &call("", act::FETCH)).await.unwrap();
    }
    let sent = kept.0.lock().unwrap();
    let parent = |index: usize| sent[index].headers[0].clone();
    assert_eq!((parent(0).0.as_str(), parent(0).1.len()), ("traceparent", 55));
    assert_ne!(parent(0), parent(1), "each call is a trace of its own");
}

#[tokio::test]
async fn calls_wait_for_a_component_that_is_still_to_come_and_no_others_do() {
    let host = host();
    install(&host, 1.0, Origin::Bundled, Swap::Immediate).await;
    host.install("other", provider(5.0), Origin::Bundled).await.unwrap();
    host.hold(Held::Names([NAME.to_owned()].into()));
    let waiting = tokio::spawn({
        let host = host.clone();
        async move { measured(&host, "").await }
    });
    let other = host.measure("other", &call("", act::ANSWER)).await.unwrap().outcome;
    assert_eq!(other, Measured::Number(5.0));
    host.validate_metric(NAME, "{}").await.unwrap_err();
    assert!(!waiting.is_finished());
    install(&host, 2.0, object(), Swap::Immediate).await;
    host.hold(Held::Nobody);
    assert_eq!(waiting.await.unwrap(), Measured::Number(2.0), "it waited for the one to come");
}

/// A measurement for a run that remembers a component by its digest.
async fn remembered(host: &ComponentHost, run: &str, digest: &str) -> Measured {
    let call = MetricCall { component: Some(format!("{NAME}@{digest}")), ..call(run, act::ANSWER) };
    host.measure(NAME, &call).await.unwrap().outcome
}

#[tokio::test]
async fn a_run_goes_on_with_what_it_remembers_if_that_was_in_use() {
    let before = host();
    install(&before, 1.0, object(), Swap::OnNewRun).await;
    let first = before.measure(NAME, &call("first", act::ANSWER)).await.unwrap();
    let (key, component) = first.metadata[0].clone();
    assert_eq!(key, "ResolvedComponent");
    let digest = component.strip_prefix("test@").unwrap();
    assert_eq!(digest, before.installed()[0].digest);

    // Another process, in which another component is called meanwhile.
    let host = host();
    install(&host, 2.0, object(), Swap::OnNewRun).await;
    assert_eq!(remembered(&host, "forged", digest).await, Measured::Number(2.0));
    let bytes = Arc::new(|| Some(provider(1.0)));
    host.recallable(NAME, Some(Earlier { digest: digest.to_owned(), bytes }));
    assert_eq!(remembered(&host, "first", digest).await, Measured::Number(1.0));
    assert_eq!(measured(&host, "first").await, Measured::Number(1.0), "and stays with it");
    assert_eq!(measured(&host, "second").await, Measured::Number(2.0));
    let lost = Arc::new(|| None);
    host.recallable(NAME, Some(Earlier { digest: format!("{digest}0"), bytes: lost }));
    assert_eq!(remembered(&host, "third", digest).await, Measured::Number(2.0));
    let other = Arc::new(|| Some(provider(3.0)));
    host.recallable(NAME, Some(Earlier { digest: "sha256:00".to_owned(), bytes: other }));
    let wrong = remembered(&host, "fourth", "sha256:00").await;
    assert_eq!(wrong, Measured::Number(2.0), "what was found is not what its digest says");
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
