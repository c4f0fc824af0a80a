//! `sluice plugin run`: a component called once, or a few times, outside of the controller: on the
//! controller's component host, with its rules for the network, against real servers and objects.

mod given;
mod lines;
mod metric;
mod replay;
mod router;
mod show;
mod step;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use sluice_author::live::{Live, Setting};
use sluice_author::project::{Kind, Project};
use sluice_author::record::{Recording, Unrecorded};
use sluice_author::trial::{self, Trial};
use sluice_author::{build, inspect};
use sluice_port::http::Egress;
use sluice_wasm::{Bounds, Grants, Network};
use sluice_wire::clock::parse_duration;

use super::super::output::print;
use super::say;
use crate::client::{Cluster, ClusterArgs};
use crate::components::{default_cache, variables};
use given::{Credential, Given, Named};
use lines::Lines;

/// Arguments of the command.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  \
    sluice plugin run --config config.yaml --success-condition 'result > 0.95'\n  \
    sluice plugin run --template success-rate -n shop --arg service=web --record cases/live.yaml\n  \
    sluice plugin run build/x.wasm --replay cases/live.yaml\n  \
    sluice plugin run build/my-router.wasm --rollout web -n shop --weight 20\n\n\
    The exit code is 1 if the component does not answer, or answers with an error.")]
pub struct Args {
    /// A project's folder, which is built first if it changed, or a component.
    #[arg(default_value = ".", value_name = "PATH")]
    path: PathBuf,
    /// What users write for the component, as YAML or JSON: the part of a metric below its name,
    /// of trafficRouting below its name, or `config` of a step.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// For a metric provider: the AnalysisTemplate with the metric, as a file, or by its name on
    /// the cluster.
    #[arg(long, visible_alias = "analysis-template", value_name = "FILE|NAME",
          conflicts_with_all = ["config", "cluster_template"])]
    template: Option<String>,
    /// The same with the name of a ClusterAnalysisTemplate.
    #[arg(long, value_name = "NAME", conflicts_with = "config")]
    cluster_template: Option<String>,
    /// Which metric of the template. Default: the one that the component measures.
    #[arg(long, value_name = "NAME")]
    metric: Option<String>,
    /// An argument of the template.
    #[arg(long = "arg", value_name = "NAME=VALUE")]
    args: Vec<Named>,
    /// For a router or a step: the Rollout on the cluster that uses it. A router writes nothing.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["config", "template"])]
    rollout: Option<String>,
    /// For a router: the weight that the canary is to have.
    #[arg(long, value_name = "WEIGHT")]
    weight: Option<u32>,
    /// For a step: which of the Rollout's, from 0. Default: the first that the component does.
    #[arg(long, value_name = "INDEX", requires = "rollout")]
    step: Option<u32>,
    /// What it may do, in the form of NAME.grants.json. Default: what its manifest asks for.
    #[arg(long, value_name = "FILE")]
    grants: Option<PathBuf>,
    /// A secret that the component is granted by this alias, or an argument of the template that
    /// is one. Its value is never shown.
    #[arg(long = "secret", value_name = "NAME=env:VAR|file:PATH")]
    secrets: Vec<Named>,
    /// A header for requests to one server, which the component does not see, such as
    /// 'https://api.example.com Authorization=env:TOKEN'.
    #[arg(long = "credential", value_name = "SERVER HEADER=env:VAR|file:PATH")]
    credentials: Vec<Credential>,
    /// Networks that it may reach although they are local, such as 127.0.0.0/8.
    #[arg(long, value_name = "CIDR")]
    egress_allow: Vec<ipnet::IpNet>,
    /// What makes a measurement good, where no template says so.
    #[arg(long, value_name = "CONDITION", conflicts_with = "template")]
    success_condition: Option<String>,
    /// What makes it bad.
    #[arg(long, value_name = "CONDITION", conflicts_with = "template")]
    failure_condition: Option<String>,
    /// How many times.
    #[arg(long, default_value_t = 1, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..))]
    times: u32,
    /// How long to wait between them.
    #[arg(long, default_value = "10s", value_name = "DURATION", value_parser = duration)]
    every: Duration,
    /// How long to go on with a measurement or step that says it takes longer.
    #[arg(long, default_value = "1m", value_name = "DURATION", value_parser = duration)]
    wait: Duration,
    /// Write what was asked and answered as cases for `sluice plugin test`, without secrets.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Show what it makes of such a file instead, without a network.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["record", "config", "template",
          "cluster_template", "rollout", "times", "credentials"])]
    replay: Option<PathBuf>,
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "write a number and a unit, such as 30s".to_owned())
}

