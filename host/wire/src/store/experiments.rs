//! Experiments in the store: whose turn it is, and what a turn may see.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use sluice_core::Timestamp;
use sluice_core::traffic::Traffic;

use super::{Id, Owned, Store, Touched, read, reindex};
use crate::experiment::{Learnt, Objects};
use crate::field::Field;
use crate::keys;
use crate::objects::{Meta, Service, TemplateName};
use crate::rollout::recall::run_phase;

/// Whether a rollout has routers, or has yet to leave some.
fn routes(rollout: &Value) -> bool {
    let named = Field::root(rollout).at("spec.strategy.canary.trafficRouting").is_set();
    named || Meta::read(rollout).annotations.contains_key(keys::ROUTERS)
}

impl Store {
    pub(super) fn apply_experiment(&mut self, id: Id, meta: Meta, object: &Value) -> Touched {
        let before = self.experiments.insert(id.clone(), Owned::of(object, &meta));
        if let Some(before) = &before {
            self.experiments_by_uid.remove(&before.uid);
        }
        let before = before.and_then(|experiment| experiment.controller);
        reindex(&mut self.experiments_of, before.as_ref(), meta.controller.as_ref(), &id);
        self.experiments_by_uid.insert(meta.uid, id.clone());
        if run_phase(Field::root(object).at("status.phase").str()).is_over() {
            self.open.remove(&id);
        } else {
            self.open.insert(id.clone());
        }
        let mut touched = self.owner(before.into_iter().chain(meta.controller));
        touched.experiments.insert(id);
        touched
    }

    /// Note whose a Service is; the controllers that it had and has.
    pub(super) fn own_service(
        &mut self,
        id: &Id,
        before: Option<&Arc<Service>>,
        now: Option<&Meta>,
    ) -> Vec<String> {
        let before = before.and_then(|service| service.meta.controller.clone());
        let now = now.and_then(|meta| meta.controller.clone());
        reindex(&mut self.services_of, before.as_ref(), now.as_ref(), id);
        before.into_iter().chain(now).collect()
    }

    /// The experiments of a namespace that are not over.
    pub(super) fn open_in(&self, namespace: &str) -> Vec<Id> {
        let first = (namespace.to_owned(), String::new());
        self.open.range(first..).take_while(|(space, _)| space == namespace).cloned().collect()
    }

    /// The Experiment with this name.
    pub fn experiment(&self, namespace: &str, name: &str) -> Option<Arc<Value>> {
        let known = self.experiments.get(&(namespace.to_owned(), name.to_owned()))?;
        Some(known.object.read())
    }

    /// Whether there is an Experiment with this name.
    pub fn has_experiment(&self, namespace: &str, name: &str) -> bool {
        self.experiments.contains_key(&(namespace.to_owned(), name.to_owned()))
    }

    /// Everything that a turn of this experiment may see; `None` if it is gone or going, or if it
    /// belongs to another instance of the controller.
    ///
    /// `traffic` tells what is known of the traffic of a rollout, by its namespace and name.
    pub fn collect_experiment(
        &self,
        namespace: &str,
        name: &str,
        instance: &str,
        now: Timestamp,
        traffic: impl FnOnce(&str, &str) -> Traffic,
    ) -> Option<Objects> {
        let experiment = self.experiment(namespace, name)?;
        let meta = Meta::read(&experiment);
        let label = meta.labels.get(keys::INSTANCE_ID).map(String::as_str).unwrap_or_default();
        if meta.deleting || label != instance {
            return None;
        }
        let sets = self.sets_of.get(&meta.uid).into_iter().flatten();
        let runs = self.runs_of.get(&meta.uid).into_iter().flatten();
        let owner = meta.controller.as_ref().and_then(|uid| self.by_uid.get(uid));
        let routed =
            |id: &&Id| self.rollouts.get(*id).is_some_and(|known| routes(&known.object.read()));
        let own = self.templates.range((namespace.to_owned(), String::new())..);
        let own = own.take_while(|((space, _), _)| space == namespace);
        let own = own.map(|((_, name), found)| (named(name, false), found.clone()));
        let shared = self.cluster_templates.iter();
        let shared = shared.map(|(name, found)| (named(name, true), found.clone()));
        Some(Objects {
            now,
            replica_sets: sets
                .filter_map(|id| self.sets.get(id))
                .filter(|set| !set.meta.deleting)
                .cloned()
                .collect(),
            services: self.services_for(&experiment, &meta),
            runs: read(runs, &self.runs),
            templates: own.chain(shared).collect(),
            traffic: owner.filter(routed).map(|(namespace, name)| traffic(namespace, name)),
            hashes: self.hashes_beside(&meta),
            instance: instance.to_owned(),
            learnt: Learnt { taken: self.taken_beside(&meta), ..Learnt::default() },
            experiment,
        })
    }

    fn services_for(&self, experiment: &Value, meta: &Meta) -> BTreeMap<String, Arc<Service>> {
        let own = self.services_of.get(&meta.uid).into_iter().flatten();
        let own = own.map(|(_, name)| name.clone());
        let templates = Field::root(experiment).at("spec.templates").items();
        let wanted = templates.iter().flat_map(|template| {
            let own_name = template.get("name").str().unwrap_or_default();
            let asked = template.at("service.name").name().map(str::to_owned);
            [Some(format!("{}-{own_name}", meta.name)), asked]
        });
        let names: BTreeSet<String> = own.chain(wanted.flatten()).collect();
        let found = names.into_iter().filter_map(|name| {
            let service = self.services.get(&(meta.namespace.clone(), name.clone()))?;
            Some((name, service.clone()))
        });
        found.collect()
    }

    /// The revisions of somebody else's ReplicaSets. Those of former experiments that have no pods
    /// any more are in nobody's way.
    fn hashes_beside(&self, meta: &Meta) -> BTreeSet<String> {
        let first = (meta.namespace.clone(), String::new());
        let all = self.sets.range(first..).take_while(|((space, _), _)| *space == meta.namespace);
        let theirs = all.map(|(_, set)| set).filter(|set| {
            let former = set.meta.annotations.contains_key(keys::EXPERIMENT_NAME);
            let empty = set.wanted == 0 && set.current == 0;
            set.meta.controller.as_deref() != Some(&meta.uid) && !(former && empty)
        });
        theirs.map(|set| set.hash().to_owned()).collect()
    }

    /// Kind and name of what could be this experiment's, and is somebody else's.
    fn taken_beside(&self, meta: &Meta) -> BTreeSet<(String, String)> {
        let prefix = format!("{}-", meta.name);
        let first = (meta.namespace.clone(), prefix.clone());
        let near = |id: &Id| id.0 == meta.namespace && id.1.starts_with(&prefix);
        let theirs = |controller: Option<&str>| controller != Some(&*meta.uid);
        let sets = self.sets.range(first.clone()..).take_while(|(id, _)| near(id));
        let sets = sets.filter(|(_, set)| theirs(set.meta.controller.as_deref()));
        let sets = sets.map(|(id, _)| ("ReplicaSet".to_owned(), id.1.clone()));
        let runs = self.runs.range(first..).take_while(|(id, _)| near(id));
        let runs = runs.filter(|(_, run)| theirs(run.controller.as_deref()));
        sets.chain(runs.map(|(id, _)| ("AnalysisRun".to_owned(), id.1.clone()))).collect()
    }
}

fn named(name: &str, cluster: bool) -> TemplateName {
    TemplateName { cluster, name: name.to_owned() }
}
