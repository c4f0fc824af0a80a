//! Notifiers in unit tests, configured by JSON as an operator does it.

use serde_json::Value;

use super::{Host, Ran};
use crate::error::Result;
use crate::notify::{Fact, Notifier, Outcome};

impl Host {
    /// Calls a notifier's `validate`, the configuration being read the way the host's is.
    ///
    /// # Errors
    /// As the notifier says.
    pub fn validate_notifier<N: Notifier>(self, config: Value) -> Result<()> {
        self.call(|_| N::validate(&crate::parse_config(&config.to_string())?)).result
    }

    /// Calls a notifier's `deliver`.
    pub fn deliver<N: Notifier>(self, config: Value, fact: &Fact) -> Ran<Outcome> {
        self.call(|_| N::deliver(crate::parse_config(&config.to_string())?, fact))
    }
}
