//! Which routers are in charge of a rollout's traffic, and which have been: noted on the Rollout,
//! so that a router that the user does not name any more is left in good order.
//!
//! ```text
//!   named ──noted──► in charge ──not named, and nothing on the canary──► former ──released──► gone
//! ```

use std::num::NonZeroU32;

use serde_json::{Value, json};
use sluice_core::observed::{Door, Former as Seen, Hash};
use sluice_core::rollout::{Canary, Enough, Routing as Shifts, Steps, Strategy, Tenure};
use sluice_core::{Observed, Pods, Timestamp};
use sluice_port::{Destination, Routing};

use crate::clock::{format_time, next_second, parse_time};
use crate::field::Field;
use crate::keys;
use crate::objects::{Meta, Objects};
use crate::rollout::effects::{Effect, Route, Target, Verb, Write};
use crate::rollout::events::Event;
use crate::rollout::parse::{Intent, PING_PONG, SERVICES, fallback, parse};

/// Routers, and what they were told beside weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrangement {
    /// Component name and configuration.
    routers: Vec<(String, Value)>,
    /// The Services of the stable and of the canary side, or ping and pong; empty without one.
    services: [String; 2],
    /// Whether the two Services change sides.
    ping_pong: bool,
    /// `trafficRouting.managedRoutes`.
    managed_routes: Vec<String>,
    /// The weight that means everything.
    total_weight: u32,
}

/// A router that is in charge no more.
#[derive(Clone, Debug, PartialEq)]
pub struct Former {
    /// It alone, with its Services as they were last.
    last: Arrangement,
    /// Why it could not be told to send nothing to the canary, if it could not.
    lost: Option<String>,
    /// When nothing of what it sent is under way any more, once it let go.
    over: Option<Timestamp>,
    /// Whether it leads to the revisions that it was told of last: it names them itself, or its
    /// Services change sides and not revisions.
    pinned: bool,
}

/// What is noted on a Rollout.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Notes {
    /// The routers that may have been told something.
    pub in_charge: Option<Arrangement>,
    /// Those that were.
    pub formers: Vec<Former>,
}

/// A former router that is to take back what is its.
#[derive(Clone, Debug, PartialEq)]
pub struct Release {
    /// The component's name.
    pub router: String,
    /// What it was told last. Nothing of it goes to the canary.
    pub last: Routing,
    /// The routings in force: what they refer to is left alone.
    pub kept: Vec<Route>,
    /// What to write once it did; nothing, where the Rollout is gone.
    pub done: Option<Write>,
    /// Whether it may have sent requests anywhere until now.
    pub lost: bool,
}

impl Arrangement {
    /// What the specification names; `None` without a router.
    pub(crate) fn of(rollout: &Value, intent: &Intent) -> Option<Self> {
        let whole = intent.rollout.routing()?.whole.get();
        let canary = Field::root(rollout).at("spec.strategy.canary");
        let ping_pong = intent.rollout.ping_pong();
        let names = if ping_pong { PING_PONG } else { SERVICES.map(|(by_canary, _)| by_canary) };
        Some(Self {
            routers: intent.routers.clone(),
            services: names.map(|name| canary.at(name).name().unwrap_or_default().to_owned()),
            ping_pong,
            managed_routes: intent.managed_routes.clone(),
            total_weight: whole,
        })
    }

    fn read(field: &Field<'_>) -> Option<Self> {
        let text = |field: Field<'_>| field.str().unwrap_or_default().to_owned();
        let routers = field.get("routers").items();
        let routers: Vec<_> = routers
            .iter()
            .map(|router| {
                (
                    text(router.get("name")),
                    router.get("config").value().cloned().unwrap_or_default(),
                )
            })
            .collect();
        let managed = field.get("managedRoutes").items();
        (!routers.is_empty()).then(|| Self {
            routers,
            services: [text(field.get("stableService")), text(field.get("canaryService"))],
            ping_pong: field.get("pingPong").bool(),
            managed_routes: managed.into_iter().map(text).collect(),
            total_weight: field.get("totalWeight").u32().unwrap_or(100).max(1),
        })
    }

    fn write(&self) -> Value {
        let router = |(name, config): &(String, Value)| json!({"name": name, "config": config});
        let [stable, canary] = &self.services;
        json!({
            "routers": self.routers.iter().map(router).collect::<Vec<_>>(),
            "stableService": stable,
            "canaryService": canary,
            "pingPong": self.ping_pong,
            "managedRoutes": self.managed_routes,
            "totalWeight": self.total_weight,
        })
    }

