//! What users can see of a rollout, tried in a small simulated cluster.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod around;
mod bench;
mod duration;
mod identity;
mod marks;
mod rollback;
mod routers;
