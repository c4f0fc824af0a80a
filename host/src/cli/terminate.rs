//! `sluice terminate`: end an analysis run or an experiment early.

use std::process::ExitCode;

use kube::api::ApiResource;
use serde_json::json;

use super::output::print;
use crate::client::{Cluster, ClusterArgs, word};

/// Arguments of the command.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  sluice terminate analysisrun shop-7c9d8-2-1\n  \
    sluice terminate experiment shop-7c9d8-2-1")]
pub struct Args {
    /// The name of the object.
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// Send the wish; the controller does the rest.
pub async fn run(
    args: Args,
    kind: &ApiResource,
    cluster: &ClusterArgs,
) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(cluster).await?;
    cluster.merge(kind, &args.name, &json!({"spec": {"terminate": true}})).await?;
    print(&format!("{} '{}' terminated\n", word(kind), args.name))?;
    Ok(ExitCode::SUCCESS)
}
