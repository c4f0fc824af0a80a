//! What to do about a Plugin, and what to tell of it.

use std::time::Duration;

use sluice_api::Plugin;
use sluice_api::plugin::PluginStatus;
use sluice_core::Timestamp;

use crate::FINALIZER;
use crate::status::{self, Ready};
use crate::uses::Use;
use crate::wish::{Source, Unclear, Wish};

const FIRST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// After how long a component is rehearsed again that some configuration was wrong for.
const REHEARSED_AGAIN: Duration = Duration::from_secs(60);

/// Everything that a decision is made from.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The object as it is.
    pub plugin: &'a Plugin,
    /// What it wants.
    pub wish: Result<&'a Wish, &'a Unclear>,
    /// Whether this controller looks after the object. Otherwise it has its component, and writes
    /// nothing.
    pub keeps: bool,
    /// What time it is.
    pub now: Timestamp,
    /// An older Plugin that claims the same name.
    pub rival: Option<&'a str>,
    /// What is called by the name because of this object.
    pub running: Option<&'a Running>,
    /// The digest of the bundled component of this name.
    pub bundled: Option<&'a str>,
    /// What came of the last attempt.
    pub tried: Option<&'a Tried>,
    /// What came of bringing an earlier component back after a start.
    pub restored: Option<bool>,
    /// What the host took back.
    pub takeback: Option<&'a Takeback>,
    /// Who refers to the component, if that was looked at.
    pub users: Option<&'a [Use]>,
}

/// A component that is called because of a Plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// Its digest.
    pub digest: String,
    /// The interface that it speaks.
    pub interface: String,
    /// What a router can do beyond weights.
    pub capabilities: Vec<String>,
    /// What it asks for, a line each.
    pub requested: Vec<String>,
    /// What it was given, a line each.
    pub granted: Vec<String>,
    /// How many calls there were.
    pub calls: u64,
    /// In how many it misbehaved.
    pub faults: u64,
    /// How many requests it tried to send.
    pub requests: u64,
    /// How often it was denied something.
    pub denied: u64,
    /// The first time that it misbehaved, with its backtrace.
    pub first_fault: Option<String>,
    /// The last time.
    pub last_fault: Option<String>,
    /// Whether it is left alone for a while, since it misbehaved too often.
    pub suspended: bool,
}

/// An attempt to do what an object wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The generation of the object that it was for.
    pub generation: i64,
    /// When it ended.
    pub at: Timestamp,
    /// How many there were in a row that ended like this.
    pub attempts: u32,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The component, or a Secret that it needs, cannot be had now.
    Unavailable(String),
    /// The server has too much to do: what it says, and for how long it asks to be left alone.
    Later {
        /// In words.
        why: String,
        /// At least so long.
        rest: Duration,
    },
    /// What was found has another digest than wanted.
    OtherDigest {
        /// The digest of what was found.
        found: String,
    },
    /// It is not signed as it must be: why, for people.
    Unsigned(String),
    /// It cannot be used, however often it is tried.
    Unusable(String),
    /// It asks for more than it is given.
    Denied {
        /// What it asks for, a line each.
        asked: Vec<String>,
        /// What of that it is not given.
        missing: Vec<String>,
    },
    /// Configurations that are in use are wrong for it: where, and why, a line each.
    Incompatible(Vec<String>),
    /// It is called.
    InUse,
}

/// A component that misbehaved among its first calls, and what is called instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Takeback {
    /// The digest of what was taken back.
    pub digest: String,
    /// The digest of what is called instead.
    pub instead: String,
    /// How many calls there were.
    pub calls: u32,
    /// In how many it misbehaved.
    pub faults: u32,
    /// The first of them.
    pub first: String,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order<'a> {
    /// Keep the object until its component may go: add the finalizer.
    Hold,
    /// Fetch what is wanted, and let it take over if nothing is against it.
    Take,
    /// Bring back the component of this digest, which was in use before a restart.
    Restore(&'a str),
    /// Look for those who refer to the component.
    Survey,
    /// Take the component out.
    Remove,
    /// Let the object go: take the finalizer off.
    LetGo,
}

