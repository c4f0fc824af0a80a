//! The read side: one card model for the command line and JSON.
//!
//! A [`Card`] says everything about one rollout that a person asks for, and is built by [`card`]
//! from plain JSON objects and a point in time. Nothing here fetches, and nothing here fails:
//! an object with missing or malformed fields gives a card with fewer words on it, because
//! the moment when an object is odd is the moment when somebody looks at it.
//!
//! An [`Answer`] says why the rollout stands where it stands, and what can be done about it.
//!
//! [`render_tree`] and [`render_list`] turn cards into text; `serde` turns them into JSON.
//! [`phase`] is the client's view of a rollout's phase, which knows that a status can be older
//! than the spec that it stands beside.
#![forbid(unsafe_code)]

mod age;
mod card;
mod experiment;
mod explain;
mod gather;
mod lens;
mod list;
mod mark;
mod phase;
mod pod;
mod tree;

pub use age::human_age;
pub use card::{
    Card, Counts, Experiment, Image, Job, Pod, ReplicaSet, Replicas, Revision, Role, Run, Step,
};
pub use experiment::{
    ExperimentCard, ExperimentRow, experiment_card, experiment_row, render_experiment,
    render_experiments,
};
pub use explain::{Answer, Command, Look, Waits, answer, render_answer};
pub use gather::{Objects, card};
pub use list::{render_list, render_table};
pub use phase::{Phase, phase};
pub use tree::render_tree;

/// How text is rendered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Colour the status marks with ANSI escape sequences. Off by default.
    pub color: bool,
}
