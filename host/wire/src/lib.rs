//! The door, pure: objects in, observations out; decisions in, status and writes out.
//!
//! Everything that knows both the API's words and the core's is here, and nothing here does I/O:
//! the same functions serve the Kubernetes shell, the simulator, `lint` and `explain`.
#![forbid(unsafe_code)]

pub mod analysis;
pub mod clock;
pub mod experiment;
pub mod explain;
pub mod field;
pub mod keys;
pub mod lint;
pub mod notify;
pub mod objects;
pub mod rollout;
pub mod store;

pub use field::Refusal;
pub use objects::Objects;
pub use store::Store;
