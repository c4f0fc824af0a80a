//! Steps that run an experiment.

use sluice_core::observed::{Extra, Purpose, Run, RunPhase};
use sluice_core::phase::{Hold, PauseReason, Phase};
use sluice_core::rollout::{Act, Step, Tenure};
use sluice_core::traffic::{Side, Traffic};
use sluice_core::{Decision, Order, Pods, Timestamp, decide};

use crate::scene::{Scene, hash, hold, percent, weight};

const NAME: &str = "experiment";

/// An experiment for a step of the release of `v2`.
fn experiment(name: &str, index: usize, phase: RunPhase) -> Run {
    Run {
        name: name.to_owned(),
        purpose: Some(Purpose::Step(index)),
        phase,
        message: "the baseline is better".to_owned(),
        hash: hash("v2"),
        created: Timestamp(1_000),
        terminating: false,
    }
}

/// A release whose only step before the last is an experiment, once that was ordered.
fn begun() -> Scene {
    let mut scene = Scene::update(vec![Step::of(Act::Experiment), hold()], |_| {});
    scene.rest();
    scene
}

fn decided(scene: &mut Scene, phase: RunPhase) -> Decision {
    scene.seen.experiments = vec![experiment(NAME, 0, phase)];
    decide(&scene.seen)
}

fn index(decision: &Decision) -> Option<usize> {
    match decision.memory.phase {
        Phase::Stepping { index, .. } => Some(index),
        _ => None,
    }
}

#[test]
fn an_experiment_is_recorded_made_and_waited_for_by_name() {
    let mut scene = begun();
    let start = Order::StartExperiment { name: NAME.to_owned(), index: 0, number: 2 };
    let last = scene.last.clone().unwrap();
    assert!(last.orders.contains(&start), "{:?}", last.orders);
    assert_eq!(last.memory.experiment.as_deref(), Some(NAME));
    assert_eq!(scene.waits(), "experiment experiment to end");
    let running = decided(&mut scene, RunPhase::Running);
    assert!(!running.orders.contains(&start));
    let done = decided(&mut scene, RunPhase::Successful);
    assert_eq!((index(&done), &done.memory.experiment), (Some(1), &None));
}

#[test]
fn a_failed_experiment_aborts_with_its_words() {
    for (phase, how) in [(RunPhase::Failed, "failed"), (RunPhase::Error, "error")] {
        let decision = decided(&mut begun(), phase);
        let Phase::Aborted { why: Some(why), .. } = decision.memory.phase else { panic!() };
        let words = "Experiment analysis phase is error/";
        assert_eq!(why, format!("{words}{how}: the baseline is better"));
    }
}

#[test]
fn an_inconclusive_experiment_asks_somebody_and_is_made_anew_after_that() {
    let mut scene = begun();
    let held = decided(&mut scene, RunPhase::Inconclusive);
    assert!(held.memory.phase.hold().pause(PauseReason::Experiment).is_some());
    let said = held.waiting.unwrap().to_string();
    assert_eq!(said, "an inconclusive analysis: somebody has to decide");
    scene.seen.memory = held.memory;
    scene.seen.memory.phase = Phase::Stepping { index: 0, hold: Hold::Resumed };
    scene.seen.experiment_name = "another".to_owned();
    let resumed = decide(&scene.seen);
    assert_eq!(resumed.memory.experiment.as_deref(), Some("another"));
    let names = resumed.orders.iter().filter_map(|order| match order {
        Order::StartExperiment { name, .. } => Some(name.as_str()),
        _ => None,
    });
    assert_eq!(names.collect::<Vec<_>>(), ["another"]);
}

#[test]
fn nobody_is_left_with_an_experiment_that_goes_on() {
    let ways: [fn(&mut Scene); 3] = [
        |scene| {
            scene.seen.memory.phase = Phase::Aborted { since: scene.seen.now, why: None };
        },
        |scene| {
            scene.seen.memory.phase = Phase::Promoting { full: true, hold: Hold::None };
        },
        |scene| {
            (scene.seen.wanted, scene.seen.changed) = (hash("v3"), true);
            scene.seen.experiment_name = "another".to_owned();
        },
    ];
    for way in ways {
        let mut scene = begun();
        way(&mut scene);
        let decision = decided(&mut scene, RunPhase::Running);
        let stop = Order::StopExperiment { name: NAME.to_owned() };
        assert!(decision.orders.contains(&stop), "{:?}", decision.orders);
        assert_ne!(decision.memory.experiment.as_deref(), Some(NAME));
    }
}

