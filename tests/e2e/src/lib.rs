//! The harness of the end-to-end tests: a real control plane, the real
//! controller, a real Prometheus, and an application whose counters move by
//! real requests.
//!
//! - [`Namespace`] is where a test begins: it starts the cluster of this
//!   process, or finds the one that `SLUICE_TEST_KUBECONFIG` names, and makes a
//!   namespace that no other test uses. Objects are applied, read, patched and
//!   listed through it.
//! - [`Rollout`] reads and steers one rollout as its users do.
//! - [`History`] records every value that a field takes, so that a test can
//!   assert a whole sequence and not only its end.
//! - [`Capacity`] tells whether traffic ever went where there were too few pods.
//! - [`manifest`] has the objects that most tests release.
//! - [`Answers`] is a Prometheus that says what a test tells it to.
//! - [`Controller`], [`Prometheus`] and [`App`] run beside the cluster. Their
//!   processes end with the test, and at the latest with the test process.
//! - [`sluice()`] runs a command as a person does.
//! - [`eventually`] awaits a condition until a deadline, and then says what it
//!   saw last. It is the only way to wait.
//!
//! Everything returns [`anyhow::Result`], for a failure here only ever ends a
//! test. Logs that explain a failure are printed to standard error, which the
//! test runner shows for failed tests alone.
//!
//! By default each test process starts a cluster of its own, which takes some
//! four seconds and half a gigabyte. The folder `e2e` of the target folder
//! holds the logs.

mod answers;
mod app;
mod capacity;
mod cluster;
mod command;
mod controller;
mod eventually;
mod history;
mod http;
pub mod manifest;
mod namespace;
mod process;
mod prometheus;
mod rollout;
mod workspace;

pub use answers::Answers;
pub use app::{App, Load};
pub use capacity::{Capacity, Moment};
pub use cluster::{Cluster, crds_file};
pub use command::sluice;
pub use controller::Controller;
pub use eventually::eventually;
pub use history::History;
pub use namespace::{Event, Kind, Namespace};
pub use process::Process;
pub use prometheus::Prometheus;
pub use rollout::{Revision, Rollout};
pub use workspace::{build_example, cargo_build, run_folder, workspace_root};
