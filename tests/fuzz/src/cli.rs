//! Targets by hand, for the program of each crate of targets.
//!
//! `fuzz --minutes N` gives every target its part of the time with seeds that nobody has seen;
//! `fuzz --count N [--first SEED]` runs N seeds of each; `fuzz --seed SEED` runs one and prints
//! its input, and `--file NAME` one of the corpus. `--target NAME` is for one target only.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::{Corpus, Failure, Input, Target, corpus, input, judge, known, seeds};

const USAGE: &str = "usage: fuzz [--target NAME] (--minutes N | --count N [--first SEED] | --seed SEED | --file NAME)";

/// Do what the arguments say with these targets and the corpora below `folder`.
pub fn run(targets: &'static [Target], folder: &Path, args: &[String]) -> ExitCode {
    let word = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1).cloned()
    };
    let number = |name: &str| word(name)?.parse::<u64>().ok();
    let only = word("--target");
    let chosen: Vec<&Target> = targets
        .iter()
        .filter(|target| only.as_ref().is_none_or(|name| name == target.name))
        .collect();
    if chosen.is_empty() {
        let names: Vec<_> = targets.iter().map(|target| target.name).collect();
        eprintln!("no such target; there are {}", names.join(", "));
        return ExitCode::from(2);
    }
    let judged = if let Some(seed) = number("--seed") {
        show(&chosen, folder, |corpus| vec![input(corpus, seed)])
    } else if let Some(file) = word("--file") {
        show(&chosen, folder, |corpus| {
            let named = corpus.iter().filter(|(name, _)| *name == file);
            named.map(|(_, input)| input.clone()).collect()
        })
    } else if let Some(minutes) = number("--minutes") {
        let share = Duration::from_secs(minutes * 60) / u32::try_from(chosen.len()).unwrap_or(1);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        judge_all(&chosen, folder, since.as_secs() << 24, u64::MAX, share)
    } else if let Some(count) = number("--count") {
        judge_all(&chosen, folder, number("--first").unwrap_or(0), count, Duration::MAX)
    } else {
        Err(USAGE.to_owned())
    };
    match judged {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

fn show(
    chosen: &[&Target],
    folder: &Path,
    pick: impl Fn(&Corpus) -> Vec<Input>,
) -> Result<bool, String> {
    let mut fine = true;
    for target in chosen {
        for input in pick(&corpus(folder, target)?) {
            let verdict = judge(target, &input);
            fine &= verdict.is_ok();
            println!("{}: {}\n{input}", target.name, verdict.err().unwrap_or("fine".to_owned()));
        }
    }
    Ok(fine)
}

fn judge_all(
    chosen: &[&Target],
    folder: &Path,
    first: u64,
    count: u64,
    most: Duration,
) -> Result<bool, String> {
    let mut fine = true;
    for target in chosen {
        let corpus = corpus(folder, target)?;
        let mut wrong: Vec<Failure> = known(target, &corpus);
        let (judged, found) = seeds(target, &corpus, first, count, most)?;
        wrong.extend(found);
        println!("{}: {judged} inputs from seed {first}, {} wrong", target.name, wrong.len());
        wrong.iter().for_each(|failure| println!("{failure}"));
        fine &= wrong.is_empty();
    }
    Ok(fine)
}
