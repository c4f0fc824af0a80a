//! Components in a folder: `NAME.wasm` adds the component NAME, or takes the place of the bundled
//! one of that name and kind, while the controller runs. `ORG/NAME.wasm` is the component
//! ORG/NAME.
//!
//! `NAME.grants.json` beside it says what it may do; see [`Grants`] for its form. Without that
//! file a component that replaces a bundled one may do what that one may, and any other nothing.
//! `NAME.config.json` is how a notifier is configured.
//!
//! A file counts when two looks in a row find it the same, so that one which is still being
//! copied is left alone. One that cannot be used changes nothing, and is named with the reason,
//! once for each content. Taking a file away brings the bundled component back.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use crate::grants::Grants;
use crate::host::{ComponentHost, Origin, PluginInfo, Terms};
use crate::limits::{Kind, MOST_COMPONENT};
use crate::load::LoadError;

/// How often the folder is looked at, unless somebody says otherwise.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// What came of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is installed.
    Installed(Box<PluginInfo>),
    /// It cannot be used; what was there before stays.
    Refused {
        /// The file, or the folder if that cannot be read.
        path: PathBuf,
        /// Why.
        error: LoadError,
    },
    /// The file is gone; the bundled component of its name is back, if there is one.
    Removed {
        /// The component's name.
        name: String,
    },
}

/// A folder of components, and what is known of its files.
pub struct Folder {
    host: ComponentHost,
    dir: PathBuf,
    files: BTreeMap<PathBuf, File>,
    /// The folder could not be read at the last look.
    unreadable: bool,
}

#[derive(Clone, Debug, Default)]
struct File {
    stamp: Stamp,
    /// The digest of what was last installed or refused.
    handled: Option<[u8; 32]>,
    installed: Option<Kind>,
    /// This very stamp was handled.
    done: bool,
}

/// What changes when a component or what is beside it does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Stamp {
    component: Option<Version>,
    grants: Option<Version>,
    config: Option<Version>,
}

/// A component's bytes, and the texts beside it.
struct Texts {
    component: Vec<u8>,
    grants: Option<Vec<u8>>,
    config: Option<Vec<u8>>,
}

type Version = (u64, u64, Option<SystemTime>);

impl Folder {
    /// A folder whose components go into `host`. It need not be there yet.
    pub fn new(host: ComponentHost, dir: PathBuf) -> Self {
        Self { host, dir, files: BTreeMap::new(), unreadable: false }
    }

    /// Take in everything as it is now: for a start, and for tools that do not watch.
    pub async fn load_once(&mut self) -> Vec<Event> {
        self.look(true).await
    }

    /// Look every `interval` until dropped, and tell `report` what came of it.
    pub async fn watch(mut self, interval: Duration, report: impl Fn(Event)) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            self.look(false).await.into_iter().for_each(&report);
        }
    }

    /// Look once. Unless `settled`, a file counts only if the look before found it the same.
    pub(crate) async fn look(&mut self, settled: bool) -> Vec<Event> {
        let dir = self.dir.clone();
        let found = match blocking(move || scan(&dir)).await {
            Ok(found) => found,
            Err(error) if std::mem::replace(&mut self.unreadable, true) => {
                tracing::debug!(%error, "the folder of components still cannot be read");
                return Vec::new();
            }
            Err(error) => return vec![refused(&self.dir, unreadable(&self.dir, &error))],
        };
        self.unreadable = false;
        let mut events = Vec::new();
        let gone: Vec<_> =
            self.files.keys().filter(|path| !found.contains_key(*path)).cloned().collect();
        events.extend(gone.iter().filter_map(|path| self.forget(path)));
        for (path, stamp) in found {
            let known = self.files.get(&path).cloned().unwrap_or_default();
            let same = known.stamp == stamp;
            if same && known.done {
                continue;
            }
            let mut file = File { stamp, done: same || settled, ..known };
            if file.done {
                events.extend(self.take_in(&path, &mut file).await);
            }
            self.files.insert(path, file);
        }
        events
    }

    async fn take_in(&self, path: &Path, file: &mut File) -> Option<Event> {
        let (from, size) = (path.to_owned(), file.stamp.component.map_or(0, |version| version.0));
        let texts = match blocking(move || read(&from, size)).await {
            Ok(read) => read,
            Err(error) => return Some(refused(path, unreadable(path, &error))),
        };
        let digest = digest(&texts);
        if file.handled.replace(digest) == Some(digest) {
            return None;
        }
        let name = name_of(&self.dir, path);
        match self.install(path, &name, texts).await {
            Ok(info) => {
                if let Some(before) = file.installed.replace(info.kind)
                    && before != info.kind
                {
                    self.host.remove(before, &name);
                }
                Some(Event::Installed(Box::new(info)))
            }
            Err(error) => Some(refused(path, error)),
        }
    }

    async fn install(
        &self,
        path: &Path,
        name: &str,
        texts: Texts,
    ) -> Result<PluginInfo, LoadError> {
        let grants: Option<Grants> = match texts.grants {
            None => None,
            Some(text) => Some(serde_json::from_slice(&text).map_err(|error| {
                let path = grants_of(path).display().to_string();
                LoadError::Grants { path, why: error.to_string() }
            })?),
        };
        let config = match texts.config {
            None => None,
            Some(text) => {
                Some(serde_json::from_slice::<serde_json::Value>(&text).map_err(|error| {
                    let at = config_of(path).display().to_string();
                    LoadError::Config { at, why: error.to_string() }
                })?)
            }
        };
        let config = config.map(|config| config.to_string());
        let terms = Terms { grants, config, ..Terms::default() };
        let origin = Origin::File(path.to_owned());
        self.host.install_on(name, texts.component, origin, terms).await
    }

    fn forget(&mut self, path: &Path) -> Option<Event> {
        let kind = self.files.remove(path)?.installed?;
        let name = name_of(&self.dir, path);
        self.host.remove(kind, &name);
        Some(Event::Removed { name })
    }
}

