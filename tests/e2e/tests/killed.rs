//! A controller that dies in the middle of a release.

use std::time::Duration;

use anyhow::{Result, ensure};
use sluice_e2e::{Capacity, Controller, Namespace, Rollout, eventually, manifest};

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_controller_goes_on_where_it_was() -> Result<()> {
    let namespace = Namespace::new("killed").await?;
    let mut controller = Controller::start(&namespace, &[]).await?;
    let web = Rollout::new(&namespace, "web");
    let weights = web.nginx_weights("web").await?;
    let capacity = Capacity::watch(&namespace).await?;
    namespace.apply(&manifest::services()).await?;
    namespace.apply(manifest::INGRESS).await?;
    let steps = "steps: [{setWeight: 20}, {pause: {duration: 1s}}, {setWeight: 60}, {pause: {}}]";
    let canary = format!("{}, {steps}", manifest::NGINX);
    // Pods take their time, so that there is a middle of a step.
    let late = r#"sluice.test/ready: late, sluice.test/after: "3""#;
    namespace.apply(&manifest::rollout(5, &canary, late)).await?;
    web.until_phase("Healthy", LIMIT).await?;
    weights.ends_with(&0, LIMIT).await?;

    web.set_image("example:2").await?;
    eventually("the canary to grow for the second weight", LIMIT, async || {
        let revisions = web.revisions().await?;
        let growing = revisions.last().is_some_and(|new| new.desired == 3 && new.available < 3);
        ensure!(growing, "{revisions:?}");
        Ok(())
    })
    .await?;
    controller.kill()?;
    assert_eq!(web.nginx_weight("web").await?, Some(20), "killed before the second weight");
    eventually("pods that become available while nobody leads", LIMIT, async || {
        let revisions = web.revisions().await?;
        ensure!(revisions.last().is_some_and(|new| new.available == 3), "{revisions:?}");
        Ok(())
    })
    .await?;
    assert_eq!(weights.values(), [0, 20]);
    controller.restart()?;
    web.until_paused_at(3, LIMIT).await?;
    assert_eq!(weights.ends_with(&60, LIMIT).await?, [0, 20, 60]);

    // Again when everything goes to the canary's Service: the Services are being turned to the new
    // revision, and then the old pods are to go.
    web.resume().await?;
    weights.reaches(&100, LIMIT).await?;
    controller.kill()?;
    controller.restart()?;
    web.until_phase("Healthy", LIMIT).await?;
    assert_eq!(weights.ends_with(&0, LIMIT).await?, [0, 20, 60, 100, 0]);
    web.until("the old pods to be gone", LIMIT, |status| {
        ensure!(status["replicas"] == 5);
        Ok(())
    })
    .await?;
    assert_eq!(web.revisions().await?.len(), 2, "no revision was made twice");
    assert_eq!(capacity.shortages(5), [""; 0]);
    Ok(())
}
