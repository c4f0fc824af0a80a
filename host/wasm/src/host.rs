//! Every installed component, by kind and name, and how they are called.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use sluice_port::Fault;
use sluice_port::http::Egress;
use tokio::sync::Semaphore;

use crate::breaker::Breaker;
use crate::cache::Cache;
use crate::ctx::Clock;
use crate::engine::{Clockwork, MOST_CALLS};
use crate::limits::{Kind, Limits};
use crate::load::{LoadError, Loaded, load};

/// Calls at one time of one component.
const MOST_CALLS_EACH: usize = 8;

/// What a host is made of.
pub struct HostConfig {
    /// Where compiled components are kept; `None` compiles every time.
    pub cache_dir: Option<PathBuf>,
    /// What carries requests of components.
    pub egress: Arc<dyn Egress>,
    /// What time it is for components; `None` is the system's.
    pub clock: Option<Clock>,
    /// Limits instead of [`Limits::of`], for tests and operators.
    pub limits: Option<Limits>,
}

/// How often something happened to a component.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Calls by result: `ok`, or the kind of the fault.
    pub calls: BTreeMap<&'static str, u64>,
    /// Microseconds of all calls together, from start to end.
    pub micros: u64,
    /// Ticks of [`crate::TICK`] that it computed.
    pub cpu_ticks: u64,
    /// The most bytes of memory that a call used.
    pub peak_memory: usize,
    /// Requests that were denied.
    pub denied: u64,
}

/// An installed component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// The name under which rollouts find it.
    pub name: String,
    /// What it does.
    pub kind: Kind,
    /// `sha256:` and the digest of its bytes.
    pub digest: String,
    /// Where it came from: `bundled`, or a file.
    pub origin: String,
    /// The interface that it speaks.
    pub speaks: String,
    /// The interfaces of ours that it imports.
    pub imports: Vec<String>,
    /// What a router can do beyond weights.
    pub capabilities: Vec<String>,
    /// Whether compiled code was found in the cache.
    pub cached: bool,
    /// How many versions of it were installed before in this process.
    pub generation: u64,
    /// Whether it is not called for a while, since it misbehaved.
    pub suspended: bool,
    /// What happened to it.
    pub stats: Stats,
}

/// One version of one component. Calls hold it, so it lives as long as the last of them.
pub(crate) struct Generation {
    pub(crate) name: Arc<str>,
    pub(crate) loaded: Loaded,
    pub(crate) limits: Limits,
    pub(crate) capabilities: Vec<String>,
    pub(crate) permits: Semaphore,
    origin: String,
    number: u64,
    breaker: Mutex<Breaker>,
    stats: Mutex<Stats>,
}

