//! The loop: watches and finished turns in, turns out, as long as this process leads.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use sluice_engine::{Advance, Engine, Input, Key, Kind, ObjectId, Turned, Version};
use sluice_port::Components;
use sluice_wire::Store;
use sluice_wire::store::{Id, Touched, Watched};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use crate::analysis::run_turn;
use crate::client::{Pace, paced};
use crate::error::RunError;
use crate::events::recorder;
use crate::experiment::experiment_turn;
use crate::health::Health;
use crate::lease::{Candidate, Term};
use crate::lender::Lenders;
use crate::perform::{GONE, Writer, object_id};
use crate::shared::{Shared, lock, now};
use crate::turn::{rollout_turn, tidy_turn};
use crate::watch::{Heard, watch_all};

/// For how long turns in flight may go on after the controller was asked to stop.
pub const STOP_LIMIT: Duration = Duration::from_secs(10);
/// For how long events may be written after that.
const LAST_WORDS: Duration = Duration::from_secs(2);
const HEARD_AT_ONCE: usize = 256;

/// For how long requests may be queued before no more turns begin. Whose turn it is is decided
/// when there is room for its requests: a turn that only queues would be ahead of releases that
/// are almost done.
const QUEUE: Duration = Duration::from_millis(250);

/// How a controller runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// The one namespace to look after; `None` for all.
    pub namespace: Option<String>,
    /// Which rollouts: those whose instance label says this; empty for those without one.
    pub instance_id: String,
    /// Requests per second; Events have as many of their own.
    pub qps: f64,
    /// Requests at once after a rest.
    pub burst: u32,
    /// Whether other processes may run beside this one, so that one must be elected.
    pub leader_elect: bool,
    /// Where the lease is.
    pub lease_namespace: String,
    /// How many turns may be in flight.
    pub threads: usize,
}

impl Default for Config {
    /// All namespaces, the default instance, 40 requests per second and 80 at once, elected,
    /// with the lease in `argo-rollouts`, 32 turns at once.
    fn default() -> Self {
        Self {
            namespace: None,
            instance_id: String::new(),
            qps: 40.0,
            burst: 80,
            leader_elect: true,
            lease_namespace: "argo-rollouts".to_owned(),
            threads: 32,
        }
    }
}

/// Run until `shutdown`: watch, wait for the lease, take turns. Then finish the turns in flight
/// and give the lease back.
///
/// # Errors
/// [`RunError::LeaseLost`]: the process should end at once, as another one may lead.
pub async fn run(
    client: Client,
    config: Config,
    components: Arc<dyn Components>,
    health: Health,
    shutdown: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let term = Term::none();
    let pace = Arc::new(Pace::new(config.qps, config.burst));
    // The lease is not paced: a busy controller must not lose it to its own queue.
    let candidate =
        Candidate::new(client.clone(), &config.lease_namespace, &config.instance_id, term.clone());
    // Nor do Events share the pace of the releases: half of all requests announce what was done,
    // and a release should neither wait for its announcements nor be announced minutes later.
    let announcing = Arc::new(Pace::new(config.qps, config.burst));
    let announcing = paced(client.clone(), announcing, health.clone());
    let (recorder, scribe) = recorder(announcing, health.clone());
    let client = paced(client, pace.clone(), health.clone());
    let scribe = tokio::spawn(scribe.run());
    let (nudge, nudged) = mpsc::unbounded_channel();
    let (tell, heard) = mpsc::channel(HEARD_AT_ONCE * 4);
    let watches = watch_all(&client, config.namespace.as_deref(), &tell);
    let lenders = Lenders::new(client.clone(), &tell);
    drop(tell);
    let writer = Writer { client, term: term.clone() };
    let (instance, namespace) = (config.instance_id.clone(), config.namespace.clone());
    let shared = Shared::new(components, writer, recorder, health, instance, namespace, nudge);
    let (election, standings, stop) = elect(candidate, config.leader_elect, &term);
    let mut controller = Controller::new(shared, pace, config.threads.max(1), lenders);
    let ended = controller.work(heard, nudged, standings, shutdown).await;
    if ended.is_ok() {
        controller.finish().await;
    } else {
        controller.turns.abort_all();
    }
    controller.shared.health.leading(false);
    // Nobody waits for it if the election is over already.
    let _ = stop.send(());
    drop(watches);
    drop(controller);
    if ended.is_ok() {
        let _ = tokio::time::timeout(LAST_WORDS, async { tokio::join!(election, scribe) }).await;
    }
    ended
}

