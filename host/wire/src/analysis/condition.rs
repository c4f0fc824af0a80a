//! Success and failure conditions: from what a provider measured to a judgement.
//!
//! The language is that of [expr](https://expr-lang.org), by the crate of that name, with Argo's
//! functions on top. Where the crate and the original differ, [`dialect`] makes up for it:
//! an index beyond the end is an error and not `nil`, `{.field > 1}` and `!!x` are understood,
//! and unknown names are refused before anything is evaluated. What remains different:
//! there is no static typing, so comparing a number with a string is `false` instead of an error,
//! and map literals may hold only literals.
//!
//! A condition is written by a user and evaluated inside the controller, so its size, its nesting
//! and the memory that it can ask for are bounded.

use expr::{Context, Environment, Value};
use sluice_core::analysis::Verdict;
use sluice_port::{Measured, Verdict as Said};

mod dialect;
mod functions;
#[cfg(test)]
mod tests;
mod value;

/// Why a condition is no condition, or could not be evaluated; for people.
type Why = String;

/// Only the pages that are touched cost memory.
const STACK: usize = 16 << 20;

const NO_DATA: &str = "metric result is nil or empty: no data returned from the metric provider";

/// How a measurement was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The judgement.
    pub verdict: Verdict,
    /// What was measured, as it is recorded.
    pub value: String,
    /// Why it could not be judged; empty if it could.
    pub message: String,
}

/// Judge a finished measurement. An empty condition is none.
///
/// Without conditions it is good; with one of them, that one decides; with both, what meets
/// neither is inconclusive. Both are always evaluated, and an error in either is an error. What
/// the provider judged by itself is not judged again.
pub fn judge(measured: &Measured, success: Option<&str>, failure: Option<&str>) -> Judged {
    let value = value::print(measured);
    let result = match value::to_expr(measured) {
        Ok(Some(result)) => result,
        Ok(None) => {
            let verdict = match measured {
                Measured::Judged(Said::Successful) => Verdict::Successful,
                Measured::Judged(Said::Failed) => Verdict::Failed,
                _ => Verdict::Inconclusive,
            };
            return Judged { verdict, value, message: String::new() };
        }
        Err(message) => return Judged { verdict: Verdict::Error, value, message },
    };
    let evaluate = |name: &str, condition: Option<&str>| {
        let condition = condition.filter(|text| !text.trim().is_empty());
        let evaluated = condition.map(|text| (text, evaluate(text, &result)));
        match evaluated {
            None => Ok(None),
            Some((_, Ok(met))) => Ok(Some(met)),
            Some((text, Err(why))) => {
                let why = if value::is_empty(&result) { NO_DATA } else { &why };
                Err(format!("could not evaluate {name} \"{text}\": {why}"))
            }
        }
    };
    let verdicts = evaluate("successCondition", success)
        .and_then(|success| Ok((success, evaluate("failureCondition", failure)?)));
    let verdict = match verdicts {
        Ok((None, None)) => Verdict::Successful,
        Ok((Some(true), None) | (None, Some(false))) => Verdict::Successful,
        Ok((Some(false), None)) | Ok((_, Some(true))) => Verdict::Failed,
        Ok((Some(true), Some(false))) => Verdict::Successful,
        Ok((Some(false), Some(false))) => Verdict::Inconclusive,
        Err(message) => return Judged { verdict: Verdict::Error, value, message },
    };
    Judged { verdict, value, message: String::new() }
}

/// Whether a condition can be evaluated at all, as far as that can be told without a result.
///
/// # Errors
/// What is wrong with it, in one line.
pub fn check(condition: &str) -> Result<(), Why> {
    compile(condition).map(drop)
}

fn compile(condition: &str) -> Result<expr::Program, Why> {
    let text = dialect::translate(condition)?;
    guarded(|| expr::compile(&text).map_err(|error| dialect::syntax_error(&text, &error)))
}

fn evaluate(condition: &str, result: &Value) -> Result<bool, Why> {
    let program = compile(condition)?;
    let mut environment = Environment::new();
    functions::add(&mut environment, result);
    let mut context = Context::default();
    context.insert("result", result.clone());
    let run = || environment.run(&program, &context).map_err(|error| error.to_string());
    match guarded(run)? {
        Value::Bool(met) => Ok(met),
        other => Err(format!("expected bool, but got {}", value::type_name(&other))),
    }
}

/// Parse or evaluate on a stack of its own. Both recurse as deep as the condition nests, at up to
/// 16 KiB a level, and the evaluator panics on some constructs that it does not support, such as
/// a map literal that refers to a variable. Neither may cost more than a measurement.
fn guarded<T: Send>(work: impl FnOnce() -> Result<T, Why> + Send) -> Result<T, Why> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("condition".to_owned()).stack_size(STACK);
        match thread.spawn_scoped(scope, work) {
            Ok(handle) => handle.join().unwrap_or_else(|_| {
                Err("the expression uses something that is not supported".to_owned())
            }),
            Err(error) => Err(format!("cannot evaluate anything now: {error}")),
        }
    })
}
