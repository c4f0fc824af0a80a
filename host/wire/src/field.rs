//! Reading JSON objects of the API: tolerant where they are observed, exact where they are judged.
//!
//! Objects are read as JSON and not through typed structs, so that one malformed field costs that
//! field and not the object, and so that every complaint can name the path it is about.

use serde_json::Value;

/// A complaint about one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Such as `spec.strategy.canary.steps[2].setWeight`.
    pub path: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// One field of an object, present or not, and where it is.
#[derive(Clone, Debug)]
pub struct Field<'v> {
    path: String,
    value: Option<&'v Value>,
}

impl<'v> Field<'v> {
    /// The root of an object.
    pub fn root(value: &'v Value) -> Self {
        Self { path: String::new(), value: Some(value) }
    }

    /// A field of this object; absent if this is no object or has no such field.
    pub fn get(&self, name: &str) -> Self {
        let path =
            if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        // `null` is the API's other way of saying that a field is absent.
        let value = self.value.and_then(|value| value.get(name)).filter(|value| !value.is_null());
        Self { path, value }
    }

    /// A field some levels down, named with dots.
    pub fn at(&self, path: &str) -> Self {
        path.split('.').fold(self.clone(), |field, name| field.get(name))
    }

    /// The items of this list; none if it is no list.
    pub fn items(&self) -> Vec<Self> {
        let items = self.value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let item =
            |(index, value)| Self { path: format!("{}[{index}]", self.path), value: Some(value) };
        items.iter().enumerate().map(item).collect()
    }

    /// Where this is.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is there.
    pub fn value(&self) -> Option<&'v Value> {
        self.value
    }

    /// Whether anything is there.
    pub fn is_set(&self) -> bool {
        self.value.is_some()
    }

    /// The string that is there.
    pub fn str(&self) -> Option<&'v str> {
        self.value.and_then(Value::as_str)
    }

    /// The string that is there, unless it is empty.
    pub fn name(&self) -> Option<&'v str> {
        self.str().filter(|text| !text.is_empty())
    }

    /// The whole number that is there.
    pub fn i64(&self) -> Option<i64> {
        self.value.and_then(Value::as_i64)
    }

    /// The number that is there, if it is one that counts something.
    pub fn u32(&self) -> Option<u32> {
        self.i64().and_then(|number| u32::try_from(number).ok())
    }

    /// The truth that is there; false if there is none.
    pub fn bool(&self) -> bool {
        self.value.and_then(Value::as_bool).unwrap_or(false)
    }

    /// A complaint about this field.
    pub fn refuse(&self, message: impl Into<String>) -> Refusal {
        Refusal { path: self.path.clone(), message: message.into() }
    }
}

/// Complaints, collected so that a user sees all of them at once.
#[derive(Debug, Default)]
pub struct Refusals(Vec<Refusal>);

impl Refusals {
    /// Add one.
    pub fn add(&mut self, field: &Field<'_>, message: impl Into<String>) {
        self.0.push(field.refuse(message));
    }

    /// Add several.
    pub fn extend(&mut self, refusals: impl IntoIterator<Item = Refusal>) {
        self.0.extend(refusals);
    }

    /// All of them, or `value` if there are none.
    pub fn or<T>(self, value: T) -> Result<T, Vec<Refusal>> {
        if self.0.is_empty() { Ok(value) } else { Err(self.0) }
    }

    /// A number that counts something, or `default`; a complaint if it is negative or no number.
    pub fn count(&mut self, field: &Field<'_>, default: u32) -> u32 {
        match (field.value(), field.u32()) {
            (None, _) => default,
            (Some(_), Some(number)) => number,
            (Some(value), None) => {
                let what = if value.is_number() {
                    "must be between 0 and 2147483647"
                } else {
                    "must be a whole number"
                };
                self.add(field, format!("Invalid value: {value}: {what}"));
                default
            }
        }
    }
}
