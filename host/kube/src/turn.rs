//! One turn of a rollout: record, announce, perform.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::ObjectReference;
use serde_json::Value;
use sluice_core::traffic::{self as core, Certainty, Split};
use sluice_core::{Order, Wake};
use sluice_engine::{Key, ObjectId, Turned, Version};
use sluice_port::drive::{AccessError, How, Trouble, Written, drive};
use sluice_port::{Fault, ObjectRef, Verification};
use sluice_wire::Objects;
use sluice_wire::objects::Meta;
use sluice_wire::rollout::effects::effect;
use sluice_wire::rollout::observe::observe;
use sluice_wire::rollout::routers::Release;
use sluice_wire::rollout::{Effect, Event, Route, Write, turn};

use crate::errand::errands;
use crate::error::ApiError;
use crate::events::reference;
use crate::notify;
use crate::objects::RouterObjects;
use crate::routed::Read;
use crate::shared::{Memory, Shared, lock, now};
use crate::step;

mod restart;
mod routers;

/// How often a settled routing is checked against its objects, so that what somebody else
/// changed is put right, where those objects cannot be watched.
pub const PATROL: Duration = Duration::from_secs(60);
/// How often where they are: a data plane may change without any of its objects being written.
pub const SLOW_PATROL: Duration = Duration::from_secs(15 * 60);
/// How soon a router that has not confirmed is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Take one turn of a rollout.
pub(crate) async fn rollout_turn(shared: &Arc<Shared>, key: &Key, mut objects: Objects) -> Turned {
    shared.remember(key, |memory| {
        objects.learnt.taken.extend(memory.learnt.taken.iter().cloned());
        objects.learnt.defaulted = memory.learnt.defaulted;
        objects.learnt.replies.clone_from(&memory.learnt.replies);
        // A list of pods is for one decision.
        objects.learnt.pods = memory.learnt.pods.take();
        objects.learnt.held.clone_from(&memory.learnt.held);
        objects.learnt.unreleased.clone_from(&memory.learnt.unreleased);
        objects.learnt.recorded = memory.learnt.recorded;
    });
    let about = reference(&objects.rollout);
    greet(shared, key, &about);
    let mut plan = turn(&objects);
    if !plan.errands.is_empty() {
        return errands(shared, key, &objects, plan.errands).await;
    }
    let mut wrote = Vec::new();
    let settled = match notify::before_record(shared, key, &objects, &mut plan, &mut wrote).await {
        Ok(settled) => settled,
        Err(error) => {
            tracing::debug!(%key, %error, "what is to be notified was not noted");
            return Turned::Failed { wrote };
        }
    };
    if let Some(record) = &plan.record
        && let Err(error) = shared.write(record, &mut wrote).await
    {
        // Somebody else wrote first, or nothing can be written: what was decided is void.
        if matches!(error, ApiError::Conflict(_)) {
            shared.health.conflicted();
            tracing::debug!(%key, "record refused: decided on an old version");
        } else {
            tracing::warn!(%key, %error, "record failed");
        }
        return Turned::Failed { wrote };
    }
    shared.remember(key, |memory| {
        memory.learnt.replies.retain(|reply| !objects.learnt.replies.contains(reply));
        if plan.record.is_some() {
            memory.learnt.recorded = Some(objects.now);
        }
    });
    if let Some(phase) = &plan.phase {
        tracing::debug!(%key, ?phase, waiting = ?plan.waiting, effects = plan.effects.len(), "turn");
    }
    for event in &plan.events {
        shared.recorder.announce(&about, event.clone());
    }
    let wake = Wake::sooner(plan.wake, notify::after_record(shared, key, &objects, &settled));
    let mut acts = Acts { wake, again: plan.record.is_some(), ..Acts::default() };
    acts.failed = !plan.blocked.is_empty() || !plan.refusals.is_empty();
    let mut effects: Vec<Effect> = plan.effects.into_iter().map(|(_, effect)| effect).collect();
    effects.extend(plan.tidy.into_iter().map(Effect::Write));
    let routed = effects.iter().any(|effect| matches!(effect, Effect::Route { .. }));
    let patrol = if routed { None } else { patrol(shared, key, &objects, &mut acts) };
    let patrolling = patrol.is_some();
    effects.extend(patrol);
    let performed =
        effects.iter().map(|effect| perform(shared, key, &objects, &about, effect, patrolling));
    for act in join_all(performed).await {
        acts.add(act);
    }
    wrote.append(&mut acts.wrote);
    if acts.failed {
        return Turned::Failed { wrote };
    }
    Turned::Fine { wake: acts.wake, wrote, again: acts.again }
}

