//! The client's view of a rollout's phase.

use serde::Serialize;
use serde_json::Value;
use sluice_api::keys;

use crate::lens::Lens;

/// A phase and the sentence that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Phase {
    /// `Healthy`, `Degraded`, `Progressing`, `Paused`, or a word that a newer controller wrote.
    pub phase: String,
    /// Why; empty when there is nothing to say.
    pub message: String,
}

impl Phase {
    fn progressing(message: &str) -> Self {
        Self { phase: "Progressing".to_owned(), message: message.to_owned() }
    }

    /// Whether the rollout has come to rest, well or badly.
    pub fn is_final(&self) -> bool {
        self.phase == "Healthy" || self.is_degraded()
    }

    /// Whether the rollout has failed.
    pub fn is_degraded(&self) -> bool {
        self.phase == "Degraded"
    }

    /// One line: the phase, and the message behind a dash when there is one.
    pub fn line(&self) -> String {
        if self.message.is_empty() {
            self.phase.clone()
        } else {
            format!("{} - {}", self.phase, self.message)
        }
    }
}

/// The phase of a rollout as a client must report it.
///
/// The status is written by the controller a moment after the spec was written by somebody else.
/// In that moment the recorded phase still speaks of the former spec, so a client that trusted
/// it would see `Healthy` directly after an update.
pub fn phase(rollout: &Value) -> Phase {
    if !is_generation_observed(rollout) {
        return Phase::progressing("waiting for rollout spec update to be observed");
    }
    if rollout.flag(&["status", "controllerPause"])
        && rollout.items(&["status", "pauseConditions"]).is_empty()
    {
        return Phase::progressing("waiting for rollout to unpause");
    }
    if !is_workload_observed(rollout) {
        return Phase::progressing(
            "waiting for rollout spec update to be observed for the reference workload",
        );
    }
    match rollout.text(&["status", "phase"]) {
        Some(phase) => Phase {
            phase: phase.to_owned(),
            message: rollout.text(&["status", "message"]).unwrap_or_default().to_owned(),
        },
        None => Phase::progressing("waiting for a controller to report a status"),
    }
}

/// The observed generation is a text; one that is no number, or is ahead, counts as observed.
fn is_generation_observed(rollout: &Value) -> bool {
    let observed =
        rollout.text(&["status", "observedGeneration"]).and_then(|text| text.parse().ok());
    let current = rollout.int(&["metadata", "generation"]);
    match (observed, current) {
        (Some::<i64>(observed), Some(current)) => observed >= current,
        _ => true,
    }
}

/// A rollout that refers to a workload is behind until it has seen the workload's generation.
fn is_workload_observed(rollout: &Value) -> bool {
    if rollout.at(&["spec", "workloadRef"]).is_none() {
        return true;
    }
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
    let seen = number(rollout.text(&["status", "workloadObservedGeneration"]));
    let current = number(rollout.annotation(keys::WORKLOAD_GENERATION));
    match (seen, current) {
        (Some(seen), Some(current)) => seen == current,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::phase;

    fn line(rollout: &Value) -> String {
        phase(rollout).line()
    }

    #[test]
    fn a_recorded_phase_is_reported_once_the_spec_was_observed() {
        let rollout = json!({
            "metadata": {"generation": 2},
            "status": {"observedGeneration": "2", "phase": "Paused", "message": "CanaryPauseStep"},
        });
        assert_eq!(line(&rollout), "Paused - CanaryPauseStep");
    }

    #[test]
    fn a_status_older_than_the_spec_is_not_believed() {
        let rollout = json!({
            "metadata": {"generation": 3},
            "status": {"observedGeneration": "2", "phase": "Healthy"},
        });
        assert_eq!(line(&rollout), "Progressing - waiting for rollout spec update to be observed");
    }

    #[test]
    fn odd_observed_generations_count_as_observed() {
        for observed in ["7", "559dfbd9c9"] {
            let rollout = json!({
                "metadata": {"generation": 3},
                "status": {"observedGeneration": observed, "phase": "Healthy"},
            });
            assert_eq!(line(&rollout), "Healthy", "observed {observed}");
        }
    }

    #[test]
    fn a_cleared_pause_is_waiting_for_the_controller() {
        let rollout = json!({
            "status": {"phase": "Paused", "controllerPause": true, "pauseConditions": null},
        });
        assert_eq!(line(&rollout), "Progressing - waiting for rollout to unpause");
    }

    #[test]
    fn a_changed_workload_is_awaited() {
        let mut rollout = json!({
            "metadata": {"annotations": {"rollout.argoproj.io/workload-generation": "4"}},
            "spec": {"workloadRef": {"name": "web"}},
            "status": {"phase": "Healthy", "workloadObservedGeneration": "3"},
        });
        assert!(line(&rollout).ends_with("for the reference workload"));
        rollout["status"]["workloadObservedGeneration"] = json!("4");
        assert_eq!(line(&rollout), "Healthy");
    }

    #[test]
    fn a_rollout_that_nobody_looked_at_says_so() {
        assert!(line(&json!({"metadata": {"generation": 1}})).contains("waiting for a controller"));
    }
}
