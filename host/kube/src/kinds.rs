//! The kinds that are watched or written, and how the API names them.

use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use serde_json::Value;
use sluice_wire::store::Watched;

/// Group, version and plural name of a kind.
const KNOWN: [(&str, &str, &str); 10] = [
    ("argoproj.io/v1alpha1", "Rollout", "rollouts"),
    ("argoproj.io/v1alpha1", "AnalysisRun", "analysisruns"),
    ("argoproj.io/v1alpha1", "AnalysisTemplate", "analysistemplates"),
    ("argoproj.io/v1alpha1", "ClusterAnalysisTemplate", "clusteranalysistemplates"),
    ("argoproj.io/v1alpha1", "Experiment", "experiments"),
    ("apps/v1", "ReplicaSet", "replicasets"),
    ("apps/v1", "Deployment", "deployments"),
    ("v1", "PodTemplate", "podtemplates"),
    ("v1", "Service", "services"),
    ("v1", "Pod", "pods"),
];

/// How the API names a kind of this crate's own; `None` if it is not one.
pub fn resource(api_version: &str, kind: &str) -> Option<ApiResource> {
    let known = KNOWN.iter().find(|known| known.0 == api_version && known.1 == kind)?;
    let (group, version) = split(api_version);
    Some(ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), known.2))
}

/// How the API names a watched kind.
pub fn watched(kind: Watched) -> Option<ApiResource> {
    let known = KNOWN.iter().find(|known| known.1 == kind.kind())?;
    resource(known.0, known.1)
}

/// Group and version of an `apiVersion`. The core group's name is empty.
pub fn split(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// Objects of a kind in one namespace.
pub fn api(client: &Client, resource: &ApiResource, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, resource)
}

/// An object as the stores and components know it: JSON without the field managers' records.
/// Lists leave out the type of their items, so it is put back.
pub fn to_value(mut object: DynamicObject, resource: &ApiResource) -> Value {
    object.metadata.managed_fields = None;
    let mut value =
        if object.data.is_object() { object.data } else { Value::Object(Default::default()) };
    value["metadata"] = serde_json::to_value(&object.metadata).unwrap_or_default();
    value["apiVersion"] = resource.api_version.clone().into();
    value["kind"] = resource.kind.clone().into();
    value
}

/// The version of an object as a number; `None` if the server does not count versions.
pub fn version(object: &DynamicObject) -> Option<u64> {
    object.metadata.resource_version.as_deref()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_watched_kind_has_a_name() {
        for kind in Watched::ALL {
            let resource = watched(kind).expect("a watched kind is known");
            assert_eq!(resource.kind, kind.kind());
        }
    }

    #[test]
    fn an_item_of_a_list_gets_its_type_back_and_loses_its_managers() {
        let item = serde_json::json!({
            "metadata": {"name": "web", "managedFields": [{"manager": "kubectl"}]},
            "spec": {"selector": {"app": "web"}},
        });
        let item: DynamicObject = serde_json::from_value(item).expect("an object");
        let service = resource("v1", "Service").expect("known");
        let expected = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web"},
            "spec": {"selector": {"app": "web"}},
        });
        assert_eq!(to_value(item, &service), expected);
    }
}
