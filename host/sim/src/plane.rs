//! A data plane that takes routings up late, partly or not at all, and says so or not; and a
//! metrics server that answers what it is told. Both behind the same trait as real components.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use sluice_core::Timestamp;
use sluice_port::{
    Answer, Change, Components, Fault, Measured, Measurement, MetricCall, ObjectQuery, Routing,
    StepAnswer, StepCall, Verification,
};

use crate::step::Stepper;

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

/// Where requests go: the weights of both sides, their Services, and the revisions that routes
/// name themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// The router that sends them there.
    pub router: String,
    /// Its configuration, which says where its routes are; empty where that is not known.
    pub config: String,
    /// The Service of the canary side; empty if there is none.
    pub canary_service: String,
    /// The Service of the stable side; empty if there is none.
    pub stable_service: String,
    /// Whether some requests go to the canary side, or are copied there, whatever the weights say.
    pub special: bool,
    /// Parts of [`Live::whole`] that go to the canary side.
    pub canary: u32,
    /// Parts that go to other Services instead of the stable side, by their names.
    pub extra: BTreeMap<String, u32>,
    /// All parts.
    pub whole: u32,
    /// The revision that the route names for the canary side.
    pub canary_hash: String,
    /// The revision that the route names for the stable side.
    pub stable_hash: String,
}

impl Live {
    /// Parts of [`Live::whole`] that go to the stable side.
    pub fn stable(&self) -> u32 {
        let extra: u32 = self.extra.values().sum();
        self.whole.saturating_sub(self.canary).saturating_sub(extra)
    }
}

#[derive(Debug, Default)]
struct State {
    now: Timestamp,
    manner: Manner,
    calls: u64,
    asks: u64,
    /// By router and configuration, what is live from when on; the last one that has begun is in
    /// force.
    history: BTreeMap<(String, String), Vec<(Timestamp, Live)>>,
    answer: Option<Result<Measured, String>>,
    /// By component; that of no name does what no other does.
    steppers: BTreeMap<String, Stepper>,
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

    /// From now on the steps of this component behave like this; with an empty name, the steps of
    /// all that have no manner of their own.
    pub fn set_stepper(&self, name: &str, stepper: Stepper) {
        self.with(|state| state.steppers.insert(name.to_owned(), stepper));
    }

    /// What is live at `now`, one for each router that was ever asked.
    pub fn live(&self, now: Timestamp) -> Vec<Live> {
        self.with(|state| {
            state.history.values().filter_map(|history| in_force(history, now)).collect()
        })
    }

    /// What is live at `now` or will be, since it was asked for.
    pub fn live_and_pending(&self, now: Timestamp) -> Vec<Live> {
        self.with(|state| {
            let known = state.history.values().flat_map(|history| {
                let pending = history.iter().filter(move |(from, _)| *from > now);
                let pending = pending.map(|(_, live)| live.clone());
                in_force(history, now).into_iter().chain(pending)
            });
            known.collect()
        })
    }

    /// When something becomes live next.
    pub fn next_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.with(|state| {
            let times = state.history.values().flatten().map(|(from, _)| *from);
            times.filter(|at| *at > now).min()
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        match self.0.lock() {
            Ok(mut state) => act(&mut state),
            Err(poisoned) => act(&mut poisoned.into_inner()),
        }
    }

    fn take(&self, router: &str, wanted: &Routing) -> Result<(), Fault> {
        self.with(|state| {
            state.calls += 1;
            let every = state.manner.fails_every;
            let fails = every > 0 && state.calls % every == 0;
            // Half of the failures come after the routing was taken: nobody can know.
            if !fails || state.calls % (2 * every.max(1)) == 0 {
                state.ask(meant(router, wanted));
            }
            let message = "the data plane did not answer".to_owned();
            if fails { Err(Fault::Transient { message, after_ms: None }) } else { Ok(()) }
        })
    }

    /// From now on the router sends nobody anywhere.
    fn let_go(&self, router: &str, last: &Routing) -> Result<(), Fault> {
        self.with(|state| {
            state.calls += 1;
            let every = state.manner.fails_every;
            let fails = every > 0 && state.calls % every == 0;
            if !fails || state.calls % (2 * every.max(1)) == 0 {
                state.history.remove(&(router.to_owned(), last.config.clone()));
            }
            let message = "the data plane did not answer".to_owned();
            if fails { Err(Fault::Transient { message, after_ms: None }) } else { Ok(()) }
        })
    }

    fn taken(&self, router: &str, wanted: &Routing) -> Verification {
        self.with(|state| {
            let history = state.history.get(&(router.to_owned(), wanted.config.clone()));
            let history = history.map(Vec::as_slice).unwrap_or_default();
            let pending = history.iter().any(|(from, _)| *from > state.now);
            let same = in_force(history, state.now) == Some(meant(router, wanted));
            match (state.manner.tells, same && !pending) {
                (true, true) => Verification::Converged,
                (true, false) => Verification::Pending("it is not live yet".to_owned()),
                (false, _) => Verification::CannotTell,
            }
        })
    }
}

impl State {
    fn stepper(&mut self, name: &str) -> &mut Stepper {
        let name = if self.steppers.contains_key(name) { name } else { "" };
        self.steppers.entry(name.to_owned()).or_default()
    }

