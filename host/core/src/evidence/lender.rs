//! Evidence for taking pods from a Deployment: the rollout's carry what they carried.

use crate::lender::Lender;
use crate::observed::Observed;
use crate::phase::Phase;
use crate::quantity::Pods;
use crate::waiting::Waiting;

/// Evidence that the Deployment can do with `to` pods.
#[derive(Debug)]
pub struct Relieved<'o> {
    lender: &'o Lender,
    to: Pods,
}

impl Relieved<'_> {
    /// The Deployment, and what it keeps.
    pub fn parts(&self) -> (&Lender, Pods) {
        (self.lender, self.to)
    }
}

impl Observed {
    /// Whether `lender` can do with `to` pods: those and the available ones of the rollout are as
    /// many as there were, or the rollout has all that it is to have.
    ///
    /// # Errors
    /// What is missing.
    pub(crate) fn relieved<'o>(
        &'o self,
        lender: &'o Lender,
        to: Pods,
    ) -> Result<Relieved<'o>, Waiting> {
        let has = self.in_place_of_lender();
        let fleet = self.rollout.replicas;
        let before = lender.before.unwrap_or(lender.wanted).max(fleet);
        if to.plus(has) >= before || (has >= fleet && fleet > Pods::ZERO) {
            return Ok(Relieved { lender, to });
        }
        let (hash, needs) = (self.wanted.clone(), fleet);
        Err(Waiting::Pods { hash, needs, has })
    }

    /// The pods of the rollout that are available and will stay.
    pub(crate) fn in_place_of_lender(&self) -> Pods {
        let stable = self.stable_revision();
        let new = self.new_revision().filter(|new| Some(*new) != stable);
        let used = stable.into_iter().chain(new);
        used.map(|revision| revision.available.min(revision.wanted)).sum()
    }

    /// Whether the wanted revision is stable, and has all of its pods.
    pub(crate) fn is_whole(&self, phase: &Phase) -> bool {
        let fleet = self.rollout.replicas;
        *phase == Phase::Settled
            && fleet > Pods::ZERO
            && self.new_revision().is_some_and(|new| new.available.min(new.wanted) >= fleet)
    }
}
