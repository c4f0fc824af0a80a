//! Measured values as conditions see them, and as they are recorded.

use expr::Value;
use serde_json::Value as Json;
use sluice_port::Measured;

/// What `result` is in a condition; `None` if there is nothing to evaluate.
pub(super) fn to_expr(measured: &Measured) -> Result<Option<Value>, String> {
    Ok(Some(match measured {
        Measured::Number(number) => Value::Float(*number),
        Measured::Numbers(numbers) => {
            Value::Array(numbers.iter().copied().map(Value::Float).collect())
        }
        Measured::Value(text) => {
            let json: Json = serde_json::from_str(text)
                .map_err(|error| format!("the provider's value is not JSON: {error}"))?;
            from_json(&json)
        }
        Measured::NoData => Value::Nil,
        Measured::Judged(_) => return Ok(None),
        Measured::Running { .. } => {
            return Err("the measurement is not finished".to_owned());
        }
    }))
}

/// Every number is a float, as in the JSON of Go.
fn from_json(json: &Json) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Number(number) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => Value::String(text.clone()),
        Json::Array(items) => Value::Array(items.iter().map(from_json).collect()),
        Json::Object(fields) => Value::Map(
            fields.iter().map(|(name, field)| (name.clone(), from_json(field))).collect(),
        ),
    }
}

/// What is recorded as the measurement's value.
pub(super) fn print(measured: &Measured) -> String {
    match measured {
        Measured::Number(number) => float(*number),
        Measured::Numbers(numbers) => {
            let numbers: Vec<_> = numbers.iter().copied().map(float).collect();
            format!("[{}]", numbers.join(","))
        }
        Measured::Value(text) => text.trim().to_owned(),
        Measured::NoData | Measured::Judged(_) | Measured::Running { .. } => String::new(),
    }
}

/// As Prometheus prints samples: never with an exponent, and with signed infinities.
fn float(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    number.to_string()
}

/// Whether there is nothing in it.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Nil => true,
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// The name of a value's type, for messages.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nil",
        Value::Bool(_) => "bool",
        Value::Integer(_) => "int",
        Value::Float(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) | Value::Bytes(_) => "array",
        Value::Map(_) | Value::KeyedMap(_) => "map",
        _ => "time",
    }
}
