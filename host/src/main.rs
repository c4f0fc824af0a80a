//! `sluice`: progressive delivery for Kubernetes. The controller and its command line.
#![forbid(unsafe_code)]

mod cli;
mod client;
mod compile;
mod components;
mod controller;
mod fetch;
mod plugins;
mod registry;

use std::io;
use std::process::ExitCode;

use clap::Parser as _;

/// A list of thousands of objects is read once and let go again. glibc keeps such memory, and has
/// a heap for each thread that does so.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Wrong usage ends here, with code 2.
    let cli = cli::Cli::parse();
    if let Some(args) = cli.compiles() {
        return compile::run(args);
    }
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(cli::run(cli)));
    match outcome {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the reader of our output has gone, as `head` does when it has seen enough.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let broken = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.downcast_ref::<io::Error>().is_some_and(broken)
}
