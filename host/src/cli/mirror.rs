//! A copy of the objects around one rollout: fetched once, or kept up to date.

use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use kube::api::{ApiResource, DynamicObject};
use kube::runtime::reflector::store::Writer;
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::Value;
use sluice_api::keys;
use sluice_view::{Card, Objects, card};

use crate::client::{self, Cluster, Error, json};

/// The kinds around a rollout, in the order of [`Around`]'s lists. Every ReplicaSet and pod of
/// a rollout carries the hash label, and few others do.
fn kinds() -> [(ApiResource, Option<&'static str>); 4] {
    [
        (client::replica_sets(), Some(keys::POD_TEMPLATE_HASH)),
        (client::pods(), Some(keys::POD_TEMPLATE_HASH)),
        (client::analysis_runs(), None),
        (client::experiments(), None),
    ]
}

/// A rollout, and the objects of its namespace by kind.
pub struct Around {
    rollout: Value,
    lists: [Vec<Value>; 4],
}

impl Around {
    /// The rollout's card as of now.
    pub fn card(&self) -> Card {
        let [replica_sets, pods, analysis_runs, experiments] = &self.lists;
        let objects =
            Objects { rollout: &self.rollout, replica_sets, pods, analysis_runs, experiments };
        card(&objects, Timestamp::now())
    }
}

/// Fetch everything once.
///
/// A kind that cannot be read is left out with a note on standard error: a tree without pods
/// is better than no tree.
///
/// # Errors
/// When the rollout itself cannot be read.
pub async fn fetch(cluster: &Cluster, name: &str) -> Result<Around, Error> {
    let rollout = cluster.rollout(name).await?;
    let kinds = kinds();
    let [sets, pods, runs, experiments] = kinds.each_ref();
    let lists = futures::future::join4(
        readable(cluster, sets),
        readable(cluster, pods),
        readable(cluster, runs),
        readable(cluster, experiments),
    )
    .await;
    Ok(Around { rollout, lists: [lists.0?, lists.1?, lists.2?, lists.3?] })
}

async fn readable(
    cluster: &Cluster,
    (kind, label): &(ApiResource, Option<&'static str>),
) -> Result<Vec<Value>, Error> {
    match cluster.list(kind, *label).await {
        Err(error @ (Error::Forbidden { .. } | Error::UnknownKind { .. })) => {
            eprintln!("{} are not shown: {error}", kind.plural);
            Ok(Vec::new())
        }
        other => other,
    }
}

/// What a watch brought: the kind's place, where the last place is the rollout's own.
type Change = (usize, watcher::Event<DynamicObject>);

/// A copy that follows the cluster.
pub struct Mirror {
    cluster: Cluster,
    kinds: Vec<ApiResource>,
    stores: Vec<Writer<DynamicObject>>,
    is_loaded: Vec<bool>,
    changes: BoxStream<'static, Result<Change, (usize, watcher::Error)>>,
}

impl Mirror {
    /// Start to follow. Watches that break are taken up again, with growing delays.
    pub fn start(cluster: &Cluster, name: &str) -> Self {
        let rollout = (client::rollouts(), None);
        let kinds: Vec<_> = kinds().into_iter().chain([rollout]).collect();
        let own = kinds.len() - 1;
        let streams = kinds.iter().enumerate().map(|(place, (kind, label))| {
            let mut config = watcher::Config::default();
            if let Some(label) = label {
                config = config.labels(label);
            }
            if place == own {
                config = config.fields(&format!("metadata.name={name}"));
            }
            watcher::watcher(cluster.api(kind), config)
                .default_backoff()
                .map_ok(move |event| (place, event))
                .map_err(move |error| (place, error))
                .boxed()
        });
        let changes = stream::select_all(streams).boxed();
        let kinds: Vec<_> = kinds.into_iter().map(|(kind, _)| kind).collect();
        Self {
            cluster: cluster.clone(),
            changes,
            stores: kinds.iter().cloned().map(Writer::new).collect(),
            is_loaded: vec![false; kinds.len()],
            kinds,
        }
    }

    /// Wait for a change and take it in.
    ///
    /// # Errors
    /// When the rollout itself may not be watched.
    pub async fn change(&mut self) -> anyhow::Result<()> {
        match self.changes.next().await {
            Some(Ok((place, event))) => {
                if matches!(event, watcher::Event::InitDone) {
                    self.is_loaded[place] = true;
                }
                self.stores[place].apply_watcher_event(&event);
                Ok(())
            }
            Some(Err((place, error))) => self.failed(place, error),
            None => anyhow::bail!("the watches have ended"),
        }
    }

    /// Take a failed watch in. It is tried again by itself; but a kind that may not be read must
    /// not keep the others from being shown. The first fetch has told that it is missing.
    fn failed(&mut self, place: usize, error: watcher::Error) -> anyhow::Result<()> {
        let doing = format!("watch {}", self.kinds[place].plural);
        let is_own = place + 1 == self.kinds.len();
        match self.cluster.explain_watch(&doing, error) {
            (error, true) if is_own => return Err(error.into()),
            (_, true) => self.is_loaded[place] = true,
            (error, false) => eprintln!("{error}; trying again"),
        }
        Ok(())
    }

    /// Everything as it is known now; `None` until all of it was loaded once.
    ///
    /// # Errors
    /// When the rollout was deleted.
    pub fn around(&self, name: &str) -> anyhow::Result<Option<Around>> {
        if !self.is_loaded.iter().all(|is_loaded| *is_loaded) {
            return Ok(None);
        }
        let all = |place: usize| -> Result<Vec<Value>, Error> {
            self.stores[place].as_reader().state().iter().map(|object| json(object)).collect()
        };
        let Some(rollout) = all(self.stores.len() - 1)?.pop() else {
            anyhow::bail!("rollout \"{name}\" was deleted");
        };
        Ok(Some(Around { rollout, lists: [all(0)?, all(1)?, all(2)?, all(3)?] }))
    }
}
