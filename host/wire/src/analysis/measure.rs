//! One measurement: what a metric provider is called with, and what its answer comes to.

use serde_json::Value;
use sluice_core::Timestamp;
use sluice_core::analysis::{Finished, Outcome, Verdict};
use sluice_port::metric::RESOLVED_COMPONENT;
use sluice_port::{Fault, Measured, Measurement, MetricCall};

use crate::analysis::arguments::{SecretRef, Values, secrets, used};
use crate::analysis::condition::judge;
use crate::analysis::metric::provider;
use crate::field::Field;
use crate::objects::Meta;

/// A measurement that can be made.
#[derive(Clone, Debug)]
pub struct Ready {
    /// The component's name.
    pub provider: String,
    /// What it is called with.
    pub call: MetricCall,
    success: Option<String>,
    failure: Option<String>,
    values: Values,
}

/// The secrets that measuring this metric takes. All are in the run's namespace.
pub fn required_secrets(run: &Value, metric: &str) -> Vec<SecretRef> {
    let args = args(run);
    find(run, metric).map(|metric| secrets(args, metric)).unwrap_or_default()
}

/// Put the measurement together that an order is for. `secret` gives a secret's value, or says
/// why there is none.
///
/// # Errors
/// The outcome that the measurement has without having been made.
pub fn prepare(
    run: &Value,
    metric: &str,
    index: u32,
    secret: impl FnMut(&SecretRef) -> Result<String, String>,
) -> Result<Ready, Outcome> {
    let impossible = |message: String| Outcome::Judged {
        verdict: Verdict::Error,
        value: String::new(),
        message,
    };
    let unresolvable = |why: &dyn std::fmt::Display| {
        Outcome::Unresolvable(format!("Unable to resolve metric arguments: {why}"))
    };
    let spec =
        find(run, metric).ok_or_else(|| impossible(format!("the run has no metric '{metric}'")))?;
    // Only what the metric refers to: a secret of another one need not be there.
    let args: Vec<_> = used(args(run), spec).into_iter().cloned().collect();
    let values = Values::of(&args, secret).map_err(|why| unresolvable(&why))?;
    let spec = values.substitute(spec).map_err(|why| unresolvable(&why))?;
    let spec = Field::root(&spec);
    let (provider, config) = provider(&spec).map_err(impossible)?;
    let meta = Meta::read(run);
    let text = |name: &str| spec.get(name).name().map(str::to_owned);
    Ok(Ready {
        provider: provider.to_owned(),
        call: MetricCall {
            namespace: meta.namespace,
            run: meta.name,
            metric: metric.to_owned(),
            config: config.to_string(),
            labels: meta.labels.into_iter().collect(),
            index,
            component: measured_by(run, provider),
        },
        success: text("successCondition"),
        failure: text("failureCondition"),
        values,
    })
}

fn args(run: &Value) -> &[Value] {
    let args = Field::root(run).at("spec.args").value().and_then(Value::as_array);
    args.map(Vec::as_slice).unwrap_or_default()
}

/// Which component of this name measured for the run so far, whichever metric it was.
fn measured_by(run: &Value, provider: &str) -> Option<String> {
    let results = Field::root(run).at("status.metricResults").items();
    let mut said = results.iter().filter_map(|result| {
        let said = result.get("metadata").get(RESOLVED_COMPONENT).str()?;
        said.strip_prefix(provider)?.starts_with('@').then(|| said.to_owned())
    });
    said.next()
}

fn find<'r>(run: &'r Value, metric: &str) -> Option<&'r Value> {
    let metrics = Field::root(run).at("spec.metrics").items();
    metrics.iter().find(|spec| spec.get("name").str() == Some(metric)).and_then(Field::value)
}

impl Ready {
    /// The conditions that judge the answer, arguments substituted, by the names of their fields.
    pub fn conditions(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let both = [("successCondition", &self.success), ("failureCondition", &self.failure)];
        both.into_iter().filter_map(|(name, condition)| Some((name, condition.as_deref()?)))
    }

    /// What the provider's answer comes to.
    pub fn finish(
        &self,
        started: Timestamp,
        at: Timestamp,
        answer: Result<Measurement, Fault>,
    ) -> Finished {
        let (outcome, metadata) = match answer {
            Err(fault) => {
                let message = fault.to_string();
                let verdict = Verdict::Error;
                (Outcome::Judged { verdict, value: String::new(), message }, Vec::new())
            }
            Ok(measurement) => self.judge(at, measurement),
        };
        let outcome = match outcome {
            Outcome::Judged { verdict, value, message } => {
                Outcome::Judged { verdict, value, message: self.values.redact(&message) }
            }
            Outcome::Running { token, resume, message } => {
                Outcome::Running { token, resume, message: self.values.redact(&message) }
            }
            Outcome::Unresolvable(why) => Outcome::Unresolvable(self.values.redact(&why)),
        };
        // `ResolvedPrometheusQuery` and its like say something of the metric.
        let (metric_metadata, metadata) =
            metadata.into_iter().partition(|(key, _)| key.starts_with("Resolved"));
        finished(
            &self.call.metric,
            self.call.index,
            started,
            at,
            outcome,
            metadata,
            metric_metadata,
        )
    }

    fn judge(&self, at: Timestamp, measurement: Measurement) -> (Outcome, Vec<(String, String)>) {
        let mut metadata = measurement.metadata;
        metadata.sort();
        let said = measurement.message.unwrap_or_default();
        if let Measured::Running { token, resume_after_ms } = measurement.outcome {
            let wait = std::time::Duration::from_millis(u64::from(resume_after_ms));
            let resume = at.after(wait);
            return (Outcome::Running { token, resume, message: said }, metadata);
        }
        let judged = judge(&measurement.outcome, self.success.as_deref(), self.failure.as_deref());
        let message = if judged.message.is_empty() { said } else { judged.message };
        (Outcome::Judged { verdict: judged.verdict, value: judged.value, message }, metadata)
    }
}

