//! What a rollout leaves behind when it goes, or stops naming it: Services that still select one
//! of its revisions, and a Deployment whose pods it replaced.

use serde_json::{Value, json};

use super::{Id, Store};
use crate::keys;
use crate::objects::{Meta, Service};
use crate::rollout::effects::{Target, Verb, Write};
use crate::rollout::routers::{Release, bequeathed};
use crate::rollout::workload::{Lends, Workload, before, give_back};

impl Store {
    /// What is to be undone of the rollout with this name. Nothing, while it belongs to another
    /// instance of the controller.
    pub fn remains(&self, namespace: &str, name: &str, instance: &str) -> Vec<Write> {
        let id = (namespace.to_owned(), name.to_owned());
        let known = self.rollouts.get(&id);
        if known.is_some_and(|known| known.instance != instance) {
            return Vec::new();
        }
        // One that is being deleted needs nothing any more.
        let known = known.filter(|known| !known.deleting);
        let of_rollout = |id: &Id| self.owed.get(id).into_iter().flatten();
        let services = of_rollout(&id).filter_map(|(kind, object)| match *kind {
            "Service" => self.services.get(&(namespace.to_owned(), object.clone())),
            _ => None,
        });
        let strayed = services.filter(|service| {
            !known.is_some_and(|known| known.services.contains(&service.meta.name))
        });
        let deployments = of_rollout(&id).filter_map(|(kind, object)| match *kind {
            "Deployment" => self.taken.get(&(namespace.to_owned(), object.clone())),
            _ => None,
        });
        let lends = |workload: &Workload| {
            let lender = known.and_then(|known| known.lender.as_ref());
            lender.is_some_and(|lender| {
                lender.kind == Lends::Deployment && lender.name == workload.meta.name
            })
        };
        let returned = deployments.filter(|workload| !lends(workload));
        let returned = returned.map(|workload| {
            let to = before(&workload.meta).max(workload.replicas);
            give_back(&workload.meta, workload.replicas, to)
        });
        strayed.filter_map(|service| let_go(service)).chain(returned).collect()
    }
}

impl Store {
    /// Remember what the routers of a rollout that is gone have to take back. It is remembered
    /// here alone: what goes while no controller runs stays as it was.
    pub(super) fn bequeath(&mut self, id: &Id, rollout: &Value) {
        let label = Meta::read(rollout).labels.get(keys::INSTANCE_ID).cloned();
        let left = bequeathed(rollout);
        if !left.is_empty() {
            self.bequeathed.insert(id.clone(), (label.unwrap_or_default(), left));
        }
    }

    /// What the routers of the rollout with this name have to take back, since it is gone.
    pub fn bequeathed(&self, namespace: &str, name: &str, instance: &str) -> Vec<Release> {
        let id = (namespace.to_owned(), name.to_owned());
        let found = self.bequeathed.get(&id).filter(|(label, _)| label == instance);
        found.map(|(_, left)| left.clone()).unwrap_or_default()
    }

    /// Whether anything is left to do for the rollout with this name.
    pub fn is_owed(&self, namespace: &str, name: &str, instance: &str) -> bool {
        !self.remains(namespace, name, instance).is_empty()
            || !self.bequeathed(namespace, name, instance).is_empty()
    }

    /// The routers of a rollout that is gone took back what is theirs.
    pub fn inherited(&mut self, namespace: &str, name: &str) {
        self.bequeathed.remove(&(namespace.to_owned(), name.to_owned()));
    }
}

/// The rollout that a Service says to be managed by.
pub(super) fn manager(service: &Service) -> Option<&String> {
    service.meta.annotations.get(keys::MANAGED_BY)
}

/// Take the selector's revision and the annotation off a Service, if they still are what was
/// seen.
fn let_go(service: &Service) -> Option<Write> {
    let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
    let annotation = format!("/metadata/annotations/{}", escaped(keys::MANAGED_BY));
    let mut steps = Vec::new();
    if let Some(hash) = service.selector.get(keys::HASH) {
        let selector = format!("/spec/selector/{}", escaped(keys::HASH));
        steps.push(json!({"op": "test", "path": selector, "value": hash}));
        steps.push(json!({"op": "remove", "path": selector}));
    }
    let manager = manager(service)?;
    steps.push(json!({"op": "test", "path": annotation, "value": manager}));
    steps.push(json!({"op": "remove", "path": annotation}));
    let target = Target {
        api_version: "v1",
        kind: "Service",
        namespace: service.meta.namespace.clone(),
        name: service.meta.name.clone(),
        subresource: None,
    };
    Some(Write { verb: Verb::Patch, target, body: Value::Array(steps), event: None })
}
