//! Where traffic may be going: what was confirmed, and every doubt since.
//!
//! A router is asked for a split and answers later, or never. Until it confirms, the old split
//! and everything asked for since may be live; asking again does not take back the first ask.
//! So doubt only grows, until a confirmation ends it.

use std::time::Duration;

use crate::observed::Hash;
use crate::quantity::Share;
use crate::steps::SpecialRoute;
use crate::time::Timestamp;

/// One complete routing: which revisions stand behind the two destinations, and the canary's
/// share. The stable share is what is left, so that they cannot disagree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The revision behind the stable destination.
    pub stable: Hash,
    /// The revision behind the canary destination.
    pub canary: Hash,
    /// The canary destination's share.
    pub share: Share,
    /// Routes to the canary destination besides its share, by name.
    pub routes: Vec<SpecialRoute>,
    /// Whether the stable destination is the second of two ping-pong Services.
    pub pong: bool,
    /// What goes to pods of an experiment instead of the stable destination, by Service.
    pub additional: Vec<Additional>,
}

/// A destination beside the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Additional {
    /// Its Service.
    pub service: String,
    /// The hash label of its pods, which are none of the rollout's.
    pub hash: Hash,
    /// Its share of all traffic.
    pub share: Share,
}

/// Which destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The destination of the stable revision.
    Stable,
    /// The destination of the revision under test.
    Canary,
}

impl Side {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Stable, Self::Canary];
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Stable => "stable",
            Self::Canary => "canary",
        })
    }
}

impl Split {
    /// The share of one side.
    pub fn share_of(&self, side: Side) -> Share {
        match side {
            Side::Stable => self.without_additional(self.share.rest()),
            Side::Canary => self.share,
        }
    }

    /// What is left of a share without that of the additional destinations.
    pub(crate) fn without_additional(&self, share: Share) -> Share {
        self.additional.iter().fold(share, |left, one| left.less(one.share))
    }

    /// What goes to the additional destination with this Service.
    pub(crate) fn share_of_additional(&self, service: &str) -> Share {
        let found = self.additional.iter().find(|one| one.service == service);
        found.map_or(Share::NONE, |one| one.share)
    }

    /// The revision behind one side.
    pub fn hash_of(&self, side: Side) -> &Hash {
        match side {
            Side::Stable => &self.stable,
            Side::Canary => &self.canary,
        }
    }

    /// The same routing, told with the stable destination where it is now. `None` where it cannot
    /// be told so: special routes lead to the canary's destination only.
    pub fn seen_from(self, pong: bool) -> Option<Self> {
        if self.pong == pong {
            return Some(self);
        }
        let share = self.share_of(Side::Stable);
        self.routes.is_empty().then(|| Self {
            stable: self.canary,
            canary: self.stable,
            share,
            routes: Vec::new(),
            pong,
            additional: self.additional,
        })
    }
}

/// How sure a confirmation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// The data plane said so.
    Converged,
    /// The objects say so, and nothing can tell more: for the length of the drain delay requests
    /// may still follow what was live before.
    Written,
}

/// Everything known about the traffic of one rollout. The engine keeps it in memory and never
/// stores it: after a restart it is [`Traffic::unknown`] until the router has verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Every split that may be live. Empty means: any.
    live: Vec<Split>,
    confirmed: bool,
    certainty: Certainty,
    /// Since when what is live has been so.
    since: Timestamp,
    /// Why the router's last answer was not a confirmation.
    trouble: Option<Trouble>,
    /// How often it failed since it did something else.
    failures: u32,
    /// Whether a router that nobody can tell anything may send requests too.
    beyond: bool,
}

/// Why a router has not confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// In words that name the object and the fix.
    pub why: String,
    /// Whether what the user asked for cannot be done: no further try helps until the user, or
    /// an object that the user named, changes.
    pub refused: bool,
    /// Whether it did what it was asked for, and the data plane has yet to take that up.
    pub awaited: bool,
}

impl Traffic {
    /// Anything may be live.
    pub fn unknown(now: Timestamp) -> Self {
        Self {
            live: Vec::new(),
            confirmed: false,
            certainty: Certainty::Written,
            since: now,
            trouble: None,
            failures: 0,
            beyond: false,
        }
    }

    /// What is true once the router has been asked for `to`.
    pub fn asked(&mut self, to: Split) {
        self.confirmed = false;
        // An empty list already means that anything may be live.
        if !self.live.is_empty() && !self.live.contains(&to) {
            self.live.push(to);
        }
    }

    /// What is true once the router has confirmed `to`, which must be what it was asked for
    /// last: the engine has at most one routing under way.
    pub fn confirm(&mut self, to: Split, certainty: Certainty, now: Timestamp) {
        if self.live.as_slice() != [to.clone()] {
            self.since = now;
            self.certainty = certainty;
        }
        if certainty == Certainty::Converged {
            self.certainty = certainty;
        }
        self.live = vec![to];
        self.confirmed = true;
        self.trouble = None;
        self.failures = 0;
    }

    /// The router's last answer was not a confirmation.
    pub fn trouble(&mut self, trouble: Trouble) {
        self.confirmed = false;
        self.failures = if trouble.awaited { 0 } else { self.failures.saturating_add(1) };
        self.trouble = Some(trouble);
    }

    /// A router that was in charge can be told nothing any more, so that requests may take any
    /// way through its destinations.
    pub fn beyond_control(&mut self) {
        self.beyond = true;
    }

    /// Somebody else may have changed the routing's objects, so any split may be live.
    pub fn doubt(&mut self, now: Timestamp) {
        let failures = self.failures;
        *self = Self { trouble: self.trouble.take(), failures, ..Self::unknown(now) };
    }

    /// The same, told with the stable destination where it is now: two ping-pong Services change
    /// sides without any request taking another way.
    pub fn seen_from(mut self, pong: bool) -> Self {
        let live: Option<Vec<_>> = self.live.drain(..).map(|split| split.seen_from(pong)).collect();
        self.confirmed &= live.is_some();
        self.live = live.unwrap_or_default();
        self
    }

    /// The split that is live for certain.
    pub fn confirmed(&self) -> Option<&Split> {
        if self.confirmed { self.live.first() } else { None }
    }

    /// Whether the data plane itself confirmed what is live; `None` if it cannot tell.
    pub fn verified(&self) -> Option<bool> {
        match self.certainty {
            Certainty::Converged => Some(self.confirmed),
            Certainty::Written => None,
        }
    }

    /// Every split that may be live; `None` if that may be any.
    pub fn possible(&self) -> Option<&[Split]> {
        if self.live.is_empty() || self.beyond { None } else { Some(&self.live) }
    }

    /// How often the router failed since it did something else.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Why the router's last answer was not a confirmation.
    pub fn last_trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// The most that `side` may be receiving now.
    pub fn worst(&self, side: Side) -> Share {
        let shares = self.possible().unwrap_or_default().iter();
        shares.map(|split| split.share_of(side)).max().unwrap_or(Share::ALL)
    }

    /// Until when requests may follow what was live before the last confirmation.
    pub fn drained_at(&self, drain: Duration) -> Timestamp {
        match self.certainty {
            Certainty::Converged => self.since,
            Certainty::Written => self.since.after(drain),
        }
    }
}