fn refused(path: &Path, error: LoadError) -> Event {
    Event::Refused { path: path.to_owned(), error }
}

fn unreadable(path: &Path, error: &io::Error) -> LoadError {
    LoadError::Unreadable { path: path.display().to_string(), why: error.to_string() }
}

/// File systems can be slow, and an executor should not wait for them.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

pub(crate) fn grants_of(path: &Path) -> PathBuf {
    path.with_extension("grants.json")
}

pub(crate) fn config_of(path: &Path) -> PathBuf {
    path.with_extension("config.json")
}

/// The component's bytes, and the texts beside it.
fn read(path: &Path, size: u64) -> io::Result<Texts> {
    if size > MOST_COMPONENT as u64 {
        return Err(io::Error::other(format!(
            "{size} bytes are more than the {MOST_COMPONENT} that a component may have"
        )));
    }
    let beside = |path: PathBuf| match std::fs::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    let (grants, config) = (beside(grants_of(path))?, beside(config_of(path))?);
    Ok(Texts { component: std::fs::read(path)?, grants, config })
}

fn digest(texts: &Texts) -> [u8; 32] {
    let mut hash = Sha256::new();
    for text in [Some(&texts.component), texts.grants.as_ref(), texts.config.as_ref()] {
        hash.update([u8::from(text.is_some())]);
        let text = text.map(Vec::as_slice).unwrap_or_default();
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    hash.finalize().into()
}

/// `dir/acme/datadog.wasm` is `acme/datadog`.
fn name_of(dir: &Path, path: &Path) -> String {
    let below = path.strip_prefix(dir).unwrap_or(path).with_extension("");
    let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

/// Every component in the folder and the folders right below it. Names that begin with a dot are
/// left out, which are what Kubernetes keeps the versions of a mounted ConfigMap under.
fn scan(dir: &Path) -> io::Result<BTreeMap<PathBuf, Stamp>> {
    let mut found = BTreeMap::new();
    collect(dir, true, &mut found)?;
    Ok(found)
}

fn collect(dir: &Path, deeper: bool, found: &mut BTreeMap<PathBuf, Stamp>) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        // Through links, since that is how Kubernetes mounts files; one that is gone meanwhile is
        // gone.
        let Ok(meta) = std::fs::metadata(&path) else { continue };
        if meta.is_dir() {
            if deeper {
                collect(&path, false, found)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "wasm") {
            let beside = |path| std::fs::metadata(path).ok().as_ref().map(version);
            let (grants, config) = (beside(grants_of(&path)), beside(config_of(&path)));
            found.insert(path, Stamp { component: Some(version(&meta)), grants, config });
        }
    }
    Ok(())
}

fn version(meta: &Metadata) -> Version {
    (meta.len(), meta.ino(), meta.modified().ok())
}
