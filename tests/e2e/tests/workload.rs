//! Rollouts that borrow the template of a Deployment, and what a Rollout leaves behind.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use sluice_e2e::{Controller, Kind, Namespace, Rollout, eventually, manifest};

const LIMIT: Duration = Duration::from_secs(60);

/// A Deployment of three pods, and the Rollout `web` of three that borrows its template.
async fn borrowed(namespace: &Namespace, scale_down: &str) -> Result<()> {
    let deployment = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: lender}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: "example:1"}]}
"#;
    namespace.apply(deployment).await?;
    eventually("the pods of the Deployment", LIMIT, async || {
        let lender = namespace.get(Kind::DEPLOYMENT, "lender").await?;
        ensure!(lender["status"]["availableReplicas"] == 3, "{}", lender["status"]);
        Ok(())
    })
    .await?;
    let rollout = format!(
        r#"
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {{name: web}}
spec:
  replicas: 3
  workloadRef: {{apiVersion: apps/v1, kind: Deployment, name: lender, scaleDown: {scale_down}}}
  strategy: {{canary: {{steps: [{{setWeight: 34}}, {{pause: {{}}}}]}}}}
"#
    );
    namespace.apply(&rollout).await?;
    Ok(())
}

async fn until_lender_has(namespace: &Namespace, pods: u64) -> Result<Value> {
    eventually(&format!("{pods} pods of the Deployment"), LIMIT, async || {
        let lender = namespace.get(Kind::DEPLOYMENT, "lender").await?;
        ensure!(lender["spec"]["replicas"] == pods, "{lender}");
        Ok(lender)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_hands_over_and_gets_its_pods_back() -> Result<()> {
    let namespace = Namespace::new("borrow").await?;
    let mut controller = Controller::start(&namespace, &[]).await?;
    borrowed(&namespace, "onsuccess").await?;
    let web = Rollout::new(&namespace, "web");
    web.until_phase("Healthy", LIMIT).await?;
    until_lender_has(&namespace, 0).await?;

    let template = json!({"spec": {"template": {"spec": {
        "containers": [{"name": "main", "image": "example:2"}],
    }}}});
    namespace.merge(Kind::DEPLOYMENT, "lender", &template).await?;
    let status = web.until_paused_at(1, LIMIT).await?;
    let lender = namespace.get(Kind::DEPLOYMENT, "lender").await?;
    let generation = lender["metadata"]["generation"].to_string();
    assert_eq!(status["workloadObservedGeneration"], generation.as_str());
    web.resume().await?;
    web.until_phase("Healthy", LIMIT).await?;

    // The Rollout goes while nobody looks.
    controller.kill()?;
    namespace.delete(Kind::ROLLOUT, "web").await?;
    eventually("the Rollout to be gone", LIMIT, async || {
        ensure!(namespace.find(Kind::ROLLOUT, "web").await?.is_none(), "it is there");
        Ok(())
    })
    .await?;
    controller.restart()?;
    let lender = until_lender_has(&namespace, 3).await?;
    assert!(!lender["metadata"].to_string().contains("\"sluice.dev/"), "{lender}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_hands_over_pod_by_pod_and_back_without_a_gap() -> Result<()> {
    let namespace = Namespace::new("progressively").await?;
    let _controller = Controller::start(&namespace, &[]).await?;
    borrowed(&namespace, "progressively").await?;
    let web = Rollout::new(&namespace, "web");
    web.until_phase("Healthy", LIMIT).await?;
    until_lender_has(&namespace, 0).await?;
    web.merge_spec(json!({"workloadRef": {"scaleDown": "never"}})).await?;
    until_lender_has(&namespace, 3).await?;
    let revisions = web.revisions().await?;
    assert_eq!((revisions.len(), revisions[0].desired), (1, 3), "{revisions:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_let_go_when_it_is_not_named_any_more() -> Result<()> {
    let namespace = Namespace::new("let-go").await?;
    let _controller = Controller::start(&namespace, &[]).await?;
    namespace.apply(&manifest::services()).await?;
    let canary = "stableService: web-stable, canaryService: web-canary";
    namespace.apply(&manifest::rollout(2, canary, "")).await?;
    let web = Rollout::new(&namespace, "web");
    web.until_phase("Healthy", LIMIT).await?;
    let until = async |name: &str, plain: bool| {
        eventually(&format!("the selector of {name}"), LIMIT, async || {
            let service = namespace.get(Kind::SERVICE, name).await?;
            let is_plain = service["spec"]["selector"] == json!({"app": "web"});
            ensure!(is_plain == plain, "{service}");
            Ok(service)
        })
        .await
    };
    until("web-stable", false).await?;
    until("web-canary", false).await?;
    web.merge_spec(json!({"strategy": {"canary": {"canaryService": null}}})).await?;
    let let_go = until("web-canary", true).await?;
    assert!(!let_go["metadata"].to_string().contains("managed-by-rollouts\":\"web\""), "{let_go}");
    until("web-stable", false).await?;
    namespace.delete(Kind::ROLLOUT, "web").await?;
    until("web-stable", true).await?;
    Ok(())
}
