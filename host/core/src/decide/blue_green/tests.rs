//! Scenarios: a fleet of four, whose first version is in use.

use std::time::Duration;

use super::*;
use crate::observed::{Hash, Marks, Revision, Run};
use crate::phase::Memory;
use crate::plan::Order;
use crate::rollout::{Rollout, Strategy};
use crate::time::Timestamp;
use crate::traffic::Traffic;
use crate::{Decision, decide};

const FLEET: Pods = Pods(4);

fn plain() -> BlueGreen {
    BlueGreen {
        preview_replicas: None,
        promotion: Promotion::AtOnce,
        pre_analysis: false,
        post_analysis: false,
        scale_down_delay: Duration::from_secs(30),
        scale_down_delay_revisions: None,
        keep_until_proven: false,
        abort_scale_down_delay: Some(Duration::from_secs(30)),
    }
}

fn hash(name: &str) -> Hash {
    Hash(name.to_owned())
}

/// A cluster in which orders are carried out at once, and pods come when told.
struct Stage(Observed);

impl Stage {
    /// Version `v1` is in use, all of it.
    fn new(strategy: BlueGreen) -> Self {
        let mut stage = Self::empty(strategy);
        stage.update("v1");
        stage.ready("v1");
        stage
    }

    fn empty(strategy: BlueGreen) -> Self {
        let now = Timestamp(1_000_000);
        let door = |name: &str| Door::Service { name: name.into(), selects: None, adopted: false };
        Self(Observed {
            now,
            rollout: Rollout {
                replicas: FLEET,
                paused: false,
                abort_when_overdue: false,
                history_limit: 10,
                rollback_window: None,
                keeps_apart: false,
                run_limits: (5, 5),
                max_unavailable: Pods(1),
                strategy: Strategy::BlueGreen(strategy),
            },
            wanted: hash("none"),
            changed: false,
            memory: Memory::default(),
            number: 0,
            revisions: Vec::new(),
            stable_door: door("active"),
            canary_door: door("preview"),
            traffic: Traffic::unknown(now),
            runs: Vec::new(),
            run_names: (String::new(), String::new()),
            promotion_names: ("pre.0".into(), "post.0".into()),
            experiments: Vec::new(),
            experiment_name: String::new(),
            replies: Vec::new(),
            formers: Vec::new(),
            extras: Vec::new(),
            overdue: false,
            lender: None,
            restart: crate::restart::Restart::default(),
        })
    }

    fn set(&mut self, name: &str) -> &mut Revision {
        self.0.revisions.iter_mut().find(|set| set.hash.0 == name).unwrap()
    }

    fn pods(&self, name: &str) -> u32 {
        self.0.revision(&hash(name)).map_or(0, |set| set.wanted.0)
    }

    fn selected(&self) -> (&str, &str) {
        let of = |side| self.0.selected(side).map_or("", |hash| hash.0.as_str());
        (of(Side::Stable), of(Side::Canary))
    }

    /// Decide once, and do what was decided.
    fn look(&mut self) -> Decision {
        let decision = decide(&self.0);
        self.0.memory = decision.memory.clone();
        self.0.changed = false;
        for order in decision.orders.clone() {
            self.perform(order);
        }
        decision
    }

