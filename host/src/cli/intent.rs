//! What a person wants of a rollout, as patches.
//!
//! The API's commands are fields: a client sets or clears them, and the controller sees that
//! somebody did. These patches are therefore part of the API, and the functions here are
//! its whole client side. They are JSON merge patches; null removes a field.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// Changes that carry out one wish. Either half may be absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Intent {
    /// Fields of the status, sent to the status subresource.
    pub status: Option<Value>,
    /// Fields of the spec, sent to the object itself.
    pub spec: Option<Value>,
}

impl Intent {
    /// Whether there is anything to send.
    pub fn is_empty(&self) -> bool {
        self.status.is_none() && self.spec.is_none()
    }

    /// The patch for the status subresource.
    pub fn status_patch(&self) -> Option<Value> {
        self.status.as_ref().map(|status| json!({"status": status}))
    }

    /// The patch for the object without its status.
    pub fn spec_patch(&self) -> Option<Value> {
        self.spec.as_ref().map(|spec| json!({"spec": spec}))
    }

    /// Both halves in one, for a cluster whose definition has no status subresource.
    pub fn whole_patch(&self) -> Value {
        let halves = [("spec", &self.spec), ("status", &self.status)];
        let present = halves
            .into_iter()
            .filter_map(|(key, half)| half.clone().map(|half| (key.to_owned(), half)));
        Value::Object(present.collect::<Map<_, _>>())
    }

    fn of_status(status: Value) -> Self {
        Self { status: Some(status), spec: None }
    }
}

/// Go on from where the rollout stands.
///
/// A pause of the user's is lifted. A pause of the controller's is cleared, which the controller
/// takes for its end. A canary that does not pause jumps over its present step, because the
/// client counts the index up; that is what the API promises, and it also skips an analysis.
pub fn promote(rollout: &Value) -> Intent {
    let status = &rollout["status"];
    let is_paused_by_condition =
        status["pauseConditions"].as_array().is_some_and(|conditions| !conditions.is_empty());
    let is_paused_by_controller = status["controllerPause"].as_bool().unwrap_or(false);
    let is_inconclusive =
        status["canary"]["currentStepAnalysisRunStatus"]["status"] == "Inconclusive";
    let patch = if is_inconclusive && is_paused_by_condition && is_paused_by_controller {
        // The run of this step has given its answer; were the index kept, a new one would start.
        Some(json!({
            "pauseConditions": null,
            "controllerPause": false,
            "currentStepIndex": next_index(rollout),
        }))
    } else if is_paused_by_condition {
        Some(json!({"pauseConditions": null}))
    } else {
        next_index(rollout).map(|index| json!({"pauseConditions": null, "currentStepIndex": index}))
    };
    Intent { status: patch, spec: unpause(rollout) }
}

/// Go to the end at once, past all steps, pauses and analyses.
pub fn promote_fully(rollout: &Value) -> Intent {
    let status = &rollout["status"];
    let is_under_way = status["currentPodHash"] != status["stableRS"];
    Intent { status: is_under_way.then(|| json!({"promoteFull": true})), spec: unpause(rollout) }
}

/// Take the traffic back.
pub fn abort() -> Intent {
    Intent::of_status(json!({"abort": true}))
}

/// Try an aborted rollout again.
pub fn retry() -> Intent {
    Intent::of_status(json!({"abort": false}))
}

/// Hold the rollout until it is promoted.
pub fn pause() -> Intent {
    Intent { status: None, spec: Some(json!({"paused": true})) }
}

/// Replace every pod that was created before `at`. The API has whole seconds.
pub fn restart(at: Timestamp) -> Intent {
    let at = at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    Intent { status: None, spec: Some(json!({"restartAt": at})) }
}

fn unpause(rollout: &Value) -> Option<Value> {
    let is_paused = rollout["spec"]["paused"].as_bool().unwrap_or(false);
    is_paused.then(|| json!({"paused": false}))
}

