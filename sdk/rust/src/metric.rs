//! Metric providers: one measurement of one metric.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

pub use crate::error::{Error, Result};
pub use crate::http;

/// The measurement that is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// Namespace of the analysis run.
    pub namespace: String,
    /// Name of the analysis run.
    pub analysis_run: String,
    /// Name of the metric.
    pub metric: String,
    /// Pairs of name and value that suit the labels of queries: rollout, revision, the hashes of
    /// canary and stable.
    pub labels: Vec<(String, String)>,
    /// Zero for the metric's first measurement.
    pub index: u32,
}

impl Context {
    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
    }
}

/// What a provider judges by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Good.
    Successful,
    /// Bad.
    Failed,
    /// Neither.
    Inconclusive,
}

/// What was measured. The host judges the user's conditions on it.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// One number; NaN and infinities are numbers.
    Number(f64),
    /// Several numbers, such as a vector of Prometheus.
    Numbers(Vec<f64>),
    /// Anything else.
    Value(Value),
    /// The query was fine, and nothing came back.
    NoData,
    /// The provider judged by itself, as a job does.
    Judged(Verdict),
    /// It takes longer: the host calls [`Provider::resume`].
    Running {
        /// Given back to `resume` and `terminate`; at most 16 KiB as JSON. It outlives the
        /// controller and this version of the plugin.
        token: Value,
        /// When to resume, in milliseconds; between one second and one hour.
        resume_after_ms: u32,
    },
}

/// One measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// What was measured.
    pub outcome: Outcome,
    /// For people, beside the measurement.
    pub message: Option<String>,
    /// Kept with the measurement: the query as it was sent, a link.
    pub metadata: Vec<(String, String)>,
}

impl Measurement {
    /// A measurement without message and metadata.
    pub fn new(outcome: Outcome) -> Self {
        Self { outcome, message: None, metadata: Vec::new() }
    }

    /// One number.
    pub fn number(number: f64) -> Self {
        Self::new(Outcome::Number(number))
    }

    /// Several numbers.
    pub fn numbers(numbers: impl IntoIterator<Item = f64>) -> Self {
        Self::new(Outcome::Numbers(numbers.into_iter().collect()))
    }

    /// Any JSON.
    pub fn value(value: impl Into<Value>) -> Self {
        Self::new(Outcome::Value(value.into()))
    }

    /// Nothing came back.
    pub fn no_data() -> Self {
        Self::new(Outcome::NoData)
    }

    /// The provider's own judgement.
    pub fn judged(verdict: Verdict) -> Self {
        Self::new(Outcome::Judged(verdict))
    }

    /// To be resumed with this token.
    pub fn running(token: impl Into<Value>, resume_after: Duration) -> Self {
        let resume_after_ms = u32::try_from(resume_after.as_millis()).unwrap_or(u32::MAX);
        Self::new(Outcome::Running { token: token.into(), resume_after_ms })
    }

    /// Adds to the metadata.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.push((name.into(), value.into()));
        self
    }

    /// Says something to people.
    #[must_use]
    pub fn message(mut self, text: impl Into<String>) -> Self {
        self.message = Some(text.into());
        self
    }
}

/// A metric provider. Nothing is kept between calls: each runs in an instance of its own.
pub trait Provider {
    /// The provider's part of a metric.
    type Config: DeserializeOwned;

    /// Whether a configuration is right, beyond what its type says. There is neither network nor
    /// cluster.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`], if it is not.
    fn validate(_config: &Self::Config) -> Result<()> {
        Ok(())
    }

    /// Takes a measurement. After a crash it may be called again with the same context, which
    /// must do no harm.
    ///
    /// # Errors
    /// If there is no measurement; the host counts it as an error, not as a failure.
    fn run(context: &Context, config: Self::Config) -> Result<Measurement>;

    /// Goes on after [`Outcome::Running`]. By default that starts over.
    ///
    /// # Errors
    /// As `run`.
    fn resume(context: &Context, config: Self::Config, _token: Value) -> Result<Measurement> {
        Self::run(context, config)
    }

    /// Nobody waits for the measurement any more: cancel what was started, as well as can be.
    ///
    /// # Errors
    /// If that failed, which the host only reports.
    fn terminate(_context: &Context, _config: Self::Config, _token: Value) -> Result<()> {
        Ok(())
    }
}

/// Makes a component of a [`Provider`]; once in a crate of the type `cdylib`.
///
/// What is asked of the cluster's operator can be said with a reason:
/// `export_metric_provider!(Mine, requests: { http: "asks the servers that metrics name" })`.
/// It is kept in the component for whoever grants it.
#[macro_export]
macro_rules! export_metric_provider {
    ($provider:ty $(, requests: { $($what:ident: $reason:literal),* $(,)? })? $(,)?) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "a component's exports are declared by hand")]
        const _: () = {
            type Component = $crate::wit::ProviderOf<$provider>;
            $crate::wit::metric::__export_metric_provider!(
                Component with_types_in $crate::wit::metric
            );
            $crate::__manifest!("metric-provider" $(, $($what: $reason),*)?);
        };
    };
}
