//! Carries the SDKs, the templates and the interfaces as bytes, so that a project that is started
//! with the binary needs nothing of this repository.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Folders whose files are carried, by their place in the repository.
const CARRIED: [&str; 6] = ["sdk/go", "sdk/js", "sdk/python", "sdk/rust", "sdk/templates", "wit"];

/// What building and testing an SDK leaves behind.
const LEFTOVERS: [&str; 4] = ["__pycache__", "build", "node_modules", "target"];

fn main() -> ExitCode {
    match list() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("cargo::error={why}");
            ExitCode::FAILURE
        }
    }
}

fn list() -> Result<(), String> {
    let variable = |name| env::var_os(name).map(PathBuf::from).ok_or(format!("{name} is not set"));
    let root = variable("CARGO_MANIFEST_DIR")?.join("../..");
    let mut files = Vec::new();
    for folder in CARRIED {
        println!("cargo::rerun-if-changed={}", root.join(folder).display());
        below(&root, Path::new(folder), &mut files)?;
    }
    files.sort();
    let mut text = "&[\n".to_owned();
    for file in files {
        let from = root.join(&file);
        writeln!(text, "    ({file:?}, include_bytes!({from:?})),")
            .map_err(|why| why.to_string())?;
    }
    text.push_str("]\n");
    let to = variable("OUT_DIR")?.join("carried.rs");
    fs::write(&to, text).map_err(|why| format!("cannot write {}: {why}", to.display()))
}

/// Links are left out: what they lead to is carried already.
fn below(root: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let why = |error: std::io::Error| format!("cannot read {}: {error}", folder.display());
    for entry in fs::read_dir(root.join(folder)).map_err(why)? {
        let entry = entry.map_err(why)?;
        let name = entry.file_name();
        let path = folder.join(&name);
        let kind = entry.file_type().map_err(why)?;
        let is_leftover = LEFTOVERS.iter().any(|leftover| name == *leftover);
        if kind.is_dir() && !is_leftover {
            below(root, &path, files)?;
        } else if kind.is_file() {
            files.push(path);
        }
    }
    Ok(())
}
