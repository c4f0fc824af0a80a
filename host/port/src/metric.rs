//! Metric providers: one measurement of one metric.

/// The key under which a measurement's metadata says which component made it, as `NAME@DIGEST`.
/// It is kept with the metric.
pub const RESOLVED_COMPONENT: &str = "ResolvedComponent";

/// What a metric provider is called with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricCall {
    /// Namespace of the analysis run.
    pub namespace: String,
    /// Name of the analysis run.
    pub run: String,
    /// Name of the metric.
    pub metric: String,
    /// The provider's part of the metric as JSON, arguments substituted: for
    /// `provider.prometheus` the object below that key.
    pub config: String,
    /// Labels of the analysis run: rollout, revision, pod hashes.
    pub labels: Vec<(String, String)>,
    /// 0 for the metric's first measurement.
    pub index: u32,
    /// Which component measured for this run so far, as the run remembers it: a value of
    /// [`RESOLVED_COMPONENT`]. The component is not told.
    pub component: Option<String>,
}

/// One measurement, before any condition is judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// What was measured.
    pub outcome: Measured,
    /// For people, beside the measurement.
    pub message: Option<String>,
    /// Stored with the measurement: the resolved query, a job's name, a link.
    pub metadata: Vec<(String, String)>,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
pub enum Measured {
    /// One number; NaN and infinities are numbers.
    Number(f64),
    /// Several, such as a Prometheus vector.
    Numbers(Vec<f64>),
    /// Anything else as JSON.
    Value(String),
    /// The query was right, and nothing came back.
    NoData,
    /// The provider judged by itself.
    Judged(Verdict),
    /// Not finished: call again with the token, after so many milliseconds.
    Running {
        /// At most 16 KiB, kept in the run's status.
        token: String,
        /// Between one second and one hour.
        resume_after_ms: u32,
    },
}

/// A provider's own judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Good.
    Successful,
    /// Bad.
    Failed,
    /// Neither.
    Inconclusive,
}