/// How soon a rollout that is there, but was not seen, is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Undo what is left of a rollout that is gone. There is nobody to tell of it but the log.
pub(crate) async fn tidy_turn(
    shared: &Shared,
    key: &Key,
    remains: Vec<Write>,
    bequeathed: Vec<Release>,
) -> Turned {
    let mut wrote = Vec::new();
    match shared.writer.is_gone(&key.namespace, &key.name).await {
        Ok(true) => {}
        Ok(false) => {
            tracing::debug!(%key, "is there, though it was not seen: nothing is undone");
            let wake = Wake { at: now().after(LOOK_AGAIN), because: "a rollout is to be seen" };
            return Turned::Fine { wake: Some(wake), wrote, again: false };
        }
        Err(error) => {
            tracing::warn!(%key, %error, "cannot tell whether it is gone");
            return Turned::Failed { wrote };
        }
    }
    for release in bequeathed {
        let router = &release.router;
        match routers::take_back(shared, key, &release).await.1 {
            Ok(()) => tracing::info!(%key, router, "took its routes back, as its rollout is gone"),
            // Neither are its pods there any more: nobody gains from trying for ever.
            Err(why) => tracing::warn!(%key, router, why, "did not take its routes back"),
        }
    }
    for write in remains {
        let (kind, name) = (write.target.kind, &write.target.name);
        match shared.write(&write, &mut wrote).await {
            Ok(()) => tracing::info!(%key, kind, name, "let go, as its rollout is gone"),
            Err(ApiError::Missing(_)) => {}
            Err(error) => {
                tracing::warn!(%key, kind, name, %error, "not let go yet");
                return Turned::Failed { wrote };
            }
        }
    }
    Turned::Fine { wake: None, wrote, again: false }
}

/// What performing came to.
#[derive(Debug, Default)]
struct Acts {
    wrote: Vec<(ObjectId, Version)>,
    failed: bool,
    again: bool,
    wake: Option<Wake>,
}

impl Acts {
    fn add(&mut self, more: Self) {
        self.wrote.extend(more.wrote);
        self.failed |= more.failed;
        self.again |= more.again;
        self.wake = Wake::sooner(self.wake, more.wake);
    }
}

fn greet(shared: &Shared, key: &Key, about: &ObjectReference) {
    let new = shared.remember(key, |memory| {
        let new = memory.greeted != about.uid;
        memory.greeted.clone_from(&about.uid);
        new
    });
    if new {
        let message = format!("Rollout added to informer cache: {}/{}", key.namespace, key.name);
        shared.recorder.announce(about, Event::normal("RolloutAddedToInformer", message));
    }
}

async fn perform(
    shared: &Arc<Shared>,
    key: &Key,
    objects: &Objects,
    about: &ObjectReference,
    effect: &Effect,
    patrolling: bool,
) -> Acts {
    match effect {
        Effect::Write(write) => perform_write(shared, key, about, write).await,
        Effect::Pods(pods) => match crate::pods::mark(&shared.writer, pods).await {
            Ok(()) => perform_write(shared, key, about, &pods.done).await,
            Err(error) => {
                tracing::warn!(%key, %error, "pods keep the metadata that they had");
                let event = Event::warning("ReconciliationError", error.to_string());
                notify::announce(shared, key, about, event);
                Acts { failed: true, ..Acts::default() }
            }
        },
        Effect::Experiment(new) => match step::experiment(shared, new).await {
            Ok(write) => perform_write(shared, key, about, &write).await,
            Err(why) => {
                tracing::warn!(%key, why, "no experiment");
                notify::announce(shared, key, about, Event::warning("ReconciliationError", why));
                Acts { failed: true, ..Acts::default() }
            }
        },
        Effect::Call(request) => {
            step::begin(shared, key, request);
            Acts::default()
        }
        Effect::Note(write) => {
            lock(&shared.ledger).doubt(key, now());
            perform_write(shared, key, about, write).await
        }
        Effect::Release(release) => routers::release(shared, key, about, release).await,
        Effect::Look(look) => restart::look(shared, key, about, look).await,
        Effect::Evict { namespace, pod, body, .. } => {
            restart::evict(shared, key, about, (namespace, pod), body).await
        }
        Effect::Route { routes, split } => {
            let routing = Routing { shared, key, objects, about, split };
            if patrolling { routing.check(routes).await } else { routing.ask(routes).await }
        }
    }
}

