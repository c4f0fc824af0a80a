//! From input that somebody might write to input that nobody would.

use fastrand::Rng;
use serde_json::{Map, Value, json};

/// Words that readers tend to trip over.
const WORDS: [&str; 40] = [
    "",
    "0",
    "-1",
    "1",
    "100",
    "101",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "1e309",
    "NaN",
    "null",
    "true",
    "~",
    "%",
    "50%",
    "1.5",
    "1h30m",
    "0.0000001ns",
    "99999999999h",
    "-5s",
    "2026-01-31T12:00:00Z",
    "9999-12-31T23:59:59Z",
    "-009999-01-02T00:00:00Z",
    "@",
    ":",
    "//",
    "../",
    "[",
    "]",
    "{{args.a}}",
    "*",
    "\u{0}",
    "\u{feff}",
    "ß",
    "👩‍🚀",
    "\r\n",
];

/// Change a text in one place.
pub fn text(rng: &mut Rng, text: &mut String) {
    let bounds: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let place = |rng: &mut Rng| bounds[rng.usize(..bounds.len())];
    let (one, two) = (place(rng), place(rng));
    // Long spans are rare, or nothing would be left of most inputs.
    let (from, to) = (one.min(two), one.max(two));
    let near = bounds.iter().rev().find(|at| **at <= from.saturating_add(12)).copied();
    let to = if rng.u8(..8) == 0 { to } else { to.min(near.unwrap_or(to)).max(from) };
    match rng.u8(..6) {
        0 => text.replace_range(from..to, ""),
        1 => text.insert_str(from, WORDS[rng.usize(..WORDS.len())]),
        2 => text.replace_range(from..to, WORDS[rng.usize(..WORDS.len())]),
        3 => {
            let span = text[from..to].to_owned();
            text.insert_str(place(rng), &span);
        }
        4 => text.insert(from, char::from(rng.u8(32..127))),
        _ => {
            let other = rng.char(..);
            let end = text[from..].chars().next().map_or(from, |c| from + c.len_utf8());
            text.replace_range(from..end, other.encode_utf8(&mut [0; 4]));
        }
    }
}

/// Change bytes in one place.
pub fn bytes(rng: &mut Rng, bytes: &mut Vec<u8>) {
    let at = rng.usize(..=bytes.len());
    let near = (at + rng.usize(..16)).min(bytes.len());
    match rng.u8(..6) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..near)),
        2 => bytes.insert(at, rng.u8(..)),
        3 => {
            let span = bytes[at..near].to_vec();
            let to = rng.usize(..=bytes.len());
            bytes.splice(to..to, span);
        }
        4 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << rng.u8(..8)),
        _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = rng.u8(..)),
    }
}

/// Change an object in one place.
pub fn tree(rng: &mut Rng, tree: &mut Value) {
    let count = count(tree);
    let donor = rng.usize(..count);
    let donor = nth(tree, donor).map(|value| value.clone()).unwrap_or_default();
    let at = rng.usize(..count);
    let Some(node) = nth(tree, at) else { return };
    match rng.u8(..8) {
        0 => *node = donor,
        1 => *node = odd(rng),
        2 | 3 => change(rng, node),
        4 => remove(rng, node),
        5 => add(rng, node, donor),
        6 => rename(rng, node),
        _ => nest(rng, node),
    }
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// The value that is reached after so many others, with fields in the order of their names.
fn nth(value: &mut Value, index: usize) -> Option<&mut Value> {
    if index == 0 {
        return Some(value);
    }
    let mut left = index - 1;
    let mut below: Vec<&mut Value> = match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter_mut().collect();
            fields.sort_by(|a, b| a.0.cmp(b.0));
            fields.into_iter().map(|(_, value)| value).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    for child in below.drain(..) {
        let size = count(child);
        if left < size {
            return nth(child, left);
        }
        left -= size;
    }
    None
}

fn odd(rng: &mut Rng) -> Value {
    let numbers = [0, 1, -1, 2, 99, 100, 101, 1000, i64::from(i32::MAX), i64::MAX, i64::MIN];
    match rng.u8(..9) {
        0 => Value::Null,
        1 => json!([]),
        2 => json!({}),
        3 => rng.bool().into(),
        4 | 5 => numbers[rng.usize(..numbers.len())].into(),
        6 => [json!(0.5), json!(-0.0), json!(1e308), json!(u64::MAX), json!(1_u64 << 32)]
            [rng.usize(..5)]
        .take(),
        _ => WORDS[rng.usize(..WORDS.len())].into(),
    }
}

/// The same kind of value, another one.
fn change(rng: &mut Rng, node: &mut Value) {
    match node {
        Value::String(words) => text(rng, words),
        Value::Bool(truth) => *truth = !*truth,
        Value::Number(_) if rng.bool() => *node = rng.i64(-2..120).into(),
        Value::Array(items) if items.len() > 1 => {
            let (one, two) = (rng.usize(..items.len()), rng.usize(..items.len()));
            items.swap(one, two);
        }
        Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => *node = odd(rng),
    }
}

fn names(fields: &Map<String, Value>) -> Vec<String> {
    let mut names: Vec<_> = fields.keys().cloned().collect();
    names.sort();
    names
}

fn remove(rng: &mut Rng, node: &mut Value) {
    match node {
        Value::Array(items) if !items.is_empty() => drop(items.remove(rng.usize(..items.len()))),
        Value::Object(fields) if !fields.is_empty() => {
            let names = names(fields);
            fields.remove(&names[rng.usize(..names.len())]);
        }
        _ => *node = Value::Null,
    }
}

fn add(rng: &mut Rng, node: &mut Value, value: Value) {
    match node {
        Value::Array(items) => items.insert(rng.usize(..=items.len()), value),
        Value::Object(fields) => {
            fields.insert(WORDS[rng.usize(..WORDS.len())].to_owned(), value);
        }
        _ => *node = json!([value]),
    }
}

fn rename(rng: &mut Rng, node: &mut Value) {
    let Value::Object(fields) = node else { return change(rng, node) };
    if fields.is_empty() {
        return;
    }
    let names = names(fields);
    let mut name = names[rng.usize(..names.len())].clone();
    let value = fields.remove(&name).unwrap_or_default();
    text(rng, &mut name);
    fields.insert(name, value);
}

/// Deeper, sometimes a good deal.
fn nest(rng: &mut Rng, node: &mut Value) {
    for _ in 0..rng.usize(1..60) {
        let inner = std::mem::take(node);
        *node = if rng.bool() { json!([inner]) } else { json!({"a": inner}) };
    }
}
