//! Scenarios: what users do, how each version behaves, what the metrics server answers, and how
//! it is to end.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use sluice_core::Timestamp;
use sluice_port::http::{Egress, HttpError, HttpRequest, HttpResponse};
use sluice_wire::clock::parse_duration;

use crate::experiments::Player;
use crate::fleet::Behaviour;
use crate::step::{End, Stepper};

/// A scenario as it is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Scenario {
    /// One sentence.
    #[serde(default)]
    pub name: String,
    /// How versions behave; the first whose `image` matches counts.
    #[serde(default)]
    pub versions: Vec<Version>,
    /// What the metrics server answers; the first that matches counts, later ones from their
    /// `from` on.
    #[serde(default)]
    pub metrics: Vec<Answer>,
    /// How step plugins behave; those that are not named are asked as they are installed.
    #[serde(default)]
    pub steps: Vec<StepPlugin>,
    /// How experiments go, in place of what they would do: neither their pods nor their analyses
    /// are looked at then. Default: they run.
    #[serde(default)]
    pub experiments: Option<Experiments>,
    /// What users do, in order.
    #[serde(default)]
    pub acts: Vec<Act>,
    /// How it is to end.
    #[serde(default)]
    pub expect: Expect,
}

/// How the pods of a version behave.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Version {
    /// The image of the first container; `*` stands for anything.
    pub image: String,
    /// How long a pod takes to become available, such as `8s`. Default: 5s.
    pub ready_after: Option<String>,
    /// Pods never become available.
    #[serde(default)]
    pub never_ready: bool,
    /// How long after that a pod crashes, once, such as `2m`.
    pub crash_after: Option<String>,
    /// The part of requests that fail, from 0 to 1. Default: 0.
    #[serde(default)]
    pub error_rate: f64,
}

/// An answer of the metrics server.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Answer {
    /// A part of the query; empty matches every query.
    #[serde(default)]
    pub query: String,
    /// From when on, counted from the first act, such as `3m`. Default: from the start.
    pub from: Option<String>,
    /// This number.
    pub value: Option<f64>,
    /// `errorRate` or `successRate` of the version that is being released.
    pub measure: Option<Measure>,
    /// Nothing: the query was right and brought no series.
    #[serde(default)]
    pub no_data: bool,
    /// NaN, as a division by no requests brings it.
    #[serde(default)]
    pub nan: bool,
    /// The server fails with status 503 and this text.
    pub error: Option<String>,
    /// The server does not answer.
    #[serde(default)]
    pub hangs: bool,
}

/// How a step plugin behaves.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct StepPlugin {
    /// Its name, as in `steps[].plugin.name`.
    pub plugin: String,
    /// How it ends. Default: successful.
    #[serde(default)]
    pub ends: Ends,
    /// How long it takes, such as `5m`. Default: no time.
    pub after: Option<String>,
    /// In how much time it is to be asked again. Default: 10s.
    pub again: Option<String>,
    /// Every so many calls it traps. Default: never.
    #[serde(default)]
    pub traps_every: u64,
}

/// How experiments go.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Experiments {
    /// How each ends. Default: successful.
    #[serde(default)]
    pub ends: Ends,
    /// How long each takes, such as `5m`. Default: 1m.
    pub after: Option<String>,
}

impl Experiments {
    /// What lets them go so.
    pub fn player(&self) -> Player {
        let after = self.after.as_deref().and_then(parse_duration);
        let ends = match self.ends {
            Ends::Successful => Some("Successful"),
            Ends::Failed => Some("Failed"),
            Ends::Never => None,
        };
        Player { takes: after.unwrap_or(Player::default().takes), ends, ..Player::default() }
    }
}

/// How a step ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ends {
    /// Well.
    #[default]
    Successful,
    /// The plugin says no.
    Failed,
    /// Never.
    Never,
}

impl StepPlugin {
    /// What behaves so.
    pub fn stepper(&self) -> Stepper {
        let duration = |text: &Option<String>| text.as_deref().and_then(parse_duration);
        let again = duration(&self.again).unwrap_or(Duration::from_secs(10));
        let end = match self.ends {
            Ends::Successful => End::Done,
            Ends::Failed => End::Failed,
            Ends::Never => End::Never,
        };
        Stepper::new(duration(&self.after).unwrap_or_default(), again, end, self.traps_every)
    }
}

/// What is measured of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Measure {
    /// The part of requests that fail.
    ErrorRate,
    /// The part of requests that do not.
    SuccessRate,
}

