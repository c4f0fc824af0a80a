//! Components in a folder: `NAME.wasm` adds the component NAME, or takes the place of a bundled
//! one, while the controller runs.
//!
//! The folder is looked at once a second. A file counts when two looks in a row find it the same,
//! so that one which is still being copied is left alone. A file that cannot be used changes
//! nothing and is named with the reason, once for each content. Taking a file away brings the
//! bundled component back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::host::{ComponentHost, Info};
use crate::limits::Kind;
use crate::load::LoadError;

/// How often the folder is looked at.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// What came of a file.
#[derive(Clone, Debug)]
pub enum Event {
    /// It is installed.
    Installed(Box<Info>),
    /// It cannot be used; what was there before stays.
    Refused {
        /// The file.
        path: PathBuf,
        /// Why.
        error: LoadError,
    },
    /// The file is gone; the bundled component of that name is back, if there is one.
    Removed {
        /// The component's name.
        name: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: Option<SystemTime>,
}

#[derive(Debug)]
struct File {
    stamp: Stamp,
    /// Whether what it says was taken in, or refused.
    done: bool,
    installed: Option<Kind>,
}

/// A component that comes back when a file of its name goes.
#[derive(Clone)]
pub struct Fallback {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A folder of components.
pub struct Folder {
    host: ComponentHost,
    dir: PathBuf,
    fallbacks: Vec<Fallback>,
    files: BTreeMap<PathBuf, File>,
}

impl Folder {
    /// A folder whose components go into `host`. `fallbacks` come back when files go.
    pub fn new(host: ComponentHost, dir: PathBuf, fallbacks: Vec<Fallback>) -> Self {
        Self { host, dir, fallbacks, files: BTreeMap::new() }
    }

    /// Look once. A file is taken in when this look finds it as the one before did, or at once
    /// if `settled`.
    pub async fn look(&mut self, settled: bool) -> Vec<Event> {
        let found = match scan(&self.dir) {
            Ok(found) => found,
            Err(error) => {
                let error =
                    LoadError::Unreadable { path: self.dir.display().to_string(), why: error };
                return vec![Event::Refused { path: self.dir.clone(), error }];
            }
        };
        let mut events = Vec::new();
        let gone: Vec<_> =
            self.files.keys().filter(|path| !found.contains_key(*path)).cloned().collect();
        for path in gone {
            events.extend(self.remove(&path).await);
        }
        for (path, stamp) in found {
            let known = self.files.get(&path);
            let same = known.is_some_and(|file| file.stamp == stamp);
            if known.is_some_and(|file| same && file.done) {
                continue;
            }
            let installed = known.and_then(|file| file.installed);
            let mut file = File { stamp, done: false, installed };
            if same || settled {
                let outcome = self.install(&path).await;
                file.done = true;
                if let Event::Installed(info) = &outcome {
                    file.installed = Some(info.kind);
                }
                events.push(outcome);
            }
            self.files.insert(path, file);
        }
        events
    }

    /// Look again and again, and tell `report` what came of it.
    pub async fn watch(mut self, interval: Duration, report: impl Fn(Event)) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut complained = false;
        loop {
            ticks.tick().await;
            for event in self.look(false).await {
                // A folder that cannot be read is named once, not every second.
                let folder = matches!(&event, Event::Refused { path, .. } if *path == self.dir);
                if !folder || !complained {
                    report(event);
                }
                complained = folder;
            }
        }
    }

    async fn install(&self, path: &Path) -> Event {
        let unreadable = |error: std::io::Error| LoadError::Unreadable {
            path: path.display().to_string(),
            why: error.to_string(),
        };
        let origin = path.display().to_string();
        let installed = match tokio::fs::read(path).await {
            Ok(bytes) => self.host.install(&name_of(path), bytes, &origin).await,
            Err(error) => Err(unreadable(error)),
        };
        match installed {
            Ok(info) => Event::Installed(Box::new(info)),
            Err(error) => Event::Refused { path: path.to_owned(), error },
        }
    }

    async fn remove(&mut self, path: &Path) -> Option<Event> {
        let file = self.files.remove(path)?;
        let kind = file.installed?;
        let name = name_of(path);
        match self.fallbacks.iter().find(|fallback| fallback.name == name) {
            Some(fallback) => {
                let bytes = fallback.bytes.clone();
                if let Err(error) = self.host.install(&name, bytes, "bundled").await {
                    return Some(Event::Refused { path: path.to_owned(), error });
                }
            }
            None => self.host.remove(kind, &name),
        }
        Some(Event::Removed { name })
    }
}

fn name_of(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

fn scan(dir: &Path) -> Result<BTreeMap<PathBuf, Stamp>, String> {
    let entries = std::fs::read_dir(dir).map_err(|error| error.to_string())?;
    let mut found = BTreeMap::new();
    for entry in entries {
        let path = entry.map_err(|error| error.to_string())?.path();
        if path.extension().is_none_or(|extension| extension != "wasm") {
            continue;
        }
        // Through links, since that is how Kubernetes mounts files; one that is gone meanwhile
        // is gone.
        if let Ok(meta) = std::fs::metadata(&path) {
            found.insert(path, Stamp { size: meta.len(), modified: meta.modified().ok() });
        }
    }
    Ok(found)
}
