//! Objects as they wait for a turn: as text.

use std::sync::Arc;

use serde_json::Value;

/// An object as JSON text. As a tree it takes ten times the memory, all the time, for the sake of
/// the few that are read; reading one takes a few microseconds.
#[derive(Clone, Debug)]
pub(super) struct Kept(Box<str>);

impl Kept {
    pub(super) fn of(object: &Value) -> Self {
        Self(object.to_string().into_boxed_str())
    }

    /// The object. What was written from a value is always one.
    pub(super) fn read(&self) -> Arc<Value> {
        Arc::new(serde_json::from_str(&self.0).unwrap_or_default())
    }
}