    /// Whether whoever follows it takes over all that it did: every router with the same
    /// configuration, the same Services, and every route.
    fn goes_on_in(&self, next: &Self) -> bool {
        let routes = self.managed_routes.iter().all(|name| next.managed_routes.contains(name));
        let routers = self.routers.iter().all(|router| next.routers.contains(router));
        let sides = (&self.services, self.ping_pong) == (&next.services, next.ping_pong);
        routes && routers && sides
    }

    /// The Services of the stable and of the canary side.
    fn sides(&self, pong: bool) -> [&str; 2] {
        let [first, second] = self.services.each_ref().map(String::as_str);
        if self.ping_pong && pong { [second, first] } else { [first, second] }
    }

    /// Put it in the place of what the user names, until it can be left.
    fn put_in_charge(&self, intent: &mut Intent) {
        let whole = NonZeroU32::new(self.total_weight);
        let whole = whole.unwrap_or(NonZeroU32::MIN);
        let shifts = |tenure, old: Option<&Shifts>| {
            let old = old.cloned().unwrap_or_else(|| fallback(whole));
            Some(Shifts { whole, tenure, ..old })
        };
        match &mut intent.rollout.strategy {
            Strategy::Canary(canary) => {
                canary.routing = shifts(Tenure::Leaves, canary.routing.as_ref());
                canary.ping_pong = self.ping_pong;
            }
            strategy @ Strategy::BlueGreen(_) => {
                *strategy = Strategy::Canary(Canary {
                    steps: Steps::none(),
                    max_surge: Pods::ZERO,
                    routing: shifts(Tenure::LeavesFirst, None),
                    background_from: None,
                    enough: Enough::All,
                    ping_pong: self.ping_pong,
                });
            }
        }
        intent.routers.clone_from(&self.routers);
        intent.managed_routes.clone_from(&self.managed_routes);
    }

    fn routings(&self, about: &About<'_>) -> Vec<Route> {
        let [stable, canary] = self.sides(about.pong);
        let destination = |service: &str, hash: Option<&Hash>, weight| Destination {
            service: service.to_owned(),
            pod_hash: hash.map(|hash| hash.0.clone()).unwrap_or_default(),
            weight,
        };
        let routers = self.routers.iter().map(|(router, config)| Route {
            router: router.clone(),
            routing: Routing {
                namespace: about.meta.namespace.clone(),
                rollout: about.meta.name.clone(),
                rollout_uid: about.meta.uid.clone(),
                config: config.to_string(),
                stable: destination(stable, about.stable, self.total_weight),
                canary: destination(canary, about.wanted, 0),
                additional: Vec::new(),
                total_weight: self.total_weight,
                header_routes: Vec::new(),
                mirror_routes: Vec::new(),
                managed_routes: self.managed_routes.clone(),
                extensions: "{}".into(),
            },
        });
        routers.collect()
    }
}

/// Whose routers they are.
struct About<'a> {
    meta: &'a Meta,
    stable: Option<&'a Hash>,
    wanted: Option<&'a Hash>,
    pong: bool,
}