/// A measurement that ended without having been made.
pub fn unmade(metric: &str, index: u32, at: Timestamp, outcome: Outcome) -> Finished {
    finished(metric, index, at, at, outcome, Vec::new(), Vec::new())
}

fn finished(
    metric: &str,
    index: u32,
    started: Timestamp,
    at: Timestamp,
    outcome: Outcome,
    metadata: Vec<(String, String)>,
    metric_metadata: Vec<(String, String)>,
) -> Finished {
    let metric = metric.to_owned();
    Finished { metric, index, started, at, outcome, metadata, metric_metadata }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run() -> Value {
        json!({
            "metadata": {"name": "r", "namespace": "web", "labels": {"app": "shop"}},
            "spec": {
                "args": [
                    {"name": "min", "value": "0.95"},
                    {"name": "token", "valueFrom": {"secretKeyRef": {"name": "tokens", "key": "web"}}},
                    {"name": "other", "valueFrom": {"secretKeyRef": {"name": "others", "key": "x"}}},
                ],
                "metrics": [
                    {
                        "name": "rate",
                        "successCondition": "result >= {{args.min}}",
                        "provider": {"web": {"header": "Bearer {{ args.token }}"}},
                    },
                    {"name": "lost", "provider": {"web": {"url": "{{ args.nothing }}"}}},
                ],
            },
        })
    }

    fn ready() -> Ready {
        prepare(&run(), "rate", 3, |_| Ok("hunter2".to_owned())).unwrap()
    }

    fn answered(answer: Result<Measured, Fault>) -> Finished {
        let answer = answer.map(|outcome| Measurement {
            outcome,
            message: Some("said".to_owned()),
            metadata: vec![
                ("link".to_owned(), "l".to_owned()),
                ("ResolvedPrometheusQuery".to_owned(), "up".to_owned()),
            ],
        });
        ready().finish(Timestamp(5), Timestamp(9), answer)
    }

    #[test]
    fn a_call_holds_the_providers_part_with_arguments_and_secrets() {
        let secret = SecretRef { name: "tokens".into(), key: "web".into() };
        assert_eq!(required_secrets(&run(), "rate"), [secret]);
        let expected = MetricCall {
            namespace: "web".into(),
            run: "r".into(),
            metric: "rate".into(),
            config: r#"{"header":"Bearer hunter2"}"#.into(),
            labels: vec![("app".into(), "shop".into())],
            index: 3,
            component: None,
        };
        assert_eq!((ready().provider.as_str(), ready().call), ("web", expected));
    }

    #[test]
    fn a_call_says_what_measured_for_the_run_before() {
        let mut run = run();
        let results = [("lost", "other@sha256:aa"), ("none", "web"), ("rate", "web@sha256:bb")];
        let results = results.map(
            |(name, component)| json!({"name": name, "metadata": {RESOLVED_COMPONENT: component}}),
        );
        run["status"]["metricResults"] = json!(results);
        let ready = prepare(&run, "rate", 3, |_| Ok(String::new())).unwrap();
        assert_eq!(ready.call.component.as_deref(), Some("web@sha256:bb"));
        let answer = Measurement {
            outcome: Measured::NoData,
            message: None,
            metadata: vec![(RESOLVED_COMPONENT.to_owned(), "web@sha256:bb".to_owned())],
        };
        let finished = ready.finish(Timestamp(5), Timestamp(9), Ok(answer));
        assert_eq!(finished.metric_metadata[0].1, "web@sha256:bb", "it is kept with the metric");
    }

    #[test]
    fn what_cannot_be_resolved_ends_the_run() {
        let missing = prepare(&run(), "rate", 0, |_| Err("secrets \"tokens\" not found".into()));
        let why = "Unable to resolve metric arguments: secrets \"tokens\" not found";
        assert_eq!(missing.unwrap_err(), Outcome::Unresolvable(why.into()));
        let unknown = prepare(&run(), "lost", 0, |_| Ok(String::new())).unwrap_err();
        let why = "Unable to resolve metric arguments: failed to resolve {{ args.nothing }}";
        assert_eq!(unknown, Outcome::Unresolvable(why.into()));
    }

    #[test]
    fn a_number_is_judged_by_the_conditions() {
        let finished = answered(Ok(Measured::Number(0.9)));
        let (value, message) = ("0.9".to_owned(), "said".to_owned());
        assert_eq!(finished.outcome, Outcome::Judged { verdict: Verdict::Failed, value, message });
        assert_eq!(finished.metadata, [("link".to_owned(), "l".to_owned())]);
        assert_eq!(finished.metric_metadata[0].0, "ResolvedPrometheusQuery");
        assert_eq!(
            (finished.index, finished.started, finished.at),
            (3, Timestamp(5), Timestamp(9))
        );
    }

    #[test]
    fn a_fault_is_an_error_and_secrets_are_blacked_out_of_messages() {
        let fault = Fault::Failed { code: "http".into(), message: "401 for hunter2".into() };
        let Outcome::Judged { verdict, message, .. } = answered(Err(fault)).outcome else {
            panic!("a fault is judged");
        };
        assert_eq!((verdict, message.as_str()), (Verdict::Error, "401 for *****"));
    }

    #[test]
    fn an_unfinished_measurement_is_resumed_after_its_pause() {
        let running = Measured::Running { token: "t".into(), resume_after_ms: 2500 };
        let expected =
            Outcome::Running { token: "t".into(), resume: Timestamp(2509), message: "said".into() };
        assert_eq!(answered(Ok(running)).outcome, expected);
    }
}
