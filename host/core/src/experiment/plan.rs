//! Orders, and the only way to those that take something away.

use super::evidence::{Closed, Spare};
use crate::quantity::Pods;
use crate::time::Timestamp;

/// What the shell is to do, once the status is recorded. Versions and analyses are told by their
/// index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Make the ReplicaSet of a version.
    CreateSet {
        /// The version.
        template: usize,
        /// How many pods it gets.
        to: Pods,
    },
    /// Make the Service of a version.
    CreateService {
        /// The version.
        template: usize,
    },
    /// Give a version another number of pods.
    Scale {
        /// The version.
        template: usize,
        /// How many it is to have now.
        from: Pods,
        /// How many it is to have then.
        to: Pods,
    },
    /// Note when a version is to lose its pods.
    Deadline {
        /// The version.
        template: usize,
        /// When; `None` if it is not to lose them.
        at: Option<Timestamp>,
    },
    /// Delete the Service of a version.
    DeleteService {
        /// The version.
        template: usize,
    },
    /// Begin an analysis.
    StartRun {
        /// Which.
        analysis: usize,
    },
    /// Tell the run of an analysis to end.
    StopRun {
        /// Which.
        analysis: usize,
    },
}

/// Orders under way. What takes pods or a Service away goes in by its evidence alone.
#[derive(Debug, Default)]
pub(super) struct Plan<'o> {
    orders: Vec<Order>,
    shrink: Vec<Spare<'o>>,
    close: Vec<Closed<'o>>,
}

impl<'o> Plan<'o> {
    /// An order that harms nobody; one that could is left out.
    pub fn add(&mut self, order: Order) {
        let harmless = match &order {
            Order::Scale { from, to, .. } => to > from,
            Order::DeleteService { .. } => false,
            Order::CreateSet { .. }
            | Order::CreateService { .. }
            | Order::Deadline { .. }
            | Order::StartRun { .. }
            | Order::StopRun { .. } => true,
        };
        if harmless {
            self.orders.push(order);
        }
    }

    pub fn shrink(&mut self, spare: Spare<'o>) {
        self.shrink.push(spare);
    }

    pub fn close(&mut self, closed: Closed<'o>) {
        self.close.push(closed);
    }

    pub fn seal(self) -> Vec<Order> {
        let shrink = self.shrink.into_iter().map(|spare| {
            let (template, from, to) = spare.parts();
            Order::Scale { template, from, to }
        });
        let close = self.close.into_iter();
        let close = close.map(|closed| Order::DeleteService { template: closed.parts().0 });
        self.orders.into_iter().chain(shrink).chain(close).collect()
    }
}
