//! The shell against an API server that is a closure: leases, and writes that meet resistance.
#![expect(clippy::unwrap_used, reason = "a test ends when its own server is at fault")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Method, Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use sluice_kube::ApiError;
use sluice_kube::lease::{Candidate, Term};
use sluice_kube::perform::Writer;
use sluice_wire::rollout::{Target, Verb, Write};
use tokio::time::{Instant, timeout};

type Answer = (u16, Value);

/// A client of an API server that answers with `serve`.
fn client(serve: impl Fn(&Method, &str, Value) -> Answer + Send + Sync + 'static) -> Client {
    let serve = Arc::new(serve);
    let service = tower::service_fn(move |request: Request<Body>| {
        let serve = serve.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect_bytes().await?;
            let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
            let (status, body) = serve(&parts.method, parts.uri.path(), body);
            let body = Body::from(body.to_string().into_bytes());
            Response::builder().status(status).body(body).map_err(tower::BoxError::from)
        }
    });
    Client::new(service, "default")
}

fn refusal(code: u16, reason: &str) -> Answer {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": reason,
        "reason": reason, "code": code,
    });
    (code, status)
}

/// One Lease, with versions as the API server keeps them.
#[derive(Clone, Default)]
struct Leases {
    lease: Arc<Mutex<Option<Value>>>,
    down: Arc<Mutex<bool>>,
}

impl Leases {
    fn client(&self) -> Client {
        let this = self.clone();
        client(move |method, _, body| {
            if *this.down.lock().unwrap() {
                return refusal(503, "ServiceUnavailable");
            }
            let mut lease = this.lease.lock().unwrap();
            match (method.as_str(), lease.as_ref()) {
                ("GET", Some(lease)) => (200, lease.clone()),
                ("GET", None) => refusal(404, "NotFound"),
                ("POST", Some(_)) => refusal(409, "AlreadyExists"),
                (_, there) => {
                    let version = |lease: &Value| lease["metadata"]["resourceVersion"].clone();
                    if there.is_some_and(|there| version(there) != version(&body)) {
                        return refusal(409, "Conflict");
                    }
                    let number: u64 = version(&body).as_str().map_or(0, |v| v.parse().unwrap());
                    let mut body = body;
                    body["metadata"]["resourceVersion"] = (number + 1).to_string().into();
                    *lease = Some(body.clone());
                    (200, body)
                }
            }
        })
    }

    fn candidate(&self) -> (Candidate, Term) {
        let term = Term::none();
        (Candidate::new(self.client(), "default", "", term.clone()), term)
    }

