//! What a component is and asks for, without running any of it.

use std::path::Path;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use sluice_port::imports;
use sluice_wasm::{LoadError, MOST_COMPONENT, Outline};

use crate::error::Error;
use crate::project::Kind;

/// What can be known of a component.
#[derive(Clone, Debug)]
pub struct Facts {
    /// `sha256:` and the digest in hexadecimal.
    pub digest: String,
    /// Its size in bytes.
    pub size: usize,
    /// What it does.
    pub kind: Kind,
    /// The interface that it speaks.
    pub speaks: String,
    /// What it asks of the host by its imports, such as `http`: by an interface of ours, or by
    /// the one of WASI that stands for the same.
    pub asks: Vec<String>,
    /// Other interfaces that it imports.
    pub runtime: Vec<String>,
    /// What it says of itself.
    pub manifest: Map<String, Value>,
}

/// Reads a component.
///
/// # Errors
/// If the controller would refuse it before compiling it.
pub fn inspect(path: &Path) -> Result<Facts, Error> {
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    let refused = |error| Error::Load { path: path.to_owned(), error };
    if bytes.len() > MOST_COMPONENT {
        return Err(refused(LoadError::TooLarge { size: bytes.len() }));
    }
    let outline = Outline::of(&bytes).map_err(refused)?;
    let (asks, runtime) = parted(outline.imports);
    let manifest = outline.manifest.and_then(|text| serde_json::from_str(&text).ok());
    Ok(Facts {
        digest: format!("sha256:{}", hex(&Sha256::digest(&bytes))),
        size: bytes.len(),
        kind: outline.kind.into(),
        speaks: outline.speaks,
        asks,
        runtime,
        manifest: manifest.unwrap_or_default(),
    })
}

/// What is asked of the host, and the other interfaces. What is imported twice, by an interface of
/// ours and by that of WASI, is asked once.
fn parted(imports: Vec<String>) -> (Vec<String>, Vec<String>) {
    let (mut asks, mut runtime) = (Vec::new(), Vec::new());
    for import in imports {
        match imports::asked(&import) {
            Some(what) if asks.iter().any(|asked| asked == what) => {}
            Some(what) => asks.push(what.to_owned()),
            None => runtime.push(import),
        }
    }
    (asks, runtime)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Facts {
    fn text(&self, name: &str) -> &str {
        self.manifest.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// For machines.
    pub fn json(&self) -> Value {
        json!({
            "digest": self.digest,
            "size": self.size,
            "kind": self.kind.in_manifest(),
            "speaks": self.speaks,
            "asks": self.asks,
            "runtime": self.runtime,
            "manifest": self.manifest,
        })
    }
}

/// For people.
impl std::fmt::Display for Facts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self.text("name") {
            "" => "(says no name)",
            name => name,
        };
        writeln!(f, "{name} {}   {}", self.text("version"), self.digest)?;
        if !self.text("description").is_empty() {
            writeln!(f, "{}", self.text("description"))?;
        }
        writeln!(f, "speaks    {}", self.speaks)?;
        writeln!(f, "size      {} KiB", self.size.div_ceil(1024))?;
        let nothing = if self.asks.is_empty() { " nothing" } else { "" };
        writeln!(f, "asks for{nothing}")?;
        let reasons = self.manifest.get("requests").and_then(Value::as_object);
        for what in &self.asks {
            let reason = reasons.and_then(|all| all.get(what)).and_then(Value::as_str);
            let reason = match (what.as_str(), reason) {
                (_, Some(reason)) => format!("\u{ab}{reason}\u{bb}"),
                ("log", None) => "to write log lines".to_owned(),
                (_, None) => "and does not say what for".to_owned(),
            };
            writeln!(f, "  {what:<10}  {reason}")?;
        }
        let grants = ["http", "kubernetes", "secrets"].into_iter().flat_map(|what| {
            let list = self.manifest.get("grants").and_then(|grants| grants.get(what));
            let list = list.and_then(Value::as_array).into_iter().flatten();
            list.map(move |grant| (what, grant))
        });
        let mut title = Some("wants to be granted");
        for (what, grant) in grants {
            if let Some(title) = title.take() {
                writeln!(f, "{title}")?;
            }
            writeln!(f, "  {what:<10}  {grant}")?;
        }
        if !self.runtime.is_empty() {
            writeln!(
                f,
                "runtime   {} interfaces of WASI, behind which is no file and no network",
                self.runtime.len()
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_by_wasi_are_no_part_of_the_runtime() {
        let imports = [
            "wasi:http/types@0.2.6",
            "wasi:http/outgoing-handler@0.2.6",
            "sluice:host/http@0.1.0",
            "wasi:logging/logging@0.1.0-draft",
            "wasi:io/poll@0.2.6",
        ];
        let (asks, runtime) = parted(imports.map(str::to_owned).to_vec());
        assert_eq!(asks, ["http", "log"]);
        assert_eq!(runtime, ["wasi:http/types@0.2.6", "wasi:io/poll@0.2.6"]);
    }
}
