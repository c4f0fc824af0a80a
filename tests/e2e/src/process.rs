//! A process that cannot outlive the test.

use std::{
    ffi::OsString,
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use crate::eventually;

/// How much of a log is printed when its process is dropped, in bytes.
const TAIL: u64 = 16 * 1024;

/// Becomes the command itself, after leaving behind a subshell that kills it
/// when standard input closes. The test process holds the other end, which the
/// kernel closes for it, however it ends.
const LEASH: &str = r#"
exec 3<&0
(cat <&3 >/dev/null; kill -KILL $$ 2>/dev/null) &
exec 3<&-
exec "$@" </dev/null
"#;

/// A running command with its output in a file.
///
/// Dropping it kills it and prints the end of its log to standard error, unless it ended well
/// when it was asked to.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    ended_well: bool,
}

impl Process {
    /// Starts `command` and appends its output to `log`. `environment` is added
    /// to that of the test.
    ///
    /// # Errors
    ///
    /// When the log cannot be written or the shell cannot be started. A
    /// command that does not exist ends at once instead, as the log then says.
    pub fn start(
        name: &str,
        command: &Path,
        arguments: &[OsString],
        environment: &[(OsString, OsString)],
        log: &Path,
    ) -> Result<Self> {
        let output = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("failed to open {}", log.display()))?;
        let child = Command::new("sh")
            .args(["-c", LEASH, name])
            .arg(command)
            .args(arguments)
            .envs(environment.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("failed to start {name}"))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned(), ended_well: false })
    }

    /// The process id of the command.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The whole log so far.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn log(&self) -> Result<String> {
        let bytes = std::fs::read(&self.log)
            .with_context(|| format!("failed to read {}", self.log.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// How the command ended, or `None` while it runs.
    ///
    /// # Errors
    ///
    /// When the operating system cannot tell.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Kills the command with SIGKILL and awaits its end.
    ///
    /// # Errors
    ///
    /// When the signal cannot be sent.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().with_context(|| format!("failed to kill {}", self.name))?;
        // Also closes standard input, which ends the subshell of the leash.
        self.child.wait()?;
        Ok(())
    }

    /// Sends SIGTERM and awaits the end of the command.
    ///
    /// # Errors
    ///
    /// When the signal cannot be sent, or the command has not ended within `limit`.
    pub async fn terminate(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.signal("TERM")?;
        let what = format!("{} to end after SIGTERM", self.name);
        let status =
            eventually(&what, limit, async || self.ended()?.context("it still runs")).await?;
        self.ended_well = status.success();
        Ok(status)
    }

    /// Sends the signal of the given name, such as `STOP` or `CONT`.
    ///
    /// # Errors
    ///
    /// When the command has ended.
    pub fn signal(&self, name: &str) -> Result<()> {
        signal(self.id(), name).with_context(|| format!("cannot signal {}", self.name))
    }

    /// The end of the log, for a person.
    fn tail(&self) -> std::io::Result<String> {
        let mut file = File::open(&self.log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended_well {
            return;
        }
        let _ = self.kill();
        if let Ok(tail) = self.tail() {
            eprintln!("end of {}:\n{tail}", self.log.display());
        }
    }
}

/// Sends the signal of the given name to a process.
pub(crate) fn signal(process: u32, name: &str) -> Result<()> {
    let status = Command::new("sh")
        .args(["-c", r#"kill -s "$0" "$1""#, name, &process.to_string()])
        .status()
        .context("failed to start a shell")?;
    if !status.success() {
        bail!("failed to send SIG{name} to process {process}");
    }
    Ok(())
}