    fn perform(&mut self, order: Order) {
        let now = self.0.now;
        match order {
            Order::Create { hash, number, to, .. } => self.0.revisions.push(Revision {
                hash,
                number,
                wanted: to,
                current: to,
                available: Pods::ZERO,
                noted: Some(self.0.rollout.replicas),
                deadline: None,
                created: now,
                settled: true,
                current_notes: true,
                marks: Marks { stable: true, canary: true, pods_lag: false },
                avoids: None,
            }),
            Order::Refresh { .. }
            | Order::Avoid { .. }
            | Order::Mark { .. }
            | Order::StartExperiment { .. }
            | Order::StopExperiment { .. }
            | Order::DeleteExperiment { .. }
            | Order::CallStep { .. }
            | Order::MarkPods { .. }
            | Order::LookAtPods
            | Order::TakeOver { .. }
            | Order::ScaleLender { .. }
            | Order::GiveBack { .. }
            | Order::Evict { .. } => {}
            Order::Number { hash, number } => self.set(&hash.0).number = number,
            Order::NumberRollout { number } => self.0.number = number,
            Order::Scale { hash, to, .. } => {
                let noted = Some(self.0.rollout.replicas);
                let set = self.set(&hash.0);
                (set.wanted, set.current, set.noted) = (to, to, noted);
                set.available = set.available.min(to);
                if to == Pods::ZERO {
                    set.deadline = None;
                }
            }
            Order::Deadline { hash, at } => self.set(&hash.0).deadline = at,
            Order::Switch { side, hash } => {
                let name = self.0.service(side).to_owned();
                let door = Door::Service { name, selects: Some(hash), adopted: true };
                match side {
                    Side::Stable => self.0.stable_door = door,
                    Side::Canary => self.0.canary_door = door,
                }
            }
            Order::StartRun { name, purpose } => {
                self.0.runs.push(Run {
                    name,
                    purpose: Some(purpose),
                    phase: RunPhase::Running,
                    message: String::new(),
                    hash: self.0.wanted.clone(),
                    created: now,
                    terminating: false,
                });
                let names = &mut self.0.promotion_names;
                let next = self.0.runs.len();
                *names = (format!("pre.{next}"), format!("post.{next}"));
            }
            Order::StopRun { name } => {
                let run = self.0.runs.iter_mut().find(|run| run.name == name).unwrap();
                (run.terminating, run.phase) = (true, RunPhase::Successful);
            }
            Order::DeleteRevision { hash } => self.0.revisions.retain(|set| set.hash != hash),
            Order::DeleteRun { name } => self.0.runs.retain(|run| run.name != name),
            Order::Shift { .. } | Order::Leave { .. } | Order::Release { .. } => panic!(),
        }
    }

    /// Look until nothing happens any more.
    fn rest(&mut self) -> Option<Waiting> {
        for _ in 0..20 {
            let before = self.0.memory.clone();
            let decision = self.look();
            if decision.orders.is_empty() && decision.memory == before {
                return decision.waiting;
            }
        }
        panic!("it never comes to rest: {:?}", self.0.memory);
    }

    fn update(&mut self, name: &str) -> Option<Waiting> {
        self.0.now = self.0.now.after(Duration::from_secs(1));
        self.0.wanted = hash(name);
        self.0.changed = true;
        self.rest()
    }

    /// All pods of this version become available.
    fn ready(&mut self, name: &str) -> Option<Waiting> {
        // Its pods may have to become more, and those come as well.
        for _ in 0..2 {
            let set = self.set(name);
            set.available = set.wanted;
            self.rest();
        }
        self.rest()
    }

    fn after(&mut self, seconds: u64) -> Option<Waiting> {
        self.0.now = self.0.now.after(Duration::from_secs(seconds));
        self.rest()
    }

    /// The newest run ends.
    fn measured(&mut self, phase: RunPhase) -> Option<Waiting> {
        let run = self.0.runs.last_mut().unwrap();
        (run.phase, run.message) = (phase, "it was 7".into());
        self.rest()
    }

    fn say(&mut self, phase: Phase) -> Option<Waiting> {
        self.0.memory.phase = phase;
        self.rest()
    }

    fn abort(&mut self) -> Option<Waiting> {
        self.say(Phase::Aborted { since: self.0.now, why: None })
    }

    fn resume(&mut self) -> Option<Waiting> {
        match self.0.memory.phase.clone() {
            Phase::Previewing { .. } => self.say(Phase::Previewing { hold: Hold::Resumed }),
            phase => self.say(match phase {
                Phase::Promoting { full, .. } => Phase::Promoting { full, hold: Hold::Resumed },
                other => other,
            }),
        }
    }
}

