//! Canaries with a router: where requests go, and which pods are there for them.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sluice_e2e::{Capacity, Kind, Namespace, Rollout, eventually, manifest};

use crate::scene::{LIMIT, begin, until_scaled, until_weight};

const HALF: &str = "steps: [{setWeight: 50}, {pause: {}}]";
const DEADLINE: &str = "/metadata/annotations/scale-down-deadline";

/// `web` with four pods behind nginx, once it is healthy.
async fn routed(test: &str, more: &str) -> Result<Namespace> {
    let namespace = begin(test).await?;
    namespace.apply(&manifest::services()).await?;
    namespace.apply(manifest::INGRESS).await?;
    let canary = format!("{}, {more}", manifest::NGINX_ROUTER);
    namespace.apply(&manifest::rollout(4, &canary, "")).await?;
    Rollout::new(&namespace, "web").until_stable(LIMIT).await?;
    until_weight(&namespace, 0).await?;
    Ok(namespace)
}

/// The deadline of the revision at `index`, oldest first, if it has one.
async fn deadline(namespace: &Namespace, index: usize) -> Result<Option<String>> {
    let revisions = Rollout::new(namespace, "web").revisions().await?;
    let revision = revisions.get(index).context("no such revision")?;
    let set = namespace.get(Kind::REPLICA_SET, &revision.name).await?;
    Ok(set.pointer(DEADLINE).and_then(Value::as_str).map(str::to_owned))
}

