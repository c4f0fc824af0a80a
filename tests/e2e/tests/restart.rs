//! Pods that are replaced because a user says so.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;
use sluice_e2e::{Controller, Kind, Namespace, Rollout, eventually, manifest};

const LIMIT: Duration = Duration::from_secs(90);

async fn pods(namespace: &Namespace) -> Result<Vec<String>> {
    let pods = namespace.list(Kind::POD, "app=web").await?;
    let living = pods.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    let mut names: Vec<_> =
        living.map(|pod| pod["metadata"]["name"].as_str().unwrap_or_default().to_owned()).collect();
    names.sort();
    Ok(names)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_hears_a_disruption_budget() -> Result<()> {
    let namespace = Namespace::new("restart").await?;
    let controller = Controller::start(&namespace, &[]).await?;
    namespace.apply(&manifest::rollout(3, "maxUnavailable: 2", "")).await?;
    let web = Rollout::new(&namespace, "web");
    web.until_phase("Healthy", LIMIT).await?;
    let before = pods(&namespace).await?;
    let budget = r#"
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: all}
spec: {minAvailable: 3, selector: {matchLabels: {app: web}}}
"#;
    namespace.apply(budget).await?;
    let kind = Kind { group: "policy", version: "v1", name: "PodDisruptionBudget" };
    eventually("the budget to be counted", LIMIT, async || {
        let budget = namespace.get(kind, "all").await?;
        ensure!(budget["status"]["currentHealthy"] == 3, "{}", budget["status"]);
        Ok(())
    })
    .await?;
    // Pods count as older only if a whole second is between.
    let youngest = namespace.list(Kind::POD, "app=web").await?;
    let youngest = youngest.iter().filter_map(|pod| {
        pod["metadata"]["creationTimestamp"].as_str()?.parse::<k8s_openapi::jiff::Timestamp>().ok()
    });
    let youngest = youngest.max().unwrap_or_default();
    let at = (youngest + k8s_openapi::jiff::SignedDuration::from_secs(1)).to_string();
    web.merge_spec(json!({"restartAt": at})).await?;
    web.until_message("rollout is restarting", LIMIT).await?;
    eventually("the budget to be heard", LIMIT, async || {
        let refused = controller.log()?.contains("disruption budget");
        ensure!(refused, "no eviction was refused yet");
        Ok(())
    })
    .await?;
    assert_eq!(pods(&namespace).await?, before, "the budget keeps all of them");

    namespace.merge(kind, "all", &json!({"spec": {"minAvailable": 2}})).await?;
    let status = web
        .until("the restart to be done", LIMIT, |status| {
            ensure!(status["restartedAt"] == at.as_str(), "{}", status["restartedAt"]);
            Ok(())
        })
        .await?;
    assert_eq!(status["restartedAt"], at.as_str());
    web.until_phase("Healthy", LIMIT).await?;
    let after = pods(&namespace).await?;
    assert_eq!(after.len(), 3);
    assert!(after.iter().all(|pod| !before.contains(pod)), "{before:?} {after:?}");
    Ok(())
}
