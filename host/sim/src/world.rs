//! A small API server: objects with versions, optimistic locks, and watches that lag.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sluice_core::Timestamp;

use crate::pods::Pods;

/// Kind, namespace and name.
pub type Place = (String, String, String);

/// Why a write is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiError {
    /// No such object.
    NotFound(String),
    /// There is one already.
    Exists(String),
    /// It changed since it was read.
    Conflict(String),
    /// The server is overloaded or failing.
    Unavailable,
}

/// One change as a watch tells it.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which object.
    pub place: Place,
    /// Its version, also of a removal.
    pub version: u64,
    /// The object; `None` if it is gone.
    pub object: Option<Arc<Value>>,
}

/// The objects, and what watchers have not been told yet.
#[derive(Debug, Default)]
pub struct World {
    objects: BTreeMap<Place, Arc<Value>>,
    version: u64,
    uids: u64,
    /// By kind, with the time at which a watcher hears of it.
    told: BTreeMap<String, VecDeque<(Timestamp, Change)>>,
    lag: BTreeMap<String, Duration>,
    now: Timestamp,
    /// The pods, as whoever lists them sees them.
    pub pods: Pods,
    /// Writes that were accepted.
    pub writes: u64,
}

impl World {
    /// Let time pass.
    pub fn set_now(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// From now on watchers hear of changes of `kind` this much later.
    pub fn set_lag(&mut self, kind: &str, lag: Duration) {
        self.lag.insert(kind.to_owned(), lag);
    }

    /// The object at this place.
    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<&Arc<Value>> {
        self.objects.get(&(kind.to_owned(), namespace.to_owned(), name.to_owned()))
    }

    /// Every object of a kind.
    pub fn list<'w>(&'w self, kind: &'w str) -> impl Iterator<Item = (&'w Place, &'w Arc<Value>)> {
        let first = (kind.to_owned(), String::new(), String::new());
        self.objects.range(first..).take_while(move |((found, _, _), _)| found == kind)
    }

    /// Create an object.
    pub fn create(&mut self, mut object: Value) -> Result<Arc<Value>, ApiError> {
        let place = place_of(&object);
        if self.objects.contains_key(&place) {
            return Err(ApiError::Exists(format!("{} {}", place.0, place.2)));
        }
        fill_in(&mut object);
        self.uids += 1;
        let now = sluice_wire::clock::format_time(self.now);
        let meta = &mut object["metadata"];
        meta["uid"] = format!("uid-{:06}", self.uids).into();
        meta["generation"] = 1.into();
        meta["creationTimestamp"] = now.into();
        Ok(self.store(place, object))
    }

    /// Merge a patch into an object. `metadata.resourceVersion` in it is a lock. On a Rollout a
    /// patch of the status leaves the rest alone, and the other way round.
    pub fn merge(
        &mut self,
        kind: &str,
        namespace: &str,
        name: &str,
        subresource: Option<&str>,
        patch: &Value,
    ) -> Result<Arc<Value>, ApiError> {
        let place = (kind.to_owned(), namespace.to_owned(), name.to_owned());
        let Some(old) = self.objects.get(&place).cloned() else {
            return Err(ApiError::NotFound(format!("{kind} {name}")));
        };
        let lock = patch.pointer("/metadata/resourceVersion").and_then(Value::as_str);
        let have = old.pointer("/metadata/resourceVersion").and_then(Value::as_str);
        if lock.is_some() && lock != have {
            return Err(ApiError::Conflict(format!("{kind} {name}")));
        }
        let (before, asked) = match subresource {
            Some(part) => (old.get(part), patch.get(part).unwrap_or(&Value::Null)),
            None => (Some(&*old), patch),
        };
        // Most writes of a quiet fleet say what is there already, and a copy costs far more.
        if says_nothing_new(before, asked) {
            return Ok(old);
        }
        let mut new = (*old).clone();
        match subresource {
            Some(part) => merge_value(&mut new[part], &patch[part]),
            None => {
                let status = new.get("status").cloned();
                merge_value(&mut new, patch);
                if kind == "Rollout" {
                    restore(&mut new, "status", status);
                }
            }
        }
        fill_in(&mut new);
        if new.get("spec") != old.get("spec") {
            let generation = old.pointer("/metadata/generation").and_then(Value::as_i64);
            new["metadata"]["generation"] = (generation.unwrap_or(0) + 1).into();
        }
        new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"].clone();
        if new == *old {
            return Ok(old);
        }
        Ok(self.store(place, new))
    }

    /// Apply a JSON patch of tests and removals, which is all that anybody sends.
    pub fn patch(
        &mut self,
        kind: &str,
        namespace: &str,
        name: &str,
        steps: &Value,
    ) -> Result<Arc<Value>, ApiError> {
        let Some(old) = self.get(kind, namespace, name).cloned() else {
            return Err(ApiError::NotFound(format!("{kind} {name}")));
        };
        let mut merge = json!({});
        for step in steps.as_array().into_iter().flatten() {
            let path = step["path"].as_str().unwrap_or_default();
            let there = old.pointer(path);
            if there.is_none() || (step["op"] == "test" && there != step.get("value")) {
                return Err(ApiError::Conflict(format!("{kind} {name}: {path}")));
            }
            if step["op"] == "remove" {
                let parts = path.trim_start_matches('/').split('/');
                let parts = parts.map(|part| part.replace("~1", "/").replace("~0", "~"));
                let gone = parts.rev().fold(Value::Null, |inner, part| json!({part: inner}));
                // A merge of nulls removes; the branches of several removals are joined.
                join(&mut merge, gone);
            }
        }
        self.merge(kind, namespace, name, None, &merge)
    }

