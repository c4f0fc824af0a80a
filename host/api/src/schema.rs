//! Checks objects against the schemas of their kinds, offline.
//!
//! The API server drops unknown fields without a word unless the client asks for more; here a
//! misspelt field is a problem with the nearest known name beside it. Inside pod specifications
//! unknown fields are no problem, since any of them may be newer than the schema.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value, json};

use crate::crd::{KINDS, Kind};
use crate::structural::structural;

/// One thing that is wrong with an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// Where, such as `spec.strategy.canary.steps[2].setWeigth`. Empty for the whole object.
    pub path: String,
    /// What.
    pub fault: Fault,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// No such kind is known.
    UnknownKind {
        /// The nearest known kind, if one is near.
        suggestion: Option<String>,
    },
    /// The kind has another API version.
    WrongApiVersion {
        /// Which one.
        expected: &'static str,
    },
    /// No such field is known.
    UnknownField {
        /// The nearest field that may stand here, if one is near.
        suggestion: Option<String>,
    },
    /// The value is of another type.
    WrongType {
        /// Which one: `object`, `array`, `string`, `integer`, `number`, `boolean`, or
        /// `integer or string`.
        expected: String,
        /// The type that it is of.
        found: &'static str,
    },
    /// A required field is not there. The path is that of the field.
    Missing,
    /// The value is none of those that are allowed.
    NotAllowed {
        /// The value.
        found: String,
        /// Those that are allowed.
        allowed: Vec<String>,
    },
    /// So many members are set, but exactly one should be.
    NotExactlyOne {
        /// How many are.
        found: usize,
        /// Those that may be.
        members: Vec<String>,
    },
}

/// An unknown field. See [`unknown_fields`].
#[derive(Clone, Debug, PartialEq)]
pub struct UnknownField {
    /// Where.
    pub path: String,
    /// The nearest field that may stand here, if one is near.
    pub suggestion: Option<String>,
}

impl Problem {
    /// What is wrong, in a sentence without a path.
    pub fn problem(&self) -> String {
        match &self.fault {
            Fault::UnknownKind { .. } => "unknown kind".to_owned(),
            Fault::WrongApiVersion { .. } => "wrong API version".to_owned(),
            Fault::UnknownField { .. } => "unknown field".to_owned(),
            Fault::WrongType { expected, found } => format!("must be {expected}, not {found}"),
            Fault::Missing => "required, but missing".to_owned(),
            Fault::NotAllowed { found, .. } => format!("{found:?} is not allowed"),
            Fault::NotExactlyOne { found: 0, .. } => "no member is set".to_owned(),
            Fault::NotExactlyOne { found, .. } => format!("{found} members are set"),
        }
    }

