//! The component shell: loads, links, limits, grants and calls components.
//!
//! A component is a stranger, politely received. Every call runs in a fresh instance with its own
//! memory, a limit on time, computing, memory, requests and log lines, and no network but what
//! the host carries for it. Whatever it does, the outcome is a [`sluice_port::Fault`] with a
//! reason, and nobody else notices.
//!
//! Only this crate names types of the WebAssembly engine.

mod bindings;
mod breaker;
mod cache;
mod call;
mod ctx;
pub mod dir;
pub mod egress;
mod engine;
mod host;
mod limits;
mod load;

pub use cache::Cache;
pub use ctx::Clock;
pub use engine::{Clockwork, TICK};
pub use host::{ComponentHost, HostConfig, Info, Stats};
pub use limits::{Kind, Limits};
pub use load::LoadError;
