//! One call: a fresh instance, limits, the outcome as a value or a fault.

use std::time::Instant;

use sluice_port::{
    Answer, Change, Components, Destination, Fault, Measured, Measurement, MetricCall, ObjectQuery,
    ObjectRef, Routing, Verdict, Verification,
};
use wasmtime::{Store, UpdateDeadline};

use crate::bindings::host::sluice::plugin::types::{self, PluginError};
use crate::bindings::metric::exports::sluice::metric::provider;
use crate::bindings::traffic::exports::sluice::traffic::router;
use crate::bindings::traffic::sluice::traffic::types as wire;
use crate::ctx::Ctx;
use crate::host::{ComponentHost, Generation, Used};
use crate::limits::{Kind, Limits, MOST_ITEMS, MOST_TEXT, MOST_TOKEN};
use crate::load::Pre;

/// What a component answered, or what became of the attempt.
type Reply<T> = wasmtime::Result<Result<T, PluginError>>;

impl ComponentHost {
    /// Call a component of this kind and name.
    async fn call<T, F>(
        &self,
        kind: Kind,
        name: &str,
        narrow: fn(Limits) -> Limits,
        act: F,
    ) -> Result<T, Fault>
    where
        F: AsyncFnOnce(&Pre, &mut Store<Ctx>) -> Reply<T>,
    {
        let generation = self.current(kind, name)?;
        generation.admit()?;
        let closed = |_| Fault::Failed { code: "stopping".into(), message: "stopping".into() };
        let _one = self.inner.permits.acquire().await.map_err(closed)?;
        let _own = generation.permits.acquire().await.map_err(closed)?;
        let limits = narrow(generation.limits);
        let (result, used) = self.run(&generation, limits, act).await;
        generation.record(&used, result.as_ref().map(|_| ()));
        result
    }

    async fn run<T, F>(
        &self,
        generation: &Generation,
        limits: Limits,
        act: F,
    ) -> (Result<T, Fault>, Used)
    where
        F: AsyncFnOnce(&Pre, &mut Store<Ctx>) -> Reply<T>,
    {
        let started = Instant::now();
        let mut store = self.store(generation, limits);
        let called = act(&generation.loaded.pre, &mut store);
        let outcome = tokio::time::timeout(limits.wall, called).await;
        let ctx = store.data();
        let used = Used {
            time: started.elapsed(),
            ticks: ctx.ticks,
            peak: ctx.peak,
            denied: ctx.denied,
        };
        let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(0);
        let result = match outcome {
            Err(_) => Err(Fault::TimedOut { limit_ms: millis(limits.wall) }),
            Ok(Ok(Ok(value))) => Ok(value),
            Ok(Ok(Err(error))) => Err(said(error)),
            Ok(Err(_)) if ctx.memory_refused() => {
                Err(Fault::MemoryExceeded { limit: limits.memory as u64 })
            }
            Ok(Err(_)) if ctx.cpu_used_up() => {
                Err(Fault::CpuExceeded { limit_ms: millis(limits.cpu) })
            }
            Ok(Err(error)) => Err(Fault::Trapped { message: cut(format!("{error:#}"), 4096) }),
        };
        (result, used)
    }

    fn store(&self, generation: &Generation, limits: Limits) -> Store<Ctx> {
        let inner = &self.inner;
        let name = generation.name.clone();
        let ctx = Ctx::new(name, inner.egress.clone(), inner.clock.as_ref(), limits);
        let mut store = Store::new(inner.clockwork.engine(), ctx);
        store.limiter(|ctx| ctx);
        store.set_epoch_deadline(1);
        // Only guest code that runs is looked at, so what is counted is computing.
        store.epoch_deadline_callback(|mut ctx| {
            let ctx = ctx.data_mut();
            ctx.ticks += 1;
            Ok(if ctx.cpu_used_up() { UpdateDeadline::Interrupt } else { UpdateDeadline::Yield(1) })
        });
        store
    }