    /// What to do about it, if that is known.
    pub fn fix(&self) -> Option<String> {
        match &self.fault {
            Fault::UnknownKind { suggestion } | Fault::UnknownField { suggestion } => {
                suggestion.as_ref().map(|name| format!("did you mean {name}?"))
            }
            Fault::WrongApiVersion { expected } => Some(format!("use {expected}")),
            Fault::WrongType { expected, found } => match (expected.as_str(), *found) {
                ("string", "integer" | "number" | "boolean") => Some("put it in quotes".to_owned()),
                ("integer" | "number" | "boolean", "string") => {
                    Some("write it without quotes".to_owned())
                }
                _ => None,
            },
            Fault::Missing => None,
            Fault::NotAllowed { allowed, .. } => Some(format!("use one of {}", allowed.join(", "))),
            Fault::NotExactlyOne { members, .. } => {
                Some(format!("set exactly one of {}", members.join(", ")))
            }
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.problem())?;
        match self.fix() {
            Some(fix) => write!(f, "; {fix}"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with an object of this kind, in the order of its fields.
///
/// What only rules can say (two services that must differ, a duration that must be one) is not
/// looked at. Null in a known field counts as absent, as it does for the API server.
pub fn check(kind: &str, object: &Value) -> Vec<Problem> {
    let Some(schema) = schemas().get(kind) else {
        let suggestion = nearest(kind, KINDS.iter().map(|kind| kind.name));
        return vec![Problem { path: String::new(), fault: Fault::UnknownKind { suggestion } }];
    };
    let mut walk = Walk { problems: Vec::new() };
    if let (Some(kind), Some(Value::String(version))) =
        (Kind::named(kind), object.get("apiVersion"))
        && version != kind.api_version
    {
        walk.report("apiVersion", Fault::WrongApiVersion { expected: kind.api_version });
    }
    walk.value("", schema, object);
    walk.problems
}

/// The unknown fields of an object of this kind; none if the kind itself is unknown.
pub fn unknown_fields(kind: &str, object: &Value) -> Vec<UnknownField> {
    check(kind, object)
        .into_iter()
        .filter_map(|problem| match problem.fault {
            Fault::UnknownField { suggestion } => {
                Some(UnknownField { path: problem.path, suggestion })
            }
            _ => None,
        })
        .collect()
}

/// The schemas of all kinds, with that of metadata in them, which definitions leave to the
/// API server.
fn schemas() -> &'static BTreeMap<&'static str, Value> {
    static SCHEMAS: OnceLock<BTreeMap<&'static str, Value>> = OnceLock::new();
    SCHEMAS.get_or_init(|| {
        let mut metadata = structural::<ObjectMeta>();
        metadata["properties"]["managedFields"] =
            json!({ "type": "array", "x-kubernetes-preserve-unknown-fields": true });
        let whole = |kind: &Kind| {
            let mut schema = kind.schema();
            schema["properties"]["metadata"] = metadata.clone();
            (kind.name, schema)
        };
        KINDS.iter().map(whole).collect()
    })
}

/// The name nearest to `wrong`, unless it is too far to be meant.
fn nearest<'n>(wrong: &str, names: impl Iterator<Item = &'n str>) -> Option<String> {
    let wrong = wrong.to_lowercase();
    let far = (wrong.chars().count() / 3).max(1);
    names
        .map(|name| (strsim::damerau_levenshtein(&wrong, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= far)
        .min()
        .map(|(_, name)| name.to_owned())
}

struct Walk {
    problems: Vec<Problem>,
}

impl Walk {
    fn report(&mut self, path: &str, fault: Fault) {
        self.problems.push(Problem { path: path.to_owned(), fault });
    }

    fn value(&mut self, path: &str, schema: &Value, value: &Value) {
        if let Some(expected) = mismatch(schema, value) {
            self.report(path, Fault::WrongType { expected, found: type_name(value) });
            return;
        }
        if let Some(Value::Array(allowed)) = schema.get("enum")
            && !allowed.contains(value)
        {
            let allowed = allowed.iter().map(bare).collect();
            self.report(path, Fault::NotAllowed { found: bare(value), allowed });
        }
        match value {
            Value::Object(fields) => self.object(path, schema, fields),
            Value::Array(items) => {
                let Some(schema) = schema.get("items") else { return };
                for (index, item) in items.iter().enumerate() {
                    self.value(&format!("{path}[{index}]"), schema, item);
                }
            }
            _ => {}
        }
    }

    fn object(&mut self, path: &str, schema: &Value, fields: &Map<String, Value>) {
        let none = Map::new();
        let known = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
        let open = schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
        // Sorted, since the order of a map depends on what else is built with it.
        let mut fields_by_name: Vec<_> = fields.iter().collect();
        fields_by_name.sort_by_key(|(name, _)| *name);
        for (name, value) in fields_by_name {
            let path = join(path, name);
            match (known.get(name), schema.get("additionalProperties")) {
                (Some(_), _) if value.is_null() => {}
                (Some(schema), _) | (None, Some(schema)) => self.value(&path, schema, value),
                (None, None) if open => {}
                (None, None) => {
                    let suggestion = nearest(name, known.keys().map(String::as_str));
                    self.report(&path, Fault::UnknownField { suggestion });
                }
            }
        }
        let present = |name: &str| fields.get(name).is_some_and(|value| !value.is_null());
        for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
            if let Value::String(name) = name
                && !present(name)
            {
                self.report(&join(path, name), Fault::Missing);
            }
        }
        if schema.get("maxProperties") == Some(&json!(1)) {
            let found = known.keys().filter(|name| present(name)).count();
            if found != 1 {
                let mut members: Vec<String> = known.keys().cloned().collect();
                members.sort();
                self.report(path, Fault::NotExactlyOne { found, members });
            }
        }
    }
}

/// The type that the schema asks for, if the value is of another.
fn mismatch(schema: &Value, value: &Value) -> Option<String> {
    if schema.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        let fits = value.is_string() || is_integer(value);
        return (!fits).then(|| "integer or string".to_owned());
    }
    let expected = schema.get("type")?.as_str()?;
    let fits = match expected {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => is_integer(value),
        "number" => value.is_number(),
        _ => true,
    };
    (!fits).then(|| expected.to_owned())
}

/// JSON has one kind of number: `3.0` is as good an integer as `3`.
fn is_integer(value: &Value) -> bool {
    value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) if is_integer(value) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn bare(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Names that would not read as one field are put in brackets.
fn join(path: &str, name: &str) -> String {
    let plain = !name.is_empty()
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_'));
    match (path, plain) {
        ("", _) => name.to_owned(),
        (_, true) => format!("{path}.{name}"),
        (_, false) => format!("{path}[{name:?}]"),
    }
}
