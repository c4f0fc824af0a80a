//! The objects that carry a routing, as a router sees them through the API server.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch,
    PatchParams, PostParams,
};
use kube::discovery::{Scope, pinned_kind};
use kube::{Client, Error, ResourceExt as _};
use serde_json::{Value, json};
use sluice_port::drive::{Access, AccessError, How, Objects, Written};
use sluice_port::rights::{self, Touch, Verb};
use sluice_port::{ObjectQuery, ObjectRef, Rights};
use sluice_wire::rollout::project::difference;

use crate::error::{ApiError, causes};
use crate::kinds;
use crate::lease::Term;
use crate::routed::Read;

/// The longest name that the API server lets an object have, in bytes.
const MOST_NAME: usize = 253;

/// The parts of the metadata that a router may decide; the rest is the server's.
const METADATA: [&str; 3] = ["annotations", "labels", "ownerReferences"];

/// How the API names kinds, asked once. Clones share what was learnt.
#[derive(Clone, Default)]
pub struct Names(Arc<Mutex<Known>>);

/// By version and kind.
type Known = BTreeMap<(String, String), (ApiResource, Scope)>;

/// One router's access on behalf of one rollout.
pub struct RouterObjects {
    /// The client.
    pub client: Client,
    /// How long this process may write.
    pub term: Term,
    /// How the API names kinds.
    pub names: Names,
    /// The rollout's namespace.
    pub namespace: String,
    /// The router's name, for refusals.
    pub router: String,
    /// The router's part of the specification. Other namespaces are open only if it names them.
    pub config: Value,
    /// Which objects the router may touch.
    pub rights: Rights,
    /// Every object that was read or written by its name, as it is now.
    pub(crate) reads: Mutex<Vec<Read>>,
}

impl Objects for RouterObjects {
    fn find<'a>(&'a self, query: &'a ObjectQuery) -> Access<'a, Vec<String>> {
        Box::pin(self.find_now(query))
    }

    fn put<'a>(&'a self, object: &'a str, found: &'a [String]) -> Access<'a, (String, Written)> {
        Box::pin(self.put_now(object, found))
    }

    fn reference(&self, object: &str) -> Option<ObjectRef> {
        let object: Value = serde_json::from_str(object).ok()?;
        Some(reference(&object)).filter(|target| !target.name.is_empty())
    }

    fn remove<'a>(&'a self, target: &'a ObjectRef) -> Access<'a, Written> {
        Box::pin(self.remove_now(target))
    }
}

impl RouterObjects {
    /// An access that only reads, for whoever wants to know what a router would do.
    pub fn to_look(
        client: Client,
        namespace: &str,
        router: &str,
        config: Value,
        rights: Rights,
    ) -> Self {
        Self {
            client,
            term: Term::none(),
            names: Names::default(),
            namespace: namespace.to_owned(),
            router: router.to_owned(),
            config,
            rights,
            reads: Mutex::default(),
        }
    }

    async fn find_now(&self, query: &ObjectQuery) -> Result<Vec<String>, AccessError> {
        let (name, namespace) = (query.name.as_deref(), query.namespace.as_deref());
        let verb = if name.is_some() { Verb::Get } else { Verb::Find };
        let touched =
            Touched { api_version: &query.api_version, kind: &query.kind, name, namespace };
        let place = self.place(verb, touched).await?;
        let what = format!("{} {}", query.kind, query.name.as_deref().unwrap_or("*"));
        let found = match &query.name {
            Some(name) => place.api.get_opt(name).await.map(|found| found.into_iter().collect()),
            None => {
                let label_selector = query.label_selector.clone();
                let list = ListParams { label_selector, ..ListParams::default() };
                place.api.list(&list).await.map(|list| list.items)
            }
        };
        let mut found: Vec<DynamicObject> = found.map_err(|error| failed(&what, error))?;
        // Among those that are there, it sees those that it may see.
        found.retain(|object| {
            let name = object.name_any();
            self.admit(verb, Touched { name: Some(&name), ..touched }, place.place).is_ok()
        });
        if let Some(name) = &query.name {
            self.note(&place, name, found.first());
        }
        let text = |object| kinds::to_value(object, &place.resource).to_string();
        Ok(found.into_iter().map(text).collect())
    }

