//! The components that come with the binary, and those of a folder.

use anyhow::Context as _;
use sluice_bundled::BUNDLED;
use sluice_wasm::{ComponentHost, Event, Origin};

/// Install every bundled component.
///
/// # Errors
/// A bundled component that does not load is a defect of the build.
pub async fn install_bundled(host: &ComponentHost) -> anyhow::Result<()> {
    for bundled in BUNDLED {
        host.install(bundled.name, bundled.bytes.to_vec(), Origin::Bundled)
            .await
            .with_context(|| format!("bundled component {}", bundled.name))?;
    }
    Ok(())
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
            info.interface
        ),
        Event::Refused { path, error } => {
            format!("{} is not used, and nothing changes: {error}", path.display())
        }
        Event::Removed { name } => format!("the file of component {name} is gone"),
    }
}
