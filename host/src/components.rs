//! The components that come with the binary, and those of a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use sluice_bundled::BUNDLED;
use sluice_wasm::{ComponentHost, Event, Folder, HostConfig, Origin};

/// Variables of the controller's environment that a component may see, by its name: those with
/// which Argo Rollouts is configured.
const VARIABLES: &[(&str, &str)] = &[
    ("prometheus", "ARGO_ROLLOUTS_PROMETHEUS_ADDRESS"),
    ("prometheus", "AWS_ACCESS_KEY_ID"),
    ("prometheus", "AWS_REGION"),
    ("prometheus", "AWS_SECRET_ACCESS_KEY"),
    ("prometheus", "AWS_SESSION_TOKEN"),
];

/// What components see of the environment.
pub fn variables() -> BTreeMap<String, Vec<(String, String)>> {
    let mut seen: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for (component, name) in VARIABLES {
        if let Ok(value) = std::env::var(name) {
            seen.entry((*component).to_owned()).or_default().push(((*name).to_owned(), value));
        }
    }
    seen
}

/// Which components a command asks.
#[derive(clap::Args, Debug)]
pub struct ComponentArgs {
    /// Components that add to the bundled ones or take their place: NAME.wasm.
    #[arg(long, value_name = "DIR")]
    pub plugins_dir: Option<PathBuf>,
    /// Where compiled components are kept. Default: the user's cache folder.
    #[arg(long, value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,
}

impl ComponentArgs {
    /// A host with the bundled components and those of the folder. `config` says what is of this
    /// command: what carries requests, and the clock.
    ///
    /// # Errors
    /// A component that does not load.
    pub async fn host(&self, mut config: HostConfig) -> anyhow::Result<ComponentHost> {
        config.cache_dir = self.cache_dir.clone().or_else(default_cache);
        config.variables = variables();
        let host = ComponentHost::new(config)?;
        install_bundled(&host).await?;
        if let Some(dir) = &self.plugins_dir {
            install_folder(&host, dir).await?;
        }
        Ok(host)
    }
}

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

/// Install the components of a folder for one command, and say what they are.
///
/// # Errors
/// A file that is no component, since the command would not show what was asked for.
async fn install_folder(host: &ComponentHost, dir: &Path) -> anyhow::Result<()> {
    for event in Folder::new(host.clone(), dir.to_path_buf()).load_once().await {
        eprintln!("{}", words(&event));
        if let Event::Refused { path, .. } = event {
            bail!("{} cannot be used", path.display());
        }
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

/// `$XDG_CACHE_HOME/sluice/components`, or the same below `~/.cache`.
pub fn default_cache() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let base = set("XDG_CACHE_HOME").map(PathBuf::from);
    let base = base.or_else(|| Some(PathBuf::from(set("HOME")?).join(".cache")))?;
    Some(base.join("sluice").join("components"))
}
