//! One rollout, seen and steered as its users do.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::{Event, History, Kind, Namespace, eventually};

/// The annotation that numbers a rollout's ReplicaSets.
const REVISION: &str = "/metadata/annotations/rollout.argoproj.io~1revision";
/// The label with the hash of the pod template.
const POD_HASH: &str = "/metadata/labels/rollouts-pod-template-hash";
/// The share of a canary Ingress, in per cent unless a total is set.
const CANARY_WEIGHT: &str = "/metadata/annotations/nginx.ingress.kubernetes.io~1canary-weight";

/// A Rollout in a test's namespace. It need not exist yet.
#[derive(Clone, Copy, Debug)]
pub struct Rollout<'a> {
    namespace: &'a Namespace,
    name: &'a str,
}

/// A ReplicaSet of a rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// The number of the revision; zero when it is not numbered.
    pub number: u64,
    /// The ReplicaSet's name.
    pub name: String,
    /// The hash of its pod template.
    pub hash: String,
    /// The image of its first container.
    pub image: String,
    /// `spec.replicas`.
    pub desired: u64,
    /// `status.readyReplicas`.
    pub ready: u64,
    /// `status.availableReplicas`.
    pub available: u64,
}

impl<'a> Rollout<'a> {
    /// The rollout `name` of `namespace`.
    pub fn new(namespace: &'a Namespace, name: &'a str) -> Self {
        Self { namespace, name }
    }

