//! Cases of notifiers, as they are written.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};
use sluice_port::{Delivery, Fault, Notice};

use crate::cases::{Exchange, Failure, FailureKind, urls};
use crate::error::Error;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    /// The configuration of the cases that have none.
    #[serde(default)]
    config: Option<Value>,
    cases: Vec<Case>,
}

/// One call of a notifier.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Case {
    /// What it shows.
    pub(crate) name: String,
    /// What is called. Default: `deliver`.
    #[serde(default)]
    pub(crate) call: Function,
    /// How the notifier is configured. Default: that of the file, or `{}`.
    #[serde(default)]
    pub(crate) config: Option<Value>,
    /// What is told.
    #[serde(default)]
    pub(crate) fact: Fact,
    /// What time it is. Default: the beginning of 2026.
    #[serde(default)]
    pub(crate) now: Option<jiff::Timestamp>,
    /// What is asked of servers, and what they answer, in order.
    #[serde(default)]
    pub(crate) http: Vec<Exchange>,
    /// What the notifier should answer.
    pub(crate) expect: Expect,
}

/// A function of a notifier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Function {
    #[default]
    Deliver,
    Validate,
}

/// Something that became true.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Fact {
    key: String,
    reason: String,
    warning: bool,
    message: String,
    time: jiff::Timestamp,
    namespace: String,
    rollout: String,
    rollout_uid: String,
    revision: String,
    phase: String,
    images: Vec<String>,
    recipients: Vec<String>,
}

impl Default for Fact {
    fn default() -> Self {
        Self {
            key: "00000000-0000-4000-8000-000000000000/2/on-rollout-completed/1".to_owned(),
            reason: "RolloutCompleted".to_owned(),
            warning: false,
            message: "Rollout completed update to revision 2".to_owned(),
            // The beginning of 2026.
            time: jiff::Timestamp::constant(1_767_225_600, 0),
            namespace: "default".to_owned(),
            rollout: "rollout".to_owned(),
            rollout_uid: "00000000-0000-4000-8000-000000000000".to_owned(),
            revision: "2".to_owned(),
            phase: "Healthy".to_owned(),
            images: vec!["app:2".to_owned()],
            recipients: vec!["somebody".to_owned()],
        }
    }
}

/// What a call should answer: one outcome or an error.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Expect {
    /// The other side has it.
    delivered: Option<Delivered>,
    /// It is to be tried again after so many milliseconds.
    retry_after_ms: Option<u32>,
    /// For `validate`: all is well.
    ok: Option<bool>,
    /// It is an error.
    pub(crate) error: Option<Failure>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Delivered {
    /// The name that it has on the other side, if it matters.
    #[serde(default)]
    id: Option<String>,
}

/// What a notifier answered; nothing from `validate`.
pub(crate) type Answer = Result<Option<Delivery>, Fault>;

/// Reads a file of cases.
///
/// # Errors
/// With the case and the place, if it is not right.
pub(crate) fn read(path: &Path) -> Result<Vec<Case>, Error> {
    let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    let wrong = |why: String| Error::Unreadable { path: path.to_owned(), why };
    let file: File = serde_saphyr::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let mut cases = file.cases;
    for case in &mut cases {
        case.config = case.config.take().or_else(|| file.config.clone());
        case.check().map_err(|why| wrong(format!("case {:?}: {why}", case.name)))?;
    }
    Ok(cases)
}

impl Case {
    fn check(&self) -> Result<(), String> {
        let expect = &self.expect;
        let given = [
            ("delivered", expect.delivered.is_some()),
            ("retryAfterMs", expect.retry_after_ms.is_some()),
            ("ok", expect.ok.is_some()),
            ("error", expect.error.is_some()),
        ];
        let names: Vec<_> = given.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
        let &[name] = names.as_slice() else {
            let found = if names.is_empty() { "nothing".to_owned() } else { names.join(" and ") };
            return Err(format!(
                "expect: one of delivered, retryAfterMs, ok, error, and not {found}"
            ));
        };
        if expect.ok == Some(false) {
            return Err("expect.ok: can only be true".to_owned());
        }
        match (self.call, name) {
            (Function::Deliver, "ok") => {
                Err("expect.ok: deliver answers delivered, retryAfterMs or error".to_owned())
            }
            (Function::Validate, "delivered" | "retryAfterMs") => {
                Err("expect: validate answers ok or error".to_owned())
            }
            (Function::Deliver | Function::Validate, _) => urls(&self.http),
        }
    }

