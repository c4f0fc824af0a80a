//! Compiled components on disk, so that a start costs milliseconds.
//!
//! What is in the cache is machine code that will run with all the rights of the controller. So
//! the folder is for the controller's user alone, and an entry is only used if it carries a code
//! that nobody makes without the key beside it. Anything else, be it old, cut short, changed or
//! made by another version, is compiled again.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::load::hex;

/// Bytes of the key, and of the code in front of an entry.
const CODE: usize = 32;
/// The most entries; the oldest go first.
const MOST_ENTRIES: usize = 64;

/// A folder of compiled components, or none.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    place: Option<(PathBuf, [u8; CODE])>,
}

impl Cache {
    /// A cache below `dir`, which is made if it is not there. Without `dir`, and where that is
    /// not possible, everything is compiled every time: a cache is never worth failing for.
    pub(crate) fn below(dir: Option<&Path>) -> Self {
        let Some(dir) = dir else { return Self { place: None } };
        // A folder of its own, since a mounted one often has rights that cannot be changed.
        let dir = dir.join("components");
        match open(&dir) {
            Ok(key) => Self { place: Some((dir, key)) },
            Err(error) => {
                tracing::warn!(%error, dir = %dir.display(), "no cache for compiled components");
                Self { place: None }
            }
        }
    }

    /// The compiled component of this digest, if it is there and whole.
    pub(crate) fn find(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let (dir, key) = self.place.as_ref()?;
        let name = file_name(engine, digest);
        let path = dir.join(&name);
        let bytes = fs::read(&path).ok()?;
        let verified = bytes.split_at_checked(CODE).filter(|(code, compiled)| {
            mac(key, &name, compiled).is_some_and(|mac| mac.verify_slice(code).is_ok())
        });
        let Some((_, compiled)) = verified else {
            let path = path.display();
            tracing::warn!(%path, "a cached component is damaged; compiling it again");
            return None;
        };
        deserialize(engine, compiled)
    }

    /// Keep a compiled component. A cache that cannot be written is no reason to fail.
    pub(crate) fn keep(&self, component: &Component, digest: &str) {
        let Some((dir, _)) = &self.place else { return };
        match component.serialize() {
            Ok(compiled) => self.keep_compiled(component.engine(), &compiled, digest),
            Err(error) => {
                tracing::warn!(%error, dir = %dir.display(), "a compiled component was not cached");
            }
        }
    }

    /// As [`Self::keep`], of what was compiled elsewhere.
    pub(crate) fn keep_compiled(&self, engine: &Engine, compiled: &[u8], digest: &str) {
        let Some((dir, key)) = &self.place else { return };
        let name = file_name(engine, digest);
        let mac = mac(key, &name, compiled).ok_or_else(|| io::Error::other("no code"));
        let kept = mac.and_then(|mac| {
            let mut bytes = mac.finalize().into_bytes().to_vec();
            bytes.extend_from_slice(compiled);
            write_whole(&dir.join(&name), &bytes)
        });
        if let Err(error) = kept.and_then(|()| prune(dir)) {
            tracing::warn!(%error, dir = %dir.display(), "a compiled component was not cached");
        }
    }
}

/// The name is part of what is vouched for, so that no entry can stand for another.
fn mac(key: &[u8], name: &str, compiled: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key).ok()?;
    mac.update(name.as_bytes());
    mac.update(compiled);
    Some(mac)
}

#[expect(unsafe_code, reason = "compiled code cannot be loaded otherwise")]
pub(crate) fn deserialize(engine: &Engine, compiled: &[u8]) -> Option<Component> {
    // SAFETY: the bytes were written by the engine of a process that had the key, or came out of a
    // process that this one started for that and that runs the same program. They are in memory
    // since then, so nobody changes them. The engine itself refuses code of another version of
    // itself, of other settings or for another processor.
    match unsafe { Component::deserialize(engine, compiled) } {
        Ok(component) => Some(component),
        Err(error) => {
            tracing::info!(%error, "a cached component does not fit; compiling it again");
            None
        }
    }
}

/// The name says what was compiled and by what, so a new version never meets an old entry.
fn file_name(engine: &Engine, digest: &str) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{digest}-{:016x}.cwasm", hasher.finish())
}

/// Make the folder and its key, or make sure that nobody else has a hand in them.
fn open(dir: &Path) -> io::Result<[u8; CODE]> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    if !fs::symlink_metadata(dir)?.is_dir() {
        return Err(io::Error::other("it is a link"));
    }
    if fs::metadata(dir)?.permissions().mode() & 0o077 != 0 {
        // Only the owner can do this, so it fails where the folder is somebody else's.
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    }
    let path = dir.join("key");
    let known = fs::read(&path).ok().and_then(|key| key.try_into().ok());
    if let Some(key) = known {
        return Ok(key);
    }
    let key = random::<CODE>()?;
    write_whole(&path, &key)?;
    Ok(key)
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes)
}

/// Write a file that is whole or not there.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension(format!("{}.tmp", hex(&random::<8>()?)));
    let write = || {
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().inspect_err(|_| {
        // What is left of it is only in the way, and may not even be there.
        let _ = fs::remove_file(&temporary);
    })
}

fn prune(dir: &Path) -> io::Result<()> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|extension| extension == "cwasm") {
            let modified = entry.metadata().and_then(|meta| meta.modified());
            entries.push((modified.unwrap_or(SystemTime::UNIX_EPOCH), entry.path()));
        }
    }
    entries.sort();
    let surplus = entries.len().saturating_sub(MOST_ENTRIES);
    for (_, path) in &entries[..surplus] {
        fs::remove_file(path)?;
    }
    Ok(())
}
