//! What kubectl and the controllers of Kubernetes do with a rollout.

use anyhow::{Result, ensure};
use serde_json::json;
use sluice_e2e::{Kind, Namespace, Rollout, eventually, manifest};

use crate::scene::{LIMIT, plain, until_scaled};

const HALF: &str = "steps: [{setWeight: 50}, {pause: {}}]";

/// Runs kubectl in the namespace.
async fn kubectl(namespace: &Namespace, arguments: &[&str]) -> Result<String> {
    let all = [arguments, &["-n", namespace.name()]].concat();
    namespace.cluster().kubectl(&all, "").await
}

/// `kubectl wait` for a condition of `web`.
async fn wait(namespace: &Namespace, condition: &str) -> Result<()> {
    let condition = format!("--for={condition}");
    kubectl(namespace, &["wait", &condition, "--timeout=90s", "rollout/web"]).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_waits_for_conditions_of_every_kind() -> Result<()> {
    let namespace = plain("wait", HALF).await?;
    let web = Rollout::new(&namespace, "web");
    for condition in ["Healthy", "Available", "Completed", "Progressing"] {
        wait(&namespace, &format!("condition={condition}")).await?;
    }
    web.set_image("example:2").await?;
    wait(&namespace, "condition=Paused").await?;
    wait(&namespace, "condition=Completed=False").await?;
    wait(&namespace, "condition=Healthy=False").await?;
    wait(&namespace, "jsonpath={.status.phase}=Paused").await?;
    web.resume().await?;
    wait(&namespace, "condition=Paused=False").await?;
    wait(&namespace, "condition=Healthy").await?;
    wait(&namespace, "condition=Completed").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_scales_in_mid_canary_by_the_weight() -> Result<()> {
    let namespace = plain("scale", HALF).await?;
    let web = Rollout::new(&namespace, "web");
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;
    kubectl(&namespace, &["scale", "rollout/web", "--replicas=10"]).await?;
    web.until_pods(&[("1", 5), ("2", 5)], LIMIT).await?;
    until_scaled(&web, 10).await?;
    kubectl(&namespace, &["scale", "rollout/web", "--current-replicas=10", "--replicas=2"]).await?;
    web.until_pods(&[("1", 1), ("2", 1)], LIMIT).await?;
    web.resume().await?;
    web.until_stable(LIMIT).await?;
    web.until_pods(&[("1", 0), ("2", 2)], LIMIT).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_autoscaler_scales_in_mid_canary() -> Result<()> {
    let namespace = plain("autoscaler", HALF).await?;
    let web = Rollout::new(&namespace, "web");
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;
    // Below its least and above its most number of pods an autoscaler needs no metrics.
    let scaler = r#"
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: argoproj.io/v1alpha1, kind: Rollout, name: web}
  minReplicas: 6
  maxReplicas: 8
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]
"#;
    namespace.apply(scaler).await?;
    web.until_pods(&[("1", 3), ("2", 3)], LIMIT).await?;
    eventually("the autoscaler to have seen the pods", LIMIT, async || {
        let scaler = namespace.get(Kind::AUTOSCALER, "web").await?;
        let current = &scaler["status"]["currentReplicas"];
        ensure!(*current == 6, "{current}");
        Ok(())
    })
    .await?;
    web.resume().await?;
    web.until_stable(LIMIT).await?;
    let fewer = json!({"spec": {"minReplicas": 1, "maxReplicas": 2}});
    namespace.merge(Kind::AUTOSCALER, "web", &fewer).await?;
    web.until_pods(&[("1", 0), ("2", 2)], LIMIT).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_get_shows_the_counts_of_pods() -> Result<()> {
    let namespace = plain("columns", "steps: [{setWeight: 25}, {pause: {}}]").await?;
    let web = Rollout::new(&namespace, "web");
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;
    web.until_pods(&[("1", 3), ("2", 1)], LIMIT).await?;
    eventually("the columns", LIMIT, async || {
        let table = kubectl(&namespace, &["get", "ro", "web"]).await?;
        let lines: Vec<Vec<_>> =
            table.lines().map(|line| line.split_whitespace().collect()).collect();
        let head = ["NAME", "DESIRED", "CURRENT", "UP-TO-DATE", "AVAILABLE", "AGE"];
        ensure!(lines[0] == head && lines[1][..5] == ["web", "4", "4", "1", "4"], "{table}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_on_an_old_version_are_refused_and_later_ones_are_kept() -> Result<()> {
    let namespace = plain("edit", HALF).await?;
    let web = Rollout::new(&namespace, "web");
    let old = web.get().await?;
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;
    // An editor that was open all the while.
    let replace = ["replace", "-n", namespace.name(), "-f", "-"];
    let refused = namespace.cluster().kubectl(&replace, &old.to_string()).await;
    ensure!(refused.is_err_and(|error| error.to_string().contains("Conflict")), "it was taken");

    // The user applies everything again in mid-release; the controller's fields are left alone.
    let canary = "steps: [{setWeight: 50}, {pause: {}}]";
    let again = manifest::rollout(6, canary, "").replace("example:1", "example:2");
    namespace.apply(&again).await?;
    web.until_pods(&[("1", 3), ("2", 3)], LIMIT).await?;
    let status = web.until_paused_at(1, LIMIT).await?;
    assert_ne!(status["stableRS"], status["currentPodHash"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn annotations_of_a_rollout_reach_its_revisions_and_make_none() -> Result<()> {
    let namespace = plain("annotate", HALF).await?;
    let web = Rollout::new(&namespace, "web");
    kubectl(&namespace, &["annotate", "rollout/web", "example.com/team=shop"]).await?;
    eventually("the annotation to reach the ReplicaSet", LIMIT, async || {
        let revisions = web.revisions().await?;
        ensure!(revisions.len() == 1, "{revisions:?}");
        let set = namespace.get(Kind::REPLICA_SET, &revisions[0].name).await?;
        let annotations = &set["metadata"]["annotations"];
        ensure!(annotations["example.com/team"] == "shop", "{annotations}");
        ensure!(annotations["rollout.argoproj.io/revision"] == "1", "{annotations}");
        Ok(())
    })
    .await
}
