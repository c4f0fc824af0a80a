//! The steps of a canary: what each asks for, and what holds at a place in their list.

use std::time::Duration;

use crate::quantity::{Pods, Share};

/// One step of a canary.
///
/// What it says about the canary's size and about routes holds from this step on, until a later
/// step says something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is done at this step.
    pub act: Act,
    /// What it says about the canary's size.
    pub scale: Option<Scale>,
    /// The routes that it makes or takes back.
    pub routes: Vec<RouteChange>,
}

impl Step {
    /// A step that does `act` and says nothing else.
    pub fn of(act: Act) -> Self {
        Self { act, scale: None, routes: Vec::new() }
    }
}

/// What is done at a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Give the canary this share.
    SetWeight(Share),
    /// Wait.
    Pause(Pause),
    /// Run an analysis to its end.
    Analysis,
    /// Run an experiment to its end.
    Experiment,
    /// Let the component of this name do it.
    Plugin(String),
    /// Nothing: the step is about the canary's size or about routes alone.
    Nothing,
}

/// What a step says about the canary's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// This many pods, whatever the fleet's size.
    Replicas(Pods),
    /// The pods of this share, whatever share of the traffic the canary has.
    Weight(Share),
    /// As many as its traffic needs, which is so without any word too.
    MatchTraffic,
}

/// A route that some requests take whatever the weights say: to the canary alone, or, as copies,
/// to the canary as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecialRoute {
    /// Its name, one of the managed routes.
    pub name: String,
    /// Whether it copies requests; else it sends them.
    pub mirrors: bool,
    /// Which requests: told apart here, and understood by routers.
    pub rule: String,
}

/// What a step does to the route of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteChange {
    /// The name.
    pub name: String,
    /// The route from now on; `None` takes it back.
    pub route: Option<SpecialRoute>,
}

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// This long.
    For(Duration),
    /// Until somebody promotes.
    UntilPromoted,
}

/// The list of steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps(Vec<Step>);

/// What is at a place in a list of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position<'s> {
    /// A step.
    At(&'s Step),
    /// The end of the list.
    Past,
}

impl<'s> Position<'s> {
    /// What is done here; nothing past the end.
    pub fn act(self) -> &'s Act {
        match self {
            Self::At(step) => &step.act,
            Self::Past => &Act::Nothing,
        }
    }
}

impl Steps {
    /// No steps.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// In the order in which they are taken.
    pub fn new(steps: Vec<Step>) -> Self {
        Self(steps)
    }

    /// How many there are; as an index, the place past the last.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is at `index`; an index beyond the end is past it.
    pub fn position(&self, index: usize) -> Position<'_> {
        self.0.get(index).map_or(Position::Past, Position::At)
    }

    /// The last weight set at or before `index`; nothing if none was, everything past the end.
    pub fn share_at(&self, index: usize) -> Share {
        if index >= self.0.len() {
            return Share::ALL;
        }
        self.last_set(index + 1)
    }

    /// The last weight set before `index`; nothing if none was.
    pub fn share_before(&self, index: usize) -> Share {
        self.last_set(index)
    }

    /// Every weight that is set anywhere.
    pub fn shares(&self) -> impl Iterator<Item = Share> {
        self.0.iter().filter_map(weight)
    }

    /// What was said last, at or before `index`, about the canary's size, and at which step.
    /// `None` while it follows the traffic, and past the end.
    pub fn scale_at(&self, index: usize) -> Option<(usize, Scale)> {
        self.0.get(index)?;
        let said = |(at, step): (usize, &Step)| Some((at, step.scale?));
        let last = self.reached(index + 1).iter().enumerate().rev().find_map(said)?;
        match last.1 {
            Scale::Replicas(_) | Scale::Weight(_) => Some(last),
            Scale::MatchTraffic => None,
        }
    }

    /// The routes made before `index` and not taken back since, by name.
    pub fn routes_before(&self, index: usize) -> Vec<SpecialRoute> {
        let changes = self.reached(index).iter().flat_map(|step| &step.routes);
        let mut routes: Vec<SpecialRoute> = Vec::new();
        for change in changes {
            routes.retain(|route| route.name != change.name);
            routes.extend(change.route.clone());
        }
        routes.sort_by(|a, b| a.name.cmp(&b.name));
        routes
    }

    /// The routes made at or before `index` and not taken back since, by name.
    pub fn routes_at(&self, index: usize) -> Vec<SpecialRoute> {
        self.routes_before(index.saturating_add(1))
    }

    fn last_set(&self, end: usize) -> Share {
        self.reached(end).iter().rev().find_map(weight).unwrap_or(Share::NONE)
    }

    fn reached(&self, end: usize) -> &[Step] {
        &self.0[..end.min(self.0.len())]
    }
}

fn weight(step: &Step) -> Option<Share> {
    match step.act {
        Act::SetWeight(share) => Some(share),
        Act::Pause(_) | Act::Analysis | Act::Experiment | Act::Plugin(_) | Act::Nothing => None,
    }
}
