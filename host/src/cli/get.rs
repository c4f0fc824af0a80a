//! `sluice get rollout`: one rollout and all that belongs to it.

pub mod experiment;

use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use sluice_view::{Card, Style, render_tree};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::mirror::{self, Mirror};
use super::output::{is_colorful, is_terminal, print};
use crate::client::{Cluster, ClusterArgs};

/// How long changes are gathered before they are shown: one act of the controller reaches us
/// as many changes.
const GATHER: Duration = Duration::from_millis(100);

/// Arguments of the command.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: sluice get rollout shop --watch")]
pub struct Args {
    /// Which to show: the name of a rollout.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Show it again on each change, until interrupted.
    #[arg(short, long)]
    pub watch: bool,
    /// How to print it. With --watch, JSON is one line for each change.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
    /// Without colour, on a terminal too. So does the environment variable NO_COLOR.
    #[arg(long)]
    pub no_color: bool,
}

/// How a rollout is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Header lines and a tree of objects.
    #[default]
    Tree,
    /// The card as JSON.
    Json,
}

impl Args {
    fn style(&self) -> Style {
        Style { color: !self.no_color && is_colorful() }
    }
}

/// Show the rollout.
pub async fn run(args: Args, cluster: &ClusterArgs) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(cluster).await?;
    let card = mirror::fetch(&cluster, &args.name).await?.card();
    if args.watch {
        watch(&args, &cluster, &card).await?;
    } else {
        print(&match args.output {
            Output::Tree => render_tree(&card, args.style()),
            Output::Json => format!("{}\n", serde_json::to_string_pretty(&card)?),
        })?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Show the card, and again on each change; on a terminal also each second, so that ages and
/// delays run.
async fn watch(args: &Args, cluster: &Cluster, first: &Card) -> anyhow::Result<()> {
    let mut shown = first.clone();
    show(args, &shown)?;
    let mut mirror = Mirror::start(cluster, &args.name);
    let mut tick = interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut due: Option<Instant> = None;
    loop {
        tokio::select! {
            change = mirror.change() => {
                change?;
                due.get_or_insert_with(|| Instant::now() + GATHER);
                continue;
            }
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => due = None,
            _ = tick.tick(), if is_live(args) => {}
        }
        let Some(around) = mirror.around(&args.name)? else { continue };
        let card = around.card();
        let is_same = Card { seen_at: shown.seen_at, ..card.clone() } == shown;
        if !is_same || is_live(args) {
            show(args, &card)?;
            shown = card;
        }
    }
}

/// Whether the text is redrawn in place.
fn is_live(args: &Args) -> bool {
    args.output == Output::Tree && is_terminal()
}

fn show(args: &Args, card: &Card) -> anyhow::Result<()> {
    const CLEAR: &str = "\u{1b}[H\u{1b}[2J";
    let text = match args.output {
        Output::Json => format!("{}\n", serde_json::to_string(card)?),
        Output::Tree if is_live(args) => format!("{CLEAR}{}", render_tree(card, args.style())),
        Output::Tree => format!("{}\n", render_tree(card, args.style())),
    };
    print(&text)?;
    Ok(())
}
