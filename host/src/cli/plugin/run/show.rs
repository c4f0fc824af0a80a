//! Calls as people see them.

use std::fmt::Write as _;

use serde_json::Value;
use sluice_author::difference::yaml;
use sluice_author::hidden::Hidden;
use sluice_author::live::{Asked, Heard};
use sluice_author::project::Kind;
use sluice_port::http::{HttpError, HttpResponse};
use sluice_port::{Fault, Measured, Measurement, StepAnswer, StepOutcome, Verdict};
use sluice_wasm::{HttpGrant, KubernetesGrant, Server};

use super::super::millis;
use super::Subject;

/// What component is called, and what it may do.
pub fn subject(subject: &Subject) -> String {
    let mut text = format!("{} ({}, {})\n", subject.name, subject.kind.name(), subject.digest);
    let http = subject.grants.http.iter().map(|HttpGrant { url, methods, insecure }| {
        let server = match url {
            Server::Any => "any server".to_owned(),
            Server::At { scheme, host, port } => format!("{scheme}://{host}:{port}"),
        };
        let insecure = if *insecure { ", certificate unchecked" } else { "" };
        format!("http {server} {}{insecure}", methods.join(" "))
    });
    let secrets = subject.grants.secrets.iter().map(|alias| format!("secret {alias}"));
    let objects = subject.grants.kubernetes.iter().flatten();
    let objects = objects.map(|KubernetesGrant(one)| format!("kubernetes {one}"));
    let mut granted: Vec<_> = http.chain(secrets).chain(objects).collect();
    if subject.kind == Kind::Router && subject.grants.kubernetes.is_none() {
        granted.push("kubernetes as routers usually are: kinds that carry routings".to_owned());
    }
    if granted.is_empty() {
        granted.push("nothing".to_owned());
    }
    for (index, line) in granted.iter().enumerate() {
        let label = if index == 0 { "granted" } else { "" };
        let by = match index == 0 {
            true => format!("   (says {})", subject.granted_by),
            false => String::new(),
        };
        // Writing to a text does not fail.
        let _ = writeln!(text, "{label:<10} {line}{by}");
    }
    text
}

/// A configuration, or anything else that is JSON.
pub fn block(label: &str, value: &Value, hidden: &Hidden) -> String {
    let text = yaml(&hidden.value(value));
    let mut lines = text.lines();
    let mut out = format!("{label:<10} {}\n", lines.next().unwrap_or_default());
    for line in lines {
        let _ = writeln!(out, "{:<10} {line}", "");
    }
    out
}

/// One line with its label; what follows in a text of several lines is indented.
pub fn line(label: &str, text: &str) -> String {
    format!("  {label:<10} {}\n", text.trim_end().replace('\n', "\n             "))
}

/// What was asked meanwhile, what the component wrote to its log, and how long it took.
pub fn call<T>(title: &str, heard: &Heard<T>, lines: &[String], hidden: &Hidden) -> String {
    let mut text = format!("\n{title}\n");
    for asked in &heard.requests {
        text.push_str(&request(asked, hidden));
    }
    for said in lines {
        text.push_str(&line("log", &hidden.text(said)));
    }
    if heard.denied > 0 {
        let count =
            format!("{} times; the reason is in what it says of it, or in its log", heard.denied);
        text.push_str(&line("denied", &count));
    }
    text
}

fn request(asked: &Asked, hidden: &Hidden) -> String {
    let request = &asked.request;
    let url = hidden.text(&request.url);
    let bytes = request.body.as_ref().map_or(0, Vec::len);
    let body = if bytes > 0 { format!(" ({bytes} bytes)") } else { String::new() };
    let took = millis(asked.took);
    let answer = match &asked.answer {
        Ok(HttpResponse { status, headers, body }) => {
            let kind = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
            let kind = kind.map(|(_, value)| format!(" of {value}")).unwrap_or_default();
            let shown = hidden.text(&beginning(body));
            format!("{status} in {took}, {} bytes{kind}\n{shown}", body.len())
        }
        Err(error) => format!("nothing in {took}: {}", hidden.text(&unanswered(error))),
    };
    format!(
        "{}{}",
        line("asked", &format!("{} {url}{body}", request.method)),
        line("was told", &answer)
    )
}

