//! The findings about one object, as they are collected.

use serde_json::Value;
use sluice_api::schema::{self, Fault};

use crate::field::Field;
use crate::lint::{Document, Finding, Severity};

/// The kinds that are judged, and whether their names are ours alone.
const KINDS: &[(&str, bool)] = &[
    ("AnalysisRun", true),
    ("AnalysisTemplate", true),
    ("ClusterAnalysisTemplate", true),
    ("Experiment", false),
    ("Plugin", false),
    ("Rollout", false),
];

/// One object that is judged.
pub(super) struct Page<'d> {
    pub(super) document: &'d Document,
    pub(super) kind: &'d str,
    object: String,
    findings: Vec<Finding>,
    /// Where the schema has found something; what else is found there or below follows from it.
    spoken: Vec<String>,
    /// What has a field that is not known; what is missing there follows from it.
    hollow: Vec<String>,
}

impl<'d> Page<'d> {
    /// `None` if the object is none of ours.
    pub(super) fn open(document: &'d Document) -> Option<Self> {
        let root = Field::root(&document.object);
        let kind = root.get("kind").str()?;
        let version = root.get("apiVersion").str().unwrap_or_default();
        let known = KINDS.iter().find(|(name, _)| *name == kind);
        let ours = version.contains("argo") || version.contains("sluice");
        let is_judged = match known {
            // Other projects have kinds of the same names.
            Some((_, distinct)) => *distinct || ours || !version.contains('.'),
            // The group has kinds of other projects too, so a kind must look like a slip.
            None => ours && suggested(kind).is_some(),
        };
        if !is_judged {
            return None;
        }
        let name = root.at("metadata.name").name();
        let name = name.or(root.at("metadata.generateName").name());
        Some(Self {
            document,
            kind,
            object: name.map_or(kind.to_owned(), |name| format!("{kind} {name}")),
            findings: Vec::new(),
            spoken: Vec::new(),
            hollow: Vec::new(),
        })
    }

    /// The object.
    pub(super) fn root(&self) -> Field<'d> {
        Field::root(&self.document.object)
    }

    /// Its namespace; empty if it is left to whoever applies it.
    pub(super) fn namespace(&self) -> String {
        self.root().at("metadata.namespace").str().unwrap_or_default().to_owned()
    }

    /// Whether it would not work.
    pub(super) fn is_faulty(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// All findings, in the order of their lines.
    pub(super) fn close(mut self) -> Vec<Finding> {
        self.findings.sort_by_key(|finding| finding.line);
        self.findings
    }

    pub(super) fn error(&mut self, path: &str, problem: impl Into<String>, fix: Option<&str>) {
        self.report(Severity::Error, path, problem.into(), fix.map(str::to_owned));
    }

    pub(super) fn warning(&mut self, path: &str, problem: impl Into<String>, fix: Option<&str>) {
        self.report(Severity::Warning, path, problem.into(), fix.map(str::to_owned));
    }

    /// Add a finding, unless it follows from what the schema has found.
    fn report(&mut self, severity: Severity, path: &str, problem: String, fix: Option<String>) {
        if self.is_spoken(path) || self.hollow.iter().any(|hollow| hollow == path) {
            return;
        }
        self.findings.push(Finding {
            line: self.document.lines.of(path),
            object: Some(self.object.clone()),
            path: path.to_owned(),
            fix,
            ..Finding::about(&self.document.file, severity, problem)
        });
    }

    /// Whether the schema has found something there or above.
    pub(super) fn is_spoken(&self, path: &str) -> bool {
        self.spoken.iter().any(|spoken| {
            path.strip_prefix(spoken.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    /// What the schema of the kind has to say, and what every object needs.
    pub(super) fn schema(&mut self) {
        let root = self.root();
        let metadata = root.get("metadata");
        if metadata.get("name").name().is_none() && metadata.get("generateName").name().is_none() {
            self.error("metadata.name", "required, but missing", None);
        }
        if !root.get("apiVersion").is_set() {
            self.error("apiVersion", "required, but missing", None);
        }
        let problems = schema::check(self.kind, &self.document.object);
        let (mut spoken, mut hollow) = (Vec::new(), Vec::new());
        for problem in &problems {
            let Fault::UnknownField { suggestion } = &problem.fault else { continue };
            let (above, _) = problem.path.rsplit_once('.').unwrap_or_default();
            hollow.push(above.to_owned());
            // A misspelt field is why the one that was meant is missing.
            spoken.extend(suggestion.as_ref().map(|name| format!("{above}.{name}")));
        }
        for problem in problems {
            if problem.fault != Fault::Missing || !spoken.contains(&problem.path) {
                let (text, fix) = (problem.problem(), problem.fix());
                self.error(&problem.path, text, fix.as_deref());
            }
            spoken.push(problem.path);
        }
        self.spoken.append(&mut spoken);
        self.hollow.append(&mut hollow);
    }
}

/// The kind that was meant, if one is near.
fn suggested(kind: &str) -> Option<String> {
    schema::check(kind, &Value::Null).into_iter().find_map(|problem| match problem.fault {
        Fault::UnknownKind { suggestion } => suggestion,
        _ => None,
    })
}
