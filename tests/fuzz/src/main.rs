//! Targets by hand; see `sluice_fuzz::cli`.

use std::path::Path;
use std::process::ExitCode;

use sluice_fuzz::cli;
use sluice_fuzz::targets::TARGETS;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    cli::run(TARGETS, Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus")), &args)
}