    async fn put_now(
        &self,
        object: &str,
        found: &[String],
    ) -> Result<(String, Written), AccessError> {
        let mut wanted: Value = serde_json::from_str(object)
            .map_err(|error| AccessError::Invalid(format!("the router's object: {error}")))?;
        let mut target = reference(&wanted);
        if target.name.is_empty() {
            return Err(AccessError::Invalid("the router's object has no name".to_owned()));
        }
        target.namespace.get_or_insert_with(|| self.namespace.clone());
        let there = found
            .iter()
            .filter_map(|text| serde_json::from_str::<Value>(text).ok())
            .find(|there| same(&reference(there), &target));
        let verb = if there.is_some() { Verb::Patch } else { Verb::Create };
        let place = self.place(verb, Touched::of(&target)).await?;
        let what = format!("{} {}", target.kind, target.name);
        let Some(there) = there else {
            if let Some(namespace) = &place.namespace {
                wanted["metadata"]["namespace"] = namespace.clone().into();
            }
            let stored = self.create(&place, &what, wanted).await?;
            return Ok((stored, Written { how: How::Created, target }));
        };
        match changes(&there, &wanted) {
            None => Ok((there.to_string(), Written { how: How::Unchanged, target })),
            Some(mut patch) => {
                // Right for the version that was read, and for no other.
                patch["metadata"]["resourceVersion"] = there["metadata"]["resourceVersion"].clone();
                let stored = self.merge(&place, &what, &target.name, patch).await?;
                Ok((stored, Written { how: How::Changed, target }))
            }
        }
    }

    async fn create(
        &self,
        place: &Place,
        what: &str,
        wanted: Value,
    ) -> Result<String, AccessError> {
        let object: DynamicObject = serde_json::from_value(wanted)
            .map_err(|error| AccessError::Invalid(format!("{what}: {error}")))?;
        self.may_write()?;
        let stored = place.api.create(&PostParams::default(), &object).await;
        let stored = stored.map_err(|error| failed(what, error))?;
        self.note(place, &stored.name_any(), Some(&stored));
        Ok(kinds::to_value(stored, &place.resource).to_string())
    }

    async fn merge(
        &self,
        place: &Place,
        what: &str,
        name: &str,
        patch: Value,
    ) -> Result<String, AccessError> {
        self.may_write()?;
        let patch = Patch::Merge(patch);
        let stored = place.api.patch(name, &PatchParams::default(), &patch).await;
        let stored = stored.map_err(|error| failed(what, error))?;
        self.note(place, name, Some(&stored));
        Ok(kinds::to_value(stored, &place.resource).to_string())
    }

    async fn remove_now(&self, target: &ObjectRef) -> Result<Written, AccessError> {
        let place = self.place(Verb::Remove, Touched::of(target)).await?;
        let what = format!("{} {}", target.kind, target.name);
        let target = ObjectRef { namespace: place.namespace.clone(), ..target.clone() };
        self.may_write()?;
        match place.api.delete(&target.name, &DeleteParams::background()).await {
            Ok(_) => {
                self.note(&place, &target.name, None);
                Ok(Written { how: How::Removed, target })
            }
            Err(Error::Api(status)) if status.is_not_found() => {
                Ok(Written { how: How::Unchanged, target })
            }
            Err(error) => Err(failed(&what, error)),
        }
    }

    fn note(&self, place: &Place, name: &str, object: Option<&DynamicObject>) {
        let read = Read {
            resource: place.resource.clone(),
            namespace: place.namespace.clone().unwrap_or_default(),
            name: name.to_owned(),
            version: object.and_then(kinds::version),
        };
        self.reads.lock().unwrap_or_else(PoisonError::into_inner).push(read);
    }

    fn may_write(&self) -> Result<(), AccessError> {
        if self.term.holds() {
            return Ok(());
        }
        Err(AccessError::Unavailable(ApiError::NotLeading.to_string()))
    }

