//! Evidence for leaving a router: nothing depends on it any more, or it can be told nothing.

use crate::observed::{Former, Observed, Revision};
use crate::quantity::Pods;
use crate::rollout::Tenure;
use crate::traffic::Side;
use crate::waiting::Waiting;

/// So many failures in a row are no accident: the router cannot be told what to do any more.
const LOST_AFTER: u32 = 10;

/// Evidence that the routers in charge may be left.
#[derive(Debug)]
pub struct Left<'o> {
    lost: Option<&'o str>,
}

impl Left<'_> {
    /// Why they could not be told to send nothing to the canary, if they could not.
    pub fn lost(&self) -> Option<&str> {
        self.lost
    }
}

/// Evidence that a former router may take back what is its: all that it sends goes to the stable
/// side already, or that side can carry it.
#[derive(Debug)]
pub struct Idle<'o> {
    index: usize,
    former: &'o Former,
}

impl Idle<'_> {
    /// Which of the former routers it is, and the router.
    pub fn parts(&self) -> (usize, &Former) {
        (self.index, self.former)
    }
}

impl Former {
    /// What is waited for until it lets go.
    pub(crate) fn waiting(&self) -> Waiting {
        let said = self.trouble.as_ref().or(self.lost.as_ref());
        Waiting::Former { router: self.router.clone(), why: said.cloned().unwrap_or_default() }
    }
}

impl Observed {
    /// Whether the routing in force may be left; `None` while the user names it.
    ///
    /// It may once its routers have confirmed that nothing goes to the canary, and no request
    /// follows an older routing any more; or when they fail again and again, which must not hold
    /// a release for good. Until those have taken their routes back, all traffic is in doubt.
    ///
    /// # Errors
    /// What is missing.
    pub fn left(&self) -> Result<Option<Left<'_>>, Waiting> {
        let Some(routing) = self.rollout.routing() else { return Ok(None) };
        match routing.tenure {
            Tenure::Stays => return Ok(None),
            // Nobody is there who could be short of pods.
            Tenure::LeavesFirst if self.stable_revision().is_none() => {
                return Ok(Some(Left { lost: None }));
            }
            Tenure::Leaves | Tenure::LeavesFirst => {}
        }
        if self.traffic.failures() >= LOST_AFTER {
            let lost = self.traffic.last_trouble().map(|trouble| trouble.why.as_str());
            return Ok(Some(Left { lost: Some(lost.unwrap_or_default()) }));
        }
        let Some(split) = self.traffic.confirmed() else { return Err(Waiting::Leaving) };
        if !split.share.is_none() || !split.routes.is_empty() || !split.additional.is_empty() {
            return Err(Waiting::Leaving);
        }
        let until = self.traffic.drained_at(routing.drain);
        if self.now < until {
            return Err(Waiting::Draining { hash: split.canary.clone(), until });
        }
        Ok(Some(Left { lost: None }))
    }

    /// Whether a former router may take back what is its. One that was lost sends everything to
    /// the stable side only by that, so there must be pods for it.
    ///
    /// # Errors
    /// What is missing.
    pub fn idle<'o>(&'o self, index: usize, former: &'o Former) -> Result<Idle<'o>, Waiting> {
        if let Some(until) = former.over.filter(|over| self.now < *over) {
            let hash = self.memory.stable.clone().unwrap_or_default();
            return Err(Waiting::Draining { hash, until });
        }
        match self.stable_lacks() {
            Some(waiting) if former.lost.is_some() => Err(waiting),
            Some(_) | None => Ok(Idle { index, former }),
        }
    }

    /// Whether no former router may lead to `revision` with more than its part of the traffic: by
    /// its hash, or all of it through the stable Service, where the fleet is divided or the
    /// revision is `replaced` and the Service has yet to be turned.
    pub(super) fn unnamed(&self, revision: &Revision, replaced: bool) -> Result<(), Waiting> {
        let takes_all = (self.rollout.dynamic_stable() || replaced)
            && self.selected(Side::Stable) == Some(&revision.hash);
        self.gone(revision, |former| former.names_revisions || takes_all)
    }

    /// Whether no router that was lost may lead to those pods of `revision` that would go. What it
    /// sends through its Services is unknown until it lets go, whether another router is named
    /// meanwhile or none. Pods that are not available get nothing in any case.
    pub(super) fn unlost(&self, revision: &Revision, to: Pods) -> Result<(), Waiting> {
        let mut doors = Side::BOTH.into_iter().map(|side| self.selected(side));
        let behind = doors.any(|selected| selected == Some(&revision.hash));
        if to >= self.available(&revision.hash) || !behind || self.rollout.blue_green().is_some() {
            return Ok(());
        }
        self.gone(revision, |former| former.lost.is_some())
    }

    /// Whether those of the former routers that `lead` to `revision` have let go, and nothing of
    /// what they sent is under way.
    fn gone(&self, revision: &Revision, lead: impl Fn(&Former) -> bool) -> Result<(), Waiting> {
        let mut leading = self.formers.iter().filter(|former| lead(former));
        match leading.find(|former| former.over.is_none_or(|over| self.now < over)) {
            None => Ok(()),
            Some(Former { over: Some(until), .. }) => {
                Err(Waiting::Draining { hash: revision.hash.clone(), until: *until })
            }
            Some(former) => Err(former.waiting()),
        }
    }

    /// What the revision behind the stable destination lacks to carry everything, but for as many
    /// pods as the user lets be unavailable.
    pub(crate) fn stable_lacks(&self) -> Option<Waiting> {
        let stable = self.memory.stable.as_ref()?;
        let hash = self.selected(Side::Stable).unwrap_or(stable);
        let fleet = self.rollout.replicas;
        // A stable revision with only the pods of its share is short of some by plan.
        let dynamic = self.rollout.dynamic_stable();
        let missing = if dynamic { Pods::ZERO } else { self.rollout.max_unavailable };
        let needs = fleet.minus(missing).max(Pods(1).min(fleet));
        let has = self.available(hash);
        let (side, hash) = (Side::Stable, hash.clone());
        (has < needs).then_some(Waiting::Capacity { side, hash, needs, has })
    }
}
