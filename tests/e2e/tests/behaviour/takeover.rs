//! Rollouts as versions of Argo Rollouts leave them, in the middle of whatever they were doing:
//! taken over without a new ReplicaSet, without another pod and without another weight, and then
//! finished.
//!
//! A case prepares its objects for another instance of the controller, and hands them over whole
//! by taking that label away.

use anyhow::{Context as _, Result, ensure};
use futures::future::try_join_all;
use serde_json::json;
use sluice_e2e::{Answers, Kind, manifest};

use crate::left::{
    HASH, INSTANCE, Left, STEP_HASH, STEPS, THEN, VERSIONS, Version, condition, routed, weights,
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

#[tokio::test(flavor = "multi_thread")]
async fn a_running_analysis_is_taken_over_and_not_begun_again() -> Result<()> {
    each(measured).await
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

/// A release under the judgement of a run that had measured once.
async fn measured(version: Version) -> Result<()> {
    let steps = "steps: [{setWeight: 50}, {analysis: {templates: [{templateName: judge}]}}, \
         {pause: {}}]";
    let rollout = manifest::rollout(4, steps, "");
    let left = Left::new("measured", version, &rollout, "example:2").await?;
    let answers = Answers::start("0").await?;
    let judge = manifest::judge(answers.url(), "up", "result[0] < 1", "count: 3\n    interval: 1s");
    let judge = left.namespace.apply(&judge).await?.remove(0);
    left.revision(1, 2, json!({}), json!({})).await?;
    left.revision(2, 2, json!({}), json!({})).await?;
    let name = format!("web-{}-2-1", left.hash(2));
    let measurement = json!({"phase": "Successful", "value": "[0]", "startedAt": THEN,
        "finishedAt": THEN});
    let run = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun",
        "metadata": {
            "name": name, "annotations": {"rollout.argoproj.io/revision": "2"},
            "labels": {"app": "web", HASH: left.hash(2), "rollout-type": "Step", "step-index": "1",
                INSTANCE: "elsewhere"},
            "ownerReferences": [left.owner()],
        },
        "spec": {"metrics": judge["spec"]["metrics"]},
        "status": {"phase": "Running", "startedAt": THEN, "metricResults": [{
            "name": "error-rate", "phase": "Running", "count": 1, "successful": 1,
            "consecutiveSuccess": 1, "measurements": [measurement]}]},
    });
    left.namespace.apply(&run.to_string()).await?;
    left.status(json!({
        "stableRS": left.hash(1), "currentStepHash": "5b6d5d48cf", "currentStepIndex": 1,
        "phase": "Progressing", "message": "more replicas need to be updated",
        "replicas": 4, "updatedReplicas": 2, "readyReplicas": 4, "availableReplicas": 4,
        "HPAReplicas": 4,
        "canary": {"currentStepAnalysisRunStatus": {"name": name, "status": "Running"}},
    }))
    .await?;
    let web = left.taken_over(4).await?;
    web.until_paused_at(2, LIMIT).await?;
    let runs = web.analysis_runs().await?;
    ensure!(runs.len() == 1, "{} runs", runs.len());
    ensure!(runs[0]["metadata"]["name"] == name.as_str(), "another run");
    let result = &runs[0]["status"]["metricResults"][0];
    ensure!((&result["count"], &result["successful"]) == (&json!(3), &json!(3)), "{result}");
    left.kept(1).await
}