impl Notes {
    /// Read what can be read; what nobody understands says nothing.
    pub fn read(meta: &Meta) -> Self {
        let text = meta.annotations.get(keys::ROUTERS).map(String::as_str).unwrap_or_default();
        let noted: Value = serde_json::from_str(text).unwrap_or_default();
        let root = Field::root(&noted);
        let former = |field: &Field<'_>| {
            let lost = field.get("lost").str().map(str::to_owned);
            let over = field.get("over").str().and_then(parse_time);
            let pinned = field.get("pinned").bool();
            Some(Former { last: Arrangement::read(field)?, lost, over, pinned })
        };
        Self {
            in_charge: Arrangement::read(&root.get("inCharge")),
            formers: root.get("former").items().iter().filter_map(former).collect(),
        }
    }

    /// Every Service that a router is in charge of, or was.
    pub(crate) fn services(&self) -> impl Iterator<Item = &String> {
        let all = self.in_charge.iter().chain(self.formers.iter().map(|former| &former.last));
        all.flat_map(|one| &one.services).filter(|name| !name.is_empty())
    }

    fn text(&self) -> Option<String> {
        let former = |former: &Former| {
            let mut noted = former.last.write();
            if let Some(why) = &former.lost {
                noted["lost"] = why.clone().into();
            }
            if former.pinned {
                noted["pinned"] = true.into();
            }
            if let Some(over) = former.over {
                noted["over"] = format_time(over).into();
            }
            noted
        };
        let mut noted = json!({});
        if let Some(one) = &self.in_charge {
            noted["inCharge"] = one.write();
        }
        if !self.formers.is_empty() {
            noted["former"] = self.formers.iter().map(former).collect();
        }
        (*self != Self::default()).then(|| noted.to_string())
    }

    /// Note this on the Rollout that was seen.
    fn write(&self, meta: &Meta, event: Option<Event>) -> Write {
        let target = Target {
            api_version: "argoproj.io/v1alpha1",
            kind: "Rollout",
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
            subresource: None,
        };
        let body = json!({"metadata": {
            "resourceVersion": meta.version,
            "annotations": {keys::ROUTERS: self.text()},
        }});
        Write { verb: Verb::Merge, target, body, event }
    }
}

/// What is named, and what is noted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Routers {
    named: Option<Arrangement>,
    notes: Notes,
    /// Whether what is in charge is to be left.
    pub leaving: bool,
}

impl Routers {
    /// Look who is in charge, and put that into `intent`.
    pub(crate) fn look(rollout: &Value, meta: &Meta, intent: &mut Intent) -> Self {
        let (named, notes) = (Arrangement::of(rollout, intent), Notes::read(meta));
        let left = notes.in_charge.as_ref().filter(|one| {
            let goes_on = named.as_ref().is_some_and(|named| one.goes_on_in(named));
            !goes_on
        });
        let leaving = left.is_some();
        if let Some(one) = left {
            one.put_in_charge(intent);
        }
        Self { named, notes, leaving }
    }

    /// Whether whoever is to be asked is noted.
    pub(crate) fn is_noted(&self) -> bool {
        self.leaving || self.named == self.notes.in_charge
    }

    /// The doors of what is to be left. Where a Service is gone, nothing comes through it.
    pub(crate) fn doors(&self, objects: &Objects, pong: bool) -> Option<[Door; 2]> {
        let left = self.notes.in_charge.as_ref().filter(|_| self.leaving)?;
        let door = |name: &str| match objects.services.get(name) {
            None => Door::None,
            Some(service) => Door::Service {
                name: name.to_owned(),
                selects: service.selector.get(keys::HASH).map(|hash| Hash(hash.clone())),
                adopted: service.meta.annotations.contains_key(keys::MANAGED_BY),
            },
        };
        Some(left.sides(pong).map(door))
    }

    /// Routers that are in charge no more.
    pub(crate) fn formers(&self, objects: &Objects) -> Vec<Seen> {
        let former = |former: &Former| {
            let router = former.router().to_owned();
            let trouble = objects.learnt.unreleased.get(&router).cloned();
            let names_revisions = former.pinned;
            Seen { router, lost: former.lost.clone(), trouble, names_revisions, over: former.over }
        };
        self.notes.formers.iter().map(former).collect()
    }

    /// Note who is about to be asked.
    pub(crate) fn note(&self, meta: &Meta) -> Effect {
        let named = self.named.clone();
        let again =
            |former: &Former| named.as_ref().is_some_and(|named| former.last.goes_on_in(named));
        let formers = self.notes.formers.iter().filter(|former| !again(former)).cloned().collect();
        let notes = Notes { in_charge: named.clone(), formers };
        Effect::Note(notes.write(meta, None))
    }

