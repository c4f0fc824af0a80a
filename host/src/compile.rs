//! Compiling components of others in a process of its own: this program, called with a command that
//! is for itself alone.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use sluice_wasm::{Apart, CompileBounds, compile_here};

/// The command, which is in no help.
pub const COMMAND: &str = "compile-component";

/// Compile the component on standard input to standard output.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The most address space.
    #[arg(long, value_name = "MIB")]
    memory: u64,
    /// The most time.
    #[arg(long, value_name = "SECONDS")]
    seconds: u64,
}

/// Do it, on this thread: whatever is not there needs no memory.
pub fn run(args: &Args) -> ExitCode {
    match compile_here(bounds(args.memory, args.seconds), io::stdin(), io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// How a controller has components compiled that Plugin objects bring.
///
/// # Errors
/// It is not known which program this is.
pub fn apart(memory: u64, seconds: u64) -> io::Result<Apart> {
    // The link leads to this very program, also when its file was replaced meanwhile.
    let program = match cfg!(target_os = "linux") {
        true => "/proc/self/exe".into(),
        false => std::env::current_exe()?,
    };
    let arguments =
        [COMMAND.to_owned(), format!("--memory={memory}"), format!("--seconds={seconds}")];
    Ok(Apart {
        program,
        arguments: arguments.map(Into::into).into(),
        // The allocator would set address space aside for later, which counts.
        variables: vec![("MIMALLOC_ARENA_RESERVE".into(), "0".into())],
        bounds: bounds(memory, seconds),
    })
}

fn bounds(memory: u64, seconds: u64) -> CompileBounds {
    CompileBounds { memory: memory.saturating_mul(1 << 20), time: Duration::from_secs(seconds) }
}
