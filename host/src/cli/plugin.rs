//! `sluice plugin`: start, build, test, see and pack a component of your own.

mod grant;
mod objects;
mod push;
mod run;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Subcommand, ValueEnum};
use sluice_author::project::{Kind, Language, Project};
use sluice_author::trial::{Report, Trial};
use sluice_author::{bench, build, cases, inspect, pack, scaffold, trial};
use sluice_wasm::{Grants, Outline};

use super::output::print;
use crate::client::ClusterArgs;
use crate::components::default_cache;
use crate::fetch::digest_of;
use crate::registry::layout;

/// Arguments of the command.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Start a project: a plugin that works, its tests, and the SDK beside it.
    New(New),
    /// Build the component of a project, into build/NAME.wasm.
    Build(Folder),
    /// Try a component with recorded answers of servers, on the controller's own component host.
    Test(Test),
    /// Call a component for real, outside of the controller, and show what it asks and answers.
    Run(Box<run::Args>),
    /// List the Plugins of the cluster: what is in use, and how it does.
    #[command(visible_alias = "ls")]
    List,
    /// Show what a component is and asks for, without running it; of a Plugin of the cluster also
    /// what it was given and what it used.
    Inspect(Inspect),
    /// Show what a component asks for that another one does not.
    Diff(Diff),
    /// Write the Plugin object that gives a component what it asks for, to be read and applied.
    Grant(grant::Args),
    /// Put a component into a registry.
    Push(push::Args),
    /// Put the component and the grants that it needs into dist/.
    Pack(Pack),
    /// Measure how long calls take.
    Bench(Bench),
}

#[derive(clap::Args, Debug)]
struct New {
    /// Its name, such as order-rate. The component is NAME.wasm.
    name: String,
    /// What it is written in.
    #[arg(long, value_enum)]
    lang: Lang,
    /// What it does.
    #[arg(long, value_enum, default_value_t)]
    kind: Does,
    /// Where to put it. Default: a folder of its name.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Lang {
    Rust,
    Go,
    /// JavaScript or TypeScript.
    Js,
    Python,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Does {
    /// Takes measurements for analysis runs.
    #[default]
    Metric,
    /// Turns weights into objects of Kubernetes.
    Router,
    /// Does something between two weights of a release.
    Step,
    /// Tells people of what became true. In Rust only.
    Notifier,
}

#[derive(clap::Args, Debug)]
struct Folder {
    /// The project's folder.
    #[arg(default_value = ".", value_name = "DIR")]
    folder: PathBuf,
}

#[derive(clap::Args, Debug)]
struct Pack {
    #[command(flatten)]
    project: Folder,
    /// Put the component into this folder as well, in the layout of images on disk: what
    /// `source.ociLayout` of a Plugin reads, and tools for registries push.
    #[arg(long, value_name = "DIR")]
    oci_layout: Option<PathBuf>,
}

#[derive(clap::Args, Debug)]
struct Tried {
    /// A project's folder, which is built first if it changed, or a component.
    #[arg(default_value = ".", value_name = "PATH")]
    path: PathBuf,
    /// Files of cases. Default: every YAML file in the folder `cases` of the project.
    #[arg(long, value_name = "FILE")]
    cases: Vec<PathBuf>,
}

#[derive(clap::Args, Debug)]
struct Test {
    #[command(flatten)]
    tried: Tried,
}

#[derive(clap::Args, Debug)]
struct Bench {
    #[command(flatten)]
    tried: Tried,
    /// Calls of each case.
    #[arg(long, default_value_t = 200, value_name = "N")]
    calls: usize,
}

#[derive(clap::Args, Debug)]
struct Inspect {
    /// A component, a project's folder that was built, or the name of a Plugin.
    #[arg(default_value = ".", value_name = "PATH|NAME")]
    path: PathBuf,
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args, Debug)]
struct Diff {
    /// A component, or the name of a Plugin.
    old: String,
    /// What would take its place, likewise.
    new: String,
}

