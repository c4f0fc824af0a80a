//! Manifests as text: the objects in them, and the line that each of their fields is on.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

use crate::lint::{Finding, Severity};

/// One object of a file.
#[derive(Clone, Debug)]
pub struct Document {
    /// The file's name, as findings call it.
    pub file: Arc<str>,
    /// The object.
    pub object: Value,
    /// Where its fields are.
    pub lines: Lines,
}

/// The lines of a value and of all that is below it.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    /// Counted from 1; 0 if it is not known.
    line: u64,
    /// By field name or by index.
    below: BTreeMap<String, Lines>,
}

impl Lines {
    /// The line of the field at a path such as `spec.steps[2].setWeight`, or of the nearest
    /// object around it if it is not there.
    pub fn of(&self, path: &str) -> Option<u64> {
        let mut at = self;
        let mut rest = path;
        while let Some((name, after)) = next(rest) {
            let Some(below) = at.below.get(&name) else { break };
            (at, rest) = (below, after);
        }
        (at.line > 0).then_some(at.line)
    }
}

/// The first part of a path, and the rest: `a.b`, `[0].b` or `["a/b"].c`.
fn next(path: &str) -> Option<(String, &str)> {
    let path = path.strip_prefix('.').unwrap_or(path);
    if path.is_empty() {
        return None;
    }
    let Some(inside) = path.strip_prefix('[') else {
        let end = path.find(['.', '[']).unwrap_or(path.len());
        return Some((path[..end].to_owned(), &path[end..]));
    };
    if inside.starts_with('"') {
        let mut quoted = serde_json::Deserializer::from_str(inside).into_iter::<String>();
        let name = quoted.next()?.ok()?;
        let after = inside.get(quoted.byte_offset()..)?;
        return Some((name, after.strip_prefix(']')?));
    }
    let (index, after) = inside.split_once(']')?;
    Some((index.to_owned(), after))
}

/// The objects in a text of YAML or JSON documents; those of a `List` one by one.
///
/// # Errors
/// The place where the text is neither.
pub fn read(file: &str, text: &str) -> Result<Vec<Document>, Box<Finding>> {
    let file: Arc<str> = file.into();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let nodes: Vec<Spanned<Node>> = serde_saphyr::from_multiple(text).map_err(|error| {
        let at = error.location().filter(|at| at.line() > 0);
        let error = error.without_snippet().to_string();
        Box::new(Finding {
            line: at.map(|at| at.line()),
            column: at.map(|at| at.column()),
            ..Finding::about(&file, Severity::Error, plain(&error))
        })
    })?;
    let mut documents = Vec::new();
    for node in nodes {
        let line = node.referenced.line();
        let (object, lines) = node.value.split(line);
        flatten(Document { file: file.clone(), object, lines }, &mut documents);
    }
    Ok(documents)
}

/// A library's message in one line, without the place that stands beside it anyway.
fn plain(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let line = line.split_once(" at line ").map_or(line, |(before, _)| before);
    let line = line.strip_prefix("error: ").unwrap_or(line);
    // Some messages start with the place instead.
    match line.strip_prefix("line ").and_then(|rest| rest.split_once(": ")) {
        Some((_, what)) => what.to_owned(),
        None => line.to_owned(),
    }
}

/// What `kubectl get -o yaml` prints is a list of objects.
fn flatten(mut document: Document, into: &mut Vec<Document>) {
    let is_list = document.object.get("kind").and_then(Value::as_str) == Some("List");
    match document.object.get_mut("items") {
        Some(Value::Array(items)) if is_list => {
            let lines = document.lines.below.remove("items").unwrap_or_default();
            for (index, object) in std::mem::take(items).into_iter().enumerate() {
                let lines = lines.below.get(&index.to_string()).cloned().unwrap_or_default();
                into.push(Document { file: document.file.clone(), object, lines });
            }
        }
        _ => into.push(document),
    }
}

/// A value of which every part knows where it is.
enum Node {
    Plain(Value),
    List(Vec<Spanned<Node>>),
    Fields(Vec<(Spanned<String>, Spanned<Node>)>),
}

