//! Arguments: declared by templates, given by rollouts, put in place of `{{ args.name }}`.
//!
//! Arguments stay in the JSON form of the API, `{name, value, valueFrom}`, because that is what a
//! run's specification holds.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::field::Field;

/// What a secret is replaced by where only the form of a metric matters.
pub const PLACEHOLDER: &str = "temp-for-secret";

/// What a secret's value is replaced by in messages.
const BLACK: &str = "*****";

/// Why arguments cannot be resolved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    /// Nobody gave it a value.
    #[error("args.{0} was not resolved")]
    Unresolved(String),
    /// Two templates give it different values.
    #[error(
        "Argument `{name}` specified multiple times with different values: '{first}', '{second}'"
    )]
    Different {
        /// The argument.
        name: String,
        /// One value.
        first: String,
        /// The other.
        second: String,
    },
    /// A text refers to what is no argument.
    #[error("failed to resolve {{{{{0}}}}}")]
    UnknownTag(String),
    /// A path leads nowhere.
    #[error("invalid path {0} in rollout")]
    NoSuchPath(String),
    /// A path does not lead to a value.
    #[error("path {0} in rollout must terminate in a primitive value")]
    NoValue(String),
    /// A list is entered by something that is no number.
    #[error("invalid index '{0}'")]
    NoIndex(String),
    /// A list is too short.
    #[error("index {0} out of range")]
    OutOfRange(usize),
    /// A secret could not be read; in the shell's words.
    #[error("{0}")]
    Secret(String),
}

/// A key of a Secret in the run's namespace, that an argument gets its value from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretRef {
    /// The Secret's name.
    pub name: String,
    /// The key in its data.
    pub key: String,
}

fn name(arg: &Value) -> &str {
    arg.get("name").and_then(Value::as_str).unwrap_or_default()
}

/// An argument's own value; anything that is no string is taken as it is printed.
fn value(arg: &Value) -> Option<String> {
    match arg.get("value")? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn has_source(arg: &Value) -> bool {
    arg.get("valueFrom").is_some_and(|source| !source.is_null())
}

/// Unite the arguments of several templates: a value fills in where another has none.
///
/// # Errors
/// [`ArgumentError::Different`].
pub fn unite(into: &mut Vec<Value>, more: &[Value]) -> Result<(), ArgumentError> {
    for arg in more {
        let Some(present) = into.iter_mut().find(|present| name(present) == name(arg)) else {
            into.push(arg.clone());
            continue;
        };
        match (value(present), value(arg)) {
            (Some(first), Some(second)) if first != second => {
                return Err(ArgumentError::Different { name: name(arg).into(), first, second });
            }
            (None, Some(_)) => *present = arg.clone(),
            (None, None) if !has_source(present) => *present = arg.clone(),
            _ => {}
        }
    }
    Ok(())
}

/// Give declared arguments the values of those that came in; what was not declared is ignored.
///
/// # Errors
/// [`ArgumentError::Unresolved`] for what is left without a value.
pub fn fill(declared: &[Value], incoming: &[Value]) -> Result<Vec<Value>, ArgumentError> {
    let mut filled = declared.to_vec();
    for arg in &mut filled {
        let Some(given) = incoming.iter().find(|given| name(given) == name(arg)) else {
            continue;
        };
        let own_name = name(arg).to_owned();
        if let Some(value) = value(given) {
            *arg = json!({"name": own_name, "value": value});
        } else if has_source(given) {
            *arg = json!({"name": own_name, "valueFrom": given["valueFrom"]});
        }
    }
    match filled.iter().find(|arg| value(arg).is_none() && !has_source(arg)) {
        Some(arg) => Err(ArgumentError::Unresolved(name(arg).to_owned())),
        None => Ok(filled),
    }
}

/// Where a rollout's arguments get their values from.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The Rollout.
    pub rollout: &'a Value,
    /// The hash of the stable revision; empty while there is none.
    pub stable: &'a str,
    /// The hash of the wanted revision.
    pub latest: &'a str,
}

