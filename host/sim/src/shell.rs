//! The simulator's shell: what the Kubernetes shell does with an API server, done with a
//! [`World`], including everything that can go wrong on the way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::Value;
use sluice_core::called::Reply;
use sluice_core::traffic::{Certainty, Split, Trouble};
use sluice_core::{Timestamp, Waiting, Wake};
use sluice_engine::{Engine, Input, Key, Kind, Ledger, ObjectId, Turned, Version};
use sluice_port::{Components, Verification, drive};
use sluice_wire::Store;
use sluice_wire::analysis::observe::Progress;
use sluice_wire::objects::Learnt;
use sluice_wire::rollout::called::Request;
use sluice_wire::rollout::experiment::New;
use sluice_wire::rollout::{Effect, Errand, Event, Route, Verb, Write, turn};
use sluice_wire::store::{Touched, Watched};

mod around;
mod experiments;
mod restart;
mod routers;
mod through;

mod analysis {
    pub use sluice_core::analysis::{Finished, Order};
    pub use sluice_wire::analysis::{measure, turn};
}

use self::through::Through;
use crate::pods::Evicted;
use crate::rng::Rng;
use crate::world::{ApiError, Change, World, fill_in, version_of};

/// What goes wrong between the shell and the API server.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// So many writes in a hundred fail, half of them after they were done.
    pub write_failures: u64,
    /// The process dies after this many more writes; then it starts again.
    pub crash_after: Option<u64>,
}

/// The world as everybody shares it.
pub type SharedWorld = Arc<Mutex<World>>;

/// Lock it; a panic elsewhere does not make it unusable.
pub fn lock(world: &SharedWorld) -> MutexGuard<'_, World> {
    match world.lock() {
        Ok(world) => world,
        Err(poisoned) => poisoned.into_inner(),
    }
}

/// What a turn did, for timelines and checkers.
#[derive(Clone, Debug)]
pub enum Note {
    /// A write was accepted.
    Wrote(Write),
    /// An event was announced about an object.
    Announced(Key, Event),
    /// A routing was asked for.
    Asked(Key, Split),
    /// What a rollout waits for now.
    Waits(Key, Option<Waiting>, Option<Wake>),
    /// A component was asked about a step, and answered.
    Called(Key, Request, Reply),
    /// A measurement came back.
    Measured(Key, analysis::Finished),
    /// A router that is in charge no more was let take back what is its.
    Released(Key, String),
    /// A pod was evicted.
    Evicted(Evicted),
    /// The process died and started again.
    Crashed,
    /// This key was due again and again without time passing.
    Spins(Key),
}

/// One controller process.
pub struct Shell {
    /// The objects.
    pub world: SharedWorld,
    /// Metrics and traffic.
    pub components: Arc<dyn Components>,
    /// What goes wrong.
    pub faults: Faults,
    /// What happened since it was last taken.
    pub notes: Vec<Note>,
    store: Store,
    engine: Engine,
    ledger: Ledger,
    progress: BTreeMap<Key, Progress>,
    learnt: BTreeMap<Key, Learnt>,
    /// The same of experiments.
    made: BTreeMap<Key, sluice_wire::experiment::Learnt>,
    /// Whether it runs experiments; else somebody else does.
    pub runs_experiments: bool,
    rng: Rng,
    now: Timestamp,
    crashed: bool,
}

/// A write ended the process.
struct Died;

const HASH: &str = sluice_wire::keys::HASH;

/// More turns at one instant than any rollout needs: it would never end.
const MOST_TURNS: u32 = 500;

impl Shell {
    /// A process that leads from the start and has seen nothing yet.
    pub fn new(world: SharedWorld, components: Arc<dyn Components>, seed: u64) -> Self {
        let mut shell = Self {
            world,
            components,
            faults: Faults::default(),
            notes: Vec::new(),
            store: Store::new(),
            engine: Engine::new(),
            ledger: Ledger::default(),
            progress: BTreeMap::new(),
            learnt: BTreeMap::new(),
            made: BTreeMap::new(),
            runs_experiments: true,
            rng: Rng::new(seed),
            now: Timestamp::default(),
            crashed: false,
        };
        shell.start();
        shell
    }

