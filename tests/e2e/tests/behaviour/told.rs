//! What the controller tells: Events, metrics, and times.

use anyhow::{Result, ensure};
use sluice_e2e::{Controller, Rollout, eventually, manifest};

use crate::scene::{LIMIT, deployed, plain};

const HALF: &str = "steps: [{setWeight: 50}, {pause: {}}]";

#[tokio::test(flavor = "multi_thread")]
async fn a_release_announces_itself_by_argos_reasons() -> Result<()> {
    let namespace = plain("events", HALF).await?;
    let web = Rollout::new(&namespace, "web");
    for reason in [
        "RolloutAddedToInformer",
        "RolloutUpdated",
        "NewReplicaSetCreated",
        "RolloutNotCompleted",
        "RolloutCompleted",
    ] {
        web.until_events(&[reason], LIMIT).await?;
    }
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;
    web.abort().await?;
    let events = web.until_events(&["RolloutPaused", "RolloutAborted"], LIMIT).await?;
    web.until_events(&["ScalingReplicaSet"], LIMIT).await?;
    let aborted = events.iter().find(|event| event.reason == "RolloutAborted");
    let aborted = aborted.map(|event| (event.severity.as_str(), event.message.as_str()));
    assert_eq!(aborted, Some(("Warning", "Rollout aborted update to revision 2")));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_have_argos_names_and_tell_the_phase() -> Result<()> {
    let namespace = plain("metrics", HALF).await?;
    let controller = Controller::shared(&namespace).await?;
    let web = Rollout::new(&namespace, "web");
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;
    web.until_pods(&[("1", 2), ("2", 2)], LIMIT).await?;
    let labels = format!(r#"{{namespace="{}",name="web""#, namespace.name());
    eventually("the metrics of the rollout", LIMIT, async || {
        let page = controller.http("/metrics").await?;
        for (metric, value) in [
            ("rollout_info_replicas_desired", "4"),
            ("rollout_info_replicas_available", "4"),
            ("rollout_info_replicas_updated", "2"),
        ] {
            let line = format!("{metric}{labels}}} {value}");
            ensure!(page.lines().any(|seen| seen == line), "no {line}");
        }
        let phase = page.lines().find(|line| line.starts_with(&format!("rollout_info{labels}")));
        ensure!(
            phase.is_some_and(|line| line.contains(r#"phase="Paused""#) && line.ends_with(" 1")),
            "{phase:?}"
        );
        let events = format!("rollout_events_total{labels}");
        ensure!(page.lines().any(|line| line.starts_with(&events)), "no events");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_tells_how_long_a_release_took_and_how_it_ended() -> Result<()> {
    let steps = "steps: [{setWeight: 50}, {pause: {}}]";
    let namespace = deployed("duration", &manifest::rollout(1, steps, "")).await?;
    let web = Rollout::new(&namespace, "web");
    web.set_image("example:2").await?;
    let status = web.until_paused_at(1, LIMIT).await?;
    let duration = &status["duration"];
    ensure!(duration["rolloutStartedAt"].is_string() && duration["finishedAt"].is_null());
    web.abort().await?;
    let status = web.until_phase("Degraded", LIMIT).await?;
    assert_eq!(status["duration"]["completionStatus"], "Aborted");
    web.retry().await?;
    web.until_paused_at(1, LIMIT).await?;
    web.promote_full().await?;
    let status = web.until_stable(LIMIT).await?;
    let duration = &status["duration"];
    assert_eq!(duration["completionStatus"], "FastPromoted");
    assert!(duration["finishedAt"].is_string(), "{duration}");
    Ok(())
}