    /// Delete an object; with a uid or a version only if it is that one.
    pub fn delete(
        &mut self,
        kind: &str,
        namespace: &str,
        name: &str,
        conditions: &Value,
    ) -> Result<u64, ApiError> {
        let place = (kind.to_owned(), namespace.to_owned(), name.to_owned());
        let Some(old) = self.objects.get(&place) else {
            return Err(ApiError::NotFound(format!("{kind} {name}")));
        };
        for key in ["uid", "resourceVersion"] {
            let wanted = conditions.get("preconditions").and_then(|wanted| wanted.get(key));
            if wanted.is_some_and(|wanted| *wanted != old["metadata"][key]) {
                return Err(ApiError::Conflict(format!("{kind} {name}")));
            }
        }
        self.objects.remove(&place);
        self.version += 1;
        self.writes += 1;
        let version = self.version;
        self.tell(Change { place, version, object: None });
        Ok(version)
    }

    /// What watchers hear of by now, in order for each kind.
    pub fn heard(&mut self, now: Timestamp) -> Vec<Change> {
        let mut heard = Vec::new();
        for queue in self.told.values_mut() {
            while queue.front().is_some_and(|(at, _)| *at <= now) {
                heard.extend(queue.pop_front().map(|(_, change)| change));
            }
        }
        heard.sort_by_key(|change| change.version);
        heard
    }

    /// When watchers hear of something next.
    pub fn next_heard(&self) -> Option<Timestamp> {
        self.told.values().filter_map(|queue| queue.front().map(|(at, _)| *at)).min()
    }

    /// A watcher that starts anew: everything there is, and nothing pending.
    pub fn relist(&mut self) -> Vec<Change> {
        self.told.clear();
        let all = self.objects.iter();
        all.map(|(place, object)| Change {
            place: place.clone(),
            version: version_of(object),
            object: Some(object.clone()),
        })
        .collect()
    }

    fn store(&mut self, place: Place, mut object: Value) -> Arc<Value> {
        self.version += 1;
        self.writes += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        let object = Arc::new(object);
        self.objects.insert(place.clone(), object.clone());
        let change = Change { place, version: self.version, object: Some(object.clone()) };
        self.tell(change);
        object
    }

    fn tell(&mut self, change: Change) {
        let lag = self.lag.get(&change.place.0).copied().unwrap_or_default();
        let queue = self.told.entry(change.place.0.clone()).or_default();
        let at = self.now.after(lag);
        // A watch never reorders the changes of a kind.
        let at = queue.back().map_or(at, |(before, _)| at.max(*before));
        queue.push_back((at, change));
    }
}

/// The version of an object.
pub fn version_of(object: &Value) -> u64 {
    let version = object.pointer("/metadata/resourceVersion").and_then(Value::as_str);
    version.and_then(|version| version.parse().ok()).unwrap_or(0)
}

fn place_of(object: &Value) -> Place {
    let text = |pointer: &str| {
        object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    (text("/kind"), text("/metadata/namespace"), text("/metadata/name"))
}

/// What a server fills in, as far as it matters here: defaults in pod templates.
pub fn fill_in(object: &mut Value) {
    let kind = object.get("kind").and_then(Value::as_str);
    if !matches!(kind, Some("ReplicaSet" | "Deployment")) {
        return;
    }
    let Some(spec) = object.pointer_mut("/spec/template/spec") else { return };
    let defaults = json!({"restartPolicy": "Always", "terminationGracePeriodSeconds": 30});
    add_missing(spec, &defaults);
    for container in spec.get_mut("containers").and_then(Value::as_array_mut).into_iter().flatten()
    {
        add_missing(container, &json!({"imagePullPolicy": "IfNotPresent", "resources": {}}));
    }
}

fn add_missing(object: &mut Value, defaults: &Value) {
    for (key, value) in defaults.as_object().into_iter().flatten() {
        if object.get(key).is_none() {
            object[key] = value.clone();
        }
    }
}

fn restore(object: &mut Value, field: &str, value: Option<Value>) {
    let Some(fields) = object.as_object_mut() else { return };
    match value {
        Some(value) => fields.insert(field.to_owned(), value),
        None => fields.remove(field),
    };
}

fn join(into: &mut Value, more: Value) {
    match (into.as_object_mut(), more) {
        (Some(fields), Value::Object(more)) => {
            for (key, value) in more {
                join(fields.entry(key).or_insert_with(|| value.clone()), value);
            }
        }
        (_, more) => *into = more,
    }
}

/// Whether a merge of `patch` would leave everything as it is.
fn says_nothing_new(target: Option<&Value>, patch: &Value) -> bool {
    let Some(fields) = patch.as_object() else { return target == Some(patch) };
    let Some(object) = target.and_then(Value::as_object) else { return false };
    fields.iter().all(|(key, value)| match value {
        Value::Null => !object.contains_key(key),
        value => says_nothing_new(object.get(key), value),
    })
}

/// RFC 7386.
pub fn merge_value(target: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Some(object) = target.as_object_mut() else { return };
    for (key, value) in fields {
        if value.is_null() {
            object.remove(key);
        } else {
            merge_value(object.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}
