//! Two values side by side, as YAML, for whoever has to see what differs.

use std::collections::BTreeMap;

use serde_json::Value;
use similar::{ChangeTag, TextDiff};

/// A value as YAML. Members are sorted.
pub(crate) fn yaml(value: &Value) -> String {
    let text = serde_saphyr::to_string(&sorted(value)).unwrap_or_else(|_| format!("{value:#}"));
    text.trim_end().to_owned()
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Object(members) => {
            let members: BTreeMap<_, _> =
                members.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            Value::Object(members.into_iter().collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// What differs: lines with `-` were expected, lines with `+` came. `None` if nothing does.
pub(crate) fn difference(expected: &Value, got: &Value) -> Option<String> {
    if expected == got {
        return None;
    }
    let (expected, got) = (yaml(expected), yaml(got));
    let diff = TextDiff::from_lines(&expected, &got);
    let line = |change: similar::Change<&str>| {
        let sign = match change.tag() {
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
            ChangeTag::Equal => ' ',
        };
        format!("  {sign} {}", change.value().trim_end_matches('\n'))
    };
    Some(diff.iter_all_changes().map(line).collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_differs_is_marked_and_the_rest_is_there() {
        let text = difference(&json!({"a": 1, "b": [1, 2]}), &json!({"b": [1, 3], "a": 1}));
        assert_eq!(text.as_deref(), Some("    a: 1\n    b:\n    - 1\n  - - 2\n  + - 3"));
        assert_eq!(difference(&json!({"a": 1, "b": 2}), &json!({"b": 2, "a": 1})), None);
    }
}
