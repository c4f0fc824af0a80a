//! `sluice get experiment`: one experiment and all that belongs to it.

use std::process::ExitCode;

use jiff::Timestamp;
use sluice_api::keys;
use sluice_view::{Objects, Style, experiment_card, render_experiment};

use super::super::output::{is_colorful, print};
use super::Output;
use crate::client::{Cluster, ClusterArgs, analysis_runs, experiments, json, pods, replica_sets};

/// Arguments of the command.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: sluice get experiment shop-7c9d8-2-1")]
pub struct Args {
    /// Which to show: the name of an experiment.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// How to print it.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
    /// Without colour, on a terminal too. So does the environment variable NO_COLOR.
    #[arg(long)]
    pub no_color: bool,
}

/// Show the experiment.
pub async fn run(args: Args, cluster: &ClusterArgs) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(cluster).await?;
    let found = json(&cluster.object(&experiments(), &args.name).await?)?;
    let hashed = Some(keys::POD_TEMPLATE_HASH);
    let (sets, pods, runs) = (replica_sets(), pods(), analysis_runs());
    let (sets, pods, runs) = futures::try_join!(
        cluster.list(&sets, hashed),
        cluster.list(&pods, hashed),
        cluster.list(&runs, None)
    )?;
    let around = Objects {
        replica_sets: &sets,
        pods: &pods,
        analysis_runs: &runs,
        ..Objects::alone(&found)
    };
    let card = experiment_card(&found, &around, Timestamp::now());
    let style = Style { color: !args.no_color && is_colorful() };
    print(&match args.output {
        Output::Tree => render_experiment(&card, style),
        Output::Json => format!("{}\n", serde_json::to_string_pretty(&card)?),
    })?;
    Ok(ExitCode::SUCCESS)
}
