//! The command tree. Each command is a module with its `Args` and a `run` that gives the exit
//! code: 0 for success, 1 for an error or a degraded rollout, 2 for wrong usage.

mod abort;
mod completions;
mod crds;
mod get;
mod intent;
mod lint;
mod list;
mod mirror;
mod output;
mod pause;
mod plugin;
mod promote;
mod retry;
mod send;
mod simulate;
mod status;
mod version;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::client::ClusterArgs;

/// Progressive delivery for Kubernetes.
#[derive(Debug, Parser)]
#[command(name = "sluice", version, propagate_version = false, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show one object and all that belongs to it.
    Get(Get),
    /// List objects, a line each.
    List(List),
    /// Follow a rollout until it is healthy or degraded.
    Status(status::Args),
    /// Let a paused rollout go on, or skip a step of one that is not paused.
    Promote(promote::Args),
    /// Take the traffic back to the stable revision.
    Abort(abort::Args),
    /// Try again what was aborted.
    Retry(Retry),
    /// Hold a rollout until it is promoted.
    Pause(pause::Args),
    /// Run a release in virtual time with the real components, and no cluster.
    Simulate(simulate::Args),
    /// Check manifests before they are applied: fields, references, arguments, conditions.
    Lint(lint::Args),
    /// Start, build, test, pack and push a component of your own; see those of the cluster.
    Plugin(plugin::Args),
    /// Print the definitions of all kinds as YAML, for `kubectl apply --server-side -f -`.
    Crds(crds::Args),
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
}

/// Do what was asked.
///
/// # Errors
/// Whatever kept the command from being done, in words for the person who gave it.
pub async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let cluster = &cli.cluster;
    match cli.command {
        Command::Get(Get { what: GetWhat::Rollout(args) }) => get::run(args, cluster).await,
        Command::List(List { what: ListWhat::Rollouts(args) }) => list::run(args, cluster).await,
        Command::Status(args) => status::run(args, cluster).await,
        Command::Promote(args) => promote::run(args, cluster).await,
        Command::Abort(args) => abort::run(args, cluster).await,
        Command::Retry(Retry { what: RetryWhat::Rollout(args) }) => retry::run(args, cluster).await,
        Command::Pause(args) => pause::run(args, cluster).await,
        Command::Simulate(args) => simulate::run(args).await,
        Command::Lint(args) => lint::run(&args).await,
        Command::Plugin(args) => plugin::run(args, cluster).await,
        Command::Crds(args) => crds::run(args),
        Command::Controller(args) => crate::controller::run(args, cluster).await,
        Command::Version(args) => version::run(args),
        Command::Completions(args) => completions::run(args),
    }
}

#[cfg(test)]
mod tests;
