//! Every installed component, by kind and name.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use sluice_port::Fault;
use sluice_port::http::Egress;
use tokio::sync::{Notify, Semaphore, watch};

use crate::apart::Apart;
use crate::breaker::{Breaker, Pass};
use crate::cache::Cache;
use crate::clock::{Clock, Time};
use crate::engine::{self, MOST_CALLS, Pulse};
use crate::gate::Held;
use crate::grants::Grants;
use crate::limits::{Kind, Limits};
use crate::load::{LoadError, Loaded, Loader};
use crate::places::{self, Places};
use crate::private::Private;
use crate::recall::Earlier;
use crate::slots::{Pinned, Run, Slot, Slots, Withdrawn};
use crate::stats::{Stats, Used};
use crate::turns::Turns;
use crate::watch::Watch;
use crate::way::Way;

/// What a host is made of.
pub struct HostConfig {
    /// Where compiled components are kept; `None` compiles every time.
    pub cache_dir: Option<PathBuf>,
    /// How components of Plugin objects are compiled; `None` is in this process, as all others.
    pub apart: Option<Apart>,
    /// What carries requests of components.
    pub egress: Arc<dyn Egress>,
    /// Whether requests of components say which call they belong to, by the header `traceparent`.
    pub traces: bool,
    /// What time it is for components and for the pause after faults; `None` is the system's
    /// time. Limits of calls are always in real time.
    pub clock: Option<Clock>,
    /// Limits of metric providers; `None` is [`Limits::of`].
    pub metric_limits: Option<Limits>,
    /// Limits of traffic routers; `None` is [`Limits::of`].
    pub router_limits: Option<Limits>,
    /// Limits of steps; `None` is [`Limits::of`].
    pub step_limits: Option<Limits>,
    /// Limits of notifiers; `None` is [`Limits::of`].
    pub notifier_limits: Option<Limits>,
    /// Environment variables by the name of the component that sees them. No component sees
    /// any other, least of all those of the process.
    pub variables: BTreeMap<String, Vec<(String, String)>>,
}

impl HostConfig {
    /// No cache, the system's time, the usual limits.
    pub fn new(egress: Arc<dyn Egress>) -> Self {
        Self {
            cache_dir: None,
            apart: None,
            egress,
            traces: false,
            clock: None,
            metric_limits: None,
            router_limits: None,
            step_limits: None,
            notifier_limits: None,
            variables: BTreeMap::new(),
        }
    }
}

/// Where a component came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is part of the controller.
    Bundled,
    /// It was read from this file.
    File(PathBuf),
    /// A Plugin object of this name is about it.
    Object(String),
    /// Anything else, in words.
    Other(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundled => f.write_str("bundled"),
            Self::File(path) => path.display().fmt(f),
            Self::Object(name) => write!(f, "Plugin {name}"),
            Self::Other(words) => f.write_str(words),
        }
    }
}

/// On what terms a component is installed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// What it may do. `None` is any server for a bundled component, since its users name them;
    /// what the bundled one may for one that replaces it; and nothing for any other.
    pub grants: Option<Grants>,
    /// Limits of its own; `None` is the host's for its kind.
    pub limits: Option<Limits>,
    /// What it may use without holding it.
    pub private: Private,
    /// When it takes over from the one before.
    pub swap: Swap,
    /// The way of its requests; `None` is the host's.
    pub way: Option<Way>,
    /// How a notifier is configured, as JSON; `None` is `{}`. No other kind has any.
    pub config: Option<String>,
}

/// When a component takes over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Swap {
    /// With the next call.
    #[default]
    Immediate,
    /// For analysis runs that begin from now on: one that was measured by another before stays
    /// with that until it ends.
    OnNewRun,
}

/// An installed component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginInfo {
    /// The name under which rollouts and metrics find it.
    pub name: String,
    /// What it does.
    pub kind: Kind,
    /// `sha256:` and the digest of its bytes in hexadecimal.
    pub digest: String,
    /// Where it came from.
    pub origin: Origin,
    /// The interface that it speaks, such as `sluice:metric/provider@0.1.0`.
    pub interface: String,
    /// Every interface that it imports.
    pub imports: Vec<String>,
    /// What it says of itself: the JSON of its section `sluice:manifest`, if it has one.
    pub manifest: Option<String>,
    /// What a router can do beyond weights; see [`sluice_port::traffic::capability`].
    pub capabilities: Vec<String>,
    /// What it may do.
    pub grants: Grants,
    /// The limits of its calls.
    pub limits: Limits,
    /// The how manieth of all components that this host installed; higher is later.
    pub generation: u64,
    /// Whether compiled code was found in the cache.
    pub cached: bool,
    /// How long it took to load: compiling it, or reading it from the cache, and linking it.
    pub load_time: Duration,
    /// Whether it is not called for a while, since it misbehaved.
    pub suspended: bool,
    /// Its first misbehaviour, if there was one: later ones often follow from it.
    pub first_fault: Option<Fault>,
    /// Its last misbehaviour, if there was one.
    pub last_fault: Option<Fault>,
    /// How many earlier components of its name analysis runs still end with.
    pub older: usize,
    /// What happened since it was installed.
    pub stats: Stats,
    /// What happened to all components of this kind and name since the host started.
    pub totals: Stats,
}

