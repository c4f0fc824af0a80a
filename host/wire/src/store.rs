//! The objects that turns look at, fed by watches and read by turns; the same in every shell.
//!
//! It keeps what turns need and no more, finds it without searching, and tells whose turn it is
//! when something changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use sluice_core::Timestamp;
use sluice_core::traffic::Traffic;

use crate::field::Field;
use crate::keys;
use crate::objects::{Learnt, Meta, Objects, ReplicaSet, Service, TemplateName};
use crate::rollout::parse::{PING_PONG, SERVICES};
use crate::rollout::phase::hundredths;
use crate::rollout::routers::{Notes, Release};
use crate::rollout::workload::{self, Lends, Reference, Workload};
use kept::Kept;

mod experiments;
mod kept;
mod remains;

/// The kinds that are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Watched {
    /// `argoproj.io/v1alpha1` Rollout.
    Rollout,
    /// `apps/v1` ReplicaSet with the pod template hash label.
    ReplicaSet,
    /// `v1` Service.
    Service,
    /// `apps/v1` Deployment whose pods a rollout replaces, by its label.
    Deployment,
    /// `argoproj.io/v1alpha1` AnalysisRun.
    AnalysisRun,
    /// `argoproj.io/v1alpha1` Experiment.
    Experiment,
    /// `argoproj.io/v1alpha1` AnalysisTemplate.
    AnalysisTemplate,
    /// `argoproj.io/v1alpha1` ClusterAnalysisTemplate.
    ClusterAnalysisTemplate,
}

impl Watched {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Rollout,
        Self::ReplicaSet,
        Self::Service,
        Self::Deployment,
        Self::AnalysisRun,
        Self::Experiment,
        Self::AnalysisTemplate,
        Self::ClusterAnalysisTemplate,
    ];

    /// The kind's name.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Rollout => "Rollout",
            Self::ReplicaSet => "ReplicaSet",
            Self::Service => "Service",
            Self::Deployment => "Deployment",
            Self::AnalysisRun => "AnalysisRun",
            Self::Experiment => "Experiment",
            Self::AnalysisTemplate => "AnalysisTemplate",
            Self::ClusterAnalysisTemplate => "ClusterAnalysisTemplate",
        }
    }

    /// The kind with this name, if it is watched.
    pub fn of_kind(kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|watched| watched.kind() == kind)
    }
}

/// Namespace and name.
pub type Id = (String, String);

/// Whose turn it is after a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Rollouts.
    pub rollouts: BTreeSet<Id>,
    /// Analysis runs.
    pub runs: BTreeSet<Id>,
    /// Experiments.
    pub experiments: BTreeSet<Id>,
}

#[derive(Clone, Debug)]
struct Known {
    object: Kept,
    uid: String,
    /// The instance of the controller that it belongs to.
    instance: String,
    deleting: bool,
    hundredths: u8,
    services: BTreeSet<String>,
    lender: Option<Reference>,
}

/// An object that a rollout may control.
#[derive(Clone, Debug)]
struct Owned {
    object: Kept,
    uid: String,
    controller: Option<String>,
}

impl Owned {
    fn of(object: &Value, meta: &Meta) -> Self {
        let (uid, controller) = (meta.uid.clone(), meta.controller.clone());
        Self { object: Kept::of(object), uid, controller }
    }
}

