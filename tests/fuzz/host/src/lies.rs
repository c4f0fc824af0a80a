//! Guests that answer anything: their memory holds what the seed made, and each of their exports
//! says that its answer is there. The host takes what may be, refuses the rest as the component's
//! fault, and passes on nothing that is larger than was agreed.

use std::fmt::Write as _;
use std::path::Path;

use sluice_fuzz::{Verdict, hold};
use sluice_port::{
    Change, Components as _, Fault, Measured, MetricCall, ObjectQuery, Routing, StepCall,
    StepOutcome, Verification,
};
use sluice_wasm::{ComponentHost, LoadError, Origin};

use crate::{fixture, host};

/// The largest answers that are passed on, in bytes or in pieces.
const MOST_TEXT: usize = 1 << 20;
const MOST_TOKEN: usize = 16 << 10;
const MOST_ITEMS: usize = 1_000;
const MOST_NUMBERS: usize = 100_000;
/// A message is cut after four thousand bytes, and has something said before and after it.
const MOST_SAID: usize = 6 << 10;
/// Where answers are, and how long they can be.
const AT: usize = 1024;
const ROOM: usize = 2048;

/// Where zeros begin that go on for megabytes.
const BEHIND: u32 = 64 << 10;
/// Zeros, which are an empty list.
const NOTHING: usize = 512;

/// A world, its interface, and the functions of that with how many words each takes.
type World = (&'static str, &'static str, &'static [(&'static str, usize)]);

const KINDS: [World; 3] = [
    (
        "sluice:metric/metric-provider",
        "sluice:metric/provider@0.1.0",
        &[("validate", 2), ("run", 11), ("resume", 13), ("terminate", 13)],
    ),
    (
        "sluice:traffic/traffic-router",
        "sluice:traffic/router@0.1.0",
        &[
            ("capabilities", 0),
            ("validate", 2),
            ("references", 1),
            ("route", 1),
            ("release", 1),
            ("verify", 1),
        ],
    ),
    (
        "sluice:step/step-plugin",
        "sluice:step/step@0.1.0",
        &[("validate", 2), ("run", 14), ("terminate", 14), ("abort", 14)],
    ),
];

/// What a component is, by the number that its answers begin with. A router is asked what it can
/// do before anything else, so that most tell the truth about that.
fn kind(number: u8) -> (usize, bool) {
    let number = usize::from(number) % (KINDS.len() + 1);
    if number == KINDS.len() { (1, true) } else { (number, false) }
}

/// A component whose every answer is at [`AT`].
fn liar(number: u8, answer: &[u8]) -> Vec<u8> {
    let (kind, always) = kind(number);
    let (world, interface, exports) = KINDS[kind];
    let mut module =
        String::from("(module (memory (export \"memory\") 48) (data (i32.const 1024) \"");
    for byte in answer.iter().take(ROOM) {
        // Writing to a text cannot fail.
        let _ = write!(module, "\\{byte:02x}");
    }
    // Whatever the host passes is written over the same place, which no answer of these needs.
    module.push_str(
        "\") (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) (i32.const 8192))",
    );
    for (name, parameters) in exports {
        let parameters = "i32 ".repeat(*parameters);
        let at = if *name == "capabilities" && !always { NOTHING } else { AT };
        let _ = write!(
            module,
            "(func (export \"{interface}#{name}\") (param {parameters}) (result i32) (i32.const {at}))"
        );
    }
    module.push(')');
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../wit");
    fixture::wrap(&wit, world, &module)
}

/// For each kind the beginnings of answers that are taken: its number, and then the answer.
pub(crate) fn truths() -> Vec<Vec<u8>> {
    let answer = |kind: u8, words: &[u32], texts: &str| {
        let words = words.iter().flat_map(|word| word.to_le_bytes());
        let mut bytes: Vec<u8> = std::iter::once(kind).chain(words).collect();
        bytes.resize(1 + 256, 0);
        bytes.extend(texts.bytes());
        bytes
    };
    let text = 1024 + 256;
    let object = r#"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}"#;
    let length = u32::try_from(object.len()).unwrap_or_default();
    vec![
        // A number, a list of them, a document, nothing, a verdict, and a token.
        answer(0, &[0, 0, 0, 0, 0, 0x3ff0_0000], ""),
        answer(0, &[0, 0, 1, 0, text, 2], "0123456789012345"),
        answer(0, &[0, 0, 2, 0, text, 7, 0, 0, 1, text, 4], "{\"a\":1}"),
        answer(0, &[0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, text, 1], &"\0".repeat(16)),
        answer(0, &[0, 0, 4, 0, 1], ""),
        answer(0, &[0, 0, 5, 0, text, 3, 5_000], "abc"),
        // As much as may be, of the zeros behind: numbers, a token, and metadata.
        answer(0, &[0, 0, 1, 0, BEHIND, 100_000], ""),
        answer(0, &[0, 0, 5, 0, BEHIND, 16 << 10, 5_000], ""),
        answer(0, &[0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, BEHIND, 1_000], ""),
        // Errors: of the configuration, for now, and with a code.
        answer(0, &[1, 0, 0, text, 5], "wrong"),
        answer(0, &[1, 0, 1, text, 5, 1, 5_000], "later"),
        answer(0, &[1, 0, 2, text, 4, text, 4], "code"),
        // Nothing, one query, one object, and an object that is to be removed.
        answer(1, &[0, 0, 0], ""),
        answer(1, &[0, 1024 + 16, 1, 0, text, 2, text, 2, 0, 0, 0, 1, text, 2], "v1"),
        answer(1, &[0, 1024 + 16, 1, 0, 0, text, length], object),
        answer(1, &[0, 1024 + 16, 1, 0, 1, text, 2, text, 2, 0, 0, 0, text, 2], "v1"),
        answer(1, &[0, 1, text, 4], "soon"),
        // What a router can do, which is nothing, or one thing.
        answer(3, &[0, 0], ""),
        answer(3, &[text, 1], "\u{8}\u{5}\0\0\u{6}\0\0\0verify"),
        // Done, failed, once more, each with a state and a message.
        answer(2, &[0, 0, 0, 0, 1, text, 2, 1, text, 2], "{}"),
        answer(2, &[0, 1, text, 2, 0, 0, 0, 0], "no"),
        answer(2, &[0, 2, 5_000, 0, 1, text, 3], "[1]"),
    ]
}