    /// What a router can do, asked when it is installed.
    pub(crate) async fn ask_capabilities(
        &self,
        generation: &Generation,
    ) -> Result<Vec<String>, Fault> {
        let ask = async |pre: &Pre, store: &mut Store<Ctx>| {
            let Pre::Router(pre) = pre else { return wrong_kind() };
            let router = pre.instantiate_async(&mut *store).await?;
            router.sluice_traffic_router().call_capabilities(&mut *store).await.map(Ok)
        };
        let (result, _) = self.run(generation, generation.limits.for_validation(), ask).await;
        let capabilities = result?;
        bounded(capabilities.len(), capabilities.iter().map(String::len).sum())?;
        Ok(capabilities)
    }

    async fn on_metric<T>(
        &self,
        name: &str,
        narrow: fn(Limits) -> Limits,
        act: impl AsyncFnOnce(&provider::Guest, &mut Store<Ctx>) -> Reply<T>,
    ) -> Result<T, Fault> {
        self.call(Kind::Metric, name, narrow, async |pre, store| {
            let Pre::Metric(pre) = pre else { return wrong_kind() };
            let instance = pre.instantiate_async(&mut *store).await?;
            act(instance.sluice_metric_provider(), store).await
        })
        .await
    }

    async fn on_router<T>(
        &self,
        name: &str,
        narrow: fn(Limits) -> Limits,
        act: impl AsyncFnOnce(&router::Guest, &mut Store<Ctx>) -> Reply<T>,
    ) -> Result<T, Fault> {
        self.call(Kind::Router, name, narrow, async |pre, store| {
            let Pre::Router(pre) = pre else { return wrong_kind() };
            let instance = pre.instantiate_async(&mut *store).await?;
            act(instance.sluice_traffic_router(), store).await
        })
        .await
    }
}

/// A slot holds components of its own kind only; that it does not is a defect of ours.
fn wrong_kind<T>() -> Reply<T> {
    Err(wasmtime::Error::msg("a component of another kind is in this place"))
}

fn whole(limits: Limits) -> Limits {
    limits
}

