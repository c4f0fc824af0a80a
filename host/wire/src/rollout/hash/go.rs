//! JSON as Go's encoder writes it, for objects whose Go types are in a table.

use std::fmt::Write as _;

use serde_json::Value;

use super::quantity;
use super::table::{Kind, Table};

/// Writes values by the types of one table.
pub(super) struct Writer<'t> {
    pub table: &'t Table,
    /// Whether objects that were never created say so, as libraries before Kubernetes 0.34 had it.
    pub undated: bool,
    pub out: String,
}

impl Writer<'_> {
    /// Write a value; absent and `null` are the same to Go.
    pub fn write(&mut self, kind: &Kind, value: Option<&Value>) {
        let value = value.filter(|value| !value.is_null());
        match (kind, value) {
            (Kind::Object(name), Some(Value::Object(_)) | None) => self.object(name, value),
            (Kind::Pointer(inner), Some(_)) => self.write(inner, value),
            (Kind::List(inner), Some(Value::Array(items))) => {
                self.out.push('[');
                for (place, item) in items.iter().enumerate() {
                    self.comma(place > 0);
                    self.write(inner, Some(item));
                }
                self.out.push(']');
            }
            (Kind::Map(inner), Some(Value::Object(entries))) => {
                let mut entries: Vec<_> = entries.iter().collect();
                entries.sort_by_key(|(key, _)| *key);
                self.out.push('{');
                for (place, (key, item)) in entries.into_iter().enumerate() {
                    self.comma(place > 0);
                    self.name(key);
                    self.write(inner, Some(item));
                }
                self.out.push('}');
            }
            (Kind::Quantity, Some(Value::String(text))) => self.quantity(text),
            (Kind::Quantity, Some(Value::Number(number))) => self.quantity(&number.to_string()),
            (Kind::Text, None) => self.out.push_str("\"\""),
            (Kind::Whole | Kind::IntOrString, None) => self.out.push('0'),
            (Kind::Truth, None) => self.out.push_str("false"),
            (Kind::Quantity, None) => self.out.push_str("\"0\""),
            (Kind::Pointer(_) | Kind::List(_) | Kind::Map(_) | Kind::Time | Kind::Raw, None) => {
                self.out.push_str("null")
            }
            // What is not of its type is passed on: it is no pod template that a server takes.
            (_, Some(value)) => self.raw(value),
        }
    }

    fn object(&mut self, object: &str, value: Option<&Value>) {
        let fields = self.table.fields(object);
        self.out.push('{');
        let mut more = false;
        for field in fields {
            let value = value.and_then(|value| value.get(field.name));
            let dated = self.undated && object == "ObjectMeta" && field.name == "creationTimestamp";
            if field.optional && !dated && is_empty(&field.kind, value) {
                continue;
            }
            self.comma(more);
            more = true;
            self.name(field.name);
            self.write(&field.kind, value);
        }
        // A field that is newer than the table makes another revision, as it would there.
        let known = |name: &String| fields.iter().any(|field| field.name == name);
        let entries = value.and_then(Value::as_object).into_iter().flatten();
        let mut strange: Vec<_> =
            entries.filter(|(name, value)| !known(name) && !value.is_null()).collect();
        strange.sort_by_key(|(name, _)| *name);
        for (name, value) in strange {
            self.comma(more);
            more = true;
            self.name(name);
            self.raw(value);
        }
        self.out.push('}');
    }

    /// Any JSON, with sorted keys.
    fn raw(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.string(text),
            Value::Array(items) => {
                self.out.push('[');
                for (place, item) in items.iter().enumerate() {
                    self.comma(place > 0);
                    self.raw(item);
                }
                self.out.push(']');
            }
            Value::Object(entries) => {
                let mut entries: Vec<_> = entries.iter().collect();
                entries.sort_by_key(|(key, _)| *key);
                self.out.push('{');
                for (place, (key, item)) in entries.into_iter().enumerate() {
                    self.comma(place > 0);
                    self.name(key);
                    self.raw(item);
                }
                self.out.push('}');
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                self.out.push_str(&value.to_string());
            }
        }
    }

    fn quantity(&mut self, text: &str) {
        let canonical = quantity::canonical(text);
        self.string(canonical.as_deref().unwrap_or(text));
    }

    fn name(&mut self, name: &str) {
        self.string(name);
        self.out.push(':');
    }

    fn comma(&mut self, needed: bool) {
        if needed {
            self.out.push(',');
        }
    }

    /// A string with the escapes of Go's encoder, which is safe inside HTML.
    fn string(&mut self, text: &str) {
        for c in Value::from(text).to_string().chars() {
            match c {
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                    // Writing into a string cannot fail.
                    let _ = write!(self.out, "\\u{:04x}", u32::from(c));
                }
                c => self.out.push(c),
            }
        }
    }
}

/// What Go's `omitempty` leaves out. A pointer is only empty when it points nowhere.
fn is_empty(kind: &Kind, value: Option<&Value>) -> bool {
    let Some(value) = value.filter(|value| !value.is_null()) else {
        return !matches!(kind, Kind::Quantity | Kind::IntOrString | Kind::Object(_));
    };
    match kind {
        Kind::Text => value.as_str() == Some(""),
        Kind::Whole => value.as_f64() == Some(0.0),
        Kind::Truth => value.as_bool() == Some(false),
        Kind::List(_) => value.as_array().is_some_and(Vec::is_empty),
        Kind::Map(_) => value.as_object().is_some_and(serde_json::Map::is_empty),
        Kind::Quantity
        | Kind::IntOrString
        | Kind::Time
        | Kind::Raw
        | Kind::Object(_)
        | Kind::Pointer(_) => false,
    }
}
