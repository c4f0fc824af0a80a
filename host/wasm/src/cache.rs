//! Compiled components on disk, so that a start costs milliseconds.
//!
//! What is in the cache is machine code that will run with all the rights of the controller. So
//! an entry is only used if it carries a code that nobody can make without the key beside it,
//! which only the controller's user can read; and anything else is compiled again.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use hmac::{Hmac, Mac};
use sha2::Sha256;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::load::hex;

const CODE: usize = 32;

/// A folder of compiled components, or none.
#[derive(Clone, Debug)]
pub struct Cache {
    place: Option<(PathBuf, [u8; CODE])>,
}

impl Cache {
    /// No cache: everything is compiled every time.
    pub fn none() -> Self {
        Self { place: None }
    }

    /// A cache in `dir`, which is made for this user alone. Where that is not possible there is
    /// none, and the log says why: a cache is never worth failing for.
    pub fn at(dir: &Path) -> Self {
        match open(dir) {
            Ok(key) => Self { place: Some((dir.to_owned(), key)) },
            Err(error) => {
                tracing::warn!(%error, dir = %dir.display(), "no cache for compiled components");
                Self::none()
            }
        }
    }

    /// The compiled component of this digest, if it is there and whole.
    pub(crate) fn find(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let (dir, key) = self.place.as_ref()?;
        let path = dir.join(file_name(engine, digest));
        let bytes = fs::read(&path).ok()?;
        let (code, compiled) = bytes.split_at_checked(CODE)?;
        if mac(key, digest, compiled).verify_slice(code).is_err() {
            tracing::warn!(path = %path.display(), "a cached component was damaged; compiling it again");
            return None;
        }
        deserialize(engine, compiled)
    }

    /// Keep a compiled component. A cache that cannot be written is no reason to fail.
    pub(crate) fn keep(&self, component: &Component, digest: &str) {
        let Some((dir, key)) = &self.place else { return };
        let kept = component.serialize().map_err(io::Error::other).and_then(|compiled| {
            let mut bytes = mac(key, digest, &compiled).finalize().into_bytes().to_vec();
            bytes.extend_from_slice(&compiled);
            write_whole(&dir.join(file_name(component.engine(), digest)), &bytes)
        });
        if let Err(error) = kept {
            tracing::warn!(%error, "a compiled component was not cached");
        }
    }
}

fn mac(key: &[u8], digest: &str, compiled: &[u8]) -> Hmac<Sha256> {
    // Any length of key is right for HMAC, so there is no error to have.
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key)
        .unwrap_or_else(|_| <Hmac<Sha256> as Mac>::new(&Default::default()));
    mac.update(digest.as_bytes());
    mac.update(compiled);
    mac
}

#[expect(unsafe_code, reason = "compiled code cannot be loaded otherwise")]
fn deserialize(engine: &Engine, compiled: &[u8]) -> Option<Component> {
    // SAFETY: the code was written by `Component::serialize` in a process that held the key, and
    // was not changed since: the caller has verified that. The engine checks its own version and
    // settings and refuses what does not fit.
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
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{digest}-{:016x}.cwasm", hasher.finish())
}

fn open(dir: &Path) -> io::Result<[u8; CODE]> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let meta = fs::metadata(dir)?;
    let own = fs::metadata("/proc/self").map(|process| process.uid()).unwrap_or(meta.uid());
    if meta.uid() != own {
        return Err(io::Error::other("it belongs to another user"));
    }
    if meta.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    }
    let path = dir.join("key");
    if let Ok(key) = fs::read(&path) {
        if let Ok(key) = <[u8; CODE]>::try_from(key.as_slice()) {
            return Ok(key);
        }
    }
    let mut key = [0; CODE];
    io::Read::read_exact(&mut fs::File::open("/dev/urandom")?, &mut key)?;
    write_whole(&path, &key)?;
    Ok(key)
}

/// Write a file that is whole or not there, and never one that somebody has mapped.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut random = [0; 8];
    io::Read::read_exact(&mut fs::File::open("/dev/urandom")?, &mut random)?;
    let temporary = path.with_extension(format!("tmp-{}", hex(&random)));
    let write = || {
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    let written = write();
    if written.is_err() {
        // What is left of it is only in the way.
        let _ = fs::remove_file(&temporary);
    }
    written
}