/// One version of one component. Calls hold it, so it lives as long as the last of them.
pub(crate) struct Generation {
    pub(crate) name: Arc<str>,
    pub(crate) loaded: Loaded,
    pub(crate) grants: Arc<Grants>,
    pub(crate) limits: Limits,
    pub(crate) capabilities: Vec<String>,
    /// Its own places, as its limits say.
    pub(crate) permits: Semaphore,
    /// How many it has of the places of all components.
    pub(crate) held: places::Held,
    pub(crate) private: Mutex<Arc<Private>>,
    pub(crate) origin: Origin,
    pub(crate) swap: Swap,
    pub(crate) way: Option<Way>,
    /// JSON; only a notifier is called with it.
    pub(crate) config: String,
    /// How it does among its first calls, and what was called before; both until that is known.
    pub(crate) watch: Mutex<Option<Watch>>,
    pub(crate) before: Mutex<Option<Arc<Generation>>>,
    pub(crate) first_fault: Mutex<Option<Fault>>,
    number: u64,
    breaker: Mutex<Breaker>,
    stats: Mutex<Stats>,
    last_fault: Mutex<Option<Fault>>,
    totals: Arc<Mutex<Stats>>,
}

impl Generation {
    pub(crate) fn kind(&self) -> Kind {
        self.loaded.outline.kind
    }

    pub(crate) fn is_object(&self) -> bool {
        matches!(self.origin, Origin::Object(_))
    }

    pub(crate) fn is_faultless(&self) -> bool {
        locked(&self.first_fault).is_none()
    }

    /// Variables of the environment, which can be credentials, are for components that came with
    /// the controller or were put beside it; one of a Plugin object is given secrets by name.
    pub(crate) fn sees_environment(&self) -> bool {
        !self.is_object()
    }

    pub(crate) fn info(&self) -> PluginInfo {
        let Loaded { outline, digest, cached, took, .. } = &self.loaded;
        PluginInfo {
            name: self.name.to_string(),
            kind: outline.kind,
            digest: digest.clone(),
            origin: self.origin.clone(),
            interface: outline.speaks.clone(),
            imports: outline.imports.clone(),
            manifest: outline.manifest.clone(),
            capabilities: self.capabilities.clone(),
            grants: (*self.grants).clone(),
            limits: self.limits,
            generation: self.number,
            cached: *cached,
            load_time: *took,
            suspended: locked(&self.breaker).is_open(),
            first_fault: locked(&self.first_fault).clone(),
            last_fault: locked(&self.last_fault).clone(),
            older: 0,
            stats: locked(&self.stats).clone(),
            totals: locked(&self.totals).clone(),
        }
    }
}

/// A call that was let through. Dropped without an outcome, it was given up.
pub(crate) struct Admitted<'a> {
    generation: &'a Generation,
    pass: Option<Pass>,
}

impl Admitted<'_> {
    /// What became of the call.
    pub(crate) fn ended(mut self, now: Duration, used: &Used, result: Result<(), &Fault>) {
        let fault = result.err().filter(|fault| fault.is_misbehaviour());
        if let Some(pass) = self.pass.take() {
            locked(&self.generation.breaker).record(pass, fault.is_some(), now);
        }
        locked(&self.generation.stats).add(used, result);
        locked(&self.generation.totals).add(used, result);
        if let Some(fault) = fault {
            locked(&self.generation.first_fault).get_or_insert_with(|| fault.clone());
            *locked(&self.generation.last_fault) = Some(fault.clone());
            let plugin = &*self.generation.name;
            tracing::warn!(plugin, kind = fault.kind(), %fault, "a component misbehaved");
        }
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            locked(&self.generation.breaker).give_up(pass);
        }
    }
}

pub(crate) struct Inner {
    pub(crate) loader: Loader,
    pub(crate) egress: Arc<dyn Egress>,
    pub(crate) traces: bool,
    pub(crate) gate: watch::Sender<Held>,
    /// Earlier metric providers by the name under which they are called.
    pub(crate) recalls: Mutex<BTreeMap<String, Earlier>>,
    pub(crate) time: Time,
    pub(crate) places: Arc<Places>,
    pub(crate) turns: Arc<Turns>,
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) variables: BTreeMap<String, Vec<(String, String)>>,
    metric_limits: Limits,
    router_limits: Limits,
    step_limits: Limits,
    notifier_limits: Limits,
    pub(crate) slots: ArcSwap<Slots>,
    /// What measures for which run.
    pub(crate) runs: Mutex<BTreeMap<Run, Pinned>>,
    pub(crate) withdrawn: Mutex<BTreeMap<(Kind, String), Withdrawn>>,
    /// Told when a component is taken back.
    pub(crate) changed: Notify,
    installed: AtomicU64,
}

