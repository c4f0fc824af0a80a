//! A user who gives a routed release up in the middle of it.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;
use sluice_e2e::{Capacity, Controller, Kind, Moment, Namespace, Rollout, eventually, manifest};

const LIMIT: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn traffic_leaves_before_the_pods_go_and_a_retry_begins_anew() -> Result<()> {
    let namespace = Namespace::new("abort").await?;
    Controller::shared(&namespace).await?;
    let web = Rollout::new(&namespace, "web");
    let capacity = Capacity::watch(&namespace).await?;
    let weights = web.nginx_weights("web").await?;
    namespace.apply(&manifest::services()).await?;
    namespace.apply(manifest::INGRESS).await?;
    let canary = format!("{}, steps: [{{setWeight: 50}}, {{pause: {{}}}}]", manifest::NGINX);
    namespace.apply(&manifest::rollout(4, &canary, "")).await?;
    web.until_phase("Healthy", LIMIT).await?;
    weights.ends_with(&0, LIMIT).await?;
    let walked = web.steps().await?;

    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;
    assert_eq!(weights.ends_with(&50, LIMIT).await?, [0, 50]);
    web.abort().await?;
    let status = web.until_phase("Degraded", LIMIT).await?;
    assert_eq!(status["message"], "RolloutAborted: Rollout aborted update to revision 2");
    assert_eq!(status["currentStepIndex"], 0);
    web.until("the canary's pods to be gone", LIMIT, |status| {
        ensure!(status["replicas"] == 4);
        Ok(())
    })
    .await?;
    assert_eq!(weights.ends_with(&0, LIMIT).await?, [0, 50, 0]);
    let new = web.revisions().await?.pop().map(|new| new.hash).unwrap_or_default();
    let gone = |moment: &Moment| matches!(moment, Moment::Pods(hash, 0, _) if *hash == new);
    let moments = eventually("the canary to be recorded as gone", LIMIT, async || {
        let moments = capacity.moments();
        ensure!(moments.iter().any(gone), "{moments:?}");
        Ok(moments)
    })
    .await?;
    let fewer = |moment: &Moment| matches!(moment, Moment::Pods(hash, 0 | 1, _) if *hash == new);
    let left = moments.iter().rposition(|moment| *moment == Moment::Weight(0));
    let shrunk = moments.iter().position(fewer);
    assert!(left.is_some() && left < shrunk, "{moments:?}");

    web.retry().await?;
    web.until_paused_at(1, LIMIT).await?;
    assert_eq!(weights.ends_with(&50, LIMIT).await?, [0, 50, 0, 50]);
    assert_eq!(walked.ends_with(&1, LIMIT).await?, [2, 0, 1, 0, 1]);
    web.resume().await?;
    web.until_phase("Healthy", LIMIT).await?;
    assert_eq!(weights.ends_with(&0, LIMIT).await?, [0, 50, 0, 50, 100, 0]);
    let expected = ["RolloutAborted", "ScalingReplicaSet", "RolloutCompleted"];
    web.until_events(&expected, LIMIT).await?;
    assert_eq!(capacity.shortages(4), [""; 0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_weight_that_somebody_else_changes_is_put_right_at_once() -> Result<()> {
    let namespace = Namespace::new("drift").await?;
    Controller::shared(&namespace).await?;
    let web = Rollout::new(&namespace, "web");
    let weights = web.nginx_weights("web").await?;
    namespace.apply(&manifest::services()).await?;
    namespace.apply(manifest::INGRESS).await?;
    let canary = format!("{}, steps: [{{setWeight: 50}}, {{pause: {{}}}}]", manifest::NGINX);
    namespace.apply(&manifest::rollout(2, &canary, "")).await?;
    web.until_phase("Healthy", LIMIT).await?;
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;
    weights.ends_with(&50, LIMIT).await?;

    let other = json!({"metadata": {"annotations": {
        "nginx.ingress.kubernetes.io/canary-weight": "5",
    }}});
    namespace.merge(Kind::INGRESS, "web-web-canary", &other).await?;
    // Well before the next routine look at what is not watched, which is a minute away.
    eventually("the weight to be put right", Duration::from_secs(20), async || {
        let values = weights.values();
        ensure!(values == [0, 50, 5, 50], "{values:?}");
        Ok(())
    })
    .await?;
    // The canary's Ingress is ours, so that it is made anew is expected as well.
    namespace.delete(Kind::INGRESS, "web-web-canary").await?;
    eventually("the Ingress to be back", Duration::from_secs(20), async || {
        let weight = web.nginx_weight("web").await?;
        ensure!(weight == Some(50), "{weight:?}");
        Ok(())
    })
    .await
}
