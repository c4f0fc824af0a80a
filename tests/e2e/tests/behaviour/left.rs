//! What Argo Rollouts leaves behind: a rollout, its revisions, its Services and its status.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value, json};
use sluice_e2e::{Controller, Kind, Namespace, Rollout, eventually, manifest};

use crate::scene::{LIMIT, begin, pods};

/// What the versions of Argo Rollouts write differently.
#[derive(Clone, Copy)]
pub struct Version {
    pub name: &'static str,
    /// The hashes of the pod templates with the images `example:1` and `example:2`. Those before
    /// 1.9 count an empty time of creation.
    hashes: [&'static str; 2],
    /// Whether it records how long a release takes.
    duration: bool,
}

const OLD: [&str; 2] = ["7b5868484d", "5cd85f78df"];
const NEW: [&str; 2] = ["598b54cf64", "586d684ccc"];
pub const VERSIONS: [Version; 4] = [
    Version { name: "v1-7", hashes: OLD, duration: false },
    Version { name: "v1-8", hashes: OLD, duration: false },
    Version { name: "v1-9", hashes: NEW, duration: false },
    Version { name: "v1-10", hashes: NEW, duration: true },
];

pub const INSTANCE: &str = "argo-rollouts.argoproj.io/controller-instance-id";
pub const HASH: &str = "rollouts-pod-template-hash";
const MANAGED: &str = "argo-rollouts.argoproj.io/managed-by-rollouts";
pub const THEN: &str = "2024-01-01T00:00:00Z";
pub const STEPS: &str = "steps: [{setWeight: 50}, {pause: {}}]";
/// The hash of these steps.
pub const STEP_HASH: &str = "757f5f97b";

/// A rollout in the hands of another controller.
pub struct Left {
    pub namespace: Namespace,
    version: Version,
    rollout: Value,
}

/// What must not change when it is taken over.
#[derive(Debug, PartialEq)]
pub struct Fleet {
    sets: Vec<(String, Value, Value)>,
    pods: Vec<String>,
    selectors: Vec<Value>,
    pub weight: Option<u32>,
}

impl Left {
    /// `rollout`, for an update to `image`, made for an instance that does not run.
    pub async fn new(phase: &str, version: Version, rollout: &str, image: &str) -> Result<Self> {
        let namespace = begin(&format!("{phase}-{}", version.name)).await?;
        let elsewhere = format!(
            "{{name: web, labels: {{{INSTANCE}: elsewhere}}, annotations: \
             {{rollout.argoproj.io/revision: \"2\"}}}}"
        );
        let rollout = rollout.replacen("{name: web}", &elsewhere, 1).replace("example:1", image);
        let rollout = namespace.apply(&rollout).await?.remove(0);
        Ok(Self { namespace, version, rollout })
    }

    /// The reference by which an object is the rollout's.
    pub fn owner(&self) -> Value {
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "web",
            "uid": self.rollout["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true,
        })
    }

