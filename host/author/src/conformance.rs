//! What every component of a kind must do, whatever it is for: answer when the configuration is
//! broken, the network is gone or a server answers nonsense, and never trap.

use std::time::Instant;

use serde_json::json;
use sluice_port::Fault;
use sluice_port::http::{HttpError, HttpResponse};
use sluice_wasm::PluginInfo;

use crate::cases::{Answer, Case, Function};
use crate::error::Error;
use crate::recorded::Mode;
use crate::trial::{Bench, Called, Verdict};

/// How much of its time and memory a component may use before it is told.
const MOST_OF_A_LIMIT: f64 = 0.8;

/// What every metric provider must do. `cases` are where its right configurations come from.
pub(crate) async fn metric(bench: &Bench, cases: &[Case]) -> Result<Vec<Verdict>, Error> {
    let mut kit = Kit { bench, verdicts: Vec::new() };
    kit.broken_configurations(cases).await?;
    kit.right_configurations(cases).await?;
    kit.repeats(cases).await?;
    kit.broken_networks(cases).await?;
    kit.foreign_tokens(cases).await?;
    kit.within_limits();
    Ok(kit.verdicts)
}

struct Kit<'a> {
    bench: &'a Bench,
    verdicts: Vec<Verdict>,
}

impl Kit<'_> {
    fn verdict(&mut self, name: &str, began: Instant, problems: Vec<String>) {
        self.verdicts.push(Verdict {
            of: "conformance".to_owned(),
            name: name.to_owned(),
            problems,
            took: began.elapsed(),
        });
    }

    async fn answer(&self, case: &Case, mode: Mode) -> Result<Answer, Error> {
        let Called { answer, .. } = self.bench.call(case, mode).await?;
        Ok(answer)
    }

    /// A user can write anything, so anything is answered with `invalid-config`.
    async fn broken_configurations(&mut self, cases: &[Case]) -> Result<(), Error> {
        let began = Instant::now();
        let mut problems = Vec::new();
        let Some(model) = cases.first() else { return Ok(()) };
        for config in [json!([]), json!("text"), json!(5), json!({"noSuchField": {"a": [1]}})] {
            for call in [Function::Validate, Function::Run] {
                let case =
                    Case { call, config: Some(config.clone()), token: None, ..model.clone() };
                let answer = self.answer(&case, denied()).await?;
                if !matches!(answer, Err(Fault::InvalidConfig(_))) {
                    let words = words(&answer);
                    problems.push(format!("{call:?} of the configuration {config}: {words}"));
                }
            }
        }
        self.verdict("a broken configuration is answered with invalid-config", began, problems);
        Ok(())
    }

    async fn right_configurations(&mut self, cases: &[Case]) -> Result<(), Error> {
        let began = Instant::now();
        let mut problems = Vec::new();
        for case in measuring(cases) {
            let check = Case { call: Function::Validate, token: None, ..case.clone() };
            let answer = self.answer(&check, Mode::Recorded).await?;
            if let Err(fault) = answer {
                problems.push(format!("validate of {:?}: {fault}", case.name));
            }
        }
        self.verdict("a configuration that measures is valid", began, problems);
        Ok(())
    }

    /// After a crash a call is repeated, and the answer must not depend on an earlier one.
    async fn repeats(&mut self, cases: &[Case]) -> Result<(), Error> {
        let began = Instant::now();
        let mut problems = Vec::new();
        for case in cases {
            let first = self.answer(case, Mode::Recorded).await?;
            let second = self.answer(case, Mode::Recorded).await?;
            // Numbers that are none differ from themselves, and their texts do not.
            if format!("{first:?}") != format!("{second:?}") {
                let (first, second) = (words(&first), words(&second));
                problems.push(format!("{:?}: {first}, then {second}", case.name));
            }
        }
        self.verdict("a repeated call has the same answer", began, problems);
        Ok(())
    }

    async fn broken_networks(&mut self, cases: &[Case]) -> Result<(), Error> {
        let began = Instant::now();
        let mut problems = Vec::new();
        let with_network: Vec<_> = measuring(cases).filter(|case| !case.http.is_empty()).collect();
        for (what, mode, transient) in trouble() {
            for case in &with_network {
                let answer = self.answer(case, mode.clone()).await?;
                let fine = match &answer {
                    Ok(_) => true,
                    Err(Fault::Transient { .. }) => true,
                    Err(fault) => !fault.is_misbehaviour() && !transient,
                };
                if !fine {
                    problems.push(format!("{:?}, when {what}: {}", case.name, words(&answer)));
                }
            }
        }
        let name = "a broken network is answered, and one that may come back with transient";
        self.verdict(name, began, problems);
        Ok(())
    }

    /// A token may be from an older version, and from before a change of the configuration.
    async fn foreign_tokens(&mut self, cases: &[Case]) -> Result<(), Error> {
        let began = Instant::now();
        let mut problems = Vec::new();
        for case in measuring(cases) {
            for token in [json!(null), json!("old"), json!({"version": 0}), json!([1, 2])] {
                for call in [Function::Resume, Function::Terminate] {
                    let case = Case { call, token: Some(token.clone()), ..case.clone() };
                    let answer = self.answer(&case, denied()).await?;
                    if answer.as_ref().is_err_and(Fault::is_misbehaviour) {
                        let words = words(&answer);
                        problems.push(format!("{call:?} with the token {token}: {words}"));
                    }
                }
            }
        }
        self.verdict("a token of another version does no harm", began, problems);
        Ok(())
    }

    fn within_limits(&mut self) {
        let began = Instant::now();
        let problems = too_much_memory(&self.bench.info());
        self.verdict("it stays well below its limit of memory", began, problems);
    }
}

