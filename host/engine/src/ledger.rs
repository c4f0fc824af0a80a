//! What is known of each rollout's traffic, between its turns.

use std::collections::BTreeMap;

use sluice_core::Timestamp;
use sluice_core::traffic::{Certainty, Split, Traffic, Trouble};

use crate::Key;

/// The traffic of every rollout that has a router. It is kept in memory only: whoever starts or
/// takes over the lead knows nothing until the routers have verified.
#[derive(Debug, Default)]
pub struct Ledger(BTreeMap<Key, Traffic>);

impl Ledger {
    /// What is known; nothing, if the key is new.
    pub fn traffic(&self, key: &Key, now: Timestamp) -> Traffic {
        self.0.get(key).cloned().unwrap_or_else(|| Traffic::unknown(now))
    }

    /// A routing is about to be asked for. Must be called before the router is.
    pub fn asked(&mut self, key: &Key, to: Split, now: Timestamp) {
        self.entry(key, now).asked(to);
    }

    /// The router confirmed what it was asked for last.
    pub fn confirmed(&mut self, key: &Key, to: Split, certainty: Certainty, now: Timestamp) {
        self.entry(key, now).confirm(to, certainty, now);
    }

    /// The router did not confirm.
    pub fn trouble(&mut self, key: &Key, trouble: Trouble, now: Timestamp) {
        self.entry(key, now).trouble(trouble);
    }

    /// Somebody else changed an object that carries this routing.
    pub fn doubt(&mut self, key: &Key, now: Timestamp) {
        if let Some(traffic) = self.0.get_mut(key) {
            traffic.doubt(now);
        }
    }

    /// The rollout is gone.
    pub fn forget(&mut self, key: &Key) {
        self.0.remove(key);
    }

    /// Another controller led meanwhile: nothing is known any more.
    pub fn forget_all(&mut self) {
        self.0.clear();
    }

    fn entry(&mut self, key: &Key, now: Timestamp) -> &mut Traffic {
        self.0.entry(key.clone()).or_insert_with(|| Traffic::unknown(now))
    }
}