#[test]
fn a_first_version_is_in_use_once_all_its_pods_are_there() {
    let mut stage = Stage::empty(plain());
    stage.update("v1");
    assert_eq!(stage.0.memory.stable, Some(hash("v1")));
    assert_eq!((stage.pods("v1"), stage.selected()), (4, ("", "v1")));
    stage.set("v1").available = Pods(3);
    let waiting = stage.rest().unwrap();
    assert_eq!(waiting.to_string(), "pods of v1: 3 of 4 are available");
    assert_eq!(stage.selected().0, "");
    stage.ready("v1");
    assert_eq!(stage.selected(), ("v1", "v1"));
    assert_eq!(stage.rest(), None);
}

#[test]
fn an_update_is_shown_at_once_and_used_once_it_is_whole() {
    let mut stage = Stage::new(plain());
    stage.update("v2");
    assert_eq!((stage.pods("v2"), stage.selected()), (4, ("v1", "v2")));
    stage.set("v2").available = Pods(3);
    stage.rest();
    assert_eq!(stage.selected(), ("v1", "v2"));
    stage.ready("v2");
    assert_eq!(stage.selected(), ("v2", "v2"));
    assert_eq!(stage.0.memory.stable, Some(hash("v2")));
    assert_eq!(stage.pods("v1"), 4, "users had it a moment ago");
    stage.after(29);
    assert_eq!(stage.pods("v1"), 4);
    stage.after(1);
    assert_eq!(stage.pods("v1"), 0);
    assert_eq!(stage.rest(), None);
}

#[test]
fn a_preview_lasts_until_somebody_promotes() {
    let mut stage = Stage::new(BlueGreen { promotion: Promotion::ByUser, ..plain() });
    stage.update("v2");
    assert_eq!(stage.ready("v2"), Some(Waiting::Preview(None)));
    assert_eq!(stage.after(100_000), Some(Waiting::Preview(None)));
    assert_eq!(stage.selected(), ("v1", "v2"));
    stage.resume();
    assert_eq!(stage.selected(), ("v2", "v2"));
}

#[test]
fn a_promotion_said_while_pods_are_missing_is_not_forgotten() {
    let mut stage = Stage::new(BlueGreen { promotion: Promotion::ByUser, ..plain() });
    stage.update("v2");
    stage.ready("v2");
    stage.set("v2").available = Pods(2);
    stage.resume();
    assert_eq!(stage.selected(), ("v1", "v2"));
    stage.ready("v2");
    assert_eq!(stage.selected(), ("v2", "v2"));
}

#[test]
fn the_time_of_a_preview_begins_when_it_was_proved() {
    let promotion = Promotion::After(Duration::from_secs(60));
    let mut stage = Stage::new(BlueGreen { promotion, pre_analysis: true, ..plain() });
    stage.update("v2");
    let waiting = stage.ready("v2");
    assert_eq!(waiting, Some(Waiting::Analysis("pre.0".into())));
    stage.after(300);
    let until = stage.0.now.after(Duration::from_secs(60));
    assert_eq!(stage.measured(RunPhase::Successful), Some(Waiting::Preview(Some(until))));
    stage.after(59);
    assert_eq!(stage.selected(), ("v1", "v2"));
    stage.after(1);
    assert_eq!(stage.selected(), ("v2", "v2"));
}

#[test]
fn a_small_preview_becomes_a_whole_fleet_before_it_is_used() {
    let strategy =
        BlueGreen { preview_replicas: Some(Pods(1)), promotion: Promotion::ByUser, ..plain() };
    let mut stage = Stage::new(strategy);
    stage.update("v2");
    stage.ready("v2");
    assert_eq!(stage.pods("v2"), 1);
    stage.resume();
    assert_eq!((stage.pods("v2"), stage.selected()), (4, ("v1", "v2")));
    stage.ready("v2");
    assert_eq!(stage.selected(), ("v2", "v2"));
}