/// See the module's documentation.
#[derive(Clone, Debug, Default)]
pub struct Store {
    rollouts: BTreeMap<Id, Known>,
    by_uid: BTreeMap<String, Id>,
    sets: BTreeMap<Id, Arc<ReplicaSet>>,
    sets_of: BTreeMap<String, BTreeSet<Id>>,
    /// ReplicaSets that nobody controls.
    orphans: BTreeSet<Id>,
    services: BTreeMap<Id, Arc<Service>>,
    services_of: BTreeMap<String, BTreeSet<Id>>,
    /// Deployments whose pods a rollout replaces.
    taken: BTreeMap<Id, Arc<Workload>>,
    /// Kind and name of what says to be a rollout's, by rollout.
    owed: BTreeMap<Id, BTreeSet<(&'static str, String)>>,
    /// What the routers of rollouts that are gone have yet to take back.
    bequeathed: BTreeMap<Id, (String, Vec<Release>)>,
    /// What is known of the workloads that rollouts refer to: `None` where there is none.
    lent: BTreeMap<Reference, Option<Arc<Workload>>>,
    runs: BTreeMap<Id, Owned>,
    runs_of: BTreeMap<String, BTreeSet<Id>>,
    experiments: BTreeMap<Id, Owned>,
    experiments_of: BTreeMap<String, BTreeSet<Id>>,
    experiments_by_uid: BTreeMap<String, Id>,
    /// Experiments that are not over.
    open: BTreeSet<Id>,
    templates: BTreeMap<Id, Arc<Value>>,
    cluster_templates: BTreeMap<String, Arc<Value>>,
}

impl Store {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// An object appeared or changed.
    pub fn apply(&mut self, kind: Watched, mut object: Value) -> Touched {
        if let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            // Nothing reads it, and it is the largest part of many objects.
            meta.remove("managedFields");
        }
        let meta = Meta::read(&object);
        let id = (meta.namespace.clone(), meta.name.clone());
        match kind {
            Watched::Rollout => self.apply_rollout(id, &meta, object),
            Watched::ReplicaSet => {
                let set = ReplicaSet::read(&object);
                let before = self.sets.insert(id.clone(), Arc::new(set));
                let before = before.and_then(|set| set.meta.controller.clone());
                reindex(&mut self.sets_of, before.as_ref(), meta.controller.as_ref(), &id);
                let touched = if meta.controller.is_some() {
                    self.orphans.remove(&id);
                    Touched::default()
                } else {
                    // Any rollout of the namespace may select it.
                    self.orphans.insert(id.clone());
                    self.in_namespace(&id.0)
                };
                let mut owners = self.owner(before.into_iter().chain(meta.controller));
                owners.rollouts.extend(touched.rollouts);
                owners
            }
            Watched::Service => {
                let service = Arc::new(Service::read(&object));
                let manager = remains::manager(&service).cloned();
                let before = self.services.insert(id.clone(), service);
                let mut touched = self.naming_service(&id);
                let controllers = self.own_service(&id, before.as_ref(), Some(&meta));
                touched.experiments.extend(self.owner(controllers).experiments);
                let before = before.and_then(|before| remains::manager(&before).cloned());
                touched.rollouts.extend(self.owe("Service", &id, before, manager));
                touched
            }
            Watched::Deployment => {
                let workload = Arc::new(Workload::read(Lends::Deployment, &object));
                let by = workload.meta.annotations.get(keys::TAKEN_BY).cloned();
                let before = self.taken.insert(id.clone(), workload);
                let before =
                    before.and_then(|old| old.meta.annotations.get(keys::TAKEN_BY).cloned());
                Touched { rollouts: self.owe("Deployment", &id, before, by), ..Touched::default() }
            }
            Watched::AnalysisRun => {
                let before = self.runs.insert(id.clone(), Owned::of(&object, &meta));
                let before = before.and_then(|run| run.controller);
                reindex(&mut self.runs_of, before.as_ref(), meta.controller.as_ref(), &id);
                let mut touched = self.owner(before.into_iter().chain(meta.controller));
                touched.runs.insert(id);
                touched
            }
            Watched::Experiment => self.apply_experiment(id, meta, &object),
            Watched::AnalysisTemplate => {
                self.templates.insert(id.clone(), Arc::new(object));
                let mut touched = self.in_namespace(&id.0);
                touched.experiments.extend(self.open_in(&id.0));
                touched
            }
            Watched::ClusterAnalysisTemplate => {
                self.cluster_templates.insert(id.1, Arc::new(object));
                self.everyone()
            }
        }
    }

