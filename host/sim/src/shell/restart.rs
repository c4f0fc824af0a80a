//! What a restart does with pods: list them, and evict one at a time.

use sluice_engine::Key;
use sluice_wire::rollout::restart::{Look, held};

use super::{Died, HASH, Note, Shell, lock};
use crate::pods::Refused;

impl Shell {
    /// List the pods of a rollout; the next turn sees them.
    pub(super) fn look(&mut self, key: &Key, look: &Look) {
        let world = lock(&self.world);
        let sets = world.list("ReplicaSet").filter(|(place, set)| {
            place.1 == look.namespace && set["metadata"]["labels"].get(HASH).is_some()
        });
        let pods = sets.flat_map(|(place, set)| {
            let uid = set["metadata"]["uid"].as_str().unwrap_or_default();
            world.pods.objects(place, uid)
        });
        let pods: Vec<_> = pods.collect();
        let looked = look.read(&pods, self.now);
        drop(world);
        self.learnt.entry(key.clone()).or_default().pods = Some(looked);
    }

    /// Evict a pod; `false` if that failed and is to be tried again.
    pub(super) fn evict(
        &mut self,
        key: &Key,
        (namespace, pod, version): (&str, &str, &str),
    ) -> Result<bool, Died> {
        let fails = self.rng.percent(self.faults.write_failures);
        if fails && self.rng.percent(50) {
            return Ok(false);
        }
        let answer = lock(&self.world).pods.evict(namespace, pod, version);
        let learnt = self.learnt.entry(key.clone()).or_default();
        match answer {
            Ok(evicted) => {
                learnt.held = None;
                self.notes.push(Note::Evicted(evicted));
            }
            Err(Refused::Gone | Refused::Changed) => {}
            Err(Refused::Budget(why)) => learnt.held = Some(held(pod, why, self.now)),
        }
        self.count_write()?;
        Ok(!fails)
    }
}
