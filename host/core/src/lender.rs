//! A Deployment that lends its pod template to the rollout, and whose pods the rollout's replace.

use crate::quantity::Pods;

/// When the Deployment loses its pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScaleDown {
    /// It keeps them.
    #[default]
    Never,
    /// All at once, when the rollout has all of its own.
    OnSuccess,
    /// One for each that the rollout has.
    Progressively,
}

/// The Deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lender {
    /// Its name.
    pub name: String,
    /// Pods that it is told to have.
    pub wanted: Pods,
    /// Pods that it had before the rollout began to replace them, once that is noted on it.
    pub before: Option<Pods>,
    /// When it loses them.
    pub scale_down: ScaleDown,
}
