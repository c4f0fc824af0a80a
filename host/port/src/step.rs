//! Steps: something to do between two weights.

/// What a step is called with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepCall {
    /// Namespace of the Rollout.
    pub namespace: String,
    /// Name of the Rollout.
    pub rollout: String,
    /// UID of the Rollout.
    pub rollout_uid: String,
    /// Revision that is released, as in `rollout.argoproj.io/revision`.
    pub revision: String,
    /// Index of the step among `spec.strategy.canary.steps`.
    pub index: u32,
    /// `steps[].plugin.config` as JSON; `null` without one.
    pub config: String,
    /// What the last call left behind as JSON; none before the first.
    pub state: Option<String>,
}

/// How far a step is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepAnswer {
    /// Whether it is done.
    pub outcome: StepOutcome,
    /// Kept in the status of the Rollout for the next call, JSON of at most 16 KiB.
    pub state: Option<String>,
    /// For people, beside the step.
    pub message: Option<String>,
}

/// Whether a step is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    /// The release may go on.
    Done,
    /// The step itself says no, and why: the release is aborted.
    Failed(String),
    /// It goes on: ask again after so many milliseconds.
    Again(u32),
}
