//! What only Istio's routing can do.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use sluice_e2e::{Kind, Namespace, Rollout, eventually, manifest};

use crate::scene::{LIMIT, begin};

const CRDS: &str = include_str!("../../fixtures/istio-crds.yaml");
const VIRTUAL_SERVICE: Kind =
    Kind { group: "networking.istio.io", version: "v1beta1", name: "VirtualService" };

/// `web` with two pods, behind the VirtualService `web` that divides between two Services.
async fn meshed(test: &str, services: (&str, &str), canary: &str) -> Result<Namespace> {
    let namespace = begin(test).await?;
    namespace.apply(CRDS).await?;
    eventually("Istio's kinds to be served", LIMIT, async || {
        namespace.list(VIRTUAL_SERVICE, "").await
    })
    .await?;
    let (stable, other) = services;
    namespace.apply(&[manifest::service(stable), manifest::service(other)].join("---")).await?;
    let service = format!(
        r#"
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {{name: web}}
spec:
  hosts: [web.example]
  http:
  - name: main
    route:
    - {{destination: {{host: {stable}}}, weight: 100}}
    - {{destination: {{host: {other}}}, weight: 0}}
"#
    );
    namespace.apply(&service).await?;
    namespace.apply(&manifest::rollout(2, canary, "")).await?;
    Rollout::new(&namespace, "web").until_stable(LIMIT).await?;
    Ok(namespace)
}

async fn routes(namespace: &Namespace) -> Result<Vec<Value>> {
    let service = namespace.get(VIRTUAL_SERVICE, "web").await?;
    Ok(service["spec"]["http"].as_array().cloned().unwrap_or_default())
}

/// Awaits routes of these names in this order, and returns them.
async fn until_routes(namespace: &Namespace, names: &[&str]) -> Result<Vec<Value>> {
    eventually(&format!("the routes {names:?}"), LIMIT, async || {
        let routes = routes(namespace).await?;
        let seen: Vec<_> = routes.iter().map(|route| route["name"].clone()).collect();
        ensure!(seen == names, "{seen:?}");
        Ok(routes)
    })
    .await
}

const ROUTES: &str = "stableService: web-stable, canaryService: web-canary, trafficRouting: \
     {managedRoutes: [{name: by-header}, {name: mirror}], istio: {virtualService: {name: web}}}";

#[tokio::test(flavor = "multi_thread")]
async fn header_and_mirror_routes_open_by_their_steps_and_go_with_an_abort() -> Result<()> {
    let steps = "steps: [{setCanaryScale: {replicas: 1}}, {setHeaderRoute: {name: by-header, \
         match: [{headerName: X-Canary, headerValue: {exact: \"yes\"}}]}}, {pause: {}}, \
         {setMirrorRoute: {name: mirror, percentage: 20, match: [{method: {exact: GET}}]}}, \
         {pause: {}}, {setHeaderRoute: {name: by-header}}, {pause: {}}]";
    let services = ("web-stable", "web-canary");
    let namespace = meshed("routes", services, &format!("{ROUTES}, {steps}")).await?;
    let web = Rollout::new(&namespace, "web");
    web.set_image("example:2").await?;
    web.until_paused_at(2, LIMIT).await?;
    let routes = until_routes(&namespace, &["by-header", "main"]).await?;
    assert_eq!(routes[0]["match"], json!([{"headers": {"X-Canary": {"exact": "yes"}}}]));
    assert_eq!(routes[0]["route"][0]["destination"]["host"], "web-canary");

    web.resume().await?;
    web.until_paused_at(4, LIMIT).await?;
    let routes = until_routes(&namespace, &["by-header", "mirror", "main"]).await?;
    assert_eq!(routes[1]["mirror"]["host"], "web-canary");
    assert_eq!(routes[1]["mirrorPercentage"]["value"].as_f64(), Some(20.0));

    web.resume().await?;
    web.until_paused_at(6, LIMIT).await?;
    until_routes(&namespace, &["mirror", "main"]).await?;
    web.abort().await?;
    web.until_phase("Degraded", LIMIT).await?;
    until_routes(&namespace, &["main"]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ping_and_pong_change_sides_with_each_promotion() -> Result<()> {
    let canary = "pingPong: {pingService: web-ping, pongService: web-pong}, \
         scaleDownDelaySeconds: 1, trafficRouting: {istio: {virtualService: {name: web}}}, \
         steps: [{setWeight: 50}, {pause: {}}]";
    let namespace = meshed("ping-pong", ("web-ping", "web-pong"), canary).await?;
    let web = Rollout::new(&namespace, "web");
    for (image, stable, weights) in
        [("example:2", "pong", [0, 100]), ("example:3", "ping", [100, 0])]
    {
        web.set_image(image).await?;
        web.until_paused_at(1, LIMIT).await?;
        web.resume().await?;
        let status = web.until_stable(LIMIT).await?;
        assert_eq!(status["canary"]["stablePingPong"], stable);
        let service = namespace.get(Kind::SERVICE, &format!("web-{stable}")).await?;
        let selected = &service["spec"]["selector"]["rollouts-pod-template-hash"];
        assert_eq!(*selected, status["stableRS"]);
        eventually("all traffic on the side that is stable now", LIMIT, async || {
            let routes = routes(&namespace).await?;
            let seen = [0, 1].map(|side| routes[0]["route"][side]["weight"].clone());
            ensure!(seen == weights, "{seen:?}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}
