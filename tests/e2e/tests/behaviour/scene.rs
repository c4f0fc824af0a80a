//! Where the cases of this binary begin.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;
use sluice_e2e::{Controller, History, Kind, Namespace, Rollout, eventually, manifest};

/// How long anything may take on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(120);

/// A namespace that the controller of all cases looks after.
pub async fn begin(test: &str) -> Result<Namespace> {
    let namespace = Namespace::new(test).await?;
    Controller::shared(&namespace).await?;
    Ok(namespace)
}

/// `rollout` in a namespace of its own, once it is healthy.
pub async fn deployed(test: &str, rollout: &str) -> Result<Namespace> {
    let namespace = begin(test).await?;
    namespace.apply(rollout).await?;
    Rollout::new(&namespace, "web").until_stable(LIMIT).await?;
    Ok(namespace)
}

/// A canary of four pods without a router, once it is healthy.
pub async fn plain(test: &str, canary: &str) -> Result<Namespace> {
    deployed(test, &manifest::rollout(4, canary, "")).await
}

/// Awaits that the rollout's message has all `parts`.
pub async fn until_said(web: &Rollout<'_>, parts: &[&str]) -> Result<Value> {
    web.until(&format!("a message with {parts:?}"), LIMIT, |status| {
        let message = status["message"].as_str().unwrap_or_default();
        ensure!(parts.iter().all(|part| message.contains(part)), "{message}");
        Ok(())
    })
    .await
}

/// Awaits that exactly the pods with labels like `selector` are there, and that there are `count`.
pub async fn until_labelled(
    namespace: &Namespace,
    selector: &str,
    count: usize,
) -> Result<Vec<Value>> {
    eventually(&format!("{count} pods with {selector}"), LIMIT, async || {
        let pods = namespace.list(Kind::POD, selector).await?;
        ensure!(pods.len() == count, "{} pods", pods.len());
        Ok(pods)
    })
    .await
}

/// The identities of all pods, sorted.
pub async fn pods(namespace: &Namespace) -> Result<Vec<String>> {
    let pods = namespace.list(Kind::POD, "").await?;
    let mut uids: Vec<_> = pods.iter().map(|pod| pod["metadata"]["uid"].to_string()).collect();
    uids.sort();
    Ok(uids)
}

/// The sizes of all ReplicaSets of a namespace, as they were written.
pub struct Sizes(History<(String, u64, u64)>);

impl Sizes {
    /// Starts to record.
    pub async fn watch(namespace: &Namespace) -> Result<Self> {
        let sizes = History::record_all(namespace, Kind::REPLICA_SET, |set| {
            let count = |path| set.pointer(path).and_then(Value::as_u64).unwrap_or_default();
            let name = set.pointer("/metadata/name")?.as_str()?.to_owned();
            Some((name, count("/spec/replicas"), count("/status/availableReplicas")))
        });
        Ok(Self(sizes.await?))
    }

    /// The most pods that were ever wanted at a time, and the fewest that were available.
    pub fn bounds(&self) -> (u64, u64) {
        let mut sets = BTreeMap::new();
        let (mut most, mut fewest) = (0, u64::MAX);
        for (name, wanted, available) in self.0.values() {
            sets.insert(name, (wanted, available));
            most = most.max(sets.values().map(|(wanted, _)| wanted).sum());
            fewest = fewest.min(sets.values().map(|(_, available)| available).sum());
        }
        (most, fewest)
    }
}

/// Awaits the weight of the canary Ingress of `web`.
pub async fn until_weight(namespace: &Namespace, weight: u32) -> Result<()> {
    eventually(&format!("the weight {weight}"), LIMIT, async || {
        let seen = Rollout::new(namespace, "web").nginx_weight("web").await?;
        ensure!(seen == Some(weight), "{seen:?}");
        Ok(())
    })
    .await
}

/// Awaits the number of pods that an autoscaler is told.
pub async fn until_scaled(web: &Rollout<'_>, pods: u64) -> Result<()> {
    web.until(&format!("an autoscaler to be told of {pods} pods"), LIMIT, |status| {
        ensure!(status["HPAReplicas"] == pods, "{}", status["HPAReplicas"]);
        Ok(())
    })
    .await
    .map(drop)
}

/// Awaits that whatever is made now is younger than the newest revision. Going back is going to
/// an older one, and Kubernetes counts whole seconds.
pub async fn until_older(namespace: &Namespace, web: &Rollout<'_>) -> Result<()> {
    let newest = web.revisions().await?.pop().context("there is no revision")?;
    let set = namespace.get(Kind::REPLICA_SET, &newest.name).await?;
    let made = set["metadata"]["creationTimestamp"].as_str().context("no time")?.to_owned();
    let made: Timestamp = made.parse()?;
    eventually("the next second", LIMIT, async || {
        ensure!(Timestamp::now().as_second() > made.as_second());
        Ok(())
    })
    .await
}
