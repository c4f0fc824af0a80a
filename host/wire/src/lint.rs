//! Manifests judged before anybody applies them: with the schemas, the parser and the conditions
//! that the controller itself uses, and with whatever else stands in the same files.
//!
//! Nothing here reads files or speaks to a cluster. An object that is referred to and is not among
//! the files may well be in the cluster, so its absence is a warning.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

mod around;
mod experiment;
mod page;
mod plugin;
mod read;
mod release;
mod steps;
mod template;

use around::Around;
use page::Page;
pub use read::{Document, Lines, read};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It would not work.
    Error,
    /// It may not work, or it has no effect.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The file's name.
    pub file: Arc<str>,
    /// The line, counted from 1, if it is known.
    pub line: Option<u64>,
    /// The column, counted from 1; only where the text itself is wrong.
    pub column: Option<u64>,
    /// How bad it is.
    pub severity: Severity,
    /// Kind and name of the object, such as `Rollout shop`; `None` if there is none.
    pub object: Option<String>,
    /// Such as `spec.strategy.canary.steps[1].setWeight`. Empty for the whole object.
    pub path: String,
    /// What is wrong.
    pub problem: String,
    /// What to do about it, if that is known.
    pub fix: Option<String>,
}

impl Finding {
    /// A finding about a file as a whole.
    pub fn about(file: &Arc<str>, severity: Severity, problem: impl Into<String>) -> Self {
        Self {
            file: file.clone(),
            line: None,
            column: None,
            severity,
            object: None,
            path: String::new(),
            problem: problem.into(),
            fix: None,
        }
    }
}

/// `FILE:LINE: error: Rollout shop: PATH: PROBLEM`, and the fix on a line of its own.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        for place in [self.line, self.column].into_iter().flatten() {
            write!(f, ":{place}")?;
        }
        write!(f, ": {}: ", self.severity.name())?;
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.problem)?;
        match &self.fix {
            Some(fix) => write!(f, "\n    fix: {fix}"),
            None => Ok(()),
        }
    }
}

/// What a component is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It measures: `provider.NAME` or `provider.plugin["NAME"]`.
    Metric,
    /// It routes: `trafficRouting.NAME` or `trafficRouting.plugins["NAME"]`.
    Router,
    /// It does a step: `steps[].plugin.name`.
    Step,
}

/// Why a component's configuration does not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// The component refuses it, in its own words.
    Wrong(String),
    /// Nobody could be asked, such as when the component is not installed here.
    Unknown(String),
}

/// Asks the component of this kind and name what it thinks of its configuration.
pub type Validate<'a> = dyn Fn(Part, &str, &Value) -> Result<(), Unfit> + 'a;

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// In the order of the documents, and within one in the order of its lines.
    pub findings: Vec<Finding>,
    /// How many objects were judged.
    pub checked: usize,
}

impl Report {
    /// How many findings are this bad.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}

/// Judge the objects of Sluice's kinds; the others tell what surrounds them.
pub fn lint(documents: &[Document], validate: &Validate<'_>) -> Report {
    let mut around = Around { documents, validate, faulty: BTreeSet::new() };
    let mut pages: Vec<Option<Page<'_>>> = documents.iter().map(Page::open).collect();
    // Templates first: whoever uses a faulty one need not hear about its faults again.
    for templates in [true, false] {
        for (index, page) in pages.iter_mut().enumerate() {
            let Some(page) = page else { continue };
            let is_template = matches!(page.kind, "AnalysisTemplate" | "ClusterAnalysisTemplate");
            if is_template != templates {
                continue;
            }
            page.schema();
            match page.kind {
                "Rollout" => release::check(page, &around),
                "AnalysisTemplate" => template::check(page, &around, false),
                "ClusterAnalysisTemplate" => template::check(page, &around, true),
                "AnalysisRun" => template::check_run(page, &around),
                "Experiment" => experiment::check(page, &around),
                "Plugin" => plugin::check(page),
                _ => {}
            }
            if page.is_faulty() {
                around.faulty.insert(index);
            }
        }
    }
    let pages: Vec<_> = pages.into_iter().flatten().collect();
    let checked = pages.len();
    Report { findings: pages.into_iter().flat_map(Page::close).collect(), checked }
}
