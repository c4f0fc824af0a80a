//! Routers that are in charge no more take back what is theirs.

use std::time::Duration;

use sluice_core::Wake;
use sluice_engine::{Key, ObjectId, Version};
use sluice_port::drive;
use sluice_wire::rollout::Event;
use sluice_wire::rollout::routers::Release;

use super::through::Through;
use super::{Died, Note, Shell};

/// How soon a router that did not take back what is its is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// What came of it.
#[derive(Default)]
pub(super) struct Released {
    pub(super) wrote: Vec<(ObjectId, Version)>,
    pub(super) wake: Option<Wake>,
}

impl Shell {
    /// Let a router take back what is its. That it does not is no failure of the turn: nothing
    /// else waits for it.
    pub(super) async fn release(&mut self, key: &Key, order: &Release) -> Result<Released, Died> {
        let result = self.take_back(key, order).await?;
        let mut released = Released::default();
        let learnt = self.learnt.entry(key.clone()).or_default();
        if let Err(why) = result {
            let mut after = ASK_AGAIN;
            let before = learnt.unreleased.insert(order.router.clone(), why.clone());
            if before.as_ref() != Some(&why) {
                let message = format!("{}: {why}", order.router);
                let event = Event::warning("TrafficRoutingError", message);
                self.notes.push(Note::Announced(key.clone(), event));
                // What is waited for says so at the next look.
                after = Duration::from_secs(1);
            }
            let because = "a former router is asked again";
            released.wake = Some(Wake { at: self.now.after(after), because });
            return Ok(released);
        }
        learnt.unreleased.remove(&order.router);
        if order.lost {
            // Requests may follow what it did until now.
            self.ledger.doubt(key, self.now);
        }
        if let Some(done) = &order.done {
            match self.write(done)? {
                Ok(done) => released.wrote.extend(done),
                // It is safe to repeat.
                Err(_) => {
                    let at = self.now.after(Duration::from_secs(1));
                    released.wake = Some(Wake { at, because: "a former router is noted again" });
                }
            }
        }
        Ok(released)
    }

    /// Ask the component, and do what it answers.
    pub(super) async fn take_back(
        &mut self,
        key: &Key,
        order: &Release,
    ) -> Result<Result<(), String>, Died> {
        let components = self.components.clone();
        let access = Through::new(self.world.clone(), &*components, &order.router, &key.namespace);
        let kept: Vec<_> =
            order.kept.iter().map(|route| (route.router.as_str(), &route.routing)).collect();
        let last = (order.router.as_str(), &order.last);
        let (_, result) = drive::release(&*components, &access, last, &kept).await;
        if result.is_ok() {
            self.notes.push(Note::Released(key.clone(), order.router.clone()));
        }
        self.count_write()?;
        Ok(result.map_err(|trouble| trouble.to_string()))
    }
}