/// Where this process stands in the election.
enum Standing {
    Leads,
    Lost(String),
}

type Election = (tokio::task::JoinHandle<()>, mpsc::Receiver<Standing>, oneshot::Sender<()>);

/// Stand for election beside the loop, until told to stop; then give the lease back.
fn elect(mut candidate: Candidate, elected: bool, term: &Term) -> Election {
    let (tell, standings) = mpsc::channel(2);
    let (stop, mut stopped) = oneshot::channel();
    let term = term.clone();
    let task = tokio::spawn(async move {
        if !elected {
            term.forever();
            // Nobody listens if the loop has ended, and so for all that is told below.
            let _ = tell.send(Standing::Leads).await;
            let _ = stopped.await;
            return;
        }
        let lost = {
            let stand = async {
                candidate.acquire().await;
                tracing::info!(identity = candidate.identity, "took the lease");
                let _ = tell.send(Standing::Leads).await;
                candidate.keep().await
            };
            tokio::select! {
                why = stand => Some(why),
                _ = &mut stopped => None,
            }
        };
        match lost {
            Some(why) => {
                let _ = tell.send(Standing::Lost(why)).await;
            }
            None => candidate.release().await,
        }
    });
    (task, standings, stop)
}

struct Controller {
    engine: Engine,
    store: Store,
    shared: Arc<Shared>,
    /// The watches of workloads that lend templates.
    lenders: Lenders,
    /// The versions that the store shows, so that a write that was seen before its turn ended is
    /// not waited for.
    shown: HashMap<ObjectId, Version>,
    turns: JoinSet<(Key, Turned)>,
    in_flight: HashMap<tokio::task::Id, Key>,
    /// The keys whose turn in flight undoes what is left of a rollout that is gone.
    leaving: HashSet<Key>,
    pace: Arc<Pace>,
    threads: usize,
    synced: BTreeSet<Watched>,
    elected: bool,
    leading: bool,
}

impl Controller {
    fn new(shared: Shared, pace: Arc<Pace>, threads: usize, lenders: Lenders) -> Self {
        Self {
            pace,
            lenders,
            engine: Engine::new(),
            store: Store::new(),
            shared: Arc::new(shared),
            shown: HashMap::new(),
            turns: JoinSet::new(),
            in_flight: HashMap::new(),
            leaving: HashSet::new(),
            threads,
            synced: BTreeSet::new(),
            elected: false,
            leading: false,
        }
    }

    async fn work(
        &mut self,
        mut heard: mpsc::Receiver<Heard>,
        mut nudged: mpsc::UnboundedReceiver<Key>,
        mut standings: mpsc::Receiver<Standing>,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), RunError> {
        let mut shutdown = pin!(shutdown);
        let mut batch = Vec::new();
        loop {
            self.take_turns();
            let wake = self.wake();
            tokio::select! {
                () = &mut shutdown => return Ok(()),
                Some(standing) = standings.recv() => self.stand(standing)?,
                Some(done) = self.turns.join_next_with_id() => self.done(done),
                count = heard.recv_many(&mut batch, HEARD_AT_ONCE) => {
                    if count == 0 {
                        return Err(RunError::WatchesStopped);
                    }
                    for heard in batch.drain(..) {
                        self.hear(heard);
                    }
                }
                Some(key) = nudged.recv() => self.engine.handle(Input::Changed(key), now()),
                () = tokio::time::sleep(wake) => {}
            }
        }
    }

    /// Wait for the turns in flight, but not for ever.
    async fn finish(&mut self) {
        tracing::info!(turns = self.turns.len(), "stopping");
        let finish = async { while self.turns.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_LIMIT, finish).await.is_err() {
            tracing::warn!(turns = self.turns.len(), "turns did not end in time and are dropped");
            self.turns.abort_all();
        }
    }

    /// How long nothing is due. Keys that are due but find no free place wait for one.
    fn wake(&self) -> Duration {
        const LONG: Duration = Duration::from_secs(60);
        if self.turns.len() >= self.threads {
            return LONG;
        }
        let due = self.engine.wake_at().map_or(LONG, |at| at.since(now()).min(LONG));
        due.max(self.pace.delay().saturating_sub(QUEUE))
    }