    /// Where objects of a kind are, if the router may do this with them there.
    async fn place(&self, verb: Verb, touched: Touched<'_>) -> Result<Place, AccessError> {
        let Touched { api_version, kind, namespace, .. } = touched;
        touched.well_formed()?;
        let namespace = namespace.unwrap_or(&self.namespace);
        let place = match namespace == self.namespace {
            true => rights::Place::Home,
            false => rights::Place::Elsewhere,
        };
        // Before anything is asked of the API server: a name that it knows is something learnt.
        self.admit(verb, touched, place)?;
        if place == rights::Place::Elsewhere && !names(&self.config, namespace) {
            return Err(AccessError::NotGranted(format!(
                "router '{}' may not touch {kind} in namespace '{namespace}': \
                 the rollout's trafficRouting does not name that namespace",
                self.router
            )));
        }
        let (resource, scope) = self.names.find(&self.client, api_version, kind).await?;
        if scope == Scope::Namespaced {
            let api = kinds::api(&self.client, &resource, namespace);
            return Ok(Place { api, resource, namespace: Some(namespace.to_owned()), place });
        }
        let place = rights::Place::Nowhere;
        self.admit(verb, touched, place)?;
        let api = Api::all_with(self.client.clone(), &resource);
        Ok(Place { api, resource, namespace: None, place })
    }

    fn admit(
        &self,
        verb: Verb,
        touched: Touched<'_>,
        place: rights::Place,
    ) -> Result<(), AccessError> {
        let Touched { api_version, kind, name, .. } = touched;
        let touch = Touch { verb, api_version, kind, name, place };
        self.rights.admit(&touch).map_err(|why| {
            AccessError::NotGranted(format!("router '{}' may not {why}", self.router))
        })
    }
}

/// What is to be touched.
#[derive(Clone, Copy)]
struct Touched<'a> {
    api_version: &'a str,
    kind: &'a str,
    name: Option<&'a str>,
    namespace: Option<&'a str>,
}

impl<'a> Touched<'a> {
    fn of(target: &'a ObjectRef) -> Self {
        let ObjectRef { api_version, kind, namespace, name } = target;
        Self { api_version, kind, name: Some(name), namespace: namespace.as_deref() }
    }

    /// What a component calls an object becomes a part of the path of a request, made with the
    /// controller's rights. It must lead nowhere else.
    fn well_formed(self) -> Result<(), AccessError> {
        let Self { api_version, kind, name, namespace } = self;
        let (group, version) = kinds::split(api_version);
        let parts = [("group", group, "."), ("version", version, ""), ("kind", kind, "")];
        let group_is_core = group.is_empty() && !api_version.starts_with('/');
        let parts = parts.into_iter().filter(|(what, ..)| *what != "group" || !group_is_core);
        let named = [("name", name, "._:"), ("namespace", namespace, "")];
        let named = named.into_iter().filter_map(|(what, text, also)| Some((what, text?, also)));
        for (what, text, also) in parts.chain(named) {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || also.contains(c);
            let dots = text.chars().all(|c| c == '.');
            if dots || text.len() > MOST_NAME || !text.chars().all(plain) {
                let text: String = text.chars().take(64).collect();
                return Err(AccessError::Invalid(format!("{text:?} is no {what} of an object")));
            }
        }
        Ok(())
    }
}

struct Place {
    api: Api<DynamicObject>,
    resource: ApiResource,
    namespace: Option<String>,
    place: rights::Place,
}

impl Names {
    async fn find(
        &self,
        client: &Client,
        api_version: &str,
        kind: &str,
    ) -> Result<(ApiResource, Scope), AccessError> {
        let key = (api_version.to_owned(), kind.to_owned());
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let (group, version) = kinds::split(api_version);
        let asked = pinned_kind(client, &GroupVersionKind::gvk(group, version, kind)).await;
        let (resource, capabilities) = asked.map_err(|error| match error {
            Error::Discovery(_) => absent(api_version, kind),
            Error::Api(status) if status.is_not_found() => absent(api_version, kind),
            error => AccessError::Unavailable(causes(&error)),
        })?;
        let found = (resource, capabilities.scope);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, found.clone());
        Ok(found)
    }
}

