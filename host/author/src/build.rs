//! From a project to a component.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use serde_json::Value;

use crate::component::{WORLD, describe, wrap, write, write_wit};
use crate::error::Error;
use crate::pins;
use crate::project::{FILE, Kind, Language, Project};
use crate::tools::{self, Say, run};

/// Folders in which no source is.
const NOT_SOURCES: [&str; 6] = ["__pycache__", "build", "cases", "dist", "node_modules", "target"];

/// What was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The component.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: usize,
}

/// Builds the component of a project, into its folder `build`. Toolchains that can be fetched by a
/// package manager are, once.
///
/// # Errors
/// If a tool is missing or the sources do not build.
pub fn build(project: &Project, say: Say<'_>) -> Result<Built, Error> {
    let output = project.output();
    std::fs::create_dir_all(&output).map_err(Error::io("make", &output))?;
    let wit = output.join("wit");
    write_wit(project, &wit)?;
    let bytes = match project.language {
        Language::Rust => rust(project)?,
        Language::Go => go(project, &wit)?,
        Language::Js => js(project, &wit, say)?,
        Language::Python => python(project, &wit, say)?,
    };
    let bytes = describe(bytes, &project.manifest());
    let path = project.component();
    write(&path, &bytes)?;
    Ok(Built { path, size: bytes.len() })
}

/// Builds it unless that was done after the last change of a source.
///
/// # Errors
/// As [`build`].
pub fn build_if_older(project: &Project, say: Say<'_>) -> Result<PathBuf, Error> {
    let path = project.component();
    let made = std::fs::metadata(&path).and_then(|metadata| metadata.modified()).ok();
    let mut changed = None;
    newest(&project.folder, &mut changed)?;
    if made.is_none() || made < changed {
        say(&format!("building {}", project.name));
        build(project, say)?;
    }
    Ok(path)
}