#[test]
fn old_experiments_go_as_old_runs_do() {
    let mut scene = begun();
    let mut gone = experiment("gone", 0, RunPhase::Successful);
    gone.hash = hash("v0");
    let mut all: Vec<_> = (0..7)
        .map(|at| Run {
            created: Timestamp(at),
            ..experiment(&format!("old-{at}"), 0, RunPhase::Failed)
        })
        .collect();
    all.push(gone);
    scene.seen.experiments = all;
    let orders = decide(&scene.seen).orders;
    let dropped = orders.iter().filter_map(|order| match order {
        Order::DeleteExperiment { name } => Some(name.as_str()),
        _ => None,
    });
    assert_eq!(dropped.collect::<Vec<_>>(), ["gone", "old-1", "old-0"]);
}

/// The pods of that experiment which get a share of the traffic.
fn extra(share: u32, wanted: u32, available: u32) -> Extra {
    Extra {
        experiment: NAME.to_owned(),
        service: "experiment-new".to_owned(),
        hash: hash("of-new"),
        share: percent(share),
        wanted: Pods(wanted),
        available: Pods(available),
    }
}

/// A release with a fifth of the traffic on the canary, at a step that runs an experiment.
fn weighted(share: u32, wanted: u32, available: u32) -> Scene {
    let mut scene = Scene::update(vec![weight(20), Step::of(Act::Experiment), hold()], |_| {});
    scene.rest();
    scene.seen.experiments = vec![experiment(NAME, 1, RunPhase::Running)];
    scene.seen.extras = vec![extra(share, wanted, available)];
    scene.rest();
    scene
}

/// What goes to the pods of experiments, and to the stable side.
fn shares(scene: &Scene) -> (u32, u32) {
    let split = scene.seen.traffic.confirmed().unwrap();
    let whole = std::num::NonZeroU32::new(100).unwrap();
    let additional = split.additional.iter().map(|one| one.share.parts_of(whole)).sum();
    (additional, split.share_of(Side::Stable).parts_of(whole))
}

#[test]
fn a_template_gets_its_share_of_the_stable_side_once_its_pods_are_there() {
    assert_eq!(shares(&weighted(10, 1, 0)), (0, 80));
    assert_eq!(shares(&weighted(10, 1, 1)), (10, 70));
    // As many pods as the share needs are enough, and so are all that there are to be.
    assert_eq!(shares(&weighted(30, 5, 2)), (0, 80));
    assert_eq!(shares(&weighted(30, 5, 3)), (30, 50));
    assert_eq!(shares(&weighted(30, 2, 2)), (30, 50));
}

#[test]
fn a_template_whose_pods_go_gives_its_share_back() {
    let mut scene = weighted(10, 1, 1);
    scene.seen.extras = vec![extra(10, 1, 0)];
    scene.rest();
    assert_eq!(shares(&scene), (0, 80));
}

#[test]
fn an_experiment_that_is_over_gets_nothing_any_more() {
    let mut scene = weighted(10, 1, 1);
    scene.seen.experiments = vec![experiment(NAME, 1, RunPhase::Successful)];
    scene.rest();
    assert_eq!((shares(&scene), index(scene.last.as_ref().unwrap())), ((0, 80), Some(2)));
}

#[test]
fn an_experiment_is_told_to_end_once_nothing_goes_to_its_pods() {
    let mut scene = weighted(10, 1, 1);
    scene.seen.memory.phase = Phase::Aborted { since: scene.seen.now, why: None };
    scene.router_works = false;
    let stop = Order::StopExperiment { name: NAME.to_owned() };
    for _ in 0..3 {
        assert!(!decide(&scene.seen).orders.contains(&stop));
        scene.turn();
    }
    scene.router_works = true;
    scene.turn();
    assert!(decide(&scene.seen).orders.contains(&stop));
    // Whoever begins to lead in the middle does not know what goes there.
    scene.seen.traffic = Traffic::unknown(scene.seen.now);
    assert!(!decide(&scene.seen).orders.contains(&stop));
}

#[test]
fn a_routing_is_not_left_while_an_experiment_gets_a_share_through_it() {
    let mut scene = Scene::update(vec![Step::of(Act::Experiment), hold()], |_| {});
    scene.rest();
    scene.seen.experiments = vec![experiment(NAME, 0, RunPhase::Running)];
    scene.seen.extras = vec![extra(10, 1, 1)];
    scene.rest();
    assert_eq!(shares(&scene), (10, 90));
    scene.tenure(Tenure::Leaves);
    assert!(scene.seen.left().is_err());
    scene.turn();
    assert_eq!(shares(&scene), (0, 100));
    assert!(scene.seen.left().is_ok());
}
