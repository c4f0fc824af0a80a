//! Rollouts that Argo Rollouts left behind: no pod is restarted, no ReplicaSet is made.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use sluice_e2e::{Controller, Kind, Namespace, Rollout, eventually, manifest};

const LIMIT: Duration = Duration::from_secs(120);

/// What Argo Rollouts leaves of `web` with two pods: a ReplicaSet whose hash is `hash`, and a
/// status about it. Versions before 1.9 computed other hashes than later ones.
async fn left_behind(namespace: &Namespace, hash: &str, generation: &str) -> Result<Value> {
    namespace.cluster().install_crds().await?;
    let rollout = manifest::rollout(2, "steps: [{setWeight: 50}, {pause: {}}]", "");
    let rollout = namespace.apply(&rollout).await?.remove(0);
    let set = json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": format!("web-{hash}"),
            "labels": {"app": "web", "rollouts-pod-template-hash": hash},
            "annotations": {
                "rollout.argoproj.io/desired-replicas": "2", "rollout.argoproj.io/revision": "1",
            },
            "ownerReferences": [{
                "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "web",
                "uid": rollout["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web", "rollouts-pod-template-hash": hash}},
            "template": {
                "metadata": {"labels": {"app": "web", "rollouts-pod-template-hash": hash}},
                "spec": {"containers": [{"name": "main", "image": "example:1"}]},
            },
        },
    });
    let set = namespace.apply(&set.to_string()).await?.remove(0);
    let status = json!({"status": {
        "currentPodHash": hash, "stableRS": hash, "currentStepIndex": 2,
        "observedGeneration": generation, "phase": "Healthy", "replicas": 2,
        "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2, "HPAReplicas": 2,
        "selector": "app=web",
    }});
    namespace.merge_status(Kind::ROLLOUT, "web", &status).await?;
    eventually("the pods of the ReplicaSet", LIMIT, async || {
        let set = namespace.get(Kind::REPLICA_SET, &format!("web-{hash}")).await?;
        ensure!(set["status"]["availableReplicas"] == 2);
        Ok(())
    })
    .await?;
    Ok(set)
}

async fn pods(namespace: &Namespace) -> Result<Vec<String>> {
    let pods = namespace.list(Kind::POD, "app=web").await?;
    let mut uids: Vec<_> = pods.iter().map(|pod| pod["metadata"]["uid"].to_string()).collect();
    uids.sort();
    Ok(uids)
}

/// Start, and see that nothing of the fleet changed; then release, so that what was adopted is
/// what an update starts from.
async fn taken_over(namespace: &Namespace, hash: &str, set: &Value) -> Result<()> {
    let before = pods(namespace).await?;
    ensure!(before.len() == 2, "{before:?}");
    let mut controller = Controller::start(namespace, &[]).await?;
    controller.until_ready().await?;
    let web = Rollout::new(namespace, "web");
    web.until("the controller to have looked at it", LIMIT, |status| {
        ensure!(status["phase"] == "Healthy" && status["stableRS"] == hash);
        let conditions = status["conditions"].as_array();
        ensure!(conditions.is_some_and(|list| list.iter().any(|c| c["type"] == "Healthy")));
        Ok(())
    })
    .await?;
    ensure!(pods(namespace).await? == before, "no pod is another");
    let revisions = web.revisions().await?;
    ensure!(revisions.len() == 1 && revisions[0].hash == hash, "{revisions:?}");
    let now = namespace.get(Kind::REPLICA_SET, &format!("web-{hash}")).await?;
    ensure!(now["spec"] == set["spec"], "{} is not {}", now["spec"], set["spec"]);

    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;
    let revisions = web.revisions().await?;
    ensure!(revisions.len() == 2 && revisions[0].hash == hash, "{revisions:?}");
    web.set_image("example:1").await?;
    let status = web.until_phase("Healthy", LIMIT).await?;
    ensure!(status["stableRS"] == hash, "{status}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_is_current_names_the_revision() -> Result<()> {
    let namespace = Namespace::new("current").await?;
    let set = left_behind(&namespace, "5f6d7c8b9z", "1").await?;
    taken_over(&namespace, "5f6d7c8b9z", &set).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_with_a_hash_of_its_own_is_found_by_its_template() -> Result<()> {
    let namespace = Namespace::new("compared").await?;
    // The specification changed since Argo looked at it last, so that the status proves nothing.
    let set = left_behind(&namespace, "6c8d9b7f5x", "0").await?;
    taken_over(&namespace, "6c8d9b7f5x", &set).await
}
