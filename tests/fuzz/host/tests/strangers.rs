//! The corpus, some known seeds, and some that nobody has seen before.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sluice_fuzz::{corpus, known, seeds};
use sluice_fuzz_host::TARGETS;

#[test]
fn strangers_break_nothing() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let fresh = now.as_secs() << 24;
    println!("seeds from 0 and from {fresh}");
    let mut wrong = Vec::new();
    for target in TARGETS {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus"));
        let corpus = corpus(folder, target).unwrap();
        wrong.extend(known(target, &corpus));
        for first in [0, fresh] {
            wrong.extend(seeds(target, &corpus, first, target.short / 2, Duration::MAX).unwrap().1);
        }
    }
    let told: Vec<_> = wrong.iter().map(ToString::to_string).collect();
    assert!(told.is_empty(), "cargo run -p sluice-fuzz-host -- …\n{}", told.join("\n"));
}
