//! Asks people on an approval service, and goes on when they say yes.

use std::time::Duration;

use serde::Serialize;
use sluice_sdk::{Deserialize, json, step::*, time};

/// What a user writes under `config`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Config {
    /// The service, such as `https://approvals.shop`.
    address: String,
    /// What people are asked.
    question: String,
    /// After so many minutes without an answer it is no. Default: a day.
    #[serde(default = "a_day")]
    wait_minutes: u32,
    /// How often the service is asked, in seconds. Default: 15.
    #[serde(default = "often")]
    poll_seconds: u32,
}

fn a_day() -> u32 {
    24 * 60
}

fn often() -> u32 {
    15
}

/// What one call leaves behind for the next.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    /// The service's own name for the request.
    id: String,
    /// When people were asked, in milliseconds since the Unix epoch.
    since_ms: i64,
}

/// A request for approval, as the service tells it.
#[derive(Deserialize)]
struct Request {
    id: String,
    decision: Decision,
    by: Option<String>,
    comment: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Decision {
    Pending,
    Approved,
    Rejected,
}

struct Approval;

impl Approval {
    /// The service knows a request by its key, so asking again after a crash finds the first.
    fn ask(context: &Context, config: &Config) -> Result<Request> {
        let question = json!({
            "key": context.key(),
            "namespace": context.namespace,
            "rollout": context.rollout,
            "revision": context.revision,
            "question": config.question,
        });
        http::post(format!("{}/approvals", config.address)).json(&question).send()?.json()
    }

    /// Nobody need decide any more. By its key, since an abort may come before the first answer
    /// was kept; one that is not there, or was withdrawn, is fine.
    fn withdraw(context: &Context, config: &Config) -> Result<()> {
        let url = format!("{}/approvals", config.address);
        let answer = http::request("DELETE", url).query(&[("key", context.key())]).send()?;
        if answer.status != 404 {
            answer.success()?;
        }
        Ok(())
    }

    fn decided(request: Request, asked: Asked, config: &Config) -> Progress<Asked> {
        let by = request.by.unwrap_or_else(|| "somebody".to_owned());
        let comment = request.comment.map(|text| format!(": {text}")).unwrap_or_default();
        match request.decision {
            Decision::Approved => {
                Progress::done().keeping(asked).message(format!("approved by {by}{comment}"))
            }
            Decision::Rejected => {
                Progress::failed(format!("rejected by {by}{comment}")).keeping(asked)
            }
            Decision::Pending => {
                let waited_ms = time::now_ms().saturating_sub(asked.since_ms);
                if waited_ms >= i64::from(config.wait_minutes) * 60_000 {
                    let why = format!("nobody decided in {} minutes", config.wait_minutes);
                    return Progress::failed(why).keeping(asked);
                }
                let again = Duration::from_secs(config.poll_seconds.into());
                Progress::again(asked, again).message("waits for an approval")
            }
        }
    }
}

impl Step for Approval {
    type Config = Config;
    type State = Asked;

    fn validate(config: &Config) -> Result<()> {
        if config.wait_minutes == 0 {
            return Err(Error::invalid_config("waitMinutes: people need at least 1 to answer"));
        }
        if !config.address.starts_with("http://") && !config.address.starts_with("https://") {
            let text = "address: must be a URL such as https://approvals.shop";
            return Err(Error::invalid_config(text));
        }
        Ok(())
    }

    fn run(context: &Context, config: Config, asked: Option<Asked>) -> Result<Progress<Asked>> {
        let (request, since_ms) = match asked {
            None => (Self::ask(context, &config)?, time::now_ms()),
            Some(Asked { id, since_ms }) => {
                let url = format!("{}/approvals/{id}", config.address);
                (http::get(url).send()?.json::<Request>()?, since_ms)
            }
        };
        let asked = Asked { id: request.id.clone(), since_ms };
        Ok(Self::decided(request, asked, &config))
    }

    fn terminate(context: &Context, config: Config, _: Option<Asked>) -> Result<()> {
        Self::withdraw(context, &config)
    }

    fn abort(context: &Context, config: Config, _: Option<Asked>) -> Result<()> {
        Self::withdraw(context, &config)
    }
}

sluice_sdk::export_step!(Approval, requests: {
    http: "asks the approval service that a step names",
});
