//! Whether two templates are the same, once what this controller and the server add is taken off.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::{Map, Value, json};

use super::{TEMPLATE, serialised};
use crate::keys;

/// A number that two templates share when they are the same, as far as users can tell: what was
/// injected into them does not count. Only comparable within one process.
///
/// `injected` has the keys of metadata that was added to the pods, as the annotation
/// `rollout.argoproj.io/ephemeral-metadata` tells them.
pub fn template_digest(template: &Value, injected: Option<&Value>) -> u64 {
    let mut template = template.clone();
    if let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("creationTimestamp");
        forget(metadata, "labels", &json!({keys::HASH: ""}));
        for part in ["labels", "annotations"] {
            forget(
                metadata,
                part,
                injected.and_then(|keys| keys.get(part)).unwrap_or(&Value::Null),
            );
        }
    }
    if let Some(spec) = template.get_mut("spec").and_then(Value::as_object_mut) {
        // An old name of `serviceAccountName`, which the server fills in.
        spec.remove("serviceAccount");
        if let Some(affinity) = spec.remove("affinity").and_then(|found| without_injected(&found)) {
            spec.insert("affinity".into(), affinity);
        }
    }
    digest(&serialised(&TEMPLATE, "PodTemplateSpec", Some(&template), false))
}

/// A number that two templates share when they may be the same: it is about what a server never
/// fills in, so that it need only be asked about templates that are alike.
pub fn template_shape(template: &Value) -> u64 {
    let lists = ["initContainers", "containers"].map(|list| {
        let containers = template.pointer(&format!("/spec/{list}")).and_then(Value::as_array);
        let containers = containers.into_iter().flatten();
        let parts = ["name", "image", "command", "args"];
        containers
            .map(|container| parts.map(|part| container[part].to_string()).join(" "))
            .collect()
    });
    digest(&lists.map(|list: Vec<String>| list.join("\n")).join("\n\n"))
}

fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

fn forget(metadata: &mut Map<String, Value>, part: &str, keys: &Value) {
    let Some(entries) = metadata.get_mut(part).and_then(Value::as_object_mut) else { return };
    for key in keys.as_object().into_iter().flatten().map(|(key, _)| key) {
        entries.remove(key);
    }
}

/// The affinity without the terms that keep revisions apart; `None` if nothing is left of it.
pub fn without_injected(affinity: &Value) -> Option<Value> {
    let mut affinity = affinity.as_object()?.clone();
    if let Some(mut apart) = affinity.remove("podAntiAffinity") {
        let lists = [
            ("requiredDuringSchedulingIgnoredDuringExecution", ""),
            ("preferredDuringSchedulingIgnoredDuringExecution", "/podAffinityTerm"),
        ];
        for (list, place) in lists {
            let Some(terms) = apart.get_mut(list).and_then(Value::as_array_mut) else { continue };
            terms.retain(|term| term.pointer(place).and_then(kept_away_from).is_none());
            if terms.is_empty()
                && let Some(apart) = apart.as_object_mut()
            {
                apart.remove(list);
            }
        }
        if apart.as_object().is_some_and(|lists| !lists.is_empty()) {
            affinity.insert("podAntiAffinity".into(), apart);
        }
    }
    (!affinity.is_empty()).then_some(Value::Object(affinity))
}

/// The revision that an injected term of an anti-affinity keeps away from; `None` for the terms
/// of users.
pub fn kept_away_from(term: &Value) -> Option<&str> {
    let expressions = term.pointer("/labelSelector/matchExpressions")?.as_array()?;
    let [expression] = expressions.as_slice() else { return None };
    (expression.get("key")?.as_str()? == keys::HASH).then_some(())?;
    expression.pointer("/values/0")?.as_str()
}
