//! What a field was, from one moment on.

use std::{
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use futures::StreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use serde_json::Value;
use tokio::{sync::oneshot, task::JoinHandle};

use crate::{Kind, Namespace, eventually};

/// How long the first list of a watch may take.
const START: Duration = Duration::from_secs(10);

/// All values that something about an object has taken since recording began,
/// without immediate repetitions.
///
/// It is fed by a watch, which delivers each version of the object: a value
/// that stood for an instant is recorded as well.
#[derive(Debug)]
pub struct History<V> {
    entries: Arc<Mutex<Vec<(Instant, V)>>>,
    task: JoinHandle<()>,
}

impl<V: Clone + Debug + PartialEq + Send + 'static> History<V> {
    /// Starts to record what `read` finds in the object `name`, which need not
    /// exist yet. `None` is not recorded. Returns when the watch stands.
    ///
    /// # Errors
    ///
    /// When the kind is unknown or the watch does not begin.
    pub async fn record(
        namespace: &Namespace,
        kind: Kind,
        name: &str,
        read: impl Fn(&Value) -> Option<V> + Send + 'static,
    ) -> Result<Self> {
        let only = watcher::Config::default().fields(&format!("metadata.name={name}"));
        Self::watch(namespace, kind, only, read).await
    }

    /// Starts to record what `read` finds in any object of `kind` in the
    /// namespace, in one sequence.
    ///
    /// # Errors
    ///
    /// When the kind is unknown or the watch does not begin.
    pub async fn record_all(
        namespace: &Namespace,
        kind: Kind,
        read: impl Fn(&Value) -> Option<V> + Send + 'static,
    ) -> Result<Self> {
        Self::watch(namespace, kind, watcher::Config::default(), read).await
    }

    async fn watch(
        namespace: &Namespace,
        kind: Kind,
        which: watcher::Config,
        read: impl Fn(&Value) -> Option<V> + Send + 'static,
    ) -> Result<Self> {
        let api = namespace.api(kind).await?;
        let entries = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&entries);
        let (ready, started) = oneshot::channel();
        let mut ready = Some(ready);
        let task = tokio::spawn(async move {
            let mut events = watcher(api, which).boxed();
            while let Some(event) = events.next().await {
                match event {
                    Ok(Event::Apply(object) | Event::InitApply(object)) => {
                        let value = serde_json::to_value(object).ok();
                        if let Some(value) = value.as_ref().and_then(&read) {
                            append(&written, value);
                        }
                    }
                    Ok(Event::InitDone) => {
                        if let Some(ready) = ready.take() {
                            // The recorder may be gone by now, with this task soon after.
                            let _ = ready.send(());
                        }
                    }
                    Ok(Event::Init | Event::Delete(_)) => {}
                    // The watcher begins anew by itself.
                    Err(error) => eprintln!("watch of a {}: {error}", kind.name),
                }
            }
        });
        let history = Self { entries, task };
        match tokio::time::timeout(START, started).await {
            Ok(Ok(())) => Ok(history),
            _ => bail!("the watch of {} did not begin within {START:?}", kind.name),
        }
    }

    /// The values so far.
    pub fn values(&self) -> Vec<V> {
        self.timed().into_iter().map(|(_, value)| value).collect()
    }

    /// The values so far, each with the moment when it was first seen.
    pub fn timed(&self) -> Vec<(Instant, V)> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Awaits that `value` is among the values, though it may have been left since.
    ///
    /// # Errors
    ///
    /// When it is not at the end of `limit`.
    pub async fn reaches(&self, value: &V, limit: Duration) -> Result<()> {
        eventually(&format!("a history with {value:?}"), limit, async || {
            let values = self.values();
            if values.contains(value) { Ok(()) } else { bail!("{values:?}") }
        })
        .await
    }

    /// Awaits that the last value is `value`, and returns all values.
    ///
    /// # Errors
    ///
    /// When it is another one at the end of `limit`.
    pub async fn ends_with(&self, value: &V, limit: Duration) -> Result<Vec<V>> {
        eventually(&format!("a history that ends with {value:?}"), limit, async || {
            let values = self.values();
            if values.last() == Some(value) { Ok(values) } else { bail!("{values:?}") }
        })
        .await
    }
}

impl<V> Drop for History<V> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn append<V: PartialEq>(entries: &Mutex<Vec<(Instant, V)>>, value: V) {
    let mut entries = entries.lock().unwrap_or_else(PoisonError::into_inner);
    if entries.last().is_none_or(|(_, last)| *last != value) {
        entries.push((Instant::now(), value));
    }
}
