//! The Kubernetes shell: watches, collects, records, performs, leads.
//!
//! Everything that decides is pure and elsewhere. Here is what needs an API server, and what
//! keeps it from doing harm: a rate, bounded waits, writes that are only right for the version
//! that was seen, and a lease without which nothing is written.
//!
//! ```text
//!   watch ─► run (engine, store) ─► turn ─┬─► perform ─► API server
//!              ▲                          ├─► objects ◄─► routers
//!            lease                        └─► events
//! ```
#![forbid(unsafe_code)]

mod analysis;
pub mod client;
mod errand;
pub mod error;
pub mod events;
mod experiment;
pub mod health;
pub mod kinds;
pub mod lease;
pub mod lender;
mod notify;
pub mod objects;
pub mod perform;
mod pods;
mod routed;
pub mod run;
mod shared;
mod step;
mod turn;
pub mod watch;

pub use error::{ApiError, RunError};
pub use health::Health;
pub use run::{Config, run};
pub use shared::now;
