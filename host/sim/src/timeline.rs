//! What happened in a simulated release, as rows that a person reads from top to bottom.

use std::fmt::Write as _;

use serde::Serialize;

/// What a row tells about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// A user did something.
    User,
    /// The controller did something.
    Act,
    /// Something was measured.
    Measurement,
    /// Why nothing happens.
    Wait,
    /// The end.
    End,
    /// Something went wrong that must not.
    Violation,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Milliseconds since the first act.
    pub at_ms: u64,
    /// What it tells about.
    pub kind: Kind,
    /// One sentence.
    pub text: String,
    /// Percent of the traffic that goes to the canary, if a router shifts it.
    pub weight: Option<u32>,
    /// Available pods of the canary.
    pub canary_pods: u32,
    /// Available pods of the stable version.
    pub stable_pods: u32,
}

/// All rows of a release.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Timeline {
    /// In the order in which they happened.
    pub rows: Vec<Row>,
}

const BAR: usize = 20;

impl Timeline {
    /// Add a row, unless it says what the last one of its kind said.
    pub fn push(&mut self, row: Row) {
        let repeated = self.rows.iter().rev().find(|last| last.kind == row.kind);
        if row.kind == Kind::Wait && repeated.is_some_and(|last| last.text == row.text) {
            return;
        }
        self.rows.push(row);
    }

    /// As text; with colours for a terminal.
    pub fn render(&self, colour: bool) -> String {
        let mut out = String::new();
        let routed = self.rows.iter().any(|row| row.weight.is_some());
        let head = if routed { "TRAFFIC TO CANARY            " } else { "" };
        let _ = writeln!(out, "   TIME  STABLE  CANARY  {head}WHAT HAPPENS");
        for row in &self.rows {
            let _ = write!(
                out,
                "{:>7}  {:>6}  {:>6}  ",
                clock(row.at_ms),
                row.stable_pods,
                row.canary_pods
            );
            if routed {
                let _ = write!(out, "{}  ", bar(row.weight.unwrap_or(0), colour));
            }
            let (mark, code) = mark(row.kind);
            let text = if colour {
                format!("\x1b[{code}m{mark} {}\x1b[0m", row.text)
            } else {
                format!("{mark} {}", row.text)
            };
            let _ = writeln!(out, "{text}");
        }
        out
    }
}

fn mark(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::User => ("▶", "1;34"),
        Kind::Act => ("•", "0"),
        Kind::Measurement => ("≈", "36"),
        Kind::Wait => ("…", "2"),
        Kind::End => ("■", "1;32"),
        Kind::Violation => ("✖", "1;31"),
    }
}

fn bar(weight: u32, colour: bool) -> String {
    let full = (usize::try_from(weight).unwrap_or(0) * BAR).div_ceil(100).min(BAR);
    let (used, free) = ("█".repeat(full), "░".repeat(BAR - full));
    if colour {
        format!("\x1b[33m{used}\x1b[2m{free}\x1b[0m {weight:>3} %")
    } else {
        format!("{used}{free} {weight:>3} %")
    }
}

/// Minutes and seconds, with hours where there are some.
fn clock(millis: u64) -> String {
    let seconds = millis / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes:02}:{seconds:02}")
    }
}
