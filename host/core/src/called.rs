//! Steps that are left to a component: what was asked of it, and what it answered.
//!
//! A call is recorded before it is made, so that a controller that starts anew knows of it, and
//! makes it again if no answer was recorded. So a component may be called twice for the same
//! thing; it tells what it did from its state.

use std::time::Duration;

use crate::observed::Hash;
use crate::time::Timestamp;

/// How long a component that failed is left alone.
pub const AFTER_A_FAULT: Duration = Duration::from_secs(30);

/// What a component is asked to do about a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// To do it, or to go on with it.
    Run,
    /// To stop what it has not finished, as the release went on without it.
    Terminate,
    /// To undo what it did, as the release was given up.
    Abort,
}

/// How far a component is with what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It has not finished.
    Running,
    /// It is done.
    Successful,
    /// It says no.
    Failed,
    /// It could not be asked, or its answer was none; it is asked again.
    Error,
}

/// What was asked of a component about one step, and how it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The step.
    pub index: usize,
    /// The component.
    pub name: String,
    /// What it is asked to do.
    pub operation: Operation,
    /// How far it is.
    pub progress: Progress,
    /// Its last words, or what went wrong.
    pub message: String,
    /// How often it was asked, the call under way included; from 1.
    pub executions: u32,
    /// When it was asked first.
    pub started: Timestamp,
    /// When it was asked or answered last.
    pub updated: Timestamp,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// How long after [`Self::updated`] it is asked again; `None` while it is being asked, and
    /// once it ended.
    pub backoff: Option<Duration>,
    /// What it wants to be told at the next call, as JSON.
    pub state: Option<String>,
}

impl Call {
    /// The first call.
    pub fn first(index: usize, name: &str, operation: Operation, now: Timestamp) -> Self {
        Self {
            index,
            name: name.to_owned(),
            operation,
            progress: Progress::Running,
            message: String::new(),
            executions: 1,
            started: now,
            updated: now,
            finished: None,
            backoff: None,
            state: None,
        }
    }

    /// Whether it is being asked, so that an answer is missing.
    pub fn is_asked(&self) -> bool {
        self.finished.is_none() && self.backoff.is_none()
    }

    /// When it is asked again, if it is to be.
    pub fn again_at(&self) -> Option<Timestamp> {
        let backoff = self.backoff.filter(|_| self.finished.is_none())?;
        Some(self.updated.after(backoff))
    }

    /// Ask once more.
    pub(crate) fn ask_again(&mut self, now: Timestamp) {
        self.executions = self.executions.saturating_add(1);
        self.backoff = None;
        self.updated = now;
    }

    /// Whether `reply` answers it.
    pub(crate) fn is_answered_by(&self, reply: &Reply) -> bool {
        let same = (self.index, self.operation, self.executions)
            == (reply.index, reply.operation, reply.execution);
        same && self.is_asked()
    }

    /// Take an answer in.
    pub(crate) fn take(&mut self, reply: &Reply, now: Timestamp) {
        self.updated = now;
        let said = reply.message.clone().unwrap_or_default();
        let (progress, backoff, message) = match &reply.answer {
            Answer::Done => (Progress::Successful, None, said),
            Answer::Failed(why) => (Progress::Failed, None, why.clone()),
            Answer::Again(wait) => (Progress::Running, Some(*wait), said),
            Answer::Fault(why) => (Progress::Error, Some(AFTER_A_FAULT), why.clone()),
        };
        self.progress = progress;
        self.backoff = backoff;
        self.message = message;
        self.finished = backoff.is_none().then_some(now);
        // What failed left nothing behind that could replace what was known.
        if progress != Progress::Error {
            self.state.clone_from(&reply.state);
        }
    }
}

/// What came back from one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The revision that was released.
    pub hash: Hash,
    /// The step.
    pub index: usize,
    /// What was asked.
    pub operation: Operation,
    /// Which call it was, as [`Call::executions`] counted then.
    pub execution: u32,
    /// The answer.
    pub answer: Answer,
    /// For people.
    pub message: Option<String>,
    /// What the component wants to be told at the next call, as JSON.
    pub state: Option<String>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Done,
    /// The component says no, and why.
    Failed(String),
    /// It goes on, and is to be asked again after so long.
    Again(Duration),
    /// There was no answer: the component is missing, failed, or was too slow.
    Fault(String),
}
