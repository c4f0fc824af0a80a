//! What surrounds an object: the other objects of the same files, and the components.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::field::Field;
use crate::lint::{Document, Page, Part, Unfit, Validate};
use crate::objects::TemplateName;

/// See the module's documentation.
pub(super) struct Around<'d> {
    pub(super) documents: &'d [Document],
    pub(super) validate: &'d Validate<'d>,
    /// The documents that were judged and would not work, by index.
    pub(super) faulty: BTreeSet<usize>,
}

impl<'d> Around<'d> {
    /// The first object of this kind and name. Manifests often leave the namespace to whoever
    /// applies them, so an object without one is in every namespace.
    pub(super) fn find(&self, kind: &str, namespace: &str, name: &str) -> Option<&'d Value> {
        self.position(kind, namespace, name).map(|index| &self.documents[index].object)
    }

    /// The template that a reference names.
    pub(super) fn template(&self, namespace: &str, name: &TemplateName) -> Option<&'d Value> {
        self.find(kind_of(name), namespace, &name.name)
    }

    /// Whether this template, or one that it refers to, has errors of its own.
    pub(super) fn is_faulty(&self, namespace: &str, name: &TemplateName) -> bool {
        let mut seen = BTreeSet::new();
        let mut left = vec![name.clone()];
        while let Some(name) = left.pop() {
            let Some(index) = self.position(kind_of(&name), namespace, &name.name) else {
                continue;
            };
            if self.faulty.contains(&index) {
                return true;
            }
            let spec = Field::root(&self.documents[index].object).get("spec");
            if seen.insert(name) {
                left.extend(references(&spec.get("templates")).into_iter().map(|(_, name)| name));
            }
        }
        false
    }

    /// Whether this template is somewhere used together with others, whose arguments it shares.
    pub(super) fn is_joined(&self, name: &TemplateName) -> bool {
        self.documents.iter().any(|document| joins(&document.object, name))
    }

    /// Ask a component about its configuration.
    pub(super) fn ask(
        &self,
        page: &mut Page<'_>,
        part: Part,
        name: &str,
        path: &str,
        config: &Value,
    ) {
        if page.is_spoken(path) {
            return;
        }
        match (self.validate)(part, name, config) {
            Ok(()) => {}
            Err(Unfit::Wrong(why)) => page.error(path, why, None),
            Err(Unfit::Unknown(why)) => page.warning(path, why, None),
        }
    }

    fn position(&self, kind: &str, namespace: &str, name: &str) -> Option<usize> {
        self.documents.iter().position(|document| {
            let root = Field::root(&document.object);
            let version = root.get("apiVersion").str().unwrap_or_default();
            let own = root.at("metadata.namespace").str().unwrap_or_default();
            root.get("kind").str() == Some(kind)
                && root.at("metadata.name").str() == Some(name)
                && (own.is_empty() || namespace.is_empty() || own == namespace)
                // Other projects have a Service too.
                && (kind != "Service" || version == "v1")
        })
    }
}

fn kind_of(name: &TemplateName) -> &'static str {
    if name.cluster { "ClusterAnalysisTemplate" } else { "AnalysisTemplate" }
}

/// The templates that a list of `{templateName, clusterScope}` names, and where.
pub(super) fn references(list: &Field<'_>) -> Vec<(String, TemplateName)> {
    let name = |item: &Field<'_>| {
        let template = item.get("templateName");
        let name = TemplateName {
            cluster: item.get("clusterScope").bool(),
            name: template.name()?.to_owned(),
        };
        Some((template.path().to_owned(), name))
    };
    list.items().iter().filter_map(name).collect()
}

/// Warn of templates that are not among the files.
pub(super) fn warn_of_absent(page: &mut Page<'_>, around: &Around<'_>, list: &Field<'_>) {
    let namespace = page.namespace();
    for (path, name) in references(list) {
        if around.template(&namespace, &name).is_none() {
            let problem = format!("{} {:?} is not in these files", kind_of(&name), name.name);
            page.warning(&path, problem, None);
        }
    }
}

fn joins(value: &Value, name: &TemplateName) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|item| joins(item, name)),
        Value::Object(fields) => {
            let list = references(&Field::root(value).get("templates"));
            (list.len() > 1 && list.iter().any(|(_, listed)| listed == name))
                || fields.values().any(|field| joins(field, name))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
