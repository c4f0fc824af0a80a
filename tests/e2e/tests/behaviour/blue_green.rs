//! Blue-green releases: promotion, analysis before and after it, and the ways back.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use sluice_e2e::{Answers, History, Kind, Namespace, Rollout, eventually, manifest};

use crate::scene::{LIMIT, begin, pods, until_labelled, until_older, until_said};

/// `web` with two pods behind `web-active`, and `web-preview` for what comes next.
async fn deployed(test: &str, more: &str) -> Result<Namespace> {
    let namespace = begin(test).await?;
    release_first(&namespace, more).await?;
    Ok(namespace)
}

async fn release_first(namespace: &Namespace, more: &str) -> Result<()> {
    let services = [manifest::service("web-active"), manifest::service("web-preview")];
    namespace.apply(&services.join("---")).await?;
    let more = format!("previewService: web-preview, {more}");
    namespace.apply(&manifest::blue_green(2, &more)).await?;
    Rollout::new(namespace, "web").until_stable(LIMIT).await?;
    Ok(())
}

/// Records the revisions that users get.
async fn active(namespace: &Namespace) -> Result<History<String>> {
    History::record(namespace, Kind::SERVICE, "web-active", |service| {
        let hash = service.pointer("/spec/selector/rollouts-pod-template-hash")?;
        hash.as_str().map(str::to_owned)
    })
    .await
}

