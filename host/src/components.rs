//! The components that come with the binary, and those of a folder.

use std::path::Path;

use anyhow::Context as _;
use sluice_bundled::BUNDLED;
use sluice_wasm::ComponentHost;
use sluice_wasm::dir::{Event, Fallback, Folder};

/// Install every bundled component.
///
/// # Errors
/// A bundled component that does not load is a defect of the build.
pub async fn install_bundled(host: &ComponentHost) -> anyhow::Result<()> {
    for bundled in BUNDLED {
        host.install(bundled.name, bundled.bytes.to_vec(), "bundled")
            .await
            .with_context(|| format!("bundled component {}", bundled.name))?;
    }
    Ok(())
}

/// A folder of components that add to the bundled ones or take their place.
pub fn folder(host: &ComponentHost, dir: &Path) -> Folder {
    let fallbacks = BUNDLED.iter().map(|bundled| Fallback {
        name: bundled.name.to_owned(),
        bytes: bundled.bytes.to_vec(),
    });
    Folder::new(host.clone(), dir.to_owned(), fallbacks.collect())
}

/// What came of a file, as a sentence.
pub fn words(event: &Event) -> String {
    match event {
        Event::Installed(info) => format!(
            "{} {} installed from {} ({}, {})",
            info.kind.name(),
            info.name,
            info.origin,
            info.digest,
            info.speaks
        ),
        Event::Refused { path, error } => {
            format!("{} is not used, and nothing changes: {error}", path.display())
        }
        Event::Removed { name } => format!("the file of component {name} is gone"),
    }
}
