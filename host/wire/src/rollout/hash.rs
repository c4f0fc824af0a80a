//! The identity of a revision: the hash of its pod template, the same that Argo Rollouts gives.
//!
//! The number is FNV-1a over the template as Go serialises it, spelled with letters that form no
//! words. Go's serialisation follows its types: the order of fields, which of them are left out
//! when they are empty, and forms of their own for quantities. A template stays JSON here, so the
//! types are a table (`hash/template.txt`), written by a program that asks Go itself.
//! `make hash` writes the table and the vectors that the test below compares with.

use serde_json::Value;

mod go;
mod quantity;
mod same;
mod table;

use go::Writer;
pub use same::{kept_away_from, template_digest, template_shape, without_injected};
use table::{Kind, STEPS, TEMPLATE, Table};

const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
const START: u32 = 0x811c_9dc5;

/// The hash of a pod template after so many collisions.
pub fn template_hash(template: &Value, collisions: Option<u32>) -> String {
    counted(&serialised(&TEMPLATE, "PodTemplateSpec", Some(template), false), collisions)
}

/// The hash that Argo Rollouts gave the same template before its version 1.9: libraries of that
/// time wrote that the template was created never.
pub fn template_hash_before_1_9(template: &Value, collisions: Option<u32>) -> String {
    counted(&serialised(&TEMPLATE, "PodTemplateSpec", Some(template), true), collisions)
}

/// The hash of a list of steps. A list without steps has the hash of none.
pub fn steps_hash(steps: Option<&Value>) -> String {
    let steps = steps.filter(|steps| steps.as_array().is_none_or(|steps| !steps.is_empty()));
    let list = Kind::List(Box::new(Kind::Object("CanaryStep")));
    let mut writer = Writer { table: &STEPS, undated: false, out: String::new() };
    writer.write(&list, steps);
    encode(fnv(START, writer.out.as_bytes()))
}

fn serialised(table: &Table, object: &'static str, value: Option<&Value>, undated: bool) -> String {
    let mut writer = Writer { table, undated, out: String::new() };
    writer.write(&Kind::Object(object), value);
    writer.out
}

/// Collisions are counted as 32 bits, in a field of 64.
fn counted(text: &str, collisions: Option<u32>) -> String {
    let sum = fnv(START, text.as_bytes());
    encode(collisions.map_or(sum, |count| fnv(sum, &u64::from(count).to_le_bytes())))
}

fn fnv(start: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(start, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

fn encode(sum: u32) -> String {
    let digits = sum.to_string();
    digits.bytes().map(|digit| char::from(LETTERS[usize::from(digit) % LETTERS.len()])).collect()
}

#[cfg(test)]
mod tests;
