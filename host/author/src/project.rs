//! A project: a folder with a `plugin.yaml`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sluice_wasm::{Grants, Kind as ComponentKind};

use crate::error::Error;

/// The name of the file that makes a folder a project.
pub const FILE: &str = "plugin.yaml";

/// What a plugin is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Rust.
    Rust,
    /// Go.
    Go,
    /// JavaScript or TypeScript.
    Js,
    /// Python.
    Python,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Rust, Self::Go, Self::Js, Self::Python];

    /// As it is written in `plugin.yaml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Go => "go",
            Self::Js => "js",
            Self::Python => "python",
        }
    }
}

/// What a plugin does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It measures.
    Metric,
    /// It routes.
    Router,
    /// It does something between two weights.
    Step,
    /// It tells people of what became true.
    Notifier,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Metric, Self::Router, Self::Step, Self::Notifier];

    /// Whether there is an SDK for it in a language.
    pub fn is_written_in(self, language: Language) -> bool {
        match self {
            Self::Metric | Self::Router | Self::Step => true,
            Self::Notifier => language == Language::Rust,
        }
    }

    /// As it is written in `plugin.yaml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Metric => "metric",
            Self::Router => "router",
            Self::Step => "step",
            Self::Notifier => "notifier",
        }
    }

    /// As the component's own manifest says it.
    pub fn in_manifest(self) -> &'static str {
        match self {
            Self::Metric => "metric-provider",
            Self::Router => "traffic-router",
            Self::Step => "step",
            Self::Notifier => "notifier",
        }
    }
}

impl From<ComponentKind> for Kind {
    fn from(kind: ComponentKind) -> Self {
        match kind {
            ComponentKind::Metric => Self::Metric,
            ComponentKind::Router => Self::Router,
            ComponentKind::Step => Self::Step,
            ComponentKind::Notifier => Self::Notifier,
        }
    }
}

/// Something of the host that a plugin can ask for. Log lines need not be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Request {
    /// HTTP requests.
    Http,
    /// Objects of Kubernetes.
    Kubernetes,
    /// Secrets.
    Secrets,
}

impl Request {
    /// As it is written in `plugin.yaml`, and the interface's name in `sluice:host`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Kubernetes => "kubernetes",
            Self::Secrets => "secrets",
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What `plugin.yaml` says.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Text {
    name: String,
    version: String,
    language: Language,
    kind: Kind,
    #[serde(default)]
    description: String,
    #[serde(default)]
    requests: BTreeMap<Request, String>,
    #[serde(default)]
    grants: Value,
}

/// A plugin that is being written.
#[derive(Clone, Debug)]
pub struct Project {
    /// The folder.
    pub folder: PathBuf,
    /// Lower case with dashes; the component is `NAME.wasm`.
    pub name: String,
    /// As in `1.2.3`.
    pub version: String,
    /// What it is written in.
    pub language: Language,
    /// What it does.
    pub kind: Kind,
    /// One sentence for whoever installs it.
    pub description: String,
    /// What it asks of the host, each with the reason.
    pub requests: BTreeMap<Request, String>,
    /// What it needs, in the form of a `NAME.grants.json`; also what its tests may do.
    pub grants: Value,
}

impl Project {
    /// Reads the `plugin.yaml` of a folder.
    ///
    /// # Errors
    /// If there is none, or it is not right.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(FILE);
        if !path.is_file() {
            return Err(Error::NoProject(folder.to_owned()));
        }
        let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        let wrong = |why: String| Error::Unreadable { path: path.clone(), why };
        let text: Text = serde_saphyr::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        check_name(&text.name)?;
        if !is_version(&text.version) {
            let version = &text.version;
            return Err(wrong(format!("version: {version:?} is not like 1.2.3")));
        }
        if !text.kind.is_written_in(text.language) {
            return Err(Error::NotInThatLanguage(text.language.name()));
        }
        let grants = match text.grants {
            Value::Null => json!({}),
            grants => grants,
        };
        let understood: Grants = serde_json::from_value(grants.clone())
            .map_err(|error| wrong(format!("grants: {error}")))?;
        if !understood.http.is_empty() && !text.requests.contains_key(&Request::Http) {
            let why = "grants.http: say under requests.http what the requests are for";
            return Err(wrong(why.to_owned()));
        }
        Ok(Self {
            folder: folder.to_owned(),
            name: text.name,
            version: text.version,
            language: text.language,
            kind: text.kind,
            description: text.description,
            requests: text.requests,
            grants,
        })
    }

    /// Where its component is, once it is built.
    pub fn component(&self) -> PathBuf {
        self.output().join(format!("{}.wasm", self.name))
    }

    /// Where all is that can be made again.
    pub fn output(&self) -> PathBuf {
        self.folder.join("build")
    }

    /// What the component says of itself, in its section `sluice:manifest`.
    pub fn manifest(&self) -> Value {
        json!({
            "name": self.name,
            "version": self.version,
            "kind": self.kind.in_manifest(),
            "language": self.language.name(),
            "description": self.description,
            "requests": self.requests.iter().map(|(what, why)| (what.name(), why)).collect::<BTreeMap<_, _>>(),
            "grants": self.grants,
        })
    }
}

/// Whether a text names a plugin.
///
/// # Errors
/// With an example, if it does not.
pub fn check_name(name: &str) -> Result<(), Error> {
    let word = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    let begins = name.starts_with(|first: char| first.is_ascii_lowercase());
    match begins && name.len() <= 63 && name.split('-').all(word) {
        true => Ok(()),
        false => Err(Error::Name(name.to_owned())),
    }
}

fn is_version(text: &str) -> bool {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let parts: Vec<_> = core.split('.').collect();
    parts.len() == 3
        && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_good_for_files_and_packages() {
        for name in ["order-rate", "a", "a1-b2"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "Order", "1st", "a--b", "-a", "a_b", "a/b", "é"] {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert!(is_version("1.2.3") && is_version("0.1.0-rc.1"));
        assert!(!is_version("1.2") && !is_version("v1.2.3") && !is_version(""));
    }

    fn opened(text: &str) -> Result<Project, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), text).unwrap();
        Project::open(folder.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_wrong_in_the_file_is_named() {
        let good = "name: a\nversion: 0.1.0\nlanguage: go\nkind: metric\n";
        assert_eq!(opened(good).unwrap().language, Language::Go);
        let table = [
            ("kinds: metric\n", "kinds"),
            ("requests: {htpp: why}\n", "htpp"),
            ("requests: {http: why}\ngrants: {http: [{url: shop.test}]}\n", "is no server"),
            ("grants: {http: [{url: \"https://shop.test\"}]}\n", "requests.http"),
        ];
        for (more, part) in table {
            let error = opened(&format!("{good}{more}")).unwrap_err();
            assert!(error.contains(part) && error.contains(FILE), "{more}: {error}");
        }
    }
}
