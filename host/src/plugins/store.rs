//! Fetched components by digest, so that what was in use can come back after a restart, whatever
//! became of its source.
//!
//! What is read is only what its name says: the digest of the bytes is compared each time.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::fetch::digest_of;
use crate::registry::Evidence;

/// The most components that are kept. The oldest go first.
const MOST: usize = 32;
/// The extension of a file with what shows who signed a component.
const EVIDENCE: &str = "signed";

/// A folder of components, or none.
#[derive(Clone, Debug)]
pub struct Store {
    dir: Option<PathBuf>,
}

impl Store {
    /// A store below `dir`; without it, and where it cannot be written, nothing is kept.
    pub fn below(dir: Option<&Path>) -> Self {
        let dir = dir.map(|dir| dir.join("fetched"));
        let made = dir.filter(|dir| match fs::create_dir_all(dir) {
            Ok(()) => true,
            Err(error) => {
                let dir = dir.display();
                tracing::warn!(%error, %dir, "fetched components are not kept");
                false
            }
        });
        Self { dir: made }
    }

    /// The component of this digest, `sha256:` and so on, if it is there and whole.
    pub fn find(&self, digest: &str) -> Option<Vec<u8>> {
        let bytes = fs::read(self.path(digest)?).ok()?;
        (digest_of(&bytes) == digest).then_some(bytes)
    }

    /// Keep a component. A store that cannot be written is no reason to fail.
    pub fn keep(&self, digest: &str, bytes: &[u8]) {
        let Some(path) = self.path(digest) else { return };
        if path.exists() && self.find(digest).is_some() {
            return;
        }
        let kept = write_whole(&path, bytes).and_then(|()| self.prune());
        if let Err(error) = kept {
            tracing::warn!(%error, digest, "a fetched component is not kept");
        }
    }

    /// What was kept of who signed the component of this digest. It has to be checked again.
    pub fn evidence(&self, digest: &str) -> Option<Evidence> {
        let path = self.path(digest)?.with_extension(EVIDENCE);
        Evidence::from_text(&fs::read_to_string(path).ok()?)
    }

    /// Keep what shows who signed a component, so that no registry has to be asked the next time.
    pub fn keep_evidence(&self, digest: &str, evidence: &Evidence) {
        let Some(path) = self.path(digest).map(|path| path.with_extension(EVIDENCE)) else {
            return;
        };
        if let Err(error) = write_whole(&path, evidence.to_text().as_bytes()) {
            tracing::warn!(%error, digest, "the signatures of a component are not kept");
        }
    }

    fn path(&self, digest: &str) -> Option<PathBuf> {
        let hex = digest.strip_prefix("sha256:")?;
        let name = hex.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(hex)?;
        Some(self.dir.as_ref()?.join(format!("{name}.wasm")))
    }

    fn prune(&self) -> io::Result<()> {
        let Some(dir) = &self.dir else { return Ok(()) };
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.path().extension().is_some_and(|extension| extension == "wasm") {
                let modified = entry.metadata().and_then(|meta| meta.modified());
                entries.push((modified.unwrap_or(SystemTime::UNIX_EPOCH), entry.path()));
            }
        }
        entries.sort();
        let surplus = entries.len().saturating_sub(MOST);
        entries[..surplus].iter().try_for_each(|(_, path)| {
            // Most have none.
            let _ = fs::remove_file(path.with_extension(EVIDENCE));
            fs::remove_file(path)
        })
    }
}

/// Write a file that is whole or not there.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    fs::write(&temporary, bytes)?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("sluice-{name}-{}", std::process::id()));
        // It may be left from an earlier process of this id.
        let _ = fs::remove_dir_all(&dir);
        dir
    }

    #[test]
    fn what_is_kept_is_found_by_its_digest() {
        let dir = folder("store");
        let store = Store::below(Some(&dir));
        let digest = digest_of(b"component");
        assert_eq!(store.find(&digest), None);
        store.keep(&digest, b"component");
        assert_eq!(store.find(&digest).as_deref(), Some(&b"component"[..]));
        fs::write(store.path(&digest).unwrap(), b"another").unwrap();
        assert_eq!(store.find(&digest), None, "what was changed is not what was asked for");
        store.keep(&digest, b"component");
        assert!(store.find(&digest).is_some(), "and is put right");
        assert_eq!(store.path("sha256:../../etc/passwd"), None);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn the_oldest_go() {
        let dir = folder("prune");
        let store = Store::below(Some(&dir));
        let all: Vec<_> = (0..MOST + 3).map(|number| number.to_string().into_bytes()).collect();
        let evidence = Evidence { manifest: b"manifest".to_vec(), signatures: Vec::new() };
        let first = digest_of(&all[0]);
        store.keep_evidence(&first, &evidence);
        assert_eq!(store.evidence(&first), Some(evidence));
        all.iter().for_each(|bytes| store.keep(&digest_of(bytes), bytes));
        assert_eq!(fs::read_dir(dir.join("fetched")).unwrap().count(), MOST);
        assert_eq!(store.evidence(&first), None, "it goes with its component");
        fs::remove_dir_all(dir).unwrap();
    }
}
