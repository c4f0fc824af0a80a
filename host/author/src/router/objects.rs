//! Objects of a case: what is found among them, and what changes make of them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use sluice_port::{Change, ObjectQuery, ObjectRef};

/// API version, kind, namespace and name.
type Key = (String, String, String, String);

/// Objects, by what they are called.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Objects {
    all: BTreeMap<Key, Value>,
}

impl Objects {
    /// # Errors
    /// If one is no object of Kubernetes, or two are the same one.
    pub(crate) fn new(documents: Vec<Value>, namespace: &str) -> Result<Self, String> {
        let mut all = BTreeMap::new();
        for (index, mut document) in documents.into_iter().enumerate() {
            let key = key(&document, namespace)
                .map_err(|why| format!("document {}: {why}", index + 1))?;
            document["metadata"]["namespace"] = json!(key.2);
            if all.insert(key.clone(), document).is_some() {
                return Err(format!("document {}: {} {} is there twice", index + 1, key.1, key.3));
            }
        }
        Ok(Self { all })
    }

    /// What a query finds, as the API server would answer it.
    pub(crate) fn find(&self, query: &ObjectQuery, namespace: &str) -> Result<Vec<String>, String> {
        let namespace = query.namespace.as_deref().unwrap_or(namespace);
        let selector = query.label_selector.as_deref().map(Selector::read).transpose()?;
        let found = self.all.iter().filter(|((api_version, kind, place, name), object)| {
            *api_version == query.api_version
                && *kind == query.kind
                && *place == namespace
                && query.name.as_ref().is_none_or(|wanted| wanted == name)
                && selector.as_ref().is_none_or(|selector| selector.fits(object))
        });
        Ok(found.map(|(_, object)| object.to_string()).collect())
    }

    /// The objects when some changes were made.
    pub(crate) fn with(&self, changes: &[Change], namespace: &str) -> Result<Self, String> {
        let mut after = self.clone();
        for change in changes {
            match change {
                Change::Put(text) => {
                    let mut object = parsed(text)?;
                    let key = key(&object, namespace)?;
                    object["metadata"]["namespace"] = json!(key.2);
                    after.all.insert(key, object);
                }
                Change::Remove(target) => {
                    after.all.remove(&removed(target, namespace));
                }
            }
        }
        Ok(after)
    }

    fn get(&self, key: &Key) -> Option<&Value> {
        self.all.get(key)
    }

    fn namespace(&self) -> &str {
        self.all.keys().next().map_or("default", |(_, _, namespace, _)| namespace)
    }
}

