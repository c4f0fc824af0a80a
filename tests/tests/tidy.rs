//! What must stay true of the repository: which crate may know which, and what source may say.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn metadata() -> Value {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The names of all dependencies of every crate of ours: direct ones, build ones included,
/// those of tests left out.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let ours = packages.iter().filter(|package| package["source"].is_null());
    ours.map(|package| {
        let all = package["dependencies"].as_array().unwrap().iter();
        let kept = all.filter(|dependency| dependency["kind"] != "dev");
        let names = kept.map(|dependency| dependency["name"].as_str().unwrap().to_owned());
        (package["name"].as_str().unwrap().to_owned(), names.collect())
    })
    .collect()
}

/// Everything that a crate of ours reaches, through crates of ours.
fn reached(all: &BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut left = vec![from.to_owned()];
    while let Some(name) = left.pop() {
        for dependency in all.get(&name).into_iter().flatten() {
            if reached.insert(dependency.clone()) {
                left.push(dependency.clone());
            }
        }
    }
    reached
}

#[test]
fn the_core_depends_on_nothing() {
    let all = dependencies();
    assert_eq!(all["sluice-core"], BTreeSet::new());
    assert_eq!(all["sluice-port"], BTreeSet::new());
    assert_eq!(all["sluice-engine"], BTreeSet::from(["sluice-core".to_owned()]));
}

#[test]
fn forbidden_edges_do_not_exist() {
    let all = dependencies();
    // Who must not reach whom, and why.
    let forbidden = [
        ("sluice-kube", "sluice-wasm", "the shells meet in the binary only"),
        ("sluice-kube", "wasmtime", "the shells meet in the binary only"),
        ("sluice-wasm", "sluice-kube", "the shells meet in the binary only"),
        ("sluice-wasm", "kube", "components know no cluster"),
        ("sluice-sim", "sluice-kube", "the simulator needs no cluster"),
        ("sluice-sim", "sluice-wasm", "the swarm must not wait for a compiler"),
        ("sluice-sim", "kube", "the simulator needs no cluster"),
        ("sluice-sim", "tokio", "virtual time has no executor"),
        ("sluice-wire", "kube", "the door is pure"),
        ("sluice-wire", "tokio", "the door is pure"),
        ("sluice-api", "tokio", "types are cheap to use"),
        ("sluice-view", "kube", "the view is given what it shows"),
        ("sluice-plugins", "kube", "what decides on Plugins needs no cluster"),
        ("sluice-plugins", "sluice-wasm", "what decides on Plugins needs no compiler"),
        ("sluice-plugins", "tokio", "what decides on Plugins is pure"),
        ("sluice-sdk", "sluice-port", "authors of plugins depend on the interfaces alone"),
        ("sluice-tests", "wasmtime", "the swarm must not wait for a compiler"),
    ];
    for (from, to, why) in forbidden {
        assert!(all.contains_key(from), "{from} is no crate of ours");
        assert!(!reached(&all, from).contains(to), "{from} reaches {to}: {why}");
    }
    for (name, dependencies) in &all {
        let wasmtime = dependencies.iter().any(|dependency| dependency.starts_with("wasmtime"));
        assert!(!wasmtime || name == "sluice-wasm", "{name} names the WebAssembly engine");
    }
}

fn sources(dir: &Path, end: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && name != "target" {
                sources(&path, end, found);
            }
        } else if name.ends_with(end) {
            found.push(path);
        }
    }
}

#[test]
fn the_pure_crates_read_no_clock_and_no_environment() {
    let banned = [
        "SystemTime",
        "Instant::now",
        "std::env",
        "std::fs",
        "std::net",
        "HashMap",
        "HashSet",
        "std::thread",
    ];
    for pure in ["host/core/src", "host/engine/src"] {
        let mut files = Vec::new();
        sources(&root().join(pure), ".rs", &mut files);
        assert!(!files.is_empty());
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            for word in banned {
                assert!(!text.contains(word), "{} mentions {word}", file.display());
            }
        }
    }
}

#[test]
fn source_files_fit_a_sitting() {
    let mut files = Vec::new();
    sources(&root(), ".rs", &mut files);
    let long: Vec<_> = files
        .iter()
        .map(|file| (std::fs::read_to_string(file).unwrap().lines().count(), file))
        .filter(|(lines, _)| *lines > 600)
        .collect();
    assert!(long.is_empty(), "more than 600 lines: {long:?}");
}

#[test]
fn only_the_six_folders_stand_at_the_top() {
    let known = ["host", "wit", "plugins", "sdk", "tests", "examples", "target"];
    for entry in std::fs::read_dir(root()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') {
            assert!(known.contains(&name.as_str()), "{name} is not one of the six folders");
        }
    }
}

#[test]
fn no_path_of_a_machine_is_in_the_tree() {
    let mut files = Vec::new();
    for end in [".rs", ".toml", ".md", ".sh", ".yaml", ".go", ".wit", "Makefile"] {
        sources(&root(), end, &mut files);
    }
    let words = [concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/ho", "me/")];
    for file in files {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        for word in words {
            assert!(!text.contains(word), "{} mentions {word}", file.display());
        }
    }
}

/// A table that names tests which are gone would promise what nobody looks at.
#[test]
fn every_test_that_the_parity_table_names_exists() {
    let table = std::fs::read_to_string(root().join("tests/parity/README.md")).unwrap();
    let shown = table.split("\n## ").next().unwrap();
    let listed = Command::new("git")
        .args(["grep", "-hoE", r"fn [a-z_0-9]+\(", "--", "*.rs"])
        .current_dir(root())
        .output()
        .unwrap();
    let known = String::from_utf8(listed.stdout).unwrap();
    let known: BTreeSet<_> =
        known.lines().map(|line| line["fn ".len()..].trim_end_matches('(')).collect();
    assert!(known.len() > 1000, "the sources were not found");
    let rows = shown.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| rule"));
    let mut missing = Vec::new();
    for row in rows {
        let tests = row.trim_end_matches('|').rsplit('|').next().unwrap();
        let named: Vec<_> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "no test in: {row}");
        missing.extend(named.into_iter().filter(|name| !known.contains(name)));
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
