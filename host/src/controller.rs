//! `sluice controller`: the Kubernetes shell, the component host and the pages, put together.

mod metrics;
mod pages;

use std::io::IsTerminal as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum;
use sluice_kube::{Config, Health};
use sluice_wasm::{Bounds, ComponentHost, Event, Folder, HostConfig, INTERVAL, Network};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::client::{Cluster, ClusterArgs};
use crate::compile;
use crate::components;
use crate::plugins::{self, Around};

/// How long Plugin objects may keep the controller from its work at the start.
const HEAD_START: Duration = Duration::from_secs(3);

/// How to run the controller. `--namespace` restricts it to that namespace.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Look after the context's own namespace only. `--namespace` does the same for another.
    #[arg(long)]
    namespaced: bool,
    /// Look after the rollouts whose label argo-rollouts.argoproj.io/controller-instance-id says
    /// this; by default those without that label.
    #[arg(long, default_value = "", value_name = "ID")]
    instance_id: String,
    /// Requests per second to the API server; Events have as many of their own.
    #[arg(long, default_value_t = 40.0)]
    qps: f64,
    /// Requests at once after a rest.
    #[arg(long, default_value_t = 80)]
    burst: u32,
    /// Rollouts and analysis runs that are worked on at the same time.
    #[arg(long, default_value_t = 32, value_name = "COUNT")]
    threads: usize,
    /// Elect one of several controllers by a Lease; `false` if there is only this one.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1,
          default_missing_value = "true", value_name = "BOOL")]
    leader_elect: bool,
    /// Where /metrics is.
    #[arg(long, value_name = "ADDR", default_value_t = any(8090))]
    metrics_addr: SocketAddr,
    /// Where /healthz and /readyz are.
    #[arg(long, value_name = "ADDR", default_value_t = any(8080))]
    health_addr: SocketAddr,
    /// One address for all of them, instead of the other two.
    #[arg(long, value_name = "ADDR", conflicts_with_all = ["metrics_addr", "health_addr"])]
    listen: Option<SocketAddr>,
    /// Components that add to the bundled ones or take their place: NAME.wasm. Watched.
    #[arg(long, value_name = "DIR")]
    plugins_dir: Option<PathBuf>,
    /// Where compiled components are kept, so that the next start is faster.
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    /// The most address space for compiling a component of a Plugin, which is done in a process of
    /// its own.
    #[arg(long, value_name = "MIB", default_value_t = 1024,
          value_parser = clap::value_parser!(u64).range(1..))]
    compile_memory: u64,
    /// The most time for compiling a component of a Plugin.
    #[arg(long, value_name = "SECONDS", default_value_t = 120,
          value_parser = clap::value_parser!(u64).range(1..))]
    compile_timeout: u64,
    /// Networks that components may reach although they are local, such as 127.0.0.0/8.
    #[arg(long, value_name = "CIDR")]
    egress_allow: Vec<ipnet::IpNet>,
    /// How log lines look.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// How much is logged: error, warn, info, debug, trace, or such as `info,sluice_kube=debug`.
    #[arg(long, default_value = "info", value_name = "LEVEL")]
    log_level: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

fn any(port: u16) -> SocketAddr {
    (Ipv4Addr::UNSPECIFIED, port).into()
}

/// Run until SIGTERM or SIGINT.
///
/// # Errors
/// What keeps it from starting, or that it lost the lease.
pub async fn run(args: Args, cluster: &ClusterArgs) -> anyhow::Result<ExitCode> {
    log(&args)?;
    let namespace = cluster.namespace.clone();
    let cluster = Cluster::connect_to_control(cluster).await?;
    let namespace = namespace.or_else(|| args.namespaced.then(|| cluster.namespace.clone()));
    let (host, network) = component_host(&args).await?;
    let health = Health::default();
    let state = pages::Pages { health: health.clone(), host: host.clone() };
    let addresses = match args.listen {
        Some(address) => vec![address],
        None => vec![args.metrics_addr, args.health_addr],
    };
    for address in addresses {
        pages::serve(address, state.clone()).await?;
    }
    let config = Config {
        namespace,
        instance_id: args.instance_id,
        qps: args.qps,
        burst: args.burst,
        leader_elect: args.leader_elect,
        lease_namespace: cluster.namespace,
        threads: args.threads,
    };
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        namespace = config.namespace.as_deref().unwrap_or("*"),
        components = host.installed().len(),
        "starting"
    );
    let shutdown = shutdown()?;
    // One that looks after a single namespace has no rights outside of it, where Plugins are.
    if config.namespace.is_none() {
        let settled = plugins::keep(Around {
            client: cluster.client.clone(),
            host: host.clone(),
            health: health.clone(),
            network,
            home: config.lease_namespace.clone(),
            instance: config.instance_id.clone(),
            cache_dir: args.cache_dir,
        });
        // A head start, so that what Plugins replace is not called by those that were there before
        // this process; nobody is waited for any longer.
        let _ = tokio::time::timeout(HEAD_START, settled).await;
    }
    sluice_kube::run(cluster.client, config, Arc::new(host), health, shutdown).await?;
    Ok(ExitCode::SUCCESS)
}

/// The host with every bundled component, and the folder's watched from now on.
async fn component_host(args: &Args) -> anyhow::Result<(ComponentHost, Arc<Network>)> {
    let bounds = Bounds { allowed: args.egress_allow.clone() };
    let network = Network::new(bounds)
        .map_err(|error| anyhow::anyhow!("no network for components: {error:?}"))?;
    let network = Arc::new(network);
    let mut config = HostConfig::new(network.clone());
    config.cache_dir = args.cache_dir.clone();
    let apart = compile::apart(args.compile_memory, args.compile_timeout);
    config.apart = Some(apart.context("cannot find this program")?);
    config.variables = components::variables();
    let host = ComponentHost::new(config).context("cannot start the component host")?;
    components::install_bundled(&host).await?;
    if let Some(dir) = &args.plugins_dir {
        let mut folder = Folder::new(host.clone(), dir.clone());
        for event in folder.load_once().await {
            report(event);
        }
        tokio::spawn(folder.watch(INTERVAL, report));
    }
    Ok((host, network))
}

fn report(event: Event) {
    let words = components::words(&event);
    match event {
        Event::Installed(_) | Event::Removed { .. } => tracing::info!("{words}"),
        Event::Refused { .. } => tracing::error!("{words}"),
    }
}

/// Ends when the process is asked to.
fn shutdown() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot await SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot await SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn log(args: &Args) -> anyhow::Result<()> {
    // The watcher repeats itself with every attempt; what it has to say is said once by the
    // shell. A directive of the user for the same target comes later, and wins.
    let filter = EnvFilter::try_new(format!("kube_runtime::watcher=error,{}", args.log_level))
        .with_context(|| format!("--log-level {}", args.log_level))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match args.log_format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("cannot log: {error}"))
}