    /// An object is gone.
    pub fn remove(&mut self, kind: Watched, namespace: &str, name: &str) -> Touched {
        let id = (namespace.to_owned(), name.to_owned());
        match kind {
            Watched::Rollout => {
                let mut experiments = BTreeSet::new();
                if let Some(known) = self.rollouts.remove(&id) {
                    self.by_uid.remove(&known.uid);
                    let theirs = self.experiments_of.get(&known.uid);
                    experiments.extend(theirs.into_iter().flatten().cloned());
                    self.bequeath(&id, &known.object.read());
                }
                self.forget_unlent();
                Touched { rollouts: BTreeSet::from([id]), experiments, ..Touched::default() }
            }
            Watched::ReplicaSet => {
                let owner = self.sets.remove(&id).and_then(|set| set.meta.controller.clone());
                reindex(&mut self.sets_of, owner.as_ref(), None, &id);
                self.orphans.remove(&id);
                self.owner(owner)
            }
            Watched::Service => {
                let before = self.services.remove(&id);
                let mut touched = self.naming_service(&id);
                let controllers = self.own_service(&id, before.as_ref(), None);
                touched.experiments.extend(self.owner(controllers).experiments);
                // Its name may be what one of them waits for.
                touched.experiments.extend(self.open_in(namespace));
                let before = before.and_then(|before| remains::manager(&before).cloned());
                touched.rollouts.extend(self.owe("Service", &id, before, None));
                touched
            }
            Watched::Deployment => {
                let before = self.taken.remove(&id);
                let before =
                    before.and_then(|old| old.meta.annotations.get(keys::TAKEN_BY).cloned());
                let rollouts = self.owe("Deployment", &id, before, None);
                Touched { rollouts, ..Touched::default() }
            }
            Watched::AnalysisRun => {
                let owner = self.runs.remove(&id).and_then(|run| run.controller);
                reindex(&mut self.runs_of, owner.as_ref(), None, &id);
                let mut touched = self.owner(owner);
                touched.runs.insert(id);
                touched
            }
            Watched::Experiment => {
                self.open.remove(&id);
                let gone = self.experiments.remove(&id);
                if let Some(gone) = &gone {
                    self.experiments_by_uid.remove(&gone.uid);
                }
                let owner = gone.and_then(|experiment| experiment.controller);
                reindex(&mut self.experiments_of, owner.as_ref(), None, &id);
                let mut touched = self.owner(owner);
                touched.experiments.insert(id);
                touched
            }
            Watched::AnalysisTemplate => {
                self.templates.remove(&id);
                self.in_namespace(namespace)
            }
            Watched::ClusterAnalysisTemplate => {
                self.cluster_templates.remove(name);
                self.everyone()
            }
        }
    }

    /// The names of all objects of a kind; what a fresh list does not contain is gone.
    pub fn ids(&self, kind: Watched) -> Vec<Id> {
        match kind {
            Watched::Rollout => self.rollouts.keys().cloned().collect(),
            Watched::ReplicaSet => self.sets.keys().cloned().collect(),
            Watched::Service => self.services.keys().cloned().collect(),
            Watched::Deployment => self.taken.keys().cloned().collect(),
            Watched::AnalysisRun => self.runs.keys().cloned().collect(),
            Watched::Experiment => self.experiments.keys().cloned().collect(),
            Watched::AnalysisTemplate => self.templates.keys().cloned().collect(),
            Watched::ClusterAnalysisTemplate => {
                self.cluster_templates.keys().map(|name| (String::new(), name.clone())).collect()
            }
        }
    }

    /// The Rollout with this name.
    pub fn rollout(&self, namespace: &str, name: &str) -> Option<Arc<Value>> {
        let id = (namespace.to_owned(), name.to_owned());
        self.rollouts.get(&id).map(|known| known.object.read())
    }

    /// How far the release of this rollout is, in hundredths, see [`hundredths`]; `None` if there
    /// is no such rollout.
    pub fn hundredths(&self, namespace: &str, name: &str) -> Option<u8> {
        let id = (namespace.to_owned(), name.to_owned());
        self.rollouts.get(&id).map(|known| known.hundredths)
    }

    /// Every Rollout.
    pub fn rollouts(&self) -> impl Iterator<Item = &Id> {
        self.rollouts.keys()
    }

    /// The AnalysisRun with this name.
    pub fn run(&self, namespace: &str, name: &str) -> Option<Arc<Value>> {
        let run = self.runs.get(&(namespace.to_owned(), name.to_owned()))?;
        Some(run.object.read())
    }

    /// Whether there is an AnalysisRun with this name.
    pub fn has_run(&self, namespace: &str, name: &str) -> bool {
        self.runs.contains_key(&(namespace.to_owned(), name.to_owned()))
    }

