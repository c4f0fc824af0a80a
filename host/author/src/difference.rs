//! Two values side by side, as YAML, for whoever has to see what differs.

use std::collections::BTreeMap;

use serde_json::Value;
use similar::{ChangeTag, TextDiff};

/// A value as YAML. Members are sorted.
pub fn yaml(value: &Value) -> String {
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
pub fn difference(expected: &Value, got: &Value) -> Option<String> {
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

/// What changes, as lines with their marks and a few unchanged ones around them. Nothing there
/// before is `null`.
pub fn changes(before: &Value, after: &Value) -> String {
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        value => format!("{}\n", yaml(value)),
    };
    let (before, after) = (text(before), text(after));
    let diff = TextDiff::from_lines(&before, &after);
    let groups = diff.grouped_ops(3).into_iter().map(|group| {
        let changes = group.iter().flat_map(|part| diff.iter_changes(part));
        let lines = changes.map(|change| {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            format!("{sign} {}", change.value().trim_end_matches('\n'))
        });
        lines.collect::<Vec<_>>().join("\n")
    });
    groups.collect::<Vec<_>>().join("\n...\n")
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

    #[test]
    fn changes_are_shown_with_what_is_around_them() {
        let object = |weight: u32| json!({"a": 1, "b": 2, "c": 3, "d": 4, "weight": weight, "x": 1, "xx": 1, "z": 1, "zz": 1});
        let expected = "  b: 2\n  c: 3\n  d: 4\n- weight: 5\n+ weight: 20\n  x: 1\n  xx: 1\n  z: 1";
        assert_eq!(changes(&object(5), &object(20)), expected);
        assert_eq!(changes(&Value::Null, &json!({"a": 1})), "+ a: 1");
    }
}
