//! Write a metric provider, a traffic router, a step or a notifier for Sluice in Rust.
//!
//! A provider implements [`metric::Provider`], a router [`traffic::Router`], a step [`step::Step`]
//! and a notifier [`notify::Notifier`], and one macro makes a component of it:
//! [`export_metric_provider!`], [`export_traffic_router!`], [`export_step!`] or
//! [`export_notifier!`].
//! Everything here is plain Rust. Built for the machine at hand, the same code runs in unit tests
//! against [`testing::Host`], without a controller and without Kubernetes.

mod config;
pub mod env;
mod error;
mod host;
pub mod http;
pub mod log;
#[doc(hidden)]
pub mod manifest;
pub mod metric;
pub mod notify;
pub mod secrets;
pub mod step;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod time;
pub mod traffic;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod wit;

pub use config::parse as parse_config;
pub use error::{Error, Result};
pub use serde::Deserialize;
pub use serde_json::{Value, json};

/// The examples of the README are built with the documentation's tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
