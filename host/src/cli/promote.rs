//! `sluice promote`: let a rollout go on.

use std::process::ExitCode;

use super::output::print;
use super::{intent, send};
use crate::client::{Cluster, ClusterArgs};

/// Arguments of the command.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  sluice promote shop\n  sluice promote shop --full")]
pub struct Args {
    /// Which to let go on: the name of a rollout.
    #[arg(value_name = "ROLLOUT")]
    pub name: String,
    /// Go to the end at once, past all steps, pauses and analyses.
    #[arg(long)]
    pub full: bool,
}

/// Read the rollout, decide what going on means for it, and send that.
pub async fn run(args: Args, cluster: &ClusterArgs) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(cluster).await?;
    let Args { name, full } = args;
    let rollout = cluster.rollout(&name).await?;
    let intent = if full { intent::promote_fully(&rollout) } else { intent::promote(&rollout) };
    send::send(&cluster, &name, &intent).await?;
    let line = match (intent.is_empty(), full) {
        (true, _) => format!("rollout '{name}' has nothing to promote\n"),
        (false, true) => format!("rollout '{name}' fully promoted\n"),
        (false, false) => format!("rollout '{name}' promoted\n"),
    };
    print(&line)?;
    Ok(ExitCode::SUCCESS)
}
