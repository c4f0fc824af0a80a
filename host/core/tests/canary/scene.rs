//! A stage for one rollout: it does what a decision orders, at once and without faults, so that a
//! test can tell a release as a story. Faults are for the swarm.

use std::num::NonZeroU32;
use std::time::Duration;

use sluice_core::observed::{Door, Former, Hash, Marks, Observed, Revision};
use sluice_core::phase::{Memory, Phase};
use sluice_core::restart::{Pod, Restart};
use sluice_core::rollout::{
    Act, Canary, Enough, Rollout, RouteChange, Routing, Scale, SpecialRoute, Step, Steps, Strategy,
    Tenure,
};
use sluice_core::traffic::{Certainty, Side, Split, Traffic};
use sluice_core::{Decision, Order, Pods, Share, Timestamp, decide};

pub fn percent(parts: u32) -> Share {
    Share::new(parts, 100).unwrap()
}

pub fn weight(parts: u32) -> Step {
    Step::of(Act::SetWeight(percent(parts)))
}

pub fn scale(scale: Scale) -> Step {
    Step { scale: Some(scale), ..Step::of(Act::Nothing) }
}

pub fn hold() -> Step {
    Step::of(Act::Pause(sluice_core::rollout::Pause::UntilPromoted))
}

/// A step that opens the header route `name`, or closes it.
pub fn header(name: &str, open: bool) -> Step {
    let route = SpecialRoute { name: name.to_owned(), mirrors: false, rule: "x-beta".to_owned() };
    let change = RouteChange { name: name.to_owned(), route: open.then_some(route) };
    Step { routes: vec![change], ..Step::of(Act::Nothing) }
}

pub struct Scene {
    pub seen: Observed,
    /// Pods of the wanted revision that come up; any number unless a test says otherwise.
    pub most_canary_pods: u32,
    /// Pods of the stable revision that come up.
    pub most_stable_pods: u32,
    /// Whether the router does what it is asked.
    pub router_works: bool,
    pub last: Option<Decision>,
    /// Every split that was asked for, in order.
    pub asked: Vec<Split>,
    /// The pods by name, where a test is about them. Who is evicted has a successor at once.
    pub pods: Vec<Pod>,
    /// Every pod that was evicted, by turns.
    pub evicted: Vec<Vec<String>>,
    /// Every size that the Deployment was given which lends its template.
    pub lent: Vec<u32>,
    /// Whether former routers take back what is theirs.
    pub router_releases: bool,
    /// Former routers that took back what was theirs.
    pub released: Vec<String>,
}

impl Scene {
    /// Ten pods of `v1`, all traffic on them, and a new template `v2`.
    pub fn update(steps: Vec<Step>, change: impl FnOnce(&mut Canary)) -> Self {
        let mut canary = Canary {
            steps: Steps::new(steps),
            max_surge: Pods(1),
            routing: Some(routing()),
            background_from: None,
            enough: Enough::All,
            ping_pong: false,
        };
        change(&mut canary);
        let mut traffic = Traffic::unknown(Timestamp(0));
        let idle = Split {
            stable: hash("v1"),
            canary: hash("v1"),
            share: Share::NONE,
            routes: Vec::new(),
            pong: false,
            additional: Vec::new(),
        };
        traffic.confirm(idle, Certainty::Converged, Timestamp(0));
        let seen = Observed {
            now: Timestamp(1_000),
            rollout: rollout(canary),
            wanted: hash("v2"),
            changed: true,
            memory: Memory { stable: Some(hash("v1")), ..Memory::default() },
            number: 1,
            revisions: vec![revision("v1", 1, 10)],
            stable_door: service("stable", "v1"),
            canary_door: service("canary", "v1"),
            traffic,
            runs: Vec::new(),
            run_names: ("step".to_owned(), "background".to_owned()),
            promotion_names: (String::new(), String::new()),
            experiments: Vec::new(),
            experiment_name: "experiment".to_owned(),
            replies: Vec::new(),
            formers: Vec::new(),
            extras: Vec::new(),
            overdue: false,
            lender: None,
            restart: Restart::default(),
        };
        Self {
            seen,
            most_canary_pods: u32::MAX,
            most_stable_pods: u32::MAX,
            router_works: true,
            last: None,
            asked: Vec::new(),
            pods: Vec::new(),
            evicted: Vec::new(),
            lent: Vec::new(),
            released: Vec::new(),
            router_releases: true,
        }
    }

