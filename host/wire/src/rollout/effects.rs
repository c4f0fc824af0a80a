//! From orders to what a shell performs: writes to the API, and routings for a router.

use std::num::NonZeroU32;

use serde_json::{Map, Value, json};
use sluice_core::Order;
use sluice_core::observed::{Door, Hash};
use sluice_core::traffic::{Side, Split};
use sluice_port::{Destination, Routing, StepCall};

use crate::clock::{format_time, next_second};
use crate::field::Field;
use crate::keys;
use crate::objects::{Meta, Objects, ReplicaSet};
use crate::rollout::called::Request;
use crate::rollout::events::{Event, Severity};
use crate::rollout::experiment::New;
use crate::rollout::observe::Seen;
use crate::rollout::parse::RouteRule;
use crate::rollout::restart::{Look, eviction, look};
use crate::rollout::routers::Release;
use crate::rollout::workload::{give_back, scale, take_over};

/// How an object is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Create it; that it exists already is no failure if the same owner controls it.
    Create,
    /// Merge the body into it.
    Merge,
    /// Apply the body, a JSON patch (RFC 6902), to it.
    Patch,
    /// Delete it, if it still is the one that was seen.
    Delete,
}

/// Which object is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Such as `apps/v1`.
    pub api_version: &'static str,
    /// Such as `ReplicaSet`.
    pub kind: &'static str,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// `status`, or nothing.
    pub subresource: Option<&'static str>,
}

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// How.
    pub verb: Verb,
    /// What.
    pub target: Target,
    /// The object, the patch, or the preconditions of a deletion. Where the write is only
    /// right for the version that was seen, `metadata.resourceVersion` is in it.
    pub body: Value,
    /// What to announce when it was done.
    pub event: Option<Event>,
}

/// One router and what it is to route.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// The component's name.
    pub router: String,
    /// The routing.
    pub routing: Routing,
}

/// Metadata for the pods of one ReplicaSet.
#[derive(Clone, Debug, PartialEq)]
pub struct Pods {
    /// Their namespace.
    pub namespace: String,
    /// The UID of the ReplicaSet that controls them.
    pub controller: String,
    /// The value of their pod template hash label.
    pub hash: String,
    /// What is merged into the metadata of each.
    pub metadata: Value,
    /// To be written once all of them have it.
    pub done: Write,
}

/// What a shell performs.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// A write.
    Write(Write),
    /// Metadata for pods that exist already.
    Pods(Pods),
    /// An Experiment is made of the pod templates of ReplicaSets.
    Experiment(New),
    /// A component is asked about a step; its answer is for a later turn.
    Call(Request),
    /// List the pods, for the next turn.
    Look(Look),
    /// Evict a pod.
    Evict {
        /// Its namespace.
        namespace: String,
        /// Its name.
        pod: String,
        /// Its version; the server refuses another one as a conflict.
        version: String,
        /// The body for the API's `pods/eviction`.
        body: Value,
    },
    /// A routing by every router, in this order; only all together confirm the split.
    Route {
        /// The routers.
        routes: Vec<Route>,
        /// The split that they are asked for.
        split: Split,
    },
    /// Note who is in charge of the traffic. Whatever comes of it, nothing that was confirmed
    /// before counts any more.
    Note(Write),
    /// A former router takes back what is its.
    Release(Box<Release>),
}

/// Why an order cannot be performed as it stands.
pub type Blocked = String;