    /// The configuration as JSON.
    pub(crate) fn config(&self) -> String {
        self.config.clone().unwrap_or_else(|| json!({})).to_string()
    }

    /// What is told.
    pub(crate) fn notice(&self) -> Notice {
        let fact = self.fact.clone();
        Notice {
            key: fact.key,
            reason: fact.reason,
            warning: fact.warning,
            message: fact.message,
            time_ms: u64::try_from(fact.time.as_millisecond()).unwrap_or(0),
            namespace: fact.namespace,
            rollout: fact.rollout,
            rollout_uid: fact.rollout_uid,
            revision: fact.revision,
            phase: fact.phase,
            images: fact.images,
            recipients: fact.recipients,
        }
    }

    /// Whether it tells something, with a configuration that is right.
    pub(crate) fn delivers(&self) -> bool {
        let error = self.expect.error.as_ref();
        let refused = error.is_some_and(|failure| failure.kind == FailureKind::InvalidConfig);
        self.call == Function::Deliver && !refused
    }
}

impl Expect {
    /// What is expected and what was answered, in the same words, as far as the case cares.
    pub(crate) fn compare(&self, answer: &Answer) -> (Value, Value) {
        let mut expected = json!({});
        if let Some(delivered) = &self.delivered {
            expected["delivered"] = match &delivered.id {
                Some(id) => json!({ "id": id }),
                None => json!({}),
            };
        }
        if let Some(after) = self.retry_after_ms {
            expected["retryAfterMs"] = json!(after);
        }
        if self.ok.is_some() {
            expected["ok"] = json!(true);
        }
        if let Some(failure) = &self.error {
            expected["error"] = failure.words();
        }
        (expected, self.seen(answer))
    }

    fn seen(&self, answer: &Answer) -> Value {
        match (answer, &self.error) {
            (Ok(None), _) => json!({ "ok": true }),
            (Ok(Some(Delivery::RetryAfter(after))), _) => json!({ "retryAfterMs": after }),
            (Ok(Some(Delivery::Delivered(id))), _) => {
                let cares = self.delivered.as_ref().is_none_or(|wanted| wanted.id.is_some());
                match id.as_ref().filter(|_| cares) {
                    Some(id) => json!({ "delivered": { "id": id } }),
                    None => json!({ "delivered": {} }),
                }
            }
            (Err(fault), Some(failure)) => json!({ "error": failure.seen(fault) }),
            (Err(fault), None) => {
                json!({ "error": {"kind": fault.kind(), "message": fault.to_string()} })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(text: &str) -> Result<Case, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        std::fs::write(&path, format!("cases:\n- name: one\n{text}")).unwrap();
        read(&path).map(|mut cases| cases.remove(0)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_case_that_makes_no_sense_is_refused_with_what_would() {
        let table = [
            ("  expect: {}", "one of delivered, retryAfterMs"),
            ("  expect: {ok: true}", "deliver answers delivered"),
            ("  call: validate\n  expect: {delivered: {}}", "validate answers ok or error"),
            ("  expect: {delivered: {}, retryAfterMs: 1}", "and not delivered and retryAfterMs"),
            ("  fact: {reson: x}\n  expect: {delivered: {}}", "reson"),
            ("  http: [{request: {url: /x}}]\n  expect: {delivered: {}}", "http[0].request.url"),
        ];
        for (text, part) in table {
            let error = case(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn answers_are_compared_as_far_as_a_case_cares() {
        let same = |expect: &str, answer: &Answer| {
            let case = case(&format!("  expect: {expect}")).unwrap();
            let (expected, got) = case.expect.compare(answer);
            expected == got
        };
        let delivered = Ok(Some(Delivery::Delivered(Some("7".to_owned()))));
        assert!(same("{delivered: {}}", &delivered) && same("{delivered: {id: '7'}}", &delivered));
        assert!(!same("{delivered: {id: '8'}}", &delivered));
        assert!(!same("{retryAfterMs: 7}", &delivered));
        let later = Ok(Some(Delivery::RetryAfter(7)));
        assert!(same("{retryAfterMs: 7}", &later) && !same("{delivered: {}}", &later));
        let trapped = Err(Fault::Trapped { message: "x".into() });
        assert!(!same("{error: {kind: failed}}", &trapped), "a trap is no answer");
    }
}
