//! The acts of a restart: list the pods, and evict one.

use k8s_openapi::api::core::v1::ObjectReference;
use serde_json::Value;
use sluice_engine::Key;
use sluice_wire::rollout::Event;
use sluice_wire::rollout::restart::{Look, held};

use super::Acts;
use crate::error::ApiError;
use crate::notify;
use crate::shared::{Shared, now};

/// List the pods; the next turn sees them.
pub(super) async fn look(shared: &Shared, key: &Key, about: &ObjectReference, look: &Look) -> Acts {
    match crate::pods::list(&shared.writer, look).await {
        Ok(looked) => {
            shared.remember(key, |memory| memory.learnt.pods = Some(looked));
            Acts { again: true, ..Acts::default() }
        }
        Err(error) => failed(shared, key, about, &error),
    }
}

/// Evict a pod. Whatever comes of it, the pods are looked at anew.
pub(super) async fn evict(
    shared: &Shared,
    key: &Key,
    about: &ObjectReference,
    (namespace, pod): (&str, &str),
    body: &Value,
) -> Acts {
    match crate::pods::evict(&shared.writer, namespace, pod, body).await {
        Ok(refused) => {
            let held = refused.map(|why| held(pod, why, now()));
            match &held {
                Some(held) => tracing::info!(%key, pod, why = %held.why, "not evicted yet"),
                None => tracing::info!(%key, pod, "evicted for a restart"),
            }
            shared.remember(key, |memory| memory.learnt.held = held);
            Acts { again: true, ..Acts::default() }
        }
        Err(error) => failed(shared, key, about, &error),
    }
}

fn failed(shared: &Shared, key: &Key, about: &ObjectReference, error: &ApiError) -> Acts {
    tracing::warn!(%key, %error, "the restart does not go on");
    let message = format!("spec.restartAt: {error}");
    notify::announce(shared, key, about, Event::warning("ReconciliationError", message));
    Acts { failed: true, ..Acts::default() }
}
