//! Where things are: the sources, the binaries, and the folder of this run.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use anyhow::{Context as _, Result, bail};

/// The folder of the workspace's `Cargo.toml`.
pub fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The folder in the target folder that the test binaries of this profile are
/// built to, such as `target/debug`.
fn profile_folder() -> Result<PathBuf> {
    let test = std::env::current_exe().context("failed to find this test's own binary")?;
    // A test is `PROFILE/deps/NAME-HASH`, a program `PROFILE/NAME`.
    let mut folders = test.ancestors().skip(1);
    folders
        .find(|folder| !folder.ends_with("deps"))
        .map(Path::to_owned)
        .with_context(|| format!("{} is not in a target folder", test.display()))
}

/// The target folder of the running test.
fn target_folder() -> Result<PathBuf> {
    let profile = profile_folder()?;
    Ok(profile.parent().context("the target folder is the root folder")?.to_owned())
}

/// Runs cargo in `folder` with its target folder at `target`.
fn cargo(folder: &Path, target: &Path, arguments: &[&str]) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(arguments).arg("--target-dir").arg(target).current_dir(folder);
    if arguments.contains(&"--target") {
        // Those of the cargo that runs the tests are for another target.
        command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    }
    let status = command.status().context("failed to start cargo")?;
    if !status.success() {
        bail!("failed to build in {}: cargo ended with {status}", folder.display());
    }
    Ok(())
}

/// Builds the binary `name` of `package` into the target folder of the running
/// test, and returns its path. Costs little when there is nothing to build.
///
/// # Errors
///
/// When cargo cannot be started or fails; the reason is on standard error.
pub fn cargo_build(package: &str, name: &str) -> Result<PathBuf> {
    let target = target_folder()?;
    cargo(&workspace_root(), &target, &["build", "--quiet", "--package", package, "--bin", name])?;
    Ok(target.join("debug").join(name))
}

/// Builds the component of the example `name` in Rust, and returns its path. Costs little when
/// there is nothing to build.
///
/// # Errors
///
/// When cargo cannot be started or fails; the reason is on standard error.
pub fn build_example(name: &str) -> Result<PathBuf> {
    let target = target_folder()?.join("examples");
    let folder = workspace_root().join("examples/plugins").join(name);
    let words = ["build", "--quiet", "--release", "--lib", "--locked", "--target", EXAMPLE_TARGET];
    cargo(&folder, &target, &words)?;
    let file = format!("{}.wasm", name.replace('-', "_"));
    Ok(target.join(EXAMPLE_TARGET).join("release").join(file))
}

const EXAMPLE_TARGET: &str = "wasm32-wasip2";

/// A folder for the logs and the data of this test process, in the target
/// folder: `e2e/PID`. Folders of test processes that have ended are removed
/// when a new one is made, so the last run's logs stay.
///
/// # Errors
///
/// When the folder cannot be made.
pub fn run_folder() -> Result<&'static Path> {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    if let Some(folder) = FOLDER.get() {
        return Ok(folder);
    }
    let profile = profile_folder()?;
    let parent = profile.parent().unwrap_or(&profile).join("e2e");
    sweep(&parent);
    let folder = parent.join(std::process::id().to_string());
    fs::create_dir_all(&folder).with_context(|| format!("failed to make {}", folder.display()))?;
    Ok(FOLDER.get_or_init(|| folder))
}

/// Removes the folders of runs whose process is gone. One that cannot be
/// removed is left: it is only a log.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        // What is not named after a process is not ours to remove.
        let ours = name.to_str().is_some_and(|name| name.parse::<u32>().is_ok());
        if ours && !Path::new("/proc").join(&name).exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The folder in the user's cache for what is too large to be built or
/// downloaded for each run.
pub(crate) fn cache_folder() -> Result<PathBuf> {
    let cache = match std::env::var_os("XDG_CACHE_HOME") {
        Some(cache) => PathBuf::from(cache),
        None => {
            let home =
                std::env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?;
            PathBuf::from(home).join(".cache")
        }
    };
    Ok(cache.join("sluice"))
}

/// A TCP port on the loopback interface that was free a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    let listener =
        std::net::TcpListener::bind("127.0.0.1:0").context("failed to find a free port")?;
    Ok(listener.local_addr()?.port())
}
