//! Calls of components that behave, and of ones that do not.
#![expect(clippy::unwrap_used, reason = "helpers of tests may")]

mod fixture;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, UNIX_EPOCH};

use fixture::{Gate, act, provider};
use sluice_port::traffic::{HeaderMatch, HeaderRoute, MirrorMatch, MirrorRoute, StringMatch};
use sluice_port::{
    Change, Components, Fault, Measured, MetricCall, ObjectQuery, Routing, Verification,
};
use sluice_wasm::{Clock, ComponentHost, Grants, HostConfig, Kind, Limits, Origin, Terms};

fn host(egress: Arc<Gate>, limits: Limits) -> ComponentHost {
    let config = HostConfig { metric_limits: Some(limits), ..HostConfig::new(egress) };
    ComponentHost::new(config).unwrap()
}

/// Little of everything, so that a component which misbehaves is soon stopped.
fn tight() -> Limits {
    Limits {
        wall: Duration::from_secs(5),
        cpu: Duration::from_millis(200),
        ..Limits::of(Kind::Metric)
    }
}

async fn host_with_provider(gate: &Arc<Gate>) -> ComponentHost {
    let host = host(gate.clone(), tight());
    host.install("test", provider(42.0), Origin::Bundled).await.unwrap();
    host
}

fn call(what: u32) -> MetricCall {
    MetricCall { config: "{}".to_owned(), index: what, ..MetricCall::default() }
}

async fn measure(host: &ComponentHost, what: u32) -> Result<Measured, Fault> {
    host.measure("test", &call(what)).await.map(|measurement| measurement.outcome)
}

#[tokio::test]
async fn a_component_answers() {
    let host = host_with_provider(&Gate::with(0)).await;
    assert_eq!(measure(&host, act::ANSWER).await, Ok(Measured::Number(42.0)));
    let call = call(act::ANSWER);
    assert!(host.resume("test", &call, "{}").await.is_ok());
    assert_eq!(host.terminate("test", &call, "{}").await, Ok(()));
    let info = &host.installed()[0];
    assert_eq!((info.name.as_str(), info.kind), ("test", Kind::Metric));
    assert_eq!(info.interface, "sluice:metric/provider@0.1.0");
    assert!(info.imports.iter().any(|import| import == "sluice:host/http@0.1.0"), "{info:?}");
}

#[tokio::test]
async fn what_it_says_of_itself_arrives() {
    let host = host_with_provider(&Gate::with(0)).await;
    let refused = Err(Fault::InvalidConfig("no thanks".to_owned()));
    assert_eq!(measure(&host, act::REFUSE).await, refused);
}

#[tokio::test]
async fn a_name_that_nobody_has_is_answered_with_those_that_are_there() {
    let host = host_with_provider(&Gate::with(0)).await;
    let missing = host.measure("tset", &call(act::ANSWER)).await.unwrap_err();
    let text = "no metric provider named 'tset' is installed; installed: test";
    assert_eq!(missing.to_string(), text);
}

#[tokio::test]
async fn an_endless_loop_is_stopped_and_disturbs_nobody() {
    let host = host_with_provider(&Gate::with(0)).await;
    host.install("calm", provider(7.0), Origin::Bundled).await.unwrap();
    let started = Instant::now();
    let looping = tokio::spawn({
        let host = host.clone();
        async move { measure(&host, act::LOOP).await }
    });
    // One thread runs both, so a call of another component only ends if the loop gives way.
    let other = host.measure("calm", &call(act::ANSWER)).await;
    assert_eq!(other.unwrap().outcome, Measured::Number(7.0));
    let fault = looping.await.unwrap();
    assert_eq!(fault, Err(Fault::CpuExceeded { limit_ms: 200 }));
    assert!(started.elapsed() < tight().wall, "stopped by the limit of computing");
}

#[tokio::test]
async fn who_asks_for_too_much_memory_is_told_so() {
    let host = host_with_provider(&Gate::with(0)).await;
    assert_eq!(measure(&host, act::HOG).await, Err(Fault::MemoryExceeded { limit: 64 << 20 }));
}

#[tokio::test]
async fn a_trap_is_named() {
    let host = host_with_provider(&Gate::with(0)).await;
    let Err(Fault::Trapped { message }) = measure(&host, act::TRAP).await else {
        panic!("no trap");
    };
    assert!(message.contains("unreachable"), "{message}");
    assert_eq!(measure(&host, act::ANSWER).await, Ok(Measured::Number(42.0)), "and forgotten");
}

#[tokio::test]
async fn a_flood_of_requests_is_denied_and_does_not_reach_the_network() {
    let gate = Gate::with(1000);
    let host = host_with_provider(&gate).await;
    assert_eq!(measure(&host, act::FLOOD).await, Err(Fault::CpuExceeded { limit_ms: 200 }));
    assert_eq!(gate.seen(), tight().http_calls);
}