/// The hashes of all revisions, oldest first.
async fn hashes(web: &Rollout<'_>) -> Result<Vec<String>> {
    Ok(web.revisions().await?.into_iter().map(|revision| revision.hash).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_is_promoted_after_its_time() -> Result<()> {
    let namespace = deployed("auto-seconds", "autoPromotionSeconds: 2").await?;
    let web = Rollout::new(&namespace, "web");
    let active = active(&namespace).await?;
    let phases = web.phases().await?;
    web.release("example:2", LIMIT).await?;
    let hashes = hashes(&web).await?;
    assert_eq!(active.ends_with(&hashes[1], LIMIT).await?, hashes);
    let phases = phases.timed();
    let paused = phases.iter().position(|(_, phase)| phase == "Paused: BlueGreenPause");
    let paused = paused.with_context(|| format!("{phases:?}"))?;
    let took = phases[paused + 1].0.duration_since(phases[paused].0);
    assert!(took > Duration::from_millis(1500), "{took:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_version_is_active_and_previewed_without_a_pause() -> Result<()> {
    let namespace = deployed("first", "autoPromotionEnabled: false").await?;
    let web = Rollout::new(&namespace, "web");
    let hash = &hashes(&web).await?[0];
    for service in ["web-active", "web-preview"] {
        let service = namespace.get(Kind::SERVICE, service).await?;
        assert_eq!(service["spec"]["selector"]["rollouts-pod-template-hash"], hash.as_str());
        let owner = &service["metadata"]["annotations"];
        assert_eq!(owner["argo-rollouts.argoproj.io/managed-by-rollouts"], "web");
    }
    let status = web.status().await?;
    assert_eq!(status["blueGreen"]["activeSelector"], hash.as_str());
    assert_eq!(status["blueGreen"]["previewSelector"], hash.as_str());
    Ok(())
}

/// A judge whose answers decide before or after the switch, and `web` that it judges.
async fn judged(test: &str, answers: &Answers, when: &str) -> Result<Namespace> {
    let namespace = begin(test).await?;
    namespace.apply(&manifest::judge(answers.url(), "up", "result[0] < 1", "")).await?;
    let more =
        format!("{when}: {{templates: [{{templateName: judge}}]}}, abortScaleDownDelaySeconds: 1");
    release_first(&namespace, &more).await?;
    Ok(namespace)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_fails_before_the_switch_is_never_active() -> Result<()> {
    let answers = Answers::start("5").await?;
    let namespace = judged("pre-fail", &answers, "prePromotionAnalysis").await?;
    let web = Rollout::new(&namespace, "web");
    let active = active(&namespace).await?;
    web.set_image("example:2").await?;
    let status = until_said(&web, &["RolloutAborted", "error-rate", "Failed"]).await?;
    assert_eq!(status["phase"], "Degraded");
    web.until_pods(&[("1", 2), ("2", 0)], LIMIT).await?;
    assert_eq!(active.values(), hashes(&web).await?[..1]);

    answers.say("0");
    web.retry().await?;
    web.until_stable(LIMIT).await?;
    assert_eq!(active.ends_with(&hashes(&web).await?[1], LIMIT).await?, hashes(&web).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_given_the_old_version_back_when_the_new_one_fails() -> Result<()> {
    let answers = Answers::start("5").await?;
    let namespace = judged("post-fail", &answers, "postPromotionAnalysis").await?;
    let web = Rollout::new(&namespace, "web");
    let active = active(&namespace).await?;
    web.set_image("example:2").await?;
    until_said(&web, &["RolloutAborted", "error-rate", "Failed"]).await?;
    let hashes = hashes(&web).await?;
    let back = active.ends_with(&hashes[0], LIMIT).await?;
    assert_eq!(back, [&hashes[0], &hashes[1], &hashes[0]].map(String::clone));
    web.until_pods(&[("1", 2), ("2", 0)], LIMIT).await?;
    let status = web.status().await?;
    assert_eq!(status["stableRS"], hashes[0].as_str());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn going_back_while_the_old_pods_live_is_immediate() -> Result<()> {
    let more = "autoPromotionEnabled: false, scaleDownDelaySeconds: 600";
    let namespace = deployed("fast", more).await?;
    let web = Rollout::new(&namespace, "web");
    until_older(&namespace, &web).await?;
    web.set_image("example:2").await?;
    web.until_phase("Paused", LIMIT).await?;
    web.resume().await?;
    web.until_stable(LIMIT).await?;
    let before = pods(&namespace).await?;
    assert_eq!(before.len(), 4);

    let phases = web.phases().await?;
    web.set_image("example:1").await?;
    let status = web.until_stable(LIMIT).await?;
    let revisions = web.revisions().await?;
    assert_eq!((&*revisions[1].image, revisions[1].number), ("example:1", 3));
    assert_eq!(status["blueGreen"]["activeSelector"], revisions[1].hash.as_str());
    assert_eq!(pods(&namespace).await?, before);
    let phases = phases.values();
    assert!(!phases.iter().any(|phase| phase.starts_with("Paused")), "{phases:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_promotion_waits_for_no_judge() -> Result<()> {
    let nobody = manifest::judge("http://127.0.0.1:1", "up", "true", "");
    let namespace = begin("full-bg").await?;
    namespace.apply(&nobody).await?;
    let more = "prePromotionAnalysis: {templates: [{templateName: judge}]}";
    release_first(&namespace, more).await?;
    let web = Rollout::new(&namespace, "web");
    web.set_image("example:2").await?;
    eventually("a run that gets no answer", LIMIT, async || {
        let runs = web.analysis_runs().await?;
        ensure!(!runs.is_empty());
        Ok(())
    })
    .await?;
    web.promote_full().await?;
    let status = web.until_stable(LIMIT).await?;
    assert_eq!(status["blueGreen"]["activeSelector"], status["currentPodHash"]);
    assert_ne!(status["promoteFull"], true);
    eventually("the run to be ended", LIMIT, async || {
        let run = web.analysis_runs().await?.pop().context("no run")?;
        ensure!(run["spec"]["terminate"] == true, "{}", run["spec"]);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_old_versions_wait_for_their_end() -> Result<()> {
    let more = "scaleDownDelaySeconds: 600, scaleDownDelayRevisionLimit: 1";
    let namespace = deployed("bg-limit", more).await?;
    let web = Rollout::new(&namespace, "web");
    web.release("example:2", LIMIT).await?;
    web.until_pods(&[("1", 2), ("2", 2)], LIMIT).await?;
    web.release("example:3", LIMIT).await?;
    web.until_pods(&[("1", 0), ("2", 2), ("3", 2)], LIMIT).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_that_was_aborted_may_stay_for_good() -> Result<()> {
    let more = "autoPromotionEnabled: false, abortScaleDownDelaySeconds: 0";
    let namespace = deployed("bg-never", more).await?;
    let web = Rollout::new(&namespace, "web");
    web.set_image("example:2").await?;
    web.until_phase("Paused", LIMIT).await?;
    web.abort().await?;
    web.until_phase("Degraded", LIMIT).await?;
    // Another size of the fleet makes the controller look at all of it again.
    web.merge_spec(json!({"replicas": 3})).await?;
    eventually("the active version to have grown", LIMIT, async || {
        let revisions = web.revisions().await?;
        ensure!(revisions[0].available == 3 && revisions[1].available >= 2, "{revisions:?}");
        Ok(())
    })
    .await?;
    web.retry().await?;
    web.until_phase("Paused", LIMIT).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_version_takes_the_place_of_the_preview() -> Result<()> {
    let more = "autoPromotionEnabled: false, scaleDownDelaySeconds: 1";
    let namespace = deployed("bg-supersede", more).await?;
    let web = Rollout::new(&namespace, "web");
    let active = active(&namespace).await?;
    web.set_image("example:2").await?;
    web.until_phase("Paused", LIMIT).await?;
    web.set_image("example:3").await?;
    web.until("the third version to be previewed", LIMIT, |status| {
        ensure!(status["phase"] == "Paused");
        ensure!(status["blueGreen"]["previewSelector"] == status["currentPodHash"]);
        Ok(())
    })
    .await?;
    web.resume().await?;
    web.until_stable(LIMIT).await?;
    let hashes = hashes(&web).await?;
    let users = active.ends_with(&hashes[2], LIMIT).await?;
    assert_eq!(users, [&hashes[0], &hashes[2]].map(String::clone), "nobody got the second");
    web.until_pods(&[("1", 0), ("2", 0), ("3", 2)], LIMIT).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_tells_the_preview_from_what_is_active() -> Result<()> {
    let more = "autoPromotionEnabled: false, previewMetadata: {labels: {role: preview}}, \
                activeMetadata: {labels: {role: active}}, scaleDownDelaySeconds: 1";
    let namespace = deployed("bg-roles", more).await?;
    let web = Rollout::new(&namespace, "web");
    until_labelled(&namespace, "role=active", 2).await?;
    web.set_image("example:2").await?;
    web.until_phase("Paused", LIMIT).await?;
    let previews = until_labelled(&namespace, "role=preview", 2).await?;
    web.resume().await?;
    web.until_stable(LIMIT).await?;
    web.until_pods(&[("1", 0), ("2", 2)], LIMIT).await?;
    let promoted = until_labelled(&namespace, "role=active", 2).await?;
    let mut uids = [&previews, &promoted]
        .map(|pods| pods.iter().map(|pod| pod["metadata"]["uid"].to_string()).collect::<Vec<_>>());
    uids.iter_mut().for_each(|uids| uids.sort());
    assert_eq!(uids[0], uids[1], "the same pods in another role");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_pauses_holds_the_switch() -> Result<()> {
    let namespace = deployed("bg-paused", "scaleDownDelaySeconds: 1").await?;
    let web = Rollout::new(&namespace, "web");
    let active = active(&namespace).await?;
    web.merge_spec(json!({"paused": true})).await?;
    web.set_image("example:2").await?;
    web.until_message("manually paused", LIMIT).await?;
    web.until_pods(&[("1", 2), ("2", 2)], LIMIT).await?;
    assert_eq!(active.values().len(), 1);
    web.merge_spec(json!({"paused": false})).await?;
    web.until_stable(LIMIT).await?;
    active.ends_with(&hashes(&web).await?[1], LIMIT).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_autoscaler_sees_the_pods_that_users_get() -> Result<()> {
    let more = "autoPromotionEnabled: false, previewReplicaCount: 1";
    let namespace = deployed("bg-scale", more).await?;
    let web = Rollout::new(&namespace, "web");
    web.set_image("example:2").await?;
    web.until_phase("Paused", LIMIT).await?;
    web.merge_spec(json!({"replicas": 4})).await?;
    web.until_pods(&[("1", 4), ("2", 1)], LIMIT).await?;
    let status = web
        .until("the counts of the active version", LIMIT, |status| {
            ensure!(status["HPAReplicas"] == 4 && status["replicas"] == 5, "{status}");
            Ok(())
        })
        .await?;
    let old = status["blueGreen"]["activeSelector"].as_str().context("nothing is active")?;
    let selector = status["selector"].as_str().context("no selector")?;
    assert!(selector.contains(old), "{selector}");
    Ok(())
}
