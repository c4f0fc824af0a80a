//! Metrics from Prometheus, and from whatever speaks its HTTP API.
//!
//! A query is answered by a number (a scalar) or by a list of numbers (a vector or a matrix); a
//! vector without samples is an empty list. Conditions on them are the host's business.

mod address;
mod answer;
mod config;
mod expression;
mod oauth;
mod query;
mod sigv4;

use sluice_sdk::metric::{Context, Measurement, Provider, Result};

pub use config::Config;

/// The provider `prometheus`.
pub struct Prometheus;

impl Provider for Prometheus {
    type Config = Config;

    fn validate(config: &Config) -> Result<()> {
        config.check()
    }

    fn run(_: &Context, config: Config) -> Result<Measurement> {
        config.check()?;
        let answer = query::ask(&config)?;
        let mut measurement = Measurement::new(answer.outcome)
            .with("ResolvedPrometheusQuery", config.query.unwrap_or_default());
        if !answer.warnings.is_empty() {
            let quoted: Vec<String> =
                answer.warnings.iter().map(|warning| format!("\"{warning}\"")).collect();
            measurement = measurement.with("warnings", quoted.join(", "));
        }
        Ok(measurement)
    }
}

sluice_sdk::export_metric_provider!(Prometheus, requests: {
    http: "queries the servers that metrics name, and gets tokens where oauth2 names a tokenUrl",
});
