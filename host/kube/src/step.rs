//! Calls of components that do steps.
//!
//! A call is no part of a turn: one may take a minute, and a release must stay stoppable. Of one
//! rollout, one call is under way at a time, so that nothing is undone while it is being done.
//! What comes back waits until a turn has recorded it.

use std::sync::Arc;

use sluice_core::called::Answer;
use sluice_engine::Key;
use sluice_port::Fault;
use sluice_wire::rollout::called::Request;

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
