//! What just became true. Events, metrics and notifications are told of facts, once the record
//! that made them true was accepted.

use crate::called::{Operation, Progress};
use crate::observed::{Hash, Purpose, RunPhase};
use crate::phase::PauseReason;
use crate::quantity::Share;
use crate::traffic::Additional;

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The rollout has a new revision number.
    Updated {
        /// The number.
        number: u32,
    },
    /// What was complete is no longer: an update began.
    Begun {
        /// Its revision number.
        number: u32,
        /// Its hash.
        hash: Hash,
    },
    /// The wanted revision is now the stable one.
    Completed {
        /// Its revision number.
        number: u32,
        /// Its hash.
        hash: Hash,
        /// Why.
        because: Completion,
    },
    /// It was given up.
    Aborted {
        /// The revision number that was given up.
        number: u32,
        /// Why; `None` if a user asked for it.
        why: Option<String>,
    },
    /// It is paused.
    Paused {
        /// Why.
        reason: PauseReason,
    },
    /// It is no longer paused.
    Resumed,
    /// A step was completed.
    StepCompleted {
        /// Its index.
        index: usize,
    },
    /// All steps are skipped.
    StepsSkipped {
        /// Why.
        because: Skip,
    },
    /// A router confirmed another weight.
    WeightUpdated {
        /// The recorded share; `None` if there was no record.
        from: Option<Share>,
        /// The confirmed share.
        to: Share,
        /// What goes to pods of an experiment, if that is not what it was.
        additional: Option<Vec<Additional>>,
    },
    /// A component is elsewhere with a step that was left to it.
    CallChanged {
        /// The step.
        index: usize,
        /// The component.
        name: String,
        /// What it was asked to do.
        operation: Operation,
        /// How far it was before; `None` if it was not asked yet.
        from: Option<Progress>,
        /// How far it is.
        to: Progress,
    },
    /// An analysis run of this rollout changed its phase.
    RunChanged {
        /// What it is for.
        purpose: Purpose,
        /// Its name.
        name: String,
        /// Its phase when it was last looked at; `None` if it is new.
        from: Option<RunPhase>,
        /// Its phase now.
        to: RunPhase,
    },
}

/// Why a rollout is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion {
    /// There was nothing before.
    FirstDeployment,
    /// All steps were taken.
    AllSteps(usize),
    /// A user asked to skip what was left.
    FullPromotion,
    /// The active Service was turned, and what was to be proved was.
    BlueGreen,
    /// An older revision was wanted again while it still had its pods.
    FastRollback,
    /// The wanted revision was the stable one not long ago.
    RollbackWithinWindow,
}

/// Why steps are skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// The wanted revision is the stable one.
    Stable,
    /// The wanted revision ran not long ago, and still has pods.
    WithinWindow,
}
