//! Metadata for pods that exist already. Pods are not watched, so they are listed when it is needed.

use futures::future::join_all;
use http::Request;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use kube::core::Status;
use serde_json::{Value, json};
use sluice_wire::keys;
use sluice_wire::rollout::effects::Pods;
use sluice_wire::rollout::restart::{Look, Looked};

use crate::error::ApiError;
use crate::kinds;
use crate::perform::Writer;
use crate::shared::now;

/// Give every pod of a ReplicaSet the metadata that it is to have.
///
/// # Errors
/// The first [`ApiError`] of any pod; a pod that is gone meanwhile is none.
pub(crate) async fn mark(writer: &Writer, pods: &Pods) -> Result<(), ApiError> {
    let what = format!("Pods {}/{}", pods.namespace, pods.hash);
    let Some(resource) = kinds::resource("v1", "Pod") else {
        return Err(ApiError::Missing(what));
    };
    if !writer.term.holds() {
        return Err(ApiError::NotLeading);
    }
    let api = kinds::api(&writer.client, &resource, &pods.namespace);
    let selected = ListParams::default().labels(&format!("{}={}", keys::HASH, pods.hash));
    let list = api.list(&selected).await.map_err(|error| ApiError::of(&what, error))?;
    let body = json!({"metadata": pods.metadata});
    let (how, patch) = (PatchParams::default(), Patch::Merge(&body));
    let lacking = list.items.iter().filter(|pod| is_controlled(pod, &pods.controller));
    let lacking = lacking.filter(|pod| lacks(pod, &pods.metadata));
    let names: Vec<_> = lacking.filter_map(|pod| pod.metadata.name.clone()).collect();
    let patched = join_all(names.iter().map(|name| api.patch(name, &how, &patch))).await;
    for (name, patched) in names.iter().zip(patched) {
        let what = format!("Pod {}/{name}", pods.namespace);
        match patched.map_err(|error| ApiError::of(&what, error)) {
            Ok(_) | Err(ApiError::Missing(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// List the pods that a restart is about, as they are now and not as a cache has them.
///
/// # Errors
/// Any [`ApiError`].
pub(crate) async fn list(writer: &Writer, look: &Look) -> Result<Looked, ApiError> {
    if look.is_empty() {
        return Ok(look.read([], now()));
    }
    let what = format!("Pods {}/{}", look.namespace, look.selector);
    let resource = kinds::resource("v1", "Pod").ok_or_else(|| ApiError::Missing(what.clone()))?;
    let api = kinds::api(&writer.client, &resource, &look.namespace);
    let selected = ListParams::default().labels(&look.selector);
    let list = api.list(&selected).await.map_err(|error| ApiError::of(&what, error))?;
    let pods: Vec<_> = list.items.into_iter().map(|pod| kinds::to_value(pod, &resource)).collect();
    Ok(look.read(&pods, now()))
}

/// Evict a pod as it was seen; `Some` with the server's words if a disruption budget keeps it for
/// now. One that is gone, or that changed since it was seen, is nothing to be told of.
///
/// # Errors
/// Any other [`ApiError`].
pub(crate) async fn evict(
    writer: &Writer,
    namespace: &str,
    pod: &str,
    body: &Value,
) -> Result<Option<String>, ApiError> {
    let what = format!("Eviction of Pod {namespace}/{pod}");
    if !writer.term.holds() {
        return Err(ApiError::NotLeading);
    }
    let invalid = |reason: String| ApiError::Invalid { what: what.clone(), reason };
    let request = Request::builder()
        .method("POST")
        .uri(format!("/api/v1/namespaces/{namespace}/pods/{pod}/eviction"))
        .header("content-type", "application/json")
        .body(body.to_string().into_bytes())
        .map_err(|error| invalid(error.to_string()))?;
    match writer.client.request::<Value>(request).await {
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) if status.code == 429 => Ok(Some(budget(&status))),
        Err(error) => match ApiError::of(&what, error) {
            ApiError::Missing(_) | ApiError::Conflict(_) => Ok(None),
            error => Err(error),
        },
    }
}

/// What the server says of a refusal: the cause names the budget, the message does not.
fn budget(status: &Status) -> String {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let causes: Vec<_> = causes.map(|cause| cause.message.as_str()).collect();
    if causes.is_empty() { status.message.clone() } else { causes.join("; ") }
}

fn is_controlled(pod: &DynamicObject, controller: &str) -> bool {
    let mut owners = pod.metadata.owner_references.iter().flatten();
    owners.any(|owner| owner.controller == Some(true) && owner.uid == controller)
}

/// Whether a merge patch would change the metadata of a pod.
fn lacks(pod: &DynamicObject, patch: &Value) -> bool {
    let parts = [("labels", &pod.metadata.labels), ("annotations", &pod.metadata.annotations)];
    parts.into_iter().any(|(part, has)| {
        let wanted = patch.get(part).and_then(Value::as_object).into_iter().flatten();
        let has = |key: &String| has.as_ref().and_then(|has| has.get(key)).map(String::as_str);
        wanted.into_iter().any(|(key, value)| has(key) != value.as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pods_that_lack_something_are_patched() {
        let pod: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "web-1", "labels": {"role": "stable", "app": "web"}},
        }))
        .expect("an object");
        let table = [
            (json!({}), false),
            (json!({"labels": {"role": "stable"}}), false),
            (json!({"labels": {"role": "canary"}}), true),
            (json!({"labels": {"role": null}}), true),
            (json!({"labels": {"old": null}}), false),
            (json!({"annotations": {"a": "1"}}), true),
        ];
        for (patch, expected) in table {
            assert_eq!(lacks(&pod, &patch), expected, "{patch}");
        }
    }
}
