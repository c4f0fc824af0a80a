//! A notifier as an author writes one, called by the host for unit tests.

use std::time::Duration;

use sluice_sdk::http::HttpError;
use sluice_sdk::testing::Host;
use sluice_sdk::{Deserialize, Value, json, notify::*};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    address: String,
}

struct Chat;

impl Notifier for Chat {
    type Config = Config;

    fn validate(config: &Config) -> Result<()> {
        match config.address.is_empty() {
            true => Err(Error::invalid_config("address: must not be empty")),
            false => Ok(()),
        }
    }

    fn deliver(config: Config, fact: &Fact) -> Result<Outcome> {
        let answer: Value = http::post(config.address)
            .header("idempotency-key", &fact.key)
            .json(&json!({ "text": fact.message, "to": fact.recipients }))
            .send()?
            .json()?;
        Ok(match answer["id"].as_str() {
            Some(id) => Outcome::delivered_as(id),
            None => Outcome::retry_after(Duration::from_secs(5)),
        })
    }
}

sluice_sdk::export_notifier!(Chat, requests: { http: "posts" });

const ROUTE: &str = "POST http://chat.test/";

fn deliver(host: Host) -> Result<Outcome> {
    let fact = Fact { key: "u/2/on-rollout-aborted/1".to_owned(), ..Fact::default() };
    let ran = host.deliver::<Chat>(json!({ "address": "http://chat.test/" }), &fact);
    for request in &ran.requests {
        assert!(request.headers.contains(&("idempotency-key".to_owned(), fact.key.clone())));
    }
    ran.result
}

#[test]
fn what_a_server_says_becomes_an_outcome() {
    let answers = |status, body: Value| deliver(Host::new().answers(ROUTE, status, body));
    assert_eq!(answers(200, json!({ "id": "7" })), Ok(Outcome::delivered_as("7")));
    assert_eq!(answers(202, json!({})), Ok(Outcome::RetryAfter(5_000)));
    assert!(matches!(answers(503, json!("busy")), Err(Error::Transient { .. })));
    assert!(matches!(answers(404, json!({})), Err(Error::Failed { .. })));
    let slow = deliver(Host::new().fails(ROUTE, HttpError::Timeout));
    assert!(matches!(slow, Err(Error::Transient { .. })));
}

#[test]
fn a_configuration_is_refused_by_its_field() {
    let refused = |config: Value| Host::new().validate_notifier::<Chat>(config).unwrap_err();
    for (config, field) in [
        (json!({}), "address"),
        (json!({ "address": "" }), "address"),
        (json!({ "address": "http://chat.test/", "adress": 1 }), "adress"),
    ] {
        let error = refused(config);
        assert!(matches!(error, Error::InvalidConfig(_)), "{error:?}");
        assert!(error.message().contains(field), "{error}");
    }
}
