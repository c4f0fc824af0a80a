//! Canaries without a router.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use sluice_e2e::{History, Kind, Namespace, Rollout, eventually, manifest};

use crate::scene::{
    LIMIT, Sizes, begin, deployed, plain, pods, until_labelled, until_older, until_said,
};

const HALF: &str = "steps: [{setWeight: 50}, {pause: {}}]";

#[tokio::test(flavor = "multi_thread")]
async fn timed_pauses_in_every_notation_end_by_themselves() -> Result<()> {
    let steps = "steps: [{setWeight: 50}, {pause: {duration: 1}}, {pause: {duration: \"1\"}}, \
                 {pause: {duration: 1s}}, {pause: {duration: 0}}]";
    let namespace = plain("timed", steps).await?;
    let web = Rollout::new(&namespace, "web");
    let walked = web.steps().await?;
    web.release("example:2", LIMIT).await?;
    assert_eq!(walked.ends_with(&5, LIMIT).await?, [5, 0, 1, 2, 3, 4, 5]);
    let at: Vec<_> = walked.timed().into_iter().map(|(at, _)| at).collect();
    for pause in 2..5 {
        let took = at[pause + 1].duration_since(at[pause]);
        assert!(took > Duration::from_millis(800), "pause {pause} took {took:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_stay_between_surge_and_unavailability() -> Result<()> {
    let bounds = "maxSurge: 1, maxUnavailable: 0, steps: [{setWeight: 50}, {setWeight: 75}]";
    let namespace = plain("surge", bounds).await?;
    let web = Rollout::new(&namespace, "web");
    let sizes = Sizes::watch(&namespace).await?;
    web.release("example:2", LIMIT).await?;
    web.until_pods(&[("1", 0), ("2", 4)], LIMIT).await?;
    assert_eq!(sizes.bounds(), (5, 4));

    web.merge_spec(json!({"strategy": {"canary": {"maxSurge": 0, "maxUnavailable": "25%"}}}))
        .await?;
    let sizes = Sizes::watch(&namespace).await?;
    web.release("example:3", LIMIT).await?;
    web.until_pods(&[("1", 0), ("2", 0), ("3", 4)], LIMIT).await?;
    assert_eq!(sizes.bounds(), (4, 3));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn living_pods_take_on_the_metadata_of_their_role() -> Result<()> {
    let roles = "canaryMetadata: {labels: {role: canary}, annotations: {note: new}}, \
                 stableMetadata: {labels: {role: stable}}";
    let namespace = plain("roles", &format!("{roles}, {HALF}")).await?;
    let web = Rollout::new(&namespace, "web");
    until_labelled(&namespace, "role=stable", 4).await?;
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;
    let canaries = until_labelled(&namespace, "role=canary", 2).await?;
    assert_eq!(canaries[0]["metadata"]["annotations"]["note"], "new");
    let before = pods(&namespace).await?;

    web.resume().await?;
    web.until_stable(LIMIT).await?;
    let promoted = until_labelled(&namespace, "role=stable", 4).await?;
    until_labelled(&namespace, "role=canary", 0).await?;
    let kept = promoted.iter().filter(|pod| before.contains(&pod["metadata"]["uid"].to_string()));
    assert_eq!(kept.count(), 2, "the canary's pods changed their labels and lived on");
    let noted = promoted.iter().any(|pod| pod["metadata"]["annotations"].get("note").is_some());
    assert!(!noted, "what the canary had is taken away");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_avoids_the_nodes_of_the_stable_pods_until_it_is_stable() -> Result<()> {
    let avoid = "antiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: {weight: 7}}";
    let namespace = plain("avoid", &format!("{avoid}, {HALF}")).await?;
    let web = Rollout::new(&namespace, "web");
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;
    let revisions = web.revisions().await?;
    let affinity = "/spec/template/spec/affinity/podAntiAffinity/\
                    preferredDuringSchedulingIgnoredDuringExecution";
    let set = namespace.get(Kind::REPLICA_SET, &revisions[1].name).await?;
    let terms = set.pointer(affinity).context("no anti-affinity")?;
    assert_eq!(terms[0]["weight"], 7);
    let expression = &terms[0]["podAffinityTerm"]["labelSelector"]["matchExpressions"][0];
    assert_eq!(expression["key"], "rollouts-pod-template-hash");
    assert_eq!(expression["values"], json!([revisions[0].hash]));

    web.resume().await?;
    web.until_stable(LIMIT).await?;
    eventually("the anti-affinity to be gone", LIMIT, async || {
        let set = namespace.get(Kind::REPLICA_SET, &revisions[1].name).await?;
        ensure!(set.pointer(affinity).is_none(), "{set}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn revisions_beyond_the_history_limit_are_deleted() -> Result<()> {
    let rollout = manifest::rollout(1, "", "");
    let rollout = manifest::with_spec(&rollout, "revisionHistoryLimit: 1");
    let namespace = deployed("history", &rollout).await?;
    let web = Rollout::new(&namespace, "web");
    for image in ["example:2", "example:3", "example:4"] {
        web.release(image, LIMIT).await?;
    }
    let left = web.until_pods(&[("3", 0), ("4", 1)], LIMIT).await?;
    assert_eq!([left[0].number, left[1].number], [3, 4]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn going_back_within_the_window_takes_no_steps() -> Result<()> {
    let rollout =
        manifest::with_spec(&manifest::rollout(2, HALF, ""), "rollbackWindow: {revisions: 2}");
    let namespace = deployed("window", &rollout).await?;
    let web = Rollout::new(&namespace, "web");
    until_older(&namespace, &web).await?;
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;
    web.promote_full().await?;
    web.until_stable(LIMIT).await?;
    web.until_pods(&[("1", 0), ("2", 2)], LIMIT).await?;

    let phases = web.phases().await?;
    web.release("example:1", LIMIT).await?;
    web.until_pods(&[("2", 0), ("1", 2)], LIMIT).await?;
    let phases = phases.values();
    assert!(!phases.iter().any(|phase| phase.starts_with("Paused")), "{phases:?}");
    Ok(())
}

/// `web` with a progress deadline, and a second version whose pods never become ready.
async fn stuck(test: &str, abort: bool) -> Result<Namespace> {
    let rollout = manifest::rollout(2, "steps: [{setWeight: 50}]", "");
    let deadline = format!("progressDeadlineSeconds: 2\n  progressDeadlineAbort: {abort}");
    let namespace = deployed(test, &manifest::with_spec(&rollout, &deadline)).await?;
    let web = Rollout::new(&namespace, "web");
    web.annotate_pods(json!({"sluice.test/ready": "never"})).await?;
    Ok(namespace)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_without_progress_is_degraded_until_it_can_go_on() -> Result<()> {
    let namespace = stuck("deadline", false).await?;
    let web = Rollout::new(&namespace, "web");
    let status =
        until_said(&web, &["ProgressDeadlineExceeded", "has timed out progressing"]).await?;
    assert_eq!(status["phase"], "Degraded");
    assert_ne!(status["abort"], true);
    let stable = web.revisions().await?[0].available;
    assert!(stable >= 1, "the stable pods carry on");

    web.annotate_pods(json!({"sluice.test/ready": null, "fixed": "yes"})).await?;
    web.until_stable(LIMIT).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_without_progress_is_aborted_where_that_is_wanted() -> Result<()> {
    let namespace = stuck("deadline-abort", true).await?;
    let web = Rollout::new(&namespace, "web");
    let status = until_said(&web, &["RolloutAborted", "has timed out progressing"]).await?;
    assert_eq!((&status["phase"], &status["abort"]), (&json!("Degraded"), &json!(true)));
    web.until_pods(&[("1", 2), ("1", 0)], LIMIT).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_paused_by_its_user_adds_no_pods() -> Result<()> {
    let namespace = plain("paused", "steps: [{setWeight: 50}]").await?;
    let web = Rollout::new(&namespace, "web");
    web.merge_spec(json!({"paused": true})).await?;
    web.set_image("example:2").await?;
    let status = web.until_message("manually paused", LIMIT).await?;
    assert_eq!(status["phase"], "Paused");
    web.until_pods(&[("1", 4), ("2", 0)], LIMIT).await?;
    let sizes = Sizes::watch(&namespace).await?;
    assert_eq!(sizes.bounds().0, 4);

    web.merge_spec(json!({"paused": false})).await?;
    web.until_stable(LIMIT).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_of_no_pods_is_over_at_once() -> Result<()> {
    let namespace = deployed("nobody", &manifest::rollout(0, HALF, "")).await?;
    let web = Rollout::new(&namespace, "web");
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;
    web.resume().await?;
    web.until_stable(LIMIT).await?;
    web.merge_spec(json!({"replicas": 2})).await?;
    web.until_pods(&[("1", 0), ("2", 2)], LIMIT).await?;
    web.until_phase("Healthy", LIMIT).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_count_once_they_were_ready_for_long_enough() -> Result<()> {
    let rollout = manifest::rollout(1, "steps: [{setWeight: 100}, {pause: {}}]", "");
    let namespace = begin("min-ready").await?;
    namespace.apply(&manifest::with_spec(&rollout, "minReadySeconds: 2")).await?;
    let web = Rollout::new(&namespace, "web");
    web.until_stable(LIMIT).await?;
    let ready = History::record_all(&namespace, Kind::REPLICA_SET, |set| {
        let second = set.pointer("/spec/template/spec/containers/0/image")? == "example:2";
        second.then(|| set.pointer("/status/readyReplicas").is_some())
    });
    let ready = ready.await?;
    let walked = web.steps().await?;
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;
    ready.reaches(&true, LIMIT).await?;
    walked.reaches(&1, LIMIT).await?;
    let ready = ready.timed().into_iter().find(|(_, ready)| *ready).context("never ready")?;
    let walked = walked.timed().into_iter().find(|(_, step)| *step == 1).context("no step")?;
    let took = walked.0.duration_since(ready.0);
    // Kubernetes counts whole seconds.
    assert!(took > Duration::from_millis(900), "{took:?}");
    let revisions = web.revisions().await?;
    let set = namespace.get(Kind::REPLICA_SET, &revisions[1].name).await?;
    assert_eq!(set["spec"]["minReadySeconds"], 2);
    Ok(())
}
