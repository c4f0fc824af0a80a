//! Notifiers on trial: what is told, what servers answer meanwhile, and whether it arrived.

mod cases;
mod conformance;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::difference::difference;
use crate::error::Error;
use crate::recorded::{Mode, Seen};
use crate::trial::{Bench, NAME, Verdict};
use cases::{Answer, Case, Function};

/// Tries a notifier: its cases, then what every notifier must do.
pub(crate) async fn run(bench: &Bench, files: &[PathBuf]) -> Result<Vec<Verdict>, Error> {
    let (mut verdicts, cases) = try_cases(bench, files).await?;
    verdicts.extend(conformance::notifier(bench, &cases).await?);
    Ok(verdicts)
}

/// Tries a notifier's cases, which are the second answer.
pub(crate) async fn try_cases(
    bench: &Bench,
    files: &[PathBuf],
) -> Result<(Vec<Verdict>, Vec<Case>), Error> {
    let (mut verdicts, mut all) = (Vec::new(), Vec::new());
    for path in files {
        for case in cases::read(path)? {
            verdicts.push(judge(bench, &name_of(path), &case).await?);
            all.push(case);
        }
    }
    Ok((verdicts, all))
}

/// How long the calls of each case take.
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
                times.push(answer(bench, &case, Mode::Recorded).await?.took);
            }
            all.push((case.name, times));
        }
    }
    Ok(all)
}

/// A configuration to install a notifier with: the first of the cases that is right.
pub(crate) fn configuration(files: &[PathBuf]) -> Result<Option<String>, Error> {
    for path in files {
        let cases = cases::read(path)?;
        if let Some(case) = cases.iter().find(|case| case.delivers()) {
            return Ok(Some(case.config()));
        }
    }
    Ok(None)
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

async fn judge(bench: &Bench, of: &str, case: &Case) -> Result<Verdict, Error> {
    let called = answer(bench, case, Mode::Recorded).await?;
    let (expected, got) = case.expect.compare(&called.answer);
    let differs = difference(&expected, &got);
    let mut problems: Vec<_> = differs
        .map(|text| format!("the answer differs (- expected, + came):\n{text}"))
        .into_iter()
        .collect();
    problems.extend(called.seen.problems);
    Ok(Verdict { of: of.to_owned(), name: case.name.clone(), problems, took: called.took })
}

/// What came of one call.
struct Called {
    answer: Answer,
    seen: Seen,
    took: Duration,
}

async fn answer(bench: &Bench, case: &Case, mode: Mode) -> Result<Called, Error> {
    let (config, notice) = (case.config(), case.notice());
    let (answer, seen, took) = bench
        .during(case.now, &case.http, mode, async |host| match case.call {
            Function::Deliver => host.deliver_with(NAME, Some(&config), &notice).await.map(Some),
            Function::Validate => host.validate_notifier(NAME, &config).await.map(|()| None),
        })
        .await?;
    Ok(Called { answer, seen, took })
}
