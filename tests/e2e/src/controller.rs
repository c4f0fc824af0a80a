//! The controller under test, as the binary that is shipped.

use std::{ffi::OsString, fs, path::PathBuf, process::ExitStatus, time::Duration};

use anyhow::{Context as _, Result, anyhow};
use tokio::sync::OnceCell;

use crate::{
    Namespace, Process, eventually, http,
    workspace::{cargo_build, free_port, run_folder},
};

/// Names the binary to test instead of the one built from these sources.
const BINARY: &str = "SLUICE_BIN";

/// How long a controller may take until it says that it is ready.
const START: Duration = Duration::from_secs(120);

/// A running `sluice controller` that looks after one namespace.
///
/// Dropping it kills it and prints the end of its log.
#[derive(Debug)]
pub struct Controller {
    binary: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    log: PathBuf,
    port: u16,
    process: Process,
}

impl Controller {
    /// Installs the CRDs, and starts a controller for `namespace` with further
    /// `arguments` on its command line. Does not await that it is ready.
    ///
    /// # Errors
    ///
    /// When the binary cannot be built, the CRDs are refused, or the process
    /// cannot be started.
    pub async fn start(namespace: &Namespace, arguments: &[&str]) -> Result<Self> {
        let environment = namespace.cluster().environment()?;
        let mut all = vec!["--namespace", namespace.name()];
        all.extend(arguments);
        Self::launch(namespace, environment, &all).await
    }

