//! What authors of components do: start a project, build it, test it on the real component host
//! with recorded answers, see what is in it, and pack it.
//!
//! A project is a folder with a `plugin.yaml`; see [`project::Project`]. The steps are
//! [`scaffold::start`], [`build::build`], [`trial::run`] and [`pack::pack`]. Nothing here needs a
//! cluster, and nothing but toolchains and [`live::Live`], which calls a component for real, needs
//! a network.

pub mod bench;
pub mod build;
mod carried;
pub mod cases;
mod component;
mod conformance;
pub mod difference;
mod error;
pub mod hidden;
pub mod inspect;
pub mod live;
mod notify;
pub mod pack;
mod pins;
pub mod project;
pub mod record;
mod recorded;
mod router;
pub mod scaffold;
mod step;
mod tools;
pub mod trial;

pub use error::Error;
pub use tools::{Say, cache};
