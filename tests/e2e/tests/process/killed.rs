//! A controller that dies in the middle of a release.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;
use sluice_e2e::{Capacity, Controller, History, Kind, Namespace, Rollout, eventually, manifest};

const LIMIT: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_controller_goes_on_where_it_was() -> Result<()> {
    let namespace = Namespace::new("killed").await?;
    let mut controller = Controller::start(&namespace, &[]).await?;
    let web = Rollout::new(&namespace, "web");
    let weights = web.nginx_weights("web").await?;
    let capacity = Capacity::watch(&namespace).await?;
    namespace.apply(&manifest::services()).await?;
    namespace.apply(manifest::INGRESS).await?;
    let steps = "steps: [{setWeight: 20}, {pause: {duration: 1s}}, {setWeight: 60}, {pause: {}}]";
    let canary = format!("{}, {steps}", manifest::NGINX);
    // Pods take their time, so that there is a middle of a step.
    let late = r#"sluice.test/ready: late, sluice.test/after: "3""#;
    namespace.apply(&manifest::rollout(5, &canary, late)).await?;
    web.until_phase("Healthy", LIMIT).await?;
    weights.ends_with(&0, LIMIT).await?;

    web.set_image("example:2").await?;
    eventually("the canary to grow for the second weight", LIMIT, async || {
        let revisions = web.revisions().await?;
        let growing = revisions.last().is_some_and(|new| new.desired == 3 && new.available < 3);
        ensure!(growing, "{revisions:?}");
        Ok(())
    })
    .await?;
    controller.kill()?;
    assert_eq!(web.nginx_weight("web").await?, Some(20), "killed before the second weight");
    eventually("pods that become available while nobody leads", LIMIT, async || {
        let revisions = web.revisions().await?;
        ensure!(revisions.last().is_some_and(|new| new.available == 3), "{revisions:?}");
        Ok(())
    })
    .await?;
    assert_eq!(weights.values(), [0, 20]);
    controller.restart()?;
    web.until_paused_at(3, LIMIT).await?;
    assert_eq!(weights.ends_with(&60, LIMIT).await?, [0, 20, 60]);

    // Again when everything goes to the canary's Service: the Services are being turned to the new
    // revision, and then the old pods are to go.
    web.resume().await?;
    weights.reaches(&100, LIMIT).await?;
    controller.kill()?;
    controller.restart()?;
    web.until_phase("Healthy", LIMIT).await?;
    assert_eq!(weights.ends_with(&0, LIMIT).await?, [0, 20, 60, 100, 0]);
    web.until("the old pods to be gone", LIMIT, |status| {
        ensure!(status["replicas"] == 5);
        Ok(())
    })
    .await?;
    assert_eq!(web.revisions().await?.len(), 2, "no revision was made twice");
    assert_eq!(capacity.shortages(5), [""; 0]);
    Ok(())
}

/// Numbers that look like chance and are the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or_default() % limit
    }
}

/// A size of a ReplicaSet: its rollout and name, and its wanted and available pods.
type Size = (String, String, u64, u64);

fn size(set: &Value) -> Option<Size> {
    let count = |path| set.pointer(path).and_then(Value::as_u64).unwrap_or_default();
    let text = |path| set.pointer(path).and_then(Value::as_str).map(str::to_owned);
    let (rollout, name) = (text("/metadata/labels/app")?, text("/metadata/name")?);
    Some((rollout, name, count("/spec/replicas"), count("/status/availableReplicas")))
}

/// The most pods that any rollout wanted at a time, and the fewest that it had.
fn bounds(sizes: Vec<Size>) -> (u64, u64) {
    let mut fleets: BTreeMap<String, BTreeMap<String, (u64, u64)>> = BTreeMap::new();
    let (mut most, mut fewest) = (0, u64::MAX);
    for (rollout, name, wanted, available) in sizes {
        let fleet = fleets.entry(rollout).or_default();
        fleet.insert(name, (wanted, available));
        most = most.max(fleet.values().map(|(wanted, _)| wanted).sum());
        fewest = fewest.min(fleet.values().map(|(_, available)| available).sum());
    }
    (most, fewest)
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_releases_survive_a_controller_that_dies_again_and_again() -> Result<()> {
    const RELEASES: usize = 50;
    const DEATHS: usize = 10;
    let namespace = Namespace::new("fifty").await?;
    // Nobody else wants to lead, so that no Lease has to run out after each death.
    let alone = ["--leader-elect", "false", "--qps", "200", "--burst", "400"];
    let mut controller = Controller::start(&namespace, &alone).await?;
    let names: Vec<_> = (0..RELEASES).map(|number| format!("web-{number}")).collect();
    let canary = "maxSurge: 1, maxUnavailable: 0, \
         steps: [{setWeight: 50}, {pause: {duration: 1}}, {setWeight: 75}, {pause: {duration: 1}}]";
    for name in &names {
        let rollout = manifest::rollout(2, canary, "")
            .replace("{name: web}", &format!("{{name: {name}}}"))
            .replace("app: web", &format!("app: {name}"));
        namespace.apply(&rollout).await?;
    }
    let rollouts: Vec<_> = names.iter().map(|name| Rollout::new(&namespace, name)).collect();
    for web in &rollouts {
        web.until_stable(LIMIT).await?;
    }

    let sizes = History::record_all(&namespace, Kind::REPLICA_SET, size).await?;
    let version = |object: &Value| object.pointer("/metadata/resourceVersion").cloned();
    let writes = History::record_all(&namespace, Kind::ROLLOUT, version).await?;
    for web in &rollouts {
        web.set_image("example:2").await?;
    }
    let mut chance = Chance(20_240_229);
    for death in 0..DEATHS {
        // A moment is a number of writes, so that every death falls among them: a release writes
        // some ten times.
        let moment = writes.values().len() + 1 + chance.below(20);
        let what = format!("write {moment}, before death {death}");
        eventually(&what, LIMIT, async || {
            let seen = writes.values().len();
            ensure!(seen >= moment, "{seen}");
            Ok(())
        })
        .await?;
        controller.kill()?;
        controller.restart()?;
    }
    for web in &rollouts {
        web.until_stable(LIMIT).await?;
        web.until_pods(&[("1", 0), ("2", 2)], LIMIT).await?;
    }
    assert_eq!(namespace.list(Kind::REPLICA_SET, "").await?.len(), 2 * RELEASES);
    assert_eq!(bounds(sizes.values()), (3, 2));
    Ok(())
}
