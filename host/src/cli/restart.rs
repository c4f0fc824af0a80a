//! `sluice restart`: replace the pods of a rollout, a few at a time.

use std::process::ExitCode;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::output::print;
use super::status::duration;
use super::{intent, send};
use crate::client::{Cluster, ClusterArgs};

/// Arguments of the command.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  sluice restart shop\n  sluice restart shop --in 1h30m")]
pub struct Args {
    /// Whose pods to replace: the name of a rollout.
    #[arg(value_name = "ROLLOUT")]
    pub name: String,
    /// How long to wait before, as in 90s, 10m or 1h30m. Pods created until then are replaced.
    #[arg(long = "in", default_value = "0", value_parser = duration, value_name = "DURATION")]
    pub wait: Duration,
}

/// Send the wish; the controller does the rest.
pub async fn run(args: Args, cluster: &ClusterArgs) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(cluster).await?;
    let at = Timestamp::now().checked_add(SignedDuration::try_from(args.wait)?)?;
    send::send(&cluster, &args.name, &intent::restart(at)).await?;
    let line = if args.wait.is_zero() {
        format!("rollout '{}' restarts\n", args.name)
    } else {
        format!("rollout '{}' restarts in {:#}\n", args.name, SignedDuration::try_from(args.wait)?)
    };
    print(&line)?;
    Ok(ExitCode::SUCCESS)
}
