//! The only doors to what can hurt: shifting traffic and removing pods.
//!
//! An order of that kind is built from a proof, the proof is found in one observation and borrows
//! it, and it is the payload of the order at the same time. So it cannot be forged, cannot be
//! shown for one act and used for another, and cannot be kept for the next turn.
//!
//! ```compile_fail
//! # use sluice_core::evidence::Clear;
//! # fn forge(split: sluice_core::traffic::Split) -> Clear<'static> {
//! Clear { split, seen: todo!() } // the fields are private
//! # }
//! ```
//! ```compile_fail
//! # use sluice_core::{evidence::Clear, observed::Observed, traffic::Split};
//! fn keep(seen: Observed, split: Split) -> Clear<'static> {
//!     seen.clear(split).unwrap() // borrows what ends here
//! }
//! ```

mod blue_green;
mod experiment;
mod leave;
mod lender;
mod restart;

use crate::observed::{Door, Hash, Observed, Revision};
use crate::quantity::{Pods, Share};
use crate::traffic::{Side, Split};
use crate::waiting::Waiting;

pub use experiment::Quiet;
pub use leave::{Idle, Left};
pub use lender::Relieved;
pub use restart::{Missable, Remaining};

/// Evidence that every revision can carry what `split` sends to it, on the way there too.
#[derive(Debug)]
pub struct Clear<'o> {
    split: Split,
    #[expect(dead_code, reason = "ties the proof to the observation it was found in")]
    seen: &'o Observed,
}

impl Clear<'_> {
    /// Whether it gives the canary less than it is sure to have now, or nothing.
    pub(crate) fn retreats(&self, seen: &Observed) -> bool {
        self.split.routes.is_empty()
            && (self.split.share.is_none() || self.split.share < seen.least_canary_share())
    }

    /// The pods that `hash` needs for what the split sends to it.
    pub(crate) fn pods_of(&self, seen: &Observed, hash: &Hash) -> Pods {
        seen.pods_for(&self.split, hash)
    }

    /// The split that was found clear.
    pub fn into_split(self) -> Split {
        self.split
    }
}

/// Evidence that `hash` can do with `to` pods.
#[derive(Debug)]
pub struct Spare<'o> {
    revision: &'o Revision,
    to: Pods,
}

impl Spare<'_> {
    /// The revision that can spare pods, and how many it keeps.
    pub fn parts(&self) -> (&Revision, Pods) {
        (self.revision, self.to)
    }
}

/// Evidence that a Service may be turned to `hash`.
#[derive(Debug)]
pub struct Open<'o> {
    side: Side,
    hash: &'o Hash,
}

impl Open<'_> {
    /// The side and the revision that it may be turned to.
    pub fn parts(&self) -> (Side, &Hash) {
        (self.side, self.hash)
    }
}

