//! Evidence where Services alone decide who gets requests: all of them, from one moment to the
//! next.

use super::Open;
use crate::observed::{Door, Hash, Observed, Revision};
use crate::quantity::Pods;
use crate::traffic::Side;
use crate::waiting::Waiting;

impl Observed {
    /// Whether `revision` can lose pods down to `to` as far as Services are concerned.
    ///
    /// What a Service selects keeps as much as the whole fleet, but for the wanted revision behind
    /// the preview: its size is the preview's.
    pub(super) fn unselected(&self, revision: &Revision, to: Pods) -> Result<(), Waiting> {
        if to >= self.rollout.replicas {
            return Ok(());
        }
        for side in Side::BOTH {
            let keeps = match side {
                Side::Stable => true,
                Side::Canary => revision.hash != self.wanted,
            };
            if keeps && self.selected(side) == Some(&revision.hash) {
                let (hash, service) = (revision.hash.clone(), self.service(side).to_owned());
                return Err(Waiting::Selected { hash, service });
            }
        }
        Ok(())
    }

    /// Whether the Service of `side` may be turned to `hash` in one go.
    ///
    /// The preview shows what is there, and be it nothing: no users come through it. The active
    /// Service wants the whole fleet.
    pub(super) fn open_at_once<'o>(&self, side: Side, hash: &'o Hash) -> Result<Open<'o>, Waiting> {
        // A pod above the wanted number is on its way out, though it still counts as available.
        let carries = |revision: &Revision| revision.available.min(revision.wanted);
        let has = self.revision(hash).map_or(Pods::ZERO, carries);
        let needs = match side {
            Side::Canary => Pods::ZERO,
            // It gets the requests already, and is only marked.
            Side::Stable if self.selected(side) == Some(hash) => Pods::ZERO,
            Side::Stable => self.way_back(hash).unwrap_or(self.rollout.replicas),
        };
        if has >= needs {
            return Ok(Open { side, hash });
        }
        let service = self.service(side).to_owned();
        Err(Waiting::Service { side, service, hash: hash.clone(), needs, has })
    }

    /// The pods that are enough to turn the active Service back to `hash`; `None` if that is no
    /// way back to the stable revision.
    ///
    /// As many may be missing as the user lets be unavailable, and more where the revision that
    /// users get now has no more: a flapping pod must not keep them on what was found bad.
    fn way_back(&self, hash: &Hash) -> Option<Pods> {
        let Door::Service { selects: Some(selected), adopted: true, .. } = &self.stable_door else {
            return None;
        };
        if self.memory.stable.as_ref() != Some(hash) || selected == hash {
            return None;
        }
        let fleet = self.rollout.replicas;
        let one = Pods(1).min(fleet);
        let least = fleet.minus(self.rollout.max_unavailable).max(one);
        // Pods of a stranger cannot be counted, so they are not compared with.
        Some(self.revision(selected).map_or(least, |now| least.min(now.available.max(one))))
    }
}
