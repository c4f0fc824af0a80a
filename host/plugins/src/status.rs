//! What a Plugin's status says, and what of it is news.

use std::time::Duration;

use sluice_api::plugin::{PluginCondition, PluginError, PluginStatus};
use sluice_core::Timestamp;
use sluice_wire::clock::format_time;

use crate::decide::{Decision, Observed, Running, Said};

/// How often counts alone are worth a write.
const COUNTS_EVERY: Duration = Duration::from_secs(30);
const READY: &str = "Ready";
const IN_USE: &str = "InUse";

/// Whether what is wanted is in use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ready {
    pub(crate) yes: bool,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    /// What was taken back.
    pub(crate) rejected: Option<String>,
    /// What it asks for, and what of that it is not given.
    pub(crate) denied: Option<(Vec<String>, Vec<String>)>,
}

impl Ready {
    pub(crate) fn yes(message: String) -> Self {
        Self { yes: true, reason: "InUse", message, ..Self::default() }
    }

    pub(crate) fn no(reason: &'static str, message: String) -> Self {
        Self { reason, message, ..Self::default() }
    }

    fn phase(&self) -> &'static str {
        match self.reason {
            "InUse" => "Ready",
            "Loading" => "Pending",
            "PendingApproval" => "PendingApproval",
            "RolledBack" | "Suspended" => "Degraded",
            _ => "Failed",
        }
    }

    fn announced(&self) -> Option<&'static str> {
        match self.phase() {
            "Ready" => Some("PluginReady"),
            "PendingApproval" => Some("PluginPendingApproval"),
            "Degraded" if self.reason == "RolledBack" => Some("PluginRolledBack"),
            "Degraded" => Some("PluginSuspended"),
            "Failed" => Some("PluginFailed"),
            _ => None,
        }
    }
}

/// Who is called by the name meanwhile.
pub(crate) fn serving(seen: Observed<'_>) -> String {
    match (seen.running, seen.bundled) {
        (Some(running), _) => format!("{} stays in use", running.digest),
        (None, Some(_)) => "the bundled component stays in use".to_owned(),
        (None, None) => "nothing is in use".to_owned(),
    }
}

/// The whole status, and what of it is news.
pub(crate) fn status(seen: Observed<'_>, ready: Ready) -> (PluginStatus, Vec<Said>) {
    let old = seen.plugin.status.clone().unwrap_or_default();
    let was = condition(&old, READY);
    let generation = seen.plugin.metadata.generation;
    let news = was.is_none_or(|was| {
        was.reason.as_deref() != Some(ready.reason)
            || was.message.as_deref() != Some(&*ready.message)
    });
    let said = ready.announced().filter(|_| news).map(|reason| Said {
        warning: !ready.yes,
        reason,
        message: ready.message.clone(),
    });
    let now = PluginCondition {
        type_: READY.to_owned(),
        status: if ready.yes { "True" } else { "False" }.to_owned(),
        reason: Some(ready.reason.to_owned()),
        message: Some(ready.message.clone()),
        observed_generation: generation,
        last_transition_time: None,
    };
    let now = since(now, was, seen.now);
    let mut status = PluginStatus {
        observed_generation: generation,
        phase: Some(ready.phase().to_owned()),
        message: Some(ready.message),
        conditions: Some(vec![now]),
        rejected_digest: ready.rejected,
        pending: ready.denied.as_ref().map(|(_, missing)| missing.clone()),
        requested: ready.denied.map(|(asked, _)| asked),
        ..PluginStatus::default()
    };
    let digest = seen
        .running
        .map(|running| running.digest.clone())
        .or_else(|| seen.takeback.map(|takeback| takeback.instead.clone()))
        // Until it is known what comes of a start, what was in use is remembered.
        .or_else(|| old.digest.clone().filter(|_| seen.restored != Some(false)));
    status.previous_digest = match &old.digest {
        Some(before) if digest.as_ref() != Some(before) => Some(before.clone()),
        _ => old.previous_digest.clone(),
    };
    status.previous_digest =
        status.previous_digest.filter(|before| Some(before) != digest.as_ref());
    status.digest = digest;
    if let Some(running) = seen.running {
        in_use(&mut status, running, &old, seen.now);
    }
    (status, said.into_iter().collect())
}

fn in_use(status: &mut PluginStatus, running: &Running, old: &PluginStatus, now: Timestamp) {
    let list = |items: &[String]| (!items.is_empty()).then(|| items.to_vec());
    status.interface = Some(running.interface.clone());
    status.capabilities = list(&running.capabilities);
    status.requested = status.requested.take().or_else(|| list(&running.requested));
    status.granted = list(&running.granted);
    let count = |count: u64| Some(i64::try_from(count).unwrap_or(i64::MAX));
    status.calls = count(running.calls);
    status.traps = count(running.faults);
    status.requests = count(running.requests);
    status.denied = count(running.denied);
    let error = |fault: &Option<String>, was: &Option<PluginError>| {
        let message = fault.clone()?;
        let same = was.as_ref().filter(|was| was.message == message);
        let time = same.map_or_else(|| format_time(now), |was| was.time.clone());
        Some(PluginError { time, message })
    };
    status.first_error = error(&running.first_fault, &old.first_error);
    status.last_error = error(&running.last_fault, &old.last_error);
}

/// The object is to go, and its component is still needed.
pub(crate) fn refused<'a>(seen: Observed<'a>, why: String) -> Decision<'a> {
    let mut status = seen.plugin.status.clone().unwrap_or_default();
    let was = condition(&status, IN_USE).cloned();
    let news = was.as_ref().is_none_or(|was| was.message.as_deref() != Some(&*why));
    let now = PluginCondition {
        type_: IN_USE.to_owned(),
        status: "True".to_owned(),
        reason: Some("Referred".to_owned()),
        message: Some(why.clone()),
        observed_generation: seen.plugin.metadata.generation,
        last_transition_time: None,
    };
    let now = since(now, was.as_ref(), seen.now);
    let conditions = status.conditions.get_or_insert_default();
    conditions.retain(|condition| condition.type_ != IN_USE);
    conditions.push(now);
    status.message = Some(why.clone());
    let said = Said { warning: true, reason: "PluginRemovalRefused", message: why };
    let said = news.then_some(said).into_iter().collect();
    Decision { order: None, status, said }
}

fn condition<'s>(status: &'s PluginStatus, type_: &str) -> Option<&'s PluginCondition> {
    status.conditions.iter().flatten().find(|condition| condition.type_ == type_)
}

fn since(
    mut now: PluginCondition,
    was: Option<&PluginCondition>,
    time: Timestamp,
) -> PluginCondition {
    let same = was.filter(|was| was.status == now.status);
    let kept = same.and_then(|was| was.last_transition_time.clone());
    now.last_transition_time = Some(kept.unwrap_or_else(|| format_time(time)));
    now
}

/// Whether a status is worth a write: at once if more than counts changed, and for counts alone
/// from time to time. `since` is how long ago it was written last.
pub fn worth_writing(old: Option<&PluginStatus>, new: &PluginStatus, since: Duration) -> bool {
    let Some(old) = old else { return true };
    let but_counts = |status: &PluginStatus| PluginStatus {
        calls: None,
        traps: None,
        requests: None,
        denied: None,
        last_error: None,
        ..status.clone()
    };
    but_counts(old) != but_counts(new) || (old != new && since >= COUNTS_EVERY)
}
