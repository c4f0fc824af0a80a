//! Rules of steps that others do, judged by what components were asked and answered, by the phases
//! of experiments and by what is recorded, never by what the core thinks:
//!
//! * No such step is passed before its component or its experiment said that it is done, but by a user who skips
//!   everything or by a rollback that needs no steps.
//! * What began is undone when the release is given up, the last first.
//! * Nobody is left with an experiment that goes on.

use std::collections::BTreeSet;

use serde_json::Value;
use sluice_core::called::{Answer, Operation};

use crate::shell::Note;

/// What is known of the steps of one release.
#[derive(Debug, Default)]
pub(super) struct Watch {
    hash: String,
    index: u64,
    /// The experiment that was recorded last.
    experiment: String,
    /// Whether a user skipped everything.
    skipped: bool,
    aborted: bool,
    /// Steps that began, and those of them that are done.
    begun: BTreeSet<u64>,
    done: BTreeSet<u64>,
    /// Steps that said no, so that there is nothing to undo.
    refused: BTreeSet<u64>,
    /// Steps that were to be undone since the release was given up, and those that are.
    undoing: Vec<u64>,
    undone: BTreeSet<u64>,
}

impl Watch {
    pub(super) fn promoted(&mut self, fully: bool) {
        self.skipped |= fully;
    }

    /// Look at what happened, and at the rollout as it is then. `rolls_back` says that the wanted
    /// revision is older than the stable one, and that this may make steps needless.
    pub(super) fn look(
        &mut self,
        rollout: &Value,
        rolls_back: bool,
        notes: &[Note],
        phase_of: impl Fn(&str) -> String,
        bad: &mut Vec<String>,
    ) {
        let status = |name: &str| rollout["status"][name].as_str().unwrap_or_default();
        let hash = status("currentPodHash");
        // Whoever gives up says since when; until then it is only asked for.
        let aborted = rollout["status"]["abortedAt"].is_string();
        let known = hash == self.hash;
        if !known || (self.aborted && !aborted) {
            let skipped = self.skipped && known;
            *self = Self { hash: hash.to_owned(), skipped, ..Self::default() };
        }
        self.aborted = aborted;
        for note in notes {
            self.hear(note, bad);
        }
        let steps = rollout.pointer("/spec/strategy/canary/steps").and_then(Value::as_array);
        let index = rollout["status"]["currentStepIndex"].as_u64().unwrap_or(0);
        let settled = status("stableRS") == hash;
        if !settled && !self.skipped && !rolls_back {
            for (at, step) in (self.index..index).zip(
                steps.into_iter().flatten().skip(usize::try_from(self.index).unwrap_or(usize::MAX)),
            ) {
                if step.get("plugin").is_some() && !self.done.contains(&at) {
                    bad.push(format!("steps[{at}] was passed, and its plugin has not finished"));
                }
                let phase = phase_of(&self.experiment);
                if step.get("experiment").is_some() && phase != "Successful" {
                    let name = &self.experiment;
                    bad.push(format!("steps[{at}] was passed, and {name:?} is {phase:?}"));
                }
            }
        }
        self.index = index;
        let experiment = rollout.pointer("/status/canary/currentExperiment");
        self.experiment = experiment.and_then(Value::as_str).unwrap_or_default().to_owned();
    }

    fn hear(&mut self, note: &Note, bad: &mut Vec<String>) {
        let Note::Called(_, request, reply) = note else { return };
        if request.hash.0 != self.hash {
            return;
        }
        let at = u64::from(request.call.index);
        match request.operation {
            Operation::Run => {
                self.begun.insert(at);
                match reply.answer {
                    Answer::Done => drop(self.done.insert(at)),
                    Answer::Failed(_) => drop(self.refused.insert(at)),
                    Answer::Again(_) | Answer::Fault(_) => {}
                }
            }
            Operation::Terminate => {}
            Operation::Abort => {
                let first = !self.undoing.contains(&at);
                if first && self.undoing.last().is_some_and(|last| *last < at) {
                    bad.push(format!("steps[{at}] is undone after an earlier step"));
                }
                if !self.begun.contains(&at) {
                    bad.push(format!("steps[{at}] is undone, and never began"));
                }
                self.undoing.push(at);
                if reply.answer == Answer::Done {
                    self.undone.insert(at);
                }
            }
        }
    }

    /// What is left to be undone of a release that was given up, or to be ended of the experiments
    /// that are `open`.
    pub(super) fn rest(&self, open: impl Iterator<Item = String>) -> Option<String> {
        if let Some(stray) = open.into_iter().find(|name| *name != self.experiment) {
            return Some(format!("experiment {stray} goes on, and nobody waits for it"));
        }
        let left = |at: &&u64| !self.undone.contains(at) && !self.refused.contains(at);
        let left = self.begun.iter().find(left).filter(|_| self.aborted)?;
        Some(format!("it was given up, and what steps[{left}] did was not undone"))
    }
}
