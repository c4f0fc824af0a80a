//! Manifests judged before anybody applies them: with the schemas, the parser and the conditions
//! that the controller itself uses, and with whatever else stands in the same files.
//!
//! Nothing here reads files or speaks to a cluster. An object that is referred to and is not among
//! the files may well be in the cluster, so its absence is a warning.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::objects::Meta;

mod read;

pub use read::{Document, Lines, read};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It would not work.
    Error,
    /// It may not work, or it does not do anything.
    Warning,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The file's name.
    pub file: Arc<str>,
    /// The line, counted from 1, if it is known.
    pub line: Option<u64>,
    /// The column, counted from 1, if the text itself is wrong there.
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
    pub(crate) fn about(file: &Arc<str>, severity: Severity, problem: impl Into<String>) -> Self {
        Self { file: file.clone(), line: None, column: None, severity, object: None, path: String::new(), problem: problem.into(), fix: None }
    }
}
