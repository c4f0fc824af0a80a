//! A router that differs from the bundled nginx in what it writes, so that it shows who wrote.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use sluice_bundled::BUNDLED;

const PREFIX: &str = "nginx.ingress.kubernetes.io";
/// As long as the one that it takes the place of.
const OTHER_PREFIX: &str = "other.ingress.kubernetes.io";

/// The bundled router nginx, built with another prefix for its annotations: the same program with
/// other bytes for the constant.
pub fn other_nginx() -> Result<Vec<u8>> {
    let bundled = BUNDLED.iter().find(|component| component.name == "nginx");
    let mut bytes = bundled.context("nginx is not bundled")?.bytes.to_vec();
    let places: Vec<usize> =
        (0..bytes.len()).filter(|at| bytes[*at..].starts_with(PREFIX.as_bytes())).collect();
    ensure!(!places.is_empty(), "the prefix is not found in the component");
    for place in places {
        bytes[place..place + PREFIX.len()].copy_from_slice(OTHER_PREFIX.as_bytes());
    }
    Ok(bytes)
}

/// The canary's weights under each of the two prefixes, in the order in which they were written.
pub fn weights(ingress: &Value) -> Option<(Option<String>, Option<String>)> {
    let weight = |prefix: &str| {
        let path = format!("/metadata/annotations/{prefix}~1canary-weight");
        ingress.pointer(&path).and_then(Value::as_str).map(str::to_owned)
    };
    Some((weight(PREFIX), weight(OTHER_PREFIX)))
}
