//! The commands that users type.

use anyhow::{Result, ensure};
use sluice_e2e::{Namespace, Rollout, sluice};

use crate::scene::{LIMIT, plain};

const TWO: &str = "steps: [{setWeight: 25}, {pause: {}}, {setWeight: 50}, {pause: {}}]";

/// Runs a command that ends well, and returns what it printed.
async fn run(namespace: &Namespace, arguments: &[&str]) -> Result<String> {
    let (well, printed) = sluice(namespace, arguments).await?;
    ensure!(well, "{arguments:?}: {printed}");
    Ok(printed)
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_steer_a_release_from_its_pause_to_its_end() -> Result<()> {
    let namespace = plain("commands", TWO).await?;
    let web = Rollout::new(&namespace, "web");
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;
    run(&namespace, &["promote", "web"]).await?;
    web.until_paused_at(3, LIMIT).await?;
    run(&namespace, &["abort", "web"]).await?;
    web.until_phase("Degraded", LIMIT).await?;
    run(&namespace, &["retry", "rollout", "web"]).await?;
    web.until_paused_at(1, LIMIT).await?;
    run(&namespace, &["pause", "web"]).await?;
    web.until_message("manually paused", LIMIT).await?;
    run(&namespace, &["promote", "web", "--full"]).await?;
    web.until_stable(LIMIT).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn status_follows_a_release_and_ends_as_it_does() -> Result<()> {
    let namespace = plain("status", "steps: [{setWeight: 50}, {pause: {duration: 2}}]").await?;
    let web = Rollout::new(&namespace, "web");
    web.set_image("example:2").await?;
    let printed = run(&namespace, &["status", "web", "--timeout", "90s"]).await?;
    let seen: Vec<_> = printed.lines().collect();
    ensure!(seen.last().is_some_and(|last| last.contains("Healthy")), "{printed}");
    ensure!(seen.iter().any(|line| line.contains("Paused")), "{printed}");

    web.merge_spec(serde_json::json!({"strategy": {"canary": {"steps": [{"pause": {}}]}}})).await?;
    web.set_image("example:3").await?;
    web.until_paused_at(0, LIMIT).await?;
    web.abort().await?;
    web.until_phase("Degraded", LIMIT).await?;
    let (well, printed) = sluice(&namespace, &["status", "web"]).await?;
    ensure!(!well && printed.contains("RolloutAborted"), "{printed}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn get_and_list_show_both_revisions() -> Result<()> {
    let namespace = plain("get", TWO).await?;
    let web = Rollout::new(&namespace, "web");
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;
    web.until_pods(&[("1", 3), ("2", 1)], LIMIT).await?;
    let printed = run(&namespace, &["get", "rollout", "web"]).await?;
    for part in ["example:1", "example:2", "stable", "canary", "Paused", "1/4", "25"] {
        ensure!(printed.contains(part), "`{part}` is not in:\n{printed}");
    }
    let printed = run(&namespace, &["list", "rollouts"]).await?;
    ensure!(printed.contains("web") && printed.contains("Paused"), "{printed}");
    Ok(())
}
