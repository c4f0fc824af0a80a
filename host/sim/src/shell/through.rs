//! What routers read and write.

use serde_json::Value;
use sluice_port::drive::{self, AccessError, How, Written};
use sluice_port::rights::{Place, Touch, Verb};
use sluice_port::{Components, ObjectQuery, ObjectRef, Rights};

use super::{SharedWorld, lock};
use crate::world::ApiError;

/// A router's way to the objects. It may touch what it may touch in a cluster, so that a grant
/// which is missing is seen before anybody is routed.
pub(super) struct Through {
    world: SharedWorld,
    namespace: String,
    router: String,
    rights: Rights,
}

impl drive::Objects for Through {
    fn find<'a>(&'a self, query: &'a ObjectQuery) -> drive::Access<'a, Vec<String>> {
        Box::pin(std::future::ready(self.find_now(query)))
    }

    fn put<'a>(&'a self, object: &'a str, _: &'a [String]) -> drive::Access<'a, (String, Written)> {
        Box::pin(std::future::ready(self.put_now(object)))
    }

    fn reference(&self, object: &str) -> Option<ObjectRef> {
        let object: Value = serde_json::from_str(object).ok()?;
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        Some(ObjectRef {
            api_version: text("/apiVersion")?.to_owned(),
            kind: text("/kind")?.to_owned(),
            namespace: text("/metadata/namespace").map(str::to_owned),
            name: text("/metadata/name")?.to_owned(),
        })
    }

    fn remove<'a>(&'a self, target: &'a ObjectRef) -> drive::Access<'a, Written> {
        Box::pin(std::future::ready(self.remove_now(target)))
    }
}

impl Through {
    pub(super) fn new(
        world: SharedWorld,
        components: &dyn Components,
        router: &str,
        namespace: &str,
    ) -> Self {
        let rights = components.rights(router);
        Self { world, namespace: namespace.to_owned(), router: router.to_owned(), rights }
    }

    fn place(&self, namespace: Option<&str>) -> Place {
        let home = namespace.is_none_or(|namespace| namespace == self.namespace);
        if home { Place::Home } else { Place::Elsewhere }
    }

    fn admit_to(&self, verb: Verb, target: &ObjectRef) -> Result<(), AccessError> {
        let ObjectRef { api_version, kind, namespace, name } = target;
        let place = self.place(namespace.as_deref());
        self.admit(&Touch { verb, api_version, kind, name: Some(name), place })
    }

    fn admit(&self, touch: &Touch<'_>) -> Result<(), AccessError> {
        self.rights.admit(touch).map_err(|why| {
            AccessError::NotGranted(format!("router '{}' may not {why}", self.router))
        })
    }

    fn find_now(&self, query: &ObjectQuery) -> Result<Vec<String>, AccessError> {
        let ObjectQuery { api_version, kind, namespace, name, .. } = query;
        let verb = if name.is_some() { Verb::Get } else { Verb::Find };
        let place = self.place(namespace.as_deref());
        let touch = Touch { verb, api_version, kind, name: name.as_deref(), place };
        self.admit(&touch)?;
        let namespace = namespace.as_deref().unwrap_or(&self.namespace);
        let world = lock(&self.world);
        let all = world.list(kind).filter(|((_, space, found), _)| {
            // Among those that are there, it sees those that it may see.
            space == namespace
                && name.as_ref().is_none_or(|name| name == found)
                && self.admit(&Touch { name: Some(found), ..touch }).is_ok()
        });
        Ok(all.map(|(_, object)| object.to_string()).collect())
    }

    fn remove_now(&self, target: &ObjectRef) -> Result<Written, AccessError> {
        self.admit_to(Verb::Remove, target)?;
        let namespace = target.namespace.as_deref().unwrap_or(&self.namespace);
        let gone = lock(&self.world).delete(&target.kind, namespace, &target.name, &Value::Null);
        let how = if gone.is_ok() { How::Removed } else { How::Unchanged };
        Ok(Written { how, target: target.clone() })
    }

