//! What other programs send: Argo's kubectl plugin, its dashboard, and whoever patches likewise.

use anyhow::{Context as _, Result, bail, ensure};
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use sluice_e2e::{Kind, Namespace, Rollout, eventually};

use crate::scene::{LIMIT, plain};

const TWO: &str = "steps: [{setWeight: 25}, {pause: {}}, {setWeight: 50}, {pause: {}}]";

/// `web` in the middle of a release of `example:2`, at its first pause.
async fn paused(test: &str) -> Result<Namespace> {
    let namespace = plain(test, TWO).await?;
    let web = Rollout::new(&namespace, "web");
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;
    Ok(namespace)
}

/// `kubectl argo rollouts promote`: what it patches depends on what it read before.
async fn promote(web: &Rollout<'_>) -> Result<()> {
    let rollout = web.get().await?;
    if rollout["spec"]["paused"] == true {
        web.merge_spec(json!({"paused": false})).await?;
    }
    let status = &rollout["status"];
    let index = status["currentStepIndex"].as_u64().unwrap_or_default();
    let paused = status["pauseConditions"].as_array().is_some_and(|list| !list.is_empty());
    let run = &status["canary"]["currentStepAnalysisRunStatus"]["status"];
    if paused && run == "Inconclusive" && status["controllerPause"] == true {
        let next = json!({"pauseConditions": null, "controllerPause": false,
            "currentStepIndex": index + 1});
        return web.merge_status(next).await;
    }
    if paused {
        return web.merge_status(json!({"pauseConditions": null})).await;
    }
    let steps = rollout["spec"]["strategy"]["canary"]["steps"].as_array().map_or(0, Vec::len);
    let next = (index + 1).min(steps as u64);
    web.merge_status(json!({"pauseConditions": null, "currentStepIndex": next})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn promote_of_the_kubectl_plugin_ends_one_pause_at_a_time() -> Result<()> {
    let namespace = paused("promote").await?;
    let web = Rollout::new(&namespace, "web");
    promote(&web).await?;
    web.until_paused_at(3, LIMIT).await?;
    web.until_pods(&[("1", 2), ("2", 2)], LIMIT).await?;
    promote(&web).await?;
    web.until_stable(LIMIT).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn promote_skips_the_step_that_does_not_pause() -> Result<()> {
    let namespace = plain("skip", TWO).await?;
    let web = Rollout::new(&namespace, "web");
    // Its pods never come, so that the first step stays.
    web.annotate_pods(json!({"sluice.test/ready": "never"})).await?;
    web.until("the canary to be asked for", LIMIT, |status| {
        ensure!(status["updatedReplicas"] == 1 && status["currentStepIndex"] == 0);
        Ok(())
    })
    .await?;
    promote(&web).await?;
    web.until_paused_at(1, LIMIT).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_beyond_all_steps_skips_them_all() -> Result<()> {
    let namespace = paused("skip-all").await?;
    let web = Rollout::new(&namespace, "web");
    let walked = web.steps().await?;
    web.merge_status(json!({"pauseConditions": null, "currentStepIndex": 4})).await?;
    web.until_stable(LIMIT).await?;
    assert_eq!(walked.ends_with(&4, LIMIT).await?, [1, 4]);
    web.until_pods(&[("1", 0), ("2", 4)], LIMIT).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_rollout_is_promoted_by_two_patches() -> Result<()> {
    let namespace = paused("unpause").await?;
    let web = Rollout::new(&namespace, "web");
    web.merge_spec(json!({"paused": true})).await?;
    web.until_message("manually paused", LIMIT).await?;
    promote(&web).await?;
    web.until_paused_at(3, LIMIT).await?;
    assert_eq!(web.get().await?["spec"]["paused"], false);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_promotion_of_what_is_stable_changes_nothing() -> Result<()> {
    let namespace = paused("full").await?;
    let web = Rollout::new(&namespace, "web");
    web.promote_full().await?;
    web.until_stable(LIMIT).await?;
    web.until_pods(&[("1", 0), ("2", 4)], LIMIT).await?;
    // Nothing is remembered of it: the next release takes its steps.
    web.set_image("example:3").await?;
    let status = web.until_paused_at(1, LIMIT).await?;
    assert_ne!(status["promoteFull"], true);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn undo_puts_an_older_template_back() -> Result<()> {
    let namespace = paused("undo").await?;
    let web = Rollout::new(&namespace, "web");
    web.promote_full().await?;
    web.until_stable(LIMIT).await?;
    let first = web.until_pods(&[("1", 0), ("2", 4)], LIMIT).await?.swap_remove(0);
    let set = namespace.get(Kind::REPLICA_SET, &first.name).await?;
    let mut template = set["spec"]["template"].clone();
    let labels = template["metadata"]["labels"].as_object_mut().context("no labels")?;
    labels.remove("rollouts-pod-template-hash");
    let undo = json!([{"op": "replace", "path": "/spec/template", "value": template}]);
    let undo = Patch::<Value>::Json(serde_json::from_value(undo)?);
    let api = namespace.api(Kind::ROLLOUT).await?;
    api.patch("web", &PatchParams::default(), &undo).await?;
    web.until_paused_at(1, LIMIT).await?;
    web.promote_full().await?;
    let status = web.until_stable(LIMIT).await?;
    assert_eq!(status["stableRS"], first.hash.as_str(), "the same revision, not a third one");
    let revisions = web.until_pods(&[("2", 0), ("1", 4)], LIMIT).await?;
    assert_eq!(revisions[1].number, 3);
    Ok(())
}

/// `kubectl argo rollouts set image`: an update of the whole object, repeated on conflicts.
async fn set_image(namespace: &Namespace, image: &str) -> Result<()> {
    let api = namespace.api(Kind::ROLLOUT).await?;
    for _ in 0..5 {
        let mut object: DynamicObject = api.get("web").await?;
        object.data["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
        match api.replace("web", &PostParams::default(), &object).await {
            Ok(_) => return Ok(()),
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(error.into()),
        }
    }
    bail!("five conflicts")
}

#[tokio::test(flavor = "multi_thread")]
async fn set_image_gets_through_while_the_controller_writes() -> Result<()> {
    let namespace = plain("set-image", "steps: [{setWeight: 50}]").await?;
    let web = Rollout::new(&namespace, "web");
    for tag in 2..6 {
        // In the middle of the release before.
        set_image(&namespace, &format!("example:{tag}")).await?;
    }
    web.until_stable(LIMIT).await?;
    web.until("only pods of the last image", LIMIT, |status| {
        ensure!(status["replicas"] == 4 && status["updatedReplicas"] == 4);
        Ok(())
    })
    .await?;
    assert_eq!(web.revisions().await?.pop().map(|last| last.image).as_deref(), Some("example:5"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn aborts_and_retries_that_race_with_the_controller_are_all_heard() -> Result<()> {
    let namespace = paused("race").await?;
    let web = Rollout::new(&namespace, "web");
    for _ in 0..5 {
        web.abort().await?;
        web.until("the abort to be taken up", LIMIT, |status| {
            ensure!(status["abortedAt"].is_string() && status["phase"] == "Degraded");
            Ok(())
        })
        .await?;
        web.retry().await?;
        web.until("the retry to be taken up", LIMIT, |status| {
            ensure!(status["phase"] != "Degraded");
            Ok(())
        })
        .await?;
    }
    // Without awaiting anything: the last word counts.
    for _ in 0..10 {
        web.abort().await?;
        web.retry().await?;
    }
    web.until_paused_at(1, LIMIT).await?;
    for _ in 0..10 {
        web.retry().await?;
        web.abort().await?;
    }
    web.until_phase("Degraded", LIMIT).await?;
    web.until_pods(&[("1", 4), ("2", 0)], LIMIT).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aborted_release_says_what_argo_cd_reads() -> Result<()> {
    let namespace = paused("argo-cd").await?;
    let web = Rollout::new(&namespace, "web");
    web.abort().await?;
    web.until_phase("Degraded", LIMIT).await?;
    let status = eventually("the condition of the abort", LIMIT, async || {
        let status = web.status().await?;
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        let told = conditions.iter().any(|condition| {
            condition["type"] == "Progressing"
                && condition["status"] == "False"
                && condition["reason"] == "RolloutAborted"
        });
        ensure!(told, "{conditions:?}");
        Ok(status)
    })
    .await?;
    assert_eq!(status["abort"], true);
    assert!(status["observedGeneration"].is_string());
    assert_eq!(status["pauseConditions"], json!(null));
    assert_ne!(status["controllerPause"], true);
    Ok(())
}