    /// Everything that a turn of this rollout may see; `None` if it is gone or going, or if it
    /// belongs to another instance of the controller.
    pub fn collect(
        &self,
        namespace: &str,
        name: &str,
        instance: &str,
        traffic: Traffic,
        now: Timestamp,
    ) -> Option<Objects> {
        let known = self.rollouts.get(&(namespace.to_owned(), name.to_owned()))?;
        if known.deleting || known.instance != instance {
            return None;
        }
        let object = known.object.read();
        let sets = self.sets_of.get(&known.uid).into_iter().flatten();
        let runs = self.runs_of.get(&known.uid).into_iter().flatten();
        let experiments = self.experiments_of.get(&known.uid).into_iter().flatten();
        let template = |cluster| move |name: &String| TemplateName { cluster, name: name.clone() };
        let own = (namespace.to_owned(), String::new())..;
        let own = self.templates.range(own).take_while(|((space, _), _)| space == namespace);
        let own = own.map(|((_, name), object)| (template(false)(name), object.clone()));
        let shared = self.cluster_templates.iter();
        let shared = shared.map(|(name, object)| (template(true)(name), object.clone()));
        let (rollout, borrowed) = workload::resolve(&object, |reference| self.lent.get(reference));
        Some(Objects {
            now,
            rollout,
            borrowed,
            remains: self.remains(namespace, name, instance),
            replica_sets: sets
                .filter_map(|id| self.sets.get(id))
                .filter(|set| !set.meta.deleting)
                .cloned()
                .collect(),
            services: known
                .services
                .iter()
                .filter_map(|name| {
                    let service = self.services.get(&(namespace.to_owned(), name.clone()))?;
                    Some((name.clone(), service.clone()))
                })
                .collect(),
            orphans: self.orphans_in(namespace),
            runs: read(runs, &self.runs),
            experiments: read(experiments, &self.experiments),
            templates: own.chain(shared).collect(),
            traffic,
            instance: instance.to_owned(),
            learnt: Learnt { taken: self.taken(namespace, name, &known.uid), ..Learnt::default() },
        })
    }

    fn orphans_in(&self, namespace: &str) -> Vec<Arc<ReplicaSet>> {
        let first = (namespace.to_owned(), String::new());
        let orphans = self.orphans.range(first..).take_while(|(space, _)| space == namespace);
        let orphans = orphans.filter_map(|id| self.sets.get(id));
        orphans.filter(|set| !set.meta.deleting).cloned().collect()
    }

    /// Names of ReplicaSets that could be a rollout's and are somebody else's. An orphan that it
    /// selects is adopted before its name is thought of.
    fn taken(&self, namespace: &str, name: &str, uid: &str) -> BTreeSet<String> {
        let prefix = format!("{name}-");
        let first = (namespace.to_owned(), prefix.clone());
        let named = self.sets.range(first..);
        let named =
            named.take_while(|((space, set), _)| space == namespace && set.starts_with(&prefix));
        let theirs = named.filter(|(_, set)| set.meta.controller.as_deref() != Some(uid));
        theirs.map(|((_, set), _)| set.clone()).collect()
    }

    fn apply_rollout(&mut self, id: Id, meta: &Meta, object: Value) -> Touched {
        let strategy = Field::root(&object).at("spec.strategy");
        let (canary, blue_green) = (strategy.get("canary"), strategy.get("blueGreen"));
        let named = SERVICES.iter().flat_map(|(by_canary, by_blue_green)| {
            [canary.at(by_canary), blue_green.get(by_blue_green)]
        });
        let sides = PING_PONG.iter().map(|field| canary.at(field));
        let services = named.chain(sides).filter_map(|field| field.name().map(str::to_owned));
        // A router that is yet to be left leads through the Services that it was told.
        let noted = Notes::read(meta);
        let services = services.chain(noted.services().cloned()).collect();
        // Whoever has the name now takes over what routers have.
        self.bequeathed.remove(&id);
        let lender = workload::reference(&object).ok().flatten();
        let hundredths = hundredths(&object);
        let object = Kept::of(&object);
        let known = Known {
            object,
            uid: meta.uid.clone(),
            instance: meta.labels.get(keys::INSTANCE_ID).cloned().unwrap_or_default(),
            deleting: meta.deleting,
            hundredths,
            services,
            lender,
        };
        if let Some(before) = self.rollouts.insert(id.clone(), known) {
            self.by_uid.remove(&before.uid);
        }
        self.by_uid.insert(meta.uid.clone(), id.clone());
        self.forget_unlent();
        Touched { rollouts: BTreeSet::from([id]), ..Touched::default() }
    }

