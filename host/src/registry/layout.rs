//! Components in the layout of images on disk: a folder, or the same as a tar file, as tools for
//! registries write it. Everything in it is found by its digest, which is compared.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sluice_plugins::sorted;
use sluice_plugins::wish::is_digest;
use sluice_wasm::{MOST_COMPONENT, Outline};

use super::{Image, MANIFEST, MOST_TEXT, image, layer};
use crate::fetch::digest_of;

const MARKER: &str = "oci-layout";
const INDEX: &str = "index.json";
/// The annotation of a manifest in the index that is its name there.
const NAME: &str = "org.opencontainers.image.ref.name";
/// The most bytes of all files of a tar file together. They are held in memory.
const MOST_TAR: u64 = 2 * MOST_COMPONENT as u64;

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// Something cannot be read or written.
    #[error("{path}: {why}")]
    Unreadable {
        /// What.
        path: String,
        /// What the system says.
        why: String,
    },
    /// What is there is no layout, or not one component.
    #[error("{path}: {why}")]
    Unfit {
        /// The layout.
        path: String,
        /// What is wrong.
        why: String,
    },
}

/// A layout that can be read.
struct Layout<'p> {
    path: &'p Path,
    /// The files of a tar file; a folder's are read when they are needed.
    files: Option<BTreeMap<PathBuf, Vec<u8>>>,
}

/// The bytes of a component in a layout; `name` says which, where there are several.
///
/// # Errors
/// See [`LayoutError`].
pub fn read(path: &Path, name: Option<&str>) -> Result<Vec<u8>, LayoutError> {
    let layout = Layout::open(path)?;
    let marker = layout.json(MARKER)?;
    if marker["imageLayoutVersion"] != "1.0.0" {
        return Err(layout.unfit(format!("{MARKER} does not say imageLayoutVersion 1.0.0")));
    }
    let manifest = layout.chosen(&layout.json(INDEX)?, name)?;
    let manifest = layout.blob(&manifest, MOST_TEXT)?;
    let (digest, _) = layer(&manifest).map_err(|why| layout.unfit(why))?;
    layout.blob(&digest, MOST_COMPONENT as u64)
}

impl<'p> Layout<'p> {
    fn open(path: &'p Path) -> Result<Self, LayoutError> {
        let layout = Self { path, files: None };
        if fs::metadata(path).map_err(|error| layout.unreadable("", error))?.is_dir() {
            return Ok(layout);
        }
        let files = unpacked(path).map_err(|error| layout.unreadable("", error))?;
        Ok(Self { files: Some(files), ..layout })
    }

    /// The digest of the manifest that is meant.
    fn chosen(&self, index: &Value, name: Option<&str>) -> Result<String, LayoutError> {
        let all = index["manifests"].as_array().map(Vec::as_slice).unwrap_or_default();
        let named = |entry: &Value| entry["annotations"][NAME].as_str().map(str::to_owned);
        let fits = |entry: &&Value| {
            name.is_none_or(|name| entry["digest"] == name || named(entry).as_deref() == Some(name))
        };
        let found: Vec<_> = all.iter().filter(fits).collect();
        let [entry] = found[..] else {
            let have: Vec<_> = all
                .iter()
                .filter_map(|entry| named(entry).or_else(|| Some(entry["digest"].as_str()?.into())))
                .collect();
            let have = if have.is_empty() { "nothing".to_owned() } else { have.join(", ") };
            return Err(self.unfit(match name {
                Some(name) => format!("there is not one {name:?}; there is {have}"),
                None => format!("name one, since there is {have}"),
            }));
        };
        Ok(entry["digest"].as_str().unwrap_or_default().to_owned())
    }

    fn json(&self, name: &str) -> Result<Value, LayoutError> {
        let bytes = self.file(Path::new(name), MOST_TEXT)?;
        serde_json::from_slice(&bytes).map_err(|error| self.unfit(format!("{name}: {error}")))
    }

    fn blob(&self, digest: &str, most: u64) -> Result<Vec<u8>, LayoutError> {
        let hex = digest.strip_prefix("sha256:").filter(|_| is_digest(digest));
        let Some(hex) = hex else {
            return Err(self.unfit(format!("{digest:?} is no SHA-256 digest")));
        };
        let bytes = self.file(&Path::new("blobs").join("sha256").join(hex), most)?;
        if digest_of(&bytes) != digest {
            return Err(self.unfit(format!("what is there is not what {digest} says")));
        }
        Ok(bytes)
    }

    fn file(&self, name: &Path, most: u64) -> Result<Vec<u8>, LayoutError> {
        let shown = name.display().to_string();
        let failed = |error| self.unreadable(&shown, error);
        match &self.files {
            Some(files) => match files.get(name) {
                Some(bytes) if bytes.len() as u64 <= most => Ok(bytes.clone()),
                Some(_) => Err(self.unfit(format!("{shown} has more than {most} bytes"))),
                None => Err(self.unfit(format!("there is no {shown}"))),
            },
            None => {
                let mut bytes = Vec::new();
                let file = File::open(self.path.join(name)).map_err(failed)?;
                file.take(most + 1).read_to_end(&mut bytes).map_err(failed)?;
                if bytes.len() as u64 > most {
                    return Err(self.unfit(format!("{shown} has more than {most} bytes")));
                }
                Ok(bytes)
            }
        }
    }

