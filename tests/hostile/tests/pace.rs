//! Components that compute for ever, many at once: what only waits for its own answer does not
//! stand behind them. Counted in polls, so that a busy machine says the same as an idle one.
#![expect(clippy::unwrap_used, reason = "helpers of tests may")]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::join_all;
use sluice_hostile::fixture::{Gate, until};
use sluice_hostile::{Record, asking, attacker, host, measure, tight};
use sluice_port::{Fault, Measured};
use sluice_wasm::{ComponentHost, Grants, Limits, Origin, Terms};
use tokio::task::JoinSet;

/// A future that counts how often it is polled.
struct Counted<F> {
    future: Pin<Box<F>>,
    polls: Arc<AtomicU64>,
}

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.polls.fetch_add(1, Ordering::Relaxed);
        self.future.as_mut().poll(cx)
    }
}

/// So much computing, on however slow a clock: the machine may be busy with other things.
fn unhurried(cpu: Duration) -> Terms {
    let limits = Some(Limits { cpu, wall: Duration::from_secs(120), ..tight() });
    Terms { limits, ..Terms::default() }
}

/// Two components that loop for ever, each called as often at a time as it may be.
async fn looping() -> (ComponentHost, JoinSet<Result<Measured, Fault>>, Arc<AtomicU64>) {
    let host = host(Arc::new(Record::default())).await;
    let polls = Arc::new(AtomicU64::new(0));
    let mut calls = JoinSet::new();
    for name in ["loops", "loops-too"] {
        let bytes = attacker("(loop $on (br $on))");
        host.install_on(name, bytes, Origin::Bundled, unhurried(tight().cpu)).await.unwrap();
        for _ in 0..8 {
            let host = host.clone();
            let future = Box::pin(async move { measure(&host, name).await });
            calls.spawn(Counted { future, polls: polls.clone() });
        }
    }
    (host, calls, polls)
}

#[tokio::test]
async fn many_endless_loops_compute_one_after_the_other_and_everybody_else_between() {
    let (_host, mut calls, polls) = looping().await;
    // There is one thread. Whoever wants it for a moment gets it after every slice.
    let mut moments = 0;
    while calls.try_join_next().is_none() {
        tokio::task::yield_now().await;
        moments += 1;
    }
    while let Some(ended) = calls.join_next().await {
        assert_eq!(ended.unwrap(), Err(Fault::CpuExceeded { limit_ms: 200 }));
    }
    let polls = polls.load(Ordering::Relaxed);
    assert!(moments > 5, "{moments} moments prove little");
    // Each call is polled a few times for its beginning and its first slice, and twice for each
    // turn; taken one after the other in a row, it would be dozens for each moment.
    assert!(polls < 16 * 4 + moments * 4, "{polls} polls of loops, and {moments} moments");
}

#[tokio::test]
async fn who_has_computed_little_goes_before_endless_loops() {
    let (host, mut calls, polls) = looping().await;
    // As much as an interpreter needs: some slices, and then an answer.
    let busy = "(local.set $what (i32.const 150000000)) (loop $on (local.set $what (i32.sub \
                (local.get $what) (i32.const 1))) (br_if $on (local.get $what))) \
                (return (call $number (f64.const 3)))";
    let terms = unhurried(Duration::from_secs(4));
    host.install_on("interpreter", attacker(busy), Origin::Bundled, terms).await.unwrap();
    while polls.load(Ordering::Relaxed) < 16 * 26 {
        tokio::task::yield_now().await;
    }
    let (own, before) = (Arc::new(AtomicU64::new(0)), polls.load(Ordering::Relaxed));
    let future = Box::pin(async { measure(&host, "interpreter").await });
    let answer = Counted { future, polls: own.clone() }.await;
    assert_eq!(answer, Ok(Measured::Number(3.0)));
    let (own, others) = (own.load(Ordering::Relaxed), polls.load(Ordering::Relaxed) - before);
    assert!(calls.try_join_next().is_none(), "the loops were over, so this proves nothing");
    // In a row with them it would be sixteen for each of its own.
    assert!(others < own * 4 + 8, "{others} polls of loops, and {own} of its own");
}

#[tokio::test]
async fn components_whose_servers_hang_leave_places_for_everybody_else() {
    let nobody_answers = Gate::with(0);
    let host = host(nobody_answers.clone()).await;
    let mut calls = JoinSet::new();
    for name in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"] {
        let bytes = asking("http://hangs.test/");
        let terms = Terms { grants: Some(Grants::any_server()), ..unhurried(tight().cpu) };
        host.install_on(name, bytes, Origin::Bundled, terms).await.unwrap();
        for _ in 0..8 {
            let host = host.clone();
            calls.spawn(async move { measure(&host, name).await });
        }
    }
    // They ask for 96, and there are 64.
    until(|| nobody_answers.seen() >= 48).await;
    let calm = (0..8).map(|_| measure(&host, "calm"));
    for answer in join_all(calm).await {
        assert_eq!(answer, Ok(Measured::Number(7.0)));
    }
    assert!(calls.try_join_next().is_none(), "they hang no more, so this proves nothing");
}
