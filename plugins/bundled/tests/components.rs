//! What is bundled are components for this controller, which ask for no more than they need.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use serde_json::Value;
use sluice_bundled::BUNDLED;
use wasmparser::{Parser, Payload};

/// The largest that a bundled component may be, in bytes.
const MOST: usize = 400 << 10;

#[derive(Default)]
struct Shape {
    imports: Vec<String>,
    exports: Vec<String>,
    manifest: Value,
}

fn shape(bytes: &[u8]) -> Shape {
    let mut shape = Shape::default();
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.unwrap() {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(imports) if depth == 0 => {
                shape.imports.extend(imports.into_iter().map(|i| i.unwrap().name.name.to_owned()));
            }
            Payload::ComponentExportSection(exports) if depth == 0 => {
                shape.exports.extend(exports.into_iter().map(|e| e.unwrap().name.name.to_owned()));
            }
            Payload::CustomSection(section) if section.name() == "sluice:manifest" => {
                shape.manifest = serde_json::from_slice(section.data()).unwrap();
            }
            _ => {}
        }
    }
    shape
}

fn expected(name: &str) -> (&'static str, &'static str, &'static [&'static str]) {
    match name {
        "prometheus" => {
            ("metric-provider", "sluice:metric/provider@0.1.0", &["sluice:host/http@0.1.0"])
        }
        _ => ("traffic-router", "sluice:traffic/router@0.1.0", &[]),
    }
}

#[test]
fn each_is_what_it_says() {
    let names: Vec<&str> = BUNDLED.iter().map(|bundled| bundled.name).collect();
    assert_eq!(names, ["prometheus", "nginx", "istio"]);
    for bundled in BUNDLED {
        let (kind, export, imports) = expected(bundled.name);
        let shape = shape(bundled.bytes);
        assert_eq!(shape.exports, [export], "{}", bundled.name);
        assert_eq!(shape.manifest["name"], format!("sluice-plugin-{}", bundled.name));
        assert_eq!(shape.manifest["kind"], kind);
        let ours: Vec<&String> =
            shape.imports.iter().filter(|name| name.starts_with("sluice:")).collect();
        // `sluice:plugin/types` has types alone, so there is nothing to ask for.
        let asked: Vec<&str> = ours
            .into_iter()
            .map(String::as_str)
            .filter(|name| !name.ends_with("/types@0.1.0"))
            .collect();
        assert_eq!(asked, imports, "{}", bundled.name);
    }
}

#[test]
fn each_is_small() {
    for bundled in BUNDLED {
        let size = bundled.bytes.len();
        assert!(size < MOST, "{} has {size} bytes", bundled.name);
    }
}
