//! What is around a rollout: others in its namespace, names that are taken, and its end.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use sluice_e2e::{Kind, Namespace, Rollout, eventually, manifest};

use crate::scene::{LIMIT, begin, deployed, plain, pods, until_said};

const HALF: &str = "steps: [{setWeight: 50}, {pause: {}}]";
/// The hash that the template of `web` with the image `example:2` has for Argo's controller.
const SECOND: &str = "586d684ccc";

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_taken_is_counted_as_a_collision() -> Result<()> {
    let namespace = plain("collision", HALF).await?;
    let taken = format!(
        r#"
apiVersion: apps/v1
kind: ReplicaSet
metadata: {{name: web-{SECOND}}}
spec:
  replicas: 0
  selector: {{matchLabels: {{app: other}}}}
  template:
    metadata: {{labels: {{app: other}}}}
    spec: {{containers: [{{name: main, image: "other:1"}}]}}
"#
    );
    let taken = namespace.apply(&taken).await?.remove(0);
    let web = Rollout::new(&namespace, "web");
    web.set_image("example:2").await?;
    let status = web.until_paused_at(1, LIMIT).await?;
    assert_eq!(status["collisionCount"], 1);
    let second = &web.until_pods(&[("1", 2), ("2", 2)], LIMIT).await?[1];
    assert_ne!(second.hash, SECOND);
    let now = namespace.get(Kind::REPLICA_SET, &format!("web-{SECOND}")).await?;
    assert_eq!(now["spec"], taken["spec"], "it is left alone");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_has_the_name_that_argo_gives_it() -> Result<()> {
    let namespace = plain("names", HALF).await?;
    let web = Rollout::new(&namespace, "web");
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;
    assert_eq!(web.revisions().await?[1].name, format!("web-{SECOND}"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_rollout_made_goes_with_it() -> Result<()> {
    let namespace = begin("deleted").await?;
    namespace.apply(&manifest::services()).await?;
    namespace.apply(manifest::INGRESS).await?;
    let canary = format!("{}, {HALF}", manifest::NGINX);
    namespace.apply(&manifest::rollout(2, &canary, "")).await?;
    let web = Rollout::new(&namespace, "web");
    web.until_stable(LIMIT).await?;
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;
    namespace.delete(Kind::ROLLOUT, "web").await?;
    eventually("everything of the rollout to be gone", LIMIT, async || {
        for (kind, left) in [(Kind::REPLICA_SET, 0), (Kind::POD, 0), (Kind::INGRESS, 1)] {
            let there = namespace.list(kind, "").await?.len();
            ensure!(there == left, "{there} of {}", kind.name);
        }
        Ok(())
    })
    .await?;
    let kept = namespace.get(Kind::INGRESS, "web").await?;
    assert_eq!(kept["metadata"]["name"], "web", "what is the user's stays");

    // The same again under the same name begins anew.
    namespace.apply(&manifest::rollout(2, &canary, "")).await?;
    web.until_stable(LIMIT).await?;
    assert_eq!(web.revisions().await?[0].number, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn orphaned_revisions_are_adopted_without_a_new_pod() -> Result<()> {
    let namespace = plain("orphans", HALF).await?;
    let before = pods(&namespace).await?;
    let delete = ["delete", "rollout/web", "--cascade=orphan", "-n", namespace.name()];
    namespace.cluster().kubectl(&delete, "").await?;
    let web = Rollout::new(&namespace, "web");
    eventually("the ReplicaSet to be an orphan", LIMIT, async || {
        let owned = web.revisions().await?;
        ensure!(owned.is_empty(), "{owned:?}");
        Ok(())
    })
    .await?;
    namespace.apply(&manifest::rollout(4, HALF, "")).await?;
    web.until_stable(LIMIT).await?;
    web.until_pods(&[("1", 4)], LIMIT).await?;
    assert_eq!(pods(&namespace).await?, before);
    Ok(())
}

/// Another rollout beside `web`, with pods of its own.
fn beside(name: &str, canary: &str) -> String {
    manifest::rollout(2, canary, "")
        .replace("{name: web}", &format!("{{name: {name}}}"))
        .replace("app: web", &format!("app: {name}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn rollouts_of_one_namespace_do_not_disturb_each_other() -> Result<()> {
    let namespace = plain("shared", HALF).await?;
    for name in ["shop", "blog"] {
        namespace.apply(&beside(name, HALF)).await?;
        Rollout::new(&namespace, name).until_stable(LIMIT).await?;
    }
    let [web, shop, blog] = ["web", "shop", "blog"].map(|name| Rollout::new(&namespace, name));
    for rollout in [web, shop, blog] {
        rollout.set_image("example:2").await?;
        rollout.until_paused_at(1, LIMIT).await?;
    }
    shop.abort().await?;
    blog.resume().await?;
    shop.until_phase("Degraded", LIMIT).await?;
    blog.until_stable(LIMIT).await?;
    web.until_paused_at(1, LIMIT).await?;
    web.until_pods(&[("1", 2), ("2", 2)], LIMIT).await?;
    shop.until_pods(&[("1", 2), ("2", 0)], LIMIT).await?;
    blog.until_pods(&[("1", 0), ("2", 2)], LIMIT).await?;
    Ok(())
}

/// Applies `web` with this patch of its specification, and awaits the words about it.
async fn refused(namespace: &Namespace, patch: Value, words: &[&str]) -> Result<()> {
    let web = Rollout::new(namespace, "web");
    web.merge_spec(patch.clone()).await?;
    let status = until_said(&web, &[&["InvalidSpec"], words].concat()).await?;
    ensure!(status["phase"] == "Degraded", "{patch}: {status}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_rollout_says_so_and_does_not_stop_its_neighbour() -> Result<()> {
    let namespace = plain("malformed", HALF).await?;
    namespace.apply(&beside("shop", HALF)).await?;
    let shop = Rollout::new(&namespace, "shop");
    shop.until_stable(LIMIT).await?;
    let steps = |steps: Value| json!({"strategy": {"canary": {"steps": steps}}});
    let before = pods(&namespace).await?;
    refused(&namespace, steps(json!([{"setWeight": 5, "pause": {}}])), &["steps[0]"]).await?;
    refused(&namespace, steps(json!([{}])), &["steps[0]"]).await?;
    refused(&namespace, steps(json!([{"pause": {"duration": "soon"}}])), &["steps[0].pause"])
        .await?;
    refused(&namespace, steps(json!([{"setCanaryScale": {"replicas": 1}}])), &["setCanaryScale"])
        .await?;
    let labels = json!({"app": "stranger"});
    refused(
        &namespace,
        json!({"strategy": {"canary": {"steps": null}},
            "template": {"metadata": {"labels": labels}}}),
        &["spec.template.metadata.labels"],
    )
    .await?;
    let both = json!({"template": {"metadata": {"labels": {"app": "web"}}},
        "strategy": {"blueGreen": {"activeService": "web"}}});
    refused(&namespace, both, &["spec.strategy"]).await?;
    refused(
        &namespace,
        json!({"strategy": {"blueGreen": null}, "workloadRef": {"kind": "Deployment",
        "apiVersion": "apps/v1", "name": "web"}}),
        &["spec.workloadRef"],
    )
    .await?;
    assert_eq!(pods(&namespace).await?, before, "what runs goes on running");

    shop.set_image("example:2").await?;
    shop.until_paused_at(1, LIMIT).await?;
    shop.resume().await?;
    shop.until_stable(LIMIT).await?;
    let web = Rollout::new(&namespace, "web");
    web.merge_spec(json!({"workloadRef": null})).await?;
    web.until_stable(LIMIT).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_without_a_number_of_pods_gets_one() -> Result<()> {
    let rollout = manifest::rollout(1, HALF, "").replace("  replicas: 1\n", "");
    let namespace = deployed("unsized", &rollout).await?;
    let web = Rollout::new(&namespace, "web");
    assert_eq!(web.get().await?["spec"]["replicas"], 1);
    web.until_pods(&[("1", 1)], LIMIT).await?;
    Ok(())
}

/// Applies `web` with this pod specification, and awaits that something is said about it.
async fn impossible(namespace: &Namespace, pod: Value, word: &str) -> Result<()> {
    let web = Rollout::new(namespace, "web");
    web.merge_spec(json!({"template": {"spec": pod}})).await?;
    eventually(&format!("`{word}` to be told"), LIMIT, async || {
        let status = web.status().await?.to_string();
        let events = web.events().await?;
        let warned =
            events.iter().any(|one| one.severity == "Warning" && one.message.contains(word));
        ensure!(warned || status.contains(word), "{status} {events:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_no_pod_can_be_made_of_is_told_and_stops_nobody() -> Result<()> {
    let namespace = plain("impossible", HALF).await?;
    namespace.apply(&beside("shop", HALF)).await?;
    let shop = Rollout::new(&namespace, "shop");
    shop.until_stable(LIMIT).await?;
    let before = pods(&namespace).await?;
    // The CRD lets these through, as Argo's does.
    let volume = json!({"volumes": [{"name": "data", "emptyDir": "no object"}]});
    impossible(&namespace, volume, "volumes").await?;
    impossible(&namespace, json!({"volumes": null, "restartPolicy": "Never"}), "restartPolicy")
        .await?;
    let limits = json!({"restartPolicy": null, "containers": [
        {"name": "main", "image": "example:3", "resources": {"limits": {"cpu": "lots"}}}]});
    impossible(&namespace, limits, "quantities").await?;
    assert_eq!(pods(&namespace).await?, before, "what runs goes on running");

    shop.set_image("example:2").await?;
    shop.until_paused_at(1, LIMIT).await?;
    let good = json!({"containers": [{"name": "main", "image": "example:4"}]});
    Rollout::new(&namespace, "web").merge_spec(json!({"template": {"spec": good}})).await?;
    Rollout::new(&namespace, "web").until_paused_at(1, LIMIT).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_of_another_rollout_is_left_to_it() -> Result<()> {
    let namespace = plain("claimed", HALF).await?;
    namespace.apply(&manifest::service("web-stable")).await?;
    let somebody = manifest::rollout(1, "stableService: web-stable", "");
    namespace.apply(&somebody.replace("{name: web}", "{name: somebody}")).await?;
    let service = eventually("a Service that is somebody's", LIMIT, async || {
        let service = namespace.get(Kind::SERVICE, "web-stable").await?;
        let annotations = &service["metadata"]["annotations"];
        ensure!(annotations["argo-rollouts.argoproj.io/managed-by-rollouts"] == "somebody");
        Ok(service)
    })
    .await?;
    let stable = json!({"strategy": {"canary": {"stableService": "web-stable"}}});
    refused(&namespace, stable, &["stableService", "web-stable", "somebody"]).await?;
    let now = namespace.get(Kind::SERVICE, "web-stable").await?;
    assert_eq!(now["spec"]["selector"], service["spec"]["selector"]);
    Ok(())
}
