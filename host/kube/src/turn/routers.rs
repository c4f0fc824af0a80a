//! Routers that are in charge no more take back what is theirs.

use std::sync::Mutex;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use serde_json::Value;
use sluice_core::Wake;
use sluice_engine::Key;
use sluice_port::drive::{self, Written};
use sluice_wire::rollout::Event;
use sluice_wire::rollout::routers::Release;

use super::{Acts, perform_write, written_event};
use crate::notify;
use crate::objects::RouterObjects;
use crate::shared::{Shared, lock, now};

/// How soon a router that did not take back what is its is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// Let a router take back what is its. That it does not is no failure of the turn: nothing else
/// waits for it.
pub(super) async fn release(
    shared: &Shared,
    key: &Key,
    about: &ObjectReference,
    order: &Release,
) -> Acts {
    let (written, result) = take_back(shared, key, order).await;
    for event in written.iter().filter_map(written_event) {
        notify::announce(shared, key, about, event);
    }
    let router = order.router.clone();
    if let Err(why) = result {
        let said = shared
            .remember(key, |memory| memory.learnt.unreleased.insert(router.clone(), why.clone()));
        let new = said.as_ref() != Some(&why);
        if new {
            tracing::warn!(%key, router, why, "did not take its routes back");
            let message = format!("{router}: {why}");
            notify::announce(shared, key, about, Event::warning("TrafficRoutingError", message));
        }
        let because = "a former router is asked again";
        // What is waited for says so at the next look.
        let after = if new { Duration::from_secs(1) } else { ASK_AGAIN };
        let wake = Some(Wake { at: now().after(after), because });
        return Acts { wake, ..Acts::default() };
    }
    shared.remember(key, |memory| memory.learnt.unreleased.remove(&router));
    if order.lost {
        // Requests may follow what it did until now.
        lock(&shared.ledger).doubt(key, now());
    }
    match &order.done {
        Some(done) => perform_write(shared, key, about, done).await,
        None => Acts::default(),
    }
}

/// Ask the component, and do what it answers.
pub(super) async fn take_back(
    shared: &Shared,
    key: &Key,
    order: &Release,
) -> (Vec<Written>, Result<(), String>) {
    let access = RouterObjects {
        client: shared.writer.client.clone(),
        term: shared.writer.term.clone(),
        names: shared.names.clone(),
        namespace: key.namespace.clone(),
        router: order.router.clone(),
        config: serde_json::from_str(&order.last.config).unwrap_or(Value::Null),
        rights: shared.components.rights(&order.router),
        reads: Mutex::default(),
    };
    let kept: Vec<_> =
        order.kept.iter().map(|route| (route.router.as_str(), &route.routing)).collect();
    let last = (order.router.as_str(), &order.last);
    let (written, result) = drive::release(&*shared.components, &access, last, &kept).await;
    (written, result.map_err(|trouble| trouble.to_string()))
}