impl Node {
    fn split(self, line: u64) -> (Value, Lines) {
        let mut lines = Lines { line, below: BTreeMap::new() };
        let value = match self {
            Self::Plain(value) => value,
            Self::List(items) => {
                let mut values = Vec::new();
                for (index, item) in items.into_iter().enumerate() {
                    let line = item.referenced.line();
                    let (value, below) = item.value.split(line);
                    values.push(value);
                    lines.below.insert(index.to_string(), below);
                }
                Value::Array(values)
            }
            Self::Fields(fields) => {
                let mut values = Map::new();
                for (name, field) in fields {
                    // A field is where its name is: its value may start on the next line.
                    let (value, below) = field.value.split(name.referenced.line());
                    lines.below.insert(name.value.clone(), below);
                    values.insert(name.value, value);
                }
                Value::Object(values)
            }
        };
        (value, lines)
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what JSON can express")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Plain(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Plain(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Plain(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Plain(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Plain(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        let number = Number::from_f64(value);
        let number = number.ok_or_else(|| E::custom(format!("{value} is no number of JSON")))?;
        Ok(Node::Plain(number.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Plain(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::Plain(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut fields: Vec<(Spanned<String>, Spanned<Node>)> = Vec::new();
        while let Some((name, value)) = map.next_entry::<Spanned<String>, _>()? {
            if fields.iter().any(|(known, _)| known.value == name.value) {
                return Err(A::Error::custom(format!("duplicate mapping key: {}", name.value)));
            }
            fields.push((name, value));
        }
        Ok(Node::Fields(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Document {
        read("f.yaml", text).unwrap().remove(0)
    }

    #[test]
    fn every_field_knows_its_line() {
        let text = "# A comment.\nspec:\n  steps:\n    - setWeight: 5\n    - pause: {duration: 5s}\n  \
                    labels:\n    app.example/name: web\n    text: |\n      two\n      lines\n";
        let document = one(text);
        let table = [
            ("", 2),
            ("spec", 2),
            ("spec.steps", 3),
            ("spec.steps[0].setWeight", 4),
            ("spec.steps[1]", 5),
            ("spec.steps[1].pause.duration", 5),
            ("spec.labels[\"app.example/name\"]", 7),
            ("spec.labels.text", 8),
            ("spec.steps[1].missing.field", 5),
            ("spec.steps[7].setWeight", 3),
        ];
        for (path, line) in table {
            assert_eq!(document.lines.of(path), Some(line), "{path}");
        }
        assert_eq!(document.object["spec"]["labels"]["text"], "two\nlines\n");
    }

    #[test]
    fn json_and_lists_of_objects_are_read_too() {
        let text = "{\n\t\"kind\": \"List\",\n\t\"items\": [\n\t\t{\"kind\": \"A\", \"n\": 1.5},\n\t\t{\"kind\": \"B\"}\n\t]\n}\n";
        let documents = read("f.json", text).unwrap();
        let found: Vec<_> = documents.iter().map(|document| &document.object["kind"]).collect();
        assert_eq!(found, ["A", "B"]);
        assert_eq!(documents[1].lines.of("kind"), Some(5));
    }

    #[test]
    fn documents_go_on_counting_lines_and_aliases_stand_where_they_are_used() {
        let text = "---\n---\na: &x {b: 1}\nc: *x\n---\nd: 1\n";
        let documents = read("f.yaml", text).unwrap();
        assert_eq!(documents.len(), 2);
        assert_eq!(documents[0].lines.of("c"), Some(4));
        assert_eq!(documents[0].object["c"]["b"], 1);
        assert_eq!(documents[1].lines.of("d"), Some(6));
    }

    #[test]
    fn what_is_no_yaml_has_a_place() {
        for (text, line) in [("a: 1\n  b: [\n", 2), ("a: 1\na: 2\n", 2), ("a: *none\n", 1)] {
            let finding = read("f.yaml", text).unwrap_err();
            assert_eq!((finding.line, &*finding.file), (Some(line), "f.yaml"), "{finding:?}");
        }
    }
}