#[test]
fn a_bad_preview_is_given_up_and_kept_for_a_look() {
    let mut stage = Stage::new(BlueGreen { pre_analysis: true, ..plain() });
    stage.update("v2");
    stage.ready("v2");
    let waiting = stage.measured(RunPhase::Failed);
    assert_eq!(waiting, Some(Waiting::Retry));
    let why = "Blue/green pre-promotion analysis phase error/failed: it was 7";
    assert!(matches!(&stage.0.memory.phase, Phase::Aborted { why: Some(text), .. } if text == why));
    assert_eq!((stage.pods("v2"), stage.selected()), (4, ("v1", "v2")));
    stage.after(30);
    assert_eq!((stage.pods("v2"), stage.pods("v1")), (0, 4));
    let shown = stage.0.memory.pre_run.as_ref().map(|run| run.phase);
    assert_eq!(shown, Some(RunPhase::Failed), "people can see what failed");
}

#[test]
fn an_aborted_version_may_be_kept_for_good() {
    let mut stage = Stage::new(BlueGreen { abort_scale_down_delay: None, ..plain() });
    stage.update("v2");
    stage.abort();
    stage.after(1_000_000);
    assert_eq!(stage.pods("v2"), 4);
}

#[test]
fn users_go_back_when_a_version_proves_bad_after_the_switch() {
    let mut stage = Stage::new(BlueGreen { post_analysis: true, ..plain() });
    stage.update("v2");
    assert_eq!(stage.ready("v2"), Some(Waiting::Analysis("post.0".into())));
    assert_eq!(stage.selected(), ("v2", "v2"));
    assert_eq!(stage.0.memory.stable, Some(hash("v1")), "it has yet to prove right");
    stage.after(1_000);
    assert_eq!(stage.pods("v1"), 4);
    stage.measured(RunPhase::Error);
    assert_eq!(stage.selected(), ("v1", "v2"));
    stage.after(29);
    assert_eq!(stage.pods("v2"), 4, "users had it a moment ago");
    stage.after(1);
    assert_eq!(stage.pods("v2"), 0);
}

#[test]
fn a_good_version_is_stable_once_it_proved_right() {
    let mut stage = Stage::new(BlueGreen { post_analysis: true, ..plain() });
    stage.update("v2");
    stage.ready("v2");
    stage.measured(RunPhase::Successful);
    assert_eq!(stage.0.memory.stable, Some(hash("v2")));
}

#[test]
fn a_way_back_is_not_held_up_by_a_pod_or_by_a_pause() {
    let mut stage = Stage::new(BlueGreen { post_analysis: true, ..plain() });
    stage.update("v2");
    stage.ready("v2");
    stage.set("v1").available = Pods(3);
    stage.0.rollout.paused = true;
    stage.abort();
    assert_eq!(stage.selected(), ("v1", "v2"));
}

#[test]
fn nobody_is_sent_back_to_fewer_pods_than_can_carry_them() {
    let mut stage = Stage::new(BlueGreen { post_analysis: true, ..plain() });
    stage.update("v2");
    stage.ready("v2");
    stage.set("v1").available = Pods(2);
    stage.abort();
    assert_eq!(stage.selected(), ("v2", "v2"));
    // Two pods of a good version are better than two of a bad one.
    stage.set("v2").available = Pods(2);
    stage.rest();
    assert_eq!(stage.selected(), ("v1", "v2"));
}

