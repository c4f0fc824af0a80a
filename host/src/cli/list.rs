//! `sluice list rollouts` and `sluice list experiments`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::ValueEnum;
use futures::StreamExt as _;
use jiff::Timestamp;
use kube::Api;
use kube::api::{ApiResource, DynamicObject};
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::Value;
use sluice_view::{
    Card, ExperimentRow, Objects, card, experiment_row, render_experiments, render_list,
};

use super::output::print;
use crate::client::{Cluster, ClusterArgs, experiments, json, rollouts};

/// Arguments of the command.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  sluice list rollouts -A\n  \
    sluice list rollouts --watch --timestamps")]
pub struct Args {
    /// Of all namespaces.
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Only the one with this name.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Print each line again when it changes, until interrupted.
    #[arg(short, long)]
    pub watch: bool,
    /// With --watch, when each line was printed.
    #[arg(long, requires = "watch")]
    pub timestamps: bool,
    /// How to print them.
    #[arg(short, long, value_enum, default_value_t)]
    #[arg(conflicts_with = "watch")]
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

/// Which kind is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Rollouts.
    Rollouts,
    /// Experiments.
    Experiments,
}

impl What {
    fn kind(self) -> ApiResource {
        match self {
            Self::Rollouts => rollouts(),
            Self::Experiments => experiments(),
        }
    }

    /// The table of `objects`, with the namespaces where those of all are listed.
    fn table(self, objects: &[Value], everywhere: bool) -> String {
        match self {
            Self::Rollouts => render_list(&cards(objects), everywhere),
            Self::Experiments => render_experiments(&rows(objects), everywhere),
        }
    }

    fn json(self, objects: &[Value]) -> serde_json::Result<String> {
        match self {
            Self::Rollouts => serde_json::to_string_pretty(&cards(objects)),
            Self::Experiments => serde_json::to_string_pretty(&rows(objects)),
        }
    }
}

fn cards(objects: &[Value]) -> Vec<Card> {
    let now = Timestamp::now();
    objects.iter().map(|object| card(&Objects::alone(object), now)).collect()
}

fn rows(objects: &[Value]) -> Vec<ExperimentRow> {
    let now = Timestamp::now();
    objects.iter().map(|object| experiment_row(object, now)).collect()
}

/// List them.
pub async fn run(args: Args, what: What, cluster: &ClusterArgs) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(cluster).await?;
    let kind = what.kind();
    let api: Api<DynamicObject> = if args.all_namespaces {
        Api::all_with(cluster.client.clone(), &kind)
    } else {
        cluster.api(&kind)
    };
    let mut objects = cluster.list_from(&api, &kind, None).await?;
    objects.retain(|object| is_wanted(&args, object));
    match args.output {
        Output::Json => print(&format!("{}\n", what.json(&objects)?))?,
        Output::Table if args.watch => watch(&args, what, &cluster, api, objects).await?,
        Output::Table if objects.is_empty() => match args.all_namespaces {
            true => eprintln!("No {} found.", kind.plural),
            false => {
                eprintln!("No {} found in namespace \"{}\".", kind.plural, cluster.namespace);
            }
        },
        Output::Table => print(&what.table(&objects, args.all_namespaces))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn is_wanted(args: &Args, object: &Value) -> bool {
    args.name.as_deref().is_none_or(|name| object["metadata"]["name"] == name)
}

/// Namespace and name.
type Id = (String, String);

fn id(object: &Value) -> Id {
    let text = |part: &str| object["metadata"][part].as_str().unwrap_or_default().to_owned();
    (text("namespace"), text("name"))
}

/// Print the table, and then each line that becomes another.
async fn watch(
    args: &Args,
    what: What,
    cluster: &Cluster,
    api: Api<DynamicObject>,
    objects: Vec<Value>,
) -> anyhow::Result<()> {
    let mut known: BTreeMap<Id, Value> =
        objects.into_iter().map(|object| (id(&object), object)).collect();
    let mut shown: Vec<String> = Vec::new();
    let mut changes =
        std::pin::pin!(watcher::watcher(api, watcher::Config::default()).default_backoff());
    loop {
        let objects: Vec<Value> = known.values().cloned().collect();
        let lines = what.table(&objects, args.all_namespaces);
        let lines: Vec<String> = lines.lines().map(str::to_owned).collect();
        for line in lines.iter().filter(|line| !shown.contains(line)) {
            print(&stamped(args, line))?;
        }
        shown = lines;
        match changes.next().await {
            Some(Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object))) => {
                let object = json(&object)?;
                if is_wanted(args, &object) {
                    known.insert(id(&object), object);
                }
            }
            Some(Ok(watcher::Event::Delete(object))) => {
                known.remove(&id(&json(&object)?));
            }
            Some(Ok(watcher::Event::Init | watcher::Event::InitDone)) => {}
            Some(Err(error)) => {
                let doing = format!("watch {}", what.kind().plural);
                match cluster.explain_watch(&doing, error) {
                    (error, true) => return Err(error.into()),
                    (error, false) => eprintln!("{error}; trying again"),
                }
            }
            None => anyhow::bail!("the watch has ended"),
        }
    }
}

fn stamped(args: &Args, line: &str) -> String {
    if args.timestamps {
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
        format!("{now}  {line}\n")
    } else {
        format!("{line}\n")
    }
}
