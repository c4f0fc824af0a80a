//! `sluice completions`.

use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::Cli;
use super::output::print;

/// Arguments of the command.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Whose completion script to print.
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Print the script.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "sluice", &mut script);
    print(&String::from_utf8(script)?)?;
    Ok(ExitCode::SUCCESS)
}
