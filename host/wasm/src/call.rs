//! One call: a fresh instance, limits, and the outcome as a value or a fault.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sluice_port::Fault;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};
use wasmtime::{Store, UpdateDeadline, WasmBacktrace};

use crate::bindings::host::sluice::plugin::types::{Failure, PluginError};
use crate::ctx::{Ctx, MOST_RESOURCES, Surroundings};
use crate::engine::TICK_UNITS;
use crate::host::{ComponentHost, Generation, locked};
use crate::host_log::beginning;
use crate::limits::{Kind, Limits, MOST_ITEMS, MOST_MESSAGE, MOST_PASSED, MOST_TEXT};
use crate::load::Pre;
use crate::meter::Metered;
use crate::stats::Used;
use crate::trace::Trace;
use crate::turns::{Seat, Turns};

/// The longest that a component can ask to be left alone: an hour.
const MOST_WAIT_MS: u32 = 3_600_000;

/// What a component answered, or what became of the attempt.
pub(crate) type Reply<T> = wasmtime::Result<Result<T, PluginError>>;

/// For which work a component is called, which decides about its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    Work,
    Validation,
}

impl For {
    fn limits(self, limits: Limits) -> Limits {
        match self {
            Self::Work => limits,
            Self::Validation => limits.for_validation(),
        }
    }
}

impl ComponentHost {
    /// Call the component of this kind and name. `check` turns its answer into ours; an answer
    /// that may not be is the component's misbehaviour as much as a trap.
    pub(crate) async fn call<T, U>(
        &self,
        kind: Kind,
        name: &str,
        work: For,
        act: impl AsyncFnOnce(&Pre, &mut Store<Ctx>) -> Reply<T>,
        check: fn(T) -> Result<U, Fault>,
    ) -> Result<U, Fault> {
        match work {
            For::Work => self.let_in(name).await,
            For::Validation => {}
        }
        self.call_on(self.current(kind, name)?, work, act, check).await
    }

    /// Call this one, whoever is called by its name now.
    pub(crate) async fn call_on<T, U>(
        &self,
        generation: Arc<Generation>,
        work: For,
        act: impl AsyncFnOnce(&Pre, &mut Store<Ctx>) -> Reply<T>,
        check: fn(T) -> Result<U, Fault>,
    ) -> Result<U, Fault> {
        let limits = work.limits(generation.limits);
        // The component's own places come first, so that one which waits for those does not
        // keep others out.
        let _own = within(generation.permits.acquire(), &generation, work).await?;
        let _any = within(self.inner.places.take(&generation.held), &generation, work).await?;
        let admitted = self.admit(&generation)?;
        let trace = Trace::begin();
        let span = span(&generation, trace);
        let run = self.run_within(&generation, limits, trace, act);
        let (answer, used) = run.instrument(span.clone()).await;
        let result = answer.and_then(check);
        span.record("outcome", result.as_ref().map_or_else(Fault::kind, |_| "ok"));
        span.record("seconds", used.wall.as_secs_f64());
        span.in_scope(|| {
            tracing::debug!("a component was called");
            admitted.ended(self.inner.time.elapsed(), &used, result.as_ref().map(|_| ()));
        });
        let misbehaved = result.as_ref().is_err_and(Fault::is_misbehaviour);
        self.judge(&generation, misbehaved);
        result
    }

    /// Make an instance of a component that nobody can call yet. A router says what it can do.
    pub(crate) async fn try_once(&self, generation: &Generation) -> Result<Vec<String>, Fault> {
        let limits = generation.limits.for_validation();
        let act = async |pre: &Pre, store: &mut Store<Ctx>| match pre {
            Pre::Metric(pre) => {
                pre.instantiate_async(&mut *store).await?;
                Ok(Ok(Vec::new()))
            }
            Pre::Router(pre) => {
                let router = pre.instantiate_async(&mut *store).await?;
                router.sluice_traffic_router().call_capabilities(&mut *store).await.map(Ok)
            }
            Pre::Step(pre) => {
                pre.instantiate_async(&mut *store).await?;
                Ok(Ok(Vec::new()))
            }
            Pre::Notifier(pre) => {
                pre.instantiate_async(&mut *store).await?;
                Ok(Ok(Vec::new()))
            }
        };
        let (capabilities, _) = self.run(generation, limits, act).await;
        let capabilities = capabilities?;
        bounded("capabilities", capabilities.len(), MOST_ITEMS)?;
        match capabilities.iter().find(|name| !is_kebab(name)) {
            Some(name) => Err(Fault::Malformed(format!("{name:?} is no name of a capability"))),
            None => Ok(capabilities),
        }
    }