/// Do it. The exit code is 1 when a case fails.
///
/// # Errors
/// Whatever keeps it from being done, in words for the author.
pub async fn run(args: Args, cluster: &ClusterArgs) -> anyhow::Result<ExitCode> {
    match args.what {
        What::New(args) => new(args)?,
        What::Build(Folder { folder }) => built(&folder)?,
        What::Test(args) => return tested(args.tried).await,
        What::Run(args) => return run::run(*args, cluster).await,
        What::List => objects::list(cluster).await?,
        What::Inspect(args) => inspected(&args, cluster).await?,
        What::Diff(Diff { old, new }) => objects::diff(cluster, &old, &new).await?,
        What::Grant(args) => grant::run(args)?,
        What::Push(args) => push::run(args).await?,
        What::Pack(args) => packed(&args)?,
        What::Bench(args) => measured(args).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn say(line: &str) {
    eprintln!("{line}");
}

fn new(args: New) -> anyhow::Result<()> {
    let language = match args.lang {
        Lang::Rust => Language::Rust,
        Lang::Go => Language::Go,
        Lang::Js => Language::Js,
        Lang::Python => Language::Python,
    };
    let kind = match args.kind {
        Does::Metric => Kind::Metric,
        Does::Router => Kind::Router,
        Does::Step => Kind::Step,
        Does::Notifier => Kind::Notifier,
    };
    let folder = args.dir.unwrap_or_else(|| PathBuf::from(&args.name));
    let project = scaffold::start(&folder, &args.name, language, kind)?;
    let text = format!(
        "started {} in {}; its README.md says more\n\n  cd {}\n  sluice plugin test\n  sluice plugin pack\n",
        project.name,
        folder.display(),
        folder.display()
    );
    Ok(print(&text)?)
}

fn built(folder: &Path) -> anyhow::Result<()> {
    let project = Project::open(folder)?;
    let began = Instant::now();
    let built = build::build(&project, &say)?;
    let text = format!(
        "built {} ({} KiB) in {}\n",
        built.path.display(),
        built.size.div_ceil(1024),
        seconds(began.elapsed())
    );
    Ok(print(&text)?)
}

/// What is to be tried: a project, which is built if it changed, or a component as it is.
fn to_try(tried: Tried) -> anyhow::Result<Trial> {
    let Tried { path, mut cases } = tried;
    let cache = default_cache();
    if build::is_project(&path) || path.is_dir() {
        let project = Project::open(&path)?;
        let component = build::build_if_older(&project, &say)?;
        if cases.is_empty() {
            cases = cases::in_folder(&path)?;
        }
        let grants: Grants = serde_json::from_value(project.grants.clone())?;
        return Ok(Trial { component, grants: Some(grants), cases, cache });
    }
    if cases.is_empty() {
        cases = cases::in_folder(path.parent().unwrap_or(Path::new(".")))?;
    }
    Ok(Trial { component: path, grants: None, cases, cache })
}

async fn tested(tried: Tried) -> anyhow::Result<ExitCode> {
    let trial = to_try(tried)?;
    let report = trial::run(&trial).await?;
    print(&text(&report))?;
    Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn text(report: &Report) -> String {
    let mut out = String::new();
    for verdict in &report.verdicts {
        let mark = if verdict.passed() { "ok  " } else { "FAIL" };
        out.push_str(&format!(
            "{mark}  {}: {} ({})\n",
            verdict.of,
            verdict.name,
            millis(verdict.took)
        ));
        for problem in &verdict.problems {
            for line in problem.lines() {
                out.push_str(&format!("      {line}\n"));
            }
        }
    }
    let failed = report.verdicts.iter().filter(|verdict| !verdict.passed()).count();
    let totals = &report.info.totals;
    let calls = u32::try_from(totals.total()).unwrap_or(u32::MAX).max(1);
    out.push_str(&format!(
        "\n{} passed, {failed} failed; {calls} calls, at most {} MiB of memory, {} of computing a \
         call\n",
        report.verdicts.len() - failed,
        totals.memory_peak.div_ceil(1 << 20),
        millis(totals.cpu / calls)
    ));
    out
}

async fn inspected(args: &Inspect, cluster: &ClusterArgs) -> anyhow::Result<()> {
    // A name has no file of its own; one that has is meant as the file.
    if let Some(name) = args.path.to_str().filter(|_| !args.path.exists())
        && !name.contains(['/', '.'])
    {
        return objects::inspect(cluster, name, args.json).await;
    }
    let path = match build::is_project(&args.path) {
        true => Project::open(&args.path)?.component(),
        false => args.path.clone(),
    };
    let facts = inspect::inspect(&path)?;
    let text = if args.json { format!("{:#}\n", facts.json()) } else { facts.to_string() };
    Ok(print(&text)?)
}

fn packed(args: &Pack) -> anyhow::Result<()> {
    let project = Project::open(&args.project.folder)?;
    build::build_if_older(&project, &say)?;
    let packed = pack::pack(&project)?;
    let mut text = format!("{}\npacked {}\n", packed.facts, packed.component.display());
    if let Some(grants) = &packed.grants {
        text.push_str(&format!("       {}\n", grants.display()));
    }
    if let Some(dir) = &args.oci_layout {
        let bytes = std::fs::read(&packed.component)?;
        let outline = Outline::of(&bytes)?;
        let manifest = layout::write(dir, &project.name, &bytes, &outline)?;
        let digest = digest_of(&bytes);
        text.push_str(&format!(
            "       {}: {} {manifest}, component {digest}\n",
            dir.display(),
            project.name
        ));
    }
    text.push_str("put them into the controller's --plugins-dir, or simulate with it first\n");
    Ok(print(&text)?)
}

async fn measured(args: Bench) -> anyhow::Result<()> {
    let trial = to_try(args.tried)?;
    let measured = bench::measure(&trial, args.calls).await?;
    let mut out = String::new();
    for one in &measured.figures {
        out.push_str(&format!(
            "{}: half within {}, 99 of 100 within {} ({} calls)\n",
            one.case,
            millis(one.median),
            millis(one.p99),
            one.calls
        ));
    }
    out.push_str(&format!(
        "loaded in {}{}; at most {} MiB of memory, {} of computing a call\n",
        millis(measured.load),
        if measured.cached { " from the cache" } else { "" },
        measured.memory_peak.div_ceil(1 << 20),
        millis(measured.cpu)
    ));
    Ok(print(&out)?)
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}
