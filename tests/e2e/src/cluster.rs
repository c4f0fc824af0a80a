//! The Kubernetes cluster under the tests.

use std::{
    ffi::OsString,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Mutex, OnceLock, PoisonError},
};

use anyhow::{Context as _, Result, anyhow, bail};
use kube::{
    Client, Config,
    config::{AuthInfo, KubeConfigOptions, Kubeconfig},
};

use tokio::sync::OnceCell;

use crate::{
    http,
    process::signal,
    workspace::{run_folder, workspace_root},
};

/// Names the kubeconfig of a cluster that runs already, for all tests to use.
const KUBECONFIG: &str = "SLUICE_TEST_KUBECONFIG";

/// A control plane in which pods are played, see `tests/cluster`.
#[derive(Debug)]
pub struct Cluster {
    binary: PathBuf,
    kubeconfig: PathBuf,
    /// `None` when the cluster is somebody else's.
    launcher: Option<Launcher>,
}

#[derive(Debug)]
struct Launcher {
    /// Holds the standard input whose end stops the cluster.
    process: Child,
    output: Mutex<BufReader<ChildStdout>>,
}

impl Cluster {
    /// The cluster of this test process, which is started by the first call.
    ///
    /// # Errors
    ///
    /// When the binary cannot be built or the cluster does not come up. The
    /// error is the same for every later call.
    pub async fn shared() -> Result<&'static Self> {
        Self::shared_with(Vec::new()).await
    }

    /// As [`Self::shared`], with further `arguments` for the launcher if this call is the one that
    /// starts the cluster.
    ///
    /// # Errors
    ///
    /// As [`Self::shared`].
    pub async fn shared_with(arguments: Vec<String>) -> Result<&'static Self> {
        static CLUSTER: OnceLock<Result<Cluster, String>> = OnceLock::new();
        let started = tokio::task::spawn_blocking(move || {
            CLUSTER.get_or_init(|| Cluster::find(&arguments).map_err(|error| format!("{error:#}")))
        });
        started.await?.as_ref().map_err(|error| anyhow!("no test cluster: {error}"))
    }

    fn find(arguments: &[String]) -> Result<Self> {
        http::choose_cryptography();
        let binary = build()?;
        match std::env::var_os(KUBECONFIG) {
            Some(kubeconfig) => Ok(Self { binary, kubeconfig: kubeconfig.into(), launcher: None }),
            None => Self::start(binary, &run_folder()?.join("cluster"), arguments),
        }
    }

    /// Starts a cluster with its files in `folder` and further `arguments` for the launcher, and
    /// returns when it is ready. Blocks for some seconds.
    ///
    /// # Errors
    ///
    /// When a component does not come up; the reason is on standard error.
    pub fn start(binary: PathBuf, folder: &Path, arguments: &[String]) -> Result<Self> {
        let mut process = Command::new(&binary)
            .args(["run", "--dir"])
            .arg(folder)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("failed to start {}", binary.display()))?;
        let output = process.stdout.take().context("the launcher has no output")?;
        let launcher = Launcher { process, output: Mutex::new(BufReader::new(output)) };
        if !launcher.line()?.starts_with("ready ") {
            bail!("the cluster did not start, see above and the logs in {}", folder.display());
        }
        Ok(Self { binary, kubeconfig: folder.join("kubeconfig"), launcher: Some(launcher) })
    }

    /// Whether the cluster is of this process alone, so that its servers may be restarted.
    pub fn is_own(&self) -> bool {
        self.launcher.is_some()
    }

    /// Kills the API server, starts it again over the same data and at the same address, and
    /// returns when it is ready. Every connection breaks. Blocks for some seconds.
    ///
    /// # Errors
    ///
    /// When the cluster is somebody else's, or the API server does not come up again.
    pub fn restart_api_server(&self) -> Result<()> {
        let launcher = self.launcher.as_ref().context("the cluster is not ours to restart")?;
        signal(launcher.process.id(), "HUP")?;
        if !launcher.line()?.starts_with("restarted ") {
            bail!("the API server did not start again, see the logs of the cluster");
        }
        Ok(())
    }

    /// The file with the address and the administrator's credentials.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A client for the current asynchronous runtime. Tests do not share one,
    /// because each has a runtime of its own.
    ///
    /// # Errors
    ///
    /// When the kubeconfig cannot be read.
    pub async fn client(&self) -> Result<Client> {
        let kubeconfig = Kubeconfig::read_from(&self.kubeconfig)?;
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
        Ok(Client::try_from(config)?)
    }

    /// Runs kubectl with `input` on its standard input, and returns what it printed.
    ///
    /// # Errors
    ///
    /// When kubectl fails, with what it wrote to standard error.
    pub async fn kubectl(&self, arguments: &[&str], input: &str) -> Result<String> {
        let what = format!("kubectl {}", arguments.join(" "));
        let mut command = Command::new(&self.binary);
        command.arg("kubectl").args(arguments).envs(self.environment()?);
        let input = input.to_owned();
        let output = tokio::task::spawn_blocking(move || feed(&mut command, &input)).await??;
        if !output.status.success() {
            bail!("{what}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Writes a kubeconfig with the credentials of the service account `account` in the namespace
    /// `home`, which is also the namespace of its context.
    ///
    /// # Errors
    ///
    /// When the account has no token, or the file cannot be written.
    pub async fn kubeconfig_of(&self, home: &str, account: &str) -> Result<PathBuf> {
        let token = self.kubectl(&["create", "token", account, "-n", home], "").await?;
        let mut config = Kubeconfig::read_from(&self.kubeconfig)?;
        for user in &mut config.auth_infos {
            let token = Some(token.trim().to_owned().into());
            user.auth_info = Some(AuthInfo { token, ..AuthInfo::default() });
        }
        for context in config.contexts.iter_mut().filter_map(|named| named.context.as_mut()) {
            context.namespace = Some(home.to_owned());
        }
        let file = run_folder()?.join(format!("kubeconfig-{home}-{account}"));
        std::fs::write(&file, serde_json::to_vec(&config)?)
            .with_context(|| format!("failed to write {}", file.display()))?;
        Ok(file)
    }

    /// Installs Sluice's CRDs as users do, once per test process, and returns
    /// when the API server serves them.
    ///
    /// # Errors
    ///
    /// When one is refused or not established within half a minute.
    pub async fn install_crds(&self) -> Result<()> {
        static INSTALLED: OnceCell<()> = OnceCell::const_new();
        let install = async || {
            let file = crds_file();
            let file = file.to_str().context("the path of the workspace is not UTF-8")?;
            self.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", file], "").await?;
            let wait = ["wait", "--for=condition=Established", "--timeout=30s", "-f", file];
            self.kubectl(&wait, "").await.map(drop)
        };
        INSTALLED.get_or_try_init(install).await.copied()
    }

    /// What a client needs in its environment to find this cluster, and to keep
    /// its caches out of the user's home folder.
    pub(crate) fn environment(&self) -> Result<Vec<(OsString, OsString)>> {
        let cache = run_folder()?.join("kubectl");
        Ok(vec![
            ("KUBECONFIG".into(), self.kubeconfig.clone().into()),
            ("KUBECACHEDIR".into(), cache.into()),
        ])
    }
}

impl Launcher {
    /// What it says next.
    fn line(&self) -> Result<String> {
        let mut line = String::new();
        self.output.lock().unwrap_or_else(PoisonError::into_inner).read_line(&mut line)?;
        Ok(line)
    }
}

/// The file with Sluice's CRDs.
pub fn crds_file() -> PathBuf {
    workspace_root().join("host/deploy/crds.yaml")
}

/// Runs `command` to its end.
fn feed(command: &mut Command, input: &str) -> Result<std::process::Output> {
    use std::io::Write as _;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("failed to start kubectl")?;
    let mut stdin = child.stdin.take().context("kubectl has no input")?;
    // A command that does not read its input closes it, which is no failure.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    Ok(child.wait_with_output()?)
}

/// Builds the cluster's binary, unless it is in the cache.
fn build() -> Result<PathBuf> {
    let script = workspace_root().join("tests/cluster/build.sh");
    let output = Command::new(&script)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("failed to start {}", script.display()))?;
    if !output.status.success() {
        bail!("{} failed, see above", script.display());
    }
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}
