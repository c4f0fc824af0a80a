//! Analysis: runs come to rest, statuses are read as they were written, and conditions are either
//! refused or judged.

use serde_json::Value;
use sluice_core::Timestamp;
use sluice_core::analysis::Status;
use sluice_port::Measured;
use sluice_wire::analysis::condition::{check, judge};
use sluice_wire::analysis::metric::parse;
use sluice_wire::analysis::observe::{Progress, status};
use sluice_wire::analysis::project::project;
use sluice_wire::analysis::turn::turn;
use sluice_wire::field::Field;

use crate::Verdict;
use crate::hold;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn read(value: &Value) -> Status {
    status(&Field::root(value))
}

/// A status that was written is read as the same and written as the same; and a run to which
/// nothing happens has nothing more to record.
pub(super) fn run(run: &Value) -> Verdict {
    let found = read(&run["status"]);
    let written = project(None, &found);
    let again = project(Some(&written), &read(&written));
    hold(written == again, || format!("written as {written}, and then as {again}"))?;
    let mut run = run.clone();
    let progress = Progress::default();
    for _ in 0..4 {
        let turn = turn(&run, &progress, NOW);
        if turn.record.is_none() {
            return Ok(());
        }
        if !run.is_object() {
            return Ok(());
        }
        run["status"] = project(run.get("status"), &turn.status);
    }
    Err("the fifth turn still has something to record".to_owned())
}

/// Metrics are refused in words, or all of them are understood.
pub(super) fn metrics(spec: &Value) -> Verdict {
    let root = Field::root(spec);
    let metrics = spec["metrics"].as_array().cloned().unwrap_or_default();
    match parse(&metrics, &root.get("dryRun"), &root.get("measurementRetention")) {
        Ok(specs) => hold(specs.len() == metrics.len(), || "metrics were lost".to_owned()),
        Err(error) => hold(!error.to_string().is_empty(), || "refused without words".to_owned()),
    }
}

/// A condition that cannot be compiled is never met, and what is said of it is one line.
pub(super) fn condition(text: &str) -> Verdict {
    let checked = check(text);
    let results = [
        Measured::Number(0.95),
        Measured::Numbers(vec![1.0, f64::NAN]),
        Measured::Value(r#"{"a": [1, {"b": "c"}], "rate": 0.5}"#.to_owned()),
        Measured::NoData,
    ];
    let empty = text.trim().is_empty();
    for measured in &results {
        let judged = judge(measured, Some(text), None);
        let fine = judged.message.is_empty();
        if let Err(why) = &checked
            && !empty
        {
            hold(!fine, || format!("judged {judged:?} by what is none: {why}"))?;
        }
    }
    match checked {
        Ok(()) => Ok(()),
        Err(why) => hold(!why.is_empty() && !why.contains('\n'), || format!("said: {why:?}")),
    }
}
