//! Places for calls: so many at a time for all components, shared so that none is left without.
//!
//! A component has as many calls at a time as its limits say, and all of them together as many as
//! the machine is to bear. Were those handed out in the order in which they are asked for, some
//! components whose servers hang would hold all of them until their time is up, and everybody
//! else would wait for that. So who has some gets another only while four times as many are free:
//! the more are taken, the fewer anybody may have, and even a dozen that take all they can leave
//! some for whoever has none.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use crate::host::locked;

/// So many times the places that a component has must be free for it to get another.
const LEFT: usize = 4;

/// The places of a host.
#[derive(Debug)]
pub(crate) struct Places(Mutex<State>);

#[derive(Debug)]
struct State {
    free: usize,
    /// In the order in which they asked.
    waiting: VecDeque<Waiting>,
}

/// How many places a component has. Its clones are the same count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held(Arc<AtomicUsize>);

#[derive(Debug)]
struct Waiting {
    held: Held,
    give: oneshot::Sender<Place>,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    of: Arc<Places>,
    held: Held,
}

impl Places {
    /// So many at a time.
    pub(crate) fn of(at_a_time: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { free: at_a_time, waiting: VecDeque::new() })))
    }

    /// Wait for a place for a component that has these.
    pub(crate) async fn take(self: &Arc<Self>, held: &Held) -> Place {
        loop {
            let asked = {
                let mut state = locked(&self.0);
                // Whoever waits may not have a place now, so that nobody is overtaken by taking it.
                if state.admits(held) {
                    return self.place(&mut state, held.clone());
                }
                let (give, asked) = oneshot::channel();
                state.waiting.push_back(Waiting { held: held.clone(), give });
                asked
            };
            // A sender goes only by sending, so an error would be a defect; asking again mends it.
            if let Ok(place) = asked.await {
                return place;
            }
        }
    }

    fn place(self: &Arc<Self>, state: &mut State, held: Held) -> Place {
        state.free -= 1;
        held.0.fetch_add(1, Ordering::Relaxed);
        Place { of: self.clone(), held }
    }

    /// A place is free again.
    fn hand_on(self: &Arc<Self>, from: &Held) {
        let mut given = Vec::new();
        {
            let mut state = locked(&self.0);
            state.free += 1;
            from.0.fetch_sub(1, Ordering::Relaxed);
            state.waiting.retain(|waiting| !waiting.give.is_closed());
            while let Some(next) = state.next() {
                let place = self.place(&mut state, next.held);
                given.push((next.give, place));
            }
        }
        for (give, place) in given {
            // Whoever is gone meanwhile drops the place, which hands it on.
            let _ = give.send(place);
        }
    }
}

impl State {
    fn admits(&self, held: &Held) -> bool {
        self.free > held.0.load(Ordering::Relaxed) * LEFT
    }

    fn next(&mut self) -> Option<Waiting> {
        let first = self.waiting.iter().position(|waiting| self.admits(&waiting.held))?;
        self.waiting.remove(first)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let of = self.of.clone();
        of.hand_on(&self.held);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    /// Take as many as there are, up to `most`.
    fn greedy(places: &Arc<Places>, held: &Held, most: usize) -> Vec<Place> {
        std::iter::from_fn(|| places.take(held).now_or_never()).take(most).collect()
    }

    #[test]
    fn a_component_alone_has_more_than_its_limits_usually_say() {
        assert_eq!(greedy(&Places::of(64), &Held::default(), 64).len(), 13);
    }

    #[test]
    fn whoever_has_none_gets_one_beside_a_dozen_that_take_all_they_can() {
        for hanging in 1..=12 {
            let places = Places::of(64);
            let held: Vec<_> = (0..hanging).map(|_| Held::default()).collect();
            let taken: Vec<_> = held.iter().map(|held| greedy(&places, held, 8)).collect();
            assert!(taken.iter().all(|own| !own.is_empty()), "{taken:?}");
            let newcomers: Vec<_> = (0..3).map(|_| Held::default()).collect();
            let given: Vec<_> =
                newcomers.iter().filter_map(|new| places.take(new).now_or_never()).collect();
            assert_eq!(given.len(), 3, "beside {hanging}");
        }
    }

    #[test]
    fn places_are_handed_on_in_the_order_of_asking_to_whoever_may_have_them() {
        let places = Places::of(2);
        let (one, other) = (Held::default(), Held::default());
        let first = places.take(&one).now_or_never().expect("all are free");
        // It has one, and only one is left.
        let mut second = Box::pin(places.take(&one));
        assert!(second.as_mut().now_or_never().is_none());
        let its = places.take(&other).now_or_never().expect("it has none");
        let third = Held::default();
        let mut third = Box::pin(places.take(&third));
        assert!(third.as_mut().now_or_never().is_none());
        drop(its);
        assert!(second.as_mut().now_or_never().is_none(), "it still has one");
        let given = third.as_mut().now_or_never().expect("the first who may");
        drop(first);
        let last = second.as_mut().now_or_never().expect("it has none now");
        drop((given, last));
        assert_eq!(locked(&places.0).free, 2);
    }

    #[test]
    fn who_waits_no_more_keeps_no_place() {
        let places = Places::of(1);
        let held = Held::default();
        let taken = places.take(&held).now_or_never().expect("it is free");
        let (mut gone, mut still) = (Box::pin(places.take(&held)), Box::pin(places.take(&held)));
        assert!(gone.as_mut().now_or_never().is_none() && still.as_mut().now_or_never().is_none());
        drop(gone);
        drop(taken);
        let given = still.as_mut().now_or_never().expect("the first who still waits");
        // Given, and never fetched.
        let mut unfetched = Box::pin(places.take(&held));
        assert!(unfetched.as_mut().now_or_never().is_none());
        drop(given);
        drop(unfetched);
        assert_eq!((locked(&places.0).free, held.0.load(Ordering::Relaxed)), (1, 0));
    }
}