    /// The whole object.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn get(&self) -> Result<Value> {
        self.namespace.get(Kind::ROLLOUT, self.name).await
    }

    /// The status; null when there is none.
    ///
    /// # Errors
    ///
    /// When the rollout cannot be read.
    pub async fn status(&self) -> Result<Value> {
        Ok(self.get().await?["status"].take())
    }

    /// Awaits a status that `check` accepts, and returns it. The error of
    /// `check` says what is still missing; the phase and message are added.
    ///
    /// # Errors
    ///
    /// When `limit` passes first.
    pub async fn until(
        &self,
        what: &str,
        limit: Duration,
        check: impl Fn(&Value) -> Result<()>,
    ) -> Result<Value> {
        eventually(what, limit, async || {
            let rollout = self.get().await?;
            let status = &rollout["status"];
            let generation = &rollout["metadata"]["generation"];
            // The status of an earlier spec would satisfy too early. Here, as
            // nowhere else, the observed generation is a string.
            if status["observedGeneration"].as_str() != Some(generation.to_string().as_str()) {
                bail!(
                    "generation {generation} is not observed yet, only {}",
                    status["observedGeneration"]
                );
            }
            check(status).with_context(|| summary(status))?;
            Ok(status.clone())
        })
        .await
    }

    /// Awaits the phase `Healthy`, `Degraded`, `Paused` or `Progressing`.
    ///
    /// # Errors
    ///
    /// When `limit` passes first.
    pub async fn until_phase(&self, phase: &str, limit: Duration) -> Result<Value> {
        self.until(&format!("{} to be {phase}", self.name), limit, |status| {
            if status["phase"] == phase { Ok(()) } else { bail!("another phase") }
        })
        .await
    }

    /// Awaits a message that contains `text`.
    ///
    /// # Errors
    ///
    /// When `limit` passes first.
    pub async fn until_message(&self, text: &str, limit: Duration) -> Result<Value> {
        self.until(&format!("the message `{text}` of {}", self.name), limit, |status| {
            match status["message"].as_str() {
                Some(message) if message.contains(text) => Ok(()),
                _ => bail!("another message"),
            }
        })
        .await
    }

    /// Awaits revisions of these image tags, oldest first, each with so many pods that are all
    /// available, and returns them.
    ///
    /// # Errors
    ///
    /// When `limit` passes first.
    pub async fn until_pods(
        &self,
        expected: &[(&str, u64)],
        limit: Duration,
    ) -> Result<Vec<Revision>> {
        eventually(&format!("pods of {} like {expected:?}", self.name), limit, async || {
            let revisions = self.revisions().await?;
            let fits = revisions.len() == expected.len()
                && revisions.iter().zip(expected).all(|(revision, (tag, pods))| {
                    revision.image.ends_with(&format!(":{tag}"))
                        && (revision.desired, revision.available) == (*pods, *pods)
                });
            ensure!(fits, "{revisions:?}");
            Ok(revisions)
        })
        .await
    }

    /// Releases the image, and awaits that it is the stable one and no replaced pods are left.
    ///
    /// # Errors
    ///
    /// When the change is refused, or `limit` passes first.
    pub async fn release(&self, image: &str, limit: Duration) -> Result<Value> {
        self.set_image(image).await?;
        self.until_stable(limit).await
    }

    /// Awaits that the wanted template is the stable one, and healthy.
    ///
    /// # Errors
    ///
    /// When `limit` passes first.
    pub async fn until_stable(&self, limit: Duration) -> Result<Value> {
        self.until(&format!("{} to be stable", self.name), limit, |status| {
            let promoted = status["stableRS"] == status["currentPodHash"];
            ensure!(status["phase"] == "Healthy" && promoted, "not yet");
            Ok(())
        })
        .await
    }

    /// Awaits that the step with the index `step`, counted from zero, is the
    /// current one.
    ///
    /// # Errors
    ///
    /// When `limit` passes first.
    pub async fn until_step(&self, step: u32, limit: Duration) -> Result<Value> {
        self.until(&format!("step {step} of {}", self.name), limit, |status| {
            if status["currentStepIndex"] == step { Ok(()) } else { bail!("another step") }
        })
        .await
    }

    /// Awaits that the rollout pauses at the step with the index `step`.
    ///
    /// # Errors
    ///
    /// When `limit` passes first.
    pub async fn until_paused_at(&self, step: u32, limit: Duration) -> Result<Value> {
        self.until(&format!("{} to pause at step {step}", self.name), limit, |status| {
            if status["currentStepIndex"] == step && status["phase"] == "Paused" {
                Ok(())
            } else {
                bail!("another step or phase")
            }
        })
        .await
    }

    /// Changes the image of the first container: a new revision.
    ///
    /// # Errors
    ///
    /// When the change is refused.
    pub async fn set_image(&self, image: &str) -> Result<()> {
        let change = json!([{
            "op": "replace",
            "path": "/spec/template/spec/containers/0/image",
            "value": image,
        }]);
        let patch = Patch::<Value>::Json(serde_json::from_value(change)?);
        let api = self.namespace.api(Kind::ROLLOUT).await?;
        api.patch(self.name, &PatchParams::default(), &patch)
            .await
            .with_context(|| format!("failed to set the image of {}", self.name))?;
        Ok(())
    }

    /// Changes annotations of the pod template by a JSON merge patch: a new revision.
    ///
    /// # Errors
    ///
    /// When the change is refused.
    pub async fn annotate_pods(&self, annotations: Value) -> Result<()> {
        self.merge_spec(json!({"template": {"metadata": {"annotations": annotations}}})).await
    }

    /// Changes `spec` by a JSON merge patch.
    ///
    /// # Errors
    ///
    /// When the change is refused.
    pub async fn merge_spec(&self, spec: Value) -> Result<()> {
        self.namespace.merge(Kind::ROLLOUT, self.name, &json!({ "spec": spec })).await
    }

    /// Ends a pause, as clients do: by emptying the list of its conditions.
    ///
    /// # Errors
    ///
    /// When the change is refused.
    pub async fn resume(&self) -> Result<()> {
        self.merge_status(json!({ "pauseConditions": null })).await
    }

    /// Gives the new revision up.
    ///
    /// # Errors
    ///
    /// When the change is refused.
    pub async fn abort(&self) -> Result<()> {
        self.merge_status(json!({ "abort": true })).await
    }

    /// Starts an aborted revision again.
    ///
    /// # Errors
    ///
    /// When the change is refused.
    pub async fn retry(&self) -> Result<()> {
        self.merge_status(json!({ "abort": false })).await
    }

    /// Skips all that is left of the steps.
    ///
    /// # Errors
    ///
    /// When the change is refused.
    pub async fn promote_full(&self) -> Result<()> {
        self.merge_status(json!({ "promoteFull": true })).await
    }

    /// Changes the status by a JSON merge patch.
    ///
    /// # Errors
    ///
    /// When the change is refused.
    pub async fn merge_status(&self, status: Value) -> Result<()> {
        self.namespace.merge_status(Kind::ROLLOUT, self.name, &json!({ "status": status })).await
    }

    /// The ReplicaSets that the rollout owns, oldest revision first.
    ///
    /// # Errors
    ///
    /// When they cannot be listed.
    pub async fn revisions(&self) -> Result<Vec<Revision>> {
        let sets = self.namespace.list(Kind::REPLICA_SET, "").await?;
        let mut revisions: Vec<_> =
            sets.iter().filter(|set| self.owns(set)).map(Revision::read).collect();
        revisions.sort_by(|a, b| (a.number, &a.name).cmp(&(b.number, &b.name)));
        Ok(revisions)
    }

    /// The weight of the canary Ingress that the nginx router keeps for the
    /// Ingress `stable`, or `None` when there is no such Ingress or weight.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn nginx_weight(&self, stable: &str) -> Result<Option<u32>> {
        let ingress = self.namespace.find(Kind::INGRESS, &self.nginx_canary(stable)).await?;
        Ok(ingress.as_ref().and_then(nginx_weight))
    }

    /// Records the weights of the canary Ingress for the Ingress `stable`.
    ///
    /// # Errors
    ///
    /// When the watch does not begin.
    pub async fn nginx_weights(&self, stable: &str) -> Result<History<u32>> {
        let canary = self.nginx_canary(stable);
        History::record(self.namespace, Kind::INGRESS, &canary, nginx_weight).await
    }

    /// Records the index of the current step.
    ///
    /// # Errors
    ///
    /// When the watch does not begin.
    pub async fn steps(&self) -> Result<History<u64>> {
        History::record(self.namespace, Kind::ROLLOUT, self.name, |rollout| {
            rollout.pointer("/status/currentStepIndex")?.as_u64()
        })
        .await
    }

    /// Records the phases and messages, as `phase: message`, or the phase alone.
    ///
    /// # Errors
    ///
    /// When the watch does not begin.
    pub async fn phases(&self) -> Result<History<String>> {
        History::record(self.namespace, Kind::ROLLOUT, self.name, |rollout| {
            let status = rollout.get("status")?;
            let phase = status.get("phase")?.as_str()?;
            Some(match status.get("message").and_then(Value::as_str) {
                Some(message) if !message.is_empty() => format!("{phase}: {message}"),
                _ => phase.to_owned(),
            })
        })
        .await
    }

    /// The Events about the rollout, oldest first.
    ///
    /// # Errors
    ///
    /// When they cannot be listed.
    pub async fn events(&self) -> Result<Vec<Event>> {
        self.namespace.events(Kind::ROLLOUT, self.name).await
    }

    /// Awaits Events about the rollout with these reasons, in this order and with anything between
    /// them, and returns all Events.
    ///
    /// # Errors
    ///
    /// When `limit` passes first.
    pub async fn until_events(&self, reasons: &[&str], limit: Duration) -> Result<Vec<Event>> {
        eventually(&format!("events about {}", self.name), limit, async || {
            let events = self.events().await?;
            Event::in_order(&events, reasons)?;
            Ok(events)
        })
        .await
    }

    /// The analysis runs that the rollout owns, oldest first.
    ///
    /// # Errors
    ///
    /// When they cannot be listed.
    pub async fn analysis_runs(&self) -> Result<Vec<Value>> {
        let mut runs = self.namespace.list(Kind::ANALYSIS_RUN, "").await?;
        runs.retain(|run| self.owns(run));
        runs.sort_by_key(|run| {
            let created = run["metadata"]["creationTimestamp"].as_str().unwrap_or_default();
            (created.to_owned(), run["metadata"]["name"].to_string())
        });
        Ok(runs)
    }

    fn nginx_canary(&self, stable: &str) -> String {
        format!("{}-{stable}-canary", self.name)
    }

    fn owns(&self, object: &Value) -> bool {
        let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
        owners.into_iter().flatten().any(|owner| {
            owner["kind"] == "Rollout" && owner["name"] == self.name && owner["controller"] == true
        })
    }
}

impl Revision {
    fn read(set: &Value) -> Self {
        let text = |path| set.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        let count = |path| set.pointer(path).and_then(Value::as_u64).unwrap_or_default();
        Self {
            number: text(REVISION).parse().unwrap_or_default(),
            name: text("/metadata/name"),
            hash: text(POD_HASH),
            image: text("/spec/template/spec/containers/0/image"),
            desired: count("/spec/replicas"),
            ready: count("/status/readyReplicas"),
            available: count("/status/availableReplicas"),
        }
    }
}

fn nginx_weight(ingress: &Value) -> Option<u32> {
    ingress.pointer(CANARY_WEIGHT)?.as_str()?.parse().ok()
}

fn summary(status: &Value) -> String {
    format!(
        "phase {}, message {}, step {}, abort {}, replicas {}/{} ready",
        status["phase"],
        status["message"],
        status["currentStepIndex"],
        status["abort"],
        status["readyReplicas"],
        status["replicas"],
    )
}
