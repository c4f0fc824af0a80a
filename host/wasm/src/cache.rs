//! Compiled components on disk, so that a start costs milliseconds.
//!
//! What is in the cache is machine code that will run with all the rights of the controller. So
//! the folder is for the controller's user alone, and an entry is only used if its name has a code
//! that nobody makes without the key beside it. Anything else, be it old, cut short, changed or
//! made by another version, is compiled again.
//!
//! The code is no part of the file, so that the file can be mapped as it is: of a component that
//! nobody calls next to nothing is in memory then, and the system can take back the rest.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::load::hex;

/// Bytes of the key, and of the code in the name of an entry.
const CODE: usize = 32;
const EXTENSION: &str = "cwasm";
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
        let stem = stem(engine, digest);
        let (path, code) = entries(dir).ok()?.into_iter().find_map(|(_, path)| {
            let code = code_of(&path, &stem)?;
            Some((path, code))
        })?;
        let file = File::open(&path).ok()?;
        if read_code(key, &stem, &file).is_none_or(|mac| mac.verify_slice(&code).is_err()) {
            let shown = path.display();
            tracing::warn!(path = %shown, "a cached component is damaged; compiling it again");
            // What is compiled takes its place; until then it is only in the way.
            let _ = fs::remove_file(&path);
            return None;
        }
        deserialize_file(engine, &path, &file)
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
        let stem = stem(engine, digest);
        let code = read_code(key, &stem, compiled).ok_or_else(|| io::Error::other("no code"));
        let kept = code.and_then(|code| {
            let name = format!("{stem}-{}.{EXTENSION}", hex(&code.finalize().into_bytes()));
            write_whole(&dir.join(name), compiled)
        });
        if let Err(error) = kept.and_then(|()| prune(dir)) {
            tracing::warn!(%error, dir = %dir.display(), "a compiled component was not cached");
        }
    }
}

/// The code of what can be read there. The name is part of what is vouched for, so that no entry
/// can stand for another. `None` if it cannot be read.
fn read_code(key: &[u8], stem: &str, mut compiled: impl Read) -> Option<Hmac<Sha256>> {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key).ok()?;
    mac.update(stem.as_bytes());
    let mut piece = vec![0; 64 << 10];
    loop {
        match compiled.read(&mut piece).ok()? {
            0 => return Some(mac),
            read => mac.update(piece.get(..read)?),
        }
    }
}

/// The code in the name of an entry, if it is the entry of what is wanted.
fn code_of(path: &Path, stem: &str) -> Option<[u8; CODE]> {
    let code = path.file_stem()?.to_str()?.strip_prefix(stem)?.strip_prefix('-')?;
    let digits: Vec<_> = (0..code.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(code.get(at..at + 2)?, 16).ok())
        .collect::<Option<_>>()?;
    digits.try_into().ok()
}

/// Map the file into memory.
#[expect(unsafe_code, reason = "compiled code cannot be loaded otherwise")]
fn deserialize_file(engine: &Engine, path: &Path, file: &File) -> Option<Component> {
    // The file that was read just now, whatever has its name by then.
    let same = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let path = if same.exists() { &same } else { path };
    // SAFETY: the bytes were written by the engine of a process that had the key. The file is in a
    // folder that no other user can enter, and nothing of this program writes to an entry: one is
    // put into place whole, under a name of its own, and taken away whole. The engine itself
    // refuses code of another version of itself, of other settings or for another processor.
    fits(unsafe { Component::deserialize_file(engine, path) })
}

#[expect(unsafe_code, reason = "compiled code cannot be loaded otherwise")]
pub(crate) fn deserialize(engine: &Engine, compiled: &[u8]) -> Option<Component> {
    // SAFETY: the bytes came out of a process that this one started for that and that runs the same
    // program. They are in memory since then, so nobody changes them. The engine itself refuses code of another version of
    // itself, of other settings or for another processor.
    fits(unsafe { Component::deserialize(engine, compiled) })
}

fn fits(component: wasmtime::Result<Component>) -> Option<Component> {
    match component {
        Ok(component) => Some(component),
        Err(error) => {
            tracing::info!(%error, "a cached component does not fit; compiling it again");
            None
        }
    }
}

/// The name says what was compiled and by what, so a new version never meets an old entry.
fn stem(engine: &Engine, digest: &str) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{digest}-{:016x}", hasher.finish())
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

/// Every entry, and since when it is there.
fn entries(dir: &Path) -> io::Result<Vec<(SystemTime, PathBuf)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|extension| extension == EXTENSION) {
            let modified = entry.metadata().and_then(|meta| meta.modified());
            entries.push((modified.unwrap_or(SystemTime::UNIX_EPOCH), entry.path()));
        }
    }
    Ok(entries)
}

fn prune(dir: &Path) -> io::Result<()> {
    let mut entries = entries(dir)?;
    entries.sort();
    let surplus = entries.len().saturating_sub(MOST_ENTRIES);
    for (_, path) in &entries[..surplus] {
        fs::remove_file(path)?;
    }
    Ok(())
}
