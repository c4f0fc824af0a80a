//! Releases that are routed by Istio's objects.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use sluice_e2e::{Controller, History, Kind, Namespace, Rollout, eventually, manifest};

const LIMIT: Duration = Duration::from_secs(120);
const CRDS: &str = include_str!("../../fixtures/istio-crds.yaml");
const VIRTUAL_SERVICE: Kind =
    Kind { group: "networking.istio.io", version: "v1beta1", name: "VirtualService" };
const DESTINATION_RULE: Kind = Kind { name: "DestinationRule", ..VIRTUAL_SERVICE };

const STEPS: &str = "scaleDownDelaySeconds: 1, abortScaleDownDelaySeconds: 1, \
     steps: [{setWeight: 20}, {pause: {duration: 1s}}, {setWeight: 60}, {pause: {}}]";

/// A namespace in a cluster that knows Istio's kinds, under the eyes of the controller.
async fn start(test: &str) -> Result<Namespace> {
    let namespace = Namespace::new(test).await?;
    namespace.apply(CRDS).await?;
    eventually("Istio's kinds to be served", LIMIT, async || {
        namespace.list(VIRTUAL_SERVICE, "").await?;
        namespace.list(DESTINATION_RULE, "").await
    })
    .await?;
    Controller::shared(&namespace).await?;
    Ok(namespace)
}

/// The VirtualService `web` with a route `main` of these destinations, stable first, and another
/// one that is none of the rollout's business.
fn virtual_service(stable: &str, canary: &str) -> String {
    format!(
        r#"
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {{name: web}}
spec:
  hosts: [web.example]
  http:
  - name: main
    timeout: 3s
    route:
    - {{destination: {stable}, weight: 100}}
    - {{destination: {canary}, weight: 0}}
  - name: other
    route: [{{destination: {{host: other}}}}]
"#
    )
}

/// Records the weights of both destinations of the route `main`.
async fn weights(namespace: &Namespace) -> Result<History<(u64, u64)>> {
    History::record(namespace, VIRTUAL_SERVICE, "web", |service| {
        let weight = |at| service.pointer(&format!("/spec/http/0/route/{at}/weight"))?.as_u64();
        Some((weight(0)?, weight(1)?))
    })
    .await
}

/// Releases `example:2`, with a look at the weights on the way.
async fn release(web: &Rollout<'_>, weights: &History<(u64, u64)>) -> Result<()> {
    web.set_image("example:2").await?;
    web.until_paused_at(3, LIMIT).await?;
    let half = weights.ends_with(&(40, 60), LIMIT).await?;
    assert_eq!(half, [(100, 0), (80, 20), (40, 60)]);
    web.resume().await?;
    web.until_phase("Healthy", LIMIT).await?;
    let all = weights.ends_with(&(100, 0), LIMIT).await?;
    assert_eq!(all, [(100, 0), (80, 20), (40, 60), (0, 100), (100, 0)]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_follow_the_steps_between_services() -> Result<()> {
    let namespace = start("hosts").await?;
    namespace.apply(&manifest::services()).await?;
    namespace.apply(&virtual_service("{host: web-stable}", "{host: web-canary}")).await?;
    let weights = weights(&namespace).await?;
    let web = Rollout::new(&namespace, "web");
    let router = "stableService: web-stable, canaryService: web-canary, \
         trafficRouting: {istio: {virtualService: {name: web, routes: [main]}}}";
    namespace.apply(&manifest::rollout(5, &format!("{router}, {STEPS}"), "")).await?;
    web.until_phase("Healthy", LIMIT).await?;
    release(&web, &weights).await?;

    let service = namespace.get(VIRTUAL_SERVICE, "web").await?;
    assert_eq!(service["spec"]["http"][0]["timeout"], "3s", "what is the user's stays");
    let other = json!({"name": "other", "route": [{"destination": {"host": "other"}}]});
    assert_eq!(service["spec"]["http"][1], other);
    web.until_events(&["Updated VirtualService"], LIMIT).await?;
    Ok(())
}

/// The revision that each subset of the DestinationRule `web` selects, as it is now.
async fn subsets(namespace: &Namespace) -> Result<Vec<(String, String)>> {
    let rule = namespace.get(DESTINATION_RULE, "web").await?;
    let subsets = rule["spec"]["subsets"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(subsets
        .iter()
        .map(|subset| {
            (text(&subset["name"]), text(&subset["labels"]["rollouts-pod-template-hash"]))
        })
        .collect())
}

async fn until_subsets(namespace: &Namespace, stable: &str, canary: &str) -> Result<()> {
    let expected = [("stable", stable), ("canary", canary)];
    let expected = expected.map(|(name, hash)| (name.to_owned(), hash.to_owned()));
    eventually(&format!("subsets like {expected:?}"), LIMIT, async || {
        let seen = subsets(namespace).await?;
        ensure!(seen == expected, "{seen:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_follow_the_steps_between_subsets() -> Result<()> {
    let namespace = start("subsets").await?;
    let rule = r#"
apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata: {name: web}
spec:
  host: web
  subsets:
  - {name: stable, labels: {app: web}}
  - {name: canary, labels: {app: web}}
"#;
    namespace.apply(&manifest::service("web")).await?;
    namespace.apply(rule).await?;
    let destination = |subset: &str| format!("{{host: web, subset: {subset}}}");
    let service = virtual_service(&destination("stable"), &destination("canary"));
    namespace.apply(&service).await?;
    let weights = weights(&namespace).await?;
    let web = Rollout::new(&namespace, "web");
    let router = "trafficRouting: {istio: {virtualService: {name: web, routes: [main]}, \
         destinationRule: {name: web, stableSubsetName: stable, canarySubsetName: canary}}}";
    namespace.apply(&manifest::rollout(5, &format!("{router}, {STEPS}"), "")).await?;
    web.until_phase("Healthy", LIMIT).await?;
    let first = web.revisions().await?.pop().map(|first| first.hash).unwrap_or_default();
    until_subsets(&namespace, &first, &first).await?;

    web.set_image("example:2").await?;
    web.until_paused_at(3, LIMIT).await?;
    let second = web.revisions().await?.pop().map(|second| second.hash).unwrap_or_default();
    until_subsets(&namespace, &first, &second).await?;
    let half = weights.ends_with(&(40, 60), LIMIT).await?;
    assert_eq!(half, [(100, 0), (80, 20), (40, 60)]);

    web.resume().await?;
    web.until_phase("Healthy", LIMIT).await?;
    until_subsets(&namespace, &second, &second).await?;
    let all = weights.ends_with(&(100, 0), LIMIT).await?;
    assert_eq!(all, [(100, 0), (80, 20), (40, 60), (0, 100), (100, 0)]);
    web.until_events(&["UpdatedDestinationRule"], LIMIT).await?;
    Ok(())
}