#[tokio::test]
async fn an_answer_that_is_no_answer_counts_as_misbehaviour() {
    let host = host_with_provider(&Gate::with(0)).await;
    for _ in 0..3 {
        let fault = measure(&host, act::GARBLE).await.unwrap_err();
        assert!(matches!(&fault, Fault::Malformed(_)), "{fault:?}");
    }
    let fault = measure(&host, act::ANSWER).await.unwrap_err();
    assert!(matches!(fault, Fault::Suspended { .. }), "{fault:?}");
    assert_eq!(host.installed()[0].stats.calls.get("malformed"), Some(&3));
}

#[tokio::test]
async fn a_check_of_a_configuration_has_no_network() {
    let gate = Gate::with(1000);
    let host = host_with_provider(&gate).await;
    let refused = host.validate_metric("test", "{}").await;
    assert_eq!(refused, Err(Fault::InvalidConfig("no thanks".to_owned())));
    assert_eq!(gate.seen(), 0);
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_not_the_components_fault() {
    let gate = Gate::with(0);
    let wall = Duration::from_millis(400);
    let host = host(gate.clone(), Limits { wall, ..tight() });
    host.install("test", provider(0.0), Origin::Bundled).await.unwrap();
    // The component traps when the request fails, so a trap shows that it was told in time.
    let fault = measure(&host, act::FETCH).await.unwrap_err();
    assert!(matches!(fault, Fault::Trapped { .. }), "{fault:?}");
}

#[tokio::test]
async fn a_call_ends_on_the_version_that_it_began_with() {
    let gate = Gate::with(0);
    let host = host_with_provider(&gate).await;
    let under_way = tokio::spawn({
        let host = host.clone();
        async move { measure(&host, act::FETCH).await }
    });
    fixture::until(|| gate.seen() == 1).await;
    host.install("test", provider(1.0), Origin::Bundled).await.unwrap();
    assert_eq!(measure(&host, act::ANSWER).await, Ok(Measured::Number(1.0)));
    gate.open.add_permits(1);
    assert_eq!(under_way.await.unwrap(), Ok(Measured::Number(242.0)));
}

#[tokio::test]
async fn a_trial_that_is_given_up_does_not_keep_others_out() {
    let gate = Gate::with(0);
    let host = host_with_provider(&gate).await;
    let given_up = tokio::spawn({
        let host = host.clone();
        async move { measure(&host, act::FETCH).await }
    });
    fixture::until(|| gate.seen() == 1).await;
    given_up.abort();
    assert!(given_up.await.unwrap_err().is_cancelled());
    assert_eq!(measure(&host, act::ANSWER).await, Ok(Measured::Number(42.0)));
}

#[tokio::test]
async fn one_component_cannot_take_every_place() {
    let gate = Gate::with(0);
    let host = host_with_provider(&gate).await;
    host.install("calm", provider(7.0), Origin::Bundled).await.unwrap();
    // More calls of one component than the whole host runs at a time.
    let waiting: Vec<_> = (0..100)
        .map(|_| {
            let host = host.clone();
            tokio::spawn(async move { measure(&host, act::FETCH).await })
        })
        .collect();
    fixture::until(|| gate.seen() == 8).await;
    // One thread runs all tasks in turn, so after this each of them has come as far as it can.
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    let other = tokio::time::timeout(Duration::from_secs(2), host.measure("calm", &call(0))).await;
    assert_eq!(other.expect("there is room").unwrap().outcome, Measured::Number(7.0));
    waiting.iter().for_each(|task| task.abort());
}

#[tokio::test]
async fn requests_need_a_grant_that_fits() {
    let gate = Gate::with(1000);
    let host = host_with_provider(&gate).await;
    let grants = |text: &str| Terms {
        grants: Some(serde_json::from_str(text).unwrap()),
        ..Terms::default()
    };
    let other = Origin::Other("test".to_owned());
    for (terms, reached) in [
        (Terms::default(), false),
        (Terms { grants: Some(Grants::default()), ..Terms::default() }, false),
        (grants(r#"{"http": [{"url": "https://metrics.test"}]}"#), false),
        (grants(r#"{"http": [{"url": "http://metrics.test", "methods": ["POST"]}]}"#), false),
        (grants(r#"{"http": [{"url": "http://metrics.test"}]}"#), true),
    ] {
        host.install_on("other", provider(0.0), other.clone(), terms.clone()).await.unwrap();
        let before = gate.seen();
        let answer = host.measure("other", &call(act::FETCH)).await;
        assert_eq!(answer.is_ok(), reached, "{terms:?}: {answer:?}");
        assert_eq!(gate.seen() - before, u32::from(reached));
    }
}

#[tokio::test]
async fn what_happened_is_counted_across_versions() {
    let host = host_with_provider(&Gate::with(1000)).await;
    for what in [act::ANSWER, act::FETCH, act::TRAP, act::REFUSE] {
        let _ = measure(&host, what).await;
    }
    let info = &host.installed()[0];
    let counted: Vec<_> = info.stats.calls.iter().map(|(kind, count)| (*kind, *count)).collect();
    assert_eq!(counted, [("invalid-config", 1), ("ok", 2), ("trapped", 1)]);
    assert_eq!(info.stats.http_calls, 1);
    assert!(info.stats.wall >= info.stats.cpu && info.stats.memory_peak >= 128 << 10, "{info:?}");
    assert!(matches!(info.last_fault, Some(Fault::Trapped { .. })));

    host.install("test", provider(1.0), Origin::Bundled).await.unwrap();
    measure(&host, act::ANSWER).await.unwrap();
    let info = &host.installed()[0];
    assert_eq!((info.stats.total(), info.totals.total()), (1, 5));
}

/// A clock that stands still until it is set forward.
fn clock() -> (Arc<AtomicU64>, Clock) {
    let seconds = Arc::new(AtomicU64::new(1_000_000));
    let hand = seconds.clone();
    let read = move || UNIX_EPOCH + Duration::from_secs(hand.load(Ordering::SeqCst));
    (seconds, Arc::new(read))
}

#[tokio::test]
async fn who_misbehaves_too_often_is_left_alone_and_tried_again_later() {
    let (seconds, clock) = clock();
    let config = HostConfig {
        clock: Some(clock),
        metric_limits: Some(tight()),
        ..HostConfig::new(Gate::with(0))
    };
    let host = ComponentHost::new(config).unwrap();
    host.install("test", provider(42.0), Origin::Bundled).await.unwrap();
    for _ in 0..3 {
        assert!(matches!(measure(&host, act::TRAP).await, Err(Fault::Trapped { .. })));
    }
    assert!(host.installed()[0].suspended);
    assert_eq!(measure(&host, act::ANSWER).await, Err(Fault::Suspended { for_ms: 10_000 }));
    seconds.fetch_add(4, Ordering::SeqCst);
    assert_eq!(measure(&host, act::ANSWER).await, Err(Fault::Suspended { for_ms: 6_000 }));

    seconds.fetch_add(6, Ordering::SeqCst);
    assert!(matches!(measure(&host, act::TRAP).await, Err(Fault::Trapped { .. })));
    assert_eq!(measure(&host, act::ANSWER).await, Err(Fault::Suspended { for_ms: 20_000 }));

    seconds.fetch_add(20, Ordering::SeqCst);
    assert_eq!(measure(&host, act::ANSWER).await, Ok(Measured::Number(42.0)));
    assert!(!host.installed()[0].suspended);
}

#[tokio::test]
async fn a_new_version_is_not_blamed_for_the_old_one() {
    let host = host_with_provider(&Gate::with(0)).await;
    for _ in 0..3 {
        let _ = measure(&host, act::TRAP).await;
    }
    host.install("test", provider(1.0), Origin::Bundled).await.unwrap();
    assert_eq!(measure(&host, act::ANSWER).await, Ok(Measured::Number(1.0)));
}

#[tokio::test]
async fn a_router_answers_everything_that_it_is_asked() {
    let host = host(Gate::with(0), tight());
    host.install("test", fixture::router(), Origin::Bundled).await.unwrap();
    let routing = Routing {
        header_routes: vec![HeaderRoute {
            name: "header".to_owned(),
            headers: vec![HeaderMatch {
                name: "x".to_owned(),
                value: StringMatch::Prefix("y".to_owned()),
            }],
        }],
        mirror_routes: vec![MirrorRoute {
            name: "mirror".to_owned(),
            matches: vec![MirrorMatch::default()],
            percentage: 10,
        }],
        ..Routing::default()
    };
    let objects = [fixture::OBJECT.to_owned()];
    assert_eq!(host.capabilities("test").unwrap(), ["verify"]);
    assert_eq!(host.validate_router("test", "{}").await, Ok(()));
    let query = ObjectQuery {
        api_version: "v1".to_owned(),
        kind: "Service".to_owned(),
        ..ObjectQuery::default()
    };
    assert_eq!(host.references("test", &routing, &objects).await, Ok(vec![query]));
    let put = Ok(vec![Change::Put(fixture::OBJECT.to_owned())]);
    assert_eq!(host.route("test", &routing, &objects).await, put);
    assert_eq!(host.release("test", &routing, &objects).await, put);
    let pending = Verification::Pending("one more look".to_owned());
    assert_eq!(host.verify("test", &routing, &objects).await, Ok(pending));
    let missing = host.measure("test", &call(act::ANSWER)).await.unwrap_err();
    assert!(missing.to_string().starts_with("no metric provider named 'test'"), "{missing}");
}
