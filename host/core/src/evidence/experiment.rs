//! Evidence about the pods of experiments, which have turns of their own: they get requests while
//! they are there, and are told to go once they get none.

use crate::observed::{Extra, Observed};
use crate::quantity::Pods;
use crate::traffic::{Additional, Split};
use crate::waiting::Waiting;

/// Evidence that nothing goes to the pods of an experiment.
#[derive(Debug)]
pub struct Quiet<'o> {
    name: &'o str,
}

impl Quiet<'_> {
    /// The experiment's name.
    pub fn name(&self) -> &str {
        self.name
    }
}

impl Observed {
    /// Whether the pods of an experiment can carry what they are to get: as many are available as
    /// their share needs, or all that the user gives them, and at least one.
    pub(crate) fn carries_extra(&self, extra: &Extra) -> bool {
        let needs = extra.share.of(self.rollout.replicas).min(extra.wanted).max(Pods(1));
        extra.available >= needs
    }

    /// Whether the additional destinations of `split` can carry what they get by it, as far as
    /// they are not sure to get as much already.
    pub(super) fn carry_additional(&self, split: &Split) -> Result<(), Waiting> {
        let possible = self.traffic.possible().unwrap_or_default();
        for one in &split.additional {
            let keeps = |live: &Split| live.share_of_additional(&one.service) >= one.share;
            let kept = !possible.is_empty() && possible.iter().all(keeps);
            let is_there = |extra: &&Extra| extra.service == one.service && extra.hash == one.hash;
            let found = self.extras.iter().find(is_there);
            if !kept && !found.is_some_and(|extra| self.carries_extra(extra)) {
                let name = found.map(|extra| extra.experiment.clone()).unwrap_or_default();
                return Err(Waiting::Experiment(name));
            }
        }
        Ok(())
    }

    /// Whether nothing goes to the pods of the experiment `name`, and nothing of an older routing
    /// may still arrive there.
    ///
    /// # Errors
    /// What may still come.
    pub fn quiet<'o>(&'o self, name: &'o str) -> Result<Quiet<'o>, Waiting> {
        let mut extras = self.extras.iter().filter(|extra| extra.experiment == name).peekable();
        let (Some(routing), Some(first)) = (self.rollout.routing(), extras.peek().copied()) else {
            return Ok(Quiet { name });
        };
        let traffic_on = || Waiting::ExperimentTraffic(name.to_owned());
        let possible = self.traffic.possible().ok_or_else(traffic_on)?;
        let is_live = |extra: &Extra| {
            let on = |one: &Additional| one.service == extra.service && !one.share.is_none();
            possible.iter().any(|split| split.additional.iter().any(on))
        };
        if extras.any(is_live) {
            return Err(traffic_on());
        }
        let until = self.traffic.drained_at(routing.drain);
        if self.now < until {
            return Err(Waiting::Draining { hash: first.hash.clone(), until });
        }
        Ok(Quiet { name })
    }
}
