//! Says which share of a service's requests fails.

use sluice_sdk::{Deserialize, Value, metric::*};

/// What a user writes under the plugin's name in a metric.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The server, such as `http://rates.monitoring`.
    address: String,
    /// Which service.
    service: String,
}

struct Plugin;

impl Provider for Plugin {
    type Config = Config;

    fn run(_: &Context, config: Config) -> Result<Measurement> {
        let answer: Value = http::get(format!("{}/rates", config.address))
            .query(&[("service", &config.service)])
            .send()?
            .json()?;
        match answer["rate"].as_f64() {
            Some(rate) => Ok(Measurement::number(rate).with("service", config.service)),
            None => Ok(Measurement::no_data()),
        }
    }
}

sluice_sdk::export_metric_provider!(Plugin, requests: {
    http: "asks the server that a metric names for the rate",
});

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::{json, testing::Host};

    #[test]
    fn a_rate_is_a_number() {
        let ran = Host::new()
            .answers("GET http://rates.test/rates", 200, json!({ "rate": 0.02 }))
            .run::<Plugin>(json!({ "address": "http://rates.test", "service": "shop" }));
        assert_eq!(ran.result, Ok(Measurement::number(0.02).with("service", "shop")));
        assert_eq!(ran.requests[0].url, "http://rates.test/rates?service=shop");
    }
}
