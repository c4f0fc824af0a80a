//! A data plane that takes routings up late, partly or not at all, and says so or not; and a
//! metrics server that answers what it is told. Both behind the same trait as real components.

use std::sync::Mutex;
use std::time::Duration;

use sluice_core::Timestamp;
use sluice_port::{
    Answer, Change, Components, Fault, Measured, Measurement, MetricCall, ObjectQuery, Routing,
    Verification,
};

/// How the data plane takes routings up.
#[derive(Clone, Debug, PartialEq)]
pub struct Manner {
    /// How long a routing takes to become live; one is drawn in turn.
    pub delays: Vec<Duration>,
    /// Whether it can say that a routing is live.
    pub tells: bool,
    /// Every so many calls one fails, before or after it was taken; 0 is never.
    pub fails_every: u64,
}

impl Default for Manner {
    fn default() -> Self {
        Self { delays: vec![Duration::ZERO], tells: true, fails_every: 0 }
    }
}

/// Where requests go: the weights of both sides, and the revisions that routes name themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// Parts of [`Live::whole`] that go to the canary side.
    pub canary: u32,
    /// All parts.
    pub whole: u32,
    /// The revision that the route names for the canary side.
    pub canary_hash: String,
    /// The revision that the route names for the stable side.
    pub stable_hash: String,
}

#[derive(Debug, Default)]
struct State {
    now: Timestamp,
    manner: Manner,
    calls: u64,
    asks: u64,
    /// What is live from when on; the last one that has begun is in force.
    history: Vec<(Timestamp, Live)>,
    answer: Option<Result<Measured, String>>,
}

/// A scripted router and a scripted metrics server.
#[derive(Debug, Default)]
pub struct Plane(Mutex<State>);

impl Plane {
    /// A data plane of this manner.
    pub fn new(manner: Manner) -> Self {
        let plane = Self::default();
        plane.with(|state| state.manner = manner);
        plane
    }

    /// Let time pass.
    pub fn set_now(&self, now: Timestamp) {
        self.with(|state| state.now = now);
    }

    /// From now on take routings up in this manner.
    pub fn set_manner(&self, manner: Manner) {
        self.with(|state| state.manner = manner);
    }

    /// What the next measurements bring.
    pub fn set_answer(&self, answer: Result<Measured, String>) {
        self.with(|state| state.answer = Some(answer));
    }

    /// What is live at `now`; `None` before the first routing.
    pub fn live(&self, now: Timestamp) -> Option<Live> {
        self.with(|state| in_force(&state.history, now))
    }

    /// What is live at `now` or will be, since it was asked for.
    pub fn live_and_pending(&self, now: Timestamp) -> Vec<Live> {
        self.with(|state| {
            let pending = state.history.iter().filter(|(from, _)| *from > now);
            let pending = pending.map(|(_, live)| live.clone());
            in_force(&state.history, now).into_iter().chain(pending).collect()
        })
    }

    /// When something becomes live next.
    pub fn next_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.with(|state| state.history.iter().map(|(from, _)| *from).filter(|at| *at > now).min())
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        match self.0.lock() {
            Ok(mut state) => act(&mut state),
            Err(poisoned) => act(&mut poisoned.into_inner()),
        }
    }

    fn take(&self, wanted: &Routing) -> Result<(), Fault> {
        self.with(|state| {
            state.calls += 1;
            let every = state.manner.fails_every;
            let fails = every > 0 && state.calls % every == 0;
            // Half of the failures come after the routing was taken: nobody can know.
            if !fails || state.calls % (2 * every.max(1)) == 0 {
                let live = Live {
                    canary: wanted.canary.weight,
                    whole: wanted.total_weight,
                    canary_hash: wanted.canary.pod_hash.clone(),
                    stable_hash: wanted.stable.pod_hash.clone(),
                };
                state.ask(live);
            }
            let message = "the data plane did not answer".to_owned();
            if fails { Err(Fault::Transient { message, after_ms: None }) } else { Ok(()) }
        })
    }

    fn taken(&self, wanted: &Routing) -> Verification {
        self.with(|state| {
            let live = in_force(&state.history, state.now);
            let pending = state.history.iter().any(|(from, _)| *from > state.now);
            let same = live.is_some_and(|live| {
                live.canary == wanted.canary.weight
                    && live.canary_hash == wanted.canary.pod_hash
                    && live.stable_hash == wanted.stable.pod_hash
            });
            match (state.manner.tells, same && !pending) {
                (true, true) => Verification::Converged,
                (true, false) => Verification::Pending("it is not live yet".to_owned()),
                (false, _) => Verification::CannotTell,
            }
        })
    }
}

