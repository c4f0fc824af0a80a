//! Whose turn it is to compute, among calls that compute for long.
//!
//! A call that computes keeps a thread of the executor from everything else, a slice at a time.
//! With one such call there is a thread left, or a slice later; with a dozen, whoever only wants
//! to note that an answer came stands behind a dozen slices. So those that go on computing take
//! turns, and the others go on as if there were few of them. The turn goes to the call that has
//! computed least, so that an interpreter with its thirty milliseconds does not stand behind endless loops.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::host::locked;

/// The turns of all calls of a host.
#[derive(Debug)]
pub(crate) struct Turns(Mutex<State>);

#[derive(Debug)]
struct State {
    free: usize,
    /// By what they have computed, and then by their order.
    waiting: BTreeMap<(Duration, u64), oneshot::Sender<Turn>>,
    arrived: u64,
}

/// The right to compute for a slice. Dropped, it goes to the one that has computed least.
#[derive(Debug)]
pub(crate) struct Turn(Arc<Turns>);

impl Turns {
    /// So many at a time.
    pub(crate) fn of(at_a_time: usize) -> Arc<Self> {
        let state = State { free: at_a_time.max(1), waiting: BTreeMap::new(), arrived: 0 };
        Arc::new(Self(Mutex::new(state)))
    }

    /// At a time, half as many as there are processors, so that the other half is free of them.
    pub(crate) fn of_this_machine() -> Arc<Self> {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self::of(processors / 2)
    }

    /// Wait for a turn, having computed for so long.
    pub(crate) async fn take(self: &Arc<Self>, computed: Duration) -> Turn {
        loop {
            let asked = {
                let mut state = locked(&self.0);
                if state.free > 0 {
                    state.free -= 1;
                    return Turn(self.clone());
                }
                let (give, asked) = oneshot::channel();
                state.arrived += 1;
                let place = (computed, state.arrived);
                state.waiting.insert(place, give);
                asked
            };
            // A sender goes only by sending, so an error would be a defect; asking again mends it.
            if let Ok(turn) = asked.await {
                return turn;
            }
        }
    }

    /// Who is next. If nobody is, the turn is free.
    fn next(&self) -> Option<oneshot::Sender<Turn>> {
        let mut state = locked(&self.0);
        while let Some((_, give)) = state.waiting.pop_first() {
            if !give.is_closed() {
                return Some(give);
            }
        }
        state.free += 1;
        None
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // One that was given up in this moment drops the turn that it gets, which leads here again;
        // so nothing is sent while the lock is held.
        if let Some(give) = self.0.next() {
            let _ = give.send(Self(self.0.clone()));
        }
    }
}

/// Where a call keeps its turn while it computes. Clones are the same place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seat(Arc<Mutex<Option<Turn>>>);

impl Seat {
    pub(crate) fn sit(&self, turn: Turn) {
        *locked(&self.0) = Some(turn);
    }

    /// Give the turn back, if there is one: the call does not compute now.
    pub(crate) fn leave(&self) {
        let turn = locked(&self.0).take();
        drop(turn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    fn poll<F: Future>(future: Pin<&mut F>) -> Option<F::Output> {
        match future.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn who_has_computed_least_is_next_and_then_who_came_first() {
        let turns = Turns::of(1);
        let holder = poll(pin!(turns.take(ms(10)))).unwrap();
        let mut long = pin!(turns.take(ms(500)));
        let mut first = pin!(turns.take(ms(30)));
        let mut second = pin!(turns.take(ms(30)));
        assert!(poll(long.as_mut()).is_none() && poll(first.as_mut()).is_none());
        assert!(poll(second.as_mut()).is_none());
        drop(holder);
        assert!(poll(long.as_mut()).is_none() && poll(second.as_mut()).is_none());
        drop(poll(first.as_mut()).unwrap());
        assert!(poll(long.as_mut()).is_none());
        drop(poll(second.as_mut()).unwrap());
        assert!(poll(long.as_mut()).is_some());
    }

    #[test]
    fn the_turn_of_one_that_was_given_up_goes_on() {
        let turns = Turns::of(1);
        let holder = poll(pin!(turns.take(ms(10)))).unwrap();
        {
            let mut never_polled_again = pin!(turns.take(ms(20)));
            assert!(poll(never_polled_again.as_mut()).is_none());
        }
        let mut given = Box::pin(turns.take(ms(30)));
        let mut last = pin!(turns.take(ms(40)));
        assert!(poll(given.as_mut()).is_none() && poll(last.as_mut()).is_none());
        drop(holder);
        // It has been given the turn, and is given up before it sees that.
        drop(given);
        drop(poll(last.as_mut()).unwrap());
        assert!(poll(pin!(turns.take(ms(1)))).is_some(), "no turn was lost");
        let one = poll(pin!(turns.take(ms(1)))).unwrap();
        assert!(poll(pin!(turns.take(ms(1)))).is_none(), "none was made");
        drop(one);
    }

    #[test]
    fn a_seat_holds_one_turn_and_gives_it_back() {
        let (turns, seat) = (Turns::of(1), Seat::default());
        seat.sit(poll(pin!(turns.take(ms(1)))).unwrap());
        assert!(poll(pin!(turns.take(ms(1)))).is_none());
        seat.clone().leave();
        assert!(poll(pin!(turns.take(ms(1)))).is_some());
    }
}
