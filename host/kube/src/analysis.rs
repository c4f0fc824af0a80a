//! One turn of an analysis run, and the measurements beside it.
//!
//! Measurements are no part of a turn: one may take a minute, and a run must stay stoppable.
//! What comes back waits in the run's progress until a turn has recorded it.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde_json::Value;
use sluice_core::analysis::{Finished, Order, Verdict};
use sluice_engine::{Key, Turned};
use sluice_wire::analysis::arguments::SecretRef;
use sluice_wire::analysis::measure::{Ready, prepare, required_secrets, unmade};
use sluice_wire::analysis::turn::{deletion, turn};
use sluice_wire::objects::Meta;

use crate::error::{ApiError, causes};
use crate::events::reference;
use crate::shared::{Shared, lock, now};
use crate::turn::is_ours;

/// Take one turn of an analysis run.
pub(crate) async fn run_turn(shared: &Arc<Shared>, key: &Key, run: Arc<Value>) -> Turned {
    let nothing = Turned::Fine { wake: None, wrote: Vec::new(), again: false };
    if Meta::read(&run).deleting || !is_ours(&run, &shared.instance) {
        return nothing;
    }
    let seen = lock(&shared.progress).entry(key.clone()).or_default().clone();
    let plan = turn(&run, &seen, now());
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
    if let Some(progress) = lock(&shared.progress).get_mut(key) {
        progress.recorded(&seen);
    }
    let about = reference(&run);
    for event in plan.events {
        shared.recorder.announce(&about, event);
    }
    let mut failed = false;
    for order in plan.orders {
        match order {
            Order::Measure { metric, index } => begin(shared, key, &run, metric, index, None),
            Order::Resume { metric, index, token } => {
                begin(shared, key, &run, metric, index, Some(token));
            }
            Order::Terminate { metric, index, token } => {
                let (shared, run) = (shared.clone(), run.clone());
                tokio::spawn(async move { stop(&shared, &run, &metric, index, &token).await });
            }
            Order::Delete => {
                if let Err(error) = shared.write(&deletion(&run), &mut wrote).await {
                    tracing::warn!(%key, %error, "cannot delete the run");
                    failed = true;
                }
            }
        }
    }
    if failed {
        return Turned::Failed { wrote };
    }
    Turned::Fine { wake: plan.wake, wrote, again: plan.record.is_some() }
}

/// Begin or go on with a measurement, unless that is under way.
fn begin(
    shared: &Arc<Shared>,
    key: &Key,
    run: &Arc<Value>,
    metric: String,
    index: u32,
    token: Option<String>,
) {
    {
        let mut all = lock(&shared.progress);
        let Some(progress) = all.get_mut(key) else { return };
        if progress.in_flight.contains(&(metric.clone(), index)) {
            return;
        }
        progress.begin(&metric, index);
    }
    let (shared, key, run) = (shared.clone(), key.clone(), run.clone());
    tokio::spawn(async move {
        // Its own task, so that a panic ends as a measurement like any other.
        let task = {
            let (shared, run, metric) = (shared.clone(), run.clone(), metric.clone());
            tokio::spawn(async move { measure(&shared, &run, &metric, index, token).await })
        };
        let finished = task.await.unwrap_or_else(|_| {
            let outcome = sluice_core::analysis::Outcome::Judged {
                verdict: Verdict::Error,
                value: String::new(),
                message: "the measurement ended unexpectedly".to_owned(),
            };
            unmade(&metric, index, now(), outcome)
        });
        // A run that is gone meanwhile is forgotten, and stays so.
        if let Some(progress) = lock(&shared.progress).get_mut(&key) {
            progress.finish(finished);
            // Nobody listens once the controller stops.
            let _ = shared.nudge.send(key);
        }
    });
}

async fn measure(
    shared: &Shared,
    run: &Value,
    metric: &str,
    index: u32,
    token: Option<String>,
) -> Finished {
    let started = now();
    let ready = match ready(shared, run, metric, index).await {
        Ok(ready) => ready,
        Err(finished) => return finished,
    };
    // How many are under way at a time is for the components' host to say, which knows whose
    // servers hang: a limit here would let those keep out everybody else.
    let components = &shared.components;
    let answer = match &token {
        None => components.measure(&ready.provider, &ready.call).await,
        Some(token) => components.resume(&ready.provider, &ready.call, token).await,
    };
    if let Err(fault) = &answer {
        tracing::warn!(
            run = ready.call.run,
            metric,
            provider = ready.provider,
            fault = fault.kind(),
            "measurement failed"
        );
    }
    ready.finish(started, now(), answer)
}

async fn stop(shared: &Shared, run: &Value, metric: &str, index: u32, token: &str) {
    let Ok(ready) = ready(shared, run, metric, index).await else { return };
    let stopped = shared.components.terminate(&ready.provider, &ready.call, token).await;
    if let Err(fault) = stopped {
        tracing::warn!(run = ready.call.run, metric, %fault, "cannot stop the measurement");
    }
}

async fn ready(shared: &Shared, run: &Value, metric: &str, index: u32) -> Result<Ready, Finished> {
    let namespace = Meta::read(run).namespace;
    let mut secrets = Vec::new();
    for wanted in required_secrets(run, metric) {
        let value = read_secret(shared, &namespace, &wanted).await;
        secrets.push((wanted, value));
    }
    let value = |wanted: &SecretRef| {
        let known = secrets.iter().find(|(secret, _)| secret == wanted);
        known.map_or_else(|| Err("not read".to_owned()), |(_, value)| value.clone())
    };
    prepare(run, metric, index, value).map_err(|outcome| unmade(metric, index, now(), outcome))
}

async fn read_secret(
    shared: &Shared,
    namespace: &str,
    wanted: &SecretRef,
) -> Result<String, String> {
    let api: Api<Secret> = Api::namespaced(shared.writer.client.clone(), namespace);
    let secret = match api.get(&wanted.name).await {
        Ok(secret) => secret,
        Err(kube::Error::Api(status)) => return Err(status.message.clone()),
        Err(error) => return Err(causes(&error)),
    };
    let bytes = secret.data.unwrap_or_default().remove(&wanted.key);
    let bytes = bytes.ok_or_else(|| {
        format!("key '{}' does not exist in secret '{}'", wanted.key, wanted.name)
    })?;
    String::from_utf8(bytes.0)
        .map_err(|_| format!("key '{}' of secret '{}' is no text", wanted.key, wanted.name))
}
