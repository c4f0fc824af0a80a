//! Plugin objects: what is wanted, what the component asks for, and what to do about it.
//!
//! Nothing here fetches, compiles or writes. [`Wish`] is what an object wants, [`Asked`] what a
//! component asks for, [`decide`](decide()) looks at both and at what is in use, and says what to
//! do next and what to tell: one order at a time, and the whole status each time. Whoever performs
//! the order decides anew with what came of it.
//!
//! ```text
//!   Plugin ─► Wish ─┐
//!   component ─► Asked ─► decide ─► Order, PluginStatus, what is announced
//!   in use, tried ──┘
//! ```
#![forbid(unsafe_code)]

pub mod asked;
pub mod decide;
mod status;
pub mod uses;
pub mod wish;

pub use asked::Asked;
pub use decide::{Decision, Observed, Order, Outcome, Running, Said, Takeback, Tried, decide};
pub use status::worth_writing;
pub use uses::{Role, Use, sorted, uses};
pub use wish::{Source, Wish};

/// The finalizer that keeps a Plugin until nobody needs its component any more.
pub const FINALIZER: &str = "sluice.dev/component";