async fn perform_write(shared: &Shared, key: &Key, about: &ObjectReference, write: &Write) -> Acts {
    let mut acts = Acts::default();
    match shared.write(write, &mut acts.wrote).await {
        Ok(()) => {
            if let Some(event) = &write.event {
                notify::announce(shared, key, about, event.clone());
            }
        }
        Err(error) => {
            acts.failed = true;
            let kind = write.target.kind;
            if matches!(error, ApiError::Taken(_)) {
                // The next turn finds another name.
                let name = write.target.name.clone();
                shared.remember(key, |memory| memory.learnt.taken.insert(name));
            }
            // A lost race is what the condition on the version is for; anything else is not.
            if !matches!(error, ApiError::Conflict(_)) {
                tracing::warn!(%key, kind, name = write.target.name, %error, "write failed");
                let reason = match (kind, write.verb) {
                    ("ReplicaSet", sluice_wire::rollout::Verb::Create) => "ReplicaSetCreateError",
                    ("ReplicaSet", _) => "ReplicaSetUpdateError",
                    _ => "ReconciliationError",
                };
                notify::announce(shared, key, about, Event::warning(reason, error.to_string()));
            }
        }
    }
    acts
}

/// The routing to check, if the key has a settled one and it is time to; else `acts` wakes then.
fn patrol(shared: &Shared, key: &Key, objects: &Objects, acts: &mut Acts) -> Option<Effect> {
    let split = objects.traffic.confirmed()?.clone();
    let asked = shared.remember(key, |memory| *memory.asked.get_or_insert(objects.now));
    let followed = shared.routed.is_followed(key);
    let due = asked.after(if followed { SLOW_PATROL } else { PATROL });
    if objects.now < due && !shared.routed.is_changed(key) {
        let wake = Wake { at: due, because: "the routing is checked" };
        acts.wake = Wake::sooner(acts.wake, Some(wake));
        return None;
    }
    let seen = observe(objects).ok()?;
    let effect = effect(objects, &seen, &Order::Shift { to: split }).ok().flatten()?;
    // A rollout that lost its routers has nothing to check.
    let routes = match &effect {
        Effect::Route { routes, .. } => routes.len(),
        Effect::Write(_)
        | Effect::Pods(_)
        | Effect::Experiment(_)
        | Effect::Call(_)
        | Effect::Look(_)
        | Effect::Note(_)
        | Effect::Release(_)
        | Effect::Evict { .. } => 0,
    };
    (routes > 0).then_some(effect)
}

struct Routing<'a> {
    shared: &'a Shared,
    key: &'a Key,
    objects: &'a Objects,
    about: &'a ObjectReference,
    split: &'a Split,
}

/// How all routers together ended.
struct Routed {
    /// Whether an object was not as wanted.
    changed: bool,
    result: Result<Certainty, Unconfirmed>,
}

/// Why a split is not confirmed.
struct Unconfirmed {
    why: String,
    /// Whether the router awaits the data plane, as it does after every change.
    awaited: bool,
    /// Whether nothing was learnt of the routing: the API server or the component failed.
    unknown: bool,
    /// Whether what the user asked for cannot be done.
    refused: bool,
}

