//! Which ReplicaSets are a rollout's: those that its selector selects, whoever made them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::field::Field;
use crate::objects::{Meta, Objects, ReplicaSet};
use crate::rollout::effects::{Target, Verb, Write, owner};
use crate::rollout::identity::Question;

/// What has to be done before anything can be decided.
#[derive(Clone, Debug, PartialEq)]
pub enum Errand {
    /// Become the controller of a ReplicaSet, if the live rollout still has the UID that was
    /// seen and is not being deleted: a cache may show a rollout that was made anew since.
    Adopt(Write),
    /// Let go of a ReplicaSet that the selector does not select any more.
    Release(Write),
    /// Ask the server how it would store a template, without storing it.
    Ask(Question),
}

/// Whether a label selector selects these labels; `None` if it cannot be read.
pub fn selects(selector: &Value, labels: &BTreeMap<String, String>) -> Option<bool> {
    let root = Field::root(selector);
    let wanted = root.get("matchLabels");
    let wanted = wanted.value().and_then(Value::as_object).into_iter().flatten();
    let mut selected = true;
    for (key, value) in wanted {
        selected &= labels.get(key).map(String::as_str) == Some(value.as_str()?);
    }
    for expression in root.get("matchExpressions").items() {
        let values = expression.get("values").items();
        let found = labels.get(expression.get("key").str()?);
        let among =
            || found.is_some_and(|found| values.iter().any(|value| value.str() == Some(found)));
        selected &= match expression.get("operator").str()? {
            "In" => among(),
            "NotIn" => !among(),
            "Exists" => found.is_some(),
            "DoesNotExist" => found.is_none(),
            _ => return None,
        };
    }
    Some(selected)
}

/// Make the ReplicaSets that are controlled those that are selected.
pub fn claims(objects: &Objects) -> Vec<Errand> {
    let meta = Meta::read(&objects.rollout);
    let selector = Field::root(&objects.rollout).at("spec.selector").value();
    let Some(selector) = selector else { return Vec::new() };
    let selected = |set: &ReplicaSet| selects(selector, &set.meta.labels);
    let adopt = objects.orphans.iter().filter(|set| selected(set) == Some(true));
    let adopt = adopt.map(|set| {
        let mut owners = set.meta.owners.clone();
        owners.push(owner(&meta));
        Errand::Adopt(owned_by(set, owners))
    });
    let release = objects.replica_sets.iter().filter(|set| selected(set) == Some(false));
    let release = release.map(|set| {
        let mut owners = set.meta.owners.clone();
        owners.retain(|owner| owner.get("uid").and_then(Value::as_str) != Some(&*meta.uid));
        Errand::Release(owned_by(set, owners))
    });
    adopt.chain(release).collect()
}

fn owned_by(set: &ReplicaSet, owners: Vec<Value>) -> Write {
    let version = &set.meta.version;
    Write {
        verb: Verb::Merge,
        target: Target {
            api_version: "apps/v1",
            kind: "ReplicaSet",
            namespace: set.meta.namespace.clone(),
            name: set.meta.name.clone(),
            subresource: None,
        },
        body: json!({"metadata": {"resourceVersion": version, "ownerReferences": owners}}),
        event: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_selects_by_labels_and_expressions() {
        let labels = BTreeMap::from([("app".to_owned(), "web".to_owned())]);
        let one = |key: &str, operator: &str, values: Value| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
        let table = [
            (json!({"matchLabels": {"app": "web"}}), Some(true)),
            (json!({"matchLabels": {"app": "other"}}), Some(false)),
            (json!({"matchLabels": {"app": "web", "tier": "x"}}), Some(false)),
            (one("app", "In", json!(["x", "web"])), Some(true)),
            (one("app", "NotIn", json!(["web"])), Some(false)),
            (one("tier", "NotIn", json!(["web"])), Some(true)),
            (one("app", "Exists", json!([])), Some(true)),
            (one("app", "DoesNotExist", json!([])), Some(false)),
            (one("app", "Resembles", json!([])), None),
        ];
        for (selector, expected) in table {
            assert_eq!(selects(&selector, &labels), expected, "{selector}");
        }
    }
}