    fn take_turns(&mut self) {
        let time = now();
        while self.turns.len() < self.threads && self.pace.delay() <= QUEUE {
            let Some(key) = self.engine.poll(time) else { break };
            self.take_turn(key);
        }
        self.shared.health.busy(self.engine.backlog(time), self.turns.len());
    }

    fn take_turn(&mut self, key: Key) {
        let shared = self.shared.clone();
        let handle = match key.kind {
            Kind::Rollout => {
                let time = now();
                let traffic = lock(&shared.ledger).traffic(&key, time);
                let (namespace, name) = (&key.namespace, &key.name);
                let objects = self.store.collect(namespace, name, &shared.instance, traffic, time);
                let Some(objects) = objects else { return self.take_leave(key) };
                let turning = key.clone();
                self.turns.spawn(async move {
                    let began = Instant::now();
                    let turned = rollout_turn(&shared, &turning, objects).await;
                    count(&shared.health, turning, began, turned)
                })
            }
            Kind::AnalysisRun => {
                let run = self.store.run(&key.namespace, &key.name);
                let Some(run) = run else { return self.nothing(key) };
                let turning = key.clone();
                self.turns.spawn(async move {
                    let began = Instant::now();
                    let turned = run_turn(&shared, &turning, run).await;
                    count(&shared.health, turning, began, turned)
                })
            }
            Kind::Experiment => {
                let (namespace, name) = (&key.namespace, &key.name);
                let time = now();
                let traffic = |namespace: &str, name: &str| {
                    let (namespace, name) = (namespace.to_owned(), name.to_owned());
                    let owner = Key { kind: Kind::Rollout, namespace, name };
                    lock(&shared.ledger).traffic(&owner, time)
                };
                let instance = &shared.instance;
                let objects =
                    self.store.collect_experiment(namespace, name, instance, time, traffic);
                let Some(objects) = objects else { return self.nothing(key) };
                let turning = key.clone();
                self.turns.spawn(async move {
                    let began = Instant::now();
                    let turned = experiment_turn(&shared, &turning, objects).await;
                    count(&shared.health, turning, began, turned)
                })
            }
        };
        self.in_flight.insert(handle.id(), key);
    }

    /// A rollout is gone or going, or not ours: undo what is left of it.
    fn take_leave(&mut self, key: Key) {
        let shared = self.shared.clone();
        let remains = self.store.remains(&key.namespace, &key.name, &shared.instance);
        let instance = &shared.instance;
        let bequeathed = self.store.bequeathed(&key.namespace, &key.name, instance);
        if remains.is_empty() && bequeathed.is_empty() {
            return self.nothing(key);
        }
        let turning = key.clone();
        let handle = self.turns.spawn(async move {
            let began = Instant::now();
            let turned = tidy_turn(&shared, &turning, remains, bequeathed).await;
            count(&shared.health, turning, began, turned)
        });
        self.in_flight.insert(handle.id(), key.clone());
        self.leaving.insert(key);
    }

    /// There is nothing to do about a key: its object is gone, going, or not ours.
    fn nothing(&mut self, key: Key) {
        let turned = Turned::Fine { wake: None, wrote: Vec::new(), again: false };
        self.engine.handle(Input::Done(key, turned), now());
    }

    fn done(&mut self, done: Result<(tokio::task::Id, (Key, Turned)), JoinError>) {
        let (key, turned) = match done {
            Ok((id, done)) => {
                self.in_flight.remove(&id);
                done
            }
            Err(error) => {
                let Some(key) = self.in_flight.remove(&error.id()) else { return };
                tracing::error!(%key, %error, "a turn ended unexpectedly");
                (key, Turned::Failed { wrote: Vec::new() })
            }
        };
        // What could not be told to be gone is asked again, and has the same to undo.
        if self.leaving.remove(&key) && matches!(turned, Turned::Fine { .. }) {
            self.store.inherited(&key.namespace, &key.name);
        }
        let wrote = match &turned {
            Turned::Fine { wrote, .. } | Turned::Failed { wrote } => wrote.clone(),
        };
        let time = now();
        self.engine.handle(Input::Done(key, turned), time);
        // The watch may have been faster than the turn.
        for (id, version) in wrote {
            let shown = self.shown.get(&id).copied();
            if shown.is_some() || version == GONE {
                self.engine.handle(Input::Seen(id, shown), time);
            }
        }
    }

