//! What is expected and what was answered, in the same words, so that they can be compared and
//! shown side by side.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sluice_port::{Fault, Measured, Measurement, Verdict};

use super::{Answer, Expect, Failure, FailureKind, Judgement};

impl Expect {
    /// What is expected and what was answered, in the same words, as far as the case cares.
    pub(crate) fn compare(&self, answer: &Answer) -> (Value, Value) {
        let mut expected = serde_json::Map::new();
        let mut got = serde_json::Map::new();
        let mut want = |name: &str, value: Value| expected.insert(name.to_owned(), value);
        if let Some(number) = self.number {
            want("number", self::number(number));
        }
        if let Some(numbers) = &self.numbers {
            want("numbers", numbers.iter().copied().map(self::number).collect());
        }
        if let Some(value) = &self.value {
            want("value", plain(value));
        }
        if self.no_data.is_some() {
            want("noData", json!(true));
        }
        if let Some(judged) = self.judged {
            want("judged", json!(judgement(judged)));
        }
        if let Some(running) = &self.running {
            want("running", running_words(&plain(&running.token), running.resume_after_ms));
        }
        if self.ok.is_some() {
            want("ok", json!(true));
        }
        if let Some(message) = &self.message {
            want("message", json!(message));
        }
        if let Some(metadata) = &self.metadata {
            want("metadata", json!(metadata));
        }
        match answer {
            Ok(None) => {
                got.insert("ok".to_owned(), json!(true));
            }
            Ok(Some(measurement)) => self.measured(measurement, &mut got),
            Err(fault) => {
                got.insert("error".to_owned(), fault_words(self.error.as_ref(), fault));
            }
        }
        if let Some(failure) = &self.error {
            expected.insert("error".to_owned(), failure.words());
        }
        (Value::Object(expected), Value::Object(got))
    }

    fn measured(&self, measurement: &Measurement, got: &mut serde_json::Map<String, Value>) {
        let (name, value) = match &measurement.outcome {
            Measured::Number(number) => ("number", self::number(*number)),
            Measured::Numbers(numbers) => {
                ("numbers", numbers.iter().copied().map(self::number).collect())
            }
            Measured::Value(text) => {
                ("value", plain(&serde_json::from_str(text).unwrap_or_default()))
            }
            Measured::NoData => ("noData", json!(true)),
            Measured::Judged(verdict) => ("judged", json!(verdict_name(*verdict))),
            Measured::Running { token, resume_after_ms } => {
                let token = serde_json::from_str(token).unwrap_or_else(|_| json!(token));
                let cares = self.running.as_ref().is_none_or(|r| r.resume_after_ms.is_some());
                ("running", running_words(&plain(&token), cares.then_some(*resume_after_ms)))
            }
        };
        got.insert(name.to_owned(), value);
        if self.message.is_some() {
            got.insert("message".to_owned(), json!(measurement.message));
        }
        if self.metadata.is_some() {
            let metadata: BTreeMap<_, _> = measurement.metadata.iter().cloned().collect();
            got.insert("metadata".to_owned(), json!(metadata));
        }
    }
}

/// An error in the words of cases, as far as somebody who expects `wanted` cares.
fn fault_words(wanted: Option<&Failure>, fault: &Fault) -> Value {
    let mut words = serde_json::Map::new();
    words.insert("kind".to_owned(), json!(fault_kind(fault)));
    let message = match fault {
        Fault::InvalidConfig(message) => message.clone(),
        other => other.to_string(),
    };
    match wanted.and_then(|failure| failure.contains.as_ref()) {
        Some(part) if message.contains(part.as_str()) => {
            words.insert("contains".to_owned(), json!(part));
        }
        Some(_) => {
            words.insert("contains".to_owned(), json!(message));
        }
        None => {}
    }
    if wanted.is_none_or(|failure| failure.message.is_some()) {
        words.insert("message".to_owned(), json!(message));
    }
    if let Fault::Failed { code, .. } = fault
        && wanted.is_none_or(|failure| failure.code.is_some())
    {
        words.insert("code".to_owned(), json!(code));
    }
    if let Fault::Transient { after_ms: Some(after_ms), .. } = fault
        && wanted.is_none_or(|failure| failure.after_ms.is_some())
    {
        words.insert("afterMs".to_owned(), json!(after_ms));
    }
    Value::Object(words)
}

impl Failure {
    /// An error that came, in the words in which this one was expected.
    pub(crate) fn seen(&self, fault: &Fault) -> Value {
        fault_words(Some(self), fault)
    }

    pub(crate) fn words(&self) -> Value {
        let mut words = serde_json::Map::new();
        words.insert("kind".to_owned(), json!(self.kind.name()));
        let given = [
            ("code", self.code.as_ref().map(|code| json!(code))),
            ("message", self.message.as_ref().map(|message| json!(message))),
            ("contains", self.contains.as_ref().map(|part| json!(part))),
            ("afterMs", self.after_ms.map(|after| json!(after))),
        ];
        for (name, value) in given {
            if let Some(value) = value {
                words.insert(name.to_owned(), value);
            }
        }
        Value::Object(words)
    }
}

/// The kind of a fault, by the name that cases give it; what the host saw has the host's name.
fn fault_kind(fault: &Fault) -> &'static str {
    match fault {
        Fault::InvalidConfig(_) => FailureKind::InvalidConfig.name(),
        Fault::Transient { .. } => FailureKind::Transient.name(),
        Fault::Failed { .. } => FailureKind::Failed.name(),
        other => other.kind(),
    }
}

fn judgement(judged: Judgement) -> &'static str {
    verdict_name(match judged {
        Judgement::Successful => Verdict::Successful,
        Judgement::Failed => Verdict::Failed,
        Judgement::Inconclusive => Verdict::Inconclusive,
    })
}

fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Successful => "successful",
        Verdict::Failed => "failed",
        Verdict::Inconclusive => "inconclusive",
    }
}

fn running_words(token: &Value, resume_after_ms: Option<u32>) -> Value {
    match resume_after_ms {
        Some(after) => json!({"token": token, "resumeAfterMs": after}),
        None => json!({"token": token}),
    }
}

/// JSON has neither NaN nor infinities, so these are written as YAML writes them.
fn number(number: f64) -> Value {
    match number {
        number if number.is_nan() => json!(".nan"),
        f64::INFINITY => json!(".inf"),
        f64::NEG_INFINITY => json!("-.inf"),
        number => json!(number),
    }
}

/// The same value with every number written one way: 5 and 5.0 are equal.
pub(crate) fn plain(value: &Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().map_or_else(|| value.clone(), self::number),
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(members) => {
            let sorted: BTreeMap<_, _> =
                members.iter().map(|(name, value)| (name.clone(), plain(value))).collect();
            Value::Object(sorted.into_iter().collect())
        }
        Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
    }
}