    /// Decide and do until nothing changes any more.
    pub fn rest(&mut self) -> &mut Self {
        for _ in 0..100 {
            let before = self.seen.clone();
            self.turn();
            let after = Observed { now: before.now, ..self.seen.clone() };
            if after == before {
                return self;
            }
        }
        panic!("it does not come to rest: {:?}", self.last);
    }

    /// One decision, and what follows from it at once.
    pub fn turn(&mut self) {
        let decision = decide(&self.seen);
        self.evict(&decision.orders);
        for order in &decision.orders {
            self.perform(order);
        }
        if decision.memory.pong != self.seen.memory.pong {
            std::mem::swap(&mut self.seen.stable_door, &mut self.seen.canary_door);
        }
        self.seen.memory = decision.memory.clone();
        self.seen.changed = false;
        self.seen.traffic = self.seen.traffic.clone().seen_from(decision.memory.pong);
        self.seen.now = self.seen.now.after(Duration::from_secs(60));
        self.come_up();
        self.last = Some(decision);
    }

    fn perform(&mut self, order: &Order) {
        match order {
            Order::Create { hash, number, to, .. } => {
                let mut made = revision(&hash.0, *number, to.0);
                made.available = Pods::ZERO;
                self.seen.revisions.push(made);
            }
            Order::Scale { hash, to, .. } => {
                let fleet = self.seen.rollout.replicas;
                let revision = self.revision(&hash.0);
                revision.wanted = *to;
                revision.noted = Some(fleet);
            }
            Order::Switch { side, hash } => {
                let door = match side {
                    Side::Stable => &mut self.seen.stable_door,
                    Side::Canary => &mut self.seen.canary_door,
                };
                if let Door::Service { selects, .. } = door {
                    *selects = Some(hash.clone());
                }
            }
            Order::Shift { to } => {
                self.asked.push(to.clone());
                self.seen.traffic.asked(to.clone());
                if self.router_works {
                    let now = self.seen.now;
                    self.seen.traffic.confirm(to.clone(), Certainty::Converged, now);
                }
            }
            Order::Leave { lost } => {
                let (router, lost) = ("former".to_owned(), lost.clone());
                self.seen.formers.push(Former {
                    router,
                    lost,
                    trouble: None,
                    names_revisions: false,
                    over: None,
                });
                self.seen.traffic = Traffic::unknown(self.seen.now);
                self.tenure(Tenure::Stays);
            }
            Order::Release { .. } if !self.router_releases => {}
            Order::Release { index, .. } => {
                self.released.push(self.seen.formers.remove(*index).router);
            }
            Order::NumberRollout { number } => self.seen.number = *number,
            Order::Number { hash, number } => self.revision(&hash.0).number = *number,
            Order::Deadline { hash, at } => self.revision(&hash.0).deadline = *at,
            Order::LookAtPods => self.seen.restart.pods = Some(self.pods.clone()),
            Order::TakeOver { before } => {
                self.seen.lender.as_mut().unwrap().before = Some(*before);
            }
            Order::ScaleLender { to, .. } => {
                self.lent.push(to.0);
                self.seen.lender.as_mut().unwrap().wanted = *to;
            }
            Order::GiveBack { to } => {
                let lender = self.seen.lender.as_mut().unwrap();
                (lender.wanted, lender.before) = (*to, None);
            }
            Order::Evict { .. }
            | Order::StartRun { .. }
            | Order::StopRun { .. }
            | Order::StartExperiment { .. }
            | Order::StopExperiment { .. }
            | Order::DeleteExperiment { .. }
            | Order::CallStep { .. }
            | Order::DeleteRevision { .. }
            | Order::DeleteRun { .. }
            | Order::Refresh { .. }
            | Order::Avoid { .. }
            | Order::Mark { .. }
            | Order::MarkPods { .. } => {}
        }
    }

    /// Whether the user still names the routing.
    pub fn tenure(&mut self, tenure: Tenure) {
        let Strategy::Canary(canary) = &mut self.seen.rollout.strategy else { return };
        canary.routing.as_mut().unwrap().tenure = tenure;
    }

