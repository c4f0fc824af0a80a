//! `sluice list rollouts`.

use std::process::ExitCode;

use clap::ValueEnum;
use jiff::Timestamp;
use sluice_view::{Card, Objects, card, render_list};

use super::output::print;
use crate::client::{Cluster, ClusterArgs, rollouts};

/// Arguments of the command.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Of all namespaces.
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// How to print them.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// How a list is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A table.
    #[default]
    Table,
    /// A JSON list of cards, without their revisions.
    Json,
}

/// List the rollouts.
pub async fn run(args: Args, cluster: &ClusterArgs) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(cluster).await?;
    let kind = rollouts();
    let objects = if args.all_namespaces {
        cluster.list_everywhere(&kind).await?
    } else {
        cluster.list(&kind, None).await?
    };
    let now = Timestamp::now();
    let cards: Vec<Card> =
        objects.iter().map(|object| card(&Objects::alone(object), now)).collect();
    match args.output {
        Output::Json => print(&format!("{}\n", serde_json::to_string_pretty(&cards)?))?,
        Output::Table if cards.is_empty() => match args.all_namespaces {
            true => eprintln!("No rollouts found."),
            false => eprintln!("No rollouts found in namespace \"{}\".", cluster.namespace),
        },
        Output::Table => print(&render_list(&cards, args.all_namespaces))?,
    }
    Ok(ExitCode::SUCCESS)
}
