//! What this process knows of one Plugin, and what it does next.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sluice_api::Plugin;
use sluice_kube::now;
use sluice_plugins::{
    Observed, Order, Outcome, Running, Takeback, Tried, Use, Wish, decide, worth_writing,
};
use sluice_wasm::{ComponentHost, Kind, PluginInfo, Private, Withdrawn};

use super::Shared;
use super::take::{Entered, private, restore, take, users};
use super::write;
use crate::client::causes;

/// For how long it is believed who refers to a component that is to go.
const SURVEY_HOLDS: Duration = Duration::from_secs(5);
/// How often Secrets are read again, so that a credential can be another tomorrow.
const SECRETS_EVERY: Duration = Duration::from_secs(60);
/// For how long nothing is written after a write that failed.
const WRITE_AGAIN: Duration = Duration::from_secs(5);

pub type Task = Pin<Box<dyn Future<Output = Done> + Send>>;

/// What came of a task.
pub enum Done {
    Took { generation: i64, outcome: Outcome, entered: Option<Entered> },
    Restored(Option<Entered>),
    Surveyed(Result<Vec<Use>, String>),
    Secrets(Option<Private>),
    Written(Box<Result<Plugin, kube::Error>>),
}

/// What is known of one object.
#[derive(Default)]
pub struct Known {
    uid: Option<String>,
    busy: bool,
    entered: Option<Entered>,
    tried: Option<Tried>,
    restored: Option<bool>,
    users: Option<(Instant, Vec<Use>)>,
    secrets: Option<Instant>,
    written: Option<Instant>,
    write_after: Option<Instant>,
}

/// The name that an object wants its component to be called by.
pub fn claimed(plugin: &Plugin) -> String {
    let own = plugin.metadata.name.clone().unwrap_or_default();
    plugin.spec.name.clone().filter(|name| !name.is_empty()).unwrap_or(own)
}

/// The older of the objects that claim the name of this one, if there is any.
pub fn rival(plugin: &Plugin, all: &BTreeMap<String, Arc<Plugin>>) -> Option<String> {
    let age = |plugin: &Plugin| {
        let created = plugin.metadata.creation_timestamp.as_ref().map(|time| time.0);
        (created, plugin.metadata.name.clone())
    };
    let name = claimed(plugin);
    let older = all.values().filter(|other| {
        other.metadata.name != plugin.metadata.name
            && other.metadata.deletion_timestamp.is_none()
            && claimed(other) == name
            && age(other) < age(plugin)
    });
    older.min_by_key(|other| age(other)).and_then(|other| other.metadata.name.clone())
}

impl Known {
    /// Whether it is known what comes of the object as it is.
    pub fn was_tried(&self) -> bool {
        !self.busy && (self.tried.is_some() || self.restored.is_some())
    }

    /// The task of it ended unexpectedly.
    pub fn give_up(&mut self) {
        self.busy = false;
    }

    /// Its object is gone.
    pub fn take_out(&self, host: &ComponentHost) {
        if let Some(entered) = &self.entered {
            host.remove_object(entered.kind, &entered.name);
        }
    }

    /// What to do next, unless something is under way.
    pub fn turn(
        &mut self,
        shared: &Arc<Shared>,
        plugin: &Arc<Plugin>,
        rival: Option<String>,
    ) -> Option<Task> {
        if self.busy {
            return None;
        }
        if self.uid != plugin.metadata.uid {
            self.take_out(&shared.around.host);
            *self = Self { uid: plugin.metadata.uid.clone(), ..Self::default() };
        }
        if self.users.as_ref().is_some_and(|(at, _)| at.elapsed() > SURVEY_HOLDS) {
            self.users = None;
        }
        let task = self.next(shared, plugin, rival.as_deref());
        self.busy = task.is_some();
        task
    }

    fn next(
        &mut self,
        shared: &Arc<Shared>,
        plugin: &Arc<Plugin>,
        rival: Option<&str>,
    ) -> Option<Task> {
        let host = &shared.around.host;
        let wish = Wish::read(plugin);
        let info = self.info(host);
        let running = info.as_ref().map(|info| self.running(info));
        let kind = self.entered.as_ref().map(|entered| entered.kind);
        let name = wish.as_ref().map(|wish| wish.name.clone()).unwrap_or_default();
        let bundled = bundled(host, kind, &name);
        let tried = self.tried.clone();
        let users = self.users.as_ref().map(|(_, users)| users.clone());
        let takeback = kind.and_then(|kind| host.withdrawn(kind, &name)).map(takeback);
        let decision = decide(Observed {
            plugin,
            wish: wish.as_ref(),
            keeps: shared.around.keeps(),
            now: now(),
            rival,
            running: running.as_ref(),
            bundled: bundled.as_deref(),
            tried: tried.as_ref(),
            restored: self.restored,
            takeback: takeback.as_ref(),
            users: users.as_deref(),
        });
        let leads = shared.around.keeps() && shared.around.health.is_leading();
        let may_write = leads && self.write_after.is_none_or(|at| at <= Instant::now());
        let since = self.written.map_or(Duration::MAX, |at| at.elapsed());
        if may_write && worth_writing(plugin.status.as_ref(), &decision.status, since) {
            self.written = Some(Instant::now());
            let (shared, plugin) = (shared.clone(), plugin.clone());
            let (status, said) = (decision.status, decision.said);
            return Some(Box::pin(async move {
                let written = write::status(&shared, &plugin, &status, said).await;
                Done::Written(Box::new(written))
            }));
        }
        let Ok(wish) = &wish else { return None };
        match decision.order {
            Some(order) => self.perform(order, shared, plugin, wish, may_write),
            None => self.renew(shared, wish),
        }
    }

