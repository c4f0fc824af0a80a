//! The commands of the binary, as users type them.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use crate::{Namespace, controller::binary};

/// Runs `sluice` with `arguments` in the namespace, and returns whether it ended well and what it
/// printed, errors last.
///
/// # Errors
///
/// When the binary cannot be built or started.
pub async fn sluice(namespace: &Namespace, arguments: &[&str]) -> Result<(bool, String)> {
    let mut command = Command::new(binary().await?);
    command.args(arguments).args(["--namespace", namespace.name()]);
    command.envs(namespace.cluster().environment()?).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await?;
    let output = output.context("failed to start sluice")?;
    let printed = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8(printed)?))
}
