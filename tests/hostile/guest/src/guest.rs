//! The provider.

mod wasi;

use serde::Deserialize;
use sluice_sdk::metric::{Context, Error, Measurement, Provider, Result, http};
use sluice_sdk::{Value, json};

/// What is to be sent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    requests: Vec<Request>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Request {
    #[serde(default)]
    by: By,
    #[serde(default = "get")]
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: String,
    #[serde(default)]
    timeout_ms: Option<u32>,
    /// Never end the body.
    #[serde(default)]
    unfinished: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum By {
    #[default]
    Wasi,
    Sluice,
}

fn get() -> String {
    "GET".to_owned()
}

/// A request that was sent, if it was.
enum Sent {
    Pending(wasi::Pending),
    Done(Value),
}

struct Guest;

impl Provider for Guest {
    type Config = Config;

    fn validate(config: &Config) -> Result<()> {
        let outcomes = outcomes(config);
        match outcomes.iter().find(|outcome| outcome.get("error").is_some()) {
            Some(outcome) => Err(Error::invalid_config(outcome.to_string())),
            None => Ok(()),
        }
    }

    fn run(_: &Context, config: Config) -> Result<Measurement> {
        Ok(Measurement::value(outcomes(&config)))
    }
}

/// All are sent before any answer is looked at.
fn outcomes(config: &Config) -> Vec<Value> {
    let error = |error: String| json!({ "error": error });
    let begin = |request| match send(request) {
        Ok(sent) => sent,
        Err(why) => Sent::Done(error(why)),
    };
    let sent: Vec<_> = config.requests.iter().map(begin).collect();
    let end = |sent| match sent {
        Sent::Pending(pending) => pending.end().unwrap_or_else(error),
        Sent::Done(outcome) => outcome,
    };
    sent.into_iter().map(end).collect()
}

fn send(request: &Request) -> Result<Sent, String> {
    match request.by {
        By::Wasi => wasi::begin(request).map(Sent::Pending),
        By::Sluice => {
            let request = http::Request {
                method: request.method.clone(),
                url: request.url.clone(),
                headers: request.headers.clone(),
                body: (!request.body.is_empty()).then(|| request.body.clone().into_bytes()),
                timeout_ms: request.timeout_ms,
                insecure: false,
            };
            let answer = http::send(&request).map_err(|error| format!("{error:?}"))?;
            Ok(Sent::Done(outcome(answer.status, answer.headers, &answer.body)))
        }
    }
}

fn outcome(status: u16, headers: Vec<(String, String)>, body: &[u8]) -> Value {
    json!({"status": status, "headers": headers, "body": String::from_utf8_lossy(body)})
}

sluice_sdk::export_metric_provider!(Guest, requests: { http: "sends what it is told to" });