    fn perform(
        &mut self,
        order: Order<'_>,
        shared: &Arc<Shared>,
        plugin: &Arc<Plugin>,
        wish: &Wish,
        may_write: bool,
    ) -> Option<Task> {
        let (shared, plugin, wish) = (shared.clone(), plugin.clone(), wish.clone());
        let object = plugin.metadata.name.clone().unwrap_or_default();
        let generation = plugin.metadata.generation.unwrap_or_default();
        let status = plugin.status.clone();
        match order {
            Order::Hold | Order::LetGo if !may_write => None,
            Order::Hold | Order::LetGo => {
                let wanted = order == Order::Hold;
                Some(Box::pin(async move {
                    Done::Written(Box::new(write::finalizer(&shared, &plugin, wanted).await))
                }))
            }
            Order::Take => Some(Box::pin(async move {
                let (outcome, entered) = take(&shared, &object, &wish, status.as_ref()).await;
                Done::Took { generation, outcome, entered }
            })),
            Order::Restore(digest) => {
                let digest = digest.to_owned();
                Some(Box::pin(async move {
                    let status = status.as_ref();
                    Done::Restored(restore(&shared, &object, &wish, &digest, status).await)
                }))
            }
            Order::Survey => {
                let kind = self.entered.as_ref()?.kind;
                Some(Box::pin(async move {
                    Done::Surveyed(users(&shared.around, kind, &wish.name).await)
                }))
            }
            Order::Remove => {
                self.take_out(&shared.around.host);
                self.entered = None;
                None
            }
        }
    }

    /// Read Secrets again, if it is time.
    fn renew(&mut self, shared: &Arc<Shared>, wish: &Wish) -> Option<Task> {
        let due = self.secrets.is_none_or(|at| at.elapsed() >= SECRETS_EVERY);
        if !due || self.entered.is_none() || wish.secrets().is_empty() {
            return None;
        }
        self.secrets = Some(Instant::now());
        let (shared, wish) = (shared.clone(), wish.clone());
        Some(Box::pin(async move { Done::Secrets(private(&shared.around, &wish).await.ok()) }))
    }

    /// Note what came of a task. Gives the object if it was written.
    pub fn done(&mut self, host: &ComponentHost, done: Done) -> Option<Plugin> {
        self.busy = false;
        match done {
            Done::Took { generation, outcome, entered } => {
                let before = self.tried.take().filter(|tried| {
                    tried.generation == generation
                        && std::mem::discriminant(&tried.outcome)
                            == std::mem::discriminant(&outcome)
                });
                let attempts = before.map_or(0, |tried| tried.attempts).saturating_add(1);
                self.tried = Some(Tried { generation, at: now(), attempts, outcome });
                if let Some(entered) = entered {
                    self.enter(host, entered);
                }
            }
            Done::Restored(entered) => {
                self.restored = Some(entered.is_some());
                if let Some(entered) = entered {
                    self.enter(host, entered);
                }
            }
            Done::Surveyed(Ok(users)) => self.users = Some((Instant::now(), users)),
            Done::Surveyed(Err(error)) => {
                tracing::warn!(error, "it is not known who refers to a component");
            }
            Done::Secrets(None) => {}
            Done::Secrets(Some(private)) => {
                if let Some(entered) = &mut self.entered
                    && entered.private != private
                {
                    host.entrust(entered.kind, &entered.name, private.clone());
                    entered.private = private;
                }
            }
            Done::Written(written) => match *written {
                Ok(plugin) => return Some(plugin),
                Err(error) => {
                    // Somebody else wrote first, and the watch will show what; or the server is
                    // not there.
                    tracing::debug!(error = %causes(&error), "a Plugin was not written");
                    self.write_after = Some(Instant::now() + WRITE_AGAIN);
                }
            },
        }
        None
    }

    fn enter(&mut self, host: &ComponentHost, entered: Entered) {
        if let Some(before) = &self.entered
            && (before.kind, &before.name) != (entered.kind, &entered.name)
        {
            host.remove_object(before.kind, &before.name);
        }
        self.secrets = Some(Instant::now());
        self.entered = Some(entered);
    }

    /// What the host knows of the component, if that is called because of this object.
    fn info(&self, host: &ComponentHost) -> Option<PluginInfo> {
        let entered = self.entered.as_ref()?;
        host.object(entered.kind, &entered.name)
    }

    fn running(&self, info: &PluginInfo) -> Running {
        let (requested, granted) = match &self.entered {
            Some(entered) => (entered.requested.clone(), entered.granted.clone()),
            None => (Vec::new(), Vec::new()),
        };
        let text = |fault: &Option<sluice_port::Fault>| fault.as_ref().map(ToString::to_string);
        Running {
            digest: info.digest.clone(),
            interface: info.interface.clone(),
            capabilities: info.capabilities.clone(),
            requested,
            granted,
            calls: info.stats.total(),
            faults: info.stats.faults(),
            requests: info.stats.http_calls,
            denied: info.stats.denied,
            first_fault: text(&info.first_fault),
            last_fault: text(&info.last_fault),
            suspended: info.suspended,
        }
    }
}

/// The digest of the bundled component of a name, of its kind if that is known.
fn bundled(host: &ComponentHost, kind: Option<Kind>, name: &str) -> Option<String> {
    let kinds = match kind {
        Some(kind) => vec![kind],
        None => Kind::ALL.to_vec(),
    };
    kinds.into_iter().find_map(|kind| host.bundled(kind, name))
}

fn takeback(withdrawn: Withdrawn) -> Takeback {
    let Withdrawn { digest, instead, calls, faults, first } = withdrawn;
    let first = first.map(|fault| fault.to_string()).unwrap_or_default();
    Takeback { digest, instead, calls, faults, first }
}
