//! `sluice abort`: take the traffic of a rollout back to the stable revision.

use std::process::ExitCode;

use super::output::print;
use super::{intent, send};
use crate::client::{Cluster, ClusterArgs};

/// Arguments of the command.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: sluice abort shop -n market")]
pub struct Args {
    /// Whose traffic to take back: the name of a rollout.
    #[arg(value_name = "ROLLOUT")]
    pub name: String,
}

/// Send the wish; the controller does the rest.
pub async fn run(args: Args, cluster: &ClusterArgs) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(cluster).await?;
    send::send(&cluster, &args.name, &intent::abort()).await?;
    print(&format!("rollout '{}' aborted\n", args.name))?;
    Ok(ExitCode::SUCCESS)
}
