//! A simulated cluster in virtual time: faults, checkers, scenarios.
//!
//! The decisions, the loop and the translation to API writes are the ones that run; replaced are
//! the API server ([`world`]), pods ([`fleet`]), and, where no real components are given, the data
//! plane and the metrics server ([`plane`]). Time jumps to whatever happens next, so an hour of
//! waiting costs nothing.
#![forbid(unsafe_code)]

pub mod check;
pub mod cluster;
pub mod dataplane;
pub mod experiments;
pub mod fleet;
pub mod plane;
pub mod pods;
pub mod release;
pub mod rng;
pub mod scenario;
pub mod scripted;
pub mod shell;
pub mod step;
pub mod swarm;
pub mod timeline;
pub mod world;

/// When every simulation begins.
pub const START: sluice_core::Timestamp = sluice_core::Timestamp(1_700_000_000_000);
