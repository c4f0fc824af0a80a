//! Experiments, as the Kubernetes shell runs them.

use std::collections::BTreeSet;

use sluice_engine::{Input, Key, Kind, Turned};
use sluice_wire::experiment::{Turn, turn};
use sluice_wire::rollout::Verb;
use sluice_wire::store::Id;

use super::{ApiError, Died, Note, Shell};

impl Shell {
    pub(super) fn touch_experiments(&mut self, experiments: BTreeSet<Id>) {
        for (namespace, name) in experiments {
            let there = self.store.has_experiment(&namespace, &name);
            let key = Key { kind: Kind::Experiment, namespace, name };
            if !there {
                self.made.remove(&key);
            }
            let input = if there { Input::Changed(key) } else { Input::Gone(key) };
            self.engine.handle(input, self.now);
        }
    }

    /// What an experiment decides now, without doing it: for idempotence.
    pub fn peek_experiment(&self, namespace: &str, name: &str) -> Option<Turn> {
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        self.decide_experiment(&Key { kind: Kind::Experiment, namespace, name })
    }

    fn decide_experiment(&self, key: &Key) -> Option<Turn> {
        let (namespace, name) = (&key.namespace, &key.name);
        let traffic = |namespace: &str, name: &str| {
            self.ledger.traffic(&super::rollout_key(namespace, name), self.now)
        };
        let objects = self.store.collect_experiment(namespace, name, "", self.now, traffic);
        let mut objects = objects?;
        if let Some(learnt) = self.made.get(key) {
            objects.learnt.taken.extend(learnt.taken.iter().cloned());
        }
        Some(turn(&objects))
    }

    pub(super) fn experiment_turn(&mut self, key: &Key) -> Result<Turned, Died> {
        let nothing = Turned::Fine { wake: None, wrote: Vec::new(), again: false };
        let plan = self.decide_experiment(key).filter(|_| self.runs_experiments);
        let Some(plan) = plan else { return Ok(nothing) };
        let mut wrote = Vec::new();
        if let Some(record) = &plan.record {
            match self.write(record)? {
                Ok(done) => wrote.extend(done),
                Err(_) => return Ok(Turned::Failed { wrote }),
            }
        }
        for event in plan.events {
            self.notes.push(Note::Announced(key.clone(), event));
        }
        let mut failed = false;
        for (_, write) in plan.effects {
            match self.write(&write)? {
                Ok(done) => wrote.extend(done),
                Err(error) => {
                    failed = true;
                    if write.verb == Verb::Create && matches!(error, ApiError::Exists(_)) {
                        let taken = (write.target.kind.to_owned(), write.target.name.clone());
                        self.made.entry(key.clone()).or_default().taken.insert(taken);
                    }
                }
            }
        }
        if failed {
            return Ok(Turned::Failed { wrote });
        }
        Ok(Turned::Fine { wake: plan.wake, wrote, again: plan.record.is_some() })
    }
}
