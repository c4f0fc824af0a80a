//! What routers read and write.

use serde_json::Value;
use sluice_port::drive::{self, AccessError, How, Written};
use sluice_port::{ObjectQuery, ObjectRef};

use super::{SharedWorld, lock};
use crate::world::ApiError;

/// A router's way to the objects.
pub(super) struct Through {
    pub(super) world: SharedWorld,
    pub(super) namespace: String,
}

impl drive::Objects for Through {
    fn find<'a>(&'a self, query: &'a ObjectQuery) -> drive::Access<'a, Vec<String>> {
        let namespace = query.namespace.as_deref().unwrap_or(&self.namespace);
        let world = lock(&self.world);
        let all = world.list(&query.kind).filter(|((_, space, name), _)| {
            space == namespace && query.name.as_ref().is_none_or(|wanted| wanted == name)
        });
        let found = all.map(|(_, object)| object.to_string()).collect();
        Box::pin(std::future::ready(Ok(found)))
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
        let namespace = target.namespace.as_deref().unwrap_or(&self.namespace);
        let gone = lock(&self.world).delete(&target.kind, namespace, &target.name, &Value::Null);
        let how = if gone.is_ok() { How::Removed } else { How::Unchanged };
        Box::pin(std::future::ready(Ok(Written { how, target: target.clone() })))
    }
}

impl Through {
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
