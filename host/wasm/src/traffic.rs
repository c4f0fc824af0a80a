//! Traffic routers: our types and those of `sluice:traffic`.

use sluice_port::traffic::{HeaderMatch, HeaderRoute, MirrorMatch, MirrorRoute, StringMatch};
use sluice_port::{Change, Destination, Fault, ObjectQuery, ObjectRef, Routing, Verification};
use wasmtime::Store;

use crate::bindings::host::sluice::plugin::types;
use crate::bindings::traffic::exports::sluice::traffic::router;
use crate::bindings::traffic::sluice::traffic::types as wire;
use crate::call::{For, Reply, bounded, json, reason, wrong_kind};
use crate::ctx::Ctx;
use crate::host::ComponentHost;
use crate::limits::{Kind, MOST_ITEMS};
use crate::load::Pre;

impl ComponentHost {
    /// Call the traffic router of this name.
    pub(crate) async fn router<T, U>(
        &self,
        name: &str,
        work: For,
        act: impl AsyncFnOnce(&router::Guest, &mut Store<Ctx>) -> Reply<T>,
        check: fn(T) -> Result<U, Fault>,
    ) -> Result<U, Fault> {
        let act = async |pre: &Pre, store: &mut Store<Ctx>| {
            let Pre::Router(pre) = pre else { return wrong_kind() };
            let instance = pre.instantiate_async(&mut *store).await?;
            act(instance.sluice_traffic_router(), store).await
        };
        self.call(Kind::Router, name, work, act, check).await
    }
}

pub(crate) fn changes(changes: Vec<wire::Change>) -> Result<Vec<Change>, Fault> {
    bounded("changes", changes.len(), MOST_ITEMS)?;
    changes.into_iter().map(change).collect()
}

fn change(change: wire::Change) -> Result<Change, Fault> {
    match change {
        wire::Change::Put(object) => {
            let value = json("an object", &object)?;
            let named = |text: &serde_json::Value| text.as_str().is_some_and(|s| !s.is_empty());
            if !named(&value["apiVersion"])
                || !named(&value["kind"])
                || !named(&value["metadata"]["name"])
            {
                let text = "an object without apiVersion, kind or metadata.name";
                return Err(Fault::Malformed(text.to_owned()));
            }
            Ok(Change::Put(object))
        }
        wire::Change::Remove(target) => {
            named(&target.api_version, &target.kind)?;
            let types::ObjectRef { api_version, kind, namespace, name } = target;
            Ok(Change::Remove(ObjectRef { api_version, kind, namespace, name }))
        }
    }
}

pub(crate) fn queries(queries: Vec<wire::ObjectQuery>) -> Result<Vec<ObjectQuery>, Fault> {
    bounded("queries", queries.len(), MOST_ITEMS)?;
    let query = |query: wire::ObjectQuery| {
        named(&query.api_version, &query.kind)?;
        let wire::ObjectQuery { api_version, kind, namespace, name, label_selector } = query;
        Ok(ObjectQuery { api_version, kind, namespace, name, label_selector })
    };
    queries.into_iter().map(query).collect()
}

fn named(api_version: &str, kind: &str) -> Result<(), Fault> {
    if api_version.is_empty() || kind.is_empty() {
        return Err(Fault::Malformed("an object without API version or kind".to_owned()));
    }
    Ok(())
}

pub(crate) fn verification(verified: wire::Verification) -> Result<Verification, Fault> {
    Ok(match verified {
        wire::Verification::Converged => Verification::Converged,
        wire::Verification::Pending(why) => Verification::Pending(reason(why)),
        wire::Verification::CannotTell => Verification::CannotTell,
    })
}

pub(crate) fn routing(routing: &Routing) -> wire::Routing {
    wire::Routing {
        namespace: routing.namespace.clone(),
        rollout: routing.rollout.clone(),
        rollout_uid: routing.rollout_uid.clone(),
        config: routing.config.clone(),
        stable: destination(&routing.stable),
        canary: destination(&routing.canary),
        additional: routing.additional.iter().map(destination).collect(),
        total_weight: routing.total_weight,
        header_routes: routing.header_routes.iter().map(header_route).collect(),
        mirror_routes: routing.mirror_routes.iter().map(mirror_route).collect(),
        managed_routes: routing.managed_routes.clone(),
        extensions: routing.extensions.clone(),
    }
}

fn destination(destination: &Destination) -> wire::Destination {
    wire::Destination {
        service: destination.service.clone(),
        pod_hash: destination.pod_hash.clone(),
        weight: destination.weight,
    }
}

fn header_route(route: &HeaderRoute) -> wire::HeaderRoute {
    wire::HeaderRoute {
        name: route.name.clone(),
        headers: route.headers.iter().map(header).collect(),
    }
}

fn mirror_route(route: &MirrorRoute) -> wire::MirrorRoute {
    wire::MirrorRoute {
        name: route.name.clone(),
        matches: route.matches.iter().map(mirror_match).collect(),
        percentage: route.percentage,
    }
}

fn mirror_match(one: &MirrorMatch) -> wire::MirrorMatch {
    wire::MirrorMatch {
        method: one.method.as_ref().map(string_match),
        path: one.path.as_ref().map(string_match),
        headers: one.headers.iter().map(header).collect(),
    }
}

fn header(header: &HeaderMatch) -> wire::HeaderMatch {
    wire::HeaderMatch { name: header.name.clone(), value: string_match(&header.value) }
}

fn string_match(text: &StringMatch) -> wire::StringMatch {
    match text {
        StringMatch::Exact(text) => wire::StringMatch::Exact(text.clone()),
        StringMatch::Prefix(text) => wire::StringMatch::Prefix(text.clone()),
        StringMatch::Regex(text) => wire::StringMatch::Regex(text.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_that_nobody_could_write_is_malformed() {
        let put = |text: &str| changes(vec![wire::Change::Put(text.to_owned())]);
        let whole = r#"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}"#;
        assert_eq!(put(whole), Ok(vec![Change::Put(whole.to_owned())]));
        for broken in ["", "[]", "{}", r#"{"apiVersion": "v1", "kind": "Service"}"#] {
            assert!(matches!(put(broken), Err(Fault::Malformed(_))), "{broken}");
        }
    }
}
