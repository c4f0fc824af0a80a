//! A notifier as the host calls it.

use std::marker::PhantomData;

use super::metric::sluice::plugin::types::PluginError;
use super::notifier::exports::sluice::notifier::delivery as wire;
use crate::notify::{Fact, Notifier, Outcome, Severity};

/// The exports of a component whose notifier is `N`.
pub struct NotifierOf<N>(PhantomData<N>);

impl<N: Notifier + 'static> wire::Guest for NotifierOf<N> {
    fn validate(config: String) -> Result<(), PluginError> {
        Ok(N::validate(&crate::parse_config(&config)?)?)
    }

    fn deliver(config: String, fact: wire::Fact) -> Result<wire::Outcome, PluginError> {
        let config = crate::parse_config(&config)?;
        Ok(match N::deliver(config, &fact.into())? {
            Outcome::Delivered(id) => wire::Outcome::Delivered(id),
            Outcome::RetryAfter(after_ms) => wire::Outcome::RetryAfter(after_ms),
        })
    }
}

impl From<wire::Fact> for Fact {
    fn from(from: wire::Fact) -> Self {
        Self {
            key: from.key,
            reason: from.reason,
            severity: match from.severity {
                wire::Severity::Normal => Severity::Normal,
                wire::Severity::Warning => Severity::Warning,
            },
            message: from.message,
            time_ms: from.time,
            namespace: from.namespace,
            rollout: from.rollout,
            rollout_uid: from.rollout_uid,
            revision: from.revision,
            phase: from.phase,
            images: from.images,
            recipients: from.recipients,
        }
    }
}
