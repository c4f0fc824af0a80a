//! A step as the host calls it.

use std::marker::PhantomData;

use super::metric::sluice::plugin::types::PluginError;
use super::step::exports::sluice::step::step::{Guest, StepContext, StepOutcome, StepResult};
use crate::error::Result;
use crate::step::{Context, Outcome, Progress, Step, read_state, write_state};

/// The exports of a component whose step is `S`.
pub struct StepOf<S>(PhantomData<S>);

impl<S: Step + 'static> Guest for StepOf<S> {
    fn validate(config: String) -> Result<(), PluginError> {
        Ok(S::validate(&crate::parse_config(&config)?)?)
    }

    fn run(ctx: StepContext) -> Result<StepResult, PluginError> {
        let (context, config, state) = open::<S>(ctx)?;
        Ok(close(S::run(&context, config, state)?)?)
    }

    fn terminate(ctx: StepContext) -> Result<(), PluginError> {
        let (context, config, state) = open::<S>(ctx)?;
        Ok(S::terminate(&context, config, state)?)
    }

    fn abort(ctx: StepContext) -> Result<(), PluginError> {
        let (context, config, state) = open::<S>(ctx)?;
        Ok(S::abort(&context, config, state)?)
    }
}

fn open<S: Step>(ctx: StepContext) -> Result<(Context, S::Config, Option<S::State>)> {
    let config = crate::parse_config(&ctx.config)?;
    let state = read_state(ctx.state.as_deref())?;
    let context = Context {
        namespace: ctx.namespace,
        rollout: ctx.rollout,
        rollout_uid: ctx.rollout_uid,
        revision: ctx.revision,
        step_index: ctx.step_index,
    };
    Ok((context, config, state))
}

fn close<S: serde::Serialize>(progress: Progress<S>) -> Result<StepResult> {
    let outcome = match progress.outcome {
        Outcome::Done => StepOutcome::Done,
        Outcome::Failed(why) => StepOutcome::Failed(why),
        Outcome::Again(after_ms) => StepOutcome::Again(after_ms),
    };
    let state = write_state(progress.state.as_ref())?;
    Ok(StepResult { outcome, state, message: progress.message })
}
