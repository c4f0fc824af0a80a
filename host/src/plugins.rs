//! Plugin objects: watched, decided on, and brought about beside everything else.
//!
//! What to do is decided by `sluice-plugins`; here it is done: [`source`] fetches, [`take`] checks
//! and rehearses, [`write`] tells. An object whose component cannot be had delays nobody: each is
//! worked on by a task of its own, and the controller starts without waiting for any.
//!
//! Every process takes components in, so that whoever leads next has them; only the one that leads
//! writes.

mod known;
mod source;
mod store;
mod take;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{Config, Event, watcher};
use sluice_api::Plugin;
use sluice_api::keys::CONTROLLER_INSTANCE_ID;
use sluice_kube::Health;
use sluice_kube::events::{Recorder, recorder};
use sluice_wasm::{Bounds, ComponentHost, Held, Network};
use tokio::task::JoinSet;

use crate::client::{analysis_runs, causes, has_ended};
use known::{Done, Known};
use store::Store;

/// How often everything is looked at, whether something happened or not.
const TICK: Duration = Duration::from_secs(1);
/// How long calls of components may wait for Plugin objects at the start.
const HEAD_START: Duration = Duration::from_secs(3);
/// How often runs are looked for that end with an earlier component.
const RUNS_EVERY: u32 = 15;

/// What Plugin objects are brought about with.
pub struct Around {
    /// The cluster.
    pub client: Client,
    /// Who runs components.
    pub host: ComponentHost,
    /// Who knows whether this process leads.
    pub health: Health,
    /// The way to servers that have components.
    pub network: Arc<Network>,
    /// The namespace of ConfigMaps and Secrets that name none.
    pub home: String,
    /// The one namespace that the controller looks after, if there is one. It has the components of
    /// Plugins like any other controller, and leaves the objects to one for the whole cluster.
    pub scope: Option<String>,
    /// Which addresses components may reach.
    pub bounds: Bounds,
    /// Which objects: those whose instance label says this; empty for those without one.
    pub instance: String,
    /// Where fetched components are kept.
    pub cache_dir: Option<PathBuf>,
}

impl Around {
    /// Whether this controller writes what becomes of the objects.
    fn keeps(&self) -> bool {
        self.scope.is_none()
    }

    /// All objects of a kind that this controller looks after.
    fn api(&self, resource: &ApiResource) -> Api<DynamicObject> {
        match &self.scope {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, resource),
            None => Api::all_with(self.client.clone(), resource),
        }
    }
}

/// Look after Plugin objects from now on. Calls of components wait until the Plugin of their name
/// was tried once, and no longer than [`HEAD_START`], so that what it replaces is not called
/// before; nothing else waits.
pub fn keep(around: Around) {
    let host = around.host.clone();
    host.hold(Held::All);
    // On its own, so that whatever happens to the work on Plugins cannot keep calls waiting.
    tokio::spawn(async move {
        tokio::time::sleep(HEAD_START).await;
        host.hold(Held::Nobody);
    });
    let (recorder, scribe) = recorder(around.client.clone(), around.health.clone());
    tokio::spawn(scribe.run());
    let store = Store::below(around.cache_dir.as_deref());
    let keeper = Keeper {
        shared: Arc::new(Shared { around, store, recorder }),
        objects: BTreeMap::new(),
        known: BTreeMap::new(),
        tasks: JoinSet::new(),
        listed: None,
        seen: false,
        holds_until: Some(Instant::now() + HEAD_START),
    };
    tokio::spawn(keeper.run());
}

/// What all tasks share.
struct Shared {
    around: Around,
    store: Store,
    recorder: Recorder,
}

struct Keeper {
    shared: Arc<Shared>,
    objects: BTreeMap<String, Arc<Plugin>>,
    known: BTreeMap<String, Known>,
    tasks: JoinSet<(String, Done)>,
    /// What a list that is under way has told so far.
    listed: Option<BTreeMap<String, Arc<Plugin>>>,
    /// Whether a list was told to its end.
    seen: bool,
    /// How long calls of components may be held, while they are.
    holds_until: Option<Instant>,
}

