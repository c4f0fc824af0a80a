//! The command line under test: the binary of the controller, as a person runs it.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{Namespace, controller::binary};

/// Runs `sluice` with `arguments` in `namespace`, and returns what it printed.
///
/// # Errors
///
/// When it fails, with its exit code and what it wrote to standard error.
pub async fn sluice(namespace: &Namespace, arguments: &[&str]) -> Result<String> {
    let what = format!("sluice {}", arguments.join(" "));
    let mut command = Command::new(binary().await?);
    command.args(arguments).args(["--namespace", namespace.name()]);
    command.envs(namespace.cluster().environment()?);
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await?.with_context(|| format!("failed to start {what}"))?;
    if !output.status.success() {
        let code = output.status.code().unwrap_or(-1);
        bail!("{what} ended with {code}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}
