//! The manifests that a command line names.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// The files named, with folders replaced by the manifests below them in the order of their names:
/// what ends in `.yaml`, `.yml` or `.json`.
///
/// # Errors
/// When a folder cannot be read.
pub fn files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            below(path, &mut files)?;
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

/// Hidden files and folders are not manifests, and links to folders may lead in circles.
fn below(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let context = || format!("cannot read the folder {}", folder.display());
    let mut entries = std::fs::read_dir(folder)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(context)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let is_manifest = path.extension().is_some_and(|end| {
            ["yaml", "yml", "json"].iter().any(|known| end.eq_ignore_ascii_case(known))
        });
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if entry.file_type().with_context(context)?.is_dir() {
            below(&path, files)?;
        } else if is_manifest && path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stands_for_the_manifests_below_it() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("wire/tests/lint");
        let found = files(std::slice::from_ref(&folder)).unwrap();
        assert!(found.contains(&folder.join("fine/input.yaml")));
        assert!(found.iter().all(|file| file.extension().is_some_and(|end| end == "yaml")));
        assert!(found.is_sorted());
    }
}
