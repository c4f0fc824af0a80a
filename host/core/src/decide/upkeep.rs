//! What is written onto revisions beside their size and number: notes of the rollout, metadata of
//! their role, and whose nodes their pods keep away from. None of it restarts a pod.

use super::Draft;
use crate::observed::{Hash, Revision};
use crate::phase::Phase;
use crate::plan::Order;
use crate::traffic::Side;

pub(super) fn upkeep(draft: &mut Draft<'_>) {
    let seen = draft.seen;
    if let Some(new) = seen.new_revision() {
        if !new.current_notes {
            draft.plan.add(Order::Refresh { hash: new.hash.clone() });
        }
        let avoids = draft.avoided();
        if new.avoids != avoids {
            draft.plan.add(Order::Avoid { hash: new.hash.clone(), other: avoids });
        }
        let side = draft.side_of_new();
        mark(draft, new, side);
    }
    let stable = draft.memory.stable.as_ref().filter(|stable| **stable != seen.wanted);
    if let Some(stable) = stable.and_then(|stable| seen.revision(stable)) {
        mark(draft, stable, Side::Stable);
    }
}

/// First the template, for pods to come, and once that is seen the pods that are there: so no pod
/// is made in between that gets neither.
fn mark(draft: &mut Draft<'_>, revision: &Revision, side: Side) {
    let hash = revision.hash.clone();
    if !revision.marks.of(side) {
        draft.plan.add(Order::Mark { hash, side });
    } else if revision.marks.pods_lag {
        draft.plan.add(Order::MarkPods { hash, side });
    }
}

impl Draft<'_> {
    /// The role of the wanted revision.
    pub(super) fn side_of_new(&self) -> Side {
        match &self.memory.phase {
            Phase::Settled => Side::Stable,
            Phase::Stepping { .. }
            | Phase::Previewing { .. }
            | Phase::Promoting { .. }
            | Phase::Aborted { .. } => Side::Canary,
        }
    }

    /// The revision whose nodes the pods of the wanted one keep away from.
    pub(super) fn avoided(&self) -> Option<Hash> {
        let stable = self.memory.stable.as_ref().filter(|stable| **stable != self.seen.wanted);
        stable.filter(|_| self.seen.rollout.keeps_apart).cloned()
    }
}
