//! `sluice retry`: try an aborted rollout, or an experiment, again.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::output::print;
use super::{intent, send};
use crate::client::{Cluster, ClusterArgs, experiments};

/// Arguments of the command.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  sluice retry rollout shop\n  \
    sluice retry experiment shop-7c9d8-2-1")]
pub struct Args {
    /// Which to try again.
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// Send the wish; the controller does the rest.
pub async fn run(args: Args, cluster: &ClusterArgs) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(cluster).await?;
    send::send(&cluster, &args.name, &intent::retry()).await?;
    print(&format!("rollout '{}' retried\n", args.name))?;
    Ok(ExitCode::SUCCESS)
}

/// Forget what came of an experiment, so that its controller begins it again.
pub async fn experiment(args: Args, cluster: &ClusterArgs) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(cluster).await?;
    cluster.merge(&experiments(), &args.name, &json!({"status": Value::Null})).await?;
    print(&format!("experiment '{}' retried\n", args.name))?;
    Ok(ExitCode::SUCCESS)
}