/// The arguments that a rollout gives to an analysis, with their values.
///
/// # Errors
/// What a path in `fieldRef` does not lead to.
pub fn of_rollout(given: &Field<'_>, sources: &Sources<'_>) -> Result<Vec<Value>, ArgumentError> {
    let resolve = |arg: &Field<'_>| {
        let source = arg.get("valueFrom");
        let value = match source.get("podTemplateHashValue").str() {
            Some("Stable") => sources.stable.to_owned(),
            Some(_) => sources.latest.to_owned(),
            None => match source.at("fieldRef.fieldPath").str() {
                Some(path) => field(sources.rollout, path)?,
                None => arg.value().and_then(value).unwrap_or_default(),
            },
        };
        Ok(json!({"name": arg.get("name").str().unwrap_or_default(), "value": value}))
    };
    given.items().iter().map(resolve).collect()
}

/// The value at a path such as `metadata.labels['app']` or `spec.template.spec.containers[0].image`.
/// A label or annotation that is not there is empty, as it is for pods.
pub(crate) fn field(rollout: &Value, path: &str) -> Result<String, ArgumentError> {
    if let Some(found) = mapped(rollout, path) {
        return Ok(found);
    }
    let no_such_path = || ArgumentError::NoSuchPath(path.to_owned());
    let mut at = rollout;
    for section in path.split(['.', '[', ']']).filter(|section| !section.is_empty()) {
        at = match at {
            Value::Array(items) => {
                let index: usize =
                    section.parse().map_err(|_| ArgumentError::NoIndex(section.to_owned()))?;
                items.get(index).ok_or(ArgumentError::OutOfRange(index))?
            }
            Value::Object(fields) => fields.get(section).ok_or_else(no_such_path)?,
            _ => return Err(no_such_path()),
        };
    }
    match at {
        Value::Null => Err(no_such_path()),
        Value::Array(_) | Value::Object(_) => Err(ArgumentError::NoValue(path.to_owned())),
        Value::String(text) => Ok(text.clone()),
        other => Ok(other.to_string()),
    }
}

/// The value of `metadata.labels['key']` or `metadata.annotations['key']`.
fn mapped(rollout: &Value, path: &str) -> Option<String> {
    let (map, rest) = path.strip_prefix("metadata.")?.split_once("['")?;
    let key = rest.strip_suffix("']")?;
    let known = ["labels", "annotations"].contains(&map);
    let found = rollout.get("metadata")?.get(map).and_then(|map| map.get(key));
    known.then(|| found.and_then(Value::as_str).unwrap_or_default().to_owned())
}

/// Values for `{{ … }}`, by what stands between the braces, such as `args.service`.
#[derive(Clone, Debug, Default)]
pub struct Values {
    values: BTreeMap<String, String>,
    secrets: Vec<String>,
}

impl Values {
    /// The values of a run's arguments. Those of secrets come from `secret`, whose error is in
    /// the words that the run's message is to have.
    ///
    /// # Errors
    /// [`ArgumentError::Unresolved`] and [`ArgumentError::Secret`].
    pub fn of(
        args: &[Value],
        mut secret: impl FnMut(&SecretRef) -> Result<String, String>,
    ) -> Result<Self, ArgumentError> {
        let mut values = Self::default();
        for arg in args {
            let value = match (secret_of(arg), value(arg)) {
                (Some(reference), _) => {
                    let value = secret(&reference).map_err(ArgumentError::Secret)?;
                    values.secrets.push(value.clone());
                    value
                }
                (None, Some(value)) => value,
                (None, None) => return Err(ArgumentError::Unresolved(name(arg).to_owned())),
            };
            values.values.insert(format!("args.{}", name(arg)), value);
        }
        Ok(values)
    }

    /// Values by what stands between the braces.
    pub fn named(values: BTreeMap<String, String>) -> Self {
        Self { values, secrets: Vec::new() }
    }

    /// Put values in place of tags, in every text below `value`, keys included.
    ///
    /// # Errors
    /// [`ArgumentError::UnknownTag`].
    pub fn substitute(&self, value: &Value) -> Result<Value, ArgumentError> {
        Ok(match value {
            Value::String(text) => Value::String(self.text(text)?),
            Value::Array(items) => Value::Array(
                items.iter().map(|item| self.substitute(item)).collect::<Result<_, _>>()?,
            ),
            Value::Object(fields) => {
                let mut replaced = Map::new();
                for (key, field) in fields {
                    replaced.insert(self.text(key)?, self.substitute(field)?);
                }
                Value::Object(replaced)
            }
            other => other.clone(),
        })
    }

