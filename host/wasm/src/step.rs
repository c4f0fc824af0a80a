//! Steps: our types and those of `sluice:step`.

use sluice_port::{Fault, StepAnswer, StepCall, StepOutcome};
use wasmtime::Store;

use crate::bindings::step::exports::sluice::step::step;
use crate::call::{For, Reply, bounded, cut, json, reason, wrong_kind};
use crate::ctx::Ctx;
use crate::host::ComponentHost;
use crate::limits::{Kind, MOST_TOKEN};
use crate::load::Pre;

/// Milliseconds between which a step is asked again.
const AGAIN: (u32, u32) = (1_000, 3_600_000);

impl ComponentHost {
    /// Call the step of this name.
    pub(crate) async fn step<T, U>(
        &self,
        name: &str,
        work: For,
        act: impl AsyncFnOnce(&step::Guest, &mut Store<Ctx>) -> Reply<T>,
        check: fn(T) -> Result<U, Fault>,
    ) -> Result<U, Fault> {
        let act = async |pre: &Pre, store: &mut Store<Ctx>| {
            let Pre::Step(pre) = pre else { return wrong_kind() };
            let instance = pre.instantiate_async(&mut *store).await?;
            act(instance.sluice_step_step(), store).await
        };
        self.call(Kind::Step, name, work, act, check).await
    }
}

pub(crate) fn context(call: &StepCall) -> step::StepContext {
    step::StepContext {
        namespace: call.namespace.clone(),
        rollout: call.rollout.clone(),
        rollout_uid: call.rollout_uid.clone(),
        revision: call.revision.clone(),
        step_index: call.index,
        config: call.config.clone(),
        state: call.state.clone(),
    }
}

pub(crate) fn answer(answered: step::StepResult) -> Result<StepAnswer, Fault> {
    let step::StepResult { outcome, state, message } = answered;
    if let Some(state) = &state {
        bounded("bytes of state", state.len(), MOST_TOKEN)?;
        json("the state", state)?;
    }
    let outcome = match outcome {
        step::StepOutcome::Done => StepOutcome::Done,
        step::StepOutcome::Failed(why) => StepOutcome::Failed(reason(why)),
        step::StepOutcome::Again(after) => StepOutcome::Again(after.clamp(AGAIN.0, AGAIN.1)),
    };
    Ok(StepAnswer { outcome, state, message: message.map(cut) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MOST_MESSAGE;

    fn answered(outcome: step::StepOutcome, state: Option<String>) -> Result<StepAnswer, Fault> {
        answer(step::StepResult { outcome, state, message: None })
    }

    #[test]
    fn a_step_is_asked_again_within_a_second_and_an_hour() {
        for (asked, given) in [(0, 1_000), (5_000, 5_000), (u32::MAX, 3_600_000)] {
            let answer = answered(step::StepOutcome::Again(asked), None).map(|a| a.outcome);
            assert_eq!(answer, Ok(StepOutcome::Again(given)));
        }
    }

    #[test]
    fn a_state_is_json_that_does_not_bloat_the_status() {
        let state = |text: String| answered(step::StepOutcome::Done, Some(text));
        let long = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
        assert!(state(long(MOST_TOKEN)).is_ok());
        let error = state(long(MOST_TOKEN + 1)).unwrap_err().to_string();
        let text =
            "the component's answer is malformed: 16385 bytes of state, and 16384 are the most";
        assert_eq!(error, text);
        assert!(matches!(state("{".to_owned()), Err(Fault::Malformed(_))));
    }

    #[test]
    fn what_is_said_to_people_is_cut() {
        let long = "x".repeat(MOST_MESSAGE + 1);
        let said = step::StepResult {
            outcome: step::StepOutcome::Failed(long.clone()),
            state: None,
            message: Some(long),
        };
        let Ok(StepAnswer { outcome: StepOutcome::Failed(why), message: Some(message), .. }) =
            answer(said)
        else {
            panic!("not failed, or silent");
        };
        assert_eq!(why.len(), MOST_MESSAGE + '…'.len_utf8());
        assert_eq!(message, why);
    }
}