    fn evict(&mut self, orders: &[Order]) {
        let evicted = orders.iter().filter_map(|order| match order {
            Order::Evict { pod, .. } => Some(pod.clone()),
            _ => None,
        });
        let evicted: Vec<_> = evicted.collect();
        if evicted.is_empty() {
            return;
        }
        for pod in self.pods.iter_mut().filter(|pod| evicted.contains(&pod.name)) {
            (pod.name, pod.created) = (format!("{}-again", pod.name), self.seen.now);
            pod.available = true;
        }
        self.seen.restart.pods = None;
        self.evicted.push(evicted);
    }

    fn come_up(&mut self) {
        let (wanted, stable) = (self.seen.wanted.clone(), self.seen.memory.stable.clone());
        for revision in &mut self.seen.revisions {
            let most = if revision.hash == wanted {
                self.most_canary_pods
            } else if Some(&revision.hash) == stable.as_ref() {
                self.most_stable_pods
            } else {
                u32::MAX
            };
            revision.current = revision.wanted;
            revision.available = Pods(revision.wanted.0.min(most));
        }
    }

    fn revision(&mut self, name: &str) -> &mut Revision {
        self.seen.revisions.iter_mut().find(|revision| revision.hash.0 == name).unwrap()
    }

    /// What a client does with `kubectl argo rollouts promote`.
    pub fn promote(&mut self) -> &mut Self {
        if let Phase::Stepping { index, .. } = self.seen.memory.phase {
            let hold = sluice_core::phase::Hold::Resumed;
            self.seen.memory.phase = Phase::Stepping { index, hold };
        }
        self.rest()
    }

    /// What a client does with `kubectl argo rollouts abort`.
    pub fn abort(&mut self) -> &mut Self {
        self.seen.memory.phase = Phase::Aborted { since: self.seen.now, why: None };
        self.rest()
    }

    /// The user writes another template.
    pub fn release(&mut self, name: &str) -> &mut Self {
        self.seen.wanted = hash(name);
        self.seen.changed = true;
        self.rest()
    }

    pub fn pods(&self, name: &str) -> u32 {
        let found = self.seen.revisions.iter().find(|revision| revision.hash.0 == name);
        found.map_or(0, |revision| revision.wanted.0)
    }

    /// The confirmed split: the canary's percentage, and what the two Services select.
    pub fn traffic(&self) -> (u32, &str, &str) {
        let split = self.seen.traffic.confirmed().expect("a split is confirmed");
        let selected = |door| match door {
            &Door::Service { selects: Some(ref hash), .. } => hash.0.as_str(),
            _ => "",
        };
        let share = split.share.parts_of(NonZeroU32::new(100).unwrap());
        (share, selected(&self.seen.stable_door), selected(&self.seen.canary_door))
    }

    pub fn routes(&self) -> Vec<&str> {
        let split = self.seen.traffic.confirmed().expect("a split is confirmed");
        split.routes.iter().map(|route| route.name.as_str()).collect()
    }

    pub fn waits(&self) -> String {
        let waiting = self.last.as_ref().and_then(|decision| decision.waiting.as_ref());
        waiting.map_or_else(String::new, ToString::to_string)
    }
}

pub fn hash(name: &str) -> Hash {
    Hash(name.to_owned())
}

fn revision(name: &str, number: u32, pods: u32) -> Revision {
    Revision {
        hash: hash(name),
        number,
        wanted: Pods(pods),
        current: Pods(pods),
        available: Pods(pods),
        noted: Some(Pods(10)),
        deadline: None,
        created: Timestamp(u64::from(number)),
        settled: true,
        current_notes: true,
        marks: Marks { stable: true, canary: true, pods_lag: false },
        avoids: None,
    }
}

fn service(name: &str, selects: &str) -> Door {
    Door::Service { name: name.to_owned(), selects: Some(hash(selects)), adopted: true }
}

fn routing() -> Routing {
    Routing {
        whole: NonZeroU32::new(100).unwrap(),
        scale_down_delay: Duration::from_secs(30),
        scale_down_delay_revisions: None,
        abort_scale_down_delay: Some(Duration::from_secs(30)),
        drain: Duration::from_secs(5),
        dynamic_stable: false,
        min_pods: Pods(0),
        tenure: Tenure::Stays,
    }
}

fn rollout(canary: Canary) -> Rollout {
    Rollout {
        replicas: Pods(10),
        paused: false,
        abort_when_overdue: false,
        history_limit: 10,
        rollback_window: None,
        keeps_apart: false,
        run_limits: (5, 5),
        max_unavailable: Pods(2),
        strategy: Strategy::Canary(canary),
    }
}