#[test]
fn going_back_to_what_still_has_its_pods_needs_no_proof() {
    let strategy = BlueGreen {
        promotion: Promotion::ByUser,
        pre_analysis: true,
        post_analysis: true,
        preview_replicas: Some(Pods(1)),
        ..plain()
    };
    let mut stage = Stage::new(strategy);
    stage.update("v2");
    stage.ready("v2");
    stage.measured(RunPhase::Successful);
    stage.resume();
    stage.ready("v2");
    stage.measured(RunPhase::Successful);
    assert_eq!(stage.0.memory.stable, Some(hash("v2")));
    stage.update("v1");
    assert_eq!((stage.selected(), stage.pods("v1")), (("v1", "v1"), 4));
    assert_eq!(stage.0.memory.stable, Some(hash("v1")));
    assert_eq!(stage.0.runs.len(), 2, "nothing was measured again");
}

#[test]
fn going_back_within_the_window_needs_no_proof_though_its_pods_went() {
    let strategy = BlueGreen { promotion: Promotion::ByUser, pre_analysis: true, ..plain() };
    let mut stage = Stage::new(strategy);
    stage.0.rollout.rollback_window = Some(1);
    stage.update("v2");
    stage.ready("v2");
    stage.measured(RunPhase::Successful);
    stage.resume();
    stage.after(60);
    assert_eq!((stage.pods("v1"), stage.0.runs.len()), (0, 1));
    stage.update("v1");
    assert_eq!(stage.selected(), ("v2", "v1"), "its pods are not there yet");
    stage.ready("v1");
    assert_eq!(stage.selected(), ("v1", "v1"));
    assert_eq!((stage.0.memory.stable.clone(), stage.0.runs.len()), (Some(hash("v1")), 1));
}

#[test]
fn going_back_later_is_an_update_like_any_other() {
    let mut stage = Stage::new(BlueGreen { promotion: Promotion::ByUser, ..plain() });
    stage.update("v2");
    stage.ready("v2");
    stage.resume();
    stage.after(60);
    assert_eq!(stage.pods("v1"), 0);
    stage.update("v1");
    assert_eq!(stage.ready("v1"), Some(Waiting::Preview(None)));
    assert_eq!(stage.selected(), ("v2", "v1"));
}

#[test]
fn a_newer_update_takes_the_place_of_a_preview() {
    let mut stage = Stage::new(BlueGreen { promotion: Promotion::ByUser, ..plain() });
    stage.update("v2");
    stage.ready("v2");
    stage.update("v3");
    assert_eq!((stage.selected(), stage.pods("v3")), (("v1", "v3"), 4));
    stage.after(30);
    assert_eq!(stage.pods("v2"), 0);
    assert_eq!(stage.ready("v3"), Some(Waiting::Preview(None)), "the pause begins anew");
    // And back: there is nothing to do but to leave the preview.
    stage.update("v1");
    assert_eq!(stage.selected(), ("v1", "v1"));
    assert_eq!(stage.0.memory.phase, Phase::Settled);
}

#[test]
fn what_users_get_keeps_its_pods_through_a_newer_update() {
    let mut stage = Stage::new(BlueGreen { post_analysis: true, ..plain() });
    stage.update("v2");
    stage.ready("v2");
    stage.update("v3");
    assert_eq!(stage.selected(), ("v2", "v3"));
    stage.after(1_000);
    assert_eq!((stage.pods("v1"), stage.pods("v2")), (4, 4));
    stage.abort();
    assert_eq!(stage.selected(), ("v1", "v3"), "the way back leads to what was proved");
    stage.after(30);
    assert_eq!((stage.pods("v1"), stage.pods("v2")), (4, 0));
}

#[test]
fn a_pause_of_the_users_holds_services_and_not_pods() {
    let mut stage = Stage::new(plain());
    stage.0.rollout.paused = true;
    assert_eq!(stage.update("v2"), Some(Waiting::User));
    stage.ready("v2");
    assert_eq!((stage.pods("v2"), stage.selected()), (4, ("v1", "v1")));
    stage.0.rollout.paused = false;
    stage.rest();
    assert_eq!(stage.selected(), ("v2", "v2"));
}

