//! Rollouts: from objects to an observation, and from a decision to writes.
//!
//! ```text
//!   Objects ─ parse ─► Intent ┐
//!           ─ recall ─► Memory ├─ observe ─► Observed ─► core ─► Decision ─ project ─► status
//!           ─ hash ──► identity┘                                          ─ effects ─► writes
//! ```

pub mod called;
pub mod claim;
pub mod effects;
pub mod events;
pub mod experiment;
pub mod hash;
pub mod identity;
pub mod marks;
pub mod observe;
pub mod parse;
pub mod percent;
pub mod phase;
pub mod project;
pub mod recall;
pub mod restart;
pub mod routers;
pub mod turn;
pub mod workload;

pub use claim::Errand;
pub use effects::{Effect, Route, Target, Verb, Write};
pub use events::{Event, Severity};
pub use parse::Intent;
pub use turn::{Turn, turn};
