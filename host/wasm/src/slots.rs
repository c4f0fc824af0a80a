//! Who is called by a name: a component of a Plugin object before one of a folder, and that before
//! a bundled one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use sluice_port::Fault;

use crate::host::{ComponentHost, Generation, Origin, PluginInfo, Swap, locked};
use crate::limits::Kind;
use crate::private::Private;
use crate::watch::Standing;

/// The most runs of which is remembered what measures them. The longest unused go first.
const MOST_RUNS: usize = 4096;

pub(crate) type Slots = BTreeMap<(Kind, String), Slot>;

/// What has a name, by where it came from.
#[derive(Clone, Default)]
pub(crate) struct Slot {
    bundled: Option<Arc<Generation>>,
    local: Option<Arc<Generation>>,
    object: Option<Arc<Generation>>,
}

impl Slot {
    pub(crate) fn current(&self) -> Option<&Arc<Generation>> {
        self.object.as_ref().or(self.local.as_ref()).or(self.bundled.as_ref())
    }

    pub(crate) fn bundled(&self) -> Option<&Arc<Generation>> {
        self.bundled.as_ref()
    }

    fn place(&mut self, origin: &Origin) -> &mut Option<Arc<Generation>> {
        match origin {
            Origin::Bundled => &mut self.bundled,
            Origin::File(_) | Origin::Other(_) => &mut self.local,
            Origin::Object(_) => &mut self.object,
        }
    }
}

/// A component that was taken back because it misbehaved where another one had not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawn {
    /// The digest of what was taken back.
    pub digest: String,
    /// The digest of what is called instead.
    pub instead: String,
    /// How many calls it had.
    pub calls: u32,
    /// In how many it misbehaved.
    pub faults: u32,
    /// The first time that it did.
    pub first: Option<Fault>,
}

/// What an analysis run is measured by.
pub(crate) struct Pinned {
    generation: Arc<Generation>,
    used: Instant,
}

/// Provider, namespace and name of the run.
pub(crate) type Run = (String, String, String);

impl ComponentHost {
    /// Let a generation take the place of the one of its name, kind and origin.
    pub(crate) fn put(&self, generation: Arc<Generation>) {
        let key = (generation.kind(), generation.name.to_string());
        self.inner.slots.rcu(|slots| {
            let mut slots = Slots::clone(slots);
            let slot = slots.entry(key.clone()).or_default();
            *slot.place(&generation.origin) = Some(generation.clone());
            slots
        });
    }

    /// Take out the component of this kind and name that came from a folder. What it had replaced
    /// is back. Calls under way end on the one that they began with.
    pub fn remove(&self, kind: Kind, name: &str) {
        self.take_out(kind, name, |slot| slot.local = None);
    }

    /// Take out the component of this kind and name that came from a Plugin object, as
    /// [`Self::remove`] does.
    pub fn remove_object(&self, kind: Kind, name: &str) {
        self.take_out(kind, name, |slot| slot.object = None);
        let mut runs = locked(&self.inner.runs);
        runs.retain(|(provider, ..), pinned| provider != name || !pinned.generation.is_object());
    }

    fn take_out(&self, kind: Kind, name: &str, take: impl Fn(&mut Slot)) {
        let key = (kind, name.to_owned());
        self.inner.slots.rcu(|slots| {
            let mut slots = Slots::clone(slots);
            if let Some(slot) = slots.get_mut(&key) {
                take(slot);
                if slot.current().is_none() {
                    slots.remove(&key);
                }
            }
            slots
        });
    }

    /// Give the component of a Plugin object other credentials and secrets, from its next call on.
    pub fn entrust(&self, kind: Kind, name: &str, private: Private) {
        let slots = self.inner.slots.load();
        let slot = slots.get(&(kind, name.to_owned()));
        if let Some(object) = slot.and_then(|slot| slot.object.as_ref()) {
            *locked(&object.private) = Arc::new(private);
        }
    }

    /// Every component that is called, by kind and name.
    pub fn installed(&self) -> Vec<PluginInfo> {
        let slots = self.inner.slots.load();
        slots.values().filter_map(Slot::current).map(|generation| self.info(generation)).collect()
    }

    /// The component of this kind and name, if it is called because of a Plugin object.
    pub fn object(&self, kind: Kind, name: &str) -> Option<PluginInfo> {
        let slots = self.inner.slots.load();
        let current = slots.get(&(kind, name.to_owned()))?.current()?;
        current.is_object().then(|| self.info(current))
    }

    /// The digest of the bundled component of this kind and name, whether it is called or not.
    pub fn bundled(&self, kind: Kind, name: &str) -> Option<String> {
        let slots = self.inner.slots.load();
        slots.get(&(kind, name.to_owned()))?.bundled().map(|found| found.loaded.digest.clone())
    }

    fn info(&self, generation: &Arc<Generation>) -> PluginInfo {
        let runs = locked(&self.inner.runs);
        let older = runs.iter().filter(|((provider, ..), pinned)| {
            generation.kind() == Kind::Metric
                && **provider == *generation.name
                && !Arc::ptr_eq(&pinned.generation, generation)
        });
        let older: BTreeSet<_> =
            older.map(|(_, pinned)| pinned.generation.loaded.digest.as_str()).collect();
        PluginInfo { older: older.len(), ..generation.info() }
    }