#[test]
fn a_full_promotion_waits_for_pods_alone() {
    let strategy = BlueGreen {
        promotion: Promotion::ByUser,
        pre_analysis: true,
        post_analysis: true,
        preview_replicas: Some(Pods(1)),
        ..plain()
    };
    let mut stage = Stage::new(strategy);
    stage.update("v2");
    stage.ready("v2");
    stage.say(Phase::Promoting { full: true, hold: Hold::None });
    assert_eq!((stage.pods("v2"), stage.selected()), (4, ("v1", "v2")));
    assert!(stage.0.runs[0].terminating);
    stage.ready("v2");
    assert_eq!(stage.0.memory.stable, Some(hash("v2")));
    assert_eq!(stage.0.runs.len(), 1);
}

#[test]
fn an_inconclusive_analysis_waits_for_somebody_and_is_measured_again() {
    let mut stage = Stage::new(BlueGreen { pre_analysis: true, ..plain() });
    stage.update("v2");
    stage.ready("v2");
    assert_eq!(stage.measured(RunPhase::Inconclusive), Some(Waiting::Decision));
    assert_eq!(stage.resume(), Some(Waiting::Analysis("pre.1".into())));
    stage.measured(RunPhase::Successful);
    assert_eq!(stage.selected(), ("v2", "v2"));
}

#[test]
fn only_so_many_versions_wait_for_their_end() {
    let mut stage = Stage::new(BlueGreen { scale_down_delay_revisions: Some(1), ..plain() });
    for version in ["v2", "v3"] {
        stage.update(version);
        stage.ready(version);
    }
    assert_eq!((stage.pods("v1"), stage.pods("v2"), stage.pods("v3")), (0, 4, 4));
}

#[test]
fn old_versions_may_be_kept_until_a_new_one_proves_right() {
    let strategy = BlueGreen { post_analysis: true, keep_until_proven: true, ..plain() };
    let mut stage = Stage::new(strategy);
    stage.update("v2");
    stage.update("v3");
    stage.ready("v3");
    stage.after(1_000);
    assert_eq!((stage.selected().0, stage.pods("v2")), ("v3", 4));
    stage.measured(RunPhase::Successful);
    assert_eq!(stage.pods("v2"), 0, "its time is over");
    stage.after(30);
    assert_eq!(stage.pods("v1"), 0);
}

#[test]
fn a_change_of_the_fleet_is_followed_by_all_that_may_be_needed() {
    let mut stage = Stage::new(BlueGreen { promotion: Promotion::ByUser, ..plain() });
    stage.update("v2");
    stage.ready("v2");
    stage.0.rollout.replicas = Pods(6);
    stage.rest();
    assert_eq!((stage.pods("v1"), stage.pods("v2")), (6, 6));
    stage.0.rollout.replicas = Pods(2);
    stage.rest();
    assert_eq!((stage.pods("v1"), stage.pods("v2")), (2, 2));
}

#[test]
fn a_fleet_of_nothing_is_promoted_as_well() {
    let mut stage = Stage::new(plain());
    stage.0.rollout.replicas = Pods::ZERO;
    stage.rest();
    stage.update("v2");
    assert_eq!(stage.selected(), ("v2", "v2"));
    assert_eq!(stage.0.memory.stable, Some(hash("v2")));
}

#[test]
fn users_are_brought_home_when_what_they_get_is_gone() {
    let mut stage = Stage::new(BlueGreen { promotion: Promotion::ByUser, ..plain() });
    stage.update("v2");
    stage.0.stable_door =
        Door::Service { name: "active".into(), selects: Some(hash("gone")), adopted: true };
    stage.rest();
    assert_eq!(stage.selected(), ("v1", "v2"));
}

#[test]
fn a_deadline_that_is_to_end_an_update_does() {
    let mut stage = Stage::new(plain());
    stage.0.rollout.abort_when_overdue = true;
    stage.update("v2");
    stage.0.overdue = true;
    assert!(matches!(stage.rest(), Some(Waiting::Retry)));
    assert_eq!(stage.selected(), ("v1", "v2"));
}
