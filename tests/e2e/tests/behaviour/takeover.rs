//! Rollouts as versions of Argo Rollouts leave them, in the middle of whatever they were doing:
//! taken over without a new ReplicaSet, without another pod and without another weight, and then
//! finished.
//!
//! A case prepares its objects for another instance of the controller, and hands them over whole
//! by taking that label away.

use anyhow::{Context as _, Result, ensure};
use futures::future::try_join_all;
use serde_json::json;
use sluice_e2e::{Kind, manifest};

use crate::left::{
    HASH, Left, STEP_HASH, STEPS, THEN, VERSIONS, Version, condition, routed, weights,
};
use crate::scene::{LIMIT, pods};

/// Runs a case for every version at the same time.
async fn each<F: Future<Output = Result<()>>>(case: impl Fn(Version) -> F) -> Result<()> {
    let cases = VERSIONS.map(|version| {
        let case = case(version);
        async move { case.await.with_context(|| format!("left by {}", version.name)) }
    });
    try_join_all(cases).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_was_over_is_taken_over() -> Result<()> {
    each(healthy).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_release_is_taken_over_with_its_weight() -> Result<()> {
    each(paused).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aborted_release_is_taken_over_and_tried_again() -> Result<()> {
    each(aborted).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_waited_for_pods_is_taken_over() -> Result<()> {
    each(progressing).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_is_taken_over_and_promoted() -> Result<()> {
    each(previewed).await
}

#[tokio::test(flavor = "multi_thread")]
async fn old_pods_that_wait_for_their_end_are_taken_over() -> Result<()> {
    each(delayed).await
}

/// A release that was over: the second revision is stable, and the first has no pods.
async fn healthy(version: Version) -> Result<()> {
    let left = Left::new("healthy", version, &routed(), "example:2").await?;
    left.revision(1, 0, json!({}), json!({})).await?;
    left.revision(2, 4, json!({}), json!({})).await?;
    left.service("web-stable", 2).await?;
    left.service("web-canary", 2).await?;
    left.ingresses(0).await?;
    let mut canary = weights(&left, 0);
    canary["weights"]["stable"]["podTemplateHash"] = json!(left.hash(2));
    left.status(json!({
        "stableRS": left.hash(2), "currentStepHash": STEP_HASH, "currentStepIndex": 2,
        "phase": "Healthy", "replicas": 4, "updatedReplicas": 4, "readyReplicas": 4,
        "availableReplicas": 4, "HPAReplicas": 4, "canary": canary,
    }))
    .await?;
    let web = left.taken_over(4).await?;
    web.until_stable(LIMIT).await?;
    left.kept(2).await?;
    web.set_image("example:1").await?;
    web.until_paused_at(1, LIMIT).await?;
    web.resume().await?;
    web.until_stable(LIMIT).await?;
    let hashes: Vec<_> = web.revisions().await?.into_iter().map(|one| one.hash).collect();
    ensure!(hashes == [left.hash(2), left.hash(1)], "the first again: {hashes:?}");
    Ok(())
}

/// A release that paused with half of the traffic at its canary.
async fn paused(version: Version) -> Result<()> {
    let left = Left::new("paused", version, &routed(), "example:2").await?;
    left.revision(1, 4, json!({}), json!({})).await?;
    left.revision(2, 2, json!({}), json!({})).await?;
    left.service("web-stable", 1).await?;
    left.service("web-canary", 2).await?;
    left.ingresses(50).await?;
    left.status(json!({
        "stableRS": left.hash(1), "currentStepHash": STEP_HASH, "currentStepIndex": 1,
        "phase": "Paused", "message": "CanaryPauseStep", "controllerPause": true,
        "pauseConditions": [{"reason": "CanaryPauseStep", "startTime": THEN}],
        "replicas": 6, "updatedReplicas": 2, "readyReplicas": 6, "availableReplicas": 6,
        "HPAReplicas": 6, "canary": weights(&left, 50),
        "conditions": [condition("Paused", "True", "RolloutPaused", "Rollout is paused")],
    }))
    .await?;
    let web = left.taken_over(6).await?;
    let status = web.until_paused_at(1, LIMIT).await?;
    ensure!(status["pauseConditions"][0]["startTime"] == THEN, "the pause goes on: {status}");
    left.kept(1).await?;
    web.resume().await?;
    web.until_stable(LIMIT).await?;
    web.until_pods(&[("1", 0), ("2", 4)], LIMIT).await?;
    left.kept(2).await
}

/// A release that was aborted, with its pods gone.
async fn aborted(version: Version) -> Result<()> {
    let left = Left::new("aborted", version, &routed(), "example:2").await?;
    left.revision(1, 4, json!({}), json!({})).await?;
    left.revision(2, 0, json!({}), json!({})).await?;
    left.service("web-stable", 1).await?;
    left.service("web-canary", 1).await?;
    left.ingresses(0).await?;
    let mut canary = weights(&left, 0);
    canary["weights"]["canary"]["podTemplateHash"] = json!(left.hash(1));
    left.status(json!({
        "stableRS": left.hash(1), "currentStepHash": STEP_HASH, "currentStepIndex": 0,
        "abort": true, "abortedAt": THEN, "phase": "Degraded",
        "message": "RolloutAborted: Rollout aborted update to revision 2",
        "replicas": 4, "readyReplicas": 4, "availableReplicas": 4, "HPAReplicas": 4,
        "canary": canary,
        "conditions": [condition("Progressing", "False", "RolloutAborted",
            "Rollout aborted update to revision 2")],
    }))
    .await?;
    let web = left.taken_over(4).await?;
    let status = web.until_phase("Degraded", LIMIT).await?;
    ensure!(status["abortedAt"] == THEN, "{status}");
    left.kept(1).await?;
    web.retry().await?;
    web.until_paused_at(1, LIMIT).await?;
    web.resume().await?;
    web.until_stable(LIMIT).await?;
    left.kept(2).await
}

/// A release whose canary waited for its second pod, before the first weight.
async fn progressing(version: Version) -> Result<()> {
    let unready =
        manifest::rollout(4, &format!("{}, {STEPS}", manifest::NGINX), "sluice.test/ready: never");
    // The annotation is part of the template, and so of its hash: this fixture finds its canary
    // by the status alone.
    let left = Left::new("progressing", version, &unready, "example:2").await?;
    left.revision(1, 4, json!({}), json!({})).await?;
    left.revision(2, 2, json!({}), json!({"sluice.test/ready": "never"})).await?;
    left.service("web-stable", 1).await?;
    left.service("web-canary", 1).await?;
    left.ingresses(0).await?;
    let mut canary = weights(&left, 0);
    canary["weights"]["canary"]["podTemplateHash"] = json!(left.hash(1));
    left.status(json!({
        "stableRS": left.hash(1), "currentStepHash": STEP_HASH, "currentStepIndex": 0,
        "phase": "Progressing", "message": "more replicas need to be updated",
        "replicas": 6, "updatedReplicas": 2, "readyReplicas": 4, "availableReplicas": 4,
        "HPAReplicas": 6, "canary": canary,
    }))
    .await?;
    let web = left.taken_over(4).await?;
    left.kept(1).await?;
    let ready = json!({"metadata": {"annotations": {"sluice.test/ready": null}}});
    for pod in left.namespace.list(Kind::POD, &format!("{HASH}={}", left.hash(2))).await? {
        let name = pod["metadata"]["name"].as_str().context("a pod without a name")?;
        left.namespace.merge(Kind::POD, name, &ready).await?;
    }
    web.until_paused_at(1, LIMIT).await?;
    ensure!(left.fleet().await?.weight == Some(50));
    web.abort().await?;
    web.until_phase("Degraded", LIMIT).await?;
    web.until_pods(&[("1", 4), ("2", 0)], LIMIT).await?;
    left.kept(1).await
}

/// A blue-green release whose preview waited for its user.
async fn previewed(version: Version) -> Result<()> {
    let more = "previewService: web-preview, autoPromotionEnabled: false, scaleDownDelaySeconds: 1";
    let rollout = manifest::blue_green(2, more);
    let left = Left::new("previewed", version, &rollout, "example:2").await?;
    left.revision(1, 2, json!({}), json!({})).await?;
    left.revision(2, 2, json!({}), json!({})).await?;
    left.service("web-active", 1).await?;
    left.service("web-preview", 2).await?;
    left.status(json!({
        "stableRS": left.hash(1), "phase": "Paused", "message": "BlueGreenPause",
        "controllerPause": true,
        "pauseConditions": [{"reason": "BlueGreenPause", "startTime": THEN}],
        "blueGreen": {"activeSelector": left.hash(1), "previewSelector": left.hash(2)},
        "replicas": 4, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2,
        "HPAReplicas": 2, "selector": format!("app=web,{HASH}={}", left.hash(1)),
    }))
    .await?;
    let web = left.taken_over(4).await?;
    web.until_phase("Paused", LIMIT).await?;
    left.kept(1).await?;
    web.resume().await?;
    web.until_stable(LIMIT).await?;
    web.until_pods(&[("1", 0), ("2", 2)], LIMIT).await?;
    left.kept(2).await
}

/// A release that was over a moment ago, so that the old pods wait for their end.
async fn delayed(version: Version) -> Result<()> {
    let more = "previewService: web-preview, scaleDownDelaySeconds: 600";
    let rollout = manifest::blue_green(2, more);
    let left = Left::new("delayed", version, &rollout, "example:2").await?;
    let waits = json!({"scale-down-deadline": "2999-01-01T00:00:00Z"});
    left.revision(1, 2, waits, json!({})).await?;
    left.revision(2, 2, json!({}), json!({})).await?;
    left.service("web-active", 2).await?;
    left.service("web-preview", 2).await?;
    left.status(json!({
        "stableRS": left.hash(2), "phase": "Healthy",
        "blueGreen": {"activeSelector": left.hash(2), "previewSelector": left.hash(2)},
        "replicas": 4, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2,
        "HPAReplicas": 2, "selector": format!("app=web,{HASH}={}", left.hash(2)),
    }))
    .await?;
    let web = left.taken_over(4).await?;
    web.until_stable(LIMIT).await?;
    left.kept(2).await?;
    // Back to what still has its pods.
    let before = pods(&left.namespace).await?;
    web.set_image("example:1").await?;
    web.until_stable(LIMIT).await?;
    ensure!(pods(&left.namespace).await? == before, "no pod is another");
    Ok(())
}
