//! Cases of steps, as they are written: calls in turn, each with the state that the one before it
//! left behind.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sluice_port::{Fault, StepAnswer, StepCall, StepOutcome};

use crate::cases::{Exchange, Failure, FailureKind, plain, urls};
use crate::error::Error;

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    /// The configuration of the cases that have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    config: Option<Value>,
    cases: Vec<Case>,
}

/// A step from its first call to its last.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Case {
    /// What it shows.
    pub(crate) name: String,
    /// What a user writes under `config`. Default: that of the file, or `{}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) config: Option<Value>,
    /// The step of a release that is done.
    #[serde(default)]
    pub(crate) context: Context,
    /// What the first call finds. Default: nothing, as before the first call of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<Value>,
    /// The calls, in turn.
    pub(crate) calls: Vec<Call>,
}

/// The step of a release that is done.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Context {
    namespace: String,
    rollout: String,
    rollout_uid: String,
    revision: String,
    step_index: u32,
}

impl Default for Context {
    fn default() -> Self {
        Self {
            namespace: "default".to_owned(),
            rollout: "rollout".to_owned(),
            rollout_uid: "00000000-0000-4000-8000-000000000000".to_owned(),
            revision: "2".to_owned(),
            step_index: 0,
        }
    }
}

/// One call.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Call {
    /// What is called. Default: `run`.
    #[serde(default)]
    pub(crate) call: Function,
    /// What time it is. Default: the beginning of 2026.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) now: Option<jiff::Timestamp>,
    /// What is asked of servers, and what they answer, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) http: Vec<Exchange>,
    /// What the step should answer.
    pub(crate) expect: Expect,
}

/// A function of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Function {
    #[default]
    Run,
    Terminate,
    Abort,
    Validate,
}

/// What a call should answer: one outcome or an error, and what else matters.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Expect {
    /// The step is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<bool>,
    /// The step says no, in these words.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
    /// It is to be called again.
    #[serde(skip_serializing_if = "Option::is_none")]
    again: Option<Again>,
    /// For the other functions: all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    ok: Option<bool>,
    /// It is an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<Failure>,
    /// What it leaves behind, if it matters; `null` is nothing.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    state: Option<Value>,
    /// What it says to people, if it matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// A `null` that is written is another thing than nothing.
fn given<'de, D: serde::Deserializer<'de>>(reader: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(reader).map(Some)
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Again {
    /// When, in milliseconds, if it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after_ms: Option<u32>,
}

/// What a step answered; nothing from functions that only succeed.
pub(crate) type Answer = Result<Option<StepAnswer>, Fault>;

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
        if case.calls.is_empty() {
            return Err(wrong(format!("case {:?}: calls: at least one", case.name)));
        }
        for (index, call) in case.calls.iter().enumerate() {
            call.check()
                .map_err(|why| wrong(format!("case {:?}: calls[{index}]: {why}", case.name)))?;
        }
    }
    Ok(cases)
}

/// A step that is written down while it is done.
#[derive(Clone, Debug)]
pub(crate) struct Recorded(Case);

impl Recorded {
    /// Before its first call.
    pub(crate) fn new(name: String, call: &StepCall) -> Self {
        let json = |text: &String| serde_json::from_str(text).ok();
        Self(Case {
            name,
            config: json(&call.config).filter(|config: &Value| !config.is_null()),
            context: Context {
                namespace: call.namespace.clone(),
                rollout: call.rollout.clone(),
                rollout_uid: call.rollout_uid.clone(),
                revision: call.revision.clone(),
                step_index: call.index,
            },
            state: call.state.as_ref().and_then(json),
            calls: Vec::new(),
        })
    }

    /// The next call of `run`, and what it answered.
    pub(crate) fn add(
        &mut self,
        at: jiff::Timestamp,
        http: Vec<Exchange>,
        answer: Result<StepAnswer, Failure>,
    ) {
        let mut expect = Expect::default();
        match answer {
            Err(failure) => expect.error = Some(failure),
            Ok(answer) => {
                let state = answer.state.as_deref().map(serde_json::from_str);
                expect.state = Some(state.and_then(Result::ok).unwrap_or(Value::Null));
                expect.message = answer.message;
                match answer.outcome {
                    StepOutcome::Done => expect.done = Some(true),
                    StepOutcome::Failed(why) => expect.failed = Some(why),
                    StepOutcome::Again(after) => {
                        expect.again = Some(Again { after_ms: Some(after) });
                    }
                }
            }
        }
        self.0.calls.push(Call { call: Function::Run, now: Some(at), http, expect });
    }

    /// As a file of cases.
    ///
    /// # Errors
    /// If it cannot be written as YAML, in words.
    pub(crate) fn text(&self) -> Result<String, String> {
        let file = File { config: None, cases: vec![self.0.clone()] };
        serde_saphyr::to_string(&file).map_err(|error| error.to_string())
    }
}

impl Case {
    /// The step as it is called with what was left behind.
    pub(crate) fn step_call(&self, state: Option<String>) -> StepCall {
        let context = self.context.clone();
        StepCall {
            namespace: context.namespace,
            rollout: context.rollout,
            rollout_uid: context.rollout_uid,
            revision: context.revision,
            index: context.step_index,
            config: self.config.clone().unwrap_or_else(|| json!({})).to_string(),
            state,
        }
    }

    /// What the first call finds.
    pub(crate) fn first_state(&self) -> Option<String> {
        self.state.as_ref().map(Value::to_string)
    }

    /// Whether it does the step, with a configuration that is right.
    pub(crate) fn runs(&self) -> bool {
        let refused = |call: &Call| {
            let error = call.expect.error.as_ref();
            error.is_some_and(|failure| failure.kind == FailureKind::InvalidConfig)
        };
        let runs = self.calls.iter().any(|call| call.call == Function::Run);
        runs && !self.calls.iter().any(refused)
    }
}

