//! The decision: a pure function from what was observed to what is to be done.
//!
//! This crate does no I/O and cannot: it has no dependencies, reads no clock, starts no thread
//! and keeps nothing between two calls. A shell builds an [`observed::Observed`], calls
//! [`decide::decide`], records what is to be remembered, and performs the orders.
//!
//! ```text
//!   rollout (what is wanted) ┐
//!   memory  (what was)       ├─► observed ─► decide ─► orders · memory · waiting · wake · facts
//!   revisions, doors, runs,  │                 │
//!   traffic (what is)        ┘        evidence: the only door to orders that can hurt
//! ```
//!
//! Words: a *revision* is a ReplicaSet of one pod template. The *wanted* revision is that of the
//! template in the rollout, the *stable* one was promoted last; while they differ, the wanted one
//! is the *canary*. A *door* is the Service of one side of a split. A *share* is a part of the
//! traffic, a *split* a complete division of it.
#![forbid(unsafe_code)]

pub mod analysis;
pub mod called;
pub mod decide;
pub mod evidence;
pub mod experiment;
pub mod fact;
pub mod lender;
pub mod observed;
pub mod phase;
pub mod plan;
pub mod quantity;
pub mod restart;
pub mod rollout;
pub mod steps;
pub mod time;
pub mod traffic;
pub mod waiting;

pub use decide::{Decision, decide};
pub use observed::{Hash, Observed};
pub use plan::Order;
pub use quantity::{Pods, Share};
pub use time::{Timestamp, Wake};
pub use waiting::Waiting;