    /// Let time pass.
    pub fn set_now(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// When it has something to do next.
    pub fn next_at(&self) -> Option<Timestamp> {
        let heard = lock(&self.world).next_heard();
        [heard, self.engine.wake_at()].into_iter().flatten().min()
    }

    /// Somebody else may have changed the objects of every routing.
    pub fn doubt_all(&mut self) {
        for (namespace, name) in self.store.rollouts() {
            self.ledger.doubt(&rollout_key(namespace, name), self.now);
        }
    }

    /// What every rollout decides now, without doing it: for explanations and idempotence.
    pub fn peek(&self, namespace: &str, name: &str) -> Option<sluice_wire::rollout::Turn> {
        let key = rollout_key(namespace, name);
        let traffic = self.ledger.traffic(&key, self.now);
        let mut objects = self.store.collect(namespace, name, "", traffic, self.now)?;
        self.add_learnt(&key, &mut objects);
        Some(turn(&objects))
    }

    /// Take in what watches tell, and every turn that is due.
    pub async fn step(&mut self) {
        let heard = lock(&self.world).heard(self.now);
        for change in heard {
            self.hear(change);
        }
        let mut turns = 0;
        while let Some(key) = self.engine.poll(self.now) {
            turns += 1;
            if turns > MOST_TURNS {
                self.notes.push(Note::Spins(key));
                return;
            }
            let outcome = match key.kind {
                Kind::Rollout => self.rollout_turn(&key).await,
                Kind::AnalysisRun => self.run_turn(&key).await,
                Kind::Experiment => self.experiment_turn(&key),
            };
            match outcome {
                Ok(turned) => self.engine.handle(Input::Done(key, turned), self.now),
                Err(Died) => self.restart(),
            }
        }
    }

    fn start(&mut self) {
        let all = lock(&self.world).relist();
        for change in all {
            self.hear(change);
        }
        self.engine.handle(Input::Leading(true), self.now);
    }

    fn restart(&mut self) {
        self.notes.push(Note::Crashed);
        self.store = Store::new();
        self.engine = Engine::new();
        self.ledger = Ledger::default();
        self.progress.clear();
        self.learnt.clear();
        self.made.clear();
        self.crashed = false;
        self.start();
    }

    fn hear(&mut self, change: Change) {
        let (kind, namespace, name) = &change.place;
        self.hear_of_lender(&change);
        let Some(watched) = Watched::of_kind(kind) else { return };
        // Some kinds are watched by a label.
        let labelled = |object: &Arc<Value>, key: &str| {
            object.pointer("/metadata/labels").and_then(|labels| labels.get(key)).is_some()
        };
        let shown = |object: &&Arc<Value>| match watched {
            Watched::ReplicaSet => labelled(object, HASH),
            Watched::Deployment => labelled(object, sluice_wire::keys::TAKEN),
            _ => true,
        };
        let object = change.object.as_ref().filter(shown);
        let touched = match object {
            Some(object) => self.store.apply(watched, (**object).clone()),
            None => self.store.remove(watched, namespace, name),
        };
        let id = ObjectId(format!("{kind}/{namespace}/{name}"));
        let version = object.is_some().then_some(Version(change.version));
        if object.is_none() && watched == Watched::Rollout {
            self.ledger.forget(&rollout_key(namespace, name));
        }
        if watched == Watched::Rollout {
            self.read_lenders();
        }
        let Touched { rollouts, runs, experiments } = touched;
        self.touch_rollouts(rollouts);
        self.touch_experiments(experiments);
        for (namespace, name) in runs {
            let key = Key { kind: Kind::AnalysisRun, namespace, name };
            let there = self.store.has_run(&key.namespace, &key.name);
            let input = if there { Input::Changed(key) } else { Input::Gone(key) };
            self.engine.handle(input, self.now);
        }
        self.engine.handle(Input::Seen(id, version), self.now);
    }

    async fn rollout_turn(&mut self, key: &Key) -> Result<Turned, Died> {
        let traffic = self.ledger.traffic(key, self.now);
        let objects = self.store.collect(&key.namespace, &key.name, "", traffic, self.now);
        let Some(mut objects) = objects else { return self.tidy(key).await };
        self.add_learnt(key, &mut objects);
        // A list of pods is for one decision.
        if let Some(learnt) = self.learnt.get_mut(key) {
            learnt.pods = None;
        }
        let plan = turn(&objects);
        let mut wrote = Vec::new();
        if !plan.errands.is_empty() {
            return self.run_errands(key, plan.errands);
        }
        self.notes.push(Note::Waits(key.clone(), plan.waiting.clone(), plan.wake));
        if let Some(record) = &plan.record {
            match self.write(record)? {
                Ok(done) => wrote.extend(done),
                // Somebody else wrote first: what was decided is void.
                Err(_) => return Ok(Turned::Failed { wrote }),
            }
        }
        self.recorded(key, &objects.learnt.replies);
        if plan.record.is_some() {
            self.learnt.entry(key.clone()).or_default().recorded = Some(self.now);
        }
        for event in plan.events {
            self.notes.push(Note::Announced(key.clone(), event));
        }
        let mut failed = !plan.blocked.is_empty() || !plan.refusals.is_empty();
        let mut wake = plan.wake;
        let mut again = plan.record.is_some();
        let effects = plan.effects.into_iter().map(|(_, effect)| effect);
        for effect in effects.chain(plan.tidy.into_iter().map(Effect::Write)) {
            match effect {
                Effect::Write(write) => match self.write(&write)? {
                    Ok(done) => wrote.extend(done),
                    Err(error) => {
                        failed = true;
                        if matches!(error, ApiError::Exists(_)) {
                            let learnt = self.learnt.entry(key.clone()).or_default();
                            learnt.taken.insert(write.target.name.clone());
                        }
                    }
                },
                Effect::Experiment(new) => {
                    let write = self.experiment(&new);
                    match write.map(|write| self.write(&write)) {
                        Ok(written) => match written? {
                            Ok(done) => wrote.extend(done),
                            Err(_) => failed = true,
                        },
                        Err(_) => failed = true,
                    }
                }
                Effect::Call(request) => {
                    self.call(key, request).await?;
                    again = true;
                }
                // There are no pods as objects here, so that all of them have it at once.
                Effect::Pods(pods) => match self.write(&pods.done)? {
                    Ok(done) => wrote.extend(done),
                    Err(_) => failed = true,
                },
                Effect::Note(write) => {
                    self.ledger.doubt(key, self.now);
                    match self.write(&write)? {
                        Ok(done) => wrote.extend(done),
                        Err(_) => failed = true,
                    }
                }
                Effect::Release(release) => {
                    let released = self.release(key, &release).await?;
                    wrote.extend(released.wrote);
                    wake = Wake::sooner(wake, released.wake);
                }
                Effect::Look(look) => {
                    self.look(key, &look);
                    again = true;
                }
                Effect::Evict { namespace, pod, version, .. } => {
                    failed |= !self.evict(key, (&namespace, &pod, &version))?;
                    again = true;
                }
                Effect::Route { routes, split } => {
                    let routed = self.route(key, &routes, split).await?;
                    again |= routed == Routed::Confirmed;
                    if routed != Routed::Confirmed {
                        let at = self.now.after(Duration::from_secs(1));
                        let because = "the router is asked again";
                        wake = Wake::sooner(wake, Some(Wake { at, because }));
                    }
                }
            }
        }
        Ok(if failed { Turned::Failed { wrote } } else { Turned::Fine { wake, wrote, again } })
    }

    fn add_learnt(&self, key: &Key, objects: &mut sluice_wire::Objects) {
        let Some(learnt) = self.learnt.get(key) else { return };
        objects.learnt.taken.extend(learnt.taken.iter().cloned());
        objects.learnt.defaulted = learnt.defaulted;
        objects.learnt.pods.clone_from(&learnt.pods);
        objects.learnt.held.clone_from(&learnt.held);
        objects.learnt.unreleased.clone_from(&learnt.unreleased);
        objects.learnt.recorded = learnt.recorded;
        objects.learnt.replies.clone_from(&learnt.replies);
    }

    fn experiment(&self, new: &New) -> Result<Write, String> {
        let world = lock(&self.world);
        let namespace = &new.write.target.namespace;
        let sets =
            new.sets().into_iter().filter_map(|name| world.get("ReplicaSet", namespace, name));
        let sets: Vec<Value> = sets.map(|set| (**set).clone()).collect();
        new.fill(&sets)
    }

    /// A turn has taken these answers in, or found that nobody misses them.
    fn recorded(&mut self, key: &Key, replies: &[Reply]) {
        if let Some(learnt) = self.learnt.get_mut(key) {
            learnt.replies.retain(|reply| !replies.contains(reply));
        }
    }

    async fn call(&mut self, key: &Key, request: Request) -> Result<(), Died> {
        let components = self.components.clone();
        let reply = request.make(&*components).await;
        self.notes.push(Note::Called(key.clone(), request, reply.clone()));
        // The answer is lost with the process.
        self.count_write()?;
        self.learnt.entry(key.clone()).or_default().replies.push(reply);
        Ok(())
    }

    fn run_errands(&mut self, key: &Key, errands: Vec<Errand>) -> Result<Turned, Died> {
        let mut wrote = Vec::new();
        for errand in errands {
            match errand {
                // The world has one rollout, and it is never made anew.
                Errand::Adopt(write) | Errand::Release(write) => match self.write(&write)? {
                    Ok(done) => wrote.extend(done),
                    Err(_) => return Ok(Turned::Failed { wrote }),
                },
                Errand::Ask(question) => {
                    let mut stored = question.body.clone();
                    fill_in(&mut stored);
                    let answer = question.answer(Some(&stored));
                    self.learnt.entry(key.clone()).or_default().defaulted = Some(answer);
                }
            }
        }
        Ok(Turned::Fine { wake: None, wrote, again: true })
    }

    async fn route(&mut self, key: &Key, routes: &[Route], split: Split) -> Result<Routed, Died> {
        self.ledger.asked(key, split.clone(), self.now);
        self.notes.push(Note::Asked(key.clone(), split.clone()));
        let mut result = Ok(Certainty::Converged);
        let components = self.components.clone();
        for route in routes {
            let access =
                Through::new(self.world.clone(), &*components, &route.router, &key.namespace);
            let outcome = drive::drive(&*components, &access, &route.router, &route.routing).await;
            self.count_write()?;
            let (why, refused, awaited) = match outcome.result {
                Ok(Verification::Converged) => continue,
                Ok(Verification::CannotTell) => {
                    result = result.map(|_| Certainty::Written);
                    continue;
                }
                Ok(Verification::Pending(why)) => (why, false, true),
                Err(trouble) => (trouble.to_string(), trouble.is_refusal(), false),
            };
            // The others are asked all the same: what one cannot do is no reason for them.
            let why = format!("{}: {why}", route.router);
            result = result.and(Err(Trouble { why, refused, awaited }));
        }
        match result {
            Ok(certainty) => {
                self.ledger.confirmed(key, split, certainty, self.now);
                Ok(Routed::Confirmed)
            }
            Err(trouble) => {
                self.ledger.trouble(key, trouble, self.now);
                Ok(Routed::Unconfirmed)
            }
        }
    }

    /// Write, or fail as the faults will have it. The answer is what the barrier waits for.
    fn write(
        &mut self,
        write: &Write,
    ) -> Result<Result<Option<(ObjectId, Version)>, ApiError>, Died> {
        let fails = self.rng.percent(self.faults.write_failures);
        if fails && self.rng.percent(50) {
            return Ok(Err(ApiError::Unavailable));
        }
        let done = perform(&mut lock(&self.world), write);
        if done.is_ok() {
            self.notes.push(Note::Wrote(write.clone()));
            if let Some(event) = &write.event {
                let key = rollout_key(&write.target.namespace, &write.target.name);
                self.notes.push(Note::Announced(key, event.clone()));
            }
        }
        self.count_write()?;
        Ok(if fails { Err(ApiError::Unavailable) } else { done })
    }

    fn count_write(&mut self) -> Result<(), Died> {
        match &mut self.faults.crash_after {
            Some(0) => {
                self.faults.crash_after = None;
                Err(Died)
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    async fn run_turn(&mut self, key: &Key) -> Result<Turned, Died> {
        let mut wrote = Vec::new();
        let nothing = Turned::Fine { wake: None, wrote: Vec::new(), again: false };
        let Some(run) = self.store.run(&key.namespace, &key.name) else {
            return Ok(nothing);
        };
        let progress = self.progress.entry(key.clone()).or_default().clone();
        let plan = analysis::turn::turn(&run, &progress, self.now);
        if let Some(record) = &plan.record {
            match self.write(record)? {
                Ok(done) => wrote.extend(done),
                Err(_) => return Ok(Turned::Failed { wrote }),
            }
        }
        self.progress.entry(key.clone()).or_default().recorded(&progress);
        for event in plan.events {
            self.notes.push(Note::Announced(key.clone(), event));
        }
        let mut again = false;
        for order in plan.orders {
            again = true;
            match order {
                analysis::Order::Delete => match self.write(&analysis::turn::deletion(&run))? {
                    Ok(done) => wrote.extend(done),
                    Err(_) => return Ok(Turned::Failed { wrote }),
                },
                order => self.measure(key, &run, &order).await,
            }
        }
        Ok(Turned::Fine { wake: plan.wake, wrote, again })
    }

    async fn measure(&mut self, key: &Key, run: &Value, order: &analysis::Order) {
        let (metric, index, token) = match order {
            analysis::Order::Measure { metric, index } => (metric, *index, None),
            analysis::Order::Resume { metric, index, token }
            | analysis::Order::Terminate { metric, index, token } => (metric, *index, Some(token)),
            analysis::Order::Delete => return,
        };
        let at = self.now;
        // Scenarios have no secrets; a metric that wants one says so.
        let none = |_: &_| Err("the simulator has no secrets".to_owned());
        let finished = match analysis::measure::prepare(run, metric, index, none) {
            Err(outcome) => analysis::measure::unmade(metric, index, at, outcome),
            Ok(ready) => {
                let components = self.components.clone();
                let answer = match (order, token) {
                    (analysis::Order::Terminate { .. }, Some(token)) => {
                        // Best effort: the measurement is given up whatever the provider says.
                        let _ = components.terminate(&ready.provider, &ready.call, token).await;
                        return;
                    }
                    (_, Some(token)) => {
                        components.resume(&ready.provider, &ready.call, token).await
                    }
                    (_, None) => components.measure(&ready.provider, &ready.call).await,
                };
                let finished = ready.finish(at, at, answer);
                self.notes.push(Note::Measured(key.clone(), finished.clone()));
                finished
            }
        };
        self.progress.entry(key.clone()).or_default().finish(finished);
    }
}

#[derive(PartialEq, Eq)]
enum Routed {
    Confirmed,
    Unconfirmed,
}

fn rollout_key(namespace: &str, name: &str) -> Key {
    Key { kind: Kind::Rollout, namespace: namespace.to_owned(), name: name.to_owned() }
}

fn perform(world: &mut World, write: &Write) -> Result<Option<(ObjectId, Version)>, ApiError> {
    let target = &write.target;
    let (kind, namespace, name) = (target.kind, target.namespace.as_str(), target.name.as_str());
    let id = ObjectId(format!("{kind}/{namespace}/{name}"));
    let version = match write.verb {
        Verb::Create => match world.create(write.body.clone()) {
            Ok(object) => version_of(&object),
            Err(ApiError::Exists(what)) => {
                let mine = write.body.pointer("/metadata/ownerReferences/0/uid");
                let there = world.get(kind, namespace, name);
                let same = there
                    .is_some_and(|there| there.pointer("/metadata/ownerReferences/0/uid") == mine);
                if !same {
                    return Err(ApiError::Exists(what));
                }
                there.map_or(0, |there| version_of(there))
            }
            Err(error) => return Err(error),
        },
        Verb::Merge => {
            version_of(&*world.merge(kind, namespace, name, target.subresource, &write.body)?)
        }
        Verb::Patch => version_of(&*world.patch(kind, namespace, name, &write.body)?),
        Verb::Delete => match world.delete(kind, namespace, name, &write.body) {
            Ok(version) => version,
            Err(ApiError::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error),
        },
    };
    Ok(Some((id, Version(version))))
}

/// A patch that a user sends, such as an abort.
pub fn user_patch(
    world: &SharedWorld,
    namespace: &str,
    name: &str,
    part: Option<&str>,
    patch: &Value,
) {
    // A user whose patch is refused sends it again; here the rollout exists or it does not.
    let _ = lock(world).merge("Rollout", namespace, name, part, patch);
}
