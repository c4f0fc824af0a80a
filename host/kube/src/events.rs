//! Kubernetes Events, written beside the turns: a failure to announce fails nothing.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event as ApiEvent, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use sluice_wire::objects::Meta;
use sluice_wire::rollout::{Event, Severity};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::error::causes;
use crate::health::Health;

/// For how long an identical event counts up instead of being written again.
const SAME_FOR: Duration = Duration::from_secs(600);
/// How many events are remembered for that.
const REMEMBERED: usize = 4096;
/// How many may wait to be written. More than that is a flood, and is dropped.
const QUEUE: usize = 4096;
const COMPONENT: &str = "rollouts-controller";

/// Where events go; clones share the queue.
#[derive(Clone)]
pub struct Recorder {
    queue: mpsc::Sender<(ObjectReference, Event)>,
    health: Health,
}

/// What writes the events until every [`Recorder`] is gone.
pub struct Scribe {
    queue: mpsc::Receiver<(ObjectReference, Event)>,
    client: Client,
    written: BTreeMap<Arc<Same>, Earlier>,
    order: VecDeque<Arc<Same>>,
}

/// What makes two events the same.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Same {
    uid: String,
    reason: &'static str,
    message: String,
}

struct Earlier {
    name: String,
    count: i32,
    at: Instant,
}

/// A recorder, and what is to be run beside it.
pub fn recorder(client: Client, health: Health) -> (Recorder, Scribe) {
    let (queue, taken) = mpsc::channel(QUEUE);
    let scribe = Scribe { queue: taken, client, written: BTreeMap::new(), order: VecDeque::new() };
    (Recorder { queue, health }, scribe)
}

/// What an event about `object` refers to.
pub fn reference(object: &Value) -> ObjectReference {
    let meta = Meta::read(object);
    let text = |name: &str| object.get(name).and_then(Value::as_str).map(str::to_owned);
    ObjectReference {
        api_version: text("apiVersion"),
        kind: text("kind"),
        namespace: Some(meta.namespace),
        name: Some(meta.name),
        uid: Some(meta.uid),
        resource_version: Some(meta.version),
        ..ObjectReference::default()
    }
}

impl Recorder {
    /// Announce something about an object. Never waits.
    pub fn announce(&self, about: &ObjectReference, event: Event) {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let id = (text(&about.namespace), text(&about.name));
        tracing::info!(
            namespace = id.0,
            name = id.1,
            kind = about.kind,
            reason = event.reason,
            "{}",
            event.message
        );
        self.health.announced(id, severity(event.severity), event.reason);
        if self.queue.try_send((about.clone(), event)).is_err() {
            tracing::warn!("too many events wait to be written, one is dropped");
        }
    }
}

impl Scribe {
    /// Write events in the order in which they were announced, until nobody can announce any.
    pub async fn run(mut self) {
        while let Some((about, event)) = self.queue.recv().await {
            if let Err(error) = self.write(&about, &event).await {
                tracing::warn!(reason = event.reason, error = %causes(&error), "event not written");
            }
        }
    }

    async fn write(&mut self, about: &ObjectReference, event: &Event) -> Result<(), kube::Error> {
        let namespace = about.namespace.as_deref().unwrap_or("default");
        let api: Api<ApiEvent> = Api::namespaced(self.client.clone(), namespace);
        let same = Arc::new(Same {
            uid: about.uid.clone().unwrap_or_default(),
            reason: event.reason,
            message: event.message.clone(),
        });
        if let Some(earlier) = self.written.get_mut(&same)
            && earlier.at.elapsed() < SAME_FOR
        {
            earlier.count = earlier.count.saturating_add(1);
            earlier.at = Instant::now();
            let patch = json!({"count": earlier.count, "lastTimestamp": Time(Timestamp::now())});
            let patch = Patch::Merge(patch);
            match api.patch(&earlier.name, &PatchParams::default(), &patch).await {
                // It is deleted an hour after it was written; then it is written anew.
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                other => return other.map(drop),
            }
        }
        let fresh = api_event(about, event);
        let name = fresh.metadata.name.clone().unwrap_or_default();
        api.create(&PostParams::default(), &fresh).await?;
        self.remember(same, name);
        Ok(())
    }

    fn remember(&mut self, same: Arc<Same>, name: String) {
        let earlier = Earlier { name, count: 1, at: Instant::now() };
        if self.written.insert(same.clone(), earlier).is_none() {
            self.order.push_back(same);
        }
        while self.order.len() > REMEMBERED {
            let Some(oldest) = self.order.pop_front() else { break };
            self.written.remove(&oldest);
        }
    }
}

fn api_event(about: &ObjectReference, event: &Event) -> ApiEvent {
    let now = Timestamp::now();
    let object = about.name.as_deref().unwrap_or_default();
    // As long as a name may be, with room for the number that makes it unique.
    let object: String = object.chars().take(230).collect();
    ApiEvent {
        metadata: ObjectMeta {
            name: Some(format!("{object}.{:x}", now.as_nanosecond())),
            namespace: about.namespace.clone(),
            ..ObjectMeta::default()
        },
        involved_object: about.clone(),
        reason: Some(event.reason.to_owned()),
        message: Some(event.message.chars().take(1024).collect()),
        type_: Some(severity(event.severity).to_owned()),
        count: Some(1),
        first_timestamp: Some(Time(now)),
        last_timestamp: Some(Time(now)),
        source: Some(EventSource { component: Some(COMPONENT.to_owned()), host: None }),
        reporting_component: Some(COMPONENT.to_owned()),
        ..ApiEvent::default()
    }
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Normal => "Normal",
        Severity::Warning => "Warning",
    }
}