/// The index after the present one, at most one past the last step; none without steps.
fn next_index(rollout: &Value) -> Option<u64> {
    let steps = rollout["spec"]["strategy"]["canary"]["steps"].as_array()?;
    let end = u64::try_from(steps.len()).ok().filter(|end| *end > 0)?;
    let index = rollout["status"]["currentStepIndex"].as_u64().unwrap_or(0);
    Some(index.saturating_add(1).min(end))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Intent, abort, pause, promote, promote_fully, restart, retry};

    fn canary(status: Value) -> Value {
        let steps = json!([{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}]);
        json!({"spec": {"strategy": {"canary": {"steps": steps}}}, "status": status})
    }

    #[test]
    fn a_paused_canary_has_its_pause_cleared_and_keeps_its_step() {
        let seen = promote(&canary(json!({
            "currentStepIndex": 1,
            "controllerPause": true,
            "pauseConditions": [{"reason": "CanaryPauseStep"}],
        })));
        assert_eq!(seen.status_patch(), Some(json!({"status": {"pauseConditions": null}})));
        assert_eq!(seen.spec_patch(), None);
    }

    #[test]
    fn an_inconclusive_analysis_is_stepped_over() {
        let seen = promote(&canary(json!({
            "currentStepIndex": 1,
            "controllerPause": true,
            "pauseConditions": [{"reason": "InconclusiveAnalysisRun"}],
            "canary": {"currentStepAnalysisRunStatus": {"status": "Inconclusive"}},
        })));
        let expected =
            json!({"pauseConditions": null, "controllerPause": false, "currentStepIndex": 2});
        assert_eq!(seen.status, Some(expected));
    }

    #[test]
    fn a_canary_that_does_not_pause_jumps_a_step() {
        let seen = promote(&canary(json!({"currentStepIndex": 0})));
        assert_eq!(seen.status, Some(json!({"pauseConditions": null, "currentStepIndex": 1})));
    }

    #[test]
    fn the_index_never_passes_the_end() {
        let seen = promote(&canary(json!({"currentStepIndex": 3, "pauseConditions": []})));
        assert_eq!(seen.status, Some(json!({"pauseConditions": null, "currentStepIndex": 3})));
    }

    #[test]
    fn a_pause_of_the_user_is_lifted_beside_the_status() {
        let mut rollout = canary(json!({"pauseConditions": [{"reason": "CanaryPauseStep"}]}));
        rollout["spec"]["paused"] = json!(true);
        let seen = promote(&rollout);
        assert_eq!(seen.spec_patch(), Some(json!({"spec": {"paused": false}})));
        assert_eq!(
            seen.whole_patch(),
            json!({"spec": {"paused": false}, "status": {"pauseConditions": null}})
        );
    }

    #[test]
    fn a_blue_green_pause_is_cleared_and_nothing_else_is_there_to_promote() {
        let mut rollout = json!({
            "spec": {"strategy": {"blueGreen": {}}},
            "status": {"pauseConditions": [{"reason": "BlueGreenPause"}]},
        });
        assert_eq!(promote(&rollout).status, Some(json!({"pauseConditions": null})));
        rollout["status"] = json!({});
        assert!(promote(&rollout).is_empty());
    }

    #[test]
    fn a_canary_without_steps_has_no_index_to_count() {
        let rollout = json!({"spec": {"strategy": {"canary": {"steps": []}}}});
        assert_eq!(promote(&rollout), Intent::default());
    }

    #[test]
    fn a_full_promotion_needs_an_update_under_way() {
        let under_way = canary(json!({"currentPodHash": "b", "stableRS": "a"}));
        assert_eq!(promote_fully(&under_way).status, Some(json!({"promoteFull": true})));
        let mut settled = canary(json!({"currentPodHash": "a", "stableRS": "a"}));
        assert!(promote_fully(&settled).is_empty());
        settled["spec"]["paused"] = json!(true);
        assert_eq!(promote_fully(&settled).whole_patch(), json!({"spec": {"paused": false}}));
    }

    #[test]
    fn the_simple_wishes_are_one_field_each() {
        assert_eq!(abort().whole_patch(), json!({"status": {"abort": true}}));
        assert_eq!(retry().whole_patch(), json!({"status": {"abort": false}}));
        assert_eq!(pause().whole_patch(), json!({"spec": {"paused": true}}));
        let at = "2026-03-01T13:00:00.5+01:00".parse().expect("a timestamp");
        let expected = json!({"spec": {"restartAt": "2026-03-01T12:00:00Z"}});
        assert_eq!(restart(at).whole_patch(), expected);
    }
}
