//! Builds the bundled plugins for WebAssembly, with the profile `component`.
//!
//! A cargo within cargo does it, in a target directory of its own: the outer one holds the lock of
//! its own directory until this script is done.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The plugins by name: the folder `plugins/<name>` with the package `sluice-plugin-<name>`.
const PLUGINS: [&str; 3] = ["prometheus", "nginx", "istio"];

const TARGET: &str = "wasm32-wasip2";

/// Set for the outer build, and wrong for the inner one: its flags are for another target, its
/// wrapper may be one that only checks.
const NOT_INHERITED: [&str; 9] = [
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
];

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("cargo::error={why}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    let root = variable("CARGO_MANIFEST_DIR")?.join("../..");
    watch(&root);
    check_target()?;
    let out = variable("OUT_DIR")?;
    let components = target_dir(&out).join("components");
    compile(&root, &components)?;
    collect(&components.join(TARGET).join("component"), &out)
}

fn watch(root: &Path) {
    let mut paths = vec!["Cargo.toml", "Cargo.lock", "wit", "sdk/rust/src", "sdk/rust/Cargo.toml"]
        .into_iter()
        .map(|path| root.join(path))
        .collect::<Vec<_>>();
    for plugin in PLUGINS {
        paths.push(root.join("plugins").join(plugin).join("src"));
        paths.push(root.join("plugins").join(plugin).join("Cargo.toml"));
    }
    for path in paths {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    println!("cargo::rerun-if-changed=build.rs");
}

/// Cargo's own message for a target that is not installed is that a crate named `core` is missing.
fn check_target() -> Result<(), String> {
    let rustc = variable("RUSTC")?;
    let output = Command::new(&rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .map_err(|why| format!("cannot run {}: {why}", rustc.display()))?;
    let folder = String::from_utf8_lossy(&output.stdout);
    match output.status.success() && Path::new(folder.trim()).is_dir() {
        true => Ok(()),
        false => Err(format!(
            "the bundled plugins need the target {TARGET}, which is not installed; run: \
             rustup target add {TARGET}"
        )),
    }
}

/// The target directory of the outer build, which all of its profiles share. Cargo puts a
/// `CACHEDIR.TAG` there.
fn target_dir(out: &Path) -> &Path {
    out.ancestors().find(|path| path.join("CACHEDIR.TAG").is_file()).unwrap_or(out)
}

fn compile(root: &Path, target_dir: &Path) -> Result<(), String> {
    let mut cargo = Command::new(variable("CARGO")?);
    cargo
        .current_dir(root)
        .args(["build", "--locked", "--lib", "--profile", "component", "--target", TARGET])
        .arg("--target-dir")
        .arg(target_dir);
    for plugin in PLUGINS {
        cargo.args(["--package", &format!("sluice-plugin-{plugin}")]);
    }
    for name in NOT_INHERITED {
        cargo.env_remove(name);
    }
    let output = cargo.output().map_err(|why| format!("cannot run cargo: {why}"))?;
    if output.status.success() {
        return Ok(());
    }
    // Lines of a build script's output are shown only if they are errors.
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        println!("cargo::error={line}");
    }
    Err("the bundled plugins do not build".to_owned())
}

/// Copies the components to `out`, and writes the list of them as Rust.
fn collect(built: &Path, out: &Path) -> Result<(), String> {
    let mut list = "&[\n".to_owned();
    for plugin in PLUGINS {
        let from = built.join(format!("sluice_plugin_{plugin}.wasm"));
        let to = out.join(format!("{plugin}.wasm"));
        fs::copy(&from, &to).map_err(|why| format!("cannot copy {}: {why}", from.display()))?;
        let line = format!(
            "    Bundled {{ name: {plugin:?}, bytes: include_bytes!(concat!(env!(\"OUT_DIR\"), \
             \"/{plugin}.wasm\")) }},"
        );
        writeln!(list, "{line}").map_err(|why| why.to_string())?;
    }
    list.push_str("]\n");
    let path = out.join("bundled.rs");
    fs::write(&path, list).map_err(|why| format!("cannot write {}: {why}", path.display()))
}

fn variable(name: &str) -> Result<PathBuf, String> {
    env::var_os(name).map(PathBuf::from).ok_or_else(|| format!("{name} is not set"))
}
