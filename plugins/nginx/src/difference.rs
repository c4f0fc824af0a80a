//! Where two objects differ, for people who wait for the one to become the other.

use serde_json::Value;

/// The path of the first field that differs, such as `spec.rules`. Lists are not looked into.
pub fn first(have: &Value, want: &Value) -> Option<String> {
    if have == want {
        return None;
    }
    let (Value::Object(a), Value::Object(b)) = (have, want) else {
        return Some(String::new());
    };
    // The first by name: the order of a map depends on what else is built with the component.
    let key = a.keys().chain(b.keys()).filter(|key| a.get(*key) != b.get(*key)).min()?;
    let rest = match (a.get(key), b.get(key)) {
        (Some(have), Some(want)) => first(have, want).unwrap_or_default(),
        _ => String::new(),
    };
    Some(match rest.as_str() {
        "" => key.clone(),
        rest => format!("{key}.{rest}"),
    })
}
