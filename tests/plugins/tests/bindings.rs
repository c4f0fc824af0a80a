//! The generated part of the SDK for Go is that of the interfaces. `UPDATE=1` writes it anew.
#![expect(clippy::unwrap_used, reason = "helpers of tests may")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_go::Opts;

const MODULE: &str = "sluice.dev/sdk/internal/wit";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What the generator and `gofmt` make of the interfaces that the SDK uses.
fn generated() -> BTreeMap<PathBuf, String> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(root().join("wit")).unwrap();
    // One module for every kind of plugin: what a component does not export is dropped when it is
    // made, and what it does not call is never imported.
    let world = resolve.select_world(&[package], Some("everything")).unwrap();
    let options = Opts { pkg_name: Some(MODULE.to_owned()), ..Opts::default() };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files).unwrap();
    let kept = files.iter().filter(|(name, _)| !name.contains("kubernetes"));
    kept.map(|(name, bytes)| (PathBuf::from(name), String::from_utf8(bytes.to_vec()).unwrap()))
        .collect()
}

#[test]
fn the_go_bindings_are_those_of_the_interfaces() {
    let folder = root().join("sdk/go/internal/wit");
    let mut stale = Vec::new();
    for (name, text) in generated() {
        let path = folder.join(&name);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        if std::fs::read_to_string(&path).ok().as_deref() != Some(text.as_str()) {
            stale.push(name);
        }
    }
    assert!(stale.is_empty(), "{stale:?} are not of these interfaces; run this with UPDATE=1");
}