impl State {
    fn ask(&mut self, live: Live) {
        let last = self.history.last().map(|(from, _)| *from).unwrap_or_default();
        if self.history.last().is_some_and(|(_, last)| *last == live) {
            return;
        }
        let turn = usize::try_from(self.asks).unwrap_or(0);
        self.asks += 1;
        let delays = &self.manner.delays;
        let delay = delays.get(turn % delays.len().max(1)).copied().unwrap_or_default();
        // One routing is taken up after the other.
        self.history.push((self.now.after(delay).max(last), live));
        let gone = self.history.iter().rposition(|(from, _)| *from <= self.now).unwrap_or(0);
        self.history.drain(..gone);
    }
}

fn in_force(history: &[(Timestamp, Live)], now: Timestamp) -> Option<Live> {
    history.iter().rev().find(|(from, _)| *from <= now).map(|(_, live)| live.clone())
}

fn ready<'a, T: Send + 'a>(value: Result<T, Fault>) -> Answer<'a, T> {
    Box::pin(std::future::ready(value))
}

impl Components for Plane {
    fn measure<'a>(&'a self, _: &'a str, _: &'a MetricCall) -> Answer<'a, Measurement> {
        let answer = self.with(|state| state.answer.clone());
        ready(match answer.unwrap_or(Ok(Measured::NoData)) {
            Ok(outcome) => Ok(Measurement { outcome, message: None, metadata: Vec::new() }),
            Err(message) => Err(Fault::Transient { message, after_ms: None }),
        })
    }

    fn resume<'a>(
        &'a self,
        provider: &'a str,
        call: &'a MetricCall,
        _: &'a str,
    ) -> Answer<'a, Measurement> {
        self.measure(provider, call)
    }

    fn terminate<'a>(&'a self, _: &'a str, _: &'a MetricCall, _: &'a str) -> Answer<'a, ()> {
        ready(Ok(()))
    }

    fn validate_metric<'a>(&'a self, _: &'a str, _: &'a str) -> Answer<'a, ()> {
        ready(Ok(()))
    }

    fn capabilities(&self, _: &str) -> Result<Vec<String>, Fault> {
        Ok(vec![])
    }

    fn validate_router<'a>(&'a self, _: &'a str, _: &'a str) -> Answer<'a, ()> {
        ready(Ok(()))
    }

    fn references<'a>(
        &'a self,
        _: &'a str,
        _: &'a Routing,
        _: &'a [String],
    ) -> Answer<'a, Vec<ObjectQuery>> {
        ready(Ok(vec![]))
    }

    fn route<'a>(
        &'a self,
        _: &'a str,
        wanted: &'a Routing,
        _: &'a [String],
    ) -> Answer<'a, Vec<Change>> {
        ready(self.take(wanted).map(|()| vec![]))
    }

    fn verify<'a>(
        &'a self,
        _: &'a str,
        wanted: &'a Routing,
        _: &'a [String],
    ) -> Answer<'a, Verification> {
        ready(Ok(self.taken(wanted)))
    }

    fn release<'a>(
        &'a self,
        _: &'a str,
        _: &'a Routing,
        _: &'a [String],
    ) -> Answer<'a, Vec<Change>> {
        ready(Ok(vec![]))
    }
}