    pub(crate) async fn run<T>(
        &self,
        generation: &Generation,
        limits: Limits,
        act: impl AsyncFnOnce(&Pre, &mut Store<Ctx>) -> Reply<T>,
    ) -> (Result<T, Fault>, Used) {
        self.run_within(generation, limits, Trace::begin(), act).await
    }

    async fn run_within<T>(
        &self,
        generation: &Generation,
        limits: Limits,
        trace: Trace,
        act: impl AsyncFnOnce(&Pre, &mut Store<Ctx>) -> Reply<T>,
    ) -> (Result<T, Fault>, Used) {
        let began = Instant::now();
        let _beat = self.inner.pulse.begin();
        let mut store = self.store(generation, limits, trace);
        let (meter, seat) = (store.data().meter.clone(), store.data().seat.clone());
        let called = Metered::new(act(&generation.loaded.pre, &mut store), meter, seat);
        let outcome = tokio::time::timeout(limits.wall, called).await;
        let ctx = store.data();
        let used = Used {
            wall: began.elapsed(),
            cpu: ctx.meter.total(),
            memory_peak: ctx.memory_peak,
            http_calls: ctx.outgoing.sent(),
            denied: ctx.denied + ctx.outgoing.denied(),
        };
        let result = match outcome {
            Err(_) => Err(Fault::TimedOut { limit_ms: millis(limits.wall) }),
            Ok(Ok(Ok(value))) => Ok(value),
            Ok(Ok(Err(error))) => Err(said(error)),
            Ok(Err(error)) => Err(stopped(ctx, &error)),
        };
        (result, used)
    }

    fn store(&self, generation: &Generation, limits: Limits, trace: Trace) -> Store<Ctx> {
        let around = Surroundings {
            plugin: generation.name.clone(),
            egress: self.egress_of(generation),
            trace: self.inner.traces.then_some(trace),
            grants: generation.grants.clone(),
            private: locked(&generation.private).clone(),
            time: &self.inner.time,
            variables: match self.inner.variables.get(&*generation.name) {
                Some(variables) if generation.sees_environment() => variables,
                Some(_) | None => &[],
            },
        };
        let mut store = Store::new(self.inner.loader.engine(), Ctx::new(around, limits));
        store.limiter(|ctx| ctx);
        store.set_hostcall_fuel(MOST_PASSED);
        store.set_max_component_handles(MOST_RESOURCES);
        store.set_epoch_deadline(1);
        let turns = self.inner.turns.clone();
        store.epoch_deadline_callback(move |mut ctx| {
            let ctx = ctx.data_mut();
            let computed = ctx.meter.within();
            ctx.cpu_exceeded = computed > ctx.limits.cpu;
            if ctx.cpu_exceeded {
                return Ok(UpdateDeadline::Interrupt);
            }
            let way = give_way(turns.clone(), ctx.seat.clone(), computed);
            Ok(UpdateDeadline::YieldCustom(TICK_UNITS, Box::pin(way)))
        });
        store
    }
}

/// Who has computed for less was only looked at in a bad moment: most calls are over before.
const HARDLY: Duration = Duration::from_millis(1);

/// Let others go first, and wait for a turn unless the call has hardly begun.
async fn give_way(turns: Arc<Turns>, seat: Seat, computed: Duration) {
    let turn = match computed < HARDLY {
        true => None,
        false => Some(turns.take(computed).await),
    };
    // After the turn has come, so that one slice does not follow the other: the executor looks
    // for what arrived from the network in between.
    tokio::task::yield_now().await;
    if let Some(turn) = turn {
        seat.sit(turn);
    }
}

/// What logs and traces tell of a call.
fn span(generation: &Generation, trace: Trace) -> Span {
    tracing::info_span!(
        "component",
        name = &*generation.name,
        kind = generation.kind().name(),
        digest = generation.loaded.digest,
        trace = trace.id(),
        outcome = Empty,
        seconds = Empty,
    )
}

