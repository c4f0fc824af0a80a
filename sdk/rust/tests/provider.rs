//! A provider as an author writes one, called by the host for unit tests.

use std::time::Duration;

use sluice_sdk::http::{HttpError, Request};
use sluice_sdk::testing::Host;
use sluice_sdk::{Deserialize, Value, json, log, metric::*, secrets, time};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    address: String,
}

struct Poll;

impl Provider for Poll {
    type Config = Config;

    fn validate(c: &Config) -> Result<()> {
        match c.address.is_empty() {
            true => Err(Error::invalid_config("address: must not be empty")),
            false => Ok(()),
        }
    }

    fn run(context: &Context, c: Config) -> Result<Measurement> {
        log::info("started");
        let answer: Value = http::post(c.address)
            .header("x-token", secrets::text("token")?)
            .json(&json!({ "metric": context.metric, "now": time::now_ms() }))
            .timeout(Duration::from_secs(5))
            .send()?
            .json()?;
        Ok(Measurement::running(answer["id"].clone(), Duration::from_secs(10)))
    }

    fn resume(_: &Context, c: Config, token: Value) -> Result<Measurement> {
        let answer: Value =
            http::get(c.address).query(&[("id", token.to_string())]).send()?.json()?;
        Ok(Measurement::value(answer).with("id", token.to_string()).message("done"))
    }
}

sluice_sdk::export_metric_provider!(Poll, requests: { http: "polls" });

const ADDRESS: &str = "http://poll/";

fn config() -> Value {
    json!({ "address": ADDRESS })
}

#[test]
fn everything_that_the_host_gives_is_scripted_and_recorded() {
    let ran = Host::new()
        .answers("POST http://poll/", 200, json!({ "id": 7 }))
        .secret("token", "s3cret")
        .at(1_000)
        .context(Context { metric: "rate".to_owned(), ..Context::default() })
        .run::<Poll>(config());
    assert_eq!(ran.result, Ok(Measurement::running(7, Duration::from_secs(10))));
    assert_eq!(ran.lines[0].message, "started");
    assert_eq!(
        ran.requests,
        [Request {
            method: "POST".to_owned(),
            url: ADDRESS.to_owned(),
            headers: vec![
                ("x-token".to_owned(), "s3cret".to_owned()),
                ("content-type".to_owned(), "application/json".to_owned()),
            ],
            body: Some(br#"{"metric":"rate","now":1000}"#.to_vec()),
            timeout_ms: Some(5_000),
            insecure: false,
        }]
    );
}

#[test]
fn answers_come_in_turn_and_the_last_one_stays() {
    let host = Host::new().answers("GET http://poll/", 503, json!("busy")).answers(
        "GET http://poll/",
        200,
        json!(0.5),
    );
    let ran = host.call(|context| {
        let config = || Config { address: ADDRESS.to_owned() };
        let first = Poll::resume(context, config(), json!(7));
        assert_eq!(first, Err(Error::transient("HTTP 503: \"busy\"")));
        let second = Poll::resume(context, config(), json!(7))?;
        assert_eq!(Poll::resume(context, config(), json!(7)), Ok(second.clone()));
        Ok(second)
    });
    let measured = Measurement::value(0.5).with("id", "7").message("done");
    assert_eq!(ran.result, Ok(measured));
    assert_eq!(ran.requests[2].url, "http://poll/?id=7");
}

#[test]
fn what_was_not_scripted_is_not_granted() {
    let no_secret = Host::new().run::<Poll>(config());
    assert_eq!(no_secret.result.unwrap_err().message(), "the plugin lacks the grant secret token");
    let no_route = Host::new().secret("token", "s").run::<Poll>(config());
    assert!(matches!(no_route.result, Err(Error::Failed { code, .. }) if code == "not-granted"));
}

#[test]
fn failures_of_the_network_are_worth_another_try() {
    for error in [HttpError::Timeout, HttpError::Connect("refused".to_owned())] {
        let ran = Host::new().fails("GET http://poll/", error).resume::<Poll>(config(), json!(1));
        assert!(matches!(ran.result, Err(Error::Transient { .. })));
    }
}

#[test]
fn configurations_are_read_and_checked_as_in_the_controller() {
    let unknown = Host::new().validate::<Poll>(json!({ "adress": "x" })).unwrap_err();
    assert_eq!(unknown.message(), "adress: unknown field `adress`, expected `address`");
    let empty = Host::new().validate::<Poll>(json!({ "address": "" })).unwrap_err();
    assert_eq!(empty, Error::invalid_config("address: must not be empty"));
}

#[test]
fn a_provider_need_not_clean_up() {
    assert_eq!(Host::new().terminate::<Poll>(config(), json!(1)).result, Ok(()));
}
