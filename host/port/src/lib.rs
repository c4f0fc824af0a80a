//! What crosses between a shell and a component: plain data, and one trait.
//!
//! The Kubernetes shell and the simulator know components only through [`Components`], and the
//! component host knows nothing of Kubernetes. They meet in the binary. The crate has no
//! dependencies, so that naming a component costs nobody a WebAssembly compiler.
//!
//! Text named `json` is one JSON document; objects of Kubernetes travel as such text because
//! a component may need fields that no library of ours has heard of.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::pin::Pin;

pub mod drive;
pub mod http;
pub mod imports;
pub mod metric;
pub mod notify;
pub mod rights;
pub mod step;
pub mod traffic;

pub use metric::{Measured, Measurement, MetricCall, Verdict};
pub use notify::{Delivery, Notice};
pub use rights::Rights;
pub use step::{StepAnswer, StepCall, StepOutcome};
pub use traffic::{Change, Destination, ObjectQuery, ObjectRef, Routing, Verification};

/// An answer that a component gives later.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + Send + 'a>>;

/// Every installed component, by kind and name.
///
/// Names are those of the API: `prometheus` for `provider.prometheus`, `nginx` for
/// `trafficRouting.nginx`, the map key for `plugin`/`plugins`, `steps[].plugin.name`, and the end of
/// `notifications.argoproj.io/subscribe.TRIGGER.NAME`.
/// Each call runs in a fresh instance; no method panics, blocks for longer than the component's
/// wall limit, or fails in a way that is not a [`Fault`].
pub trait Components: Send + Sync {
    /// Start a measurement. Starting the same one twice is harmless.
    fn measure<'a>(&'a self, provider: &'a str, call: &'a MetricCall) -> Answer<'a, Measurement>;
    /// Go on with a measurement that answered [`Measured::Running`].
    fn resume<'a>(
        &'a self,
        provider: &'a str,
        call: &'a MetricCall,
        token: &'a str,
    ) -> Answer<'a, Measurement>;
    /// Stop a measurement that answered [`Measured::Running`]; best effort.
    fn terminate<'a>(
        &'a self,
        provider: &'a str,
        call: &'a MetricCall,
        token: &'a str,
    ) -> Answer<'a, ()>;
    /// Check a metric's provider configuration, without network or cluster.
    fn validate_metric<'a>(&'a self, provider: &'a str, config: &'a str) -> Answer<'a, ()>;

    /// What a router can do beyond weights, read once when it was loaded.
    /// See [`traffic::capability`] for the names.
    fn capabilities(&self, router: &str) -> Result<Vec<String>, Fault>;
    /// Which objects a router may touch.
    fn rights(&self, router: &str) -> Rights {
        let _ = router;
        Rights::Usual
    }
    /// Check a router's configuration, without network or cluster.
    fn validate_router<'a>(&'a self, router: &'a str, config: &'a str) -> Answer<'a, ()>;
    /// Which objects the router must see, given those found so far.
    fn references<'a>(
        &'a self,
        router: &'a str,
        wanted: &'a Routing,
        found: &'a [String],
    ) -> Answer<'a, Vec<ObjectQuery>>;
    /// The changes that bring the data plane nearer, in the order in which they are safe.
    fn route<'a>(
        &'a self,
        router: &'a str,
        wanted: &'a Routing,
        objects: &'a [String],
    ) -> Answer<'a, Vec<Change>>;
    /// Whether the data plane has taken the wanted routing up.
    fn verify<'a>(
        &'a self,
        router: &'a str,
        wanted: &'a Routing,
        objects: &'a [String],
    ) -> Answer<'a, Verification>;
    /// The changes that undo what is the router's, because the rollout goes or stops using it.
    fn release<'a>(
        &'a self,
        router: &'a str,
        last: &'a Routing,
        objects: &'a [String],
    ) -> Answer<'a, Vec<Change>>;

    /// Check a step's configuration, without network or cluster.
    ///
    /// Like the other calls of steps it answers [`Fault::Missing`] where no steps are installed.
    fn validate_step<'a>(&'a self, step: &'a str, config: &'a str) -> Answer<'a, ()> {
        let _ = config;
        no_step(step)
    }
    /// Do a step, or go on with one that answered [`StepOutcome::Again`].
    fn run_step<'a>(&'a self, step: &'a str, call: &'a StepCall) -> Answer<'a, StepAnswer> {
        let _ = call;
        no_step(step)
    }
    /// Stop a step that is not done, because the release went on without it.
    fn terminate_step<'a>(&'a self, step: &'a str, call: &'a StepCall) -> Answer<'a, ()> {
        let _ = call;
        no_step(step)
    }
    /// Undo what a step did, because the release is aborted.
    fn abort_step<'a>(&'a self, step: &'a str, call: &'a StepCall) -> Answer<'a, ()> {
        let _ = call;
        no_step(step)
    }

    /// Tell somebody of a fact; telling it twice is harmless as far as the other side heeds its
    /// key. [`Fault::Missing`] where no notifiers are installed.
    fn deliver<'a>(&'a self, notifier: &'a str, notice: &'a Notice) -> Answer<'a, Delivery> {
        let _ = notice;
        missing("notifier", notifier)
    }
}