impl Components for ComponentHost {
    fn measure<'a>(
        &'a self,
        provider: &'a str,
        call: &'a MetricCall,
    ) -> Answer<'a, Measurement> {
        Box::pin(async move {
            let context = context(call);
            let measured = self
                .on_metric(provider, whole, async |guest, store| {
                    guest.call_run(&mut *store, &context).await
                })
                .await?;
            measurement(measured)
        })
    }

    fn resume<'a>(
        &'a self,
        provider: &'a str,
        call: &'a MetricCall,
        token: &'a str,
    ) -> Answer<'a, Measurement> {
        Box::pin(async move {
            let (context, token) = (context(call), token.to_owned());
            let measured = self
                .on_metric(provider, whole, async |guest, store| {
                    guest.call_resume(&mut *store, &context, &token).await
                })
                .await?;
            measurement(measured)
        })
    }

    fn terminate<'a>(
        &'a self,
        provider: &'a str,
        call: &'a MetricCall,
        token: &'a str,
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            let (context, token) = (context(call), token.to_owned());
            self.on_metric(provider, whole, async |guest, store| {
                guest.call_terminate(&mut *store, &context, &token).await
            })
            .await
        })
    }

    fn validate_metric<'a>(&'a self, provider: &'a str, config: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let config = config.to_owned();
            self.on_metric(provider, Limits::for_validation, async |guest, store| {
                guest.call_validate(&mut *store, &config).await
            })
            .await
        })
    }

    fn capabilities(&self, router: &str) -> Result<Vec<String>, Fault> {
        Ok(self.current(Kind::Router, router)?.capabilities.clone())
    }

    fn validate_router<'a>(&'a self, router: &'a str, config: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let config = config.to_owned();
            self.on_router(router, Limits::for_validation, async |guest, store| {
                guest.call_validate(&mut *store, &config).await
            })
            .await
        })
    }

    fn references<'a>(
        &'a self,
        router: &'a str,
        wanted: &'a Routing,
        found: &'a [String],
    ) -> Answer<'a, Vec<ObjectQuery>> {
        Box::pin(async move {
            let wanted = routing(wanted);
            let queries = self
                .on_router(router, whole, async |guest, store| {
                    guest.call_references(&mut *store, &wanted, found).await
                })
                .await?;
            bounded(queries.len(), 0)?;
            Ok(queries.into_iter().map(query).collect())
        })
    }

    fn route<'a>(
        &'a self,
        router: &'a str,
        wanted: &'a Routing,
        objects: &'a [String],
    ) -> Answer<'a, Vec<Change>> {
        Box::pin(async move {
            let wanted = routing(wanted);
            let changes = self
                .on_router(router, whole, async |guest, store| {
                    guest.call_route(&mut *store, &wanted, objects).await
                })
                .await?;
            checked_changes(changes)
        })
    }

    fn verify<'a>(
        &'a self,
        router: &'a str,
        wanted: &'a Routing,
        objects: &'a [String],
    ) -> Answer<'a, Verification> {
        Box::pin(async move {
            let wanted = routing(wanted);
            let verified = self
                .on_router(router, whole, async |guest, store| {
                    guest.call_verify(&mut *store, &wanted, objects).await
                })
                .await?;
            Ok(match verified {
                wire::Verification::Converged => Verification::Converged,
                wire::Verification::Pending(why) => Verification::Pending(cut(why, 1024)),
                wire::Verification::CannotTell => Verification::CannotTell,
            })
        })
    }

    fn release<'a>(
        &'a self,
        router: &'a str,
        last: &'a Routing,
        objects: &'a [String],
    ) -> Answer<'a, Vec<Change>> {
        Box::pin(async move {
            let last = routing(last);
            let changes = self
                .on_router(router, whole, async |guest, store| {
                    guest.call_release(&mut *store, &last, objects).await
                })
                .await?;
            checked_changes(changes)
        })
    }
}

/// What the component said of itself.
fn said(error: PluginError) -> Fault {
    match error {
        PluginError::InvalidConfig(text) => Fault::InvalidConfig(cut(text, 4096)),
        PluginError::Transient(hint) => {
            Fault::Transient { message: cut(hint.message, 4096), after_ms: hint.after_ms }
        }
        PluginError::Failed(failure) => {
            Fault::Failed { code: cut(failure.code, 64), message: cut(failure.message, 4096) }
        }
    }
}

/// The beginning of a text, at most so many bytes.
fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        let end = (0..=most).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

fn bounded(items: usize, bytes: usize) -> Result<(), Fault> {
    if items > MOST_ITEMS {
        return Err(Fault::Malformed(format!("{items} items, and {MOST_ITEMS} are the most")));
    }
    if bytes > MOST_TEXT {
        return Err(Fault::Malformed(format!("{bytes} bytes, and {MOST_TEXT} are the most")));
    }
    Ok(())
}

fn json(text: &str) -> Result<(), Fault> {
    bounded(0, text.len())?;
    serde_json::from_str::<serde_json::Value>(text)
        .map(|_| ())
        .map_err(|error| Fault::Malformed(format!("not JSON: {error}")))
}

fn context(call: &MetricCall) -> provider::MetricContext {
    provider::MetricContext {
        namespace: call.namespace.clone(),
        analysis_run: call.run.clone(),
        metric: call.metric.clone(),
        config: call.config.clone(),
        labels: call.labels.clone(),
        index: call.index,
    }
}

