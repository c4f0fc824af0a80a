//! Watches of the objects that carry routings, so that what somebody else changes is put right at
//! once. Only their metadata is watched, and of that only the version is kept.
//!
//! A kind is watched from the first time that a router reads an object of it. Where that is not
//! allowed or not possible, the rollout's routing is checked from time to time instead.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::{Arc, Mutex};

use futures::StreamExt as _;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, ObjectMeta, PartialObjectMeta};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{Config, Event, watcher};
use sluice_engine::Key;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::error::causes;
use crate::shared::lock;

/// Group and kind.
type Kind = (String, String);
/// Namespace and name.
type Name = (String, String);

/// An object as a router found it.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    /// How the API names its kind.
    pub resource: ApiResource,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its version; `None` if it is not there.
    pub version: Option<u64>,
}

/// The watches, and who is interested in what they show.
pub(crate) struct Routed {
    client: Client,
    /// The only namespace that may be watched, if there is one.
    namespace: Option<String>,
    heard: Arc<Heard>,
    tasks: Mutex<JoinSet<()>>,
}

struct Heard {
    state: Mutex<State>,
    nudge: mpsc::UnboundedSender<Key>,
}

#[derive(Default)]
struct State {
    /// The kinds with a watch, and whether it has shown everything.
    kinds: BTreeMap<Kind, Watch>,
    /// The objects of each rollout as its routers found them last.
    known: BTreeMap<Key, BTreeMap<(Kind, Name), Option<u64>>>,
}

#[derive(Default)]
struct Watch {
    complete: bool,
    versions: BTreeMap<Name, u64>,
    /// Who has an object of the kind.
    keys: BTreeMap<Name, BTreeSet<Key>>,
}

impl Routed {
    pub fn new(
        client: Client,
        namespace: Option<String>,
        nudge: mpsc::UnboundedSender<Key>,
    ) -> Self {
        let heard = Arc::new(Heard { state: Mutex::default(), nudge });
        Self { client, namespace, heard, tasks: Mutex::default() }
    }

    /// Note what the routers of a rollout found, and watch it from now on.
    pub fn follow(&self, key: &Key, found: Vec<Read>) {
        let mut state = lock(&self.heard.state);
        state.forget(key);
        let mut known = BTreeMap::new();
        for Read { resource, namespace, name, version } in found {
            let kind = (resource.group.clone(), resource.kind.clone());
            let name = (namespace, name);
            let watch = state.kinds.entry(kind.clone()).or_insert_with(|| {
                self.begin(resource);
                Watch::default()
            });
            watch.keys.entry(name.clone()).or_default().insert(key.clone());
            known.insert((kind, name), version);
        }
        state.known.insert(key.clone(), known);
    }

    /// Whether every object of a rollout's routing is watched.
    pub fn is_followed(&self, key: &Key) -> bool {
        let state = lock(&self.heard.state);
        let Some(known) = state.known.get(key) else { return false };
        let seen = |(kind, name): &(Kind, Name)| {
            let within = self.namespace.as_ref().is_none_or(|only| *only == name.0);
            within && state.kinds.get(kind).is_some_and(|watch| watch.complete)
        };
        !known.is_empty() && known.keys().all(seen)
    }

    /// Whether an object of a rollout's routing is another than its routers left it.
    pub fn is_changed(&self, key: &Key) -> bool {
        let state = lock(&self.heard.state);
        let Some(known) = state.known.get(key) else { return false };
        known.iter().any(|((kind, name), left)| {
            let Some(watch) = state.kinds.get(kind).filter(|watch| watch.complete) else {
                return false;
            };
            // What was written just now may not have been shown yet.
            match (watch.versions.get(name), left) {
                (Some(seen), Some(left)) => seen > left,
                (seen, left) => seen.is_some() != left.is_some(),
            }
        })
    }

    /// The rollout is gone, or has no routing any more.
    pub fn forget(&self, key: &Key) {
        lock(&self.heard.state).forget(key);
    }

    fn begin(&self, resource: ApiResource) {
        let client = self.client.clone();
        let api = match &self.namespace {
            Some(namespace) => Api::namespaced_with(client, namespace, &resource),
            None => Api::all_with(client, &resource),
        };
        lock(&self.tasks).spawn(watch(api, resource, self.heard.clone()));
    }
}

async fn watch(
    api: Api<PartialObjectMeta<DynamicObject>>,
    resource: ApiResource,
    heard: Arc<Heard>,
) {
    let kind = (resource.group.clone(), resource.kind.clone());
    let mut events = pin!(watcher(api, Config::default()).default_backoff());
    let mut listed = BTreeMap::new();
    let mut trouble = String::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(object)) => {
                listed.extend(version(&object.metadata));
            }
            Ok(Event::InitDone) => {
                trouble.clear();
                heard.change(&kind, |watch| {
                    watch.versions = std::mem::take(&mut listed);
                    watch.complete = true;
                    watch.keys.values().flatten().cloned().collect()
                });
            }
            Ok(Event::Apply(object)) => heard.change(&kind, |watch| watch.apply(&object)),
            Ok(Event::Delete(object)) => heard.change(&kind, |watch| watch.delete(&object)),
            Err(error) => {
                let text = causes(&error);
                // Said once: a right that is missing stays so for long.
                if text != trouble {
                    let kind = resource.kind.as_str();
                    tracing::info!(kind, reason = %text, "not watched; looked at now and then");
                    trouble = text;
                }
                heard.change(&kind, |watch| {
                    watch.complete = false;
                    BTreeSet::new()
                });
            }
        }
    }
}

fn version(metadata: &ObjectMeta) -> Option<(Name, u64)> {
    let version = metadata.resource_version.as_deref()?.parse().ok()?;
    let name = (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone()?);
    Some((name, version))
}

impl Heard {
    /// Change what is known of a kind, and let those turn whom it concerns.
    fn change(&self, kind: &Kind, change: impl FnOnce(&mut Watch) -> BTreeSet<Key>) {
        let mut state = lock(&self.state);
        let Some(watch) = state.kinds.get_mut(kind) else { return };
        for key in change(watch) {
            // Nobody listens any more when the controller ends.
            let _ = self.nudge.send(key);
        }
    }
}

impl State {
    fn forget(&mut self, key: &Key) {
        let known = self.known.remove(key).unwrap_or_default();
        for (kind, name) in known.into_keys() {
            let Some(watch) = self.kinds.get_mut(&kind) else { continue };
            if let Some(keys) = watch.keys.get_mut(&name) {
                keys.remove(key);
                if keys.is_empty() {
                    watch.keys.remove(&name);
                }
            }
        }
    }
}

impl Watch {
    fn apply(&mut self, object: &PartialObjectMeta<DynamicObject>) -> BTreeSet<Key> {
        let Some((name, version)) = version(&object.metadata) else { return BTreeSet::new() };
        self.versions.insert(name.clone(), version);
        self.keys.get(&name).cloned().unwrap_or_default()
    }

    fn delete(&mut self, object: &PartialObjectMeta<DynamicObject>) -> BTreeSet<Key> {
        let Some((name, _)) = version(&object.metadata) else { return BTreeSet::new() };
        self.versions.remove(&name);
        self.keys.get(&name).cloned().unwrap_or_default()
    }
}
