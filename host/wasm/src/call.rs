//! One call: a fresh instance, limits, and the outcome as a value or a fault.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sluice_port::Fault;
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};
use wasmtime::{Store, UpdateDeadline, WasmBacktrace};

use crate::bindings::host::sluice::plugin::types::{Failure, PluginError};
use crate::ctx::{Ctx, MOST_RESOURCES, Surroundings};
use crate::host::{ComponentHost, Generation, locked};
use crate::host_log::beginning;
use crate::limits::{Kind, Limits, MOST_ITEMS, MOST_MESSAGE, MOST_PASSED, MOST_TEXT};
use crate::load::Pre;
use crate::meter::Metered;
use crate::stats::Used;
use crate::trace::Trace;

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
        let _own = place(&generation.permits, &generation, limits).await?;
        let _any = place(&self.inner.permits, &generation, limits).await?;
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
        let mut store = self.store(generation, limits, trace);
        let meter = store.data().meter.clone();
        let called = Metered::new(act(&generation.loaded.pre, &mut store), meter);
        let outcome = tokio::time::timeout(limits.wall, called).await;
        let ctx = store.data();
        let used = Used {
            wall: began.elapsed(),
            cpu: ctx.meter.total(),
            memory_peak: ctx.memory_peak,
            http_calls: ctx.http_calls,
            denied: ctx.denied,
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
        store.epoch_deadline_callback(|mut ctx| {
            let ctx = ctx.data_mut();
            ctx.cpu_exceeded = ctx.meter.within() > ctx.limits.cpu;
            Ok(if ctx.cpu_exceeded { UpdateDeadline::Interrupt } else { UpdateDeadline::Yield(1) })
        });
        store
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

/// Wait for a place, for as long as a call may take.
async fn place<'a>(
    places: &'a Semaphore,
    generation: &Generation,
    limits: Limits,
) -> Result<SemaphorePermit<'a>, Fault> {
    match tokio::time::timeout(limits.wall, places.acquire()).await {
        Ok(Ok(permit)) => Ok(permit),
        // Nothing closes a semaphore, so only the time can be up.
        Ok(Err(_)) | Err(_) => Err(Fault::Transient {
            message: format!(
                "no place for another call of '{}' within {} ms",
                generation.name,
                millis(limits.wall)
            ),
            after_ms: None,
        }),
    }
}

/// What the component said of itself.
fn said(error: PluginError) -> Fault {
    match error {
        PluginError::InvalidConfig(text) => Fault::InvalidConfig(cut(text)),
        PluginError::Transient(hint) => {
            let after_ms = hint.after_ms.map(|after| after.min(MOST_WAIT_MS));
            Fault::Transient { message: cut(hint.message), after_ms }
        }
        PluginError::Failed(Failure { code, message }) if is_kebab(&code) => {
            Fault::Failed { code, message: cut(message) }
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
