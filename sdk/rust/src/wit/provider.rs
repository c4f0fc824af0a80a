//! A metric provider as the host calls it.

use std::marker::PhantomData;

use serde_json::Value;

use super::metric::exports::sluice::metric::provider::{
    Guest, InProgress, Measurement as Answer, MetricContext, Outcome as Measured,
    Verdict as Judgement,
};
use super::metric::sluice::plugin::types::PluginError;
use crate::error::{Error, Result};
use crate::metric::{Context, Measurement, Outcome, Provider, Verdict};

/// The exports of a component whose provider is `P`.
pub struct ProviderOf<P>(PhantomData<P>);

impl<P: Provider + 'static> Guest for ProviderOf<P> {
    fn validate(config: String) -> Result<(), PluginError> {
        Ok(P::validate(&crate::parse_config(&config)?)?)
    }

    fn run(ctx: MetricContext) -> Result<Answer, PluginError> {
        let (context, config) = open::<P>(ctx)?;
        Ok(P::run(&context, config)?.into())
    }

    fn resume(ctx: MetricContext, token: String) -> Result<Answer, PluginError> {
        let (context, config) = open::<P>(ctx)?;
        Ok(P::resume(&context, config, read(&token)?)?.into())
    }

    fn terminate(ctx: MetricContext, token: String) -> Result<(), PluginError> {
        let (context, config) = open::<P>(ctx)?;
        Ok(P::terminate(&context, config, read(&token)?)?)
    }
}

fn open<P: Provider>(ctx: MetricContext) -> Result<(Context, P::Config)> {
    let config = crate::parse_config(&ctx.config)?;
    let context = Context {
        namespace: ctx.namespace,
        analysis_run: ctx.analysis_run,
        metric: ctx.metric,
        labels: ctx.labels,
        index: ctx.index,
    };
    Ok((context, config))
}

fn read(token: &str) -> Result<Value> {
    let broken = |error| Error::failed("bad-token", format!("cannot read the token: {error}"));
    serde_json::from_str(token).map_err(broken)
}

impl From<Measurement> for Answer {
    fn from(measurement: Measurement) -> Self {
        let outcome = match measurement.outcome {
            Outcome::Number(number) => Measured::Number(number),
            Outcome::Numbers(numbers) => Measured::Numbers(numbers),
            Outcome::Value(value) => Measured::Value(value.to_string()),
            Outcome::NoData => Measured::NoData,
            Outcome::Judged(verdict) => Measured::Judged(match verdict {
                Verdict::Successful => Judgement::Successful,
                Verdict::Failed => Judgement::Failed,
                Verdict::Inconclusive => Judgement::Inconclusive,
            }),
            Outcome::Running { token, resume_after_ms } => {
                Measured::Running(InProgress { token: token.to_string(), resume_after_ms })
            }
        };
        Self { outcome, message: measurement.message, metadata: measurement.metadata }
    }
}