    fn stand(&mut self, standing: Standing) -> Result<(), RunError> {
        match standing {
            Standing::Leads => {
                self.elected = true;
                self.lead();
                Ok(())
            }
            Standing::Lost(why) => {
                self.engine.handle(Input::Leading(false), now());
                Err(RunError::LeaseLost(why))
            }
        }
    }

    /// Begin to lead once elected, and once everything has been seen: a decision on half of the
    /// objects would be a decision on a cluster that is not there.
    fn lead(&mut self) {
        if self.leading || !self.elected || self.synced.len() < Watched::ALL.len() {
            return;
        }
        tracing::info!(rollouts = self.store.rollouts().count(), "leading");
        self.leading = true;
        lock(&self.shared.ledger).forget_all();
        self.shared.health.leading(true);
        self.engine.handle(Input::Leading(true), now());
    }

    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Applied { kind, id, version, object } => {
                self.shared.health.saw(kind, &id, &object);
                let touched = self.store.apply(kind, object);
                if kind == Watched::Rollout {
                    self.lenders.follow(self.store.references());
                }
                let object = object_id(kind.kind(), &id.0, &id.1);
                let version = version.map(Version);
                if let Some(version) = version {
                    self.shown.insert(object.clone(), version);
                }
                self.touch(touched);
                self.engine.handle(Input::Seen(object, version), now());
            }
            Heard::Deleted(kind, id) => self.lose(kind, &id),
            Heard::Lent { reference, version, object } => {
                let (_, kind) = reference.kind.kind();
                let id = object_id(kind, &reference.namespace, &reference.name);
                let touched = self.store.lend(reference, object.as_ref());
                let version = version.map(Version);
                if let Some(version) = version {
                    self.shown.insert(id.clone(), version);
                }
                self.touch(touched);
                self.engine.handle(Input::Seen(id, version), now());
            }
            Heard::Listed(kind, listed) => {
                for id in self.store.ids(kind) {
                    if !listed.contains(&id) {
                        self.lose(kind, &id);
                    }
                }
                if self.synced.insert(kind) {
                    self.shared.health.synced(kind);
                    self.lead();
                }
            }
        }
    }

    fn lose(&mut self, kind: Watched, id: &Id) {
        self.shared.health.lost(kind, id);
        let touched = self.store.remove(kind, &id.0, &id.1);
        if kind == Watched::Rollout {
            self.lenders.follow(self.store.references());
        }
        let object = object_id(kind.kind(), &id.0, &id.1);
        self.shown.remove(&object);
        self.touch(touched);
        self.engine.handle(Input::Seen(object, None), now());
    }

    fn touch(&mut self, touched: Touched) {
        let Touched { rollouts, runs, experiments } = touched;
        let all =
            [(Kind::Rollout, rollouts), (Kind::AnalysisRun, runs), (Kind::Experiment, experiments)];
        for (kind, ids) in all {
            for (namespace, name) in ids {
                let instance = &self.shared.instance;
                // How far a rollout is, or what else is there.
                let (hundredths, left) = match kind {
                    Kind::Rollout => (
                        self.store.hundredths(&namespace, &name),
                        self.store.is_owed(&namespace, &name, instance),
                    ),
                    Kind::AnalysisRun => {
                        (self.store.has_run(&namespace, &name).then_some(0), false)
                    }
                    Kind::Experiment => {
                        (self.store.has_experiment(&namespace, &name).then_some(0), false)
                    }
                };
                let there = hundredths.is_some();
                let advance = Advance::new(hundredths.unwrap_or(0));
                let key = Key { kind, namespace, name };
                if left && !there {
                    self.shared.forget(&key);
                }
                if there || left {
                    if kind == Kind::Rollout {
                        self.engine.handle(Input::Advanced(key.clone(), advance), now());
                    }
                    self.engine.handle(Input::Changed(key), now());
                } else {
                    self.shared.forget(&key);
                    self.engine.handle(Input::Gone(key), now());
                }
            }
        }
    }
}

fn count(health: &Health, key: Key, began: Instant, turned: Turned) -> (Key, Turned) {
    let failed = matches!(turned, Turned::Failed { .. });
    health.turned(&key, began.elapsed(), failed);
    (key, turned)
}
