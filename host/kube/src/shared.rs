//! What all turns share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sluice_core::Timestamp;
use sluice_engine::{Key, Ledger, ObjectId, Version};
use sluice_port::Components;
use sluice_wire::analysis::observe::Progress;
use sluice_wire::notify::Desk;
use sluice_wire::objects::Learnt;
use sluice_wire::rollout::Write;
use tokio::sync::mpsc;

use crate::error::ApiError;
use crate::events::Recorder;
use crate::health::Health;
use crate::notify::Places;
use crate::objects::Names;
use crate::perform::Writer;
use crate::routed::Routed;

/// What all turns share.
pub(crate) struct Shared {
    pub components: Arc<dyn Components>,
    pub writer: Writer,
    pub recorder: Recorder,
    pub health: Health,
    pub names: Names,
    pub instance: String,
    pub ledger: Mutex<Ledger>,
    /// What is under way for each analysis run.
    pub progress: Mutex<BTreeMap<Key, Progress>>,
    /// Places for calls of notifiers, by name.
    pub telling: Places,
    /// Keys about which something became known that no watch shows.
    pub nudge: mpsc::UnboundedSender<Key>,
    /// The objects that carry routings.
    pub routed: Routed,
    memory: Mutex<BTreeMap<Key, Memory>>,
}

/// What is remembered of a rollout between its turns, for the sake of announcements and patrols.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    /// The UID under which it was greeted.
    pub greeted: Option<String>,
    /// The trouble with its routers that was announced last.
    pub trouble: Option<String>,
    /// When its routers were asked last.
    pub asked: Option<Timestamp>,
    /// Whether a component is being asked about a step.
    pub calling: bool,
    /// What the API server was asked, or said no to.
    pub learnt: Learnt,
    /// The same of an experiment.
    pub experiment: sluice_wire::experiment::Learnt,
    /// What is known of its notifications beyond the outbox.
    pub desk: Desk,
}

impl Shared {
    pub fn new(
        components: Arc<dyn Components>,
        writer: Writer,
        recorder: Recorder,
        health: Health,
        instance: String,
        namespace: Option<String>,
        nudge: mpsc::UnboundedSender<Key>,
    ) -> Self {
        let routed = Routed::new(writer.client.clone(), namespace, nudge.clone());
        Self {
            routed,
            components,
            writer,
            recorder,
            health,
            names: Names::default(),
            instance,
            ledger: Mutex::default(),
            progress: Mutex::default(),
            telling: Places::default(),
            nudge,
            memory: Mutex::default(),
        }
    }

    /// Change what is remembered of a rollout.
    pub fn remember<T>(&self, key: &Key, change: impl FnOnce(&mut Memory) -> T) -> T {
        change(lock(&self.memory).entry(key.clone()).or_default())
    }

    /// The key's object is gone.
    pub fn forget(&self, key: &Key) {
        lock(&self.ledger).forget(key);
        lock(&self.progress).remove(key);
        lock(&self.memory).remove(key);
        self.routed.forget(key);
    }

    /// Do one write, and note what the stores are to show.
    pub async fn write(
        &self,
        write: &Write,
        wrote: &mut Vec<(ObjectId, Version)>,
    ) -> Result<(), ApiError> {
        wrote.extend(self.writer.write(write).await?);
        Ok(())
    }
}

/// Lock; a panic elsewhere does not make it unusable, as every change of these is whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The one reading of the clock for a turn.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