/// The host. Cheap to clone; all clones are the same host. One per process is enough, since each
/// has an engine, a pool of memory and a thread of its own.
///
/// It implements [`sluice_port::Components`].
#[derive(Clone)]
pub struct ComponentHost {
    pub(crate) inner: Arc<Inner>,
}

impl ComponentHost {
    /// A host without components.
    pub fn new(config: HostConfig) -> Result<Self, LoadError> {
        let started = engine::start();
        let (engine, pulse) = started.map_err(|error| LoadError::Engine(format!("{error:#}")))?;
        let cache = Cache::below(config.cache_dir.as_deref());
        let limits = |own: Option<Limits>, kind| own.unwrap_or_else(|| Limits::of(kind));
        Ok(Self {
            inner: Arc::new(Inner {
                loader: Loader::new(engine, cache, config.apart)?,
                egress: config.egress,
                traces: config.traces,
                gate: watch::Sender::default(),
                recalls: Mutex::default(),
                time: Time::new(config.clock),
                places: Places::of(MOST_CALLS),
                turns: Turns::of_this_machine(),
                pulse,
                variables: config.variables,
                metric_limits: limits(config.metric_limits, Kind::Metric),
                router_limits: limits(config.router_limits, Kind::Router),
                step_limits: limits(config.step_limits, Kind::Step),
                notifier_limits: limits(config.notifier_limits, Kind::Notifier),
                slots: ArcSwap::default(),
                runs: Mutex::default(),
                withdrawn: Mutex::default(),
                changed: Notify::new(),
                installed: AtomicU64::new(0),
            }),
        })
    }

    /// Install a component on the usual terms; see [`Terms`].
    pub async fn install(
        &self,
        name: &str,
        bytes: Vec<u8>,
        origin: Origin,
    ) -> Result<PluginInfo, LoadError> {
        self.install_on(name, bytes, origin, Terms::default()).await
    }

    /// Compile a component, try it once, and let it take the place of the one of its name and
    /// kind. Calls under way end on the one that they began with. Nothing changes if it fails.
    ///
    /// Compiling is done on a thread for blocking work.
    pub async fn install_on(
        &self,
        name: &str,
        bytes: Vec<u8>,
        origin: Origin,
        terms: Terms,
    ) -> Result<PluginInfo, LoadError> {
        Ok(self.enter(self.prepare(name, bytes, origin, terms).await?))
    }

    pub(crate) fn generation(
        &self,
        name: &str,
        loaded: Loaded,
        origin: Origin,
        terms: Terms,
    ) -> Generation {
        let kind = loaded.outline.kind;
        let slot = self.inner.slots.load().get(&(kind, name.to_owned())).cloned();
        let usual = match kind {
            Kind::Metric => self.inner.metric_limits,
            Kind::Router => self.inner.router_limits,
            Kind::Step => self.inner.step_limits,
            Kind::Notifier => self.inner.notifier_limits,
        };
        let limits = terms.limits.unwrap_or(usual);
        let bundled = slot.as_ref().and_then(Slot::bundled);
        let grants = terms.grants.map(Arc::new).unwrap_or_else(|| match bundled {
            _ if origin == Origin::Bundled => Arc::new(Grants::any_server()),
            Some(bundled) => bundled.grants.clone(),
            None => Arc::default(),
        });
        Generation {
            name: name.into(),
            loaded,
            grants,
            limits,
            capabilities: Vec::new(),
            permits: Semaphore::new(limits.concurrency.max(1)),
            held: places::Held::default(),
            private: Mutex::new(Arc::new(terms.private)),
            origin,
            swap: terms.swap,
            way: terms.way,
            config: terms.config.unwrap_or_else(|| "{}".to_owned()),
            watch: Mutex::default(),
            before: Mutex::default(),
            first_fault: Mutex::default(),
            number: self.inner.installed.fetch_add(1, Ordering::Relaxed),
            breaker: Mutex::default(),
            stats: Mutex::default(),
            last_fault: Mutex::default(),
            totals: slot
                .as_ref()
                .and_then(Slot::current)
                .map(|current| current.totals.clone())
                .unwrap_or_default(),
        }
    }

    pub(crate) fn egress_of(&self, generation: &Generation) -> Arc<dyn Egress> {
        let way = generation.way.as_ref().map(Way::egress);
        way.unwrap_or_else(|| self.inner.egress.clone())
    }

    /// Whether the component may be called now.
    pub(crate) fn admit<'a>(&self, generation: &'a Generation) -> Result<Admitted<'a>, Fault> {
        let now = self.inner.time.elapsed();
        match locked(&generation.breaker).admit(now) {
            Ok(pass) => Ok(Admitted { generation, pass: Some(pass) }),
            Err(wait) => Err(Fault::Suspended {
                for_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            }),
        }
    }
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