    pub(crate) fn current(&self, kind: Kind, name: &str) -> Result<Arc<Generation>, Fault> {
        let slots = self.inner.slots.load();
        let slot = slots.get(&(kind, name.to_owned()));
        if let Some(current) = slot.and_then(Slot::current) {
            return Ok(current.clone());
        }
        let have = slots.keys().filter(|(other, _)| *other == kind);
        Err(Fault::Missing {
            kind: kind.name(),
            name: name.to_owned(),
            have: have.map(|(_, name)| name.clone()).collect(),
        })
    }

    /// What measures for this run: if the component is one that waits for new runs, the one that
    /// the run began with.
    pub(crate) fn for_run(
        &self,
        provider: &str,
        namespace: &str,
        run: &str,
    ) -> Result<Arc<Generation>, Fault> {
        let current = self.current(Kind::Metric, provider)?;
        if run.is_empty() {
            return Ok(current);
        }
        let key = (provider.to_owned(), namespace.to_owned(), run.to_owned());
        let mut runs = locked(&self.inner.runs);
        let used = Instant::now();
        let pinned =
            runs.entry(key).or_insert_with(|| Pinned { generation: current.clone(), used });
        pinned.used = used;
        if current.swap == Swap::Immediate {
            pinned.generation = current;
        }
        let generation = pinned.generation.clone();
        if runs.len() > MOST_RUNS
            && let Some(oldest) = runs.iter().min_by_key(|(_, pinned)| pinned.used)
        {
            let oldest = oldest.0.clone();
            runs.remove(&oldest);
        }
        Ok(generation)
    }

    /// The runs, as namespace and name, that something else measures than what is called now.
    pub fn runs_on_older(&self) -> BTreeSet<(String, String)> {
        let runs = locked(&self.inner.runs);
        let older = runs.iter().filter(|((provider, ..), pinned)| {
            let current = self.current(Kind::Metric, provider);
            current.is_ok_and(|current| !Arc::ptr_eq(&current, &pinned.generation))
        });
        older.map(|((_, namespace, run), _)| (namespace.clone(), run.clone())).collect()
    }

    /// These runs have ended: nothing has to stay loaded for them.
    pub fn ended(&self, ended: &BTreeSet<(String, String)>) {
        let mut runs = locked(&self.inner.runs);
        runs.retain(|(_, namespace, run), _| !ended.contains(&(namespace.clone(), run.clone())));
    }

    /// A call of a component ended: whether it stays in the place that it took.
    pub(crate) fn judge(&self, generation: &Arc<Generation>, misbehaved: bool) {
        let standing = match locked(&generation.watch).as_mut() {
            Some(watch) => watch.record(misbehaved),
            None => return,
        };
        match standing {
            Standing::Watched => {}
            Standing::Proven => *locked(&generation.watch) = None,
            Standing::Failed { calls, faults } => {
                let before = locked(&generation.before).take();
                // Where the other one misbehaved as well, going back would gain nothing.
                if let Some(before) = before.filter(|before| before.is_faultless()) {
                    self.withdraw(generation, before, calls, faults);
                }
            }
        }
        if standing != Standing::Watched {
            *locked(&generation.before) = None;
        }
    }

    fn withdraw(
        &self,
        generation: &Arc<Generation>,
        before: Arc<Generation>,
        calls: u32,
        faults: u32,
    ) {
        let key = (generation.kind(), generation.name.to_string());
        let mut taken_back = false;
        self.inner.slots.rcu(|slots| {
            let mut slots = Slots::clone(slots);
            taken_back = false;
            if let Some(slot) = slots.get_mut(&key)
                && slot.object.as_ref().is_some_and(|object| Arc::ptr_eq(object, generation))
            {
                slot.object = before.is_object().then(|| before.clone());
                taken_back = true;
            }
            slots
        });
        if !taken_back {
            return;
        }
        locked(&self.inner.runs).retain(|_, pinned| !Arc::ptr_eq(&pinned.generation, generation));
        let withdrawn = Withdrawn {
            digest: generation.loaded.digest.clone(),
            instead: before.loaded.digest.clone(),
            calls,
            faults,
            first: locked(&generation.first_fault).clone(),
        };
        let plugin = &*generation.name;
        tracing::error!(
            plugin,
            digest = withdrawn.digest,
            instead = withdrawn.instead,
            "a new component misbehaved in {faults} of its first {calls} calls and is taken back"
        );
        locked(&self.inner.withdrawn).insert(key, withdrawn);
        self.inner.changed.notify_one();
    }

    /// What of this kind and name was taken back last, if nothing was installed since.
    pub fn withdrawn(&self, kind: Kind, name: &str) -> Option<Withdrawn> {
        locked(&self.inner.withdrawn).get(&(kind, name.to_owned())).cloned()
    }

    /// Ends when a component was taken back since the last time.
    pub async fn changed(&self) {
        self.inner.changed.notified().await;
    }
}
