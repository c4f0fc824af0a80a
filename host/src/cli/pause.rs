//! `sluice pause`: hold a rollout until it is promoted.

use std::process::ExitCode;

use super::output::print;
use super::{intent, send};
use crate::client::{Cluster, ClusterArgs};

/// Arguments of the command.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: sluice pause shop")]
pub struct Args {
    /// Which to hold: the name of a rollout.
    #[arg(value_name = "ROLLOUT")]
    pub name: String,
}

/// Send the wish; the controller does the rest.
pub async fn run(args: Args, cluster: &ClusterArgs) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(cluster).await?;
    send::send(&cluster, &args.name, &intent::pause()).await?;
    print(&format!("rollout '{}' paused\n", args.name))?;
    Ok(ExitCode::SUCCESS)
}