fn measurement(measured: provider::Measurement) -> Result<Measurement, Fault> {
    let pairs = measured.metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
    bounded(measured.metadata.len(), pairs)?;
    let outcome = match measured.outcome {
        provider::Outcome::Number(number) => Measured::Number(number),
        provider::Outcome::Numbers(numbers) => {
            bounded(numbers.len(), 0)?;
            Measured::Numbers(numbers)
        }
        provider::Outcome::Value(value) => {
            json(&value)?;
            Measured::Value(value)
        }
        provider::Outcome::NoData => Measured::NoData,
        provider::Outcome::Judged(verdict) => Measured::Judged(match verdict {
            provider::Verdict::Successful => Verdict::Successful,
            provider::Verdict::Failed => Verdict::Failed,
            provider::Verdict::Inconclusive => Verdict::Inconclusive,
        }),
        provider::Outcome::Running(progress) => {
            if progress.token.len() > MOST_TOKEN {
                let bytes = progress.token.len();
                return Err(Fault::Malformed(format!("a token of {bytes} bytes, and {MOST_TOKEN} are the most")));
            }
            let resume_after_ms = progress.resume_after_ms.clamp(1_000, 3_600_000);
            Measured::Running { token: progress.token, resume_after_ms }
        }
    };
    let message = measured.message.map(|message| cut(message, 4096));
    Ok(Measurement { outcome, message, metadata: measured.metadata })
}

fn checked_changes(changes: Vec<wire::Change>) -> Result<Vec<Change>, Fault> {
    bounded(changes.len(), 0)?;
    let check = |change| {
        Ok(match change {
            wire::Change::Put(object) => {
                json(&object)?;
                Change::Put(object)
            }
            wire::Change::Remove(target) => Change::Remove(reference(target)),
        })
    };
    changes.into_iter().map(check).collect()
}

fn reference(target: types::ObjectRef) -> ObjectRef {
    ObjectRef {
        api_version: target.api_version,
        kind: target.kind,
        namespace: target.namespace,
        name: target.name,
    }
}

fn query(query: wire::ObjectQuery) -> ObjectQuery {
    ObjectQuery {
        api_version: query.api_version,
        kind: query.kind,
        namespace: query.namespace,
        name: query.name,
        label_selector: query.label_selector,
    }
}

fn routing(routing: &Routing) -> wire::Routing {
    wire::Routing {
        namespace: routing.namespace.clone(),
        rollout: routing.rollout.clone(),
        rollout_uid: routing.rollout_uid.clone(),
        config: routing.config.clone(),
        stable: destination(&routing.stable),
        canary: destination(&routing.canary),
        additional: routing.additional.iter().map(destination).collect(),
        total_weight: routing.total_weight,
        header_routes: routing
            .header_routes
            .iter()
            .map(|route| wire::HeaderRoute {
                name: route.name.clone(),
                headers: route.headers.iter().map(header).collect(),
            })
            .collect(),
        mirror_routes: routing
            .mirror_routes
            .iter()
            .map(|route| wire::MirrorRoute {
                name: route.name.clone(),
                matches: route
                    .matches
                    .iter()
                    .map(|one| wire::MirrorMatch {
                        method: one.method.as_ref().map(string_match),
                        path: one.path.as_ref().map(string_match),
                        headers: one.headers.iter().map(header).collect(),
                    })
                    .collect(),
                percentage: route.percentage,
            })
            .collect(),
        managed_routes: routing.managed_routes.clone(),
        extensions: routing.extensions.clone(),
    }
}

fn destination(destination: &Destination) -> wire::Destination {
    wire::Destination {
        service: destination.service.clone(),
        pod_hash: destination.pod_hash.clone(),
        weight: destination.weight,
    }
}

fn header(header: &sluice_port::traffic::HeaderMatch) -> wire::HeaderMatch {
    wire::HeaderMatch { name: header.name.clone(), value: string_match(&header.value) }
}

fn string_match(text: &sluice_port::traffic::StringMatch) -> wire::StringMatch {
    use sluice_port::traffic::StringMatch;
    match text {
        StringMatch::Exact(text) => wire::StringMatch::Exact(text.clone()),
        StringMatch::Prefix(text) => wire::StringMatch::Prefix(text.clone()),
        StringMatch::Regex(text) => wire::StringMatch::Regex(text.clone()),
    }
}

