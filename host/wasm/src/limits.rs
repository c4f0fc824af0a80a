//! How much of everything one call may use.

use std::time::Duration;

/// What a component is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// It measures: exports `sluice:metric/provider`.
    Metric,
    /// It routes: exports `sluice:traffic/router`.
    Router,
}

impl Kind {
    /// The name in messages and metric labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Metric => "metric provider",
            Self::Router => "traffic router",
        }
    }
}

/// Limits of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the start of the call to its end, host calls included.
    pub wall: Duration,
    /// Computing in the component itself, in steps of [`crate::engine::TICK`].
    pub cpu: Duration,
    /// Linear memory, in bytes.
    pub memory: usize,
    /// HTTP requests.
    pub http_calls: u32,
    /// Bytes of one answer's body.
    pub body_in: u64,
    /// Bytes of one request's body.
    pub body_out: usize,
    /// Log lines; further ones are dropped and counted.
    pub log_lines: u32,
}

impl Limits {
    /// Those of a kind unless somebody says otherwise.
    pub fn of(kind: Kind) -> Self {
        let metric = Self {
            wall: Duration::from_secs(30),
            cpu: Duration::from_secs(1),
            memory: 64 << 20,
            http_calls: 16,
            body_in: 4 << 20,
            body_out: 1 << 20,
            log_lines: 200,
        };
        match kind {
            Kind::Metric => metric,
            Kind::Router => Self { wall: Duration::from_secs(15), http_calls: 8, ..metric },
        }
    }

    /// Those of a check: no time to speak of, and no network.
    pub fn for_validation(self) -> Self {
        Self {
            wall: self.wall.min(Duration::from_secs(2)),
            cpu: self.cpu.min(Duration::from_millis(500)),
            http_calls: 0,
            ..self
        }
    }
}

/// The most bytes of any text that a component answers.
pub const MOST_TEXT: usize = 1 << 20;
/// The most bytes of a measurement's token.
pub const MOST_TOKEN: usize = 16 << 10;
/// The most objects, changes, values or pairs of metadata that a component answers.
pub const MOST_ITEMS: usize = 10_000;
/// The largest component, in bytes.
pub const MOST_COMPONENT: usize = 64 << 20;