/// What performs `order`; `None` if its object is gone, so that there is nothing to do.
pub fn effect(objects: &Objects, seen: &Seen, order: &Order) -> Result<Option<Effect>, Blocked> {
    let scene = Scene { objects, seen, meta: Meta::read(&objects.rollout) };
    let write = match order {
        Order::Leave { lost } => {
            let pong = seen.observed.memory.pong;
            return Ok(seen.routers.leave(&scene.meta, pong, lost.as_deref()));
        }
        Order::Release { index, .. } => {
            return Ok(seen.routers.release(&seen.observed, &scene.meta, *index));
        }
        Order::Shift { .. } if !seen.routers.is_noted() => {
            return Ok(Some(seen.routers.note(&scene.meta)));
        }
        Order::Shift { to } => {
            // What was confirmed before two ping-pong Services changed sides is told anew.
            let to = to.clone().seen_from(seen.observed.memory.pong);
            return Ok(to.map(|to| scene.route(&to)));
        }
        Order::Create { hash, number, to, side, avoids } => {
            let number = (hash, *number);
            Some(scene.create(number, to.0, *side, avoids.as_ref()))
        }
        Order::Refresh { hash } => scene.refresh(hash),
        Order::Avoid { hash, other } => scene.avoid(hash, other.as_ref()),
        Order::Mark { hash, side } => scene.mark(hash, *side),
        Order::MarkPods { hash, side } => return Ok(scene.mark_pods(hash, *side)),
        Order::Number { hash, number } => scene.number(hash, *number),
        Order::NumberRollout { number } => Some(scene.number_rollout(*number)),
        Order::Scale { hash, from, to } => scene.scale(hash, from.0, to.0),
        Order::Deadline { hash, at } => {
            scene.deadline(hash, at.map(|at| format_time(next_second(at))))
        }
        Order::Switch { side, hash } => scene.switch(*side, hash),
        Order::StartRun { name, purpose } => {
            let body = crate::rollout::turn::run_object(objects, seen, name, *purpose)?;
            let target = scene.target("argoproj.io/v1alpha1", "AnalysisRun", name);
            Some(Write { verb: Verb::Create, target, body, event: None })
        }
        Order::CallStep { index, name, operation, execution, number, state } => {
            let config = seen.intent.step_plugin(*index).cloned().unwrap_or_default();
            return Ok(Some(Effect::Call(Request {
                component: name.clone(),
                operation: *operation,
                execution: *execution,
                hash: seen.observed.wanted.clone(),
                call: StepCall {
                    namespace: scene.meta.namespace,
                    rollout: scene.meta.name,
                    rollout_uid: scene.meta.uid,
                    revision: number.to_string(),
                    index: u32::try_from(*index).unwrap_or(u32::MAX),
                    config: config.to_string(),
                    state: state.clone(),
                },
            })));
        }
        Order::StartExperiment { name, index, number } => {
            let made = crate::rollout::experiment::build(objects, seen, name, *index, *number);
            return made.map(|made| Some(Effect::Experiment(made)));
        }
        Order::StopExperiment { name } => {
            let target = scene.target("argoproj.io/v1alpha1", "Experiment", name);
            let body = json!({"spec": {"terminate": true}});
            Some(Write { verb: Verb::Merge, target, body, event: None })
        }
        Order::DeleteExperiment { name } => {
            let target = scene.target("argoproj.io/v1alpha1", "Experiment", name);
            Some(Write { verb: Verb::Delete, target, body: json!({}), event: None })
        }
        Order::StopRun { name } => {
            let target = scene.target("argoproj.io/v1alpha1", "AnalysisRun", name);
            let body = json!({"spec": {"terminate": true}});
            Some(Write { verb: Verb::Merge, target, body, event: None })
        }
        Order::TakeOver { .. } => {
            let workload = objects.borrowed.workload();
            workload.map(|workload| take_over(workload, &scene.meta.name))
        }
        Order::ScaleLender { from, to } => {
            objects.borrowed.workload().map(|workload| scale(workload, from.0, to.0))
        }
        Order::GiveBack { to } => {
            let workload = objects.borrowed.workload();
            workload.map(|workload| give_back(&workload.meta, workload.replicas, to.0))
        }
        Order::LookAtPods => return Ok(Some(Effect::Look(look(objects)))),
        Order::Evict { pod, version, .. } => return Ok(Some(eviction(objects, pod, version))),
        Order::DeleteRevision { hash } => scene.delete_revision(hash),
        Order::DeleteRun { name } => {
            let target = scene.target("argoproj.io/v1alpha1", "AnalysisRun", name);
            Some(Write { verb: Verb::Delete, target, body: json!({}), event: None })
        }
    };
    Ok(write.map(Effect::Write))
}

mod pods;

struct Scene<'a> {
    objects: &'a Objects,
    seen: &'a Seen,
    meta: Meta,
}

