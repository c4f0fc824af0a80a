//! The harness's view of a rollout, with a status that the test itself writes.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use sluice_e2e::{Capacity, Kind, Namespace, Revision, Rollout, manifest};

const SOON: Duration = Duration::from_secs(10);

const ROLLOUT: &str = r#"
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  strategy: {canary: {steps: [{setWeight: 20}, {pause: {}}]}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: "example:1"}]}
"#;

async fn namespace(test: &str) -> Result<Namespace> {
    let namespace = Namespace::new(test).await?;
    namespace.cluster().install_crds().await?;
    Ok(namespace)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_counts_once_it_is_of_the_present_spec() -> Result<()> {
    let namespace = namespace("observed").await?;
    namespace.apply(ROLLOUT).await?;
    let rollout = Rollout::new(&namespace, "web");
    let healthy = json!({"phase": "Healthy", "observedGeneration": "1"});
    rollout.merge_status(healthy).await?;
    rollout.until_phase("Healthy", SOON).await?;

    rollout.set_image("example:2").await?;
    let brief = Duration::from_millis(300);
    let stale = rollout.until_phase("Healthy", brief).await.expect_err("a stale status counted");
    assert!(stale.to_string().contains("generation 2 is not observed yet"), "{stale:#}");

    rollout.merge_status(json!({"observedGeneration": "2"})).await?;
    rollout.until_phase("Healthy", SOON).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_in_vain_names_the_state() -> Result<()> {
    let namespace = namespace("vain").await?;
    namespace.apply(ROLLOUT).await?;
    let rollout = Rollout::new(&namespace, "web");
    let status = json!({"phase": "Paused", "message": "CanaryPauseStep", "currentStepIndex": 1,
        "observedGeneration": "1"});
    rollout.merge_status(status).await?;
    rollout.until_paused_at(1, SOON).await?;
    rollout.until_message("PauseStep", SOON).await?;

    let brief = Duration::from_millis(300);
    let failure = rollout.until_step(2, brief).await.expect_err("step 2 was found");
    let failure = failure.to_string();
    for part in ["step 2 of web", "phase \"Paused\"", "CanaryPauseStep", "step 1"] {
        assert!(failure.contains(part), "`{part}` is not in: {failure}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_intents_reach_the_object() -> Result<()> {
    let namespace = namespace("intents").await?;
    namespace.apply(ROLLOUT).await?;
    let rollout = Rollout::new(&namespace, "web");
    let pause = json!({"reason": "CanaryPauseStep", "startTime": "2026-01-01T00:00:00Z"});
    rollout.merge_status(json!({"pauseConditions": [pause]})).await?;
    rollout.resume().await?;
    rollout.abort().await?;
    rollout.promote_full().await?;
    rollout.merge_spec(json!({"paused": true})).await?;

    let object = rollout.get().await?;
    assert_eq!(object["status"]["pauseConditions"], json!(null));
    assert_eq!(object["status"]["abort"], true);
    assert_eq!(object["status"]["promoteFull"], true);
    assert_eq!(object["spec"]["paused"], true);

    rollout.retry().await?;
    assert_ne!(rollout.status().await?["abort"], true);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sequences_are_recorded_whole() -> Result<()> {
    let namespace = namespace("sequences").await?;
    let rollout = Rollout::new(&namespace, "web");
    let steps = rollout.steps().await?;
    let phases = rollout.phases().await?;
    let weights = rollout.nginx_weights("public").await?;

    namespace.apply(ROLLOUT).await?;
    for step in 0..3 {
        rollout.merge_status(json!({"currentStepIndex": step, "phase": "Progressing"})).await?;
    }
    rollout.merge_status(json!({"phase": "Paused", "message": "CanaryPauseStep"})).await?;
    for weight in [0, 20, 20, 60] {
        namespace.apply(&canary_ingress(weight)).await?;
    }

    assert_eq!(steps.ends_with(&2, SOON).await?, [0, 1, 2]);
    let last = "Paused: CanaryPauseStep".to_owned();
    assert_eq!(phases.ends_with(&last, SOON).await?, ["Progressing", &last]);
    assert_eq!(weights.ends_with(&60, SOON).await?, [0, 20, 60]);
    assert_eq!(rollout.nginx_weight("public").await?, Some(60));
    assert_eq!(rollout.nginx_weight("absent").await?, None);
    Ok(())
}

fn canary_ingress(weight: u32) -> String {
    format!(
        r#"
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web-public-canary
  annotations: {{nginx.ingress.kubernetes.io/canary-weight: "{weight}"}}
spec:
  defaultBackend: {{service: {{name: canary, port: {{number: 80}}}}}}
"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn revisions_are_the_replica_sets_that_it_owns() -> Result<()> {
    let namespace = namespace("revisions").await?;
    let owner = namespace.apply(ROLLOUT).await?[0]["metadata"]["uid"].take();
    for (revision, replicas, owned) in [("2", 1, true), ("1", 4, true), ("7", 1, false)] {
        let owner = if owned { owner.as_str() } else { None };
        namespace.apply(&replica_set(revision, replicas, owner)).await?;
    }

    let rollout = Rollout::new(&namespace, "web");
    let revision = |number: u64, count: u64| Revision {
        number,
        name: format!("web-{number}"),
        hash: format!("hash{number}"),
        image: format!("example:{number}"),
        desired: count,
        ready: count,
        available: count,
    };
    let expected = [revision(1, 4), revision(2, 1)];
    sluice_e2e::eventually("the pods of both revisions", SOON, async || {
        let seen = rollout.revisions().await?;
        anyhow::ensure!(seen == expected, "{seen:?}");
        Ok(())
    })
    .await?;
    assert_eq!(namespace.list(Kind::REPLICA_SET, "").await?.len(), 3);
    Ok(())
}

fn replica_set(revision: &str, replicas: u32, owner: Option<&str>) -> String {
    let owners = owner.map_or(String::new(), |uid| {
        format!(
            "{{apiVersion: argoproj.io/v1alpha1, kind: Rollout, name: web, uid: {uid}, controller: true}}"
        )
    });
    let labels = format!("{{app: \"web{revision}\", rollouts-pod-template-hash: hash{revision}}}");
    format!(
        r#"
apiVersion: apps/v1
kind: ReplicaSet
metadata:
  name: web-{revision}
  labels: {labels}
  annotations: {{rollout.argoproj.io/revision: "{revision}"}}
  ownerReferences: [{owners}]
spec:
  replicas: {replicas}
  selector: {{matchLabels: {labels}}}
  template:
    metadata: {{labels: {labels}}}
    spec: {{containers: [{{name: main, image: "example:{revision}"}}]}}
"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn traffic_without_pods_is_a_shortage() -> Result<()> {
    let namespace = namespace("shortage").await?;
    let capacity = Capacity::watch(&namespace).await?;
    let select = |service: &str, hash: &str| {
        let selector = format!("{{app: web, rollouts-pod-template-hash: {hash}}}");
        manifest::service(service).replace("{app: web}", &selector)
    };
    namespace.apply(&select("web-stable", "hash1")).await?;
    namespace.apply(&select("web-canary", "hash2")).await?;
    for (revision, replicas) in [("1", 4), ("2", 1)] {
        namespace.apply(&replica_set(revision, replicas, None)).await?;
    }
    // The pods have to be there first: the order of the writes is what counts.
    sluice_e2e::eventually("five pods", SOON, async || {
        let sets = namespace.list(Kind::REPLICA_SET, "").await?;
        let available = sets.iter().filter_map(|set| set["status"]["availableReplicas"].as_u64());
        anyhow::ensure!(available.sum::<u64>() == 5, "{sets:?}");
        Ok(())
    })
    .await?;
    let recorded = async |weight: u32| {
        namespace.apply(&canary_ingress(weight).replace("web-public", "web-web")).await?;
        sluice_e2e::eventually("the weight to be recorded", SOON, async || {
            let moments = capacity.moments();
            let last = sluice_e2e::Moment::Weight(weight);
            anyhow::ensure!(moments.last() == Some(&last), "{moments:?}");
            Ok(capacity.shortages(4))
        })
        .await
    };
    assert_eq!(recorded(25).await?, [""; 0]);
    let shortages = recorded(26).await?;
    assert_eq!(shortages.len(), 1, "{shortages:?}");
    assert!(shortages[0].contains("web-canary gets 26 % and has 1 of 2 pods"), "{shortages:?}");
    Ok(())
}
