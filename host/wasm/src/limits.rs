//! How much of everything one call may use.

use std::time::Duration;

/// What a component does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// It measures: exports `sluice:metric/provider`.
    Metric,
    /// It routes: exports `sluice:traffic/router`.
    Router,
    /// It does something between two weights: exports `sluice:step/step`.
    Step,
    /// It tells people of what became true: exports `sluice:notifier/delivery`.
    Notifier,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Metric, Self::Router, Self::Step, Self::Notifier];

    /// The name in messages and metric labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Metric => "metric provider",
            Self::Router => "traffic router",
            Self::Step => "step",
            Self::Notifier => "notifier",
        }
    }
}

/// Limits of one call, and of calls at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the start of the call to its end, host calls included.
    pub wall: Duration,
    /// Computing on a processor, in the component and in the host on its behalf. It is looked at
    /// every [`crate::TICK`].
    pub cpu: Duration,
    /// Linear memory, in bytes, of all the component's memories together. Never more than
    /// [`MOST_MEMORY`].
    pub memory: usize,
    /// HTTP requests.
    pub http_calls: u32,
    /// Bytes of one answer's body.
    pub body_in: u64,
    /// Bytes of one request's body.
    pub body_out: usize,
    /// Log lines; further ones are dropped.
    pub log_lines: u32,
    /// Bytes of all log lines together.
    pub log_bytes: usize,
    /// Calls of this component at a time; further ones wait: measurements for as long as it takes,
    /// since each of those before them ends within `wall`, and others at most for `wall`. There
    /// are 64 places for all components, of which one that is alone gets 13, and fewer beside
    /// others.
    pub concurrency: usize,
}

impl Limits {
    /// Those of a kind unless somebody says otherwise: 64 MiB, one second of computing and half
    /// a minute on the clock for a metric provider, a quarter of a minute for a router, two
    /// seconds in a minute for a step, and half a minute for a notifier.
    pub fn of(kind: Kind) -> Self {
        let metric = Self {
            wall: Duration::from_secs(30),
            cpu: Duration::from_secs(1),
            memory: 64 << 20,
            http_calls: 16,
            body_in: 4 << 20,
            body_out: 1 << 20,
            log_lines: 200,
            log_bytes: 64 << 10,
            concurrency: 8,
        };
        match kind {
            Kind::Metric => metric,
            Kind::Router => Self { wall: Duration::from_secs(15), http_calls: 8, ..metric },
            Kind::Step => Self {
                wall: Duration::from_secs(60),
                cpu: Duration::from_secs(2),
                http_calls: 32,
                ..metric
            },
            // Of an outage many rollouts have something to tell, and one server is told.
            Kind::Notifier => Self { http_calls: 8, concurrency: 4, ..metric },
        }
    }

    /// Those of a check: two seconds, half a second of computing, and no network.
    pub fn for_validation(self) -> Self {
        Self {
            wall: self.wall.min(Duration::from_secs(2)),
            cpu: self.cpu.min(Duration::from_millis(500)),
            http_calls: 0,
            ..self
        }
    }

    /// How long requests may take when `left` is left of the call: a little less, so that the
    /// component can still say that its server was slow, instead of being stopped for it.
    pub(crate) fn for_requests(&self, left: Duration) -> Duration {
        left.saturating_sub((self.wall / 10).min(Duration::from_millis(500)))
    }
}

/// The most bytes of memory that any limit can give.
pub const MOST_MEMORY: usize = 128 << 20;
/// The largest component, in bytes.
pub const MOST_COMPONENT: usize = 64 << 20;
/// The most bytes of any text that a component answers.
pub(crate) const MOST_TEXT: usize = 1 << 20;
/// The most bytes that a component passes to the host at once, in an answer or a host call.
pub(crate) const MOST_PASSED: usize = 8 << 20;
/// The most bytes of a measurement's token, and of a step's state.
pub(crate) const MOST_TOKEN: usize = 16 << 10;
/// The most bytes of a message in an answer or an error; longer ones are cut.
pub(crate) const MOST_MESSAGE: usize = 4 << 10;
/// The most numbers in a measurement.
pub(crate) const MOST_NUMBERS: usize = 100_000;
/// The most objects, changes, names or pairs of metadata in an answer.
pub(crate) const MOST_ITEMS: usize = 1_000;