/// Do it. The exit code is 1 if the component does not answer.
///
/// # Errors
/// Whatever keeps it from being called, in words for the author.
pub async fn run(args: Args, cluster: &ClusterArgs) -> anyhow::Result<ExitCode> {
    let subject = Subject::find(&args.path, args.grants.as_deref())?;
    if subject.kind == Kind::Notifier {
        bail!(
            "a notifier is told what became true of a Rollout, and has nothing to answer by hand: \
             write a case of what it is to tell, and run `sluice plugin test`"
        );
    }
    fits(&args, &subject)?;
    if let Some(path) = &args.record {
        ensure!(!path.exists(), "{} is there already; name another file", path.display());
    }
    let reach = Reach { args: cluster.clone(), cluster: None };
    let answered = match (subject.kind, args.replay.is_some()) {
        (_, true) | (Kind::Notifier, false) => replay::run(&args, &subject).await?,
        (Kind::Metric, false) => metric::run(&args, &subject, reach).await?,
        (Kind::Router, false) => router::run(&args, &subject, reach).await?,
        (Kind::Step, false) => step::run(&args, &subject, reach).await?,
    };
    Ok(if answered { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Refuse what has no meaning for the kind of component.
fn fits(args: &Args, subject: &Subject) -> anyhow::Result<()> {
    let of_metrics = [
        ("--template", args.template.is_some()),
        ("--cluster-template", args.cluster_template.is_some()),
        ("--metric", args.metric.is_some()),
        ("--arg", !args.args.is_empty()),
        ("--success-condition", args.success_condition.is_some()),
        ("--failure-condition", args.failure_condition.is_some()),
    ];
    let of_routers = [("--weight", args.weight.is_some())];
    let of_steps = [("--step", args.step.is_some())];
    let wrong: Vec<(&str, &str)> = [
        (Kind::Metric, "metric providers", &of_metrics[..]),
        (Kind::Router, "routers", &of_routers[..]),
        (Kind::Step, "steps", &of_steps[..]),
    ]
    .into_iter()
    .filter(|(kind, ..)| *kind != subject.kind)
    .flat_map(|(_, whose, flags)| {
        flags.iter().filter(|(_, given)| *given).map(move |(flag, _)| (*flag, whose))
    })
    .collect();
    if let Some((flag, whose)) = wrong.first() {
        bail!("{flag} is for {whose}, and {} is a {}", subject.name, subject.kind.name());
    }
    let router = subject.kind == Kind::Router;
    match subject.kind {
        Kind::Metric if args.rollout.is_some() => {
            bail!("--rollout is for routers and steps; a metric is found in a template: --template")
        }
        Kind::Router if args.record.is_some() || args.replay.is_some() => bail!(
            "cases of routers are objects and no recording of calls: export those that it reads \
             with `kubectl get -o yaml`, name them in `before` of a case, and run \
             `sluice plugin test`"
        ),
        _ if router && args.rollout.is_none() => bail!(
            "a router is asked about a Rollout and its objects: name one with --rollout and -n"
        ),
        _ => Ok(()),
    }
}

/// A component, and what is known of it before it is called.
struct Subject {
    component: PathBuf,
    name: String,
    kind: Kind,
    digest: String,
    grants: Grants,
    /// Who says so.
    granted_by: String,
}

impl Subject {
    fn find(path: &Path, grants: Option<&Path>) -> anyhow::Result<Self> {
        let project = match build::is_project(path) || path.is_dir() {
            true => Some(Project::open(path)?),
            false => None,
        };
        let component = match &project {
            Some(project) => build::build_if_older(project, &say)?,
            None => path.to_owned(),
        };
        let facts = inspect::inspect(&component)?;
        let name = match &project {
            Some(project) => project.name.clone(),
            None => component.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        };
        let (grants, granted_by) = match (grants, &project) {
            (Some(path), _) => (read(path)?, path.display().to_string()),
            (None, Some(project)) => (project.grants.clone(), "plugin.yaml".to_owned()),
            (None, None) => {
                let grants = facts.manifest.get("grants").cloned().unwrap_or_default();
                (grants, "its manifest".to_owned())
            }
        };
        let grants = match grants {
            Value::Null => Grants::default(),
            grants => {
                serde_json::from_value(grants).with_context(|| format!("{granted_by}: grants"))?
            }
        };
        let (kind, digest) = (facts.kind, facts.digest);
        Ok(Self { component, name, kind, digest, grants, granted_by })
    }

    /// Loads it under the name by which users call it.
    async fn start(
        &self,
        name: &str,
        given: &Given,
        egress: Arc<dyn Egress>,
    ) -> anyhow::Result<Live> {
        let setting = Setting {
            component: self.component.clone(),
            name: name.to_owned(),
            grants: self.grants.clone(),
            private: given.private.clone(),
            egress,
            variables: variables().remove(name).unwrap_or_default(),
            cache: default_cache(),
        };
        Ok(Live::new(setting).await?)
    }
}

/// The way to the cluster, taken only if something of it is needed.
struct Reach {
    args: ClusterArgs,
    cluster: Option<Cluster>,
}

impl Reach {
    async fn cluster(&mut self) -> anyhow::Result<Cluster> {
        if self.cluster.is_none() {
            self.cluster = Some(Cluster::connect(&self.args).await?);
        }
        self.cluster.clone().context("no cluster")
    }

    /// The namespace that was named, or that of the context if there is one.
    async fn namespace(&mut self) -> String {
        match &self.args.namespace {
            Some(namespace) => namespace.clone(),
            None => match self.cluster().await {
                Ok(cluster) => cluster.namespace,
                Err(_) => "default".to_owned(),
            },
        }
    }
}

/// The network, by the rules of the controller.
fn network(allowed: &[ipnet::IpNet]) -> anyhow::Result<Arc<dyn Egress>> {
    let bounds = Bounds { allowed: allowed.to_vec(), ..Bounds::default() };
    let network = Network::new(bounds);
    Ok(Arc::new(network.map_err(|error| anyhow::anyhow!("no network: {error:?}"))?))
}

/// A document of YAML or JSON.
fn read(path: &Path) -> anyhow::Result<Value> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    serde_saphyr::from_str(&text).map_err(|error| anyhow::anyhow!("{shown}: {error}"))
}

/// What is written down while it is done, if that is wanted.
struct Tape {
    recording: Option<Recording>,
}

impl Tape {
    fn new(args: &Args, given: &Given) -> Self {
        let recording = args.record.as_ref().map(|_| Recording::new(given.hidden.clone()));
        Self { recording }
    }

    fn add(&mut self, add: impl FnOnce(&mut Recording) -> Result<(), Unrecorded>) {
        if let Some(recording) = &mut self.recording
            && let Err(error) = add(recording)
        {
            say(&format!("not recorded: {error}"));
        }
    }

    /// Writes it, and tries whether the component answers the same to it.
    async fn write(self, args: &Args, subject: &Subject) -> anyhow::Result<()> {
        let (Some(recording), Some(path)) = (self.recording, &args.record) else { return Ok(()) };
        recording.write(path)?;
        let trial = Trial {
            component: subject.component.clone(),
            grants: Some(subject.grants.clone()),
            cases: vec![path.clone()],
            cache: default_cache(),
        };
        let verdicts = trial::replay(&trial).await?;
        let mut text = format!("\nrecorded {} ({} cases)\n", path.display(), verdicts.len());
        for verdict in verdicts.iter().filter(|verdict| !verdict.passed()) {
            text.push_str(&format!(
                "replayed, it does not answer as it did: {}\n{}\n",
                verdict.name,
                verdict.problems.join("\n")
            ));
        }
        Ok(print(&text)?)
    }
}

/// Whether there is time for another call: waits until it is due, or until somebody interrupts.
async fn wait(time: Duration) -> bool {
    tokio::select! {
        () = tokio::time::sleep(time) => true,
        _ = tokio::signal::ctrl_c() => false,
    }
}

/// Where a call's log lines are gathered from now on.
fn listen() -> Lines {
    lines::listen()
}

#[cfg(test)]
mod tests;