/// What is wrong with the memory that a component used up to now.
pub(crate) fn too_much_memory(info: &PluginInfo) -> Vec<String> {
    let (memory, most) = (info.totals.memory_peak, info.limits.memory);
    match memory as f64 > most as f64 * MOST_OF_A_LIMIT {
        true => vec![format!("{} MiB of memory, and {} are the limit", memory >> 20, most >> 20)],
        false => Vec::new(),
    }
}

/// Cases that take a measurement and are not about a wrong configuration.
fn measuring(cases: &[Case]) -> impl Iterator<Item = &Case> {
    cases.iter().filter(|case| {
        let wrong = case.expect.error.as_ref();
        let wrong =
            wrong.is_some_and(|failure| failure.kind == crate::cases::FailureKind::InvalidConfig);
        matches!(case.call, Function::Run | Function::Resume) && !wrong
    })
}

pub(crate) fn denied() -> Mode {
    Mode::Fails(HttpError::NotGranted("needs a grant".to_owned()))
}

/// What can be wrong with a network, and whether it may be right a minute later.
pub(crate) fn trouble() -> Vec<(&'static str, Mode, bool)> {
    let answers = |status: u16, body: &str| {
        let body = body.as_bytes().to_vec();
        Mode::Answers(HttpResponse { status, headers: Vec::new(), body })
    };
    vec![
        ("nothing is granted", denied(), false),
        ("there is no answer in time", Mode::Fails(HttpError::Timeout), true),
        ("nobody listens", Mode::Fails(HttpError::Connect("refused".to_owned())), true),
        ("the answer is too large", Mode::Fails(HttpError::TooLarge(1)), false),
        ("the server answers 503", answers(503, "busy"), true),
        ("the server answers 429", answers(429, ""), true),
        ("the server answers 404", answers(404, "<html>"), false),
        ("the answer is empty", answers(200, ""), false),
        ("the answer is no JSON", answers(200, "\u{fffd}<html>"), false),
        ("the answer is other JSON", answers(200, "[[null, {\"a\": []}]]"), false),
    ]
}

fn words(answer: &Answer) -> String {
    match answer {
        Ok(None) => "ok".to_owned(),
        Ok(Some(measurement)) => format!("{:?}", measurement.outcome),
        Err(fault) => brief(fault),
    }
}

/// A fault without its backtrace. Where something panicked is the first line, and why the second.
pub(crate) fn brief(fault: &Fault) -> String {
    let text = fault.to_string();
    let lines: Vec<_> = text.lines().take(2).collect();
    format!("{} ({})", fault.kind(), lines.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_of_both_kinds() {
        let all = trouble();
        assert!(all.iter().any(|(_, _, transient)| *transient));
        assert!(all.iter().any(|(_, _, transient)| !*transient));
    }
}