/// See the module's documentation.
pub(crate) fn told(bytes: &[u8]) -> Verdict {
    let Some((number, answer)) = bytes.split_first() else { return Ok(()) };
    let (kind, always) = kind(*number);
    let (runtime, host) = host()?;
    runtime.block_on(async {
        let name = format!("liar-{kind}");
        match host.install(&name, liar(*number, answer), Origin::Bundled).await {
            Ok(_) => {}
            Err(LoadError::Trial(_)) if always => return Ok(()),
            Err(refused) => return Err(format!("a guest that may lie is refused: {refused}")),
        }
        match kind {
            0 => provider(host, &name).await?,
            1 => router(host, &name).await?,
            _ => step(host, &name).await?,
        }
        neighbour(host).await
    })
}

/// Somebody else on the same host measures what it always did.
async fn neighbour(host: &ComponentHost) -> Verdict {
    if host.validate_metric("neighbour", "{}").await.is_err_and(|fault| is_missing(&fault)) {
        let bytes = crate::providers().remove(0);
        let installed = host.install("neighbour", bytes, Origin::Bundled).await;
        installed.map_err(|error| format!("no neighbour: {error}"))?;
    }
    let call = MetricCall { config: "{}".to_owned(), ..MetricCall::default() };
    let measured = host.measure("neighbour", &call).await.map(|measured| measured.outcome);
    hold(measured == Ok(Measured::Number(1.0)), || format!("the neighbour says {measured:?}"))
}

fn is_missing(fault: &Fault) -> bool {
    matches!(fault, Fault::Missing { .. })
}

/// What a component is blamed for is told in few words.
fn blamed(fault: &Fault) -> Verdict {
    let said = fault.to_string();
    hold(!said.is_empty() && said.len() < MOST_SAID, || format!("{} bytes of blame", said.len()))
}

fn short(what: &str, text: Option<&String>, most: usize) -> Verdict {
    let length = text.map_or(0, String::len);
    hold(length <= most, || format!("{length} bytes of {what}"))
}

fn is_json(what: &str, text: &str) -> Verdict {
    let read = serde_json::from_str::<serde_json::Value>(text);
    hold(read.is_ok(), || format!("{what} is passed on, and no JSON: {read:?}"))
}

async fn provider(host: &ComponentHost, name: &str) -> Verdict {
    let call = MetricCall { config: "{}".to_owned(), ..MetricCall::default() };
    for answer in [host.measure(name, &call).await, host.resume(name, &call, "{}").await] {
        let measured = match answer {
            Ok(measured) => measured,
            Err(fault) => {
                blamed(&fault)?;
                continue;
            }
        };
        short("a message", measured.message.as_ref(), MOST_SAID)?;
        let pairs: usize = measured.metadata.iter().map(|(key, text)| key.len() + text.len()).sum();
        hold(pairs <= MOST_TEXT, || format!("{pairs} bytes of metadata"))?;
        match measured.outcome {
            Measured::Value(value) => {
                short("a value", Some(&value), MOST_TEXT)?;
                is_json("a value", &value)?;
            }
            Measured::Numbers(numbers) => {
                hold(numbers.len() <= MOST_NUMBERS, || format!("{} numbers", numbers.len()))?;
            }
            Measured::Running { token, resume_after_ms } => {
                short("a token", Some(&token), MOST_TOKEN)?;
                hold((1_000..=3_600_000).contains(&resume_after_ms), || {
                    format!("it is asked again after {resume_after_ms} ms")
                })?;
            }
            Measured::Number(_) | Measured::NoData | Measured::Judged(_) => {}
        }
    }
    Ok(())
}

