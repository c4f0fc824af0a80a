//! From what a language's compiler makes to a component that says what it is.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

use crate::carried;
use crate::error::Error;
use crate::project::{Kind, Project, Request};

/// The section in which a component says what it is.
const MANIFEST: &str = "sluice:manifest";
/// The name of the world that is made for a project.
pub(crate) const WORLD: &str = "plugin";
const PACKAGE: &str = "sluice:project@0.1.0";

/// The world of a project: what it asks for, and no more. Interpreters import every interface of
/// their world, so a wider one would ask for what nobody needs.
pub(crate) fn world(project: &Project) -> String {
    let mut text = format!("package {PACKAGE};\n\nworld {WORLD} {{\n");
    let asked: BTreeSet<Request> = project.requests.keys().copied().collect();
    for request in asked {
        text.push_str(&format!("  import sluice:host/{request}@0.1.0;\n"));
    }
    text.push_str("  import sluice:host/log@0.1.0;\n");
    text.push_str(match project.kind {
        Kind::Metric => "  export sluice:metric/provider@0.1.0;\n",
        Kind::Router => "  export sluice:traffic/router@0.1.0;\n",
        Kind::Step => "  export sluice:step/step@0.1.0;\n",
        Kind::Notifier => "  export sluice:notifier/delivery@0.1.0;\n",
    });
    text.push_str("}\n");
    text
}

/// Writes the interfaces and the project's world into a folder, for the tools of a language.
pub(crate) fn write_wit(project: &Project, folder: &Path) -> Result<(), Error> {
    for (path, bytes) in carried::below("wit") {
        if path.starts_with("deps/") {
            write(&folder.join(path), bytes)?;
        }
    }
    write(&folder.join("world.wit"), world(project).as_bytes())
}

/// Writes a file, with the folders on the way.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(Error::io("make", folder))?;
    }
    std::fs::write(path, bytes).map_err(Error::io("write", path))
}

/// Wraps a core module for WASI preview 1 into a component of the project's world.
pub(crate) fn wrap(project: &Project, module: &[u8], wit: &Path) -> Result<Vec<u8>, Error> {
    let failed = |why: String| Error::NotComponent { language: project.language.name(), why };
    wrapped(module, wit).map_err(|why| failed(format!("{why:#}")))
}

fn wrapped(module: &[u8], wit: &Path) -> anyhow::Result<Vec<u8>> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(wit)?;
    let world = resolve.select_world(&[package], Some(WORLD))?;
    let mut module = module.to_vec();
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    ComponentEncoder::default()
        .module(&module)?
        .adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER)?
        .validate(true)
        .encode()
}

/// A component that says `manifest` of itself. Whoever reads it takes the last one.
pub(crate) fn describe(mut component: Vec<u8>, manifest: &Value) -> Vec<u8> {
    let text = manifest.to_string();
    let mut content = Vec::new();
    number(MANIFEST.len(), &mut content);
    content.extend_from_slice(MANIFEST.as_bytes());
    content.extend_from_slice(text.as_bytes());
    // A custom section has the number 0, and may follow anything.
    component.push(0);
    number(content.len(), &mut component);
    component.extend_from_slice(&content);
    component
}

/// LEB128, as lengths are written in WebAssembly.
fn number(mut left: usize, out: &mut Vec<u8>) {
    loop {
        let low = (left & 0x7f) as u8;
        left >>= 7;
        if left == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use wasmparser::{Parser, Payload};

    #[test]
    fn a_manifest_can_be_read_again() {
        let empty = [0, b'a', b's', b'm', 0x0d, 0, 1, 0];
        let manifest = json!({"name": "a", "description": "x".repeat(300)});
        let bytes = describe(empty.to_vec(), &manifest);
        let found = Parser::new(0).parse_all(&bytes).find_map(|payload| match payload.unwrap() {
            Payload::CustomSection(section) if section.name() == MANIFEST => {
                Some(serde_json::from_slice::<Value>(section.data()).unwrap())
            }
            _ => None,
        });
        assert_eq!(found, Some(manifest));
    }
}
