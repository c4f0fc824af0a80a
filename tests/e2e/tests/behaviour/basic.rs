//! Releases without a router: pods alone carry the weights.

use std::time::Duration;

use anyhow::{Result, ensure};
use sluice_e2e::{Controller, Namespace, Revision, Rollout, eventually, manifest};

const LIMIT: Duration = Duration::from_secs(120);

/// `web` with four pods and these steps, once it is healthy.
async fn deployed(namespace: &Namespace, steps: &str) -> Result<()> {
    Controller::shared(namespace).await?;
    let steps = format!("steps: [{steps}]");
    namespace.apply(&manifest::rollout(4, &steps, "")).await?;
    Rollout::new(namespace, "web").until_phase("Healthy", LIMIT).await?;
    Ok(())
}

/// Awaits the number of pods of each revision, by its image's tag.
async fn until_pods(web: &Rollout<'_>, expected: &[(&str, u64)]) -> Result<Vec<Revision>> {
    eventually(&format!("pods like {expected:?}"), LIMIT, async || {
        let revisions = web.revisions().await?;
        let fits = revisions.len() == expected.len()
            && revisions.iter().zip(expected).all(|(revision, (tag, pods))| {
                revision.image == format!("example:{tag}")
                    && (revision.desired, revision.available) == (*pods, *pods)
            });
        ensure!(fits, "{revisions:?}");
        Ok(revisions)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_walks_its_steps() -> Result<()> {
    let namespace = Namespace::new("walk").await?;
    let steps = "{setWeight: 25}, {pause: {duration: 1s}}, {setWeight: 50}, {pause: {}}";
    deployed(&namespace, steps).await?;
    let web = Rollout::new(&namespace, "web");
    let wait = ["wait", "--for=condition=Healthy", "--timeout=20s", "rollout/web", "-n"];
    let wait = [&wait[..], &[namespace.name()]].concat();
    namespace.cluster().kubectl(&wait, "").await?;
    let first = until_pods(&web, &[("1", 4)]).await?;
    let status = web.status().await?;
    assert_eq!(status["stableRS"], first[0].hash.as_str());
    assert_eq!(status["currentStepIndex"], 4, "the first deployment takes no steps");

    let walked = web.steps().await?;
    web.set_image("example:2").await?;
    web.until_paused_at(3, LIMIT).await?;
    let both = until_pods(&web, &[("1", 2), ("2", 2)]).await?;
    assert_eq!([both[0].number, both[1].number], [1, 2]);

    web.resume().await?;
    let status = web.until_phase("Healthy", LIMIT).await?;
    assert_eq!(status["stableRS"], both[1].hash.as_str());
    assert_eq!(walked.ends_with(&4, LIMIT).await?, [4, 0, 1, 2, 3, 4]);
    until_pods(&web, &[("1", 0), ("2", 4)]).await?;
    namespace.cluster().kubectl(&wait, "").await?;

    let expected = ["RolloutNotCompleted", "RolloutStepCompleted", "RolloutPaused"];
    web.until_events(&expected, LIMIT).await?;
    let expected = ["RolloutPaused", "RolloutResumed", "RolloutCompleted"];
    let events = web.until_events(&expected, LIMIT).await?;
    assert!(events.iter().all(|event| event.severity == "Normal"), "{events:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_template_supersedes_the_canary() -> Result<()> {
    let namespace = Namespace::new("supersede").await?;
    deployed(&namespace, "{setWeight: 25}, {pause: {}}").await?;
    let web = Rollout::new(&namespace, "web");
    let walked = web.steps().await?;
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;
    web.set_image("example:3").await?;
    web.until_paused_at(1, LIMIT).await?;
    until_pods(&web, &[("1", 3), ("2", 0), ("3", 1)]).await?;

    web.resume().await?;
    web.until_phase("Healthy", LIMIT).await?;
    until_pods(&web, &[("1", 0), ("2", 0), ("3", 4)]).await?;
    assert_eq!(walked.ends_with(&2, LIMIT).await?, [2, 0, 1, 0, 1, 2]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stable_template_skips_the_steps() -> Result<()> {
    let namespace = Namespace::new("rollback").await?;
    deployed(&namespace, "{setWeight: 50}, {pause: {}}").await?;
    let web = Rollout::new(&namespace, "web");
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;

    let phases = web.phases().await?;
    web.set_image("example:1").await?;
    web.until_phase("Healthy", LIMIT).await?;
    // The revision that is wanted again gets the highest number.
    let revisions = until_pods(&web, &[("2", 0), ("1", 4)]).await?;
    assert_eq!([revisions[0].number, revisions[1].number], [2, 3]);
    let later = phases.values().split_off(1);
    assert!(!later.iter().any(|phase| phase.starts_with("Paused")), "{later:?}");
    web.until_events(&["RolloutPaused", "SkipSteps"], LIMIT).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_abort_retry_and_promote() -> Result<()> {
    let namespace = Namespace::new("clients").await?;
    let steps = "{setWeight: 25}, {pause: {}}, {setWeight: 50}, {pause: {}}";
    deployed(&namespace, steps).await?;
    let web = Rollout::new(&namespace, "web");
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;

    web.abort().await?;
    let status = web.until_phase("Degraded", LIMIT).await?;
    assert_eq!(status["message"], "RolloutAborted: Rollout aborted update to revision 2");
    assert_eq!(status["abort"], true);
    until_pods(&web, &[("1", 4), ("2", 0)]).await?;

    web.retry().await?;
    web.until_paused_at(1, LIMIT).await?;
    until_pods(&web, &[("1", 3), ("2", 1)]).await?;

    let phases = web.phases().await?;
    web.promote_full().await?;
    let status = web.until_phase("Healthy", LIMIT).await?;
    assert_ne!(status["promoteFull"], true);
    until_pods(&web, &[("1", 0), ("2", 4)]).await?;
    let later = phases.values().split_off(1);
    assert!(!later.iter().any(|phase| phase.starts_with("Paused")), "{later:?}");
    let expected = ["RolloutAborted", "RolloutPaused", "RolloutCompleted"];
    web.until_events(&expected, LIMIT).await?;
    Ok(())
}
