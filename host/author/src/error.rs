//! What keeps an author from the next step.

use std::io;
use std::path::{Path, PathBuf};

use sluice_wasm::LoadError;

/// Why a step cannot be done. The texts are for the author, and say what would help.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refuses.
    #[error("cannot {doing} {path}: {source}")]
    Io {
        /// Such as `read`.
        doing: &'static str,
        /// Which file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The folder is no project.
    #[error("{0} has no plugin.yaml; `sluice plugin new NAME --lang rust` starts a project")]
    NoProject(PathBuf),
    /// A file does not say what it should.
    #[error("{path}: {why}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What is wrong, and where.
        why: String,
    },
    /// There is something in the place of a new project.
    #[error("{0} is not empty; name another folder with --dir")]
    Occupied(PathBuf),
    /// The name suits no file and no package.
    #[error(
        "{0:?} is no name for a plugin: use lower-case letters, digits and single dashes, such as \
         order-rate, and begin with a letter"
    )]
    Name(String),
    /// There is no SDK for such a plugin in that language.
    #[error("notifiers are written in Rust for now, and not in {0}; use --lang rust")]
    NotInThatLanguage(&'static str),
    /// A program is missing.
    #[error("{program} is needed to {what}; {fix}")]
    Missing {
        /// Its name.
        program: &'static str,
        /// What for.
        what: &'static str,
        /// How to get it.
        fix: String,
    },
    /// A program failed.
    #[error("`{command}` failed{}", in_full(.output))]
    Failed {
        /// What was called.
        command: String,
        /// What it wrote.
        output: String,
    },
    /// What was built is no component.
    #[error("cannot make a component of what {language} built: {why}")]
    NotComponent {
        /// Which language.
        language: &'static str,
        /// The reason.
        why: String,
    },
    /// It is a component of another kind than the project says.
    #[error("plugin.yaml says kind: {said}, and the component is a {found}")]
    OtherKind {
        /// The kind in `plugin.yaml`.
        said: &'static str,
        /// What the component exports.
        found: &'static str,
    },
    /// There is nothing to test with.
    #[error("{0} has no cases: add a file such as cases/first.yaml, or name one with --cases")]
    NoCases(PathBuf),
    /// No call could be written down.
    #[error("nothing was recorded, since no call can be a case")]
    NothingRecorded,
    /// The controller would refuse the component.
    #[error("{path}: {error}")]
    Load {
        /// Which component.
        path: PathBuf,
        /// Why.
        error: LoadError,
    },
}

impl Error {
    /// For the system's refusals.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}

fn in_full(output: &str) -> String {
    match output.trim() {
        "" => String::new(),
        text => format!(":\n{text}"),
    }
}
