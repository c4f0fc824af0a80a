//! A step from its first call to its last, as an author would test it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sluice_sdk::step::*;
use sluice_sdk::testing::Host;
use sluice_sdk::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    address: String,
}

#[derive(Serialize, Deserialize)]
struct Asked {
    times: u32,
}

struct Patient;

impl Step for Patient {
    type Config = Config;
    type State = Asked;

    fn validate(config: &Config) -> Result<()> {
        match config.address.is_empty() {
            true => Err(Error::invalid_config("address: name a server")),
            false => Ok(()),
        }
    }

    fn run(on: &Context, config: Config, asked: Option<Asked>) -> Result<Progress<Asked>> {
        let times = asked.map_or(0, |asked| asked.times) + 1;
        let url = format!("{}/{}", config.address, on.key());
        let answer: Value = http::get(url).send()?.json()?;
        Ok(match (answer.as_str(), times) {
            (Some("yes"), _) => Progress::done(),
            (_, 3) => Progress::failed("asked three times"),
            _ => Progress::again(Asked { times }, Duration::from_secs(5)).message("asks again"),
        })
    }
}

fn host(answer: &str) -> Host {
    let context = Context { rollout_uid: "u".into(), revision: "7".into(), ..Context::default() };
    Host::new().step(context).answers("GET http://s/u-7-0", 200, json!(answer))
}

fn config() -> Value {
    json!({ "address": "http://s" })
}

#[test]
fn what_a_call_leaves_behind_is_what_the_next_one_finds() {
    let mut state = None;
    for times in 1..=2 {
        let progress = host("no").run_step::<Patient>(config(), state).result.unwrap();
        assert_eq!(progress.outcome, Outcome::Again(5_000));
        assert_eq!(progress.message.as_deref(), Some("asks again"));
        assert_eq!(progress.state, Some(json!({ "times": times })));
        state = progress.state;
    }
    let done = host("yes").run_step::<Patient>(config(), state.clone()).result.unwrap();
    assert_eq!(done, Progress::done());
    let failed = host("no").run_step::<Patient>(config(), state).result.unwrap();
    assert_eq!(failed.outcome, Outcome::Failed("asked three times".to_owned()));
}

#[test]
fn a_state_of_another_version_is_an_error_and_not_a_no() {
    let ran = host("yes").run_step::<Patient>(config(), Some(json!("old")));
    let Err(Error::Failed { code, .. }) = ran.result else { panic!("{:?}", ran.result) };
    assert_eq!(code, "bad-state");
    assert!(ran.requests.is_empty(), "nothing is done on its behalf");
}

#[test]
fn a_configuration_is_checked_by_its_type_and_by_the_step() {
    for (config, part) in [(json!({}), "address"), (json!({ "address": "" }), "name a server")] {
        let error = Host::new().validate_step::<Patient>(config).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
    assert_eq!(Host::new().validate_step::<Patient>(config()), Ok(()));
}

#[test]
fn a_step_that_has_nothing_to_undo_can_be_stopped_and_undone() {
    assert_eq!(Host::new().terminate_step::<Patient>(config(), None).result, Ok(()));
    let state = Some(json!({ "times": 1 }));
    assert_eq!(Host::new().abort_step::<Patient>(config(), state).result, Ok(()));
}
