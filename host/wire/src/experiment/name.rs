//! Names and hashes of what an experiment makes.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::experiment::Objects;
use crate::field::Field;
use crate::keys;
use crate::objects::{Meta, ReplicaSet};
use crate::rollout::hash::template_hash;

/// What a version's ReplicaSet is called, or is to be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// The ReplicaSet's name.
    pub set: String,
    /// The revision of its pods.
    pub hash: String,
    /// How many names or hashes were found to be somebody else's.
    pub collisions: Option<u32>,
}

/// The ReplicaSet of the version `template`: the oldest, should there be several.
pub(super) fn set_of<'o>(objects: &'o Objects, template: &str) -> Option<&'o ReplicaSet> {
    let of_it = |set: &&ReplicaSet| {
        let noted = set.meta.annotations.get(keys::EXPERIMENT_TEMPLATE_NAME);
        noted.is_some_and(|name| name == template)
    };
    let sets = objects.replica_sets.iter().map(|set| &**set).filter(of_it);
    sets.min_by(|a, b| (a.meta.created, &a.meta.name).cmp(&(b.meta.created, &b.meta.name)))
}

/// The names of all versions, in the order of the specification. Those that are there keep what
/// they have. No two have one hash, and none has that of somebody else's pods, since a Service
/// that selects by it would find both.
pub(super) fn names(objects: &Objects) -> Vec<Named> {
    let meta = Meta::read(&objects.experiment);
    let root = Field::root(&objects.experiment);
    let templates = root.at("spec.templates").items();
    let statuses = root.at("status.templateStatuses").items();
    let mut used: BTreeSet<String> =
        objects.replica_sets.iter().map(|set| set.hash().to_owned()).collect();
    used.extend(objects.hashes.iter().cloned());
    let mut all = Vec::new();
    for template in &templates {
        let name = template.get("name").str().unwrap_or_default();
        let named = match set_of(objects, name) {
            Some(set) => {
                let noted = statuses.iter().find(|one| one.get("name").str() == Some(name));
                Named {
                    set: set.meta.name.clone(),
                    hash: set.hash().to_owned(),
                    collisions: noted.and_then(|one| one.get("collisionCount").u32()),
                }
            }
            None => fresh(objects, &meta, template, name, &used),
        };
        used.insert(named.hash.clone());
        all.push(named);
    }
    all
}

fn fresh(
    objects: &Objects,
    meta: &Meta,
    template: &Field<'_>,
    name: &str,
    used: &BTreeSet<String>,
) -> Named {
    let base = format!("{}-{name}", meta.name);
    let pods = without_hash(template.get("template").value().cloned().unwrap_or_default());
    let taken = |set: &String| is_taken(objects, "ReplicaSet", set);
    let (mut count, mut set) = (0u32, base.clone());
    while taken(&set) {
        count = count.saturating_add(1);
        set = format!("{base}-{count}");
    }
    loop {
        let collisions = (count > 0).then_some(count);
        let hash = template_hash(&pods, collisions);
        // Every count is another hash, so that this ends after as many as there are.
        if !used.contains(&hash) || count == u32::MAX {
            return Named { set, hash, collisions };
        }
        count = count.saturating_add(1);
    }
}

/// A pod template without the hash of the revision that it was taken from.
pub(super) fn without_hash(mut template: Value) -> Value {
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(keys::HASH);
    }
    template
}

/// Whether somebody else is known to have a name.
pub(super) fn is_taken(objects: &Objects, kind: &str, name: &str) -> bool {
    objects.learnt.taken.contains(&(kind.to_owned(), name.to_owned()))
}
