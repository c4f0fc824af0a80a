//! Runs a job on a server between two weights, and waits for it.

use std::time::Duration;

use serde::Serialize;
use sluice_sdk::{Deserialize, Value, json, step::*};

/// What a user writes under `config`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The server, such as `http://jobs.shop`.
    address: String,
    /// Which job it runs.
    job: String,
}

impl Config {
    /// Where the job of this step is. It has the step's own name, so that starting it twice
    /// starts it once, and an abort finds it without a state.
    fn url(&self, context: &Context) -> String {
        format!("{}/runs/{}", self.address, context.key())
    }
}

/// What one call leaves behind for the next.
#[derive(Serialize, Deserialize)]
struct Started {
    url: String,
}

struct Plugin;

impl Plugin {
    /// A job that is not there is as good as one that was stopped.
    fn stop(url: String) -> Result<()> {
        let answer = http::request("DELETE", url).send()?;
        if answer.status != 404 {
            answer.success()?;
        }
        Ok(())
    }
}

impl Step for Plugin {
    type Config = Config;
    type State = Started;

    fn run(
        context: &Context,
        config: Config,
        started: Option<Started>,
    ) -> Result<Progress<Started>> {
        let (url, request) = match started {
            None => {
                let url = config.url(context);
                (url.clone(), http::put(url).json(&json!({ "job": config.job })))
            }
            Some(Started { url }) => (url.clone(), http::get(url)),
        };
        let answer: Value = request.send()?.json()?;
        Ok(match answer["state"].as_str() {
            Some("succeeded") => Progress::done().keeping(Started { url }),
            Some("failed") => Progress::failed(format!("the job {} failed", config.job)),
            Some("running") => Progress::again(Started { url }, Duration::from_secs(10))
                .message(format!("waits for the job {}", config.job)),
            _ => return Err(Error::failed("odd-state", "the answer names no state of a job")),
        })
    }

    fn terminate(context: &Context, config: Config, started: Option<Started>) -> Result<()> {
        Self::stop(started.map_or_else(|| config.url(context), |started| started.url))
    }

    fn abort(context: &Context, config: Config, started: Option<Started>) -> Result<()> {
        Self::terminate(context, config, started)
    }
}

sluice_sdk::export_step!(Plugin, requests: {
    http: "asks the server that a step names to run a job",
});

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::Host;

    #[test]
    fn a_job_is_started_once_and_then_looked_after() {
        let context =
            Context { rollout_uid: "u".into(), revision: "2".into(), ..Context::default() };
        let config = json!({ "address": "http://jobs.test", "job": "migrate" });
        let ran = Host::new()
            .step(context.clone())
            .answers("PUT http://jobs.test/runs/u-2-0", 200, json!({ "state": "running" }))
            .run_step::<Plugin>(config.clone(), None);
        let progress = ran.result.unwrap();
        assert_eq!(progress.outcome, Outcome::Again(10_000));
        let ran = Host::new()
            .step(context)
            .answers("GET http://jobs.test/runs/u-2-0", 200, json!({ "state": "succeeded" }))
            .run_step::<Plugin>(config, progress.state);
        assert_eq!(ran.result.unwrap().outcome, Outcome::Done);
        assert_eq!(ran.requests.len(), 1);
    }
}
