//! Wire types and custom resource definitions, for everyone; no client.
//!
//! The kinds of `argoproj.io/v1alpha1` in their own words, and `sluice.dev/v1alpha1` [`Plugin`].
//! Reading is tolerant: unknown fields are skipped, phases and reasons are plain strings, and
//! pod templates are opaque JSON, so that a field newer than this crate survives a round trip.
//! What the API server enforces is stated once, by these types, and used twice: [`crd`] publishes
//! it, [`schema`] checks a file against it offline.
//!
//! | module | what |
//! |---|---|
//! | [`rollout`], [`strategy`], [`traffic`], [`status`] | Rollout |
//! | [`analysis`], [`provider`] | AnalysisTemplate, ClusterAnalysisTemplate, AnalysisRun |
//! | [`experiment`] | Experiment |
//! | [`plugin`] | Plugin |
//! | [`template`] | the schema of the pod templates within |
//! | [`keys`] | labels and annotations |
#![forbid(unsafe_code)]

pub mod analysis;
pub mod crd;
pub mod experiment;
pub mod keys;
pub mod plugin;
pub mod provider;
pub mod quantity;
mod resource;
pub mod rollout;
pub mod schema;
pub mod status;
pub mod strategy;
mod structural;
pub mod template;
pub mod traffic;

pub use analysis::{AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate};
pub use experiment::Experiment;
pub use plugin::Plugin;
pub use quantity::IntOrString;
pub use rollout::Rollout;
