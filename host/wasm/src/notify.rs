//! Notifiers: our types and those of `sluice:notifier`.

use sluice_port::{Delivery, Fault, Notice};
use wasmtime::Store;

use crate::bindings::notifier::exports::sluice::notifier::delivery;
use crate::call::{For, Reply, bounded, wrong_kind};
use crate::ctx::Ctx;
use crate::host::ComponentHost;
use crate::limits::{Kind, MOST_MESSAGE};
use crate::load::Pre;

/// Milliseconds between which a notifier is asked to try again.
const AGAIN: (u32, u32) = (1_000, 3_600_000);

impl ComponentHost {
    /// Tell somebody of a fact through the notifier of this name, which is configured as it was
    /// installed, or as `config` says.
    ///
    /// # Errors
    /// The component's, or what became of it.
    pub async fn deliver_with(
        &self,
        name: &str,
        config: Option<&str>,
        notice: &Notice,
    ) -> Result<Delivery, Fault> {
        self.let_in(name).await;
        let generation = self.current(Kind::Notifier, name)?;
        let config = config.unwrap_or(&generation.config).to_owned();
        let fact = fact(notice);
        let act = async |pre: &Pre, store: &mut Store<Ctx>| -> Reply<delivery::Outcome> {
            let Pre::Notifier(pre) = pre else { return wrong_kind() };
            let instance = pre.instantiate_async(&mut *store).await?;
            instance.sluice_notifier_delivery().call_deliver(store, &config, &fact).await
        };
        self.call_on(generation, For::Work, act, outcome).await
    }

    /// What the notifier of this name says of a configuration. It has no network.
    ///
    /// # Errors
    /// The component's refusal, or what became of it.
    pub async fn validate_notifier(&self, name: &str, config: &str) -> Result<(), Fault> {
        let config = config.to_owned();
        let act = async |pre: &Pre, store: &mut Store<Ctx>| -> Reply<()> {
            let Pre::Notifier(pre) = pre else { return wrong_kind() };
            let instance = pre.instantiate_async(&mut *store).await?;
            instance.sluice_notifier_delivery().call_validate(store, &config).await
        };
        self.call(Kind::Notifier, name, For::Validation, act, Ok).await
    }
}

fn fact(notice: &Notice) -> delivery::Fact {
    delivery::Fact {
        key: notice.key.clone(),
        reason: notice.reason.clone(),
        severity: match notice.warning {
            true => delivery::Severity::Warning,
            false => delivery::Severity::Normal,
        },
        message: notice.message.clone(),
        time: i64::try_from(notice.time_ms).unwrap_or(i64::MAX),
        namespace: notice.namespace.clone(),
        rollout: notice.rollout.clone(),
        rollout_uid: notice.rollout_uid.clone(),
        revision: notice.revision.clone(),
        phase: notice.phase.clone(),
        images: notice.images.clone(),
        recipients: notice.recipients.clone(),
    }
}

pub(crate) fn outcome(outcome: delivery::Outcome) -> Result<Delivery, Fault> {
    Ok(match outcome {
        delivery::Outcome::Delivered(id) => {
            bounded("bytes of a name", id.as_ref().map_or(0, String::len), MOST_MESSAGE)?;
            Delivery::Delivered(id)
        }
        delivery::Outcome::RetryAfter(after) => Delivery::RetryAfter(after.clamp(AGAIN.0, AGAIN.1)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notifier_is_asked_again_within_a_second_and_an_hour() {
        for (asked, given) in [(0, 1_000), (5_000, 5_000), (u32::MAX, 3_600_000)] {
            let answer = outcome(delivery::Outcome::RetryAfter(asked));
            assert_eq!(answer, Ok(Delivery::RetryAfter(given)));
        }
    }

    #[test]
    fn a_name_that_is_a_book_is_no_name() {
        let named = |length: usize| outcome(delivery::Outcome::Delivered(Some("x".repeat(length))));
        assert!(named(MOST_MESSAGE).is_ok());
        assert!(matches!(named(MOST_MESSAGE + 1), Err(Fault::Malformed(_))));
    }
}