fn no_step<'a, T: Send + 'a>(step: &'a str) -> Answer<'a, T> {
    missing("step", step)
}

fn missing<'a, T: Send + 'a>(kind: &'static str, name: &str) -> Answer<'a, T> {
    let missing = Fault::Missing { kind, name: name.to_owned(), have: Vec::new() };
    Box::pin(std::future::ready(Err(missing)))
}

/// Why a component's call did not bring what was asked. The first three are the component's own
/// words; the rest is what the host saw happen to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The user's configuration is wrong; retrying will not help.
    InvalidConfig(String),
    /// Worth retrying: unreachable, throttled, in conflict.
    Transient {
        /// What happened, for people.
        message: String,
        /// When to try again, in milliseconds, if the component knows.
        after_ms: Option<u32>,
    },
    /// Anything else that the component says of itself.
    Failed {
        /// Stable, lower-kebab-case, at most 64 bytes.
        code: String,
        /// What happened, for people.
        message: String,
    },
    /// No component of this name and kind is installed.
    Missing {
        /// `metric provider`, `traffic router`, `step` or `notifier`.
        kind: &'static str,
        /// The name that was asked for.
        name: String,
        /// The names that are installed, sorted.
        have: Vec<String>,
    },
    /// The component trapped.
    Trapped {
        /// The trap and the backtrace, as far as known.
        message: String,
    },
    /// The whole call took longer than its wall limit.
    TimedOut {
        /// The limit in milliseconds.
        limit_ms: u64,
    },
    /// The component computed for longer than its CPU limit.
    CpuExceeded {
        /// The limit in milliseconds.
        limit_ms: u64,
    },
    /// The component asked for more memory than it may have.
    MemoryExceeded {
        /// The limit in bytes.
        limit: u64,
    },
    /// The component answered with something that it may not answer.
    Malformed(String),
    /// Too many faults in a row: the host does not call it for a while.
    Suspended {
        /// For how many more milliseconds.
        for_ms: u64,
    },
}

impl Fault {
    /// A stable label for metrics and logs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::InvalidConfig(_) => "invalid-config",
            Self::Transient { .. } => "transient",
            Self::Failed { .. } => "failed",
            Self::Missing { .. } => "missing",
            Self::Trapped { .. } => "trapped",
            Self::TimedOut { .. } => "timed-out",
            Self::CpuExceeded { .. } => "cpu-exceeded",
            Self::MemoryExceeded { .. } => "memory-exceeded",
            Self::Malformed(_) => "malformed",
            Self::Suspended { .. } => "suspended",
        }
    }

    /// Whether the component itself misbehaved, as opposed to having reported something.
    pub fn is_misbehaviour(&self) -> bool {
        match self {
            Self::Trapped { .. }
            | Self::TimedOut { .. }
            | Self::CpuExceeded { .. }
            | Self::MemoryExceeded { .. }
            | Self::Malformed(_) => true,
            Self::InvalidConfig(_)
            | Self::Transient { .. }
            | Self::Failed { .. }
            | Self::Missing { .. }
            | Self::Suspended { .. } => false,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidConfig(message) => write!(f, "invalid configuration: {message}"),
            Self::Transient { message, .. } => f.write_str(message),
            Self::Failed { message, .. } => f.write_str(message),
            Self::Missing { kind, name, have } if have.is_empty() => {
                write!(f, "no {kind} named '{name}' is installed, and no other either")
            }
            Self::Missing { kind, name, have } => {
                write!(f, "no {kind} named '{name}' is installed; installed: {}", have.join(", "))
            }
            Self::Trapped { message } => write!(f, "the component trapped: {message}"),
            Self::TimedOut { limit_ms } => {
                write!(f, "the component did not answer within {limit_ms} ms")
            }
            Self::CpuExceeded { limit_ms } => {
                write!(f, "the component computed for more than {limit_ms} ms")
            }
            Self::MemoryExceeded { limit } => {
                write!(f, "the component asked for more than {} MiB of memory", limit >> 20)
            }
            Self::Malformed(what) => write!(f, "the component's answer is malformed: {what}"),
            Self::Suspended { for_ms } => write!(
                f,
                "the component failed too often and is not called for another {} s",
                for_ms.div_ceil(1000)
            ),
        }
    }
}

impl std::error::Error for Fault {}