impl Call {
    fn check(&self) -> Result<(), String> {
        let expect = &self.expect;
        let given = [
            ("done", expect.done.is_some()),
            ("failed", expect.failed.is_some()),
            ("again", expect.again.is_some()),
            ("ok", expect.ok.is_some()),
            ("error", expect.error.is_some()),
        ];
        let names: Vec<_> = given.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
        let &[name] = names.as_slice() else {
            let found = if names.is_empty() { "nothing".to_owned() } else { names.join(" and ") };
            return Err(format!("expect: one of done, failed, again, ok, error, and not {found}"));
        };
        if expect.done == Some(false) || expect.ok == Some(false) {
            return Err(format!("expect.{name}: can only be true"));
        }
        let runs = self.call == Function::Run;
        if runs && name == "ok" {
            return Err("expect.ok: run answers done, failed, again or error".to_owned());
        }
        if !runs && !matches!(name, "ok" | "error") {
            return Err("expect: terminate, abort and validate answer ok or error".to_owned());
        }
        if matches!(name, "ok" | "error") && (expect.state.is_some() || expect.message.is_some()) {
            return Err(format!("expect: there is neither state nor message with {name}"));
        }
        urls(&self.http)
    }
}

impl Expect {
    /// What is expected and what was answered, in the same words, as far as the case cares.
    pub(crate) fn compare(&self, answer: &Answer) -> (Value, Value) {
        let mut expected = json!({});
        if self.done.is_some() {
            expected["done"] = json!(true);
        }
        if let Some(why) = &self.failed {
            expected["failed"] = json!(why);
        }
        if let Some(again) = &self.again {
            expected["again"] = again_words(again.after_ms);
        }
        if self.ok.is_some() {
            expected["ok"] = json!(true);
        }
        if let Some(failure) = &self.error {
            expected["error"] = failure.words();
        }
        if let Some(state) = &self.state {
            expected["state"] = plain(state);
        }
        if let Some(message) = &self.message {
            expected["message"] = json!(message);
        }
        (expected, self.seen(answer))
    }

    fn seen(&self, answer: &Answer) -> Value {
        let answer = match (answer, &self.error) {
            (Ok(None), _) => return json!({ "ok": true }),
            (Err(fault), Some(failure)) => return json!({ "error": failure.seen(fault) }),
            (Err(fault), None) => {
                let error = json!({"kind": fault.kind(), "message": fault.to_string()});
                return json!({ "error": error });
            }
            (Ok(Some(answer)), _) => answer,
        };
        let mut got = match &answer.outcome {
            StepOutcome::Done => json!({ "done": true }),
            StepOutcome::Failed(why) => json!({ "failed": why }),
            StepOutcome::Again(after) => {
                let cares = self.again.as_ref().is_none_or(|again| again.after_ms.is_some());
                json!({ "again": again_words(cares.then_some(*after)) })
            }
        };
        if self.state.is_some() {
            // The host lets nothing but JSON through.
            let state = answer.state.as_deref().and_then(|text| serde_json::from_str(text).ok());
            got["state"] = plain(&state.unwrap_or(Value::Null));
        }
        if self.message.is_some() {
            got["message"] = json!(answer.message);
        }
        got
    }
}

fn again_words(after_ms: Option<u32>) -> Value {
    match after_ms {
        Some(after_ms) => json!({ "afterMs": after_ms }),
        None => json!({}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(text: &str) -> Result<Case, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        std::fs::write(&path, format!("cases:\n- name: one\n  calls:\n{text}")).unwrap();
        read(&path).map(|mut cases| cases.remove(0)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_call_that_makes_no_sense_is_refused_with_what_would() {
        let table = [
            ("  - expect: {}", "calls[0]: expect: one of done, failed"),
            ("  - expect: {done: true, failed: x}", "and not done and failed"),
            ("  - expect: {ok: true}", "run answers done"),
            ("  - {call: abort, expect: {done: true}}", "answer ok or error"),
            ("  - {call: abort, expect: {ok: true, state: 1}}", "neither state nor message"),
            ("  - expect: {done: false}", "expect.done: can only be true"),
            ("  - {http: [{request: {url: /x}}], expect: {done: true}}", "http[0].request.url"),
            ("    []", "calls: at least one"),
        ];
        for (text, part) in table {
            let error = case(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    fn same(expect: &str, answer: &Answer) -> bool {
        let case = case(&format!("  - expect: {expect}")).unwrap();
        let (expected, got) = case.calls[0].expect.compare(answer);
        expected == got
    }

    #[test]
    fn answers_are_compared_as_far_as_a_case_cares() {
        let again: Answer = Ok(Some(StepAnswer {
            outcome: StepOutcome::Again(5_000),
            state: Some(r#"{"id": 7.0}"#.to_owned()),
            message: Some("waiting".to_owned()),
        }));
        assert!(same("{again: {}}", &again) && same("{again: {afterMs: 5000}}", &again));
        assert!(!same("{again: {afterMs: 5}}", &again) && !same("{done: true}", &again));
        assert!(same("{again: {}, state: {id: 7}, message: waiting}", &again));
        assert!(
            !same("{again: {}, state: null}", &again) && !same("{again: {}, state: 1}", &again)
        );
        assert!(!same("{again: {}, message: ''}", &again));
        let outcome = StepOutcome::Done;
        let done = Ok(Some(StepAnswer { outcome, state: None, message: None }));
        assert!(same("{done: true, state: null}", &done) && !same("{failed: no}", &done));
        let trapped = Err(Fault::Trapped { message: "x".into() });
        assert!(!same("{error: {kind: failed}}", &trapped), "a trap is no answer");
    }
}