impl Scene<'_> {
    fn target(&self, api_version: &'static str, kind: &'static str, name: &str) -> Target {
        Target {
            api_version,
            kind,
            namespace: self.meta.namespace.clone(),
            name: name.to_owned(),
            subresource: None,
        }
    }

    fn set(&self, hash: &Hash) -> Option<&ReplicaSet> {
        self.objects.replica_sets.iter().find(|set| set.hash() == hash.0).map(|set| &**set)
    }

    fn merge_set(&self, set: &ReplicaSet, body: Value, event: Option<Event>) -> Write {
        let target = self.target("apps/v1", "ReplicaSet", &set.meta.name);
        Write { verb: Verb::Merge, target, body, event }
    }

    fn create(
        &self,
        (hash, number): (&Hash, u32),
        to: u32,
        side: Side,
        avoids: Option<&Hash>,
    ) -> Write {
        let intent = &self.seen.intent;
        let name = crate::rollout::identity::name(&self.meta, &hash.0);
        let mut template = intent.template.clone();
        let mut labels = Field::root(&template)
            .at("metadata.labels")
            .value()
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        labels.insert(keys::HASH.into(), hash.0.clone().into());
        if !template.get("metadata").is_some_and(Value::is_object) {
            template["metadata"] = json!({});
        }
        template["metadata"]["labels"] = Value::Object(labels.clone());
        let mut selector = intent.selector.clone();
        if !selector.get("matchLabels").is_some_and(Value::is_object) {
            selector["matchLabels"] = json!({});
        }
        selector["matchLabels"][keys::HASH] = hash.0.clone().into();
        let mut annotations = self.inherited();
        self.add_to_pods(&mut template, &mut annotations, side, avoids);
        annotations.insert(keys::REVISION.into(), number.to_string().into());
        let fleet = intent.rollout.replicas.to_string();
        annotations.insert(keys::DESIRED_REPLICAS.into(), fleet.into());
        let mut spec = json!({"replicas": to, "selector": selector, "template": template});
        if intent.min_ready_seconds > 0 {
            spec["minReadySeconds"] = intent.min_ready_seconds.into();
        }
        let body = json!({
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": name,
                "namespace": self.meta.namespace,
                "labels": labels,
                "annotations": annotations,
                "ownerReferences": [owner(&self.meta)],
            },
            "spec": spec,
        });
        let event = Event::normal(
            "NewReplicaSetCreated",
            format!("Created ReplicaSet {name} (revision {number})"),
        );
        let target = self.target("apps/v1", "ReplicaSet", &name);
        Write { verb: Verb::Create, target, body, event: Some(event) }
    }

    fn inherited(&self) -> Map<String, Value> {
        let inherited = crate::rollout::observe::inherited(&self.meta);
        inherited.map(|(key, value)| (key.clone(), value.clone().into())).collect()
    }

    fn number(&self, hash: &Hash, number: u32) -> Option<Write> {
        let set = self.set(hash)?;
        let mut annotations = json!({keys::REVISION: number.to_string()});
        if let Some(old) = set.meta.annotations.get(keys::REVISION) {
            let history = set.meta.annotations.get(keys::REVISION_HISTORY);
            let history = history.filter(|history| !history.is_empty());
            let history = history.map_or(old.clone(), |history| format!("{history},{old}"));
            annotations[keys::REVISION_HISTORY] = history.into();
        }
        Some(self.merge_set(set, json!({"metadata": {"annotations": annotations}}), None))
    }

    fn number_rollout(&self, number: u32) -> Write {
        let target = self.target("argoproj.io/v1alpha1", "Rollout", &self.meta.name);
        let body = json!({"metadata": {"annotations": {keys::REVISION: number.to_string()}}});
        let event =
            Event::normal("RolloutUpdated", format!("Rollout updated to revision {number}"));
        Write { verb: Verb::Merge, target, body, event: Some(event) }
    }

    fn scale(&self, hash: &Hash, from: u32, to: u32) -> Option<Write> {
        let set = self.set(hash)?;
        let fleet = self.seen.intent.rollout.replicas.to_string();
        let mut annotations = json!({keys::DESIRED_REPLICAS: fleet});
        if to == 0 {
            annotations[keys::SCALE_DOWN_DEADLINE] = Value::Null;
        }
        let mut body = json!({"metadata": {"annotations": annotations}});
        if from == to {
            return Some(self.merge_set(set, body, None));
        }
        body["spec"] = json!({"replicas": to});
        // Removing pods is only right for what was seen; adding some is at worst a waste. Until the
        // last removal is done it would be refused: the set is about to change once more.
        if to < from {
            if set.current > set.wanted || !set.settled {
                return None;
            }
            body["metadata"]["resourceVersion"] = set.meta.version.clone().into();
        }
        let way = if to > from { "up" } else { "down" };
        let number = crate::rollout::observe::annotated_number(&set.meta.annotations);
        let event = Event::normal(
            "ScalingReplicaSet",
            format!(
                "Scaled {way} ReplicaSet {} (revision {number}) from {from} to {to}",
                set.meta.name
            ),
        );
        Some(self.merge_set(set, body, Some(event)))
    }

    fn deadline(&self, hash: &Hash, at: Option<String>) -> Option<Write> {
        let set = self.set(hash)?;
        let annotations = json!({keys::SCALE_DOWN_DEADLINE: at});
        Some(self.merge_set(set, json!({"metadata": {"annotations": annotations}}), None))
    }

    fn switch(&self, side: Side, hash: &Hash) -> Option<Write> {
        let Door::Service { name, selects, adopted } = self.seen.observed.door(side) else {
            return None;
        };
        let service = self.objects.services.get(name)?;
        let mut body = json!({
            "metadata": {"resourceVersion": service.meta.version},
            "spec": {"selector": {keys::HASH: hash.0}},
        });
        if !adopted {
            body["metadata"]["annotations"] = json!({keys::MANAGED_BY: self.meta.name});
        }
        let old = selects.as_ref().map(|hash| hash.0.as_str()).unwrap_or_default();
        let event = Event::normal(
            "SwitchService",
            format!("Switched selector for service '{name}' from '{old}' to '{hash}'"),
        );
        let target = self.target("v1", "Service", name);
        Some(Write { verb: Verb::Merge, target, body, event: Some(event) })
    }

    fn delete_revision(&self, hash: &Hash) -> Option<Write> {
        let set = self.set(hash)?;
        let target = self.target("apps/v1", "ReplicaSet", &set.meta.name);
        let body =
            json!({"preconditions": {"uid": set.meta.uid, "resourceVersion": set.meta.version}});
        Some(Write { verb: Verb::Delete, target, body, event: None })
    }

    fn route(&self, split: &Split) -> Effect {
        let intent = &self.seen.intent;
        let whole = intent.rollout.routing().map_or(100, |routing| routing.whole.get());
        let canary = split
            .share
            .parts_of(std::num::NonZeroU32::new(whole).unwrap_or(std::num::NonZeroU32::MIN));
        let side = |side: Side, weight: u32| Destination {
            service: match self.seen.observed.door(side) {
                Door::Service { name, .. } => name.clone(),
                Door::None => String::new(),
            },
            pod_hash: split.hash_of(side).0.clone(),
            weight,
        };
        let routing = Routing {
            namespace: self.meta.namespace.clone(),
            rollout: self.meta.name.clone(),
            rollout_uid: self.meta.uid.clone(),
            config: String::new(),
            stable: side(Side::Stable, whole - canary),
            canary: side(Side::Canary, canary),
            additional: Vec::new(),
            total_weight: whole,
            header_routes: Vec::new(),
            mirror_routes: Vec::new(),
            managed_routes: intent.managed_routes.clone(),
            extensions: "{}".into(),
        };
        let routes = intent
            .routers
            .iter()
            .map(|(router, config)| {
                let mut routing = Routing { config: config.to_string(), ..routing.clone() };
                self.special(split, router, &mut routing);
                add_destinations(split, router, &mut routing);
                Route { router: router.clone(), routing }
            })
            .collect();
        Effect::Route { routes, split: split.clone() }
    }

    /// The special routes, for a router that is meant to have them: of several, some cannot.
    fn special(&self, split: &Split, router: &str, routing: &mut Routing) {
        let rules = split.routes.iter().filter_map(|route| {
            let known = self.seen.intent.special_routes.iter();
            known.clone().find(|(special, _)| special == route).map(|(_, rule)| rule)
        });
        for rule in rules {
            match rule {
                RouteRule::Header(_) if WITHOUT_HEADER_ROUTES.contains(&router) => {}
                RouteRule::Mirror(_) if WITHOUT_MIRROR_ROUTES.contains(&router) => {}
                RouteRule::Header(route) => routing.header_routes.push(route.clone()),
                RouteRule::Mirror(route) => routing.mirror_routes.push(route.clone()),
            }
        }
    }
}

