//! The corpus, some known seeds, and some that nobody has seen before.
#![expect(clippy::unwrap_used, reason = "helpers of tests may")]

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sluice_fuzz::targets::TARGETS;
use sluice_fuzz::{Failure, corpus, input, known, seeds};

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus"))
}

fn fine(wrong: &[Failure]) {
    let told: Vec<_> = wrong.iter().map(ToString::to_string).collect();
    assert!(told.is_empty(), "cargo run -p sluice-fuzz -- …\n{}", told.join("\n"));
}

fn run(first: u64, part: u64) {
    let mut wrong = Vec::new();
    for target in TARGETS {
        let corpus = corpus(folder(), target).unwrap();
        let count = target.short / part;
        let (judged, found) = seeds(target, &corpus, first, count, Duration::MAX).unwrap();
        assert!(judged == count || !found.is_empty());
        wrong.extend(found);
    }
    fine(&wrong);
}

#[test]
fn the_corpus_is_read_as_it_should_be() {
    for target in TARGETS {
        fine(&known(target, &corpus(folder(), target).unwrap()));
    }
}

#[test]
fn known_seeds_break_nothing() {
    run(0, 1);
}

#[test]
fn fresh_seeds_break_nothing() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let first = now.as_secs() << 24;
    println!("seeds from {first}");
    run(first, 2);
}

#[test]
fn a_seed_is_the_same_input_every_time() {
    for target in TARGETS {
        let corpus = corpus(folder(), target).unwrap();
        for seed in [0, 7, 1 << 40] {
            let [one, two] = [(); 2].map(|()| input(&corpus, seed).to_string());
            assert_eq!(one, two, "{} {seed}", target.name);
        }
    }
}
