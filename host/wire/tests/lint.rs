//! Manifests and what is said about them. Each folder in `tests/lint` has an `input.yaml` and the
//! words that it must lead to; `UPDATE=1` writes them anew.

#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

use std::path::{Path, PathBuf};

use serde_json::Value;
use sluice_wire::lint::{Part, Report, Unfit, lint, read};

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lint");
    let mut cases: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(!cases.is_empty());
    cases
}

/// Components with simple tastes.
fn validate(part: Part, name: &str, config: &Value) -> Result<(), Unfit> {
    let lacks = |field: &str| config.get(field).is_none();
    match (part, name) {
        (Part::Metric, "prometheus") if lacks("query") => {
            Err(Unfit::Wrong("query is missing".to_owned()))
        }
        (Part::Metric, "prometheus") => match config["address"].as_str() {
            Some(address) if !address.starts_with("http") => {
                Err(Unfit::Wrong(format!("address {address:?} is no URL")))
            }
            _ => Ok(()),
        },
        (Part::Router, "nginx") if lacks("stableIngress") && lacks("stableIngresses") => {
            Err(Unfit::Wrong("name an Ingress".to_owned()))
        }
        (Part::Router, "nginx") => Ok(()),
        (Part::Step, "approval") if lacks("channel") => {
            Err(Unfit::Wrong("channel is missing".to_owned()))
        }
        (Part::Step, "approval") => Ok(()),
        _ => Err(Unfit::Unknown(format!("no component {name:?} is installed"))),
    }
}

fn report(text: &str) -> Report {
    match read("input.yaml", text) {
        Ok(documents) => lint(&documents, &validate),
        Err(finding) => Report { findings: vec![*finding], checked: 0 },
    }
}

#[test]
fn every_case_leads_to_its_words() {
    let mut wrong = Vec::new();
    for case in cases() {
        let text = std::fs::read_to_string(case.join("input.yaml")).unwrap();
        let report = report(&text);
        let lines = report.findings.iter().map(|finding| format!("{finding}\n"));
        let said = lines.collect::<String>() + &format!("{} checked\n", report.checked);
        let file = case.join("expected.txt");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&file, &said).unwrap();
        } else if std::fs::read_to_string(&file).unwrap_or_default() != said {
            wrong.push(format!("{}:\n{said}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "not as expected (UPDATE=1 accepts it):\n{}", wrong.join("\n"));
}

/// Numbers that look random and are the same every time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit.max(1)
    }
}

/// Replaces one value somewhere in an object by one of another type.
fn damage(value: &mut Value, numbers: &mut Numbers) {
    let strange = [
        Value::Null,
        Value::Bool(true),
        Value::from(-1),
        Value::from(1.5),
        Value::from(u64::MAX),
        Value::from("{{args.x}} \u{1F300} ["),
        Value::Array(vec![Value::Null, Value::from("")]),
        serde_json::json!({"": {"a.b[": 1}}),
    ];
    let count = match value {
        Value::Array(items) => items.len(),
        Value::Object(fields) => fields.len(),
        _ => 0,
    };
    if count == 0 || numbers.below(6) == 0 {
        *value = strange[numbers.below(strange.len())].clone();
        return;
    }
    let index = numbers.below(count);
    let below = match value {
        Value::Array(items) => items.get_mut(index),
        Value::Object(fields) => fields.values_mut().nth(index),
        _ => None,
    };
    damage(below.unwrap(), numbers);
}

#[test]
fn nothing_is_so_broken_that_it_panics() {
    let mut numbers = Numbers(7);
    for case in cases() {
        let text = std::fs::read_to_string(case.join("input.yaml")).unwrap();
        let characters: Vec<char> = text.chars().collect();
        for _ in 0..40 {
            let end = numbers.below(characters.len());
            report(&characters[..end].iter().collect::<String>());
            let mut changed = characters.clone();
            for _ in 0..3 {
                let at = numbers.below(changed.len());
                let marks =
                    ['{', '}', '[', ']', ':', '-', '\t', '\n', '"', '*', '&', '!', '\0', 'é'];
                changed[at] = marks[numbers.below(marks.len())];
            }
            report(&changed.iter().collect::<String>());
        }
        let Ok(documents) = read("input.yaml", &text) else { continue };
        for _ in 0..60 {
            let mut documents = documents.clone();
            for document in &mut documents {
                damage(&mut document.object, &mut numbers);
            }
            let report = lint(&documents, &validate);
            report.findings.iter().for_each(|finding| assert!(!finding.to_string().is_empty()));
        }
    }
}