    fn holder(&self) -> String {
        let lease = self.lease.lock().unwrap();
        let holder = lease.as_ref().and_then(|lease| lease["spec"]["holderIdentity"].as_str());
        holder.unwrap_or_default().to_owned()
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_not_renewed_is_taken_after_its_duration() {
    let leases = Leases::default();
    let (mut first, first_term) = leases.candidate();
    let (mut second, second_term) = leases.candidate();
    first.acquire().await;
    assert!(first_term.holds());
    let start = Instant::now();
    second.acquire().await;
    let waited = start.elapsed();
    let expected = Duration::from_secs(15)..=Duration::from_secs(17);
    assert!(expected.contains(&waited), "waited {waited:?}");
    assert_eq!(leases.holder(), second.identity);
    // The first stopped writing long before, without having been told.
    assert!(!first_term.holds() && second_term.holds());
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_renewed_stays() {
    let leases = Leases::default();
    let (mut first, term) = leases.candidate();
    let (mut second, _) = leases.candidate();
    first.acquire().await;
    tokio::select! {
        why = first.keep() => panic!("lost: {why}"),
        taken = timeout(Duration::from_secs(120), second.acquire()) => assert!(taken.is_err()),
    }
    assert!(term.holds());
}

#[tokio::test(start_paused = true)]
async fn a_released_lease_is_taken_at_once() {
    let leases = Leases::default();
    let (mut first, term) = leases.candidate();
    let (mut second, _) = leases.candidate();
    first.acquire().await;
    first.release().await;
    assert!(!term.holds());
    assert_eq!(leases.holder(), "");
    let start = Instant::now();
    second.acquire().await;
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn whoever_cannot_renew_stops_before_others_begin() {
    let leases = Leases::default();
    let (mut first, term) = leases.candidate();
    first.acquire().await;
    *leases.down.lock().unwrap() = true;
    let start = Instant::now();
    let why = first.keep().await;
    assert!(start.elapsed() < Duration::from_secs(13), "after {:?}", start.elapsed());
    assert!(why.contains("ServiceUnavailable"), "{why}");
    assert!(!term.holds());
}

fn create(owner: &str) -> Write {
    let owners = json!([{
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "web", "uid": owner,
        "controller": true,
    }]);
    Write {
        verb: Verb::Create,
        target: Target {
            api_version: "apps/v1",
            kind: "ReplicaSet",
            namespace: "shop".into(),
            name: "web-1".into(),
            subresource: None,
        },
        body: json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {"name": "web-1", "namespace": "shop", "ownerReferences": owners},
        }),
        event: None,
    }
}

/// A server that has the ReplicaSet of `there` already.
fn occupied(there: &str) -> Client {
    let mut object = create(there).body;
    object["metadata"]["resourceVersion"] = "41".into();
    client(move |method, path, _| match method.as_str() {
        "GET" if path.ends_with("/replicasets/web-1") => (200, object.clone()),
        _ => refusal(409, "AlreadyExists"),
    })
}

fn writer(client: Client) -> Writer {
    let term = Term::none();
    term.forever();
    Writer { client, term }
}

#[tokio::test]
async fn what_we_created_before_counts_as_created() {
    let shows = writer(occupied("u-1")).write(&create("u-1")).await.unwrap().unwrap();
    assert_eq!((shows.0.0.as_str(), shows.1.0), ("ReplicaSet/shop/web-1", 41));
}

#[tokio::test]
async fn what_somebody_else_created_does_not() {
    let refused = writer(occupied("u-2")).write(&create("u-1")).await;
    assert_eq!(refused, Err(ApiError::Taken("ReplicaSet shop/web-1".into())));
}

#[tokio::test]
async fn deleting_what_is_gone_is_done() {
    let gone = client(|_, _, _| refusal(404, "NotFound"));
    let write = Write { verb: Verb::Delete, body: json!({}), ..create("u-1") };
    assert_eq!(writer(gone).write(&write).await, Ok(None));
}

#[tokio::test]
async fn nothing_is_written_without_the_lease() {
    let writer =
        Writer { client: client(|_, path, _| panic!("{path} was asked for")), term: Term::none() };
    assert_eq!(writer.write(&create("u-1")).await, Err(ApiError::NotLeading));
}

#[tokio::test]
async fn only_the_server_says_that_a_rollout_is_gone() {
    let answers = |answer: Answer| {
        writer(client(move |method, path, _| {
            assert_eq!(method, Method::GET);
            assert!(path.ends_with("/namespaces/shop/rollouts/web"), "{path}");
            answer.clone()
        }))
    };
    let rollout = |metadata: Value| {
        (
            200,
            json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata}),
        )
    };
    let there = answers(rollout(json!({"name": "web", "namespace": "shop"})));
    assert!(matches!(there.is_gone("shop", "web").await, Ok(false)));
    let going = json!({"name": "web", "deletionTimestamp": "2026-01-01T00:00:00Z"});
    assert!(matches!(answers(rollout(going)).is_gone("shop", "web").await, Ok(true)));
    let gone = answers(refusal(404, "NotFound"));
    assert!(matches!(gone.is_gone("shop", "web").await, Ok(true)));
    let down = answers(refusal(503, "ServiceUnavailable"));
    assert!(down.is_gone("shop", "web").await.is_err(), "nobody can tell");
}
