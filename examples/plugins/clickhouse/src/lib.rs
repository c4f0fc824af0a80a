//! Measures with a SQL query, asked of ClickHouse over HTTP.

use std::collections::BTreeMap;
use std::time::Duration;

use sluice_sdk::{Deserialize, Value, metric::*};

/// What a user writes under the plugin's name in a metric.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The server's HTTP interface, such as `http://clickhouse.data:8123`.
    address: String,
    /// A query whose answer has one column. Values go into `parameters`, as in
    /// `where service = {service:String}`.
    query: String,
    /// Values of the query's parameters, which the server escapes.
    #[serde(default)]
    parameters: BTreeMap<String, String>,
    /// Default: the user's own.
    database: Option<String>,
    /// Default: `default`, without a password.
    user: Option<String>,
    /// Best taken from a Secret by an argument of the analysis.
    password: Option<String>,
    /// Seconds for the query, at most 25. Default: 10.
    timeout: Option<u32>,
}

impl Config {
    fn timeout(&self) -> u32 {
        self.timeout.unwrap_or(10)
    }
}

struct ClickHouse;

impl Provider for ClickHouse {
    type Config = Config;

    fn validate(config: &Config) -> Result<()> {
        if config.query.trim().is_empty() {
            return Err(Error::invalid_config("query: must not be empty"));
        }
        match config.timeout() {
            1..=25 => Ok(()),
            _ => Err(Error::invalid_config("timeout: must be 1 to 25 seconds")),
        }
    }

    fn run(_: &Context, config: Config) -> Result<Measurement> {
        Self::validate(&config)?;
        let seconds = config.timeout();
        let mut fields = vec![
            ("default_format".to_owned(), "JSONCompact".to_owned()),
            ("max_execution_time".to_owned(), seconds.to_string()),
            ("readonly".to_owned(), "2".to_owned()),
        ];
        if let Some(database) = &config.database {
            fields.push(("database".to_owned(), database.clone()));
        }
        for (name, value) in &config.parameters {
            fields.push((format!("param_{name}"), value.clone()));
        }
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value)).collect();
        let mut request = http::post(format!("{}/", config.address.trim_end_matches('/')))
            .query(&fields)
            .body(config.query.clone())
            .timeout(Duration::from_secs(u64::from(seconds) + 2));
        if let Some(user) = &config.user {
            request = request.header("x-clickhouse-user", user);
        }
        if let Some(password) = &config.password {
            request = request.header("x-clickhouse-key", password);
        }
        let response = request.send()?;
        // What is wrong with a query comes as a page of text, with a status of 4xx or 5xx that
        // does not say whose mistake it is. The server's own code does.
        if let Some(code) = response.header("x-clickhouse-exception-code") {
            return Err(refused(code, &response.text()));
        }
        let answer: Value = response.json()?;
        let rows = answer["data"].as_array().ok_or_else(no_table)?;
        Ok(measured(rows)?.with("query", config.query))
    }
}

/// Codes of what may be different a minute later: timeouts, too many queries, no memory.
const PASSING: [&str; 6] = ["159", "160", "202", "209", "210", "241"];

fn refused(code: &str, text: &str) -> Error {
    let line = text.lines().next().unwrap_or_default();
    match PASSING.contains(&code) {
        true => Error::transient(format!("ClickHouse: {line}")),
        false => Error::failed(format!("clickhouse-{code}"), format!("ClickHouse: {line}")),
    }
}

fn no_table() -> Error {
    Error::failed("no-table", "the answer has no rows: is this ClickHouse's HTTP interface?")
}

/// One row is a number, several are numbers, none is no data.
fn measured(rows: &[Value]) -> Result<Measurement> {
    let numbers = rows.iter().map(number).collect::<Result<Vec<_>>>()?;
    Ok(match numbers.as_slice() {
        [] => Measurement::no_data(),
        [number] => Measurement::number(*number),
        _ => Measurement::numbers(numbers),
    })
}

/// Integers of 64 bits come as text, and so do NaN and infinities; NULL is no number.
fn number(row: &Value) -> Result<f64> {
    let cells = row.as_array().ok_or_else(no_table)?;
    let [cell] = cells.as_slice() else {
        let text = format!("query: must answer one column, and answers {}", cells.len());
        return Err(Error::invalid_config(text));
    };
    match cell {
        Value::Null => Ok(f64::NAN),
        Value::Number(number) => number.as_f64().ok_or_else(no_table),
        Value::String(text) => text.parse().map_err(|_| {
            Error::invalid_config(format!("query: must answer numbers, and answers {text:?}"))
        }),
        other => Err(Error::invalid_config(format!("query: must answer numbers, not {other}"))),
    }
}

sluice_sdk::export_metric_provider!(ClickHouse, requests: {
    http: "asks the ClickHouse server that a metric names",
});