    /// The workloads that rollouts refer to. Each is to be read, and told of with [`Self::lend`].
    pub fn references(&self) -> BTreeSet<Reference> {
        self.rollouts.values().filter_map(|known| known.lender.clone()).collect()
    }

    /// Whether nothing is known yet of a workload that a rollout refers to.
    pub fn is_unread(&self, reference: &Reference) -> bool {
        !self.lent.contains_key(reference)
    }

    /// A workload that rollouts refer to is this, or is not there.
    pub fn lend(&mut self, reference: Reference, object: Option<&Value>) -> Touched {
        let workload = object.map(|object| Arc::new(Workload::read(reference.kind, object)));
        let borrows = |known: &Known| known.lender.as_ref() == Some(&reference);
        let borrowers = self.of_namespace(&reference.namespace);
        let borrowers = borrowers.filter(|(_, known)| borrows(known));
        let rollouts: BTreeSet<_> = borrowers.map(|(id, _)| id.clone()).collect();
        if !rollouts.is_empty() {
            self.lent.insert(reference, workload);
        }
        Touched { rollouts, ..Touched::default() }
    }

    fn forget_unlent(&mut self) {
        if self.lent.is_empty() {
            return;
        }
        let references = self.references();
        self.lent.retain(|reference, _| references.contains(reference));
    }

    /// Note whose an object says to be now, and tell whose turn that makes it.
    fn owe(
        &mut self,
        kind: &'static str,
        id: &Id,
        before: Option<String>,
        now: Option<String>,
    ) -> BTreeSet<Id> {
        let of = |name: String| (id.0.clone(), name);
        let (before, now) = (before.map(of), now.map(of));
        if let Some(before) = &before
            && let Some(owed) = self.owed.get_mut(before)
        {
            owed.remove(&(kind, id.1.clone()));
            if owed.is_empty() {
                self.owed.remove(before);
            }
        }
        if let Some(now) = &now {
            self.owed.entry(now.clone()).or_default().insert((kind, id.1.clone()));
        }
        before.into_iter().chain(now).collect()
    }

    fn owner(&self, owners: impl IntoIterator<Item = String>) -> Touched {
        let mut touched = Touched::default();
        for uid in owners {
            touched.rollouts.extend(self.by_uid.get(&uid).cloned());
            touched.experiments.extend(self.experiments_by_uid.get(&uid).cloned());
        }
        touched
    }

    fn naming_service(&self, service: &Id) -> Touched {
        let naming = self.of_namespace(&service.0);
        let naming = naming.filter(|(_, known)| known.services.contains(&service.1));
        Touched { rollouts: naming.map(|(id, _)| id.clone()).collect(), ..Touched::default() }
    }

    fn in_namespace(&self, namespace: &str) -> Touched {
        let all = self.of_namespace(namespace).map(|(id, _)| id.clone()).collect();
        Touched { rollouts: all, ..Touched::default() }
    }

    fn everyone(&self) -> Touched {
        Touched { rollouts: self.rollouts.keys().cloned().collect(), ..Touched::default() }
    }

    fn of_namespace(&self, namespace: &str) -> impl Iterator<Item = (&Id, &Known)> {
        let first = (namespace.to_owned(), String::new());
        let namespace = namespace.to_owned();
        self.rollouts.range(first..).take_while(move |((space, _), _)| *space == namespace)
    }
}

fn read<'i>(ids: impl Iterator<Item = &'i Id>, among: &BTreeMap<Id, Owned>) -> Vec<Arc<Value>> {
    ids.filter_map(|id| among.get(id)).map(|owned| owned.object.read()).collect()
}

fn reindex(
    index: &mut BTreeMap<String, BTreeSet<Id>>,
    before: Option<&String>,
    after: Option<&String>,
    id: &Id,
) {
    if before == after {
        return;
    }
    if let Some(before) = before
        && let Some(ids) = index.get_mut(before)
    {
        ids.remove(id);
        if ids.is_empty() {
            index.remove(before);
        }
    }
    if let Some(after) = after {
        index.entry(after.clone()).or_default().insert(id.clone());
    }
}
