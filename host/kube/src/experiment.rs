//! One turn of an experiment: record, announce, perform.

use std::sync::Arc;

use futures::future::join_all;
use k8s_openapi::api::core::v1::ObjectReference;
use serde_json::Value;
use sluice_engine::{Key, ObjectId, Turned, Version};
use sluice_wire::experiment::{Objects, turn};
use sluice_wire::objects::Meta;
use sluice_wire::rollout::{Event, Verb, Write};

use crate::error::ApiError;
use crate::events::reference;
use crate::shared::Shared;

/// Take one turn of an experiment.
pub(crate) async fn experiment_turn(
    shared: &Arc<Shared>,
    key: &Key,
    mut objects: Objects,
) -> Turned {
    shared.remember(key, |memory| {
        let learnt = &memory.experiment;
        objects.learnt.taken.extend(learnt.taken.iter().cloned());
        objects.learnt.refused.clone_from(&learnt.refused);
        objects.learnt.trouble.clone_from(&learnt.trouble);
    });
    let plan = turn(&objects);
    let mut wrote = Vec::new();
    if let Some(record) = &plan.record
        && let Err(error) = shared.write(record, &mut wrote).await
    {
        if matches!(error, ApiError::Conflict(_)) {
            shared.health.conflicted();
        } else {
            tracing::warn!(%key, %error, "record failed");
        }
        return Turned::Failed { wrote };
    }
    tracing::debug!(%key, waiting = ?plan.waiting, effects = plan.effects.len(), "turn");
    let about = reference(&objects.experiment);
    for event in plan.events {
        shared.recorder.announce(&about, event);
    }
    if let Some(owner) = rollout_of(&objects.experiment) {
        for event in plan.owner_events {
            shared.recorder.announce(&owner, event);
        }
    }
    let performed = plan.effects.iter().map(|(_, write)| perform(shared, key, &about, write));
    let mut failed = false;
    for (done, shows) in join_all(performed).await {
        failed |= !done;
        wrote.extend(shows);
    }
    if failed {
        return Turned::Failed { wrote };
    }
    Turned::Fine { wake: plan.wake, wrote, again: plan.record.is_some() }
}

/// Do one write. What the server says of an object that it will not make is for the next turn.
async fn perform(
    shared: &Shared,
    key: &Key,
    about: &ObjectReference,
    write: &Write,
) -> (bool, Vec<(ObjectId, Version)>) {
    let mut wrote = Vec::new();
    let made = (write.target.kind.to_owned(), write.target.name.clone());
    let Err(error) = shared.write(write, &mut wrote).await else {
        shared.remember(key, |memory| memory.experiment.trouble.remove(&made));
        if let Some(event) = &write.event {
            shared.recorder.announce(about, event.clone());
        }
        return (true, wrote);
    };
    if write.verb == Verb::Create {
        shared.remember(key, |memory| match &error {
            ApiError::Taken(_) => drop(memory.experiment.taken.insert(made)),
            ApiError::Invalid { reason, .. } => {
                drop(memory.experiment.refused.insert(made, reason.clone()));
            }
            ApiError::Forbidden { reason, .. } | ApiError::Unavailable { reason, .. } => {
                drop(memory.experiment.trouble.insert(made, reason.clone()));
            }
            ApiError::Conflict(_) | ApiError::Missing(_) | ApiError::NotLeading => {}
        });
    }
    // A lost race is what the condition on the version is for; anything else is not.
    if !matches!(error, ApiError::Conflict(_)) {
        let (kind, name) = (write.target.kind, &write.target.name);
        tracing::warn!(%key, kind, name, %error, "write failed");
        let reason = match (kind, write.verb) {
            ("ReplicaSet", Verb::Create) => "ReplicaSetCreateError",
            ("ReplicaSet", _) => "ReplicaSetUpdateError",
            _ => "ReconciliationError",
        };
        shared.recorder.announce(about, Event::warning(reason, error.to_string()));
    }
    (false, wrote)
}

/// The Rollout whose step an experiment is, if it is one's.
fn rollout_of(experiment: &Value) -> Option<ObjectReference> {
    let meta = Meta::read(experiment);
    let owner = meta.owners.iter().find(|owner| owner["controller"] == true)?;
    let text = |name: &str| owner[name].as_str().map(str::to_owned);
    (owner["kind"] == "Rollout").then(|| ObjectReference {
        api_version: text("apiVersion"),
        kind: text("kind"),
        namespace: Some(meta.namespace.clone()),
        name: text("name"),
        uid: text("uid"),
        ..ObjectReference::default()
    })
}
