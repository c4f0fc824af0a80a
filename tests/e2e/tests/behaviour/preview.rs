//! Blue-green releases: the new version is ready and shown before anybody gets it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sluice_e2e::{Controller, History, Kind, Namespace, Rollout, eventually, manifest};

const LIMIT: Duration = Duration::from_secs(120);

/// Records the revisions that a Service selects.
async fn selections(namespace: &Namespace, service: &str) -> Result<History<String>> {
    History::record(namespace, Kind::SERVICE, service, |service| {
        let hash = service.pointer("/spec/selector/rollouts-pod-template-hash")?;
        hash.as_str().map(str::to_owned)
    })
    .await
}

/// `web` with two pods behind `web-active`, and whatever else its strategy says.
async fn deployed(namespace: &Namespace, more: &str) -> Result<()> {
    Controller::shared(namespace).await?;
    let services = [manifest::service("web-active"), manifest::service("web-preview")];
    namespace.apply(&services.join("---")).await?;
    namespace.apply(&manifest::blue_green(2, more)).await?;
    Rollout::new(namespace, "web").until_phase("Healthy", LIMIT).await?;
    Ok(())
}

/// The hash of the newest revision, once it has pods that are available.
async fn newest(web: &Rollout<'_>, number: usize) -> Result<String> {
    eventually("the newest revision to be there", LIMIT, async || {
        let mut revisions = web.revisions().await?;
        ensure!(revisions.len() == number, "{revisions:?}");
        let newest = revisions.pop().context("no revision")?;
        ensure!(newest.available == newest.desired && newest.desired > 0, "{newest:?}");
        Ok(newest.hash)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_is_promoted_by_a_user_and_the_old_pods_outlive_it_for_a_while() -> Result<()> {
    let namespace = Namespace::new("preview").await?;
    let more = "previewService: web-preview, autoPromotionEnabled: false, \
                scaleDownDelaySeconds: 2, previewReplicaCount: 1";
    deployed(&namespace, more).await?;
    let web = Rollout::new(&namespace, "web");
    let active = selections(&namespace, "web-active").await?;
    let old = newest(&web, 1).await?;

    web.set_image("example:2").await?;
    let status = web.until_phase("Paused", LIMIT).await?;
    assert_eq!(status["message"], "BlueGreenPause");
    let new = newest(&web, 2).await?;
    assert_eq!(web.revisions().await?[1].desired, 1, "the preview is small");
    let preview = namespace.get(Kind::SERVICE, "web-preview").await?;
    assert_eq!(preview["spec"]["selector"]["rollouts-pod-template-hash"], new.as_str());
    assert_eq!(active.values(), std::slice::from_ref(&old), "nobody gets it yet");

    web.resume().await?;
    active.ends_with(&new, LIMIT).await?;
    let status = web.until_phase("Healthy", LIMIT).await?;
    assert_eq!(status["stableRS"], new.as_str());
    assert_eq!(status["blueGreen"]["activeSelector"], new.as_str());
    assert_eq!(active.values(), [old, new]);
    web.until("the old pods to be gone", LIMIT, |status| {
        ensure!(status["replicas"] == 2);
        Ok(())
    })
    .await?;
    let expected = ["RolloutPaused", "RolloutResumed", "SwitchService", "RolloutCompleted"];
    web.until_events(&expected, LIMIT).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_leaves_users_where_they_are() -> Result<()> {
    let namespace = Namespace::new("bluegreen-abort").await?;
    let more = "previewService: web-preview, autoPromotionEnabled: false, \
                abortScaleDownDelaySeconds: 1";
    deployed(&namespace, more).await?;
    let web = Rollout::new(&namespace, "web");
    let active = selections(&namespace, "web-active").await?;
    let old = newest(&web, 1).await?;
    web.set_image("example:2").await?;
    web.until_phase("Paused", LIMIT).await?;
    web.abort().await?;
    let status = web.until_phase("Degraded", LIMIT).await?;
    assert_eq!(status["message"], "RolloutAborted: Rollout aborted update to revision 2");
    web.until("the preview's pods to be gone", LIMIT, |status| {
        ensure!(status["replicas"] == 2);
        Ok(())
    })
    .await?;
    assert_eq!(active.values(), std::slice::from_ref(&old));

    // The first version again is the stable one, so there is nothing to preview.
    web.set_image("example:1").await?;
    let status = web.until_phase("Healthy", LIMIT).await?;
    assert_eq!(status["stableRS"], old.as_str());
    assert_eq!(active.values(), [old]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_pause_users_are_moved_once_all_pods_are_there() -> Result<()> {
    let namespace = Namespace::new("bluegreen-auto").await?;
    deployed(&namespace, "scaleDownDelaySeconds: 1").await?;
    let web = Rollout::new(&namespace, "web");
    let active = selections(&namespace, "web-active").await?;
    let old = newest(&web, 1).await?;
    let phases = web.phases().await?;
    web.set_image("example:2").await?;
    web.until("the second version to be stable", LIMIT, |status| {
        ensure!(
            status["stableRS"] == status["currentPodHash"] && status["stableRS"] != old.as_str()
        );
        ensure!(status["phase"] == "Healthy" && status["replicas"] == 2);
        Ok(())
    })
    .await?;
    let new = newest(&web, 2).await?;
    assert_eq!(active.values(), [old, new]);
    assert!(!phases.values().iter().any(|phase| phase.starts_with("Paused")));
    Ok(())
}