    /// As [`Self::start`], for all namespaces. It has to be told an `--instance-id` of its own, or it
    /// competes with the one that tests share.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub async fn start_wide(namespace: &Namespace, arguments: &[&str]) -> Result<Self> {
        Self::launch(namespace, namespace.cluster().environment()?, arguments).await
    }

    /// The controller of all tests of this process that need none of their own, started by the
    /// first of them. It looks after every namespace, and ends with the process.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub async fn shared(namespace: &Namespace) -> Result<&'static Self> {
        static SHARED: OnceCell<Controller> = OnceCell::const_new();
        let start = async || {
            let environment = namespace.cluster().environment()?;
            // Many tests write at once; a queue of requests is not what they are about.
            let many = ["--qps", "400", "--burst", "800"];
            Self::launch(namespace, environment, &many).await
        };
        SHARED.get_or_try_init(start).await
    }

    /// Installs the CRDs, and starts a controller that has the rights of a service account and no
    /// others: `account` of the namespace `home`, which is also where its Lease is. What it looks
    /// after is for `arguments` to say. The log is that of `namespace`.
    ///
    /// # Errors
    ///
    /// When the account has no token, the binary cannot be built, the CRDs are refused, or the
    /// process cannot be started.
    pub async fn start_as(
        namespace: &Namespace,
        (home, account): (&str, &str),
        arguments: &[&str],
    ) -> Result<Self> {
        let cluster = namespace.cluster();
        let kubeconfig = cluster.kubeconfig_of(home, account).await?;
        let mut environment = cluster.environment()?;
        environment.retain(|(name, _)| name != "KUBECONFIG");
        environment.push(("KUBECONFIG".into(), kubeconfig.into()));
        Self::launch(namespace, environment, arguments).await
    }

    async fn launch(
        namespace: &Namespace,
        environment: Vec<(OsString, OsString)>,
        arguments: &[&str],
    ) -> Result<Self> {
        namespace.cluster().install_crds().await?;
        let binary = binary().await?;
        let port = free_port()?;
        let listen = format!("127.0.0.1:{port}");
        // Compiled once for all controllers, restarts and runs.
        let cache = run_folder()?.with_file_name("components");
        // The servers that components ask are on this machine.
        let own = ["controller", "--listen", &listen];
        let own = own.into_iter().chain(["--egress-allow", "127.0.0.0/8"]);
        let mut all: Vec<OsString> = own.map(Into::into).collect();
        if !arguments.contains(&"--cache-dir") {
            all.extend(["--cache-dir".into(), cache.into()]);
        }
        all.extend(arguments.iter().map(|&argument| argument.into()));
        let log = run_folder()?.join(format!("controller-{}.log", namespace.name()));
        let process = Process::start("sluice", &binary, &all, &environment, &log)?;
        Ok(Self { binary, arguments: all, environment, log, port, process })
    }

    /// Awaits that `/readyz` answers with success.
    ///
    /// # Errors
    ///
    /// When it does not within two minutes, or the process ends.
    pub async fn until_ready(&mut self) -> Result<()> {
        let ready = eventually("the controller to be ready", START, async || {
            if let Some(status) = self.process.ended()? {
                // Nothing more will come: stop waiting, as an inner error.
                return Ok(Err(anyhow!("the controller ended with {status}")));
            }
            self.http("/readyz").await.map(Ok)
        });
        ready.await?.map(drop)
    }

    /// Gets a page such as `/metrics` from the controller.
    ///
    /// # Errors
    ///
    /// When it does not answer with success.
    pub async fn http(&self, path: &str) -> Result<String> {
        http::body(&format!("http://127.0.0.1:{}{path}", self.port)).await
    }

    /// How often it has looked at a rollout since it started.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub async fn looks(&self, namespace: &str, rollout: &str) -> Result<u64> {
        let metric =
            format!(r#"rollout_reconcile_count{{namespace="{namespace}",name="{rollout}"}} "#);
        let page = self.http("/metrics").await?;
        let count = page.lines().find_map(|line| line.strip_prefix(&metric));
        Ok(count.map(str::parse).transpose()?.unwrap_or_default())
    }

    /// Kills the process with SIGKILL, as a lost node would.
    ///
    /// # Errors
    ///
    /// When it cannot be killed.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Starts it again with the same command line, after [`Self::kill`] or
    /// [`Self::terminate`]. The log continues.
    ///
    /// # Errors
    ///
    /// When the process cannot be started.
    pub fn restart(&mut self) -> Result<()> {
        // The old process is dead, so the port is free for the new one.
        self.process =
            Process::start("sluice", &self.binary, &self.arguments, &self.environment, &self.log)?;
        Ok(())
    }

    /// How the process ended, or `None` while it runs.
    ///
    /// # Errors
    ///
    /// When the operating system cannot tell.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.process.ended()
    }

    /// Asks the process to end, as Kubernetes does.
    ///
    /// # Errors
    ///
    /// When it has not ended within `limit`.
    pub async fn terminate(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.process.terminate(limit).await
    }

    /// Stops the process without ending it, until [`Self::thaw`].
    ///
    /// # Errors
    ///
    /// When the process has ended.
    pub fn freeze(&self) -> Result<()> {
        self.process.signal("STOP")
    }

    /// Lets the process go on after [`Self::freeze`].
    ///
    /// # Errors
    ///
    /// When the process has ended.
    pub fn thaw(&self) -> Result<()> {
        self.process.signal("CONT")
    }

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Everything that it has logged, across restarts.
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    pub fn log(&self) -> Result<String> {
        self.process.log()
    }

    /// The memory that the process occupies now, in bytes: all of it, and what is not mapped
    /// from files.
    ///
    /// # Errors
    ///
    /// When the process has ended.
    pub fn memory(&self) -> Result<(u64, u64)> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))
            .context("failed to read the controller's memory")?;
        let bytes = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            let kibibytes: Option<u64> = line
                .and_then(|line| line.trim().strip_suffix("kB"))
                .and_then(|number| number.trim().parse().ok());
            kibibytes.map(|kibibytes| kibibytes * 1024).context("the controller has no memory")
        };
        Ok((bytes("VmRSS:")?, bytes("RssAnon:")?))
    }
}

/// The binary to test, built once per test process.
pub(crate) async fn binary() -> Result<PathBuf> {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    if let Some(binary) = std::env::var_os(BINARY) {
        return Ok(binary.into());
    }
    let build = async || tokio::task::spawn_blocking(|| cargo_build("sluice", "sluice")).await?;
    BUILT.get_or_try_init(build).await.cloned()
}
