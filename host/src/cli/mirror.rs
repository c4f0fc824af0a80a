//! A copy of the objects around one rollout: fetched once, or kept up to date.

use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use kube::Api;
use kube::api::{ApiResource, DynamicObject};
use kube::runtime::reflector::store::Writer;
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::Value;
use sluice_api::keys;
use sluice_view::{Answer, Card, Objects, answer, card};
use sluice_wire::Store;
use sluice_wire::explain::{Why, explain};
use sluice_wire::store::Watched;

use crate::client::{self, Cluster, Error, json};

/// The kinds around a rollout, in the order of [`Around`]'s lists: first those that a card shows,
/// then those that only the explanation looks at.
///
/// Every ReplicaSet and pod of a rollout carries the hash label, and few others do.
fn kinds() -> Vec<Wanted> {
    let hashed = Some(keys::POD_TEMPLATE_HASH);
    let wanted = |kind, label| Wanted { kind, label, of_cluster: false };
    let of_cluster =
        Wanted { kind: client::cluster_analysis_templates(), label: None, of_cluster: true };
    vec![
        wanted(client::replica_sets(), hashed),
        wanted(client::pods(), hashed),
        wanted(client::analysis_runs(), None),
        wanted(client::experiments(), None),
        wanted(client::services(), None),
        wanted(client::analysis_templates(), None),
        of_cluster,
    ]
}

/// How many of the kinds a card shows.
const SHOWN: usize = 4;

/// Which objects are wanted.
struct Wanted {
    kind: ApiResource,
    /// A label that they must have.
    label: Option<&'static str>,
    /// Whether they belong to no namespace.
    of_cluster: bool,
}

impl Wanted {
    fn api(&self, cluster: &Cluster) -> Api<DynamicObject> {
        if self.of_cluster {
            Api::all_with(cluster.client.clone(), &self.kind)
        } else {
            cluster.api(&self.kind)
        }
    }
}

/// A rollout, and the objects of its namespace by kind.
pub struct Around {
    rollout: Value,
    lists: Vec<Vec<Value>>,
    /// Why objects that the explanation would look at could not be read.
    unread: Vec<String>,
}

impl Around {
    /// The rollout's card as of now, with what it waits for.
    pub fn card(&self) -> Card {
        let list = |place: usize| self.lists.get(place).map_or(&[][..], Vec::as_slice);
        let objects = Objects {
            rollout: &self.rollout,
            replica_sets: list(0),
            pods: list(1),
            analysis_runs: list(2),
            experiments: list(3),
        };
        let now = Timestamp::now();
        let waits = self.answer(now).ok().and_then(|answer| answer.waits);
        Card { waits, ..card(&objects, now) }
    }

    /// Why it stands where it stands, as of `now`.
    ///
    /// # Errors
    /// When that cannot be told without objects that could not be read.
    pub fn answer(&self, now: Timestamp) -> anyhow::Result<Answer> {
        let mut store = Store::new();
        let text = |pointer: &str| {
            self.rollout.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        store.apply(Watched::Rollout, self.rollout.clone());
        for (wanted, list) in kinds().iter().zip(&self.lists) {
            let Some(kind) = Watched::of_kind(&wanted.kind.kind) else { continue };
            for object in list {
                store.apply(kind, object.clone());
            }
        }
        let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
        let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        let time = sluice_core::Timestamp(millis);
        let Some(explanation) = explain(&store, &namespace, &name, time) else {
            anyhow::bail!("rollout \"{name}\" has no name or namespace");
        };
        // What could not be read looks like something that does not exist.
        if matches!(explanation.why, Why::Refused(_)) && !self.unread.is_empty() {
            anyhow::bail!(
                "why rollout \"{name}\" stands still cannot be told: {}",
                self.unread.join("; ")
            );
        }
        Ok(answer(&self.rollout, &explanation, now))
    }
}

/// Fetch everything once.
///
/// A kind that cannot be read is left out, and one that is to be shown with a note on standard
/// error: a tree without pods is better than no tree.
///
/// # Errors
/// When the rollout itself cannot be read.
pub async fn fetch(cluster: &Cluster, name: &str) -> Result<Around, Error> {
    let rollout = cluster.rollout(name).await?;
    let kinds = kinds();
    let fetched = kinds.iter().map(|wanted| async move {
        let list = cluster.list_from(&wanted.api(cluster), &wanted.kind, wanted.label).await;
        (wanted, list)
    });
    let mut around = Around { rollout, lists: Vec::new(), unread: Vec::new() };
    for (place, (wanted, list)) in futures::future::join_all(fetched).await.into_iter().enumerate()
    {
        around.lists.push(match list {
            Ok(list) => list,
            Err(error @ (Error::Forbidden { .. } | Error::UnknownKind { .. })) => {
                if place < SHOWN {
                    eprintln!("{} are not shown: {error}", wanted.kind.plural);
                } else {
                    around.unread.push(error.to_string());
                }
                Vec::new()
            }
            Err(error) => return Err(error),
        });
    }
    Ok(around)
}

/// What a watch brought: the kind's place, where the last place is the rollout's own.
type Change = (usize, watcher::Event<DynamicObject>);

/// A copy that follows the cluster.
pub struct Mirror {
    cluster: Cluster,
    kinds: Vec<ApiResource>,
    stores: Vec<Writer<DynamicObject>>,
    is_loaded: Vec<bool>,
    unread: Vec<String>,
    changes: BoxStream<'static, Result<Change, (usize, watcher::Error)>>,
}

impl Mirror {
    /// Start to follow. Watches that break are taken up again, with growing delays.
    pub fn start(cluster: &Cluster, name: &str) -> Self {
        let rollout = Wanted { kind: client::rollouts(), label: None, of_cluster: false };
        let kinds: Vec<_> = kinds().into_iter().chain([rollout]).collect();
        let own = kinds.len() - 1;
        let streams = kinds.iter().enumerate().map(|(place, wanted)| {
            let mut config = watcher::Config::default();
            if let Some(label) = wanted.label {
                config = config.labels(label);
            }
            if place == own {
                config = config.fields(&format!("metadata.name={name}"));
            }
            watcher::watcher(wanted.api(cluster), config)
                .default_backoff()
                .map_ok(move |event| (place, event))
                .map_err(move |error| (place, error))
                .boxed()
        });
        let changes = stream::select_all(streams).boxed();
        let kinds: Vec<_> = kinds.into_iter().map(|wanted| wanted.kind).collect();
        Self {
            cluster: cluster.clone(),
            changes,
            stores: kinds.iter().cloned().map(Writer::new).collect(),
            is_loaded: vec![false; kinds.len()],
            unread: Vec::new(),
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
            (error, true) => {
                if place >= SHOWN && !self.is_loaded[place] {
                    self.unread.push(error.to_string());
                }
                self.is_loaded[place] = true;
            }
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
        let own = self.stores.len() - 1;
        let Some(rollout) = all(own)?.pop() else {
            anyhow::bail!("rollout \"{name}\" was deleted");
        };
        let lists = (0..own).map(all).collect::<Result<Vec<_>, _>>()?;
        Ok(Some(Around { rollout, lists, unread: self.unread.clone() }))
    }
}
