//! Evidence that pods or a Service of an experiment are missed by nobody.

use super::{Door, Observed, Set, Waiting};
use crate::quantity::Pods;

/// Evidence that a version can do with fewer pods.
#[derive(Debug)]
pub struct Spare<'o> {
    index: usize,
    set: &'o Set,
    to: Pods,
}

impl Spare<'_> {
    /// Which version, how many pods it is to have now, and how many it needs.
    pub fn parts(&self) -> (usize, Pods, Pods) {
        (self.index, self.set.wanted, self.to)
    }
}

/// Evidence that nothing comes through the Service of a version, and nothing will.
#[derive(Debug)]
pub struct Closed<'o> {
    index: usize,
    service: &'o str,
}

impl Closed<'_> {
    /// Which version, and the Service's name.
    pub fn parts(&self) -> (usize, &str) {
        (self.index, self.service)
    }
}

impl Observed {
    /// Whether the user asks for fewer pods than a version is to have.
    pub(super) fn surplus(&self, index: usize) -> Option<Spare<'_>> {
        let template = self.templates.get(index)?;
        let set = template.set.as_ref()?;
        (set.wanted > template.replicas).then_some(Spare { index, set, to: template.replicas })
    }

    /// Whether a version needs no pods any more: the end of the experiment is recorded, its delay
    /// has passed, no routing may lead to them, and none of an older one may still arrive.
    ///
    /// # Errors
    /// What they are still there for.
    pub(super) fn retired(&self, index: usize) -> Result<Spare<'_>, Waiting> {
        let Some(template) = self.templates.get(index).filter(|_| self.status.is_over()) else {
            return Err(Waiting::Itself);
        };
        let Some(set) = &template.set else { return Err(Waiting::Itself) };
        let until = match set.deadline {
            Some(at) => at,
            None if self.scale_down_delay.is_zero() => self.now,
            None => self.now.after(self.scale_down_delay),
        };
        let kept = |until| Waiting::ScaleDown { template: template.name.clone(), until };
        if self.now < until {
            return Err(kept(until));
        }
        if let Some(service) = &template.service {
            // As long as a routing may lead there, no time can be told.
            if template.routed {
                return Err(Waiting::Traffic { service: service.clone() });
            }
            if self.now < self.drained {
                return Err(kept(self.drained));
            }
        }
        Ok(Spare { index, set, to: Pods::ZERO })
    }

    /// Whether the Service of a version can go; `None` if it has none. It goes last, so that what
    /// still looks for it finds it.
    ///
    /// # Errors
    /// What it is still there for.
    pub(super) fn closed(&self, index: usize) -> Result<Option<Closed<'_>>, Waiting> {
        let Some(template) = self.templates.get(index) else { return Ok(None) };
        let name = template.name.clone();
        if let Some(set) = &template.set
            && set.wanted.plus(set.current) > Pods::ZERO
        {
            return Err(Waiting::Pods { template: name });
        }
        let Some(service) = template.service.as_deref().filter(|_| template.door == Door::Ours)
        else {
            return Ok(None);
        };
        if !self.status.is_over() {
            return Err(Waiting::Itself);
        }
        if template.routed {
            return Err(Waiting::Traffic { service: service.to_owned() });
        }
        Ok(Some(Closed { index, service }))
    }
}
