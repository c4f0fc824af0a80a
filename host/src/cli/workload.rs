//! The object whose pod template a rollout releases: the rollout itself, or the one that it
//! refers to.

use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use crate::client::{self, Cluster, Error, word};

/// Where a pod template is.
#[derive(Clone, Debug)]
pub struct Workload {
    /// The kind of the object.
    pub kind: ApiResource,
    /// The name of the object.
    pub name: String,
    /// Where the template is in it, as a JSON pointer.
    pub template: &'static str,
}

/// The object that has the template of `rollout`.
///
/// # Errors
/// When the rollout refers to an object of a kind that has no template which may be changed.
pub fn of(rollout: &Value) -> anyhow::Result<Workload> {
    let text = |pointer: &str| rollout.pointer(pointer).and_then(Value::as_str);
    let reference = rollout.pointer("/spec/workloadRef").filter(|found| !found.is_null());
    let template = "/spec/template";
    if reference.is_none() {
        let name = text("/metadata/name").unwrap_or_default().to_owned();
        return Ok(Workload { kind: client::rollouts(), name, template });
    }
    let Some(name) = text("/spec/workloadRef/name").map(str::to_owned) else {
        anyhow::bail!("spec.workloadRef.name is missing: name the object that has the template");
    };
    match text("/spec/workloadRef/kind").unwrap_or_default() {
        "Deployment" => Ok(Workload { kind: client::deployments(), name, template }),
        "ReplicaSet" => Ok(Workload { kind: client::replica_sets(), name, template }),
        "PodTemplate" => {
            Ok(Workload { kind: client::pod_templates(), name, template: "/template" })
        }
        other => anyhow::bail!(
            "spec.workloadRef.kind is '{other}': only the template of a Deployment, a ReplicaSet \
             or a PodTemplate can be changed"
        ),
    }
}

impl Workload {
    /// The object as it is now.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn read(&self, cluster: &Cluster) -> Result<DynamicObject, Error> {
        cluster.object(&self.kind, &self.name).await
    }

    /// Put another template into it.
    ///
    /// # Errors
    /// What the server refuses with.
    pub async fn replace_template(&self, cluster: &Cluster, new: &Value) -> anyhow::Result<()> {
        let change = json!([{"op": "replace", "path": self.template, "value": new}]);
        let patch = Patch::<Value>::Json(serde_json::from_value(change)?);
        let api = cluster.api(&self.kind);
        let patched = api.patch(&self.name, &PatchParams::default(), &patch).await;
        let doing = format!("change the template of {} \"{}\"", word(&self.kind), self.name);
        patched.map(drop).map_err(|error| cluster.explain(&doing, error).into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::of;

    #[test]
    fn the_template_is_where_the_rollout_says() {
        let own = of(&json!({"metadata": {"name": "shop"}})).expect("its own");
        assert_eq!((own.kind.kind.as_str(), own.name.as_str()), ("Rollout", "shop"));
        let referring = |kind: &str| {
            of(&json!({
                "metadata": {"name": "shop"},
                "spec": {"workloadRef": {"apiVersion": "apps/v1", "kind": kind, "name": "web"}},
            }))
        };
        let deployment = referring("Deployment").expect("a Deployment");
        assert_eq!(
            (deployment.kind.plural.as_str(), deployment.name.as_str()),
            ("deployments", "web")
        );
        assert_eq!(referring("PodTemplate").expect("a PodTemplate").template, "/template");
        let error = referring("CronJob").expect_err("no such template").to_string();
        assert!(error.starts_with("spec.workloadRef.kind is 'CronJob'"), "{error}");
    }
}