/// What a user does.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Act {
    /// How long after the act before, such as `90s`. The first is counted from the moment when
    /// the first deployment is healthy.
    #[serde(default)]
    pub after: Option<String>,
    /// Give the first container this image.
    pub set_image: Option<String>,
    /// `promote`, `promoteFull`, `abort`, `retry`, `pause` or `resume`.
    pub command: Option<Command>,
    /// Change the number of pods.
    pub replicas: Option<u32>,
    /// The controller dies and starts again.
    #[serde(default)]
    pub restart_controller: bool,
}

/// A command of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Command {
    /// Go on from a pause, or to the next step.
    Promote,
    /// Skip everything that is left.
    PromoteFull,
    /// Go back to the stable version.
    Abort,
    /// Try an aborted release again.
    Retry,
    /// `spec.paused`.
    Pause,
    /// No longer `spec.paused`.
    Resume,
}

/// How a scenario is to end.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Expect {
    /// `Healthy`, `Degraded`, `Paused` or `Progressing`.
    pub phase: Option<String>,
    /// A part of the message.
    pub message: Option<String>,
    /// The image that all traffic goes to.
    pub stable_image: Option<String>,
    /// In how much time after the last act, such as `30m`. Default: 24h.
    pub within: Option<String>,
}

/// What is wrong with a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadScenario {
    /// Such as `acts[2].after`.
    pub path: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl std::fmt::Display for BadScenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

impl std::error::Error for BadScenario {}

impl Scenario {
    /// Every complaint about it.
    pub fn check(&self) -> Vec<BadScenario> {
        let mut bad = Vec::new();
        let mut duration = |path: String, text: &Option<String>| {
            if text.as_ref().is_some_and(|text| parse_duration(text).is_none()) {
                let message = format!(
                    "{:?} is no duration; write 90s, 5m or 1h30m",
                    text.as_deref().unwrap_or_default()
                );
                bad.push(BadScenario { path, message });
            }
        };
        for (index, version) in self.versions.iter().enumerate() {
            duration(format!("versions[{index}].readyAfter"), &version.ready_after);
            duration(format!("versions[{index}].crashAfter"), &version.crash_after);
        }
        for (index, answer) in self.metrics.iter().enumerate() {
            duration(format!("metrics[{index}].from"), &answer.from);
        }
        for (index, step) in self.steps.iter().enumerate() {
            duration(format!("steps[{index}].after"), &step.after);
            duration(format!("steps[{index}].again"), &step.again);
        }
        if let Some(experiments) = &self.experiments {
            duration("experiments.after".to_owned(), &experiments.after);
        }
        for (index, act) in self.acts.iter().enumerate() {
            duration(format!("acts[{index}].after"), &act.after);
        }
        duration("expect.within".to_owned(), &self.expect.within);
        for (index, version) in self.versions.iter().enumerate() {
            if !(0.0..=1.0).contains(&version.error_rate) {
                let path = format!("versions[{index}].errorRate");
                let message = format!("{} is not between 0 and 1", version.error_rate);
                bad.push(BadScenario { path, message });
            }
        }
        bad
    }

    /// How the pods of this image behave.
    pub fn behaviour(&self, image: &str) -> Behaviour {
        let Some(version) = self.version(image) else { return Behaviour::default() };
        let duration = |text: &Option<String>| text.as_deref().and_then(parse_duration);
        Behaviour {
            ready_after: duration(&version.ready_after).unwrap_or(Duration::from_secs(5)),
            never_ready: version.never_ready,
            unready_after: duration(&version.crash_after),
            ..Behaviour::default()
        }
    }

    /// The part of requests that fail in this image.
    pub fn error_rate(&self, image: &str) -> f64 {
        self.version(image).map_or(0.0, |version| version.error_rate)
    }

    fn version(&self, image: &str) -> Option<&Version> {
        self.versions.iter().find(|version| matches(&version.image, image))
    }
}

/// Whether `text` is `pattern`, in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(first) = parts.next() else { return true };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut last_open = false;
    for part in parts {
        last_open = part.is_empty();
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty() || last_open
}

#[derive(Clone, Debug, Default)]
struct Moment {
    now: Timestamp,
    begin: Option<Timestamp>,
    error_rate: f64,
}

/// A metrics server that answers as a scenario says, to the requests of real components.
#[derive(Debug, Default)]
pub struct MetricsServer {
    answers: Vec<Answer>,
    moment: Mutex<Moment>,
}

impl MetricsServer {
    /// The server of a scenario.
    pub fn new(scenario: &Scenario) -> Arc<Self> {
        Arc::new(Self { answers: scenario.metrics.clone(), moment: Mutex::default() })
    }