fn parsed(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn key(object: &Value, namespace: &str) -> Result<Key, String> {
    let text = |value: &Value, name: &str| {
        let text = value.as_str().filter(|text| !text.is_empty());
        text.map(str::to_owned).ok_or_else(|| format!("{name} is missing"))
    };
    let metadata = &object["metadata"];
    let place = metadata["namespace"].as_str().unwrap_or(namespace).to_owned();
    Ok((
        text(&object["apiVersion"], "apiVersion")?,
        text(&object["kind"], "kind")?,
        place,
        text(&metadata["name"], "metadata.name")?,
    ))
}

fn removed(target: &ObjectRef, namespace: &str) -> Key {
    let place = target.namespace.clone().unwrap_or_else(|| namespace.to_owned());
    (target.api_version.clone(), target.kind.clone(), place, target.name.clone())
}

/// Changes as patches, in their order: what an object is called, and what is different in it. What
/// is gone is null, and a removed object has `$patch: delete`.
pub(crate) fn patches(before: &Objects, changes: &[Change]) -> Result<Value, String> {
    let mut patches = Vec::new();
    let mut now = before.clone();
    for change in changes {
        let namespace = before.namespace();
        patches.push(match change {
            Change::Put(text) => {
                let object = parsed(text)?;
                let key = key(&object, namespace)?;
                match now.get(&key) {
                    Some(earlier) => {
                        let mut object = object;
                        object["metadata"]["namespace"] = json!(key.2);
                        named(&key, changed(earlier, &object).unwrap_or_else(|| json!({})))
                    }
                    None => object,
                }
            }
            Change::Remove(target) => {
                named(&removed(target, namespace), json!({"$patch": "delete"}))
            }
        });
        now = now.with(std::slice::from_ref(change), namespace)?;
    }
    Ok(Value::Array(patches))
}

fn named(key: &Key, mut patch: Value) -> Value {
    patch["apiVersion"] = json!(key.0);
    patch["kind"] = json!(key.1);
    patch["metadata"]["name"] = json!(key.3);
    patch
}

/// What a merge patch has to say, if anything; see RFC 7386.
fn changed(before: &Value, after: &Value) -> Option<Value> {
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        return (before != after).then(|| after.clone());
    };
    let mut patch = Map::new();
    let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    for name in names {
        let difference = match (old.get(name), new.get(name)) {
            (Some(old), Some(new)) => changed(old, new),
            (Some(_), None) => Some(Value::Null),
            (None, new) => new.cloned(),
        };
        if let Some(difference) = difference {
            patch.insert(name.clone(), difference);
        }
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// A label selector of the forms that routers need: `a=b`, `a==b`, `a!=b`, `a`, `!a`.
struct Selector(Vec<(String, Test)>);

enum Test {
    Is(String),
    IsNot(String),
    There,
    NotThere,
}

impl Selector {
    fn read(text: &str) -> Result<Self, String> {
        let mut tests = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            if part.contains(['(', ' ']) {
                return Err(format!(
                    "cases know no selectors such as {text:?}, only a=b, a!=b, a, !a"
                ));
            }
            let owned = |text: &str| text.trim().to_owned();
            tests.push(if let Some((name, value)) = part.split_once("!=") {
                (owned(name), Test::IsNot(owned(value)))
            } else if let Some((name, value)) = part.split_once('=') {
                (owned(name), Test::Is(owned(value.trim_start_matches('='))))
            } else if let Some(name) = part.strip_prefix('!') {
                (owned(name), Test::NotThere)
            } else {
                (owned(part), Test::There)
            });
        }
        Ok(Self(tests))
    }

    fn fits(&self, object: &Value) -> bool {
        self.0.iter().all(|(name, test)| {
            let label = object["metadata"]["labels"][name.as_str()].as_str();
            match test {
                Test::Is(value) => label == Some(value.as_str()),
                Test::IsNot(value) => label != Some(value.as_str()),
                Test::There => label.is_some(),
                Test::NotThere => label.is_none(),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str, weight: u32) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Route",
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {"weight": weight, "host": "shop"},
        })
    }

    fn objects() -> Objects {
        Objects::new(vec![object("a", 1), object("b", 2)], "market").unwrap()
    }

    #[test]
    fn a_patch_is_what_differs() {
        let mut changed = object("a", 5);
        changed["spec"].as_object_mut().unwrap().remove("host");
        let new = object("c", 0);
        let b = ObjectRef {
            api_version: "v1".into(),
            kind: "Route".into(),
            namespace: None,
            name: "b".into(),
        };
        let changes =
            [Change::Put(changed.to_string()), Change::Put(new.to_string()), Change::Remove(b)];
        let name = |name: &str| json!({ "name": name });
        let expected = json!([
            {"apiVersion": "v1", "kind": "Route", "metadata": name("a"), "spec": {"weight": 5, "host": null}},
            new,
            {"apiVersion": "v1", "kind": "Route", "metadata": name("b"), "$patch": "delete"},
        ]);
        assert_eq!(patches(&objects(), &changes), Ok(expected));
        let after = objects().with(&changes, "market").unwrap();
        assert_eq!(after.all.len(), 2);
    }

    #[test]
    fn objects_are_found_as_they_are_asked_for() {
        let query = |name: Option<&str>, selector: Option<&str>| ObjectQuery {
            api_version: "v1".into(),
            kind: "Route".into(),
            namespace: None,
            name: name.map(str::to_owned),
            label_selector: selector.map(str::to_owned),
        };
        let count = |query: ObjectQuery| objects().find(&query, "market").map(|found| found.len());
        assert_eq!(count(query(None, None)), Ok(2));
        assert_eq!(count(query(Some("a"), None)), Ok(1));
        assert_eq!(count(query(None, Some("app=b"))), Ok(1));
        assert_eq!(count(query(None, Some("app,app!=b"))), Ok(1));
        assert_eq!(count(query(None, Some("!app"))), Ok(0));
        assert!(count(query(None, Some("app in (a)"))).is_err());
        assert_eq!(objects().find(&query(None, None), "elsewhere").map(|found| found.len()), Ok(0));
    }

    #[test]
    fn what_is_no_object_is_named() {
        let error = Objects::new(vec![json!({"kind": "Route"})], "market").unwrap_err();
        assert_eq!(error, "document 1: apiVersion is missing");
        let twice = Objects::new(vec![object("a", 1), object("a", 2)], "market").unwrap_err();
        assert!(twice.contains("Route a is there twice"), "{twice}");
    }
}