    fn text(&self, text: &str) -> Result<String, ArgumentError> {
        let mut replaced = String::new();
        let mut rest = text;
        while let Some((before, tag, after)) = next_tag(rest) {
            let value = self.values.get(tag.trim());
            let value = value.ok_or_else(|| ArgumentError::UnknownTag(tag.to_owned()))?;
            replaced.push_str(before);
            replaced.push_str(value);
            rest = after;
        }
        replaced.push_str(rest);
        Ok(replaced)
    }

    /// Black out every secret in a text.
    pub fn redact(&self, text: &str) -> String {
        let secrets = self.secrets.iter().filter(|secret| !secret.is_empty());
        secrets.fold(text.to_owned(), |text, secret| text.replace(secret, BLACK))
    }
}

/// What is before the first tag, the tag, and what is after it.
fn next_tag(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("{{")?;
    let (tag, after) = rest.split_once("}}")?;
    Some((before, tag, after))
}

/// The secret that an argument gets its value from.
fn secret_of(arg: &Value) -> Option<SecretRef> {
    let reference = Field::root(arg).at("valueFrom.secretKeyRef");
    let text = |name: &str| reference.get(name).str().map(str::to_owned);
    Some(SecretRef { name: text("name")?, key: text("key")? })
}

/// The arguments whose tags occur somewhere below `value`.
pub fn used<'a>(args: &'a [Value], value: &Value) -> Vec<&'a Value> {
    let mut tags = Vec::new();
    collect_tags(value, &mut tags);
    let is_used =
        |arg: &&Value| tags.iter().any(|tag| tag.strip_prefix("args.") == Some(name(arg)));
    args.iter().filter(is_used).collect()
}