impl Generation {
    /// Whether it may be called now.
    pub(crate) fn admit(&self) -> Result<(), Fault> {
        locked(&self.breaker).admit(Instant::now()).map_err(|wait| Fault::Suspended {
            for_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// What became of a call.
    pub(crate) fn record(&self, used: &Used, result: Result<(), &Fault>) {
        let misbehaved = result.is_err_and(Fault::is_misbehaviour);
        locked(&self.breaker).record(misbehaved, Instant::now());
        let mut stats = locked(&self.stats);
        *stats.calls.entry(result.map_or_else(Fault::kind, |()| "ok")).or_default() += 1;
        stats.micros += u64::try_from(used.time.as_micros()).unwrap_or(0);
        stats.cpu_ticks += u64::from(used.ticks);
        stats.peak_memory = stats.peak_memory.max(used.peak);
        stats.denied += u64::from(used.denied);
    }

    fn info(&self) -> Info {
        Info {
            name: self.name.to_string(),
            kind: self.loaded.kind,
            digest: self.loaded.digest.clone(),
            origin: self.origin.clone(),
            speaks: self.loaded.speaks.clone(),
            imports: self.loaded.imports.clone(),
            capabilities: self.capabilities.clone(),
            cached: self.loaded.cached,
            generation: self.number,
            suspended: locked(&self.breaker).is_open(),
            stats: locked(&self.stats).clone(),
        }
    }
}

/// What one call used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    pub(crate) time: Duration,
    pub(crate) ticks: u32,
    pub(crate) peak: usize,
    pub(crate) denied: u32,
}

type Slots = BTreeMap<(Kind, String), Arc<Generation>>;

pub(crate) struct Inner {
    pub(crate) clockwork: Clockwork,
    pub(crate) egress: Arc<dyn Egress>,
    pub(crate) clock: Option<Clock>,
    pub(crate) permits: Semaphore,
    cache: Cache,
    limits: Option<Limits>,
    slots: RwLock<Slots>,
    installed: AtomicU64,
}

/// The host. Cheap to clone; all clones are the same host.
#[derive(Clone)]
pub struct ComponentHost {
    pub(crate) inner: Arc<Inner>,
}

impl ComponentHost {
    /// A host without components.
    pub fn new(config: HostConfig) -> Result<Self, LoadError> {
        let clockwork = Clockwork::start()
            .map_err(|error| LoadError::Compile(format!("no WebAssembly engine: {error:#}")))?;
        let cache = config.cache_dir.as_deref().map_or_else(Cache::none, Cache::at);
        Ok(Self {
            inner: Arc::new(Inner {
                clockwork,
                egress: config.egress,
                clock: config.clock,
                permits: Semaphore::new(MOST_CALLS),
                cache,
                limits: config.limits,
                slots: RwLock::new(BTreeMap::new()),
                installed: AtomicU64::new(0),
            }),
        })
    }

    /// Compile a component, check it, and let it take the place of the one with its name and
    /// kind. Calls under way end on the one they began with. Nothing changes if it fails.
    pub async fn install(
        &self,
        name: &str,
        bytes: Vec<u8>,
        origin: &str,
    ) -> Result<Info, LoadError> {
        let prepared = self.prepare(name, bytes, origin).await?;
        let info = prepared.info();
        self.put(prepared);
        Ok(info)
    }

    /// Everything that installing does, except letting it be called by its name.
    pub(crate) async fn prepare(
        &self,
        name: &str,
        bytes: Vec<u8>,
        origin: &str,
    ) -> Result<Arc<Generation>, LoadError> {
        let inner = self.inner.clone();
        let compile = move || load(&inner.clockwork, &inner.cache, &bytes);
        let loaded = tokio::task::spawn_blocking(compile)
            .await
            .map_err(|error| LoadError::Compile(error.to_string()))??;
        let limits = self.inner.limits.unwrap_or_else(|| Limits::of(loaded.kind));
        let mut generation = Generation {
            name: name.into(),
            limits,
            capabilities: Vec::new(),
            permits: Semaphore::new(MOST_CALLS_EACH),
            origin: origin.to_owned(),
            number: self.inner.installed.fetch_add(1, Ordering::Relaxed),
            breaker: Mutex::default(),
            stats: Mutex::default(),
            loaded,
        };
        if generation.loaded.kind == Kind::Router {
            // The first call is a trial as well: a component that cannot even say what it can do
            // does not take anybody's place.
            generation.capabilities = self.ask_capabilities(&generation).await.map_err(|fault| {
                LoadError::Mismatch(format!("asked for its capabilities: {fault}"))
            })?;
        }
        Ok(Arc::new(generation))
    }

    pub(crate) fn put(&self, generation: Arc<Generation>) {
        let key = (generation.loaded.kind, generation.name.to_string());
        let mut slots = self.inner.slots.write().unwrap_or_else(PoisonError::into_inner);
        slots.insert(key, generation);
    }

    /// Take out the component of this kind and name; calls under way end on it.
    pub fn remove(&self, kind: Kind, name: &str) {
        let mut slots = self.inner.slots.write().unwrap_or_else(PoisonError::into_inner);
        slots.remove(&(kind, name.to_owned()));
    }

    /// Every installed component, by kind and name.
    pub fn installed(&self) -> Vec<Info> {
        let slots = self.inner.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.values().map(|generation| generation.info()).collect()
    }

    pub(crate) fn current(&self, kind: Kind, name: &str) -> Result<Arc<Generation>, Fault> {
        let slots = self.inner.slots.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(generation) = slots.get(&(kind, name.to_owned())) {
            return Ok(generation.clone());
        }
        let have = slots.keys().filter(|(other, _)| *other == kind);
        Err(Fault::Missing {
            kind: kind.name(),
            name: name.to_owned(),
            have: have.map(|(_, name)| name.clone()).collect(),
        })
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