impl Observed {
    /// Whether every revision can carry its part of `split`.
    ///
    /// Selectors and subsets move before weights, so on the way there `split`'s revisions may be
    /// behind the shares that are live now: they must be able to carry those as well.
    ///
    /// The stable side needs all the pods of its share when traffic comes to it by plan. When the
    /// canary is being left, it may lack as many as the user lets be unavailable: one flapping
    /// pod must not keep traffic on a revision that was found bad. For the same reason nobody who
    /// gets no more than is sure to come already needs pods for it.
    pub fn clear(&self, split: Split) -> Result<Clear<'_>, Waiting> {
        let retreat = split.share.is_none() || split.share <= self.least_canary_share();
        for side in Side::BOTH {
            let hash = split.hash_of(side);
            let mut needs = self.carriers(side, &split, retreat);
            let has = self.available(hash);
            if (side == Side::Canary || retreat) && self.keeps(hash, &split) {
                needs = Pods::ZERO;
            }
            for live in self.traffic.possible().unwrap_or_default() {
                let moves = matches!(self.door(side), Door::None) && live.hash_of(side) != hash;
                if moves {
                    self.drained_for(hash, has)?;
                    needs = needs.max(live.share_of(side).of(self.rollout.replicas));
                }
            }
            if has < needs {
                return Err(Waiting::Capacity { side, hash: hash.clone(), needs, has });
            }
        }
        self.carry_additional(&split)?;
        Ok(Clear { split, seen: self })
    }

    /// Whether `hash` with `has` pods may take over a destination: with all pods at once, with
    /// fewer only when no requests follow an older routing any more.
    fn drained_for(&self, hash: &Hash, has: Pods) -> Result<(), Waiting> {
        let Some(routing) = self.rollout.routing() else { return Ok(()) };
        let until = self.traffic.drained_at(routing.drain);
        if has < self.rollout.replicas && self.now < until {
            return Err(Waiting::Draining { hash: hash.clone(), until });
        }
        Ok(())
    }

    /// Whether the revision `hash` gets no more by `split` than it is sure to have now.
    fn keeps(&self, hash: &Hash, split: &Split) -> bool {
        let possible = self.traffic.possible().unwrap_or_default();
        let canary = |split: &Split| self.is_behind(Side::Canary, hash, &split.canary);
        let routed = |live: &Split| {
            let known = |route| canary(live) && live.routes.contains(route);
            !canary(split) || split.routes.iter().all(known)
        };
        let kept = |live: &Split| {
            self.share_for(live, hash) >= self.share_for(split, hash) && routed(live)
        };
        !possible.is_empty() && possible.iter().all(kept)
    }

    /// The available pods that a canary needs for `share`. The user may let fewer than all be
    /// enough, but never none.
    pub(crate) fn canary_needs(&self, share: Share) -> Pods {
        self.rollout.enough().of(share.of(self.rollout.replicas))
    }

    /// The available pods that `side` needs before `split` may be asked for.
    fn carriers(&self, side: Side, split: &Split, retreat: bool) -> Pods {
        let share = split.share_of(side);
        let fleet = self.rollout.replicas;
        if side == Side::Canary {
            let least = if split.routes.is_empty() { Pods::ZERO } else { Pods(1).min(fleet) };
            return self.canary_needs(share).max(least);
        }
        // Where the stable revision has only the pods of its share, it is short of some by plan.
        if retreat && !share.is_none() && !self.rollout.dynamic_stable() {
            let least = share.of(fleet.minus(self.rollout.max_unavailable));
            return least.max(Pods(1).min(fleet));
        }
        share.of(fleet)
    }

    /// The least that the canary may be receiving now.
    fn least_canary_share(&self) -> Share {
        let possible = self.traffic.possible().unwrap_or_default();
        possible.iter().map(|split| split.share).min().unwrap_or(Share::NONE)
    }

    /// Whether `revision` can do with `to` pods: enough for the most that it may be receiving,
    /// and nothing of an older routing may still arrive.
    ///
    /// `None` when it has no more than that already.
    pub fn spare<'o>(
        &'o self,
        revision: &'o Revision,
        to: Pods,
    ) -> Result<Option<Spare<'o>>, Waiting> {
        self.spared(revision, to, false)
    }

    /// As [`Self::spare`], for a revision that is neither stable nor wanted any more.
    ///
    /// # Errors
    /// What is missing.
    pub fn spare_replaced<'o>(
        &'o self,
        revision: &'o Revision,
        to: Pods,
    ) -> Result<Option<Spare<'o>>, Waiting> {
        self.spared(revision, to, true)
    }

    fn spared<'o>(
        &'o self,
        revision: &'o Revision,
        to: Pods,
        replaced: bool,
    ) -> Result<Option<Spare<'o>>, Waiting> {
        if to >= revision.wanted {
            return Ok(None);
        }
        self.unnamed(revision, replaced)?;
        self.unlost(revision, to)?;
        if self.rollout.blue_green().is_some() {
            self.unselected(revision, to)?;
        }
        if let Some(routing) = self.rollout.routing() {
            if to < self.most_pods(&revision.hash) {
                let hash = revision.hash.clone();
                let share = self.worst(&hash);
                return Err(if share.is_none() {
                    Waiting::RoutesOn { hash }
                } else {
                    Waiting::TrafficOn { hash, share }
                });
            }
            let until = self.traffic.drained_at(routing.drain);
            if self.now < until {
                return Err(Waiting::Draining { hash: revision.hash.clone(), until });
            }
        }
        Ok(Some(Spare { revision, to }))
    }

    /// Whether the Service of `side` may be turned to `hash`: enough pods for the most that may
    /// reach it then, at least one, and all of them when the Service is taken over.
    pub fn open<'o>(&self, side: Side, hash: &'o Hash) -> Result<Option<Open<'o>>, Waiting> {
        let Door::Service { selects, adopted, name } = self.door(side) else { return Ok(None) };
        if *adopted && selects.as_ref() == Some(hash) {
            return Ok(None);
        }
        if self.rollout.blue_green().is_some() {
            return self.open_at_once(side, hash).map(Some);
        }
        let revision = self.revision(hash);
        let has = revision.map_or(Pods::ZERO, |revision| revision.available);
        let routed = match self.rollout.routing() {
            Some(_) => {
                let all = self.once_turned(side, hash).of(self.rollout.replicas);
                self.rollout.enough().of(all)
            }
            None => Pods::ZERO,
        };
        let taken_over = match (adopted, revision) {
            (false, Some(revision)) if side == Side::Stable => revision.wanted,
            _ => Pods::ZERO,
        };
        let needs = Pods(1).max(taken_over).max(if selects.is_some() { routed } else { Pods(1) });
        if has < needs {
            return Err(Waiting::Service {
                side,
                service: name.clone(),
                hash: hash.clone(),
                needs,
                has,
            });
        }
        if selects.is_some() {
            self.drained_for(hash, has)?;
        }
        Ok(Some(Open { side, hash }))
    }

    /// The most that `hash` may be receiving once the Service of `side` selects it: its own part
    /// and that of the side. Nothing, where nothing comes through that Service.
    fn once_turned(&self, side: Side, hash: &Hash) -> Share {
        let Some(possible) = self.traffic.possible() else { return Share::ALL };
        let other = match side {
            Side::Stable => Side::Canary,
            Side::Canary => Side::Stable,
        };
        let after = |split: &Split| match split.share_of(side) {
            share if share.is_none() => share,
            _ if self.is_behind(other, hash, split.hash_of(other)) => Share::ALL,
            share => share,
        };
        possible.iter().map(after).max().unwrap_or(Share::ALL)
    }
}
