//! One watch for each workload that lends its template: a rollout needs that one object, and not
//! every Deployment of the cluster in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;

use futures::StreamExt as _;
use kube::Client;
use kube::api::DynamicObject;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{Config, Event, watcher};
use sluice_wire::rollout::workload::Reference;
use tokio::sync::mpsc::{Sender, WeakSender};
use tokio::task::{AbortHandle, JoinSet};

use crate::error::causes;
use crate::kinds;
use crate::watch::Heard;

/// The watches. They end when this is dropped, or nobody refers to their object any more.
pub(crate) struct Lenders {
    client: Client,
    /// Weak, as the loop ends when nobody can tell it anything any more.
    tell: WeakSender<Heard>,
    followed: BTreeMap<Reference, AbortHandle>,
    tasks: JoinSet<()>,
}

impl Lenders {
    pub fn new(client: Client, tell: &Sender<Heard>) -> Self {
        Self { client, tell: tell.downgrade(), followed: BTreeMap::new(), tasks: JoinSet::new() }
    }

    /// Watch these and no others.
    pub fn follow(&mut self, references: BTreeSet<Reference>) {
        self.followed.retain(|reference, watch| {
            let kept = references.contains(reference);
            if !kept {
                watch.abort();
            }
            kept
        });
        // What has ended is taken out, so that nothing grows with the rollouts that there were.
        while self.tasks.try_join_next().is_some() {}
        for reference in references {
            let Some(tell) = self.tell.upgrade() else { return };
            if !self.followed.contains_key(&reference) {
                let watch = watch(reference.clone(), self.client.clone(), tell);
                self.followed.insert(reference, self.tasks.spawn(watch));
            }
        }
    }
}

async fn watch(reference: Reference, client: Client, tell: Sender<Heard>) {
    let (api_version, kind) = reference.kind.kind();
    let Some(resource) = kinds::resource(api_version, kind) else { return };
    let api = kinds::api(&client, &resource, &reference.namespace);
    let config = Config::default().fields(&format!("metadata.name={}", reference.name));
    let mut events = pin!(watcher(api, config).default_backoff());
    let mut listed: Option<DynamicObject> = None;
    let mut trouble = String::new();
    while let Some(event) = events.next().await {
        let object = match event {
            Ok(Event::Init) => {
                listed = None;
                continue;
            }
            Ok(Event::InitApply(object)) => {
                listed = Some(object);
                continue;
            }
            Ok(Event::InitDone) => {
                trouble.clear();
                listed.take()
            }
            Ok(Event::Apply(object)) => Some(object),
            Ok(Event::Delete(_)) => None,
            Err(error) => {
                // Said once: a right that is missing stays so for long.
                let text = causes(&error);
                if text != trouble {
                    let (namespace, name) = (&reference.namespace, &reference.name);
                    tracing::warn!(kind, namespace, name, error = %text, "cannot be read");
                    trouble = text;
                }
                continue;
            }
        };
        let version = object.as_ref().and_then(kinds::version);
        let object = object.map(|object| kinds::to_value(object, &resource));
        let heard = Heard::Lent { reference: reference.clone(), version, object };
        if tell.send(heard).await.is_err() {
            return;
        }
    }
}
