//! What a person does at the command line, against a real API server.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;
use sluice_e2e::{Controller, Namespace, Rollout, eventually, manifest};

const LIMIT: Duration = Duration::from_secs(60);
const STEPS: &str = "steps: [{setWeight: 50}, {pause: {}}]";

/// What a command printed that ended well; else what it printed is the error.
async fn sluice(namespace: &Namespace, arguments: &[&str]) -> Result<String> {
    let (well, printed) = sluice_e2e::sluice(namespace, arguments).await?;
    ensure!(well, printed);
    Ok(printed)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_explained_promoted_and_taken_back() -> Result<()> {
    let namespace = Namespace::new("cli").await?;
    let controller = Controller::start(&namespace, &[]).await?;
    let web = Rollout::new(&namespace, "web");
    namespace.apply(&manifest::rollout(2, STEPS, "")).await?;
    web.until_phase("Healthy", LIMIT).await?;
    let settled = sluice(&namespace, &["explain", "web"]).await?;
    assert!(settled.contains("waits for    nothing"), "{settled}");

    let set = ["set", "image", "web", "main=example:2"];
    assert_eq!(sluice(&namespace, &set).await?, "rollout 'web' image updated\n");
    web.until_paused_at(1, LIMIT).await?;
    let said = sluice(&namespace, &["explain", "web"]).await?;
    let command = format!("sluice promote web -n {}", namespace.name());
    for part in ["Paused - CanaryPauseStep", "step 2 of 2 (pause)", "somebody promotes", &command] {
        assert!(said.contains(part), "`{part}` is not in:\n{said}");
    }
    let json: Value =
        serde_json::from_str(&sluice(&namespace, &["explain", "web", "-o", "json"]).await?)?;
    assert_eq!(json["waits"]["reason"], "IndefinitePauseStep");
    assert!(json["waits"]["since"].is_string(), "{json}");
    let tree = sluice(&namespace, &["get", "rollout", "web"]).await?;
    for part in ["Waits for:       a pause step", "# revision:2", "Pod", "example:2 (canary)"] {
        assert!(tree.contains(part), "`{part}` is not in:\n{tree}");
    }

    sluice(&namespace, &["promote", "web"]).await?;
    web.until_phase("Healthy", LIMIT).await?;
    assert_eq!(sluice(&namespace, &set).await?, "rollout 'web' has these images already\n");
    let metrics = eventually("the end to be counted", LIMIT, async || {
        let metrics = controller.http("/metrics").await?;
        let count = format!(
            "rollout_duration_seconds_count{{namespace=\"{}\",name=\"web\",status=\"Promoted\"}}",
            namespace.name()
        );
        ensure!(metrics.lines().any(|line| line.starts_with(&count)), "{metrics}");
        Ok(metrics)
    })
    .await?;
    for part in ["kind=\"rollouts\"", "process_cpu_seconds_total", "build_info{"] {
        assert!(metrics.contains(part), "`{part}` is not in:\n{metrics}");
    }

    let undone = sluice(&namespace, &["undo", "web"]).await?;
    assert_eq!(undone, "rollout 'web' undo to revision 1\n");
    web.until_paused_at(1, LIMIT).await?;
    let images: Vec<_> = web.revisions().await?.into_iter().map(|one| one.image).collect();
    assert_eq!(images, ["example:2", "example:1"], "the former revision is the newest one now");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_names_are_answered_with_the_right_ones() -> Result<()> {
    let namespace = Namespace::new("names").await?;
    namespace.cluster().install_crds().await?;
    namespace.apply(&manifest::rollout(1, STEPS, "")).await?;
    let table: [(&[&str], &str); 6] = [
        (&["explain", "wbe"], "rollout \"wbe\" not found"),
        (&["undo", "web"], "there is nothing to go back to"),
        (&["set", "image", "web", "mian=example:2"], "there are: main"),
        (&["terminate", "analysisrun", "nothing"], "analysisrun \"nothing\" not found"),
        (&["get", "experiment", "nothing"], "experiment \"nothing\" not found"),
        (&["terminate", "experiment", "nothing"], "experiment \"nothing\" not found"),
    ];
    for (arguments, expected) in table {
        let error = sluice(&namespace, arguments).await.expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    }
    // No controller runs in this namespace, and that is said.
    let said = sluice(&namespace, &["explain", "web"]).await?;
    assert!(said.contains("a controller to look at the present specification"), "{said}");
    assert!(said.contains("kubectl get leases -A"), "{said}");
    Ok(())
}
