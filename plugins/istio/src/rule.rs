//! The DestinationRule: which pods a subset selects.

use serde_json::{Map, Value, json};
use sluice_sdk::traffic::{Destination, Routing};

use crate::config::Rule;
use crate::problem::Problem;

/// The label of pods and subsets that holds the hash of the pod template.
const HASH_LABEL: &str = "rollouts-pod-template-hash";

/// The annotation that names the rollout which writes the subsets.
const MANAGED_BY: &str = "argo-rollouts.argoproj.io/managed-by-rollouts";

/// The DestinationRule as it should be.
///
/// A subset that `is_held` keeps the pods it has. Besides the two versions' subsets, only those
/// of experiments are made and removed; they are known by having nothing but the hash label.
///
/// # Errors
/// If the canary's or the stable subset is missing.
pub fn wanted(
    w: &Routing,
    c: &Rule,
    object: &Value,
    is_held: impl Fn(&str) -> bool,
) -> Result<Value, Problem> {
    let mut object = object.clone();
    let mut subsets = list(&object["spec"]["subsets"]).to_vec();
    for (name, destination, field) in [
        (&c.canary_subset_name, &w.canary, "canarySubsetName"),
        (&c.stable_subset_name, &w.stable, "stableSubsetName"),
    ] {
        let subset = subsets.iter_mut().find(|subset| subset["name"] == **name);
        let subset = subset.ok_or_else(|| Problem::SubsetMissing {
            rule: c.name.clone(),
            subset: name.clone(),
            field,
        })?;
        if !is_held(name) {
            set_hash(subset, &destination.pod_hash);
        }
    }
    let extras = w.additional.iter().filter(|e| e.weight > 0 && !e.pod_hash.is_empty());
    let extras: Vec<&Destination> = extras.collect();
    subsets.retain(|subset| {
        !is_of_experiment(c, subset) || extras.iter().any(|e| subset["name"] == *e.service)
    });
    for extra in extras {
        match subsets.iter_mut().find(|subset| subset["name"] == *extra.service) {
            Some(subset) => set_hash(subset, &extra.pod_hash),
            None => subsets.push(json!({
                "name": extra.service,
                "labels": { HASH_LABEL: extra.pod_hash },
            })),
        }
    }
    object["spec"]["subsets"] = Value::Array(subsets);
    set(&mut object["metadata"]["annotations"], MANAGED_BY, &w.rollout);
    Ok(object)
}

/// The DestinationRule without what the rollout put there; `None` if another rollout has it.
pub fn released(w: &Routing, c: &Rule, object: &Value) -> Option<Value> {
    let mut object = object.clone();
    let annotations = object["metadata"]["annotations"].as_object_mut()?;
    if annotations.get(MANAGED_BY)?.as_str() != Some(&w.rollout) {
        return None;
    }
    annotations.remove(MANAGED_BY);
    if let Some(subsets) = object["spec"]["subsets"].as_array_mut() {
        subsets.retain(|subset| !is_of_experiment(c, subset));
        let ours = [&c.canary_subset_name, &c.stable_subset_name];
        for subset in subsets.iter_mut().filter(|s| ours.iter().any(|name| s["name"] == ***name)) {
            set_hash(subset, "");
        }
    }
    Some(object)
}

fn is_of_experiment(c: &Rule, subset: &Value) -> bool {
    let users = c.additional_subset_names.iter();
    let named = users.chain([&c.canary_subset_name, &c.stable_subset_name]);
    let has_only = |object: &Value, keys: &[&str]| {
        let object = object.as_object();
        object.is_some_and(|o| o.len() == keys.len() && keys.iter().all(|k| o.contains_key(*k)))
    };
    has_only(subset, &["name", "labels"])
        && has_only(&subset["labels"], &[HASH_LABEL])
        && !named.into_iter().any(|name| subset["name"] == **name)
}

fn set_hash(subset: &mut Value, hash: &str) {
    let Some(subset) = subset.as_object_mut() else {
        return;
    };
    if !hash.is_empty() {
        let labels = subset.entry("labels").or_insert_with(|| Value::Object(Map::new()));
        set(labels, HASH_LABEL, hash);
        return;
    }
    let Some(labels) = subset.get_mut("labels").and_then(Value::as_object_mut) else {
        return;
    };
    if labels.remove(HASH_LABEL).is_some() && labels.is_empty() {
        subset.remove("labels");
    }
}

/// Sets an entry of a map of strings, and makes the map if there is none.
fn set(map: &mut Value, key: &str, value: &str) {
    match map.as_object_mut() {
        Some(map) => drop(map.insert(key.to_owned(), json!(value))),
        None => *map = json!({ key: value }),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
