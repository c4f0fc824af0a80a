//! `sluice explain`: why a rollout stands where it stands.

use std::process::ExitCode;

use clap::ValueEnum;
use jiff::Timestamp;
use sluice_view::{Style, render_answer};

use super::mirror;
use super::output::{is_colorful, print};
use crate::client::{Cluster, ClusterArgs};

/// Arguments of the command.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: sluice explain shop -n market\n\nThe reason is found out from \
    the objects, by the controller's own decision; nothing is changed.")]
pub struct Args {
    /// Which to explain: the name of a rollout.
    #[arg(value_name = "ROLLOUT")]
    pub name: String,
    /// How to print it.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
    /// Without colour, on a terminal too. So does the environment variable NO_COLOR.
    #[arg(long)]
    pub no_color: bool,
}

/// How an explanation is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people: a line for each fact, and the commands that would change something.
    #[default]
    Text,
    /// A JSON object.
    Json,
}

/// Explain it. The code is 0 whatever the reason is.
pub async fn run(args: Args, cluster: &ClusterArgs) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(cluster).await?;
    let answer = mirror::fetch(&cluster, &args.name).await?.answer(Timestamp::now())?;
    print(&match args.output {
        Output::Text => render_answer(&answer, Style { color: !args.no_color && is_colorful() }),
        Output::Json => format!("{}\n", serde_json::to_string_pretty(&answer)?),
    })?;
    Ok(ExitCode::SUCCESS)
}