impl Routing<'_> {
    /// Ask for the split. It is noted before anybody is asked: from then on it may be live.
    async fn ask(&self, routes: &[Route]) -> Acts {
        lock(&self.shared.ledger).asked(self.key, self.split.clone(), now());
        let routed = self.drive(routes).await;
        match routed.result {
            Ok(certainty) => {
                let split = self.split.clone();
                lock(&self.shared.ledger).confirmed(self.key, split, certainty, now());
                self.tell(None);
                Acts { again: true, ..Acts::default() }
            }
            Err(Unconfirmed { why, awaited, refused, .. }) => {
                let trouble = core::Trouble { why: why.clone(), refused, awaited };
                lock(&self.shared.ledger).trouble(self.key, trouble, now());
                // What is refused is announced with the condition that says so.
                self.tell(Some(why).filter(|_| !awaited && !refused));
                let at = now().after(ASK_AGAIN);
                let wake = Wake { at, because: "the router is asked again" };
                // A failure is repeated at growing intervals instead.
                let wake = Some(wake).filter(|_| awaited);
                Acts { failed: !awaited, wake, ..Acts::default() }
            }
        }
    }

    /// Check a routing that was confirmed. Only if it was not as wanted, it is in doubt.
    async fn check(&self, routes: &[Route]) -> Acts {
        let routed = self.drive(routes).await;
        let unknown = matches!(&routed.result, Err(Unconfirmed { unknown: true, .. }));
        let trouble = routed.result.err().map(|unconfirmed| unconfirmed.why);
        if routed.changed || (trouble.is_some() && !unknown) {
            tracing::info!(key = %self.key, "the routing was not as it had been confirmed");
            lock(&self.shared.ledger).doubt(self.key, now());
        }
        self.tell(trouble);
        // The next turn asks for what is in doubt now, or goes on to wait for the next patrol.
        Acts { again: true, ..Acts::default() }
    }

    async fn drive(&self, routes: &[Route]) -> Routed {
        self.shared.remember(self.key, |memory| memory.asked = Some(self.objects.now));
        let mut reads = Vec::new();
        let routed = self.drive_all(routes, &mut reads).await;
        self.shared.routed.follow(self.key, reads);
        routed
    }

    async fn drive_all(&self, routes: &[Route], reads: &mut Vec<Read>) -> Routed {
        let mut routed = Routed { changed: false, result: Ok(Certainty::Converged) };
        for route in routes {
            let access = RouterObjects {
                client: self.shared.writer.client.clone(),
                term: self.shared.writer.term.clone(),
                names: self.shared.names.clone(),
                namespace: self.key.namespace.clone(),
                router: route.router.clone(),
                config: serde_json::from_str(&route.routing.config).unwrap_or(Value::Null),
                rights: self.shared.components.rights(&route.router),
                reads: Mutex::default(),
            };
            let components = &*self.shared.components;
            let outcome = drive(components, &access, &route.router, &route.routing).await;
            reads.append(&mut lock(&access.reads));
            for written in &outcome.written {
                routed.changed |= written.how != How::Unchanged;
                if let Some(event) = written_event(written) {
                    notify::announce(self.shared, self.key, self.about, event);
                }
            }
            let (why, awaited, unknown, refused) = match outcome.result {
                Ok(Verification::Converged) => continue,
                Ok(Verification::CannotTell) => {
                    routed.result = routed.result.map(|_| Certainty::Written);
                    continue;
                }
                Ok(Verification::Pending(why)) => (why, true, false, false),
                Err(trouble) => {
                    let refused = trouble.is_refusal();
                    (trouble.to_string(), false, is_passing(&trouble), refused)
                }
            };
            let why = format!("{}: {why}", route.router);
            // The others are asked all the same: what one cannot do is no reason for them.
            let failed = Err(Unconfirmed { why, awaited, unknown, refused });
            routed.result = routed.result.and(failed);
        }
        routed
    }

    /// Announce trouble once, and again only when it changed.
    fn tell(&self, trouble: Option<String>) {
        let new = self.shared.remember(self.key, |memory: &mut Memory| {
            let new = trouble.is_some() && memory.trouble != trouble;
            memory.trouble.clone_from(&trouble);
            new
        });
        if let Some(message) = trouble.filter(|_| new) {
            tracing::warn!(key = %self.key, %message, "the routers have not done it");
            let event = Event::warning("TrafficRoutingError", message);
            notify::announce(self.shared, self.key, self.about, event);
        }
    }
}

/// Whether a trouble says nothing of the routing itself.
fn is_passing(trouble: &Trouble) -> bool {
    match trouble {
        Trouble::Objects(AccessError::Unavailable(_) | AccessError::Conflict(_)) => true,
        Trouble::Objects(AccessError::NotGranted(_) | AccessError::Invalid(_)) => false,
        Trouble::Router(fault) => {
            let passing = matches!(
                fault,
                Fault::Transient { .. } | Fault::Missing { .. } | Fault::Suspended { .. }
            );
            passing || fault.is_misbehaviour()
        }
    }
}

/// The event of a routed object that was written, with Argo's reasons.
fn written_event(written: &Written) -> Option<Event> {
    let ObjectRef { kind, name, .. } = &written.target;
    let (reason, message) = match (kind.as_str(), written.how) {
        (_, How::Unchanged | How::Removed) => return None,
        ("Ingress", How::Created) => {
            ("CreatingCanaryIngress", format!("Creating canary ingress `{name}`"))
        }
        ("Ingress", How::Changed) => {
            ("PatchingCanaryIngress", format!("Updating Ingress `{name}`"))
        }
        ("VirtualService", How::Created | How::Changed) => {
            ("Updated VirtualService", format!("VirtualService `{name}` set to desired weights"))
        }
        ("DestinationRule", How::Created | How::Changed) => {
            ("UpdatedDestinationRule", format!("DestinationRule `{name}` updated"))
        }
        _ => return None,
    };
    Some(Event::normal(reason, message))
}

/// Whether a rollout is this controller's.
pub(crate) fn is_ours(object: &Value, instance: &str) -> bool {
    let meta = Meta::read(object);
    let label = meta.labels.get(sluice_wire::keys::INSTANCE_ID);
    label.map(String::as_str).unwrap_or_default() == instance
}
