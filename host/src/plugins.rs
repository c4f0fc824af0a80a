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

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{Config, Event, watcher};
use sluice_api::Plugin;
use sluice_api::keys::CONTROLLER_INSTANCE_ID;
use sluice_kube::Health;
use sluice_kube::events::{Recorder, recorder};
use sluice_wasm::{ComponentHost, Network};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::client::{analysis_runs, causes, has_ended};
use known::{Done, Known};
use store::Store;

/// How often everything is looked at, whether something happened or not.
const TICK: Duration = Duration::from_secs(1);
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
    /// Which objects: those whose instance label says this; empty for those without one.
    pub instance: String,
    /// Where fetched components are kept.
    pub cache_dir: Option<PathBuf>,
}

/// Look after Plugin objects from now on. The receiver is told when each of them was tried once.
pub fn keep(around: Around) -> oneshot::Receiver<()> {
    let (settled, told) = oneshot::channel();
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
        settled: Some(settled),
    };
    tokio::spawn(keeper.run());
    told
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
    settled: Option<oneshot::Sender<()>>,
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
                        trouble.clear();
                        self.hear(event);
                    }
                    Some(Err(error)) => {
                        let text = causes(&error);
                        // Said once: a kind or a right that is missing stays so for long.
                        if text != trouble {
                            tracing::warn!(reason = %text, "Plugin objects cannot be watched");
                            trouble = text;
                        }
                        // Nobody is waited for who cannot be seen.
                        self.settled = None;
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
        if self.seen && self.objects.keys().all(|name| self.known[name].was_tried()) {
            self.settle();
        }
    }

    fn settle(&mut self) {
        if let Some(settled) = self.settled.take() {
            // Nobody may be waiting any more.
            let _ = settled.send(());
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
        let client = self.shared.around.client.clone();
        tokio::spawn(async move {
            let api: Api<DynamicObject> = Api::all_with(client, &analysis_runs());
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