    /// What is true now: the time, when the first act was, and how the version that is being
    /// released fares.
    pub fn set(&self, now: Timestamp, begin: Option<Timestamp>, error_rate: f64) {
        *self.moment.lock().unwrap_or_else(PoisonError::into_inner) =
            Moment { now, begin, error_rate };
    }

    /// The virtual time, for the clock of components.
    pub fn now(&self) -> Timestamp {
        self.moment.lock().unwrap_or_else(PoisonError::into_inner).now
    }

    fn answer(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        let moment = self.moment.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let query = query_of(request);
        let since = moment.begin.map_or(Duration::ZERO, |begin| moment.now.since(begin));
        let begun = |answer: &&Answer| {
            let from = answer.from.as_deref().and_then(parse_duration).unwrap_or_default();
            query.contains(&answer.query) && from <= since
        };
        let Some(answer) = self.answers.iter().rev().find(begun) else {
            let text = format!("the scenario has no answer to the query {query}");
            return Ok(prometheus_error(400, &text));
        };
        if answer.hangs {
            return Err(HttpError::Timeout);
        }
        if let Some(error) = &answer.error {
            return Ok(prometheus_error(503, error));
        }
        let value = match (answer.value, answer.measure) {
            (Some(value), _) => Some(value),
            (None, Some(Measure::ErrorRate)) => Some(moment.error_rate),
            (None, Some(Measure::SuccessRate)) => Some(1.0 - moment.error_rate),
            (None, None) if answer.nan => Some(f64::NAN),
            (None, None) => None,
        };
        let value = value.filter(|_| !answer.no_data);
        Ok(vector(moment.now, value))
    }
}

/// The query of a request to Prometheus, in the URL or in the body.
fn query_of(request: &HttpRequest) -> String {
    let body = request.body.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
    let in_url = request.url.split_once('?').map(|(_, query)| query).unwrap_or_default();
    let pairs = body.split('&').chain(in_url.split('&'));
    let found = pairs.filter_map(|pair| pair.strip_prefix("query=")).next();
    decode(found.unwrap_or_default())
}

/// Undo the encoding of forms.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits: Vec<u8> = rest.by_ref().take(2).collect();
                let digits = std::str::from_utf8(&digits).unwrap_or_default();
                bytes.push(u8::from_str_radix(digits, 16).unwrap_or(b'?'));
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn vector(now: Timestamp, value: Option<f64>) -> HttpResponse {
    let seconds = now.0 as f64 / 1000.0;
    let text = value.map(|value| if value.is_nan() { "NaN".to_owned() } else { value.to_string() });
    let result: Vec<Value> =
        text.into_iter().map(|text| json!({"metric": {}, "value": [seconds, text]})).collect();
    answered(200, &json!({"status": "success", "data": {"resultType": "vector", "result": result}}))
}

fn prometheus_error(status: u16, text: &str) -> HttpResponse {
    answered(status, &json!({"status": "error", "errorType": "unavailable", "error": text}))
}

fn answered(status: u16, body: &Value) -> HttpResponse {
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    HttpResponse { status, headers, body: body.to_string().into_bytes() }
}

impl Egress for MetricsServer {
    fn send<'a>(
        &'a self,
        _plugin: &'a str,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>> {
        Box::pin(std::future::ready(self.answer(&request)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        let table = [
            ("shop:1", "shop:1", true),
            ("shop:1", "shop:10", false),
            ("shop:1.*", "shop:1.7", true),
            ("*:2", "shop:2", true),
            ("*", "anything", true),
            ("a*c", "abcd", false),
        ];
        for (pattern, text, expected) in table {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn the_server_answers_as_prometheus_does() {
        let scenario = Scenario {
            metrics: vec![
                Answer {
                    query: "errors".into(),
                    measure: Some(Measure::ErrorRate),
                    ..Answer::default()
                },
                Answer {
                    query: "errors".into(),
                    from: Some("5m".into()),
                    no_data: true,
                    ..Answer::default()
                },
            ],
            ..Scenario::default()
        };
        let server = MetricsServer::new(&scenario);
        let ask = || {
            let body = Some(b"query=sum%28errors%29".to_vec());
            let request = HttpRequest { body, ..HttpRequest::default() };
            String::from_utf8(server.answer(&request).unwrap().body).unwrap()
        };
        server.set(Timestamp(60_000), Some(Timestamp(0)), 0.25);
        assert!(ask().contains(r#""value":[60.0,"0.25"]"#), "{}", ask());
        server.set(Timestamp(300_000), Some(Timestamp(0)), 0.25);
        assert!(ask().contains(r#""result":[]"#), "{}", ask());
    }
}
