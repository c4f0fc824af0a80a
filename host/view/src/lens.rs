//! Reading JSON of any shape: what is missing or of another type is simply not there.

use jiff::Timestamp;
use serde_json::Value;

/// Look into a JSON value along a path of member names.
pub(crate) trait Lens {
    /// The value at the path; JSON's null counts as absent.
    fn at(&self, path: &[&str]) -> Option<&Value>;

    /// A non-empty text.
    fn text(&self, path: &[&str]) -> Option<&str> {
        self.at(path)?.as_str().filter(|text| !text.is_empty())
    }
    /// A whole number.
    fn int(&self, path: &[&str]) -> Option<i64> {
        self.at(path)?.as_i64()
    }
    /// A truth value; absent is false.
    fn flag(&self, path: &[&str]) -> bool {
        self.at(path).and_then(Value::as_bool).unwrap_or(false)
    }
    /// A point in time, written as RFC 3339.
    fn time(&self, path: &[&str]) -> Option<Timestamp> {
        self.text(path)?.parse().ok()
    }
    /// The members of a list; absent is empty.
    fn items(&self, path: &[&str]) -> &[Value] {
        self.at(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
    /// A label of an object.
    fn label(&self, key: &str) -> Option<&str> {
        self.text(&["metadata", "labels", key])
    }
    /// An annotation of an object.
    fn annotation(&self, key: &str) -> Option<&str> {
        self.text(&["metadata", "annotations", key])
    }
    /// The name of an object; empty when it has none.
    fn name(&self) -> &str {
        self.text(&["metadata", "name"]).unwrap_or_default()
    }
    /// When the object was created.
    fn created(&self) -> Option<Timestamp> {
        self.time(&["metadata", "creationTimestamp"])
    }
    /// Whether the object's controlling owner is the other one.
    fn is_controlled_by(&self, owner: &Value) -> bool {
        let Some(uid) = owner.text(&["metadata", "uid"]) else { return false };
        self.items(&["metadata", "ownerReferences"]).iter().any(|reference| {
            reference.flag(&["controller"]) && reference.text(&["uid"]) == Some(uid)
        })
    }
}

impl Lens for Value {
    fn at(&self, path: &[&str]) -> Option<&Value> {
        path.iter().try_fold(self, |value, key| value.get(key)).filter(|value| !value.is_null())
    }
}
