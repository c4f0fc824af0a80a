//! The command tree. Each command is a module with its `Args` and a `run` that gives the exit
//! code: 0 for success, 1 for an error or a degraded rollout, 2 for wrong usage or, where files
//! are judged, files that cannot be read.

mod abort;
mod completions;
mod crds;
mod create;
mod explain;
mod files;
mod get;
mod intent;
mod lint;
mod list;
mod mirror;
mod output;
mod pause;
mod plugin;
mod promote;
mod restart;
mod retry;
mod send;
mod set;
mod simulate;
mod status;
mod templates;
mod terminate;
mod undo;
mod version;
mod workload;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::client::{ClusterArgs, analysis_runs, experiments};

/// Progressive delivery for Kubernetes.
#[derive(Debug, Parser)]
#[command(
    name = "sluice",
    version,
    propagate_version = false,
    max_term_width = 100,
    after_help = "Exit codes: 0 done; 1 an error, a degraded rollout, or what `lint` or `simulate` \
        found; 2 wrong usage, or files that cannot be read."
)]
pub struct Cli {
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(subcommand)]
    command: Command,
}

impl Cli {
    /// What is to be compiled, if that is the command. It is done before anything else is begun.
    pub fn compiles(&self) -> Option<&crate::compile::Args> {
        if let Command::Compile(args) = &self.command { Some(args) } else { None }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show one object and all that belongs to it.
    Get(Get),
    /// List objects, a line each.
    List(List),
    /// Tell why a rollout stands where it stands, and what would let it go on.
    Explain(explain::Args),
    /// Follow a rollout until it is healthy or degraded.
    Status(status::Args),
    /// Let a paused rollout go on, or skip a step of one that is not paused.
    Promote(promote::Args),
    /// Take the traffic back to the stable revision.
    Abort(abort::Args),
    /// Make an object that runs by itself.
    Create(Create),
    /// Try again what was aborted.
    Retry(Retry),
    /// Hold a rollout until it is promoted.
    Pause(pause::Args),
    /// Want the template of a former revision again.
    Undo(undo::Args),
    /// Replace the pods of a rollout, a few at a time.
    Restart(restart::Args),
    /// Change a part of a rollout.
    Set(Set),
    /// End an analysis run or an experiment early.
    Terminate(Terminate),
    /// Run a release in virtual time with the real components, and no cluster.
    Simulate(simulate::Args),
    /// Check manifests before they are applied: fields, references, arguments, conditions.
    Lint(lint::Args),
    /// Start, build, test, pack and push a component of your own; see those of the cluster.
    Plugin(plugin::Args),
    /// Print the definitions of all kinds as YAML, for `kubectl apply --server-side -f -`.
    Crds(crds::Args),
    #[command(name = crate::compile::COMMAND, hide = true)]
    Compile(crate::compile::Args),
    /// Run the controller: watch rollouts and bring them about.
    Controller(crate::controller::Args),
    /// Print the version.
    Version(version::Args),
    /// Print a completion script for a shell.
    Completions(completions::Args),
}

#[derive(Args, Debug)]
struct Get {
    #[command(subcommand)]
    what: GetWhat,
}

#[derive(Debug, Subcommand)]
enum GetWhat {
    /// A rollout with its revisions, ReplicaSets, pods, experiments and analysis runs.
    #[command(visible_aliases = ["rollouts", "ro"])]
    Rollout(get::Args),
    /// An experiment with its ReplicaSets, pods and analysis runs.
    #[command(visible_aliases = ["experiments", "exp"])]
    Experiment(get::experiment::Args),
}

#[derive(Args, Debug)]
struct List {
    #[command(subcommand)]
    what: ListWhat,
}

#[derive(Debug, Subcommand)]
enum ListWhat {
    /// The rollouts of a namespace, or of all.
    #[command(visible_aliases = ["rollout", "ro"])]
    Rollouts(list::Args),
    /// The experiments of a namespace, or of all.
    #[command(visible_aliases = ["experiment", "exp"])]
    Experiments(list::Args),
}

#[derive(Args, Debug)]
struct Set {
    #[command(subcommand)]
    what: SetWhat,
}

#[derive(Debug, Subcommand)]
enum SetWhat {
    /// The images of its containers: a new release.
    Image(set::Args),
}

#[derive(Args, Debug)]
struct Terminate {
    #[command(subcommand)]
    what: TerminateWhat,
}

#[derive(Debug, Subcommand)]
enum TerminateWhat {
    /// An analysis run: nothing more is measured.
    #[command(name = "analysisrun", visible_aliases = ["analysisruns", "ar"])]
    AnalysisRun(terminate::Args),
    /// An experiment: its pods go.
    #[command(visible_aliases = ["experiments", "exp"])]
    Experiment(terminate::Args),
}

#[derive(Args, Debug)]
struct Create {
    #[command(subcommand)]
    what: CreateWhat,
}

#[derive(Debug, Subcommand)]
enum CreateWhat {
    /// An analysis run of a template, without a release.
    #[command(name = "analysisrun", visible_aliases = ["analysisruns", "ar"])]
    AnalysisRun(Box<create::Args>),
}

#[derive(Args, Debug)]
struct Retry {
    #[command(subcommand)]
    what: RetryWhat,
}

#[derive(Debug, Subcommand)]
enum RetryWhat {
    /// An aborted rollout, from its first step.
    #[command(visible_aliases = ["rollouts", "ro"])]
    Rollout(retry::Args),
    /// An experiment, from its beginning.
    #[command(visible_aliases = ["experiments", "exp"])]
    Experiment(retry::Args),
}

/// Do what was asked.
///
/// # Errors
/// Whatever kept the command from being done, in words for the person who gave it.
pub async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let cluster = &cli.cluster;
    match cli.command {
        Command::Get(Get { what }) => match what {
            GetWhat::Rollout(args) => get::run(args, cluster).await,
            GetWhat::Experiment(args) => get::experiment::run(args, cluster).await,
        },
        Command::List(List { what: ListWhat::Rollouts(args) }) => {
            list::run(args, list::What::Rollouts, cluster).await
        }
        Command::List(List { what: ListWhat::Experiments(args) }) => {
            list::run(args, list::What::Experiments, cluster).await
        }
        Command::Explain(args) => explain::run(args, cluster).await,
        Command::Status(args) => status::run(args, cluster).await,
        Command::Promote(args) => promote::run(args, cluster).await,
        Command::Abort(args) => abort::run(args, cluster).await,
        Command::Create(Create { what: CreateWhat::AnalysisRun(args) }) => {
            create::run(*args, cluster).await
        }
        Command::Retry(Retry { what: RetryWhat::Rollout(args) }) => retry::run(args, cluster).await,
        Command::Retry(Retry { what: RetryWhat::Experiment(args) }) => {
            retry::experiment(args, cluster).await
        }
        Command::Pause(args) => pause::run(args, cluster).await,
        Command::Undo(args) => undo::run(args, cluster).await,
        Command::Restart(args) => restart::run(args, cluster).await,
        Command::Set(Set { what: SetWhat::Image(args) }) => set::run(args, cluster).await,
        Command::Terminate(Terminate { what }) => match what {
            TerminateWhat::AnalysisRun(args) => {
                terminate::run(args, &analysis_runs(), cluster).await
            }
            TerminateWhat::Experiment(args) => terminate::run(args, &experiments(), cluster).await,
        },
        Command::Simulate(args) => simulate::run(args).await,
        Command::Lint(args) => lint::run(&args).await,
        Command::Plugin(args) => plugin::run(args, cluster).await,
        Command::Crds(args) => crds::run(args),
        Command::Compile(args) => Ok(crate::compile::run(&args)),
        Command::Controller(args) => crate::controller::run(args, cluster).await,
        Command::Version(args) => version::run(args),
        Command::Completions(args) => completions::run(args),
    }
}

#[cfg(test)]
mod tests;
