//! Posts what became true of rollouts to a server as JSON.

use std::collections::BTreeMap;

use sluice_sdk::{Deserialize, json, notify::*};

/// How an operator configures it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Where to, such as `https://hooks.shop/releases`.
    url: String,
    /// Further headers of each request. A token is better granted as a credential, which the
    /// component never sees.
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

struct Webhook;

impl Notifier for Webhook {
    type Config = Config;

    fn validate(config: &Config) -> Result<()> {
        if config.url.starts_with("http://") || config.url.starts_with("https://") {
            return Ok(());
        }
        Err(Error::invalid_config("url: must be a URL such as https://hooks.shop/releases"))
    }

    fn deliver(config: Config, fact: &Fact) -> Result<Outcome> {
        let body = json!({
            "key": fact.key,
            "reason": fact.reason,
            "severity": fact.severity.name(),
            "message": fact.message,
            "timeMs": fact.time_ms,
            "namespace": fact.namespace,
            "rollout": fact.rollout,
            "revision": fact.revision,
            "phase": fact.phase,
            "images": fact.images,
            "recipients": fact.recipients,
        });
        let mut request = http::post(&config.url).header("idempotency-key", &fact.key);
        for (name, value) in &config.headers {
            request = request.header(name, value);
        }
        request.json(&body).send()?.success()?;
        Ok(Outcome::delivered())
    }
}

sluice_sdk::export_notifier!(Webhook, requests: {
    http: "posts to the URL that it is configured with",
});