fn absent(api_version: &str, kind: &str) -> AccessError {
    AccessError::Invalid(format!(
        "the cluster has no {kind} of {api_version}; is its definition installed?"
    ))
}

fn failed(what: &str, error: Error) -> AccessError {
    let error = ApiError::of(what, error);
    let text = error.to_string();
    match error {
        ApiError::Conflict(_) | ApiError::Taken(_) => AccessError::Conflict(what.to_owned()),
        ApiError::Missing(_) | ApiError::Invalid { .. } => AccessError::Invalid(text),
        ApiError::Forbidden { .. } => AccessError::NotGranted(text),
        ApiError::Unavailable { .. } | ApiError::NotLeading => AccessError::Unavailable(text),
    }
}

fn reference(object: &Value) -> ObjectRef {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    ObjectRef {
        api_version: text("/apiVersion").unwrap_or_default(),
        kind: text("/kind").unwrap_or_default(),
        namespace: text("/metadata/namespace"),
        name: text("/metadata/name").unwrap_or_default(),
    }
}

/// Whether two references are to one object; versions of a group show the same objects.
fn same(one: &ObjectRef, other: &ObjectRef) -> bool {
    kinds::split(&one.api_version).0 == kinds::split(&other.api_version).0
        && (&one.kind, &one.namespace, &one.name) == (&other.kind, &other.namespace, &other.name)
}

/// The smallest merge patch that makes `there` what is wanted, in everything that is not the
/// server's or another controller's to say.
fn changes(there: &Value, wanted: &Value) -> Option<Value> {
    let own = |object: &Value| {
        let mut own = object.clone();
        if let Some(fields) = own.as_object_mut() {
            for theirs in ["status", "apiVersion", "kind"] {
                fields.remove(theirs);
            }
            let metadata = METADATA.iter().filter_map(|name| {
                let value = object.pointer(&format!("/metadata/{name}"))?;
                let empty = value.as_object().is_some_and(|map| map.is_empty());
                (!empty).then(|| ((*name).to_owned(), value.clone()))
            });
            fields.insert("metadata".into(), Value::Object(metadata.collect()));
        }
        own
    };
    let mut patch = difference(Some(&own(there)), &own(wanted))?;
    if !patch.get("metadata").is_some_and(Value::is_object) {
        patch["metadata"] = json!({});
    }
    Some(patch)
}

/// Whether a configuration names a namespace: as a value, or as a part of one such as
/// `routes.edge` or `web.edge.svc.cluster.local`.
fn names(config: &Value, namespace: &str) -> bool {
    match config {
        Value::String(text) => text.split(['.', '/']).any(|part| part == namespace),
        Value::Array(items) => items.iter().any(|item| names(item, namespace)),
        Value::Object(fields) => fields.values().any(|field| names(field, namespace)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_written_and_only_what_is_the_routers() {
        let there = json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {
                "name": "web", "uid": "u", "resourceVersion": "7", "generation": 2,
                "labels": {"team": "shop"},
                "annotations": {"weight": "5", "old": "x"},
            },
            "spec": {"rules": [1, 2], "ingressClassName": "nginx"},
            "status": {"loadBalancer": {}},
        });
        let mut wanted = there.clone();
        wanted["metadata"] = json!({
            "name": "web", "labels": {"team": "shop"}, "annotations": {"weight": "20"},
        });
        wanted["spec"]["rules"] = json!([3]);
        wanted.as_object_mut().map(|fields| fields.remove("status"));
        let expected = json!({
            "metadata": {"annotations": {"weight": "20", "old": null}},
            "spec": {"rules": [3]},
        });
        assert_eq!(changes(&there, &wanted), Some(expected));
        assert_eq!(changes(&there, &there), None);
    }

    #[test]
    fn a_namespace_is_open_only_if_the_configuration_names_it() {
        let config = json!({"virtualServices": [{"name": "routes.edge"}, {"name": "local"}]});
        assert!(names(&config, "edge"));
        assert!(!names(&config, "edg"));
        assert!(!names(&json!({}), "edge"));
    }
}
