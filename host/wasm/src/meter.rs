//! How much a call computes, as the operating system counts it.
//!
//! Counting ticks of a clock instead would charge a component for the time in which other
//! programs had the processor, and stop innocent ones on a busy machine.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::turns::Seat;

/// Counts while a [`Metered`] future is polled. Clones count the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// Nanoseconds of all polls that have ended.
    ended: AtomicU64,
    /// The thread's time when the present poll began.
    began: AtomicU64,
}

impl Meter {
    /// What was used, as seen from within a poll.
    pub(crate) fn within(&self) -> Duration {
        let began = self.0.began.load(Ordering::Relaxed);
        self.total() + Duration::from_nanos(thread_time().saturating_sub(began))
    }

    /// What was used by all polls that have ended.
    pub(crate) fn total(&self) -> Duration {
        Duration::from_nanos(self.0.ended.load(Ordering::Relaxed))
    }
}

/// A future whose polls are counted, and which keeps no turn while it is not polled.
pub(crate) struct Metered<F> {
    future: Pin<Box<F>>,
    meter: Meter,
    seat: Seat,
}

impl<F> Metered<F> {
    pub(crate) fn new(future: F, meter: Meter, seat: Seat) -> Self {
        Self { future: Box::pin(future), meter, seat }
    }
}

impl<F: Future> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let began = thread_time();
        self.meter.0.began.store(began, Ordering::Relaxed);
        let polled = self.future.as_mut().poll(cx);
        // A poll stays on one thread, so both readings are of the same clock.
        let used = thread_time().saturating_sub(began);
        self.meter.0.ended.fetch_add(used, Ordering::Relaxed);
        self.seat.leave();
        polled
    }
}

/// Nanoseconds for which this thread has had a processor.
fn thread_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u64::try_from(time.tv_nsec).unwrap_or_default();
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compute_for(time: Duration) {
        let began = thread_time();
        while Duration::from_nanos(thread_time() - began) < time {}
    }

    #[tokio::test]
    async fn waiting_is_free_and_computing_is_not() {
        let meter = Meter::default();
        let inner = meter.clone();
        let work = async move {
            let elsewhere = || compute_for(Duration::from_millis(100));
            tokio::task::spawn_blocking(elsewhere).await.unwrap();
            assert!(inner.within() < Duration::from_millis(50), "{:?}", inner.within());
            compute_for(Duration::from_millis(60));
            assert!(inner.within() >= Duration::from_millis(60), "{:?}", inner.within());
        };
        Metered::new(work, meter.clone(), Seat::default()).await;
        assert!(meter.total() >= Duration::from_millis(60), "{:?}", meter.total());
    }
}