    fn put_now(&self, object: &str) -> Result<(String, Written), AccessError> {
        let mut object: Value = serde_json::from_str(object)
            .map_err(|error| AccessError::Invalid(error.to_string()))?;
        let text = |pointer: &str| {
            object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let target = ObjectRef {
            api_version: text("/apiVersion"),
            kind: text("/kind"),
            namespace: Some(self.namespace.clone()),
            name: text("/metadata/name"),
        };
        let mut world = lock(&self.world);
        let there = world.get(&target.kind, &self.namespace, &target.name).cloned();
        let verb = if there.is_some() { Verb::Patch } else { Verb::Create };
        self.admit_to(verb, &target)?;
        let (how, stored) = match there {
            None => {
                object["metadata"]["namespace"] = self.namespace.clone().into();
                (How::Created, world.create(object).map_err(refused)?)
            }
            Some(there) => {
                let patch = sluice_wire::rollout::project::difference(Some(&there), &object);
                let patch = patch.unwrap_or_default();
                let (kind, space) = (target.kind.as_str(), self.namespace.as_str());
                let stored =
                    world.merge(kind, space, &target.name, None, &patch).map_err(refused)?;
                let how = if stored == there { How::Unchanged } else { How::Changed };
                (how, stored)
            }
        };
        Ok((stored.to_string(), Written { how, target }))
    }
}

fn refused(error: ApiError) -> AccessError {
    match error {
        ApiError::Conflict(what) | ApiError::Exists(what) => AccessError::Conflict(what),
        ApiError::NotFound(what) => AccessError::Invalid(what),
        ApiError::Unavailable => AccessError::Unavailable("it failed".into()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::json;
    use sluice_port::drive::Objects as _;
    use sluice_port::rights::Grant;

    use super::*;
    use crate::world::World;

    fn ingress(name: &str) -> Value {
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
               "metadata": {"namespace": "shop", "name": name}})
    }

    #[test]
    fn a_router_touches_what_it_may_touch_in_a_cluster() {
        let mut world = World::default();
        for name in ["web", "other"] {
            world.create(ingress(name)).unwrap();
        }
        let grant = Grant {
            api_version: "networking.k8s.io/v1".to_owned(),
            kinds: vec!["Ingress".to_owned()],
            verbs: vec![Verb::Get, Verb::Find, Verb::Create],
            scope: Default::default(),
            names: vec!["web".to_owned(), "new".to_owned()],
        };
        let through = Through {
            world: Arc::new(Mutex::new(world)),
            namespace: "shop".to_owned(),
            router: "mesh".to_owned(),
            rights: Rights::Granted(vec![grant]),
        };
        let query = |kind: &str, name: Option<&str>| ObjectQuery {
            api_version: "networking.k8s.io/v1".to_owned(),
            kind: kind.to_owned(),
            name: name.map(str::to_owned),
            ..ObjectQuery::default()
        };
        let find = |kind, name| through.find_now(&query(kind, name)).map(|found| found.len());
        assert_eq!(find("Ingress", Some("web")), Ok(1));
        assert_eq!(find("Ingress", None), Ok(1), "of two it sees one");
        assert!(matches!(find("Ingress", Some("other")), Err(AccessError::NotGranted(_))));
        let Err(AccessError::NotGranted(why)) = find("Service", Some("web")) else { panic!() };
        assert!(why.starts_with("router 'mesh' may not get Service"), "{why}");

        let put =
            |name| through.put_now(&ingress(name).to_string()).map(|(_, written)| written.how);
        assert_eq!(put("new"), Ok(How::Created));
        assert!(matches!(put("web"), Err(AccessError::NotGranted(_))), "it may not patch");
        let target = through.reference(&ingress("web").to_string()).unwrap();
        assert!(matches!(through.remove_now(&target), Err(AccessError::NotGranted(_))));
    }
}
