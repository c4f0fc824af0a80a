//! What metric providers answer, once the host has passed it on: a run takes it in, its status stays
//! small enough to be written, and nothing is left to record when nothing more happens.

use serde_json::{Value, json};
use sluice_core::Timestamp;
use sluice_port::metric::RESOLVED_COMPONENT;
use sluice_port::{Fault, Measured, Measurement};
use sluice_wire::analysis::measure::prepare;
use sluice_wire::analysis::observe::{Progress, status};
use sluice_wire::analysis::project::project;
use sluice_wire::analysis::turn::turn;
use sluice_wire::field::Field;

use crate::{Verdict, hold};

const NOW: Timestamp = Timestamp(1_700_000_000_000);
/// What one measurement may add to a status, in bytes. Ten are kept usually, and an object has room
/// for one and a half million.
const MOST: usize = 96 << 10;
/// The most bytes of a text from a component, and of a token.
const MOST_TEXT: usize = 1 << 20;
const MOST_TOKEN: usize = 16 << 10;

/// A text; where a number stands beside it in a list, that many times.
fn text(value: &Value, most: usize) -> String {
    let (word, times) = match value.as_array().map(Vec::as_slice) {
        Some([Value::String(word), times, ..]) => (word.clone(), times.as_u64().unwrap_or(1)),
        Some(_) | None => match value {
            Value::String(word) => (word.clone(), 1),
            other => (other.to_string(), 1),
        },
    };
    let fit = most / word.len().max(1);
    word.repeat(usize::try_from(times).unwrap_or(usize::MAX).min(fit))
}

fn fault(value: &Value) -> Fault {
    let message = text(&value["message"], 4096);
    match value["kind"].as_str() {
        Some("invalid-config") => Fault::InvalidConfig(message),
        Some("transient") => Fault::Transient { message, after_ms: None },
        Some("trapped") => Fault::Trapped { message },
        Some(_) | None => Fault::Malformed(message),
    }
}

fn measurement(answer: &Value) -> Result<Measurement, Fault> {
    let number = |value: &Value| match value.as_str() {
        Some(text) => text.parse().unwrap_or(f64::NAN),
        None => value.as_f64().unwrap_or(f64::INFINITY),
    };
    if !answer["fault"].is_null() {
        return Err(fault(&answer["fault"]));
    }
    let outcome = if let Some(numbers) = answer["numbers"].as_array() {
        Measured::Numbers(numbers.iter().map(number).collect())
    } else if !answer["value"].is_null() {
        let value = text(&answer["value"], MOST_TEXT - 2);
        // The host lets JSON through and nothing else.
        match serde_json::from_str::<Value>(&value) {
            Ok(_) => Measured::Value(value),
            Err(_) => Measured::Value(Value::from(value).to_string()),
        }
    } else if !answer["running"].is_null() {
        let resume = answer["running"]["after"].as_u64().unwrap_or_default();
        let token = text(&answer["running"]["token"], MOST_TOKEN);
        let resume_after_ms = u32::try_from(resume).unwrap_or(u32::MAX).clamp(1_000, 3_600_000);
        Measured::Running { token, resume_after_ms }
    } else if !answer["number"].is_null() {
        Measured::Number(number(&answer["number"]))
    } else {
        Measured::NoData
    };
    let metadata = answer["metadata"].as_object().into_iter().flatten();
    let metadata = metadata.map(|(key, value)| (key.clone(), text(value, MOST_TEXT))).collect();
    let message = answer.get("message").map(|message| text(message, 4096));
    Ok(Measurement { outcome, message, metadata })
}

/// One answer after the other for a run of one metric.
pub(super) fn measured(input: &Value) -> Verdict {
    let mut run = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun",
        "metadata": {"name": "r", "namespace": "shop", "uid": "r",
            "creationTimestamp": "2023-11-14T22:00:00Z"},
        "spec": {"metrics": [{"name": "own", "count": 3, "interval": "10s",
            "successCondition": input["success"], "failureCondition": input["failure"],
            "provider": {"plugin": {"acme/x": {}}}}]},
    });
    for name in ["successCondition", "failureCondition"] {
        if !run["spec"]["metrics"][0][name].is_string()
            && let Some(metric) = run["spec"]["metrics"][0].as_object_mut()
        {
            metric.remove(name);
        }
    }
    let mut now = NOW;
    for (index, answer) in input["answers"].as_array().into_iter().flatten().take(3).enumerate() {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let mut progress = Progress::default();
        run["status"] = project(run.get("status"), &turn(&run, &progress, now).status);
        let Ok(ready) = prepare(&run, "own", index, |_| Err("no secrets".to_owned())) else {
            // A condition that refers to an argument that there is not.
            return Ok(());
        };
        progress.begin("own", index);
        progress.finish(ready.finish(now, now, measurement(answer)));
        run["status"] = project(run.get("status"), &turn(&run, &progress, now).status);
        settled(&run, index)?;
        let kept = run["status"]["metricResults"][0]["metadata"].get(RESOLVED_COMPONENT);
        let said = answer["metadata"].get(RESOLVED_COMPONENT);
        // Later answers may come to a run that has ended.
        let first = index == 0 && said.is_some_and(Value::is_string) && answer["fault"].is_null();
        hold(!first || kept.is_some(), || "it is forgotten who measured".to_owned())?;
        now = now.after(std::time::Duration::from_secs(20));
    }
    Ok(())
}

/// A status is small, and is read as it was written.
fn settled(run: &Value, index: u32) -> Verdict {
    let size = run["status"].to_string().len();
    let most = MOST * (index as usize + 1);
    hold(size < most, || format!("{size} bytes of status after {} measurements", index + 1))?;
    let found = status(&Field::root(run).get("status"));
    let again = project(run.get("status"), &found);
    hold(again == run["status"], || format!("written as {}, and then as {again}", run["status"]))
}
