//! Tells a chat of what became true of rollouts.

use sluice_sdk::{Deserialize, json, notify::*};

/// How an operator configures it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The chat, such as `https://chat.example.com`.
    address: String,
}

struct Plugin;

impl Notifier for Plugin {
    type Config = Config;

    fn validate(config: &Config) -> Result<()> {
        match config.address.starts_with("http") {
            true => Ok(()),
            false => Err(Error::invalid_config("address: must be a URL")),
        }
    }

    /// Every recipient is a channel. A message has a key of its own, so that one which is sent
    /// again after a crash is shown once.
    fn deliver(config: Config, fact: &Fact) -> Result<Outcome> {
        let text = format!("{}/{}: {}", fact.namespace, fact.rollout, fact.message);
        for channel in &fact.recipients {
            http::post(format!("{}/channels/{channel}", config.address))
                .header("idempotency-key", format!("{}/{channel}", fact.key))
                .json(&json!({ "text": text }))
                .send()?
                .success()?;
        }
        Ok(Outcome::delivered())
    }
}

sluice_sdk::export_notifier!(Plugin, requests: {
    http: "posts to the chat that it is configured with",
});

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::Host;

    #[test]
    fn every_channel_is_told() {
        let fact = Fact {
            namespace: "shop".into(),
            rollout: "web".into(),
            message: "aborted".into(),
            recipients: vec!["ops".into(), "shop".into()],
            ..Fact::default()
        };
        let ran = Host::new()
            .answers("POST http://chat.test/channels/ops", 200, json!({}))
            .answers("POST http://chat.test/channels/shop", 200, json!({}))
            .deliver::<Plugin>(json!({ "address": "http://chat.test" }), &fact);
        assert_eq!(ran.result, Ok(Outcome::delivered()));
        assert_eq!(ran.requests.len(), 2);
    }
}
