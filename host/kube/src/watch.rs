//! One watch per kind: what the API server tells, as it tells it.

use std::collections::BTreeSet;
use std::pin::pin;

use futures::StreamExt as _;
use kube::Client;
use kube::api::{Api, DynamicObject};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use serde_json::Value;
use sluice_wire::rollout::workload::Reference;
use sluice_wire::store::{Id, Watched};
use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;

use crate::error::causes;
use crate::kinds;

/// How many objects a list brings at a time. They are held as trees until they are kept as text,
/// so that this bounds what a start takes.
const PAGE: u32 = 50;

/// What a watch tells.
#[derive(Clone, Debug)]
pub enum Heard {
    /// An object appeared or changed.
    Applied {
        /// Its kind.
        kind: Watched,
        /// Its namespace and name.
        id: Id,
        /// Its version, if the server counts versions.
        version: Option<u64>,
        /// The object.
        object: Value,
    },
    /// An object is gone.
    Deleted(Watched, Id),
    /// A workload that a rollout refers to is this, or is not there.
    Lent {
        /// Which.
        reference: Reference,
        /// Its version.
        version: Option<u64>,
        /// The object.
        object: Option<Value>,
    },
    /// Everything of a kind has been told; what is not among these is gone.
    Listed(Watched, BTreeSet<Id>),
}

/// Watch every kind, of one namespace or of all. The tasks end when the set is dropped or nobody
/// listens any more.
pub fn watch_all(client: &Client, namespace: Option<&str>, tell: &Sender<Heard>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for kind in Watched::ALL {
        let namespace = namespace.map(str::to_owned);
        tasks.spawn(watch(kind, client.clone(), namespace, tell.clone()));
    }
    tasks
}

async fn watch(kind: Watched, client: Client, namespace: Option<String>, tell: Sender<Heard>) {
    let Some(resource) = kinds::watched(kind) else { return };
    let api: Api<DynamicObject> = match &namespace {
        Some(namespace) if kind != Watched::ClusterAnalysisTemplate => {
            kinds::api(&client, &resource, namespace)
        }
        _ => Api::all_with(client, &resource),
    };
    let label = match kind {
        Watched::ReplicaSet => Some(sluice_wire::keys::HASH.to_owned()),
        Watched::Deployment => Some(sluice_wire::keys::TAKEN.to_owned()),
        Watched::Rollout
        | Watched::Service
        | Watched::AnalysisRun
        | Watched::Experiment
        | Watched::AnalysisTemplate
        | Watched::ClusterAnalysisTemplate => None,
    };
    let config = watcher::Config {
        label_selector: label,
        page_size: Some(PAGE),
        ..watcher::Config::default()
    };
    let mut events = pin!(watcher(api, config).default_backoff());
    let mut listed = BTreeSet::new();
    let mut trouble = String::new();
    while let Some(event) = events.next().await {
        let heard = match event {
            Ok(Event::Init) => {
                listed.clear();
                continue;
            }
            Ok(Event::InitApply(object)) => {
                listed.insert(id_of(&object));
                applied(kind, object, &resource)
            }
            Ok(Event::InitDone) => {
                trouble.clear();
                Heard::Listed(kind, std::mem::take(&mut listed))
            }
            Ok(Event::Apply(object)) => {
                trouble.clear();
                applied(kind, object, &resource)
            }
            Ok(Event::Delete(object)) => Heard::Deleted(kind, id_of(&object)),
            Err(error) => {
                // The same complaint is not repeated with every attempt, and that a version is
                // too old to go on from is routine.
                let text = causes(&error);
                let absent = may_be_absent(kind, &error);
                if text != trouble && !expired(&error) {
                    let kind = kind.kind();
                    if absent {
                        tracing::info!(kind, reason = %text, "taken as none, until it can be read");
                    } else {
                        tracing::warn!(kind, error = %text, "watch interrupted");
                    }
                    trouble = text;
                }
                if !absent {
                    continue;
                }
                Heard::Listed(kind, BTreeSet::new())
            }
        };
        if tell.send(heard).await.is_err() {
            return;
        }
    }
}

fn expired(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::WatchError(status) if status.code == 410)
}

/// Whether there is none of a kind for this controller, rather than a server that fails: templates
/// and runs are optional, and a controller of one namespace may not read what is the cluster's.
fn may_be_absent(kind: Watched, error: &watcher::Error) -> bool {
    let optional = match kind {
        Watched::AnalysisRun
        | Watched::Experiment
        | Watched::AnalysisTemplate
        | Watched::ClusterAnalysisTemplate
        // Only who borrows a template has to do with Deployments.
        | Watched::Deployment => true,
        Watched::Rollout | Watched::ReplicaSet | Watched::Service => false,
    };
    let (watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error)) =
        error
    else {
        return false;
    };
    let denied = |status: &kube::core::Status| status.is_not_found() || status.code == 403;
    optional && matches!(error, kube::Error::Api(status) if denied(status))
}

fn applied(kind: Watched, object: DynamicObject, resource: &kube::api::ApiResource) -> Heard {
    let (id, version) = (id_of(&object), kinds::version(&object));
    Heard::Applied { kind, id, version, object: kinds::to_value(object, resource) }
}

fn id_of(object: &DynamicObject) -> Id {
    let metadata = &object.metadata;
    (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
}
