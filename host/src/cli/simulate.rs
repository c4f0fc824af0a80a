//! `sluice simulate`: a release in virtual time, with the components that would run.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use serde_json::Value;
use sluice_sim::release::{Outcomes, simulate};
use sluice_sim::scenario::{MetricsServer, Scenario};
use sluice_wasm::HostConfig;

use super::files::files;
use super::output::print;
use crate::components::ComponentArgs;

/// Arguments of the command.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Manifests with one Rollout and what it refers to: Services, Ingresses, analysis templates.
    /// A folder stands for all manifests below it.
    #[arg(required = true, value_name = "FILE")]
    pub manifests: Vec<PathBuf>,
    /// What users do, how each version behaves, what the metrics server answers, and how it is
    /// to end.
    #[arg(short, long, value_name = "FILE")]
    pub scenario: PathBuf,
    /// How to print it.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
    /// The components that are asked.
    #[command(flatten)]
    pub components: ComponentArgs,
    /// Print without colours. Default: colours on a terminal, unless NO_COLOR is set.
    #[arg(long)]
    pub no_color: bool,
}

/// How a simulation is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A timeline for people.
    #[default]
    Timeline,
    /// A JSON object.
    Json,
}

/// Simulate. The exit code is 1 when an expectation of the scenario is not met or an invariant of
/// traffic is broken.
///
/// # Errors
/// Files that cannot be read, and manifests that cannot be simulated.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let scenario = read_scenario(&args.scenario)?;
    let mut objects = Vec::new();
    for path in files(&args.manifests)? {
        objects.extend(read_objects(&path)?);
    }
    let server = MetricsServer::new(&scenario);
    let clock = server.clone();
    let mut config = HostConfig::new(server.clone());
    config.clock =
        Some(Arc::new(move || SystemTime::UNIX_EPOCH + Duration::from_millis(clock.now().0)));
    let host = args.components.host(config).await?;
    let outcomes = simulate(objects, &scenario, Arc::new(host), server).await?;
    match args.output {
        Output::Json => print(&format!("{}\n", serde_json::to_string_pretty(&outcomes)?))?,
        Output::Timeline => {
            let plain = args.no_color || std::env::var_os("NO_COLOR").is_some();
            print(&render(&outcomes, !plain && std::io::stdout().is_terminal()))?;
        }
    }
    Ok(if outcomes.is_fine() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn render(outcomes: &Outcomes, colour: bool) -> String {
    let mut out = String::new();
    if !outcomes.scenario.is_empty() {
        out.push_str(&format!("{}\n\n", outcomes.scenario));
    }
    out.push_str(&outcomes.timeline.render(colour));
    out.push('\n');
    for unmet in &outcomes.unmet {
        out.push_str(&format!("NOT AS EXPECTED: {unmet}\n"));
    }
    for violation in &outcomes.violations {
        out.push_str(&format!("INVARIANT BROKEN: {violation}\n"));
    }
    if outcomes.is_fine() {
        out.push_str("As expected; traffic never went where there were no pods.\n");
    }
    out
}

fn read_scenario(path: &Path) -> anyhow::Result<Scenario> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let scenario: Scenario = serde_saphyr::from_str(&text)
        .map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
    let complaints = scenario.check();
    if !complaints.is_empty() {
        let complaints: Vec<_> = complaints.iter().map(ToString::to_string).collect();
        bail!("{}: {}", path.display(), complaints.join("; "));
    }
    Ok(scenario)
}

fn read_objects(path: &Path) -> anyhow::Result<Vec<Value>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text)
        .map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}
