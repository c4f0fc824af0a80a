//! `sluice crds`.

use std::process::ExitCode;

use super::output::print;

/// Arguments of the command.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Print the definitions of all kinds; no cluster is asked.
pub fn run(Args {}: Args) -> anyhow::Result<ExitCode> {
    print(&sluice_api::crd::crds_yaml()?)?;
    Ok(ExitCode::SUCCESS)
}