async fn until_deadline(namespace: &Namespace, index: usize) -> Result<String> {
    eventually("the deadline of the replaced pods", LIMIT, async || {
        deadline(namespace, index).await?.context("there is none")
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_may_have_a_size_of_its_own() -> Result<()> {
    let steps = "scaleDownDelaySeconds: 1, steps: [{setCanaryScale: {replicas: 3}}, {pause: {}}, \
                 {setCanaryScale: {weight: 50}}, {pause: {}}, \
                 {setCanaryScale: {matchTrafficWeight: true}}, {setWeight: 25}, {pause: {}}]";
    let namespace = routed("own-size", steps).await?;
    let web = Rollout::new(&namespace, "web");
    web.set_image("example:2").await?;
    for (step, pods, weight) in [(1, 3, 0), (3, 2, 0), (6, 1, 25)] {
        web.until_paused_at(step, LIMIT).await?;
        web.until_pods(&[("1", 4), ("2", pods)], LIMIT).await?;
        until_weight(&namespace, weight).await?;
        web.resume().await?;
    }
    web.until_stable(LIMIT).await?;
    until_weight(&namespace, 0).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn stable_pods_make_room_as_the_traffic_moves_and_come_back_before_it() -> Result<()> {
    let namespace = routed("divided", &format!("dynamicStableScale: true, {HALF}")).await?;
    let web = Rollout::new(&namespace, "web");
    let capacity = Capacity::watch(&namespace).await?;
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;
    web.until_pods(&[("1", 2), ("2", 2)], LIMIT).await?;
    until_weight(&namespace, 50).await?;
    web.abort().await?;
    web.until_pods(&[("1", 4), ("2", 0)], LIMIT).await?;
    until_weight(&namespace, 0).await?;
    web.retry().await?;
    web.until_paused_at(1, LIMIT).await?;
    web.promote_full().await?;
    web.until_stable(LIMIT).await?;
    web.until_pods(&[("1", 0), ("2", 4)], LIMIT).await?;
    assert_eq!(capacity.shortages(4), [""; 0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_has_the_least_number_of_pods() -> Result<()> {
    let steps = "minPodsPerReplicaSet: 2, steps: [{setWeight: 10}, {pause: {}}]";
    let namespace = routed("least", steps).await?;
    let web = Rollout::new(&namespace, "web");
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;
    web.until_pods(&[("1", 4), ("2", 2)], LIMIT).await?;
    until_weight(&namespace, 10).await
}

#[tokio::test(flavor = "multi_thread")]
async fn replaced_pods_live_until_their_deadline() -> Result<()> {
    let namespace = routed("delay", "scaleDownDelaySeconds: 3, steps: [{setWeight: 50}]").await?;
    let web = Rollout::new(&namespace, "web");
    web.release("example:2", LIMIT).await?;
    until_deadline(&namespace, 0).await?;
    web.until_pods(&[("1", 0), ("2", 4)], LIMIT).await?;
    eventually("the deadline to be taken away", LIMIT, async || {
        let left = deadline(&namespace, 0).await?;
        ensure!(left.is_none(), "{left:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_replaced_revisions_keep_their_pods() -> Result<()> {
    let limit = "scaleDownDelaySeconds: 600, scaleDownDelayRevisionLimit: 1";
    let namespace = routed("delayed", &format!("{limit}, steps: [{{setWeight: 50}}]")).await?;
    let web = Rollout::new(&namespace, "web");
    web.release("example:2", LIMIT).await?;
    until_deadline(&namespace, 0).await?;
    web.until_pods(&[("1", 4), ("2", 4)], LIMIT).await?;
    web.release("example:3", LIMIT).await?;
    web.until_pods(&[("1", 0), ("2", 4), ("3", 4)], LIMIT).await?;
    until_deadline(&namespace, 1).await?;
    Ok(())
}

/// An aborted release of `example:2` behind nginx.
async fn aborted(test: &str, delay: &str) -> Result<Namespace> {
    let namespace = routed(test, &format!("{delay}{HALF}")).await?;
    let web = Rollout::new(&namespace, "web");
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;
    web.abort().await?;
    web.until_phase("Degraded", LIMIT).await?;
    until_weight(&namespace, 0).await?;
    Ok(namespace)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aborted_canary_goes_after_its_delay() -> Result<()> {
    let namespace = aborted("abort-delay", "abortScaleDownDelaySeconds: 2, ").await?;
    let web = Rollout::new(&namespace, "web");
    web.until_pods(&[("1", 4), ("2", 0)], LIMIT).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aborted_canary_stays_for_half_a_minute_by_default() -> Result<()> {
    let namespace = aborted("abort-default", "").await?;
    let web = Rollout::new(&namespace, "web");
    let ends = kube_time(&until_deadline(&namespace, 1).await?)?;
    let status = web.status().await?;
    let aborted = kube_time(status["abortedAt"].as_str().context("no time of the abort")?)?;
    assert!((30..=45).contains(&(ends - aborted)), "{} s", ends - aborted);
    web.until_pods(&[("1", 4), ("2", 2)], LIMIT).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aborted_canary_stays_for_good_where_the_delay_is_nothing() -> Result<()> {
    let namespace = aborted("abort-never", "abortScaleDownDelaySeconds: 0, ").await?;
    let web = Rollout::new(&namespace, "web");
    // Another size of the fleet makes the controller look at all of it again.
    web.merge_spec(json!({"replicas": 5})).await?;
    web.until("the stable revision to have grown", LIMIT, |status| {
        ensure!(status["availableReplicas"] == 7, "{}", status["availableReplicas"]);
        Ok(())
    })
    .await?;
    web.until_pods(&[("1", 5), ("2", 2)], LIMIT).await?;
    assert_eq!(deadline(&namespace, 1).await?, None);
    Ok(())
}

/// Seconds since 1970 of a time such as `2024-01-31T12:00:00Z`, by the calendar of any month.
fn kube_time(text: &str) -> Result<i64> {
    use k8s_openapi::jiff::Timestamp;
    Ok(text.parse::<Timestamp>()?.as_second())
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_may_be_of_another_whole() -> Result<()> {
    let namespace = begin("whole").await?;
    namespace.apply(&manifest::services()).await?;
    namespace.apply(manifest::INGRESS).await?;
    let router = manifest::NGINX_ROUTER.replace("{nginx:", "{maxTrafficWeight: 1000, nginx:");
    let canary = format!("{router}, steps: [{{setWeight: 255}}, {{pause: {{}}}}]");
    namespace.apply(&manifest::rollout(4, &canary, "")).await?;
    let web = Rollout::new(&namespace, "web");
    web.until_stable(LIMIT).await?;
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;
    web.until_pods(&[("1", 4), ("2", 2)], LIMIT).await?;
    until_weight(&namespace, 255).await?;
    let ingress = namespace.get(Kind::INGRESS, "web-web-canary").await?;
    let annotations = &ingress["metadata"]["annotations"];
    assert_eq!(annotations["nginx.ingress.kubernetes.io/canary-weight-total"], "1000");
    let status = web.status().await?;
    assert_eq!(status["canary"]["weights"]["canary"]["weight"], 255);
    assert_eq!(status["canary"]["weights"]["stable"]["weight"], 745);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_ingress_gets_a_canary_with_the_annotations_that_are_asked_for() -> Result<()> {
    let namespace = begin("ingresses").await?;
    namespace.apply(&manifest::services()).await?;
    namespace.apply(manifest::INGRESS).await?;
    namespace.apply(&manifest::INGRESS.replace("{name: web}", "{name: admin}")).await?;
    let nginx = "{stableIngresses: [web, admin], annotationPrefix: nginx.example.com, \
                 additionalIngressAnnotations: {canary-by-header: X-Canary}}";
    let router = manifest::NGINX_ROUTER.replace("{stableIngress: web}", nginx);
    let canary = format!("{router}, steps: [{{setWeight: 30}}, {{pause: {{}}}}]");
    namespace.apply(&manifest::rollout(2, &canary, "")).await?;
    let web = Rollout::new(&namespace, "web");
    web.until_stable(LIMIT).await?;
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;
    for name in ["web-web-canary", "web-admin-canary"] {
        eventually(&format!("the annotations of {name}"), LIMIT, async || {
            let ingress = namespace.get(Kind::INGRESS, name).await?;
            let annotations = &ingress["metadata"]["annotations"];
            let values = ["canary", "canary-weight", "canary-by-header"]
                .map(|key| annotations[format!("nginx.example.com/{key}")].clone());
            ensure!(values == ["true", "30", "X-Canary"], "{annotations}");
            let backend = &ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"];
            ensure!(backend["name"] == "web-canary", "{backend}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superseded_canary_gives_its_traffic_back_before_the_next_begins() -> Result<()> {
    let namespace =
        routed("supersede-routed", &format!("scaleDownDelaySeconds: 1, {HALF}")).await?;
    let web = Rollout::new(&namespace, "web");
    let capacity = Capacity::watch(&namespace).await?;
    let weights = web.nginx_weights("web").await?;
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;
    until_weight(&namespace, 50).await?;
    web.set_image("example:3").await?;
    web.until_paused_at(1, LIMIT).await?;
    web.until_pods(&[("1", 4), ("2", 0), ("3", 2)], LIMIT).await?;
    assert_eq!(weights.ends_with(&50, LIMIT).await?, [0, 50, 0, 50]);
    assert_eq!(capacity.shortages(4), [""; 0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_traffic_may_go_to_a_canary_that_is_not_stable_yet() -> Result<()> {
    let namespace = routed("all", "steps: [{setWeight: 100}, {pause: {}}]").await?;
    let web = Rollout::new(&namespace, "web");
    let capacity = Capacity::watch(&namespace).await?;
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;
    until_weight(&namespace, 100).await?;
    web.until_pods(&[("1", 4), ("2", 4)], LIMIT).await?;
    let status = web.status().await?;
    assert_ne!(status["stableRS"], status["currentPodHash"]);
    web.abort().await?;
    until_weight(&namespace, 0).await?;
    assert_eq!(capacity.shortages(4), [""; 0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_autoscaler_scales_both_sides_of_a_routed_release() -> Result<()> {
    let namespace = routed("scale-routed", HALF).await?;
    let web = Rollout::new(&namespace, "web");
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;
    web.merge_spec(json!({"replicas": 8})).await?;
    web.until_pods(&[("1", 8), ("2", 4)], LIMIT).await?;
    until_scaled(&web, 12).await?;
    until_weight(&namespace, 50).await
}
