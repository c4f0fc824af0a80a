//! The Deployment that lends its template: its pods go as the rollout's come, and come back when
//! the user wants them back.

use super::Draft;
use crate::lender::ScaleDown;
use crate::plan::Order;
use crate::quantity::Pods;

pub(super) fn lender(draft: &mut Draft<'_>) {
    let seen = draft.seen;
    let Some(lender) = &seen.lender else { return };
    let Some(before) = lender.before else {
        // What a rollout replaces is noted with its first revision: a Deployment that somebody
        // scales up beside a rollout which has run for long is no business of this one.
        let begins = lender.scale_down != ScaleDown::Never && draft.next_number() == 1;
        if begins && lender.wanted > Pods::ZERO {
            draft.plan.add(Order::TakeOver { before: lender.wanted });
        }
        return;
    };
    let whole = seen.is_whole(&draft.memory.phase);
    let to = match lender.scale_down {
        ScaleDown::Never => {
            let to = before.max(lender.wanted);
            return draft.plan.add(Order::GiveBack { to });
        }
        ScaleDown::OnSuccess | ScaleDown::Progressively if whole => Pods::ZERO,
        ScaleDown::OnSuccess => return,
        // What is gone for good does not come back because a pod flaps.
        ScaleDown::Progressively if lender.wanted == Pods::ZERO => return,
        ScaleDown::Progressively => {
            let fleet = seen.rollout.replicas.max(before);
            fleet.minus(seen.in_place_of_lender()).min(before)
        }
    };
    if to > lender.wanted {
        draft.plan.add(Order::ScaleLender { from: lender.wanted, to });
    } else if to < lender.wanted {
        match seen.relieved(lender, to) {
            Ok(relieved) => draft.plan.relieve(relieved),
            Err(waiting) => draft.wait(waiting),
        }
    }
}
