//! The answer of the HTTP API, as numbers.

use sluice_sdk::http::Response;
use sluice_sdk::metric::{Error, Outcome, Result};
use sluice_sdk::{Deserialize, Value};

/// What a query came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// One number, or several.
    pub outcome: Outcome,
    /// What the server has to say about the query.
    pub warnings: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    status: String,
    data: Option<Data>,
    #[serde(default)]
    error_type: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: Value,
}

/// Reads an answer.
///
/// # Errors
/// What the server says is wrong, in its own words if it has any; [`Error::Transient`] where
/// asking again may help.
pub fn read(response: &Response) -> Result<Answer> {
    match serde_json::from_slice::<Envelope>(&response.body) {
        Ok(envelope) if envelope.status == "error" => Err(said(response, &envelope)),
        Ok(envelope) if response.is_success() => numbers(envelope),
        Err(error) if response.is_success() => Err(broken(&error.to_string())),
        _ => Err(refused(response)),
    }
}

fn numbers(envelope: Envelope) -> Result<Answer> {
    let Some(data) = envelope.data else { return Err(broken("there is no data")) };
    let outcome = match data.result_type.as_str() {
        "scalar" => Outcome::Number(sample(&data.result)?),
        "vector" => Outcome::Numbers(
            list(&data.result)?
                .iter()
                .map(|series| sample(part(series, "value")?))
                .collect::<Result<_>>()?,
        ),
        "matrix" => {
            let mut all = Vec::new();
            for series in list(&data.result)? {
                for value in list(part(series, "values")?)? {
                    all.push(sample(value)?);
                }
            }
            Outcome::Numbers(all)
        }
        _ => {
            return Err(Error::failed("unsupported-type", "Prometheus metric type not supported"));
        }
    };
    Ok(Answer { outcome, warnings: envelope.warnings.unwrap_or_default() })
}

fn list(value: &Value) -> Result<&Vec<Value>> {
    value.as_array().ok_or_else(|| broken("a list is missing"))
}

fn part<'a>(series: &'a Value, name: &str) -> Result<&'a Value> {
    series.get(name).ok_or_else(|| match series.get("histogram").or(series.get("histograms")) {
        Some(_) => Error::failed(
            "unsupported-type",
            "Prometheus metric type not supported: a native histogram is no number; query a part \
             of it, as with histogram_quantile()",
        ),
        None => broken(&format!("a series has no {name}")),
    })
}

/// The number of a sample, which is a list of its time and its value, the latter as text.
fn sample(sample: &Value) -> Result<f64> {
    let text = sample.get(1).and_then(Value::as_str);
    let number = text.and_then(|text| text.parse().ok());
    number.ok_or_else(|| broken(&format!("{sample} is no sample")))
}

/// The server's own words.
fn said(response: &Response, envelope: &Envelope) -> Error {
    let Envelope { error_type, error, .. } = envelope;
    let message = format!("{error_type}: {error}");
    let busy = matches!(error_type.as_str(), "timeout" | "unavailable" | "internal" | "canceled");
    match response.refusal(message.clone()) {
        transient @ Error::Transient { .. } => transient,
        _ if busy => Error::transient(message),
        _ if error_type.is_empty() => Error::failed("prometheus", message),
        _ => Error::failed(error_type.replace('_', "-"), message),
    }
}

fn refused(response: &Response) -> Error {
    let status = response.status;
    let message = match status {
        400..=499 => format!("client_error: client error: {status}"),
        500..=599 => format!("server_error: server error: {status}"),
        _ => format!("bad_response: bad response code {status}"),
    };
    response.refusal(message)
}

fn broken(why: &str) -> Error {
    Error::failed("bad-response", format!("bad_response: {why}"))
}
