//! From a decision to the status of an AnalysisRun.

use std::borrow::Cow;

use serde_json::{Map, Value, json};
use sluice_core::Timestamp;
use sluice_core::analysis::{Measurement, MetricResult, Status, Summary};
use sluice_port::metric::RESOLVED_COMPONENT;

use crate::analysis::observe::TOKEN;
use crate::clock::format_time;
use crate::rollout::project::run_phase_name;

/// The status to record. What this version does not know of the old one stays.
pub fn project(old: Option<&Value>, status: &Status) -> Value {
    let mut fields = old.and_then(Value::as_object).cloned().unwrap_or_default();
    let mut put = |name: &str, value: Option<Value>| match value {
        Some(value) => fields.insert(name.to_owned(), value),
        None => fields.remove(name),
    };
    put("phase", status.phase.map(|phase| run_phase_name(phase).into()));
    put("message", text(&status.message));
    put("startedAt", time(status.started));
    put("completedAt", time(status.completed));
    let results: Vec<_> = status.results.iter().map(result).collect();
    put("metricResults", (!results.is_empty()).then_some(Value::Array(results)));
    put("runSummary", Some(summary(&status.summary)));
    put("dryRunSummary", Some(summary(&status.dry_run_summary)));
    Value::Object(fields)
}

fn text(text: &str) -> Option<Value> {
    (!text.is_empty()).then(|| text.into())
}

/// The most bytes of one measurement's value or message. A provider may answer a megabyte, and a
/// run keeps several measurements, while an object has room for one and a half in all: a status
/// that is refused would never be written again.
const MOST_SHOWN: usize = 4096;

/// The same for one value of its metadata, which can be a list of groups, and for all of them with
/// their names.
const MOST_PAIR: usize = 16 << 10;
const MOST_PAIRS: usize = 2 * MOST_PAIR;

/// A text, cut after [`MOST_SHOWN`] bytes. What was cut before is not cut again.
fn shown(words: &str) -> Option<Value> {
    text(&cut(words, MOST_SHOWN))
}

fn cut(words: &str, most: usize) -> Cow<'_, str> {
    if words.len() <= most {
        return words.into();
    }
    format!("{}…", &words[..words.floor_char_boundary(most)]).into()
}

fn time(at: Option<Timestamp>) -> Option<Value> {
    at.map(|at| format_time(at).into())
}

/// Counters, without those that are zero, as Go leaves them out.
fn counters(fields: &mut Map<String, Value>, counters: &[(&str, u32)]) {
    for (name, count) in counters.iter().filter(|(_, count)| *count > 0) {
        fields.insert((*name).to_owned(), (*count).into());
    }
}

fn summary(summary: &Summary) -> Value {
    let mut fields = Map::new();
    counters(
        &mut fields,
        &[
            ("count", summary.count),
            ("successful", summary.successful),
            ("failed", summary.failed),
            ("inconclusive", summary.inconclusive),
            ("error", summary.error),
        ],
    );
    Value::Object(fields)
}

fn result(result: &MetricResult) -> Value {
    let mut fields = Map::new();
    fields.insert("name".into(), result.name.clone().into());
    fields.insert("phase".into(), run_phase_name(result.phase).into());
    insert(&mut fields, "message", text(&result.message));
    let tally = &result.tally;
    counters(
        &mut fields,
        &[
            ("count", tally.count),
            ("successful", tally.successful),
            ("failed", tally.failed),
            ("inconclusive", tally.inconclusive),
            ("error", tally.error),
            ("consecutiveError", tally.consecutive_error),
            ("consecutiveSuccess", tally.consecutive_success),
        ],
    );
    insert(&mut fields, "dryRun", result.dry_run.then_some(true.into()));
    insert(&mut fields, "metadata", pairs(&result.metadata, None));
    let measurements: Vec<_> = result.measurements.iter().map(measurement).collect();
    insert(&mut fields, "measurements", (!measurements.is_empty()).then_some(measurements.into()));
    Value::Object(fields)
}

fn measurement(measurement: &Measurement) -> Value {
    let mut fields = Map::new();
    fields.insert("phase".into(), run_phase_name(measurement.phase).into());
    insert(&mut fields, "message", shown(&measurement.message));
    insert(&mut fields, "value", shown(&measurement.value));
    insert(&mut fields, "startedAt", time(measurement.started));
    insert(&mut fields, "finishedAt", time(measurement.finished));
    insert(&mut fields, "resumeAt", time(measurement.resume));
    let metadata = pairs(&measurement.metadata, measurement.token.as_deref());
    insert(&mut fields, "metadata", metadata);
    Value::Object(fields)
}

fn insert(fields: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        fields.insert(name.to_owned(), value);
    }
}

fn pairs(pairs: &[(String, String)], token: Option<&str>) -> Option<Value> {
    // Which component measured is what a restart goes by, so there is always room for that.
    let mut pairs: Vec<_> =
        pairs.iter().map(|(key, value)| (key != RESOLVED_COMPONENT, key, value)).collect();
    pairs.sort();
    let (mut fields, mut left) = (Map::new(), MOST_PAIRS);
    for (_, key, value) in pairs {
        let value = cut(value, MOST_PAIR);
        // What has no room is left out, and what comes after it may still have some.
        if let Some(less) = left.checked_sub(key.len() + value.len()) {
            left = less;
            fields.insert(key.clone(), value.into_owned().into());
        }
    }
    insert(&mut fields, TOKEN, token.map(|token| json!(token)));
    (!fields.is_empty()).then_some(Value::Object(fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_cut_once_and_between_characters() {
        let cut = |words: &str| shown(words).and_then(|cut| cut.as_str().map(str::to_owned));
        assert_eq!(cut(""), None);
        let fits = "x".repeat(MOST_SHOWN);
        assert_eq!(cut(&fits), Some(fits.clone()));
        let long = cut(&"\u{e9}".repeat(MOST_SHOWN)).unwrap_or_default();
        assert_eq!(long, format!("{}\u{2026}", "\u{e9}".repeat(MOST_SHOWN / 2)));
        assert_eq!(cut(&long), Some(long));
    }

    #[test]
    fn metadata_has_room_for_some_and_always_for_the_component() {
        let pair = |key: &str, length| (key.to_owned(), "x".repeat(length));
        let mut many: Vec<_> = (0..900).map(|n| pair(&format!("A{n:03}"), 1_000)).collect();
        many.extend([
            pair(RESOLVED_COMPONENT, 80),
            pair("B", 1 << 20),
            pair(&"C".repeat(40_000), 1),
        ]);
        let once = pairs(&many, None).unwrap();
        assert!(once.to_string().len() < MOST_PAIRS + 1_000, "{}", once.to_string().len());
        assert_eq!(once[RESOLVED_COMPONENT].as_str().map(str::len), Some(80));
        let read = once.as_object().unwrap().iter();
        let read: Vec<_> =
            read.map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())).collect();
        assert_eq!(pairs(&read, None), Some(once), "what is read is written as the same");
        let long = pairs(&[pair("B", 1 << 20)], None).unwrap();
        assert_eq!(long["B"].as_str().map(str::len), Some(MOST_PAIR + '…'.len_utf8()));
    }
}
