//! Metric providers: our types and those of `sluice:metric`.

use std::sync::Arc;

use sluice_port::metric::RESOLVED_COMPONENT;
use sluice_port::{Fault, Measured, Measurement, MetricCall, Verdict};
use wasmtime::Store;

use crate::bindings::metric::exports::sluice::metric::provider;
use crate::call::{For, Reply, bounded, cut, json, wrong_kind};
use crate::ctx::Ctx;
use crate::host::{ComponentHost, Generation};
use crate::limits::{MOST_ITEMS, MOST_NUMBERS, MOST_TEXT, MOST_TOKEN};
use crate::load::Pre;

/// Milliseconds between which a measurement is resumed.
const RESUME: (u32, u32) = (1_000, 3_600_000);

impl ComponentHost {
    /// Call this metric provider.
    pub(crate) async fn provider<T, U>(
        &self,
        generation: Arc<Generation>,
        work: For,
        act: impl AsyncFnOnce(&provider::Guest, &mut Store<Ctx>) -> Reply<T>,
        check: fn(T) -> Result<U, Fault>,
    ) -> Result<U, Fault> {
        let act = async |pre: &Pre, store: &mut Store<Ctx>| {
            let Pre::Metric(pre) = pre else { return wrong_kind() };
            let instance = pre.instantiate_async(&mut *store).await?;
            act(instance.sluice_metric_provider(), store).await
        };
        self.call_on(generation, work, act, check).await
    }

    /// The metric provider of this name for a run: the one that the run began with if that is
    /// wanted.
    pub(crate) async fn provider_of(
        &self,
        name: &str,
        call: &MetricCall,
    ) -> Result<Arc<Generation>, Fault> {
        self.let_in(name).await;
        self.for_run(name, call).await
    }

    /// Measure, and note which component did, so that the run can go on with it elsewhere.
    pub(crate) async fn measured(
        &self,
        name: &str,
        call: &MetricCall,
        act: impl AsyncFnOnce(&provider::Guest, &mut Store<Ctx>) -> Reply<provider::Measurement>,
    ) -> Result<Measurement, Fault> {
        let generation = self.provider_of(name, call).await?;
        let mut answer = self.provider(generation.clone(), For::Work, act, measurement).await?;
        if generation.is_object() {
            let component = format!("{name}@{}", generation.loaded.digest);
            answer.metadata.retain(|(key, _)| key != RESOLVED_COMPONENT);
            answer.metadata.push((RESOLVED_COMPONENT.to_owned(), component));
        }
        Ok(answer)
    }
}

pub(crate) fn context(call: &MetricCall) -> provider::MetricContext {
    provider::MetricContext {
        namespace: call.namespace.clone(),
        analysis_run: call.run.clone(),
        metric: call.metric.clone(),
        config: call.config.clone(),
        labels: call.labels.clone(),
        index: call.index,
    }
}

pub(crate) fn measurement(measured: provider::Measurement) -> Result<Measurement, Fault> {
    let provider::Measurement { outcome, message, metadata } = measured;
    bounded("pairs of metadata", metadata.len(), MOST_ITEMS)?;
    let bytes = metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
    bounded("bytes of metadata", bytes, MOST_TEXT)?;
    Ok(Measurement { outcome: self::outcome(outcome)?, message: message.map(cut), metadata })
}

fn outcome(outcome: provider::Outcome) -> Result<Measured, Fault> {
    Ok(match outcome {
        provider::Outcome::Number(number) => Measured::Number(number),
        provider::Outcome::Numbers(numbers) => {
            bounded("numbers", numbers.len(), MOST_NUMBERS)?;
            Measured::Numbers(numbers)
        }
        provider::Outcome::Value(value) => {
            json("the value", &value)?;
            Measured::Value(value)
        }
        provider::Outcome::NoData => Measured::NoData,
        provider::Outcome::Judged(verdict) => Measured::Judged(match verdict {
            provider::Verdict::Successful => Verdict::Successful,
            provider::Verdict::Failed => Verdict::Failed,
            provider::Verdict::Inconclusive => Verdict::Inconclusive,
        }),
        provider::Outcome::Running(provider::InProgress { token, resume_after_ms }) => {
            bounded("bytes of token", token.len(), MOST_TOKEN)?;
            let resume_after_ms = resume_after_ms.clamp(RESUME.0, RESUME.1);
            Measured::Running { token, resume_after_ms }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(token: usize, resume_after_ms: u32) -> Result<Measured, Fault> {
        let token = "x".repeat(token);
        outcome(provider::Outcome::Running(provider::InProgress { token, resume_after_ms }))
    }

    #[test]
    fn a_measurement_is_resumed_within_a_second_and_an_hour() {
        for (asked, given) in [(0, 1_000), (5_000, 5_000), (u32::MAX, 3_600_000)] {
            let Ok(Measured::Running { resume_after_ms, .. }) = running(0, asked) else {
                panic!("not running");
            };
            assert_eq!(resume_after_ms, given);
        }
    }

    #[test]
    fn tokens_that_would_bloat_the_status_are_refused() {
        assert!(running(MOST_TOKEN, 0).is_ok());
        let error = running(MOST_TOKEN + 1, 0).unwrap_err().to_string();
        let text =
            "the component's answer is malformed: 16385 bytes of token, and 16384 are the most";
        assert_eq!(error, text);
    }

    #[test]
    fn a_value_is_one_json_document() {
        let value = |text: &str| outcome(provider::Outcome::Value(text.to_owned()));
        assert_eq!(value("[1]"), Ok(Measured::Value("[1]".to_owned())));
        assert!(matches!(value("[1"), Err(Fault::Malformed(_))));
        assert!(matches!(value("NaN"), Err(Fault::Malformed(_))));
    }
}
