//! A new project: a template, and the SDK beside it.

use std::path::Path;

use crate::carried;
use crate::component::write;
use crate::error::Error;
use crate::project::{Kind, Language, Project, check_name};

/// The name that templates have, and the same as an identifier.
const NAME: &str = "new-plugin";
const IDENTIFIER: &str = "new_plugin";

/// Starts a project in a folder that is empty or not there.
///
/// # Errors
/// If the name is none, or the folder is in use.
pub fn start(folder: &Path, name: &str, language: Language, kind: Kind) -> Result<Project, Error> {
    check_name(name)?;
    if !kind.is_written_in(language) {
        return Err(Error::NotInThatLanguage(language.name()));
    }
    let template = format!("sdk/templates/{}/{}", language.name(), kind.name());
    let entries = std::fs::read_dir(folder).map(|mut entries| entries.next().is_some());
    if folder.is_file() || entries.unwrap_or(false) {
        return Err(Error::Occupied(folder.to_owned()));
    }
    let shared = format!("sdk/templates/shared/{}", kind.name());
    for (path, bytes) in carried::below(&shared).chain(carried::below(&template)) {
        // A file that begins with a dot would be taken for one of the repository's own.
        let path = path.replace("dot-", ".");
        write(&folder.join(path), &named(bytes, name))?;
    }
    for (path, bytes) in sdk(language) {
        write(&folder.join(path), bytes)?;
    }
    Project::open(folder)
}

/// The SDK's files, by their place in a project. Its own tests are not the author's.
fn sdk(language: Language) -> Vec<(String, &'static [u8])> {
    let not_tests = |(path, _): &(&str, &[u8])| {
        !path.starts_with("test/") && !path.starts_with("tests/") && !path.ends_with("_test.go")
    };
    let into = |to: &'static str| {
        move |(path, bytes): (&'static str, &'static [u8])| (format!("{to}/{path}"), bytes)
    };
    match language {
        Language::Rust => carried::below("sdk/rust")
            .filter(not_tests)
            .filter_map(|(path, bytes)| match path {
                // The one of the workspace names versions that only the workspace knows.
                "Cargo.toml" => None,
                "standalone.toml" => Some(("Cargo.toml", bytes)),
                path => Some((path, bytes)),
            })
            .map(into("sluice-sdk"))
            .chain(carried::below("wit").map(into("sluice-sdk/wit")))
            .collect(),
        Language::Go => {
            carried::below("sdk/go").filter(not_tests).map(into("sluice-sdk")).collect()
        }
        Language::Js => {
            carried::below("sdk/js").filter(not_tests).map(into("sluice-sdk")).collect()
        }
        Language::Python => {
            carried::below("sdk/python/sluice_sdk").map(into("sluice_sdk")).collect()
        }
    }
}

/// Templates are whole projects whose name is replaced.
fn named(bytes: &[u8], name: &str) -> Vec<u8> {
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            text.replace(NAME, name).replace(IDENTIFIER, &name.replace('-', "_")).into_bytes()
        }
        Err(_) => bytes.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_a_project() {
        let kinds = |language| Kind::ALL.map(|kind| (language, kind));
        for (language, kind) in Language::ALL.into_iter().flat_map(kinds) {
            let folder = tempfile::tempdir().unwrap();
            let at = folder.path().join("order-rate");
            if !kind.is_written_in(language) {
                let error = start(&at, "order-rate", language, kind).unwrap_err().to_string();
                assert!(error.starts_with("notifiers are written in Rust for now"), "{error}");
                assert!(!at.exists());
                continue;
            }
            let project = start(&at, "order-rate", language, kind).unwrap();
            assert_eq!(project.name, "order-rate");
            assert_eq!((project.language, project.kind), (language, kind));
            let which = format!("{} in {}", kind.name(), language.name());
            assert!(at.join("cases/first.yaml").is_file(), "{which}");
            let own = ["sluice-sdk/sdk_test.go", "sluice-sdk/test", "sluice-sdk/tests"];
            assert!(own.iter().all(|tests| !at.join(tests).exists()), "{which}");
            let readme = std::fs::read_to_string(at.join("README.md")).unwrap();
            assert!(readme.starts_with("# order-rate\n"), "{which}");
            let again = start(&at, "order-rate", language, kind).unwrap_err();
            assert!(matches!(again, Error::Occupied(_)), "{again}");
        }
    }

    #[test]
    fn the_sdk_of_a_rust_project_has_the_versions_of_the_workspace() {
        let manifest = carried::text("sdk/rust/standalone.toml");
        let workspace = include_str!("../../../Cargo.toml");
        for name in ["serde", "serde_json", "serde_path_to_error", "wit-bindgen"] {
            let line = |text: &str| {
                let begins = format!("{name} = ");
                text.lines().find(|line| line.starts_with(&begins)).map(str::to_owned)
            };
            assert_eq!(line(manifest), line(workspace), "{name}");
        }
    }
}
