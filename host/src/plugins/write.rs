//! What is written about Plugins: their status, one finalizer, and Events.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use sluice_api::Plugin;
use sluice_api::plugin::PluginStatus;
use sluice_plugins::{FINALIZER, Said};
use sluice_wire::rollout::Event;

use super::Shared;

/// Write the status as it should be, then announce what is new in it. Gives the object as it is
/// now.
///
/// # Errors
/// The API server's, such as that the object changed meanwhile.
pub async fn status(
    shared: &Shared,
    plugin: &Plugin,
    status: &PluginStatus,
    said: Vec<Said>,
) -> Result<Plugin, kube::Error> {
    let mut wanted = serde_json::to_value(status).map_err(kube::Error::SerdeError)?;
    let old = serde_json::to_value(&plugin.status).map_err(kube::Error::SerdeError)?;
    // A merge leaves what it does not mention.
    if let (Some(wanted), Some(old)) = (wanted.as_object_mut(), old.as_object()) {
        for name in old.keys() {
            wanted.entry(name.clone()).or_insert(Value::Null);
        }
    }
    let patch = json!({
        "metadata": {"resourceVersion": plugin.metadata.resource_version},
        "status": wanted,
    });
    let api: Api<Plugin> = Api::all(shared.around.client.clone());
    let name = plugin.metadata.name.as_deref().unwrap_or_default();
    let written = api.patch_status(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    let about = reference(plugin);
    for Said { warning, reason, message } in said {
        let event = match warning {
            true => Event::warning(reason, message),
            false => Event::normal(reason, message),
        };
        shared.recorder.announce(&about, event);
    }
    Ok(written)
}

/// Put the finalizer on, or take it off.
///
/// # Errors
/// As [`status`].
pub async fn finalizer(
    shared: &Shared,
    plugin: &Plugin,
    wanted: bool,
) -> Result<Plugin, kube::Error> {
    let mut finalizers = plugin.metadata.finalizers.clone().unwrap_or_default();
    finalizers.retain(|finalizer| finalizer != FINALIZER);
    if wanted {
        finalizers.push(FINALIZER.to_owned());
    }
    let patch = json!({"metadata": {
        "resourceVersion": plugin.metadata.resource_version,
        "finalizers": finalizers,
    }});
    let api: Api<Plugin> = Api::all(shared.around.client.clone());
    let name = plugin.metadata.name.as_deref().unwrap_or_default();
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await
}

/// A cluster-scoped object has no namespace, and neither has the reference.
fn reference(plugin: &Plugin) -> ObjectReference {
    ObjectReference {
        api_version: Some("sluice.dev/v1alpha1".to_owned()),
        kind: Some("Plugin".to_owned()),
        name: plugin.metadata.name.clone(),
        uid: plugin.metadata.uid.clone(),
        resource_version: plugin.metadata.resource_version.clone(),
        ..ObjectReference::default()
    }
}
