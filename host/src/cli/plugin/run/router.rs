//! A router, asked what it would write. Nothing is written.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use sluice_author::difference::changes;
use sluice_author::live::now;
use sluice_kube::objects::RouterObjects;
use sluice_port::drive::{Access, AccessError, How, Objects, Trouble, Written, drive};
use sluice_port::{Destination, ObjectQuery, ObjectRef, Routing, Verification};
use sluice_wire::field::Field;

use super::super::super::output::print;
use super::super::millis;
use super::given::Given;
use super::{Args, Reach, Subject, listen, network, show};

/// Ask once. Answers whether it answered.
pub async fn run(args: &Args, subject: &Subject, mut reach: Reach) -> anyhow::Result<bool> {
    let given = Given::read(args, subject)?;
    let name = args.rollout.as_deref().context("a router is asked about a Rollout: --rollout")?;
    let cluster = reach.cluster().await?;
    let rollout = cluster.rollout(name).await?;
    let weight = args.weight.context("say with --weight what the canary is to have")?;
    let (router, routing) = routing(&rollout, &subject.name, weight)?;
    let config: Value = serde_json::from_str(&routing.config).unwrap_or_default();
    let live = subject.start(&router, &given, network(&args.egress_allow)?).await?;
    let mut text = show::subject(subject);
    text.push_str(&show::block("config", &config, &given.hidden));
    text.push_str(&show::block("wanted", &wanted(&routing), &given.hidden));
    print(&text)?;
    let lines = listen();
    let real = RouterObjects::to_look(
        cluster.client.clone(),
        &routing.namespace,
        &router,
        config,
        subject.grants.rights(),
    );
    let preview = Preview { real, staged: Mutex::default(), seen: Mutex::default() };
    let heard =
        live.call(now(), async |host| Ok(drive(host, &preview, &router, &routing).await)).await;
    let mut text =
        show::call(&format!("route at {}", heard.at), &heard, &lines.take(), &given.hidden);
    for what in locked(&preview.seen).keys() {
        text.push_str(&show::line("read", what));
    }
    let answered = match &heard.answer {
        // The outcome is an answer in itself.
        Err(fault) => {
            text.push_str(&show::fault(fault, &given.hidden));
            false
        }
        Ok(outcome) => {
            text.push_str(&preview.written());
            match &outcome.result {
                Ok(Verification::Converged) => {
                    text.push_str(&show::line("then", "all is as wanted"))
                }
                Ok(Verification::Pending(why)) => {
                    text.push_str(&show::line("then", &format!("it waits: {why}")));
                }
                Ok(Verification::CannotTell) => {
                    text.push_str(&show::line("then", "the objects do not tell whether it is so"));
                }
                Err(Trouble::Router(fault)) => text.push_str(&show::fault(fault, &given.hidden)),
                Err(trouble @ Trouble::Objects(_)) => {
                    text.push_str(&show::line("error", &trouble.to_string()));
                }
            }
            outcome.result.is_ok()
        }
    };
    text.push_str(&show::line("took", &millis(heard.took)));
    text.push_str("\nNothing was written.\n");
    print(&text)?;
    Ok(answered)
}

/// What the Rollout would want of the router with this weight, and the router's name in it.
///
/// # Errors
/// The Rollout does not use the router, or the weight is too much.
pub fn routing(rollout: &Value, component: &str, weight: u32) -> anyhow::Result<(String, Routing)> {
    let root = Field::root(rollout);
    let canary = root.at("spec.strategy.canary");
    let traffic = canary.get("trafficRouting");
    let text = |path: &str| root.at(path).str().unwrap_or_default().to_owned();
    let (name, config) = find(&traffic, component)?;
    let whole = traffic.get("maxTrafficWeight").u32().unwrap_or(100).max(1);
    ensure!(weight <= whole, "--weight {weight}: the Rollout's weights go up to {whole}");
    let mut services = ["stableService", "canaryService"]
        .map(|name| canary.get(name).str().unwrap_or_default().to_owned());
    if let Some([ping, pong]) = ping_pong(&canary) {
        let is_pong = text("status.canary.stablePingPong") == "pong";
        services = if is_pong { [pong, ping] } else { [ping, pong] };
    }
    let [stable, canary] = services;
    let managed = traffic.get("managedRoutes").items();
    let managed = managed.iter().filter_map(|route| route.get("name").str().map(str::to_owned));
    let side = |service: String, hash: &str, weight: u32| Destination {
        service,
        pod_hash: text(hash),
        weight,
    };
    let routing = Routing {
        namespace: text("metadata.namespace"),
        rollout: text("metadata.name"),
        rollout_uid: text("metadata.uid"),
        config: config.to_string(),
        stable: side(stable, "status.stableRS", whole - weight),
        canary: side(canary, "status.currentPodHash", weight),
        additional: Vec::new(),
        total_weight: whole,
        header_routes: Vec::new(),
        mirror_routes: Vec::new(),
        managed_routes: managed.collect(),
        extensions: "{}".to_owned(),
    };
    Ok((name, routing))
}

fn ping_pong(canary: &Field<'_>) -> Option<[String; 2]> {
    let service = |path: &str| canary.at(path).str().map(str::to_owned);
    Some([service("pingPong.pingService")?, service("pingPong.pongService")?])
}