fn newest(folder: &Path, found: &mut Option<SystemTime>) -> Result<(), Error> {
    let entries = std::fs::read_dir(folder).map_err(Error::io("read", folder))?;
    for entry in entries {
        let entry = entry.map_err(Error::io("read", folder))?;
        let name = entry.file_name();
        let hidden = name.as_encoded_bytes().starts_with(b".");
        if hidden || NOT_SOURCES.iter().any(|other| name == *other) {
            continue;
        }
        let path = entry.path();
        if path.is_dir() {
            newest(&path, found)?;
        } else if let Ok(changed) = entry.metadata().and_then(|metadata| metadata.modified()) {
            *found = (*found).max(Some(changed));
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(Error::io("read", path))
}

fn wrong(project: &Project, why: &str) -> Error {
    Error::NotComponent { language: project.language.name(), why: why.to_owned() }
}

fn rust(project: &Project) -> Result<Vec<u8>, Error> {
    tools::rust()?;
    let mut cargo = Command::new("cargo");
    cargo.current_dir(&project.folder).args([
        "build",
        "--release",
        "--lib",
        "--target",
        pins::RUST_TARGET,
        "--message-format=json-render-diagnostics",
    ]);
    // A cargo that runs this one sets them for its own build, which is for another target.
    for name in ["CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS", "CARGO_BUILD_TARGET", "RUSTC_WRAPPER"] {
        cargo.env_remove(name);
    }
    let messages = run(&mut cargo)?;
    let last = messages.lines().rev().find_map(made_by_cargo);
    let path = last.ok_or_else(|| {
        wrong(project, "cargo made no .wasm; Cargo.toml needs [lib] with crate-type = [\"cdylib\"]")
    })?;
    read(&path)
}

/// The WebAssembly file that a message of cargo tells of.
fn made_by_cargo(line: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message["reason"] != "compiler-artifact" {
        return None;
    }
    let files = message["filenames"].as_array()?;
    let wasm = files.iter().filter_map(Value::as_str).find(|name| name.ends_with(".wasm"))?;
    Some(PathBuf::from(wasm))
}

fn go(project: &Project, wit: &Path) -> Result<Vec<u8>, Error> {
    tools::go()?;
    let module = project.output().join("module.wasm");
    let out = module.canonicalize().unwrap_or_else(|_| absolute(&module));
    run(Command::new("go")
        .current_dir(&project.folder)
        .env("GOOS", "wasip1")
        .env("GOARCH", "wasm")
        .env("GOFLAGS", "-mod=mod")
        // The sums of what the SDK needs are in the SDK, so nobody has to be asked for them.
        .env("GONOSUMDB", "go.bytecodealliance.org")
        .args([
            "build",
            "-trimpath",
            "-buildmode=c-shared",
            "-ldflags=-s -w -checklinkname=0",
            "-o",
        ])
        .arg(&out)
        .arg("."))?;
    wrap(project, &read(&module)?, wit)
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// What makes the author's module a component's, in Python.
fn python_entry(kind: Kind) -> String {
    let module = match kind {
        // No project of this kind opens, as there is no SDK for it.
        Kind::Notifier => "component_notifier",
        Kind::Metric => "component",
        Kind::Router => "component_router",
        Kind::Step => "component_step",
    };
    format!("import plugin\nfrom sluice_sdk.{module} import *\n")
}

fn python(project: &Project, wit: &Path, say: Say<'_>) -> Result<Vec<u8>, Error> {
    let tool = tools::componentize_py(say)?;
    let entry = project.output().join("python");
    write(&entry.join("sluice_entry.py"), python_entry(project.kind).as_bytes())?;
    let out = project.output().join("python.wasm");
    let mut command = Command::new(tool);
    command.arg("--wit-path").arg(wit);
    command.args(["--world", WORLD, "--quiet", "componentize", "sluice_entry"]);
    command.arg("--python-path").arg(&entry).arg("--python-path").arg(&project.folder);
    // While it is built the program sees these folders and nothing else, so a link that leads
    // out of them would lead nowhere.
    if let Ok(sdk) = project.folder.join("sluice_sdk").canonicalize()
        && let Some(parent) = sdk.parent()
    {
        command.arg("--python-path").arg(parent);
    }
    command.arg("--output").arg(&out);
    // A virtual environment of the author's would come along as a whole.
    command.env_remove("VIRTUAL_ENV").env("RUST_BACKTRACE", "0").env("RUST_LIB_BACKTRACE", "0");
    run(&mut command)?;
    read(&out)
}

/// The script that bundles and componentizes, in JavaScript.
const JS_BUILD: &str = include_str!("build.mjs");

fn js(project: &Project, wit: &Path, say: Say<'_>) -> Result<Vec<u8>, Error> {
    let modules = tools::node_modules(say)?;
    let output = absolute(&project.output());
    let script = output.join("build.mjs");
    write(&script, JS_BUILD.as_bytes())?;
    let asked: Vec<_> = project.requests.keys().map(|request| request.name()).collect();
    run(Command::new("node")
        .arg(&script)
        .current_dir(&project.folder)
        .env("SLUICE_NODE_MODULES", modules)
        .env("SLUICE_WIT", absolute(wit))
        .env("SLUICE_WORLD", WORLD)
        .env("SLUICE_KIND", project.kind.name())
        .env("SLUICE_REQUESTS", asked.join(","))
        .env("SLUICE_OUT", output.join("js.wasm")))?;
    read(&output.join("js.wasm"))
}

/// Whether a path is a project's folder.
pub fn is_project(path: &Path) -> bool {
    path.join(FILE).is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_file_of_cargo_is_found() {
        let line = r#"{"reason":"compiler-artifact","filenames":["/t/a.rlib","/t/a.wasm"]}"#;
        assert_eq!(made_by_cargo(line), Some(PathBuf::from("/t/a.wasm")));
        assert_eq!(made_by_cargo(r#"{"reason":"build-finished","success":true}"#), None);
        assert_eq!(made_by_cargo("   Compiling a"), None);
    }

    #[test]
    fn cases_and_what_was_built_are_no_sources() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["build/a.wasm", "cases/a.yaml", ".git/x"] {
            write(&folder.path().join(file), b"").unwrap();
        }
        let mut found = None;
        newest(folder.path(), &mut found).unwrap();
        assert_eq!(found, None);
        write(&folder.path().join("src/lib.rs"), b"").unwrap();
        newest(folder.path(), &mut found).unwrap();
        assert!(found.is_some());
    }
}
