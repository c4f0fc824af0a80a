//! Who acts: one process at a time, elected by the Lease that Argo Rollouts uses too, and on its
//! own objects alone.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use sluice_e2e::{Controller, Kind, Namespace, Rollout, eventually, manifest};

const LIMIT: Duration = Duration::from_secs(120);
const LEASE: &str = "argo-rollouts-controller-lock";
const HALF: &str = "steps: [{setWeight: 50}, {pause: {}}]";

/// The Lease as another controller holds it, renewed just now.
async fn held(namespace: &Namespace, seconds: u32) -> Result<()> {
    let now = k8s_openapi::jiff::Timestamp::now();
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": LEASE},
        "spec": {"holderIdentity": "argo-rollouts-7d9f_0b1c", "leaseDurationSeconds": seconds,
            "leaseTransitions": 3, "acquireTime": format!("{now:.6}"),
            "renewTime": format!("{now:.6}")},
    });
    namespace.apply(&lease.to_string()).await.map(drop)
}

async fn lease(namespace: &Namespace) -> Result<Value> {
    Ok(namespace.get(Kind::LEASE, LEASE).await?["spec"].take())
}

async fn leads(controller: &Controller) -> Result<bool> {
    Ok(controller.http("/metrics").await?.lines().any(|line| line == "sluice_leading 1"))
}

async fn until_leads(controller: &Controller) -> Result<()> {
    eventually("the controller to lead", LIMIT, async || {
        ensure!(leads(controller).await?);
        Ok(())
    })
    .await
}