/// The pods of experiments, for a router that is meant to have them; what they get is no more
/// the stable side's then.
fn add_destinations(split: &Split, router: &str, routing: &mut Routing) {
    if WITHOUT_DESTINATIONS.contains(&router) {
        return;
    }
    let whole = NonZeroU32::new(routing.total_weight).unwrap_or(NonZeroU32::MIN);
    for one in &split.additional {
        let weight = one.share.parts_of(whole);
        routing.stable.weight = routing.stable.weight.saturating_sub(weight);
        routing.additional.push(Destination {
            service: one.service.clone(),
            pod_hash: one.hash.0.clone(),
            weight,
        });
    }
}

/// Built-in routers that divide requests between two destinations alone; beside another that has
/// more, they do without.
pub(crate) const WITHOUT_DESTINATIONS: &[&str] =
    &["nginx", "ambassador", "appMesh", "traefik", "apisix"];

/// Built-in routers that have no header routes; beside another that has, they do without.
const WITHOUT_HEADER_ROUTES: &[&str] = &["nginx", "smi", "ambassador", "appMesh", "traefik"];
const WITHOUT_MIRROR_ROUTES: &[&str] =
    &["nginx", "alb", "smi", "ambassador", "appMesh", "traefik", "apisix"];

/// The owner reference of what a rollout makes.
pub fn owner(rollout: &Meta) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "name": rollout.name,
        "uid": rollout.uid,
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// An event for an order that could not be turned into a write.
pub fn blocked_event(why: &str) -> Event {
    Event { severity: Severity::Warning, reason: "ReconciliationError", message: why.to_owned() }
}