/// Something to announce about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Whether somebody should look.
    pub warning: bool,
    /// One word for machines.
    pub reason: &'static str,
    /// A sentence for people.
    pub message: String,
}

/// What to do and what to tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision<'a> {
    /// What to do now, if anything.
    pub order: Option<Order<'a>>,
    /// The status as it should be.
    pub status: PluginStatus,
    /// What is new in it, for people.
    pub said: Vec<Said>,
}

/// Decide.
pub fn decide(seen: Observed<'_>) -> Decision<'_> {
    if seen.plugin.metadata.deletion_timestamp.is_some() {
        return farewell(seen);
    }
    let wish = match (seen.wish, seen.rival) {
        (Err(unclear), _) => return told(seen, None, Ready::no("Unclear", unclear.to_string())),
        (Ok(_), Some(rival)) => {
            let why = format!("Plugin {rival} is older and has the same name; give one another");
            return told(seen, None, Ready::no("NameTaken", why));
        }
        (Ok(wish), None) => wish,
    };
    let mut decision = match (taken_back(seen, wish), tried(seen)) {
        (Some(ready), _) => told(seen, None, ready),
        (None, None) => told(seen, Some(Order::Take), Ready::no("Loading", "is fetched".into())),
        (None, Some(tried)) => after(seen, wish, tried),
    };
    if seen.keeps && !holds(seen.plugin) {
        decision.order = Some(Order::Hold);
    } else if decision.order.is_none() {
        decision.order = to_restore(seen).map(Order::Restore);
    }
    decision
}

/// The last attempt, if it was for the object as it is now.
fn tried<'a>(seen: Observed<'a>) -> Option<&'a Tried> {
    let generation = seen.plugin.metadata.generation.unwrap_or_default();
    seen.tried.filter(|tried| tried.generation == generation)
}

fn holds(plugin: &Plugin) -> bool {
    let finalizers = plugin.metadata.finalizers.as_ref();
    finalizers.is_some_and(|all| all.iter().any(|one| one == FINALIZER))
}

/// Whether what is wanted was in use and misbehaved, now or before a restart.
fn taken_back(seen: Observed<'_>, wish: &Wish) -> Option<Ready> {
    if let Some(takeback) = seen.takeback.filter(|_| tried(seen).is_some()) {
        let Takeback { digest, instead, calls, faults, first } = takeback;
        let first = first.lines().next().unwrap_or_default();
        let why = format!(
            "{digest} misbehaved in {faults} of its first {calls} calls, and {instead} is back: \
             {first}"
        );
        return Some(Ready { rejected: Some(digest.clone()), ..Ready::no("RolledBack", why) });
    }
    let old = seen.plugin.status.as_ref()?;
    let same = old.observed_generation == seen.plugin.metadata.generation;
    let rejected = old.rejected_digest.as_ref().filter(|_| same && tried(seen).is_none())?;
    if wish.digest.as_ref().is_some_and(|wanted| wanted != rejected) {
        return None;
    }
    let why = old.message.clone().unwrap_or_default();
    Some(Ready { rejected: Some(rejected.clone()), ..Ready::no("RolledBack", why) })
}