fn unanswered(error: &HttpError) -> String {
    match error {
        HttpError::NotGranted(why) => {
            format!("{why}; the controller has --egress-allow for that, and so has this command")
        }
        HttpError::Timeout => "no answer in time".to_owned(),
        HttpError::TooLarge(bytes) => format!("the answer has more than {bytes} bytes"),
        HttpError::InvalidRequest(why) | HttpError::Connect(why) | HttpError::Other(why) => {
            why.clone()
        }
    }
}

/// The beginning of an answer, enough to know it again.
fn beginning(body: &[u8]) -> String {
    const MOST: usize = 600;
    match std::str::from_utf8(body) {
        Err(_) => "(no text)".to_owned(),
        Ok(text) if text.len() <= MOST => text.to_owned(),
        Ok(text) => format!("{} ...", &text[..text.floor_char_boundary(MOST)]),
    }
}

/// What a component's failure is, and whose.
pub fn fault(fault: &Fault, hidden: &Hidden) -> String {
    let whose = match fault {
        Fault::InvalidConfig(_) => "the configuration is wrong, and no retry will help",
        Fault::Transient { .. } => "worth another try",
        Fault::Failed { .. } => "failed",
        Fault::Missing { .. } | Fault::Suspended { .. } => "not called",
        Fault::Trapped { .. } => "the component trapped",
        Fault::TimedOut { .. } | Fault::CpuExceeded { .. } | Fault::MemoryExceeded { .. } => {
            "the component was stopped"
        }
        Fault::Malformed(_) => "the component answered what it may not",
    };
    let mut text = line("error", &hidden.text(&fault.to_string()));
    text.push_str(&line("", &format!("({}: {whose})", fault.kind())));
    text
}

/// What was measured.
pub fn measurement(measured: &Measurement, hidden: &Hidden) -> String {
    let mut text = match &measured.outcome {
        Measured::Number(number) => line("number", &number.to_string()),
        Measured::Numbers(numbers) => line("numbers", &format!("{numbers:?}")),
        Measured::Value(json) => {
            let value = serde_json::from_str(json).unwrap_or_else(|_| Value::from(json.as_str()));
            line("value", &yaml(&hidden.value(&value)))
        }
        Measured::NoData => line("no data", "nothing came back"),
        Measured::Judged(verdict) => line(
            "judged",
            match verdict {
                Verdict::Successful => "successful, by the provider itself",
                Verdict::Failed => "failed, by the provider itself",
                Verdict::Inconclusive => "inconclusive, by the provider itself",
            },
        ),
        Measured::Running { token, resume_after_ms } => {
            let after = format!("longer: again in {resume_after_ms} ms with the token {token}");
            line("takes", &hidden.text(&after))
        }
    };
    if let Some(message) = &measured.message {
        text.push_str(&line("message", &hidden.text(message)));
    }
    for (name, value) in &measured.metadata {
        text.push_str(&line("metadata", &format!("{name}: {}", hidden.text(value))));
    }
    text
}

/// What a step answered.
pub fn step(answer: &StepAnswer, hidden: &Hidden) -> String {
    let mut text = match &answer.outcome {
        StepOutcome::Done => line("phase", "Successful: the release may go on"),
        StepOutcome::Failed(why) => {
            line("phase", &format!("Failed, which aborts the release: {}", hidden.text(why)))
        }
        StepOutcome::Again(after) => line("phase", &format!("Running: again in {after} ms")),
    };
    if let Some(state) = &answer.state {
        text.push_str(&line("status", &hidden.text(state)));
    }
    if let Some(message) = &answer.message {
        text.push_str(&line("message", &hidden.text(message)));
    }
    text
}
