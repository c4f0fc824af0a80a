//! An API server that goes away in the middle of releases, and comes back.

use std::time::Duration;

use anyhow::{Result, ensure};
use sluice_e2e::{Capacity, Controller, Namespace, Rollout, eventually, manifest};

const LIMIT: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn releases_go_on_after_the_api_server_was_away() -> Result<()> {
    let namespace = Namespace::new("api-server").await?;
    let cluster = namespace.cluster();
    if !cluster.is_own() {
        eprintln!("skipped: the API server of somebody else's cluster is not restarted");
        return Ok(());
    }
    let mut controller = Controller::start(&namespace, &[]).await?;
    let web = Rollout::new(&namespace, "web");
    let capacity = Capacity::watch(&namespace).await?;
    namespace.apply(&manifest::services()).await?;
    namespace.apply(manifest::INGRESS).await?;
    let steps = "steps: [{setWeight: 20}, {setWeight: 60}, {pause: {}}]";
    let canary = format!("{}, {steps}", manifest::NGINX);
    let late = r#"sluice.test/ready: late, sluice.test/after: "3""#;
    namespace.apply(&manifest::rollout(5, &canary, late)).await?;
    web.until_stable(LIMIT).await?;

    web.set_image("example:2").await?;
    eventually("the canary to grow for the second weight", LIMIT, async || {
        let revisions = web.revisions().await?;
        let growing = revisions.last().is_some_and(|new| new.desired == 3 && new.available < 3);
        ensure!(growing, "{revisions:?}");
        Ok(())
    })
    .await?;
    let restart = tokio::task::spawn_blocking(|| cluster.restart_api_server());
    restart.await??;
    web.until_paused_at(2, LIMIT).await?;
    assert_eq!(web.nginx_weight("web").await?, Some(60));
    let status = controller.ended()?;
    assert!(status.is_none(), "the controller outlived it: {status:?}");

    // Again, while traffic goes back and the Services change.
    web.resume().await?;
    let restart = tokio::task::spawn_blocking(|| cluster.restart_api_server());
    restart.await??;
    web.until_stable(LIMIT).await?;
    web.until_pods(&[("1", 0), ("2", 5)], LIMIT).await?;
    assert_eq!(web.nginx_weight("web").await?, Some(0));
    assert_eq!(capacity.shortages(5), [""; 0]);
    let page = controller.http("/metrics").await?;
    assert!(page.lines().any(|line| line == "sluice_leading 1"), "the same process leads");
    Ok(())
}
