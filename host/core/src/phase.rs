//! The whole memory of a rollout between two decisions.

use crate::called::Call;
use crate::observed::{Hash, RunPhase};
use crate::quantity::Share;
use crate::time::Timestamp;
use crate::traffic::Additional;

/// What is recorded in the status and recalled from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The revision that was promoted last.
    pub stable: Option<Hash>,
    /// Where the rollout stands.
    pub phase: Phase,
    /// The run of the present analysis step.
    pub step_run: Option<RunRef>,
    /// The background run.
    pub background_run: Option<RunRef>,
    /// The run before a blue-green promotion. It is kept in memory after its use.
    pub pre_run: Option<RunRef>,
    /// The run after a blue-green promotion. It is kept in memory after its use.
    pub post_run: Option<RunRef>,
    /// The split that a router confirmed last.
    pub routed: Option<Recorded>,
    /// The name of the experiment of the present step.
    pub experiment: Option<String>,
    /// What components were asked about steps of this release, in the order in which they were
    /// asked first.
    pub calls: Vec<Call>,
    /// Whether the second of two ping-pong Services is the stable one.
    pub pong: bool,
    /// The restart that was done last: the `spec.restartAt` that it was asked for with.
    pub restarted: Option<Timestamp>,
}

/// A confirmed split as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The canary destination's share.
    pub share: Share,
    /// The revision behind the canary destination.
    pub canary: Hash,
    /// The revision behind the stable destination.
    pub stable: Hash,
    /// Whether the data plane itself said so; `None` if it cannot tell.
    pub verified: Option<bool>,
    /// What goes to pods of an experiment.
    pub additional: Vec<Additional>,
}

/// A run that the rollout refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRef {
    /// The object's name.
    pub name: String,
    /// Its phase when it was last looked at.
    pub phase: RunPhase,
    /// Its message then.
    pub message: String,
}

/// Where a rollout stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// The wanted revision is the stable one.
    #[default]
    Settled,
    /// On the way, at the step with this index.
    Stepping {
        /// Always less than the number of steps.
        index: usize,
        /// Whether somebody or something holds it there.
        hold: Hold,
    },
    /// Blue-green: the wanted revision is made ready and shown, and users get another one.
    Previewing {
        /// Whether somebody or something holds it there.
        hold: Hold,
    },
    /// Past the last step, or past the preview: all pods and all traffic go to the wanted
    /// revision.
    Promoting {
        /// Whether a user asked to skip what was left.
        full: bool,
        /// Whether somebody or something holds it there.
        hold: Hold,
    },
    /// Given up: back to the stable revision, until the user changes the template or retries.
    Aborted {
        /// Since when.
        since: Timestamp,
        /// Why; `None` if a user asked for it.
        why: Option<String>,
    },
}

/// Whether a rollout is held where it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Hold {
    /// It is not.
    #[default]
    None,
    /// It is, for these reasons; never empty.
    Paused(Vec<Pause>),
    /// It was, and a user let it go. The next decision takes that in and forgets it.
    Resumed,
}

/// One reason for a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// The reason.
    pub reason: PauseReason,
    /// Since when.
    pub since: Timestamp,
}

/// Why a rollout is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PauseReason {
    /// A pause step.
    Step,
    /// The preview of a blue-green release.
    Preview,
    /// An analysis run was inconclusive.
    Inconclusive,
    /// An experiment was inconclusive.
    Experiment,
}

impl Memory {
    /// The runs that it refers to.
    pub fn runs(&self) -> impl Iterator<Item = &RunRef> {
        [&self.step_run, &self.background_run, &self.pre_run, &self.post_run].into_iter().flatten()
    }

    /// The places for runs, taken or not.
    pub(crate) fn runs_mut(&mut self) -> [&mut Option<RunRef>; 4] {
        [&mut self.step_run, &mut self.background_run, &mut self.pre_run, &mut self.post_run]
    }
}

impl Phase {
    /// Whether somebody or something holds it; a phase that cannot be held is not.
    pub fn hold(&self) -> &Hold {
        match self {
            Self::Stepping { hold, .. }
            | Self::Previewing { hold }
            | Self::Promoting { hold, .. } => hold,
            Self::Settled | Self::Aborted { .. } => &Hold::None,
        }
    }
}

impl Hold {
    /// The pause with this reason.
    pub fn pause(&self, reason: PauseReason) -> Option<Pause> {
        match self {
            Self::Paused(pauses) => pauses.iter().copied().find(|pause| pause.reason == reason),
            Self::None | Self::Resumed => None,
        }
    }

    /// Whether an analysis run or an experiment was inconclusive, so that somebody has to decide.
    pub fn undecided(&self) -> bool {
        let undecided = [PauseReason::Inconclusive, PauseReason::Experiment];
        undecided.into_iter().any(|reason| self.pause(reason).is_some())
    }

    /// The same with one pause more, unless its reason is there already.
    pub fn with(&self, reason: PauseReason, since: Timestamp) -> Self {
        let mut pauses = match self {
            Self::Paused(pauses) => pauses.clone(),
            Self::None | Self::Resumed => Vec::new(),
        };
        if !pauses.iter().any(|pause| pause.reason == reason) {
            pauses.push(Pause { reason, since });
        }
        Self::Paused(pauses)
    }

    /// The same without pauses of this reason.
    pub fn without(&self, reason: PauseReason) -> Self {
        match self {
            Self::Paused(pauses) => {
                let rest: Vec<_> =
                    pauses.iter().copied().filter(|pause| pause.reason != reason).collect();
                if rest.is_empty() { Self::None } else { Self::Paused(rest) }
            }
            Self::None | Self::Resumed => Self::None,
        }
    }
}