    fn unreadable(&self, name: &str, error: io::Error) -> LayoutError {
        let path = if name.is_empty() { self.path.to_owned() } else { self.path.join(name) };
        LayoutError::Unreadable { path: path.display().to_string(), why: error.to_string() }
    }

    fn unfit(&self, why: String) -> LayoutError {
        LayoutError::Unfit { path: self.path.display().to_string(), why }
    }
}

/// The plain files of a tar file by their names in it.
fn unpacked(path: &Path) -> io::Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut archive = tar::Archive::new(File::open(path)?);
    let (mut files, mut left) = (BTreeMap::new(), MOST_TAR);
    for entry in archive.entries()? {
        let mut entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        left = left.checked_sub(entry.size()).ok_or_else(|| {
            io::Error::other(format!("its files have more than {MOST_TAR} bytes together"))
        })?;
        // `./index.json` and `index.json` are the same file.
        let name: PathBuf =
            entry.path()?.components().filter(|part| part.as_os_str() != ".").collect();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        files.insert(name, bytes);
    }
    Ok(files)
}

/// Put a component into a folder in this layout, and give the digest of its manifest. A layout
/// that is there gets it as well, in the place of what has its name.
///
/// # Errors
/// What is there is something else, or cannot be written.
pub fn write(
    dir: &Path,
    name: &str,
    bytes: &[u8],
    outline: &Outline,
) -> Result<String, LayoutError> {
    let Image { config, manifest } = image(bytes, outline);
    let layout = Layout { path: dir, files: None };
    let mut entries = match dir.join(INDEX).exists() {
        true => layout.json(INDEX)?["manifests"].as_array().cloned().unwrap_or_default(),
        false => Vec::new(),
    };
    entries.retain(|entry| entry["annotations"][NAME] != name);
    let digest = digest_of(&manifest);
    entries.push(json!({
        "mediaType": MANIFEST,
        "digest": digest,
        "size": manifest.len(),
        "annotations": {NAME: name},
    }));
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": entries,
    });
    let blobs = dir.join("blobs").join("sha256");
    let put = |path: PathBuf, bytes: &[u8]| {
        fs::write(&path, bytes).map_err(|error| LayoutError::Unreadable {
            path: path.display().to_string(),
            why: error.to_string(),
        })
    };
    fs::create_dir_all(&blobs).map_err(|error| layout.unreadable("blobs/sha256", error))?;
    for blob in [bytes, &config, &manifest] {
        put(blobs.join(digest_of(blob).trim_start_matches("sha256:")), blob)?;
    }
    put(dir.join(MARKER), br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    put(dir.join(INDEX), sorted(&index).to_string().as_bytes())?;
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_bundled::BUNDLED;

    fn component(name: &str) -> (&'static [u8], Outline) {
        let found = BUNDLED.iter().find(|bundled| bundled.name == name).unwrap();
        (found.bytes, Outline::of(found.bytes).unwrap())
    }

    /// A layout with two components.
    fn layout(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("sluice-layout-{name}-{}", std::process::id()));
        // It may be left from an earlier process of this id.
        let _ = fs::remove_dir_all(&dir);
        for name in ["nginx", "prometheus"] {
            let (bytes, outline) = component(name);
            write(&dir, &format!("{name}:1"), bytes, &outline).unwrap();
        }
        dir
    }

    fn error(dir: &Path, name: Option<&str>) -> String {
        read(dir, name).unwrap_err().to_string()
    }

    #[test]
    fn what_is_written_is_read_by_its_name_as_a_folder_and_as_a_tar_file() {
        let dir = layout("both");
        let (bytes, outline) = component("nginx");
        assert_eq!(read(&dir, Some("nginx:1")).unwrap(), bytes);
        let digest = write(&dir, "nginx:1", bytes, &outline).unwrap();
        assert_eq!(read(&dir, Some(&digest)).unwrap(), bytes, "written twice, there once");
        let several = error(&dir, None);
        assert!(several.ends_with("name one, since there is prometheus:1, nginx:1"), "{several}");
        let missing = error(&dir, Some("istio:1"));
        assert!(missing.contains(r#"not one "istio:1"; there is"#), "{missing}");

        let tar = dir.with_extension("tar");
        let mut archive = tar::Builder::new(File::create(&tar).unwrap());
        archive.append_dir_all(".", &dir).unwrap();
        archive.into_inner().unwrap();
        assert_eq!(read(&tar, Some("prometheus:1")).unwrap(), component("prometheus").0);
        fs::remove_file(tar).unwrap();
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_is_not_what_its_digest_says_is_refused() {
        let dir = layout("changed");
        let blob = dir.join("blobs/sha256").join(&digest_of(component("nginx").0)[7..]);
        fs::write(blob, b"something else").unwrap();
        let changed = error(&dir, Some("nginx:1"));
        assert!(changed.contains("what is there is not what sha256:"), "{changed}");
        let index = json!({"manifests": [{"digest": "sha256:../../../etc/passwd"}]});
        fs::write(dir.join(INDEX), index.to_string()).unwrap();
        let outside = error(&dir, None);
        assert!(outside.contains("is no SHA-256 digest"), "{outside}");
        fs::write(dir.join(MARKER), "{}").unwrap();
        let other = error(&dir, None);
        assert!(other.contains("imageLayoutVersion"), "{other}");
        fs::remove_dir_all(dir).unwrap();
    }
}