    fn ask(&mut self, live: Live) {
        let history = self.history.entry((live.router.clone(), live.config.clone())).or_default();
        let last = history.last().map(|(from, _)| *from).unwrap_or_default();
        if history.last().is_some_and(|(_, last)| *last == live) {
            return;
        }
        let turn = usize::try_from(self.asks).unwrap_or(0);
        self.asks += 1;
        let delays = &self.manner.delays;
        let delay = delays.get(turn % delays.len().max(1)).copied().unwrap_or_default();
        // One routing is taken up after the other.
        history.push((self.now.after(delay).max(last), live));
        let gone = history.iter().rposition(|(from, _)| *from <= self.now).unwrap_or(0);
        history.drain(..gone);
    }
}

/// What a routing makes live once it is taken up.
fn meant(router: &str, wanted: &Routing) -> Live {
    Live {
        router: router.to_owned(),
        config: wanted.config.clone(),
        canary_service: wanted.canary.service.clone(),
        stable_service: wanted.stable.service.clone(),
        special: !wanted.header_routes.is_empty() || !wanted.mirror_routes.is_empty(),
        canary: wanted.canary.weight,
        extra: wanted
            .additional
            .iter()
            .filter(|one| one.weight > 0)
            .map(|one| (one.service.clone(), one.weight))
            .collect(),
        whole: wanted.total_weight,
        canary_hash: wanted.canary.pod_hash.clone(),
        stable_hash: wanted.stable.pod_hash.clone(),
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
        use sluice_port::traffic::capability as can;
        let all = [
            can::HEADER_ROUTES,
            can::MIRROR_ROUTES,
            can::ADDITIONAL_DESTINATIONS,
            can::PING_PONG,
            can::VERIFY,
        ];
        Ok(all.map(str::to_owned).to_vec())
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
        router: &'a str,
        wanted: &'a Routing,
        _: &'a [String],
    ) -> Answer<'a, Vec<Change>> {
        ready(self.take(router, wanted).map(|()| vec![]))
    }

    fn verify<'a>(
        &'a self,
        router: &'a str,
        wanted: &'a Routing,
        _: &'a [String],
    ) -> Answer<'a, Verification> {
        ready(Ok(self.taken(router, wanted)))
    }

    fn validate_step<'a>(&'a self, _: &'a str, _: &'a str) -> Answer<'a, ()> {
        ready(Ok(()))
    }

    fn run_step<'a>(&'a self, name: &'a str, call: &'a StepCall) -> Answer<'a, StepAnswer> {
        ready(self.with(|state| {
            let now = state.now;
            state.stepper(name).run(call, now)
        }))
    }

    fn terminate_step<'a>(&'a self, name: &'a str, _: &'a StepCall) -> Answer<'a, ()> {
        ready(self.with(|state| state.stepper(name).stop()))
    }

    fn abort_step<'a>(&'a self, name: &'a str, _: &'a StepCall) -> Answer<'a, ()> {
        ready(self.with(|state| state.stepper(name).stop()))
    }

    fn release<'a>(
        &'a self,
        router: &'a str,
        last: &'a Routing,
        _: &'a [String],
    ) -> Answer<'a, Vec<Change>> {
        ready(self.let_go(router, last).map(|()| vec![]))
    }
}