fn find(traffic: &Field<'_>, component: &str) -> anyhow::Result<(String, Value)> {
    let members = |field: &Field<'_>| -> BTreeMap<String, Value> {
        let members = field.value().and_then(Value::as_object).into_iter().flatten();
        members.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    let mut routers = members(traffic);
    routers.extend(members(&traffic.get("plugins")));
    routers.retain(|name, config| {
        config.is_object() && !["plugins", "managedRoutes"].contains(&name.as_str())
    });
    let fits = |name: &String| name == component || name.rsplit('/').next() == Some(component);
    match routers.iter().find(|(name, _)| fits(name)) {
        Some((name, config)) => Ok((name.clone(), config.clone())),
        None if routers.is_empty() => {
            bail!("the Rollout has no trafficRouting, so no router of it is asked")
        }
        None => bail!(
            "the Rollout's trafficRouting names no router {component}; it names: {}",
            routers.into_keys().collect::<Vec<_>>().join(", ")
        ),
    }
}

fn wanted(routing: &Routing) -> Value {
    let side = |side: &Destination| json!({"service": side.service, "podHash": side.pod_hash, "weight": side.weight});
    json!({"stable": side(&routing.stable), "canary": side(&routing.canary)})
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The objects of the cluster, and what would become of them. What reads them cannot write.
struct Preview<O> {
    real: O,
    /// As they would be; nothing for those that would be gone.
    staged: Mutex<BTreeMap<ObjectRef, Change>>,
    /// What was read, in words.
    seen: Mutex<BTreeMap<String, ()>>,
}

struct Change {
    before: Option<Value>,
    after: Option<Value>,
}

impl<O: Objects> Objects for Preview<O> {
    fn find<'a>(&'a self, query: &'a ObjectQuery) -> Access<'a, Vec<String>> {
        Box::pin(async move {
            let found = self.real.find(query).await?;
            let name = query.name.as_deref().or(query.label_selector.as_deref()).unwrap_or("all");
            let what = format!("{} {} {name}: {}", query.api_version, query.kind, found.len());
            locked(&self.seen).insert(what, ());
            Ok(self.staged_over(found))
        })
    }

    fn put<'a>(&'a self, object: &'a str, found: &'a [String]) -> Access<'a, (String, Written)> {
        Box::pin(std::future::ready(self.stage(object, found)))
    }

    fn reference(&self, object: &str) -> Option<ObjectRef> {
        self.real.reference(object)
    }

    fn remove<'a>(&'a self, target: &'a ObjectRef) -> Access<'a, Written> {
        let mut staged = locked(&self.staged);
        let change = staged.entry(target.clone()).or_insert(Change { before: None, after: None });
        change.after = None;
        let written = Written { how: How::Removed, target: target.clone() };
        Box::pin(std::future::ready(Ok(written)))
    }
}

impl<O> Preview<O> {
    fn stage(&self, object: &str, found: &[String]) -> Result<(String, Written), AccessError> {
        let wanted: Value = serde_json::from_str(object)
            .map_err(|error| AccessError::Invalid(format!("the router's object: {error}")))?;
        let target = reference(&wanted);
        let before = found
            .iter()
            .filter_map(|text| serde_json::from_str::<Value>(text).ok())
            .find(|there| same(&reference(there), &target));
        let how = match &before {
            None => How::Created,
            Some(before) if *before == wanted => How::Unchanged,
            Some(_) => How::Changed,
        };
        let after = Some(wanted);
        if how != How::Unchanged {
            locked(&self.staged).insert(target.clone(), Change { before, after });
        }
        Ok((object.to_owned(), Written { how, target }))
    }

    /// What was found, as it would be after what is staged.
    fn staged_over(&self, found: Vec<String>) -> Vec<String> {
        let staged = locked(&self.staged);
        let later = |text: String| {
            let there: Value = serde_json::from_str(&text).unwrap_or_default();
            match staged.iter().find(|(target, _)| same(&reference(&there), target)) {
                None => Some(text),
                Some((_, change)) => change.after.as_ref().map(Value::to_string),
            }
        };
        found.into_iter().filter_map(later).collect()
    }

    /// What would be written, in words.
    fn written(&self) -> String {
        let staged = locked(&self.staged);
        if staged.is_empty() {
            return show::line("writes", "nothing, since all is there");
        }
        let mut text = String::new();
        for (target, change) in &*staged {
            let how = match (&change.before, &change.after) {
                (None, Some(_)) => "creates",
                (Some(_), Some(_)) => "changes",
                (_, None) => "removes",
            };
            let what = format!("{} {} {}", target.api_version, target.kind, target.name);
            text.push_str(&show::line(how, &what));
            if let Some(after) = &change.after {
                let before = change.before.clone().unwrap_or(Value::Null);
                text.push_str(&show::line("", &changes(&shown(&before), &shown(after))));
            }
        }
        text
    }
}

/// An object without what the server keeps for itself, which a router cannot change.
fn shown(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for kept in ["uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"] {
            metadata.remove(kept);
        }
    }
    object
}

fn reference(object: &Value) -> ObjectRef {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    ObjectRef {
        api_version: text("/apiVersion").unwrap_or_default(),
        kind: text("/kind").unwrap_or_default(),
        namespace: text("/metadata/namespace"),
        name: text("/metadata/name").unwrap_or_default(),
    }
}

/// Whether they are the same object; who says no namespace means the rollout's.
fn same(one: &ObjectRef, other: &ObjectRef) -> bool {
    let place = match (&one.namespace, &other.namespace) {
        (Some(one), Some(other)) => one == other,
        (None, _) | (_, None) => true,
    };
    place
        && one.api_version == other.api_version
        && one.kind == other.kind
        && one.name == other.name
}
