//! Steps on trial: calls in turn, what servers answer meanwhile, and what is left behind.

mod cases;
mod conformance;

use std::path::PathBuf;
use std::time::Duration;

use sluice_port::{Components, StepCall};

use crate::difference::difference;
use crate::error::Error;
use crate::recorded::{Mode, Seen};
use crate::trial::{Bench, NAME, Verdict};
use cases::{Answer, Call, Case, Function};

pub(crate) use cases::Recorded;

/// Tries a step: its cases, then what every step must do.
pub(crate) async fn run(bench: &Bench, files: &[PathBuf]) -> Result<Vec<Verdict>, Error> {
    let (mut verdicts, cases) = try_cases(bench, files).await?;
    verdicts.extend(conformance::step(bench, &cases).await?);
    Ok(verdicts)
}

/// Tries the cases alone.
pub(crate) async fn try_cases(
    bench: &Bench,
    files: &[PathBuf],
) -> Result<(Vec<Verdict>, Vec<Case>), Error> {
    let (mut verdicts, mut all) = (Vec::new(), Vec::new());
    for path in files {
        let of = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        for case in cases::read(path)? {
            verdicts.push(judge(bench, &of, &case).await?);
            all.push(case);
        }
    }
    Ok((verdicts, all))
}

/// How long the calls of each case take; one is all calls of the case.
pub(crate) async fn times(
    bench: &Bench,
    files: &[PathBuf],
    calls: usize,
) -> Result<Vec<(String, Vec<Duration>)>, Error> {
    let mut all = Vec::new();
    for path in files {
        for case in cases::read(path)? {
            let mut times = Vec::with_capacity(calls);
            for _ in 0..calls {
                times.push(judge(bench, "", &case).await?.took);
            }
            all.push((case.name, times));
        }
    }
    Ok(all)
}

async fn judge(bench: &Bench, of: &str, case: &Case) -> Result<Verdict, Error> {
    let (mut problems, mut took) = (Vec::new(), Duration::ZERO);
    let mut state = case.first_state();
    for (index, call) in case.calls.iter().enumerate() {
        let called = answer(bench, call, &case.step_call(state.clone()), Mode::Recorded).await?;
        took += called.took;
        let (expected, got) = call.expect.compare(&called.answer);
        let place = format!("call {} ({:?})", index + 1, call.call);
        let differs = difference(&expected, &got);
        problems.extend(
            differs
                .map(|text| format!("{place}: the answer differs (- expected, + came):\n{text}")),
        );
        problems.extend(called.seen.problems.iter().map(|problem| format!("{place}: {problem}")));
        if !problems.is_empty() {
            // Whatever comes after an unexpected answer is its consequence.
            break;
        }
        state = left_behind(&called.answer, state);
    }
    Ok(Verdict { of: of.to_owned(), name: case.name.clone(), problems, took })
}

/// What the next call finds: what a `run` left behind, and after anything else what was there.
fn left_behind(answer: &Answer, before: Option<String>) -> Option<String> {
    match answer {
        Ok(Some(answer)) => answer.state.clone(),
        Ok(None) | Err(_) => before,
    }
}

/// What came of one call.
struct Called {
    answer: Answer,
    seen: Seen,
    took: Duration,
}

async fn answer(bench: &Bench, call: &Call, with: &StepCall, mode: Mode) -> Result<Called, Error> {
    let (answer, seen, took) = bench
        .during(call.now, &call.http, mode, async |host| match call.call {
            Function::Run => host.run_step(NAME, with).await.map(Some),
            Function::Terminate => host.terminate_step(NAME, with).await.map(|()| None),
            Function::Abort => host.abort_step(NAME, with).await.map(|()| None),
            Function::Validate => host.validate_step(NAME, &with.config).await.map(|()| None),
        })
        .await?;
    Ok(Called { answer, seen, took })
}
