//! The answer to "why does it not go on?", with the commands that make it.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use sluice_wire::explain::{Explanation, Why};

use crate::lens::Lens;
use crate::mark::Mark;
use crate::{Style, human_age, phase};

mod advice;

use advice::{Way, advice};

/// Why a rollout stands where it stands. In JSON, members are in camel case and absent members
/// are left out.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// Name of the rollout.
    pub name: String,
    /// Namespace of the rollout.
    pub namespace: String,
    /// The client's view of the phase, in Argo's words; see [`crate::phase()`].
    pub phase: String,
    /// Why it has this phase, in Argo's words; may be empty.
    pub message: String,
    /// Where it stands, such as `step 2 of 4 (pause)`; may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub place: String,
    /// What it waits for; absent when it is where it is to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits: Option<Waits>,
    /// When the controller looks again by itself, and what will be different then. Absent when it
    /// looks only when something changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looks_again: Option<Look>,
    /// What is wrong and keeps it from going on: complaints about the specification, and orders
    /// that cannot be carried out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// What the controller is about to do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<String>,
    /// Commands that would change something, or show more, the most likely one first.
    pub commands: Vec<Command>,
    /// When this was found out; ages are counted from here.
    pub seen_at: Timestamp,
}

/// What a rollout waits for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Waits {
    /// One word for machines.
    pub reason: &'static str,
    /// A fragment that follows "waits for".
    #[serde(rename = "for")]
    pub what: String,
    /// Since when, or since when nothing has moved; absent if no object tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// When it ends by itself; absent if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// What else ends it, as a fragment.
    pub ends_by: String,
}

/// A look of the controller's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Look {
    /// When.
    pub at: Timestamp,
    /// What will be different then.
    pub because: String,
}

/// A command for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Command {
    /// What it is good for, as in "to ...".
    pub to: String,
    /// The whole line.
    pub run: String,
}

/// The answer for a rollout, as of `now`.
pub fn answer(rollout: &Value, explanation: &Explanation, now: Timestamp) -> Answer {
    let name = rollout.name().to_owned();
    let namespace = rollout.text(&["metadata", "namespace"]).unwrap_or_default().to_owned();
    let seen = phase(rollout);
    let mut problems = explanation.blocked.clone();
    let (waits, ways) = match &explanation.why {
        Why::Settled => (None, Vec::new()),
        Why::Waits(waiting) => {
            let advice = advice(waiting);
            let waits = Waits {
                reason: advice.reason,
                what: waiting.to_string(),
                since: explanation.since.and_then(stamp),
                until: waiting.until().and_then(stamp),
                ends_by: waiting.unblocked_by().to_owned(),
            };
            (Some(waits), advice.ways)
        }
        Why::Refused(refusals) => {
            problems.splice(..0, refusals.iter().map(ToString::to_string));
            let waits = waits("InvalidSpec", "a specification that it can carry out")
                .since(explanation.since)
                .ends_by("mending what is named below; it goes on by itself then");
            (Some(waits), vec![Way::Edit])
        }
        Why::Unseen => {
            let waits = waits("Unseen", "a controller to look at the present specification")
                .ends_by("a running controller that looks after this namespace and instance");
            (Some(waits), vec![Way::Lease])
        }
        Why::Going => {
            let waits = waits("Deleting", "its deletion, with all that belongs to it")
                .ends_by("the finalizers being removed");
            (Some(waits), Vec::new())
        }
    };
    let look = explanation
        .wake
        .and_then(|wake| Some(Look { at: stamp(wake.at)?, because: wake.because.to_owned() }));
    let mut commands: Vec<_> = ways.iter().map(|way| way.command(&name, &namespace)).collect();
    if !explanation.blocked.is_empty() {
        commands.push(Way::Events.command(&name, &namespace));
    }
    Answer {
        phase: seen.phase,
        message: seen.message,
        place: explanation.place.clone(),
        waits,
        looks_again: look,
        problems,
        next: explanation.next.clone(),
        commands,
        seen_at: now,
        name,
        namespace,
    }
}

fn waits(reason: &'static str, what: &str) -> Waits {
    let what = what.to_owned();
    Waits { reason, what, since: None, until: None, ends_by: String::new() }
}

impl Waits {
    fn since(self, since: Option<sluice_core::Timestamp>) -> Self {
        Self { since: since.and_then(stamp), ..self }
    }

    fn ends_by(self, what: &str) -> Self {
        Self { ends_by: what.to_owned(), ..self }
    }

    /// One line: what it waits for and since when, as of `now`.
    pub fn line(&self, now: Timestamp) -> String {
        let since = self.since.map(|since| format!(", for {}", age(since, now)));
        format!("{}{}", self.what, since.unwrap_or_default())
    }
}

fn stamp(at: sluice_core::Timestamp) -> Option<Timestamp> {
    Timestamp::from_millisecond(i64::try_from(at.0).ok()?).ok()
}

fn age(from: Timestamp, to: Timestamp) -> String {
    human_age(to.as_second().saturating_sub(from.as_second()))
}

/// The answer as text, ending in a line break. Colour touches the mark alone.
pub fn render_answer(answer: &Answer, style: Style) -> String {
    let mut text = String::new();
    let now = answer.seen_at;
    // Writing to a string cannot fail.
    let mark = Mark::of_status(&answer.phase).paint(style);
    let message = Some(&answer.message).filter(|message| !message.is_empty());
    let message = message.map(|message| format!(" - {message}")).unwrap_or_default();
    let _ =
        writeln!(text, "{} in {}: {mark} {}{message}", answer.name, answer.namespace, answer.phase);
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(text, "  {label:<13}{value}");
    };
    if !answer.place.is_empty() {
        line("at", &answer.place);
    }
    match &answer.waits {
        None => line("waits for", "nothing; it is where it is to be"),
        Some(waits) => {
            line("waits for", &waits.what);
            if let Some(since) = waits.since {
                line("since", &format!("{} ({})", age(since, now), at(since)));
            }
            if let Some(until) = waits.until {
                line("until", &ahead(until, now));
            }
            line("ends by", &waits.ends_by);
        }
    }
    match &answer.looks_again {
        Some(look) => line("looks again", &format!("{}: {}", ahead(look.at, now), look.because)),
        None if answer.waits.is_some() => line("looks again", "as soon as something changes"),
        None => {}
    }
    for next in &answer.next {
        line("is about to", next);
    }
    for problem in &answer.problems {
        line("problem", problem);
    }
    let widest = answer.commands.iter().map(|one| one.to.chars().count()).max().unwrap_or(0);
    for (place, Command { to, run }) in answer.commands.iter().enumerate() {
        let gap = if place == 0 { "\n" } else { "" };
        let _ = writeln!(text, "{gap}to {to:<widest$}  {run}");
    }
    text
}

/// A moment to come: how long until then, and when.
fn ahead(then: Timestamp, now: Timestamp) -> String {
    if then > now { format!("in {} ({})", age(now, then), at(then)) } else { "now".to_owned() }
}

fn at(moment: Timestamp) -> String {
    let whole = Timestamp::from_second(moment.as_second()).unwrap_or(moment);
    whole.to_string()
}