fn query(query: &ObjectQuery) -> Verdict {
    hold(!query.api_version.is_empty() && !query.kind.is_empty(), || format!("{query:?}"))
}

fn change(change: &Change) -> Verdict {
    match change {
        Change::Remove(target) => {
            hold(!target.api_version.is_empty() && !target.kind.is_empty(), || {
                format!("{target:?}")
            })
        }
        Change::Put(object) => {
            short("an object", Some(object), MOST_TEXT)?;
            let read: serde_json::Value = serde_json::from_str(object).unwrap_or_default();
            hold(read["metadata"]["name"].is_string(), || format!("an object without name: {read}"))
        }
    }
}

async fn router(host: &ComponentHost, name: &str) -> Verdict {
    let able = host.capabilities(name).map_err(|fault| format!("installed, and then {fault}"))?;
    hold(able.len() <= MOST_ITEMS, || format!("{} capabilities", able.len()))?;
    let routing = Routing { config: "{}".to_owned(), ..Routing::default() };
    match host.references(name, &routing, &[]).await {
        Ok(queries) => {
            hold(queries.len() <= MOST_ITEMS, || format!("{} queries", queries.len()))?;
            queries.iter().try_for_each(query)?;
        }
        Err(fault) => blamed(&fault)?,
    }
    for changes in [host.route(name, &routing, &[]).await, host.release(name, &routing, &[]).await]
    {
        match changes {
            Ok(changes) => {
                hold(changes.len() <= MOST_ITEMS, || format!("{} changes", changes.len()))?;
                changes.iter().try_for_each(change)?;
            }
            Err(fault) => blamed(&fault)?,
        }
    }
    match host.verify(name, &routing, &[]).await {
        Ok(Verification::Pending(why)) => short("a reason", Some(&why), MOST_SAID),
        Ok(Verification::Converged | Verification::CannotTell) => Ok(()),
        Err(fault) => blamed(&fault),
    }
}

async fn step(host: &ComponentHost, name: &str) -> Verdict {
    let call = StepCall { config: "{}".to_owned(), ..StepCall::default() };
    match host.run_step(name, &call).await {
        Ok(answer) => {
            short("a message", answer.message.as_ref(), MOST_SAID)?;
            short("a state", answer.state.as_ref(), MOST_TOKEN)?;
            answer.state.iter().try_for_each(|state| is_json("a state", state))?;
            match answer.outcome {
                StepOutcome::Done => Ok(()),
                StepOutcome::Failed(why) => short("a refusal", Some(&why), MOST_SAID),
                StepOutcome::Again(after) => hold((1_000..=3_600_000).contains(&after), || {
                    format!("it is asked again after {after} ms")
                }),
            }?;
        }
        Err(fault) => blamed(&fault)?,
    }
    for undone in [host.terminate_step(name, &call).await, host.abort_step(name, &call).await] {
        undone.as_ref().map_or_else(blamed, |()| Ok(()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the host says to an answer to what its kind is mainly for.
    async fn said(host: &ComponentHost, name: &str, kind: usize) -> Vec<String> {
        let call = MetricCall { config: "{}".to_owned(), ..MetricCall::default() };
        let routing = Routing { config: "{}".to_owned(), ..Routing::default() };
        let step = StepCall { config: "{}".to_owned(), ..StepCall::default() };
        match kind {
            0 => vec![format!("{:?}", host.measure(name, &call).await)],
            1 => vec![
                format!("{:?}", host.references(name, &routing, &[]).await),
                format!("{:?}", host.route(name, &routing, &[]).await),
                format!("{:?}", host.verify(name, &routing, &[]).await),
            ],
            _ => vec![format!("{:?}", host.run_step(name, &step).await)],
        }
    }

    #[test]
    fn what_seeds_begin_with_is_taken() {
        let (runtime, host) = host().unwrap();
        let mut seen = String::new();
        for truth in truths() {
            let (number, answer) = truth.split_first().unwrap();
            let (kind, _) = kind(*number);
            let answers = runtime.block_on(async {
                let name = format!("honest-{kind}");
                host.install(&name, liar(*number, answer), Origin::Bundled).await.unwrap();
                said(host, &name, kind).await
            });
            let taken = answers
                .iter()
                .filter(|said| !["Trapped", "Malformed"].iter().any(|fault| said.contains(fault)));
            let taken: Vec<_> = taken.cloned().collect();
            assert!(!taken.is_empty(), "{answers:?}");
            writeln!(seen, "{}", taken.join("\n")).unwrap();
        }
        // Each kind of answer is among them.
        for word in [
            "Number(1.0)",
            "Numbers([",
            "Value(",
            "NoData",
            "Judged(",
            "Running",
            "InvalidConfig",
            "Transient",
            "Failed {",
            "Converged",
            "ObjectQuery {",
            "Put(",
            "Remove(",
            "Pending(",
            "Done",
            "Failed(",
            "Again(",
        ] {
            assert!(seen.contains(word), "no {word} in\n{seen}");
        }
    }
}
