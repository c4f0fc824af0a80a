//! `sluice retry`: try an aborted rollout again.

use std::process::ExitCode;

use super::output::print;
use super::{intent, send};
use crate::client::{Cluster, ClusterArgs};

/// Arguments of the command.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: sluice retry rollout shop")]
pub struct Args {
    /// Which to try again: the name of a rollout.
    #[arg(value_name = "ROLLOUT")]
    pub name: String,
}

/// Send the wish; the controller does the rest.
pub async fn run(args: Args, cluster: &ClusterArgs) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(cluster).await?;
    send::send(&cluster, &args.name, &intent::retry()).await?;
    print(&format!("rollout '{}' retried\n", args.name))?;
    Ok(ExitCode::SUCCESS)
}