impl Keeper {
    async fn run(mut self) {
        let api: Api<Plugin> = Api::all(self.shared.around.client.clone());
        let mut events = pin!(watcher(api, Config::default()).default_backoff());
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let (mut trouble, mut count) = (String::new(), 0_u32);
        let host = self.shared.around.host.clone();
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(Ok(event)) => {
                        // Every attempt to list begins with this, also one that fails.
                        if !matches!(event, Event::Init) {
                            trouble.clear();
                        }
                        self.hear(event);
                    }
                    Some(Err(error)) => {
                        let text = causes(&error);
                        // Said once: a kind or a right that is missing stays so for long.
                        if text != trouble {
                            self.tell(&text);
                            trouble = text;
                        }
                        // Nobody is waited for who cannot be seen.
                        self.let_go();
                    }
                    None => return,
                },
                Some(done) = self.tasks.join_next() => match done {
                    Ok((name, done)) => self.done(&name, done),
                    Err(error) => {
                        tracing::error!(%error, "work on a Plugin ended unexpectedly");
                        self.known.values_mut().for_each(Known::give_up);
                    }
                },
                () = host.changed() => {}
                _ = ticks.tick() => {
                    count = count.wrapping_add(1);
                    if count.is_multiple_of(RUNS_EVERY) {
                        self.release_runs();
                    }
                }
            }
            self.look();
        }
    }

    fn hear(&mut self, event: Event<Plugin>) {
        let named = |plugin: Plugin| {
            let name = plugin.metadata.name.clone().unwrap_or_default();
            let label = plugin.metadata.labels.as_ref();
            let label = label.and_then(|labels| labels.get(CONTROLLER_INSTANCE_ID));
            let ours = label.map_or("", String::as_str) == self.shared.around.instance;
            (name, ours.then(|| Arc::new(plugin)))
        };
        match event {
            Event::Init => self.listed = Some(BTreeMap::new()),
            Event::InitApply(plugin) => {
                if let (name, Some(plugin)) = named(plugin)
                    && let Some(listed) = &mut self.listed
                {
                    listed.insert(name, plugin);
                }
            }
            Event::InitDone => {
                self.objects = self.listed.take().unwrap_or_default();
                self.seen = true;
            }
            Event::Apply(plugin) => match named(plugin) {
                (name, Some(plugin)) => {
                    self.objects.insert(name, plugin);
                }
                (name, None) => {
                    self.objects.remove(&name);
                }
            },
            Event::Delete(plugin) => {
                self.objects.remove(&named(plugin).0);
            }
        }
    }

    /// Decide on every object that nobody works on.
    fn look(&mut self) {
        // One that went without asking, since its finalizer was taken off by hand.
        let gone: Vec<_> =
            self.known.keys().filter(|name| !self.objects.contains_key(*name)).cloned().collect();
        for name in gone {
            if let Some(known) = self.known.remove(&name) {
                known.take_out(&self.shared.around.host);
            }
        }
        for (name, plugin) in self.objects.clone() {
            let rival = known::rival(&plugin, &self.objects);
            let known = self.known.entry(name.clone()).or_default();
            if let Some(task) = known.turn(&self.shared, &plugin, rival) {
                self.tasks.spawn(async move { (name, task.await) });
            }
        }
        self.hold();
    }

    /// Hold the calls of components that are still to come.
    fn hold(&mut self) {
        let Some(until) = self.holds_until.filter(|_| self.seen) else { return };
        let untried = self.objects.iter().filter(|(name, _)| !self.known[*name].was_tried());
        let names: BTreeSet<_> = untried.map(|(_, plugin)| known::claimed(plugin)).collect();
        if names.is_empty() || until <= Instant::now() {
            self.let_go();
        } else {
            self.shared.around.host.hold(Held::Names(names));
        }
    }

    fn let_go(&mut self) {
        if self.holds_until.take().is_some() {
            self.shared.around.host.hold(Held::Nobody);
        }
    }

    /// Say why Plugins cannot be seen.
    fn tell(&self, reason: &str) {
        match self.shared.around.keeps() {
            true => tracing::warn!(reason, "Plugin objects cannot be watched"),
            // The right to read them is one that a controller for one namespace need not have.
            false => tracing::info!(reason, "Plugin objects cannot be watched, and are not used"),
        }
    }

    fn done(&mut self, name: &str, done: Done) {
        let Some(known) = self.known.get_mut(name) else { return };
        if let Some(plugin) = known.done(&self.shared.around.host, done) {
            // The watch would show it in a moment; until then this is what there is. What the
            // watch has taken away meanwhile stays away.
            if let Some(there) = self.objects.get_mut(name) {
                *there = Arc::new(plugin);
            }
        }
    }

    /// Let go what only runs needed that have ended.
    fn release_runs(&self) {
        let host = self.shared.around.host.clone();
        let older = host.runs_on_older();
        if older.is_empty() {
            return;
        }
        let api = self.shared.around.api(&analysis_runs());
        tokio::spawn(async move {
            let Ok(runs) = api.list(&ListParams::default()).await else { return };
            let mut ended = older;
            for run in runs {
                if !has_ended(&run.data) {
                    let id = (run.metadata.namespace, run.metadata.name);
                    ended.remove(&(id.0.unwrap_or_default(), id.1.unwrap_or_default()));
                }
            }
            host.ended(&ended);
        });
    }
}