/// Wait for a place: a measurement for as long as it takes, since a run would rather be late than
/// wrong, and others for as long as a call may take, since more than a run waits for them.
async fn within<P>(
    place: impl Future<Output = P>,
    generation: &Generation,
    work: For,
) -> Result<P, Fault> {
    if work == For::Work && generation.kind() == Kind::Metric {
        return Ok(place.await);
    }
    let wall = work.limits(generation.limits).wall;
    let waited = tokio::time::timeout(wall, place).await;
    waited.map_err(|_| Fault::Transient {
        message: format!(
            "no place for another call of '{}' within {} ms",
            generation.name,
            millis(wall)
        ),
        after_ms: None,
    })
}

/// What the component said of itself.
fn said(error: PluginError) -> Fault {
    match error {
        PluginError::InvalidConfig(text) => Fault::InvalidConfig(reason(text)),
        PluginError::Transient(hint) => {
            let after_ms = hint.after_ms.map(|after| after.min(MOST_WAIT_MS));
            Fault::Transient { message: reason(hint.message), after_ms }
        }
        PluginError::Failed(Failure { code, message }) if is_kebab(&code) => {
            Fault::Failed { code, message: reason(message) }
        }
        PluginError::Failed(Failure { code, message }) => Fault::Malformed(format!(
            "{:?} is no error code in lower-kebab-case of at most 64 bytes; it says: {}",
            beginning(&code, 64),
            cut(message)
        )),
    }
}

/// What the host saw happen to it. The host's own reasons come before the trap that they end in.
fn stopped(ctx: &Ctx, error: &wasmtime::Error) -> Fault {
    if ctx.cpu_exceeded {
        return Fault::CpuExceeded { limit_ms: millis(ctx.limits.cpu) };
    }
    if ctx.memory_refused {
        return Fault::MemoryExceeded { limit: ctx.limits.memory as u64 };
    }
    let mut message = error.root_cause().to_string();
    let words = ctx.log.last_words();
    if !words.is_empty() {
        message = format!("{message}; it last wrote: {words}");
    }
    if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
        message = format!("{message}\n{backtrace}");
    }
    Fault::Trapped { message: cut(message) }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Text for people, cut where nobody would read on.
pub(crate) fn cut(mut text: String) -> String {
    let kept = beginning(&text, MOST_MESSAGE).len();
    if kept < text.len() {
        text.truncate(kept);
        text.push('…');
    }
    text
}

/// Why something is as it is, for people. Who says nothing is told to have said nothing, since
/// what was wrong would otherwise have no words at all.
pub(crate) fn reason(text: String) -> String {
    if text.trim().is_empty() { "the component gives no reason".to_owned() } else { cut(text) }
}

pub(crate) fn bounded(what: &str, count: usize, most: usize) -> Result<(), Fault> {
    if count <= most {
        return Ok(());
    }
    Err(Fault::Malformed(format!("{count} {what}, and {most} are the most")))
}

/// Whether a text that should be one JSON document is.
pub(crate) fn json(what: &str, text: &str) -> Result<serde_json::Value, Fault> {
    bounded(&format!("bytes of {what}"), text.len(), MOST_TEXT)?;
    serde_json::from_str(text)
        .map_err(|error| Fault::Malformed(format!("{what} is no JSON: {error}")))
}

fn is_kebab(name: &str) -> bool {
    let word = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    name.len() <= 64 && name.split('-').all(word)
}

/// A slot holds components of its own kind only, so this would be a defect of the host.
pub(crate) fn wrong_kind<T>() -> Reply<T> {
    Err(wasmtime::Error::msg("a component of another kind is in this place"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_becomes_a_label_so_it_must_look_like_one() {
        for code in ["http-404", "x", "a1-b2"] {
            assert!(is_kebab(code), "{code}");
        }
        for code in ["", "-", "a--b", "Http", "no such thing", "é", &"a".repeat(65)] {
            assert!(!is_kebab(code), "{code}");
        }
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let text = cut("é".repeat(MOST_MESSAGE));
        assert!(text.ends_with('…') && text.len() <= MOST_MESSAGE + '…'.len_utf8());
        assert_eq!(cut("short".to_owned()), "short");
    }
}