fn collect_tags(value: &Value, tags: &mut Vec<String>) {
    let mut of_text = |text: &str| {
        let mut rest = text;
        while let Some((_, tag, after)) = next_tag(rest) {
            tags.push(tag.trim().to_owned());
            rest = after;
        }
    };
    match value {
        Value::String(text) => of_text(text),
        Value::Array(items) => items.iter().for_each(|item| collect_tags(item, tags)),
        Value::Object(fields) => {
            fields.keys().for_each(|key| of_text(key));
            fields.values().for_each(|field| collect_tags(field, tags));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Every secret that the tags below `value` lead to, sorted.
pub fn secrets(args: &[Value], value: &Value) -> Vec<SecretRef> {
    let mut secrets: Vec<_> = used(args, value).into_iter().filter_map(secret_of).collect();
    secrets.sort();
    secrets.dedup();
    secrets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arg(name: &str, value: &str) -> Value {
        json!({"name": name, "value": value})
    }

    fn declared(name: &str) -> Value {
        json!({"name": name})
    }

    fn secret(name: &str) -> Value {
        json!({"name": name, "valueFrom": {"secretKeyRef": {"name": "tokens", "key": name}}})
    }

    fn values(args: &[Value]) -> Values {
        Values::of(args, |secret| Ok(format!("s3cret-{}", secret.key))).unwrap()
    }

    #[test]
    fn a_value_fills_in_where_another_template_has_none() {
        let mut args = vec![declared("a"), arg("b", "1")];
        unite(&mut args, &[arg("a", "2"), declared("b"), arg("c", "3")]).unwrap();
        assert_eq!(args, [arg("a", "2"), arg("b", "1"), arg("c", "3")]);
    }

    #[test]
    fn two_different_values_are_refused() {
        let mut args = vec![arg("a", "1")];
        assert_eq!(unite(&mut args, &[arg("a", "1")]), Ok(()));
        assert_eq!(
            unite(&mut args, &[arg("a", "2")]).unwrap_err().to_string(),
            "Argument `a` specified multiple times with different values: '1', '2'"
        );
    }

    #[test]
    fn incoming_arguments_override_declared_ones_and_others_are_ignored() {
        let filled = fill(
            &[arg("a", "default"), declared("b"), secret("c")],
            &[arg("a", "given"), arg("b", ""), arg("undeclared", "x")],
        );
        assert_eq!(filled.unwrap(), [arg("a", "given"), arg("b", ""), secret("c")]);
    }

    #[test]
    fn an_argument_without_value_is_not_resolved() {
        let unresolved = fill(&[declared("service")], &[]).unwrap_err();
        assert_eq!(unresolved.to_string(), "args.service was not resolved");
    }

    #[test]
    fn rollouts_take_values_from_hashes_and_fields() {
        let rollout = json!({
            "metadata": {"name": "shop", "labels": {"app.kubernetes.io/name": "web"}},
            "spec": {"replicas": 3, "template": {"spec": {"containers": [{"image": "web:2"}]}}},
        });
        let sources = Sources { rollout: &rollout, stable: "old", latest: "new" };
        let resolved = |arg: Value| {
            let args = json!([arg]);
            let args = of_rollout(&Field::root(&args), &sources);
            args.map(|args| args[0]["value"].as_str().unwrap().to_owned())
                .unwrap_or_else(|error| format!("error: {error}"))
        };
        let hash = |which: &str| json!({"name": "a", "valueFrom": {"podTemplateHashValue": which}});
        let path =
            |path: &str| json!({"name": "a", "valueFrom": {"fieldRef": {"fieldPath": path}}});
        assert_eq!(resolved(arg("a", "plain")), "plain");
        assert_eq!(resolved(declared("a")), "");
        assert_eq!(resolved(hash("Stable")), "old");
        assert_eq!(resolved(hash("Latest")), "new");
        let table = [
            ("metadata.name", "shop"),
            ("metadata.labels['app.kubernetes.io/name']", "web"),
            ("metadata.annotations['missing']", ""),
            ("spec.replicas", "3"),
            ("spec.template.spec.containers[0].image", "web:2"),
            ("spec.template.spec.containers[1].image", "error: index 1 out of range"),
            ("spec.template.spec.containers[x].image", "error: invalid index 'x'"),
            ("spec.nothing", "error: invalid path spec.nothing in rollout"),
            ("spec.replicas.x", "error: invalid path spec.replicas.x in rollout"),
            (
                "spec.template",
                "error: path spec.template in rollout must terminate in a primitive value",
            ),
        ];
        for (given, expected) in table {
            assert_eq!(resolved(path(given)), expected, "{given}");
        }
    }

    #[test]
    fn tags_are_replaced_in_every_text() {
        let args = [arg("service", "shop \"web\""), arg("n", "3")];
        let metric = json!({
            "count": "{{args.n}}",
            "provider": {"web": {"url": "http://{{ args.service }}/{{args.n}}", "x": ["{{args.n}}", 7]}},
        });
        let expected = json!({
            "count": "3",
            "provider": {"web": {"url": "http://shop \"web\"/3", "x": ["3", 7]}},
        });
        assert_eq!(values(&args).substitute(&metric).unwrap(), expected);
    }

    #[test]
    fn an_unknown_tag_is_not_resolved_and_a_value_is_not_searched_for_tags() {
        let args = [arg("a", "{{args.b}}")];
        let text = |text: &str| values(&args).substitute(&json!(text));
        assert_eq!(text("x {{args.a}}").unwrap(), json!("x {{args.b}}"));
        assert_eq!(text("{{ not closed").unwrap(), json!("{{ not closed"));
        assert_eq!(text("{{ args.c }}").unwrap_err().to_string(), "failed to resolve {{ args.c }}");
    }

    #[test]
    fn only_the_secrets_that_are_used_are_asked_for_and_all_are_blacked_out() {
        let args = [secret("token"), secret("other"), arg("a", "1")];
        let metric = json!({"header": "Bearer {{ args.token }}", "{{args.a}}": 1});
        let token = SecretRef { name: "tokens".into(), key: "token".into() };
        assert_eq!(secrets(&args, &metric), [token]);
        let values = values(&args);
        assert_eq!(values.substitute(&metric).unwrap()["header"], "Bearer s3cret-token");
        assert_eq!(values.redact("401 for s3cret-token"), "401 for *****");
    }

    #[test]
    fn a_secret_that_cannot_be_read_says_so_in_the_words_of_the_shell() {
        let error = Values::of(&[secret("token")], |_| Err("secrets \"tokens\" not found".into()));
        assert_eq!(error.unwrap_err().to_string(), "secrets \"tokens\" not found");
    }
}
