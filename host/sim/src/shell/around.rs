//! What stands around a rollout: workloads that lend templates, and what a rollout leaves behind.

use std::collections::BTreeSet;

use sluice_engine::{Advance, Input, Key, Turned};
use sluice_wire::rollout::workload::{Lends, Reference};
use sluice_wire::store::{Id, Touched};

use super::{Died, Shell, lock, rollout_key};
use crate::world::{ApiError, Change};

impl Shell {
    /// Let these rollouts turn: those that are there, and those of which something is left.
    pub(super) fn touch_rollouts(&mut self, rollouts: BTreeSet<Id>) {
        for (namespace, name) in rollouts {
            let hundredths = self.store.hundredths(&namespace, &name);
            let there = hundredths.is_some();
            let advance = Advance::new(hundredths.unwrap_or(0));
            let left = self.store.is_owed(&namespace, &name, "");
            let key = rollout_key(&namespace, &name);
            if there {
                self.engine.handle(Input::Advanced(key.clone(), advance), self.now);
            }
            let input = if there || left { Input::Changed(key) } else { Input::Gone(key) };
            self.engine.handle(input, self.now);
        }
    }

    /// A workload that a rollout refers to may have changed.
    pub(super) fn hear_of_lender(&mut self, change: &Change) {
        let (kind, namespace, name) = &change.place;
        let Some(kind) = Lends::ALL.into_iter().find(|lends| lends.kind().1 == kind) else {
            return;
        };
        let (namespace, name) = (namespace.clone(), name.clone());
        let reference = Reference { kind, namespace, name };
        let Touched { rollouts, .. } = self.store.lend(reference, change.object.as_deref());
        self.touch_rollouts(rollouts);
    }

    /// Read the workloads that a rollout refers to for the first time.
    pub(super) fn read_lenders(&mut self) {
        let unread = self.store.references().into_iter();
        let unread: Vec<_> = unread.filter(|one| self.store.is_unread(one)).collect();
        for reference in unread {
            let (kind, namespace, name) =
                (reference.kind.kind().1, &reference.namespace, &reference.name);
            let object = lock(&self.world).get(kind, namespace, name).cloned();
            let Touched { rollouts, .. } = self.store.lend(reference, object.as_deref());
            self.touch_rollouts(rollouts);
        }
    }

    /// Undo what is left of a rollout that is gone.
    pub(super) async fn tidy(&mut self, key: &Key) -> Result<Turned, Died> {
        let mut wrote = Vec::new();
        // The stores may show what a rollout did before they show the rollout.
        let found = lock(&self.world).get("Rollout", &key.namespace, &key.name).cloned();
        if found.is_some_and(|found| found["metadata"]["deletionTimestamp"].is_null()) {
            return Ok(Turned::Fine { wake: None, wrote, again: false });
        }
        for release in self.store.bequeathed(&key.namespace, &key.name, "") {
            if self.take_back(key, &release).await?.is_err() {
                return Ok(Turned::Failed { wrote });
            }
        }
        self.store.inherited(&key.namespace, &key.name);
        for write in self.store.remains(&key.namespace, &key.name, "") {
            match self.write(&write)? {
                Ok(done) => wrote.extend(done),
                Err(ApiError::NotFound(_)) => {}
                Err(_) => return Ok(Turned::Failed { wrote }),
            }
        }
        Ok(Turned::Fine { wake: None, wrote, again: false })
    }
}
