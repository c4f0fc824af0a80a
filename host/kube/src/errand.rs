//! What has to be done before a rollout can be decided on: adopt and release ReplicaSets, and ask
//! the server how it would store a template.

use kube::api::{DynamicObject, PostParams};
use serde_json::Value;
use sluice_engine::{Key, Turned};
use sluice_wire::Objects;
use sluice_wire::objects::Meta;
use sluice_wire::rollout::Errand;
use sluice_wire::rollout::identity::{Defaulted, Question};

use crate::error::ApiError;
use crate::kinds;
use crate::shared::Shared;

/// Run them one after another; the next turn sees what came of it.
pub(crate) async fn errands(
    shared: &Shared,
    key: &Key,
    objects: &Objects,
    errands: Vec<Errand>,
) -> Turned {
    let mut wrote = Vec::new();
    for errand in errands {
        let done = match errand {
            Errand::Adopt(write) => match same_rollout(shared, objects).await {
                Ok(()) => shared.write(&write, &mut wrote).await,
                Err(error) => Err(error),
            },
            Errand::Release(write) => shared.write(&write, &mut wrote).await,
            Errand::Ask(question) => match ask(shared, key, &question).await {
                Ok(answer) => {
                    shared.remember(key, |memory| memory.learnt.defaulted = Some(answer));
                    Ok(())
                }
                Err(error) => Err(error),
            },
        };
        if let Err(error) = done {
            tracing::warn!(%key, %error, "the revisions of the rollout cannot be told yet");
            return Turned::Failed { wrote };
        }
    }
    Turned::Fine { wake: None, wrote, again: true }
}

/// Whether the rollout that was seen is the one that exists: adopting for one that was deleted,
/// or made anew under its name, would give its pods away.
async fn same_rollout(shared: &Shared, objects: &Objects) -> Result<(), ApiError> {
    let seen = Meta::read(&objects.rollout);
    let what = format!("Rollout {}/{}", seen.namespace, seen.name);
    let Some(resource) = kinds::resource("argoproj.io/v1alpha1", "Rollout") else {
        return Err(ApiError::Missing(what));
    };
    let api = kinds::api(&shared.writer.client, &resource, &seen.namespace);
    let live = api.get(&seen.name).await.map_err(|error| ApiError::of(&what, error))?;
    let same = live.metadata.uid.as_deref() == Some(&*seen.uid);
    if same && live.metadata.deletion_timestamp.is_none() {
        return Ok(());
    }
    Err(ApiError::Conflict(what))
}

/// Create a ReplicaSet without storing it. A server that refuses has answered as well: it would
/// not store such a template, so none that it stores is the same.
async fn ask(shared: &Shared, key: &Key, question: &Question) -> Result<Defaulted, ApiError> {
    let what = format!("ReplicaSet {}/{} (dry run)", key.namespace, key.name);
    let Some(resource) = kinds::resource("apps/v1", "ReplicaSet") else {
        return Err(ApiError::Missing(what));
    };
    let object: DynamicObject = serde_json::from_value(question.body.clone())
        .map_err(|error| ApiError::Invalid { what: what.clone(), reason: error.to_string() })?;
    let api = kinds::api(&shared.writer.client, &resource, &key.namespace);
    let how = PostParams { dry_run: true, ..PostParams::default() };
    match api.create(&how, &object).await {
        Ok(stored) => {
            let stored: Value = kinds::to_value(stored, &resource);
            Ok(question.answer(Some(&stored)))
        }
        Err(error) => match ApiError::of(&what, error) {
            ApiError::Invalid { reason, .. } | ApiError::Forbidden { reason, .. } => {
                tracing::warn!(%key, reason, "the server would not store the template");
                Ok(question.answer(None))
            }
            error => Err(error),
        },
    }
}
