//! The phase and its message, in Argo's words, from a whole status.

use serde_json::Value;

use crate::field::Field;

/// `Healthy`, `Progressing`, `Paused` or `Degraded`, and why.
pub fn phase(
    rollout: &Value,
    status: &Value,
    replicas: u32,
    routed: bool,
    restarting: bool,
) -> (String, String) {
    let spec = Field::root(rollout).get("spec");
    let status = Field::root(status);
    let conditions = status.get("conditions").items();
    let text = |field: &Field<'_>, name: &str| field.get(name).str().unwrap_or_default().to_owned();
    let answer = |phase: &str, message: &str| (phase.to_owned(), message.to_owned());

    let invalid = conditions.iter().find(|c| c.get("type").str() == Some("InvalidSpec"));
    if let Some(invalid) = invalid {
        return ("Degraded".into(), format!("InvalidSpec: {}", text(invalid, "message")));
    }
    for reason in ["RolloutAborted", "ProgressDeadlineExceeded"] {
        let found = conditions.iter().find(|c| c.get("reason").str() == Some(reason));
        if let Some(found) = found {
            return ("Degraded".into(), format!("{reason}: {}", text(found, "message")));
        }
    }
    if spec.get("paused").bool() {
        return answer("Paused", "manually paused");
    }
    if let Some(pause) = status.get("pauseConditions").items().first() {
        return ("Paused".into(), text(pause, "reason"));
    }
    if restarting {
        return answer("Progressing", "rollout is restarting");
    }
    let count = |name: &str| status.get(name).u32().unwrap_or(0);
    let (updated, available) = (count("updatedReplicas"), count("availableReplicas"));
    if updated < replicas {
        // With a router, an update has as many pods as its weight needs, and that is progress of
        // the steps and no lack of pods; Argo says the same for both, and so do we.
        return answer("Progressing", "more replicas need to be updated");
    }
    if available < updated {
        return answer("Progressing", "updated replicas are still becoming available");
    }
    let blue_green = spec.at("strategy.blueGreen");
    if blue_green.is_set() {
        return switched(&status, &blue_green);
    }
    if !routed && count("replicas") > updated {
        return answer("Progressing", "old replicas are pending termination");
    }
    if status.get("stableRS").str() != status.get("currentPodHash").str() {
        return answer("Progressing", "waiting for all steps to complete");
    }
    answer("Healthy", "")
}

/// What is left to do once the pods of a blue-green rollout are there.
fn switched(status: &Field<'_>, blue_green: &Field<'_>) -> (String, String) {
    let current = status.get("currentPodHash").name();
    let of = status.get("blueGreen");
    let progressing = |message: &str| ("Progressing".to_owned(), message.to_owned());
    if current.is_none() || of.get("activeSelector").name() != current {
        return progressing("active service cutover pending");
    }
    if status.get("stableRS").name() == current {
        return ("Healthy".to_owned(), String::new());
    }
    let run = of.at("postPromotionAnalysisRunStatus.status").str();
    if blue_green.get("postPromotionAnalysis").is_set() && run != Some("Successful") {
        return progressing("waiting for analysis to complete");
    }
    progressing("waiting for post-promotion verification to complete")
}

/// How far the release of a Rollout is, in hundredths, by what is recorded of it: 0 while there is
/// none or none has begun, and never 100, at which it is over. One that is given up is as far as
/// can be: users wait for the stable revision.
pub fn hundredths(rollout: &Value) -> u8 {
    let root = Field::root(rollout);
    let status = root.get("status");
    let (stable, wanted) = (status.get("stableRS").name(), status.get("currentPodHash").name());
    if wanted.is_none() || stable == wanted {
        return 0;
    }
    if status.get("abort").bool() {
        return 99;
    }
    let steps = root.at("spec.strategy.canary.steps").items().len();
    let index = status.get("currentStepIndex").u32().unwrap_or(0) as usize;
    let share = 99 * (index.min(steps) + 1) / (steps + 1);
    u8::try_from(share).unwrap_or(99)
}
