//! Routers that the user does not name any more: they let go, and not while anybody needs them.

use serde_json::Value;

use super::{Checker, Truth, reaching};
use crate::cluster::Cluster;
use crate::plane::Live;
use crate::shell::lock;

impl Truth {
    /// Whether a router divides nothing any more, and no other is named: what the stable Service
    /// gets then is what it gets without a router, and pods follow the steps as they do there.
    pub(super) fn is_off(&self, live: &Live) -> bool {
        self.unnamed && !live.special && reaching(self, live, &self.stable) == live.whole
    }
}

impl Checker {
    /// I1: a router that lets go sends everything to the stable side, so there must be pods for
    /// what it sent elsewhere.
    pub(super) fn letting_go(&self, truth: &Truth, live: &[Live], bad: &mut Vec<String>) {
        let gone = |last: &&Live| {
            !live.iter().any(|live| (&live.router, &live.config) == (&last.router, &last.config))
        };
        for last in self.last.iter().filter(gone) {
            let hash = &truth.stable;
            // Where it names revisions, its stable side may be one that was stable before.
            let all_stable = last.stable() == last.whole;
            let to_stable = reaching(truth, last, hash) == last.whole;
            if (all_stable || to_stable) && !last.special {
                continue;
            }
            let fleet = self.least_fleet();
            let needs = fleet.saturating_sub(truth.most_unavailable);
            let has = self.best().get(hash).copied().unwrap_or(0);
            if has < needs {
                bad.push(format!(
                    "I1: router {} let go while {}/{} of its traffic was the canary's, and {hash} has {has} of {needs} pods for it",
                    last.router, last.canary, last.whole
                ));
            }
        }
    }

    /// At rest: does any router send requests that the manifest does not name?
    pub(super) fn left_over(&self, cluster: &Cluster) -> Option<String> {
        let live = cluster.live_and_pending(&self.namespace, &self.name);
        let world = lock(&cluster.world);
        let rollout = world.get("Rollout", &self.namespace, &self.name)?;
        let routing = rollout.pointer("/spec/strategy/canary/trafficRouting");
        let named = |live: &Live| {
            // Not compared as text: nothing says in which order a configuration is written.
            let told: Option<Value> = serde_json::from_str(&live.config).ok();
            let of = |value: Option<&Value>| {
                let config = value.and_then(|value| value.get(&live.router));
                config.is_some_and(|it| told.as_ref().is_none_or(|told| told == it))
            };
            of(routing) || of(routing.and_then(|routing| routing.get("plugins")))
        };
        let left = live.iter().find(|live| !named(live))?;
        Some(format!("router {} is not named any more and still has its routes", left.router))
    }
}
