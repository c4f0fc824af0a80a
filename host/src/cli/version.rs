//! `sluice version`.

use std::process::ExitCode;

use clap::ValueEnum;
use serde_json::json;

use super::output::print;

/// Arguments of the command.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// How to print it.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// How the version is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// One line.
    #[default]
    Text,
    /// A JSON object.
    Json,
}

/// Print it; no cluster is asked.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let version = env!("CARGO_PKG_VERSION");
    match args.output {
        Output::Text => print(&format!("sluice {version}\n"))?,
        Output::Json => {
            let facts = json!({
                "version": version,
                "api": "argoproj.io/v1alpha1",
                "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
            });
            print(&format!("{facts:#}\n"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