/// Awaits that the process ends by itself, and not well.
async fn until_ended(controller: &mut Controller) -> Result<()> {
    eventually("the controller to end", LIMIT, async || {
        let ended = controller.ended()?;
        ensure!(ended.is_some_and(|status| !status.success()), "{ended:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_while_argo_holds_the_lease() -> Result<()> {
    let namespace = Namespace::new("held").await?;
    held(&namespace, 3600).await?;
    let mut controller = Controller::start(&namespace, &[]).await?;
    namespace.apply(&manifest::rollout(2, HALF, "")).await?;
    controller.until_ready().await?;
    let web = Rollout::new(&namespace, "web");
    // It has seen the rollout, and yet says and does nothing.
    eventually("the rollout to be seen", LIMIT, async || {
        let seen = controller.http("/metrics").await?;
        ensure!(seen.contains(&format!(r#"rollout_info{{namespace="{}""#, namespace.name())));
        Ok(())
    })
    .await?;
    assert!(!leads(&controller).await?);
    assert_eq!(web.status().await?, Value::Null);
    assert!(web.revisions().await?.is_empty());

    // What Argo's controller does when it is scaled to nothing: nothing. Its Lease runs out, here
    // because it is made short.
    held(&namespace, 1).await?;
    web.until_stable(LIMIT).await?;
    let lease = lease(&namespace).await?;
    assert_ne!(lease["holderIdentity"], "argo-rollouts-7d9f_0b1c");
    assert_eq!(lease["leaseTransitions"], 4);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_was_given_back_is_taken_at_once() -> Result<()> {
    let namespace = Namespace::new("given-back").await?;
    held(&namespace, 3600).await?;
    let controller = Controller::start(&namespace, &[]).await?;
    namespace.apply(&manifest::rollout(2, HALF, "")).await?;
    let free = json!({"spec": {"holderIdentity": ""}});
    namespace.merge(Kind::LEASE, LEASE, &free).await?;
    until_leads(&controller).await?;
    Rollout::new(&namespace, "web").until_stable(LIMIT).await?;
    Ok(())
}

/// Two controllers of which the first leads, and `web` in the middle of a release.
async fn pair(namespace: &Namespace) -> Result<(Controller, Controller)> {
    let first = Controller::start(namespace, &[]).await?;
    until_leads(&first).await?;
    let mut second = Controller::start(namespace, &[]).await?;
    second.until_ready().await?;
    let web = Rollout::new(namespace, "web");
    namespace.apply(&manifest::rollout(2, HALF, "")).await?;
    web.until_stable(LIMIT).await?;
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;
    ensure!(!leads(&second).await?, "both lead");
    Ok((first, second))
}

/// Goes on with the release, once nobody but `leader` can have done it.
async fn finished(namespace: &Namespace, leader: &Controller) -> Result<()> {
    until_leads(leader).await?;
    let web = Rollout::new(namespace, "web");
    web.resume().await?;
    web.until_stable(LIMIT).await?;
    ensure!(web.revisions().await?.len() == 2, "a revision was made twice");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_controller_leads_as_soon_as_one_was_stopped() -> Result<()> {
    let namespace = Namespace::new("stopped").await?;
    let (mut first, second) = pair(&namespace).await?;
    let status = first.terminate(LIMIT).await?;
    assert!(status.success(), "{status}");
    // The Lease was given back, or taken since; it need not run out.
    let lease = lease(&namespace).await?;
    let duration = lease["leaseDurationSeconds"].as_u64();
    assert!(duration == Some(1) || leads(&second).await?, "{lease}");
    finished(&namespace, &second).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_controller_leads_once_the_lease_of_a_dead_one_ran_out() -> Result<()> {
    let namespace = Namespace::new("dead").await?;
    let (mut first, second) = pair(&namespace).await?;
    first.kill()?;
    assert!(!leads(&second).await?, "the Lease still stands");
    finished(&namespace, &second).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_was_frozen_ends_when_it_wakes() -> Result<()> {
    let namespace = Namespace::new("frozen").await?;
    let (mut first, second) = pair(&namespace).await?;
    first.freeze()?;
    finished(&namespace, &second).await?;
    let rollout = Rollout::new(&namespace, "web").get().await?;
    first.thaw()?;
    until_ended(&mut first).await?;
    let now = Rollout::new(&namespace, "web").get().await?;
    assert_eq!(now["status"], rollout["status"], "it wrote nothing on its way out");
    assert!(leads(&second).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_whose_lease_was_taken_ends() -> Result<()> {
    let namespace = Namespace::new("taken").await?;
    let mut controller = Controller::start(&namespace, &[]).await?;
    until_leads(&controller).await?;
    held(&namespace, 3600).await?;
    until_ended(&mut controller).await?;
    let lease = lease(&namespace).await?;
    assert_eq!(lease["holderIdentity"], "argo-rollouts-7d9f_0b1c", "it is left to its holder");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_instance_looks_after_the_rollouts_with_its_label() -> Result<()> {
    let namespace = Namespace::new("instances").await?;
    let blue = Controller::start(&namespace, &["--instance-id", "blue"]).await?;
    let plain = Controller::start(&namespace, &[]).await?;
    let label = "argo-rollouts.argoproj.io/controller-instance-id";
    let one = |name: &str, labels: &str| {
        manifest::rollout(1, HALF, "")
            .replace("{name: web}", &format!("{{name: {name}, labels: {{{labels}}}}}"))
            .replace("app: web", &format!("app: {name}"))
    };
    namespace.apply(&one("nobodys", &format!("{label}: green"))).await?;
    namespace.apply(&one("blues", &format!("{label}: blue"))).await?;
    namespace.apply(&one("web", "")).await?;
    for name in ["blues", "web"] {
        Rollout::new(&namespace, name).until_stable(LIMIT).await?;
    }
    let name = namespace.name();
    assert!(blue.looks(name, "blues").await? > 0 && plain.looks(name, "web").await? > 0);
    assert_eq!((blue.looks(name, "web").await?, plain.looks(name, "blues").await?), (0, 0));
    assert_eq!(Rollout::new(&namespace, "nobodys").status().await?, Value::Null);
    // Each has a Lease of its own.
    lease(&namespace).await?;
    namespace.get(Kind::LEASE, &format!("{LEASE}-blue")).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_of_one_namespace_leaves_others_alone() -> Result<()> {
    let [ours, theirs] = [Namespace::new("ours").await?, Namespace::new("theirs").await?];
    let controller = Controller::start(&ours, &[]).await?;
    theirs.apply(&manifest::rollout(1, HALF, "")).await?;
    ours.apply(&manifest::rollout(1, HALF, "")).await?;
    Rollout::new(&ours, "web").until_stable(LIMIT).await?;
    assert_eq!(Rollout::new(&theirs, "web").status().await?, Value::Null);
    let page = controller.http("/metrics").await?;
    assert!(page.contains(ours.name()) && !page.contains(theirs.name()));
    Ok(())
}
