//! Writes: one request each, and what the stores must show before the next decision.

use http::Request;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client};
use serde_json::Value;
use sluice_engine::{ObjectId, Version};
use sluice_wire::rollout::{Verb, Write};
use sluice_wire::store::Watched;

use crate::error::ApiError;
use crate::kinds;
use crate::lease::Term;

/// The version of what is gone: a store shows it by showing nothing.
pub const GONE: Version = Version(u64::MAX);

/// What the stores are to show after a write; nothing, if it changed nothing that is watched.
pub type Shows = Option<(ObjectId, Version)>;

/// The way to write: as long as this process leads.
#[derive(Clone)]
pub struct Writer {
    /// The client.
    pub client: Client,
    /// How long this process may write.
    pub term: Term,
}

impl Writer {
    /// Do one write.
    ///
    /// # Errors
    /// Any [`ApiError`]; deleting what is gone already is none.
    pub async fn write(&self, write: &Write) -> Result<Shows, ApiError> {
        let target = &write.target;
        let what = format!("{} {}/{}", target.kind, target.namespace, target.name);
        let Some(resource) = kinds::resource(target.api_version, target.kind) else {
            let reason = "no write of this kind is known".to_owned();
            return Err(ApiError::Invalid { what, reason });
        };
        if !self.term.holds() {
            return Err(ApiError::NotLeading);
        }
        let api = kinds::api(&self.client, &resource, &target.namespace);
        let version = match write.verb {
            Verb::Create => create(&api, &what, &target.name, &write.body).await?,
            Verb::Merge => merge(&api, &what, write).await?,
            Verb::Patch => patch(&self.client, &api, &what, write).await?,
            Verb::Delete => match delete(&api, &what, &target.name, &write.body).await? {
                Some(version) => Some(version),
                None => return Ok(None),
            },
        };
        let id = object_id(target.kind, &target.namespace, &target.name);
        Ok(version.map(|version| (id, version)))
    }

    /// Whether there is no Rollout of this name, or one that is being deleted, by the word of the
    /// API server. The stores are not asked: each kind has a watch of its own, so that what a
    /// Rollout did may show before the Rollout itself does, above all what it did under another
    /// controller.
    ///
    /// # Errors
    /// Any [`ApiError`]; a Rollout that is gone is none.
    pub async fn is_gone(&self, namespace: &str, name: &str) -> Result<bool, ApiError> {
        let what = || format!("Rollout {namespace}/{name}");
        let Some(resource) = kinds::watched(Watched::Rollout) else {
            let reason = "no look at this kind is known".to_owned();
            return Err(ApiError::Invalid { what: what(), reason });
        };
        let found = kinds::api(&self.client, &resource, namespace).get_metadata_opt(name).await;
        let found = found.map_err(|error| ApiError::of(&what(), error))?;
        Ok(found.is_none_or(|found| found.metadata.deletion_timestamp.is_some()))
    }
}

/// What identifies an object in the engine's barriers.
pub fn object_id(kind: &str, namespace: &str, name: &str) -> ObjectId {
    ObjectId(format!("{kind}/{namespace}/{name}"))
}

type Objects = Api<DynamicObject>;

async fn create(
    api: &Objects,
    what: &str,
    name: &str,
    body: &Value,
) -> Result<Option<Version>, ApiError> {
    let object: DynamicObject = serde_json::from_value(body.clone())
        .map_err(|error| ApiError::Invalid { what: what.to_owned(), reason: error.to_string() })?;
    let owner = controller_of(&object);
    match api.create(&PostParams::default(), &object).await {
        Ok(object) => Ok(kinds::version(&object).map(Version)),
        Err(error) => match ApiError::of(what, error) {
            // An earlier attempt whose answer was lost, or a store that lags behind.
            ApiError::Taken(what) => {
                let there = api.get(name).await.map_err(|error| ApiError::of(&what, error))?;
                if owner.is_none() || controller_of(&there) != owner {
                    return Err(ApiError::Taken(what));
                }
                Ok(kinds::version(&there).map(Version))
            }
            error => Err(error),
        },
    }
}

/// A JSON patch, which the client only knows with a library of its own for it.
async fn patch(
    client: &Client,
    api: &Objects,
    what: &str,
    write: &Write,
) -> Result<Option<Version>, ApiError> {
    let invalid = |reason: String| ApiError::Invalid { what: what.to_owned(), reason };
    let request = Request::builder()
        .method("PATCH")
        .uri(format!("{}/{}", api.resource_url(), write.target.name))
        .header("content-type", "application/json-patch+json")
        .body(write.body.to_string().into_bytes())
        .map_err(|error| invalid(error.to_string()))?;
    let patched: DynamicObject =
        client.request(request).await.map_err(|error| ApiError::of(what, error))?;
    Ok(kinds::version(&patched).map(Version))
}

async fn merge(api: &Objects, what: &str, write: &Write) -> Result<Option<Version>, ApiError> {
    let (name, how) = (&write.target.name, PatchParams::default());
    let patch = Patch::Merge(&write.body);
    let merged = match write.target.subresource {
        Some(part) => api.patch_subresource(part, name, &how, &patch).await,
        None => api.patch(name, &how, &patch).await,
    };
    let merged = merged.map_err(|error| ApiError::of(what, error))?;
    Ok(kinds::version(&merged).map(Version))
}

async fn delete(
    api: &Objects,
    what: &str,
    name: &str,
    body: &Value,
) -> Result<Option<Version>, ApiError> {
    let text = |field| body.pointer(field).and_then(Value::as_str).map(str::to_owned);
    let preconditions = Preconditions {
        uid: text("/preconditions/uid"),
        resource_version: text("/preconditions/resourceVersion"),
    };
    let conditional = preconditions.uid.is_some() || preconditions.resource_version.is_some();
    let how = DeleteParams {
        preconditions: conditional.then_some(preconditions),
        ..DeleteParams::background()
    };
    match api.delete(name, &how).await {
        Ok(answer) => Ok(Some(answer.left().and_then(held_back).map_or(GONE, Version))),
        Err(error) => match ApiError::of(what, error) {
            ApiError::Missing(_) => Ok(None),
            error => Err(error),
        },
    }
}

/// The version of a deleted object that something keeps from going.
fn held_back(object: DynamicObject) -> Option<u64> {
    let held = object.metadata.finalizers.as_ref().is_some_and(|names| !names.is_empty());
    if held { kinds::version(&object) } else { None }
}

fn controller_of(object: &DynamicObject) -> Option<String> {
    let owners = object.metadata.owner_references.iter().flatten();
    let mut controllers = owners.filter(|owner| owner.controller == Some(true));
    controllers.next().map(|owner| owner.uid.clone())
}