    /// Note who is in charge no more: all that are not named as they were.
    pub(crate) fn leave(&self, meta: &Meta, pong: bool, lost: Option<&str>) -> Option<Effect> {
        let left = self.notes.in_charge.as_ref()?;
        let mut notes = Notes { in_charge: None, formers: self.notes.formers.clone() };
        let mut kept = Vec::new();
        for router in &left.routers {
            let services = left.sides(pong).map(str::to_owned);
            let routers = vec![router.clone()];
            let last = Arrangement { routers, services, ping_pong: false, ..left.clone() };
            let goes_on = self.named.as_ref().is_some_and(|named| {
                // Which of the two Services is stable is no reason to let it go.
                let same = Arrangement {
                    services: left.services.clone(),
                    ping_pong: left.ping_pong,
                    ..last.clone()
                };
                same.goes_on_in(named)
            });
            if !goes_on {
                let pinned = left.ping_pong || left.services.iter().any(String::is_empty);
                let lost = lost.map(str::to_owned);
                notes.formers.push(Former { last, lost, over: None, pinned });
            } else {
                kept.push(router.clone());
            }
        }
        // The user may change their mind before those are asked again.
        if !kept.is_empty() {
            notes.in_charge = Some(Arrangement { routers: kept, ..left.clone() });
        }
        let event = lost.map(|why| {
            Event::warning(
                "TrafficRoutingError",
                format!(
                    "Left a router that fails, and let it take its routes back when it can: {why}"
                ),
            )
        });
        Some(Effect::Note(notes.write(meta, event)))
    }

    /// Let a former router take back what is its.
    pub(crate) fn release(&self, observed: &Observed, meta: &Meta, index: usize) -> Option<Effect> {
        let former = self.notes.formers.get(index)?;
        let about = About {
            meta,
            stable: observed.memory.stable.as_ref(),
            wanted: Some(&observed.wanted),
            pong: observed.memory.pong,
        };
        let in_force = self.named.iter().chain(&self.notes.in_charge);
        let kept = in_force.flat_map(|one| one.routings(&about)).collect();
        let mut notes = self.notes.clone();
        if former.over.is_some() {
            notes.formers.remove(index);
            return Some(Effect::Write(notes.write(meta, None)));
        }
        if former.pinned {
            // Its pods are kept until nothing of what it sent to them is under way any more.
            let over = next_second(observed.now.after(fallback(NonZeroU32::MIN).drain));
            notes.formers[index].over = Some(over);
        } else {
            notes.formers.remove(index);
        }
        let router = former.router();
        let event = Event::normal(
            "TrafficRouterReleased",
            format!("Router '{router}' took its routes back, as it is named no more"),
        );
        let done = Some(notes.write(meta, Some(event)));
        Some(Effect::Release(Box::new(former.release(&about, kept, done)?)))
    }
}

impl Former {
    fn router(&self) -> &str {
        self.last.routers.first().map(|(name, _)| name.as_str()).unwrap_or_default()
    }

    fn release(&self, about: &About<'_>, kept: Vec<Route>, done: Option<Write>) -> Option<Release> {
        let Route { router, routing } = self.last.routings(about).into_iter().next()?;
        Some(Release { router, last: routing, kept, done, lost: self.lost.is_some() })
    }
}

/// The Rollout as it is once the routers that it names are noted on it; as it is, where others
/// are. For whoever explains what a controller did that keeps no such notes.
pub fn noted(rollout: &Value) -> Value {
    let mut rollout = rollout.clone();
    let meta = Meta::read(&rollout);
    let notes = Notes::read(&meta);
    let named = parse(&rollout).ok().and_then(|intent| Arrangement::of(&rollout, &intent));
    if notes.in_charge.is_none() && named.is_some() {
        let text = Notes { in_charge: named, ..notes }.text();
        if !rollout["metadata"]["annotations"].is_object() {
            rollout["metadata"]["annotations"] = json!({});
        }
        rollout["metadata"]["annotations"][keys::ROUTERS] = text.into();
    }
    rollout
}

/// What the routers of a Rollout that is gone have to take back.
pub(crate) fn bequeathed(rollout: &Value) -> Vec<Release> {
    let meta = Meta::read(rollout);
    let notes = Notes::read(&meta);
    let status = Field::root(rollout).get("status");
    let hash = |name: &str| status.get(name).name().map(|hash| Hash(hash.to_owned()));
    let (stable, wanted) = (hash("stableRS"), hash("currentPodHash"));
    let about = About {
        meta: &meta,
        stable: stable.as_ref(),
        wanted: wanted.as_ref(),
        pong: status.at("canary.stablePingPong").str() == Some(super::recall::PONG),
    };
    let release = |Route { router, routing }: Route| Release {
        router,
        last: routing,
        kept: Vec::new(),
        done: None,
        lost: false,
    };
    let in_charge = notes.in_charge.iter().flat_map(|one| one.routings(&about)).map(release);
    let formers = notes.formers.iter().filter_map(|one| one.release(&about, Vec::new(), None));
    in_charge.chain(formers).collect()
}
