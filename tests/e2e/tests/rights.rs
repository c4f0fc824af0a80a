//! The controller with the rights of its manifests in `host/deploy`, and no others.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::any;
use serde_json::Value;
use sluice_e2e::{Controller, Kind, Namespace, Rollout, eventually, manifest};
use tokio::sync::Mutex;

const LIMIT: Duration = Duration::from_secs(60);

const ANSWER: &str = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1700000000,"0.99"]}]}}"#;

/// One at a time: the controller of a whole cluster would look after the other test's rollout.
static TURN: Mutex<()> = Mutex::const_new(());

/// A metrics server that answers those who know the password.
async fn metrics() -> Result<String> {
    let answer = async |headers: HeaderMap| {
        let known = headers.get("x-password").is_some_and(|value| value == "open sesame");
        if known { Ok(ANSWER) } else { Err((StatusCode::FORBIDDEN, "who are you?")) }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(any(answer))).await });
    Ok(address)
}

/// A release with Services, an Ingress, a Secret and an analysis: all that rights are needed for.
async fn release(namespace: &Namespace) -> Result<()> {
    let template = format!(
        r#"
apiVersion: v1
kind: Secret
metadata: {{name: metrics}}
stringData: {{password: open sesame}}
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {{name: judge}}
spec:
  args: [{{name: password, valueFrom: {{secretKeyRef: {{name: metrics, key: password}}}}}}]
  metrics:
  - name: success
    successCondition: result[0] > 0.95
    provider:
      prometheus:
        address: {}
        query: up
        headers: [{{key: x-password, value: "{{{{args.password}}}}"}}]
"#,
        metrics().await?
    );
    namespace.apply(&template).await?;
    namespace.apply(&manifest::services()).await?;
    namespace.apply(manifest::INGRESS).await?;
    let steps = "steps: [{setWeight: 50}, {analysis: {templates: [{templateName: judge}]}}], \
                 analysis: {templates: [{templateName: judge}]}";
    let canary = format!("{}, {steps}", manifest::NGINX);
    let rollout = manifest::rollout(2, &canary, "").replace("  replicas: 2\n", "");
    namespace.apply(&rollout).await?;
    let web = Rollout::new(namespace, "web");
    web.until_phase("Healthy", LIMIT).await?;
    web.merge_spec(serde_json::json!({"replicas": 2, "revisionHistoryLimit": 0})).await?;
    web.set_image("example:2").await?;
    web.until("the second revision to be stable", LIMIT, |status| {
        ensure!(status["phase"] == "Healthy" && status["stableRS"] == status["currentPodHash"]);
        ensure!(status["replicas"] == 2);
        Ok(())
    })
    .await?;
    // What is beyond the history's limit is deleted, which is a right as well.
    eventually("the first revision to be gone", LIMIT, async || {
        let revisions = web.revisions().await?;
        ensure!(revisions.len() == 1, "{revisions:?}");
        Ok(())
    })
    .await?;
    web.until_events(&["AnalysisRunSuccessful", "RolloutCompleted"], LIMIT).await?;
    for run in web.analysis_runs().await? {
        ensure!(run["status"]["phase"] == "Successful", "{run}");
    }
    experiment(namespace).await
}

/// An experiment with pods, a Service and an analysis, until nothing of it is left but the object.
async fn experiment(namespace: &Namespace) -> Result<()> {
    let probe = r#"
apiVersion: argoproj.io/v1alpha1
kind: Experiment
metadata: {name: probe}
spec:
  duration: 1s
  scaleDownDelaySeconds: 1
  analyses: [{name: check, templateName: judge, requiredForCompletion: true}]
  templates:
  - name: one
    service: {}
    selector: {matchLabels: {app: probe}}
    template:
      metadata: {labels: {app: probe}}
      spec: {containers: [{name: main, image: "example:1", ports: [{containerPort: 80}]}]}
"#;
    namespace.apply(probe).await?;
    eventually("the experiment to be over, and its Service gone", LIMIT, async || {
        let status = namespace.get(Kind::EXPERIMENT, "probe").await?["status"].take();
        ensure!(status["phase"] == "Successful", "{status}");
        ensure!(status["templateStatuses"][0].get("serviceName").is_none(), "{status}");
        ensure!(namespace.find(Kind::SERVICE, "probe-one").await?.is_none());
        Ok(())
    })
    .await
}

/// No line tells of a right that is missing, but for one for each of `absent`, and each is an
/// object with a level and a message.
fn check_log(controller: &Controller, absent: &[&str]) -> Result<()> {
    let log = controller.log()?;
    ensure!(!log.is_empty());
    for line in log.lines() {
        let object: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        ensure!(object["level"].is_string() && object["message"].is_string(), "{line}");
    }
    let denied: Vec<_> =
        log.lines().filter(|line| line.to_lowercase().contains("forbidden")).collect();
    let expected = absent.iter().all(|part| denied.iter().any(|line| line.contains(part)));
    ensure!(denied.len() == absent.len() && expected, "{denied:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn those_for_one_namespace_suffice_in_it() -> Result<()> {
    let _turn = TURN.lock().await;
    let namespace = Namespace::new("own").await?;
    let manifests = include_str!("../../../host/deploy/namespaced.yaml");
    namespace.apply(manifests).await?;
    let account = (namespace.name(), "sluice");
    let arguments = ["--namespaced", "--log-format", "json"];
    let controller = Controller::start_as(&namespace, account, &arguments).await?;
    release(&namespace).await?;
    let lease = namespace.get(Kind::LEASE, "argo-rollouts-controller-lock").await?;
    ensure!(lease["spec"]["holderIdentity"].as_str().is_some_and(|holder| !holder.is_empty()));
    check_log(&controller, &["taken as none", "Plugin objects cannot be watched, and are not used"])
}

#[tokio::test(flavor = "multi_thread")]
async fn those_for_a_cluster_suffice_in_any_namespace() -> Result<()> {
    let _turn = TURN.lock().await;
    let namespace = Namespace::new("any").await?;
    namespace.apply("{apiVersion: v1, kind: Namespace, metadata: {name: argo-rollouts}}").await?;
    let manifests = include_str!("../../../host/deploy/rbac.yaml");
    namespace.cluster().kubectl(&["apply", "--server-side", "-f", "-"], manifests).await?;
    let account = ("argo-rollouts", "sluice");
    let arguments = ["--log-format", "json"];
    let controller = Controller::start_as(&namespace, account, &arguments).await?;
    release(&namespace).await?;
    check_log(&controller, &[])
}
