//! What the status of a blue-green rollout remembers beside what every status does.

use sluice_core::observed::Hash;
use sluice_core::phase::{Phase, RunRef};

use super::{hold, run_ref};
use crate::field::Field;

/// The phase of an update that is neither settled, aborted nor promoted in full.
///
/// Once the preview is over it stays so, also when the Service could not be turned yet. Argo has
/// two words for that: it has passed the checkpoint, or the active Service is there.
pub(super) fn phase(status: &Field<'_>, wanted: &Hash) -> Phase {
    let of = status.get("blueGreen");
    let over = of.get("scaleUpPreviewCheckPoint").bool()
        || of.get("activeSelector").name() == Some(wanted.0.as_str());
    let hold = hold(status);
    if over { Phase::Promoting { full: false, hold } } else { Phase::Previewing { hold } }
}

/// The runs before and after the promotion. Whoever retries wants them measured again, and a
/// client says so by taking back the abort and nothing else.
pub(super) fn runs(status: &Field<'_>) -> (Option<RunRef>, Option<RunRef>) {
    let retried = !status.get("abort").bool() && status.get("abortedAt").is_set();
    let of = status.get("blueGreen");
    let run = |name: &str| run_ref(&of.get(name)).filter(|_| !retried);
    (run("prePromotionAnalysisRunStatus"), run("postPromotionAnalysisRunStatus"))
}