fn after<'a>(seen: Observed<'a>, wish: &Wish, tried: &Tried) -> Decision<'a> {
    let (reason, why, again) = match &tried.outcome {
        Outcome::InUse => return in_use(seen),
        Outcome::Unavailable(why) => ("Unavailable", why.clone(), Some(wait(tried))),
        Outcome::Later { why, rest } => ("Unavailable", why.clone(), Some(wait(tried).max(*rest))),
        Outcome::OtherDigest { found } => {
            let wanted = wish.digest.as_deref().unwrap_or_default();
            let hint = match wish.source {
                Source::ConfigMap { .. } | Source::File(_) | Source::OciLayout { .. } => {
                    "; set spec.digest if that is meant"
                }
                Source::Url(_) | Source::Oci { .. } | Source::Bundled(_) => "",
            };
            let why = format!("the digest of what was found is {found}, and not {wanted}{hint}");
            ("OtherDigest", why, Some(wait(tried)))
        }
        // Who signs does so after who pushes, so it is looked for again.
        Outcome::Unsigned(why) => ("Unsigned", why.clone(), Some(wait(tried))),
        Outcome::Unusable(why) => ("Unusable", why.clone(), None),
        Outcome::Denied { missing, .. } => {
            let why = format!("asks for more than it is given: {}", missing.join("; "));
            ("PendingApproval", why, None)
        }
        Outcome::Incompatible(refusals) => {
            let more = refusals.len().saturating_sub(3);
            let mut why = refusals.iter().take(3).cloned().collect::<Vec<_>>().join("; ");
            if more > 0 {
                why = format!("{why}; and {more} more");
            }
            let why = format!("refuses configurations that are in use: {why}");
            ("Incompatible", why, Some(REHEARSED_AGAIN))
        }
    };
    let due = again.is_some_and(|wait| tried.at.after(wait) <= seen.now);
    let mut ready = Ready::no(reason, format!("{why}; {}", status::serving(seen)));
    if let Outcome::Denied { asked, missing } = &tried.outcome {
        ready.denied = Some((asked.clone(), missing.clone()));
    }
    told(seen, due.then_some(Order::Take), ready)
}

fn wait(tried: &Tried) -> Duration {
    let doubled = tried.attempts.saturating_sub(1).min(10);
    (FIRST_WAIT * 2_u32.pow(doubled)).min(LONGEST_WAIT)
}

fn in_use(seen: Observed<'_>) -> Decision<'_> {
    let Some(running) = seen.running else {
        // Taken out behind our back: begin again.
        return told(seen, Some(Order::Take), Ready::no("Loading", "is fetched".into()));
    };
    if running.suspended {
        let last = running.last_fault.as_deref().unwrap_or_default();
        let last = last.lines().next().unwrap_or_default();
        let why = format!("misbehaves too often, and is left alone for a while: {last}");
        return told(seen, None, Ready::no("Suspended", why));
    }
    told(seen, None, Ready::yes(format!("{} is in use", running.digest)))
}

/// What was in use before a restart, if nothing else will be.
fn to_restore<'a>(seen: Observed<'a>) -> Option<&'a str> {
    let before = seen.plugin.status.as_ref()?.digest.as_deref()?;
    let idle = seen.running.is_none() && seen.restored.is_none();
    (idle && seen.bundled != Some(before)).then_some(before)
}

/// The object is to go. Its component may, unless somebody would be left without any.
fn farewell(seen: Observed<'_>) -> Decision<'_> {
    let old = seen.plugin.status.clone().unwrap_or_default();
    let quiet = |order| Decision { order, status: old.clone(), said: Vec::new() };
    if !holds(seen.plugin) {
        return quiet(seen.running.map(|_| Order::Remove));
    }
    if !seen.keeps {
        // Whoever looks after it lets it go when nobody needs it.
        return quiet(None);
    }
    if seen.running.is_none() {
        return quiet(Some(Order::LetGo));
    }
    if seen.bundled.is_some() {
        return quiet(Some(Order::Remove));
    }
    match seen.users {
        None => quiet(Some(Order::Survey)),
        Some([]) => quiet(Some(Order::Remove)),
        Some(users) => {
            let mut by: Vec<_> = users.iter().map(|user| user.by.as_str()).collect();
            by.dedup();
            let more = by.len().saturating_sub(5);
            by.truncate(5);
            let mut by = by.join(", ");
            if more > 0 {
                by = format!("{by} and {more} more");
            }
            let why = format!("stays until nobody refers to it: {by}");
            status::refused(seen, why)
        }
    }
}

fn told<'a>(seen: Observed<'a>, order: Option<Order<'a>>, ready: Ready) -> Decision<'a> {
    let (status, said) = status::status(seen, ready);
    Decision { order, status, said }
}

#[cfg(test)]
#[path = "decide/tests.rs"]
mod tests;