    pub fn hash(&self, revision: usize) -> &'static str {
        self.version.hashes[revision - 1]
    }

    /// A revision, numbered from one, as Argo makes it.
    pub async fn revision(
        &self,
        number: usize,
        size: u32,
        annotations: Value,
        of_pods: Value,
    ) -> Result<()> {
        let hash = self.hash(number);
        let mut notes = json!({
            "rollout.argoproj.io/desired-replicas": self.rollout["spec"]["replicas"].to_string(),
            "rollout.argoproj.io/revision": number.to_string(),
        });
        merge(&mut notes, annotations);
        let set = json!({
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": format!("web-{hash}"), "labels": {"app": "web", HASH: hash},
                "annotations": notes,
                "ownerReferences": [self.owner()],
            },
            "spec": {
                "replicas": size,
                "selector": {"matchLabels": {"app": "web", HASH: hash}},
                "template": {
                    "metadata": {"labels": {"app": "web", HASH: hash}, "annotations": of_pods},
                    "spec": {"containers": [
                        {"name": "main", "image": format!("example:{number}"), "resources": {}},
                    ]},
                },
            },
        });
        self.namespace.apply(&set.to_string()).await.map(drop)
    }

    /// A Service that leads to a revision.
    pub async fn service(&self, name: &str, revision: usize) -> Result<()> {
        self.namespace.apply(&manifest::service(name)).await?;
        let turned = json!({"metadata": {"annotations": {MANAGED: "web"}},
            "spec": {"selector": {HASH: self.hash(revision)}}});
        self.namespace.merge(Kind::SERVICE, name, &turned).await
    }

    /// The Ingress of the user, and the canary's with this weight.
    pub async fn ingresses(&self, weight: u32) -> Result<()> {
        self.namespace.apply(manifest::INGRESS).await?;
        let canary = manifest::INGRESS.replace("name: web-stable", "name: web-canary").replace(
            "{name: web}",
            &format!(
                "{{name: web-web-canary, ownerReferences: [{{apiVersion: \
                     argoproj.io/v1alpha1, kind: Rollout, name: web, uid: {}, controller: true, \
                     blockOwnerDeletion: true}}], annotations: \
                     {{nginx.ingress.kubernetes.io/canary: \"true\", \
                     nginx.ingress.kubernetes.io/canary-weight: \"{weight}\"}}}}",
                self.rollout["metadata"]["uid"]
            ),
        );
        self.namespace.apply(&canary).await.map(drop)
    }

    /// A status with what every version writes, and `more`.
    pub async fn status(&self, more: Value) -> Result<()> {
        let mut status = json!({
            "currentPodHash": self.hash(2), "observedGeneration": "1", "selector": "app=web",
        });
        if self.version.duration {
            status["duration"] = json!({"rolloutStartedAt": THEN});
        }
        merge(&mut status, more);
        let status = json!({"status": status});
        self.namespace.merge_status(Kind::ROLLOUT, "web", &status).await
    }

    pub async fn fleet(&self) -> Result<Fleet> {
        let sets = self.namespace.list(Kind::REPLICA_SET, "").await?;
        let services = self.namespace.list(Kind::SERVICE, "").await?;
        Ok(Fleet {
            sets: sets
                .iter()
                .map(|set| {
                    let name = set["metadata"]["name"].to_string();
                    (name, set["metadata"]["uid"].clone(), set["spec"].clone())
                })
                .collect(),
            pods: pods(&self.namespace).await?,
            selectors: services.iter().map(|one| one["spec"]["selector"].clone()).collect(),
            weight: Rollout::new(&self.namespace, "web").nginx_weight("web").await?,
        })
    }

    /// Hands over the fleet once it has so many pods, and checks that the controller found
    /// nothing to change about it.
    pub async fn taken_over(&self, ready: u64) -> Result<Rollout<'_>> {
        let web = Rollout::new(&self.namespace, "web");
        eventually("the pods that were left", LIMIT, async || {
            let available: u64 = web.revisions().await?.iter().map(|one| one.available).sum();
            ensure!(available == ready, "{available} pods");
            Ok(())
        })
        .await?;
        let before = self.fleet().await?;
        let ours = json!({"metadata": {"labels": {INSTANCE: null}}});
        for run in web.analysis_runs().await? {
            let name = run["metadata"]["name"].as_str().context("a run without a name")?;
            self.namespace.merge(Kind::ANALYSIS_RUN, name, &ours).await?;
        }
        self.namespace.merge(Kind::ROLLOUT, "web", &ours).await?;
        let controller = Controller::shared(&self.namespace).await?;
        eventually("the controller to have looked at it and settled", LIMIT, async || {
            // A look that changes something is followed by another.
            ensure!(controller.looks(self.namespace.name(), "web").await? >= 2);
            let conditions = web.status().await?["conditions"].take();
            let seen = conditions.as_array().is_some_and(|list| !list.is_empty());
            ensure!(seen, "no condition");
            Ok(())
        })
        .await?;
        ensure!(self.fleet().await? == before, "{:?} is not {before:?}", self.fleet().await?);
        Ok(web)
    }

    /// Checks that what is left was stable at `revision` and that no third one was made.
    pub async fn kept(&self, revision: usize) -> Result<()> {
        let web = Rollout::new(&self.namespace, "web");
        let hashes: Vec<_> = web.revisions().await?.into_iter().map(|one| one.hash).collect();
        ensure!(hashes == self.version.hashes, "{hashes:?}");
        let status = web.status().await?;
        ensure!(status["stableRS"] == self.hash(revision), "{status}");
        Ok(())
    }
}

fn merge(into: &mut Value, more: Value) {
    let (Some(into), Value::Object(more)) = (into.as_object_mut(), more) else { return };
    into.extend::<Map<_, _>>(more);
}

pub fn routed() -> String {
    manifest::rollout(4, &format!("{}, {STEPS}", manifest::NGINX), "")
}

pub fn weights(left: &Left, canary: u32) -> Value {
    json!({"weights": {
        "canary": {"weight": canary, "serviceName": "web-canary", "podTemplateHash": left.hash(2)},
        "stable": {"weight": 100 - canary, "serviceName": "web-stable",
            "podTemplateHash": left.hash(1)},
    }})
}

pub fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({"type": kind, "status": status, "reason": reason, "message": message,
        "lastUpdateTime": THEN, "lastTransitionTime": THEN})
}
