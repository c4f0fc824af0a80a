//! Calls of components that do steps.
//!
//! A call is no part of a turn: one may take a minute, and a release must stay stoppable. Of one
//! rollout, one call is under way at a time, so that nothing is undone while it is being done.
//! What comes back waits until a turn has recorded it.

use std::sync::Arc;

use sluice_core::called::Answer;
use sluice_engine::Key;
use sluice_port::Fault;
use sluice_wire::rollout::Write;
use sluice_wire::rollout::called::Request;
use sluice_wire::rollout::experiment::New;

use crate::error::causes;
use crate::kinds;
use crate::shared::Shared;

/// Make a call, unless one is under way; after that one the rollout has a turn, which orders this
/// one again if it is still of use.
pub(crate) fn begin(shared: &Arc<Shared>, key: &Key, request: &Request) {
    let busy = shared.remember(key, |memory| std::mem::replace(&mut memory.calling, true));
    if busy {
        return;
    }
    let (shared, key, request) = (shared.clone(), key.clone(), request.clone());
    tokio::spawn(async move {
        // Its own task, so that a panic ends as a fault like any other.
        let task = {
            let (shared, request) = (shared.clone(), request.clone());
            tokio::spawn(async move { request.make(&*shared.components).await })
        };
        let reply = task.await.unwrap_or_else(|_| {
            request.reply(Err(Fault::Malformed("the call ended unexpectedly".to_owned())))
        });
        if let Answer::Fault(fault) = &reply.answer {
            let (step, index) = (&request.component, request.call.index);
            tracing::warn!(%key, step, index, %fault, "step plugin failed");
        }
        shared.remember(&key, |memory| {
            memory.calling = false;
            memory.learnt.replies.push(reply);
        });
        // Nobody listens once the controller stops.
        let _ = shared.nudge.send(key);
    });
}

/// The experiment as it is written, with the pod templates that its ReplicaSets have now: nothing
/// else needs them, so they are not kept.
///
/// # Errors
/// What is missing, for people.
pub(crate) async fn experiment(shared: &Shared, new: &New) -> Result<Write, String> {
    let namespace = &new.write.target.namespace;
    let resource = kinds::resource("apps/v1", "ReplicaSet").ok_or("ReplicaSets are not known")?;
    let api = kinds::api(&shared.writer.client, &resource, namespace);
    let mut sets = Vec::new();
    for name in new.sets() {
        let set = match api.get(name).await {
            Ok(set) => set,
            Err(error) => return Err(format!("ReplicaSet {name}: {}", causes(&error))),
        };
        sets.push(serde_json::to_value(set).map_err(|error| error.to_string())?);
    }
    new.fill(&sets)
}
