//! A user names other routers in the middle of a release, or none.

use sluice_core::observed::{Door, Former, Observed};
use sluice_core::phase::Phase;
use sluice_core::rollout::{Strategy, Tenure};
use sluice_core::traffic::{Certainty, Side, Split, Trouble};
use sluice_core::{Decision, Order, Pods, Share, Waiting, decide};

use crate::scene::{Scene, hash, hold, percent, weight};

/// A release of `v2` that has a quarter of the traffic, and whose routing is to be left.
fn leaving(tenure: Tenure) -> Scene {
    let mut scene = Scene::update(vec![weight(25), hold()], |_| {});
    scene.rest();
    assert_eq!(scene.traffic(), (25, "v1", "v2"));
    scene.tenure(tenure);
    scene
}

fn shifts(decision: &Decision) -> Option<Share> {
    decision.orders.iter().find_map(|order| match order {
        Order::Shift { to } => Some(to.share),
        _ => None,
    })
}

fn leaves(decision: &Decision) -> bool {
    decision.orders.iter().any(|order| matches!(order, Order::Leave { .. }))
}

fn releases(decision: &Decision) -> bool {
    decision.orders.iter().any(|order| matches!(order, Order::Release { .. }))
}

fn trouble(why: &str, awaited: bool) -> Trouble {
    Trouble { why: why.to_owned(), refused: false, awaited }
}

#[test]
fn everything_goes_to_the_stable_side_before_a_routing_is_left() {
    let mut scene = leaving(Tenure::Leaves);
    let first = decide(&scene.seen);
    assert_eq!((shifts(&first), leaves(&first)), (Some(Share::NONE), false));
    scene.turn();
    let second = decide(&scene.seen);
    assert!(leaves(&second), "{:?}", second.orders);
    scene.rest();
    assert_eq!(scene.released, ["former"]);
    // Whoever is in charge now gives the canary what its step says.
    assert_eq!((scene.traffic(), scene.pods("v2")), ((25, "v1", "v2"), 3));
    assert!(matches!(scene.seen.memory.phase, Phase::Stepping { index: 1, .. }));
}

#[test]
fn requests_that_follow_the_old_routing_are_waited_for() {
    let mut scene = leaving(Tenure::Leaves);
    let split = Split {
        stable: hash("v1"),
        canary: hash("v2"),
        share: Share::NONE,
        routes: Vec::new(),
        pong: false,
        additional: Vec::new(),
    };
    scene.seen.traffic.confirm(split, Certainty::Written, scene.seen.now);
    assert!(!leaves(&decide(&scene.seen)));
    scene.seen.now = scene.seen.now.after(std::time::Duration::from_secs(5));
    assert!(leaves(&decide(&scene.seen)));
}

#[test]
fn a_routing_is_not_left_while_the_stable_side_is_short_of_pods() {
    let mut scene = leaving(Tenure::Stays);
    scene.most_stable_pods = 7;
    scene.rest();
    scene.tenure(Tenure::Leaves);
    scene.rest();
    assert_eq!(scene.traffic(), (25, "v1", "v2"));
    // It goes on through the old routing, since otherwise it could never end.
    scene.promote();
    assert_eq!((scene.pods("v2"), scene.traffic()), (10, (0, "v2", "v2")));
    assert_eq!(scene.released, ["former"]);
}

#[test]
fn a_divided_fleet_gets_its_stable_pods_back_first() {
    let mut scene = Scene::update(vec![weight(50), hold()], |canary| {
        let routing = canary.routing.as_mut().unwrap();
        routing.dynamic_stable = true;
    });
    scene.rest();
    assert_eq!((scene.pods("v1"), scene.pods("v2")), (5, 5));
    scene.tenure(Tenure::Leaves);
    scene.turn();
    assert_eq!((scene.pods("v1"), scene.traffic().0), (10, 50));
    scene.rest();
    assert_eq!(scene.released, ["former"]);
    assert_eq!((scene.pods("v1"), scene.pods("v2"), scene.traffic().0), (5, 5, 50));
}

#[test]
fn a_router_that_always_fails_is_left_and_nobody_loses_pods_before_it_lets_go() {
    let mut scene = leaving(Tenure::Leaves);
    for _ in 0..20 {
        scene.seen.traffic.trouble(trouble("it is not live yet", true));
    }
    assert!(!leaves(&decide(&scene.seen)), "what is awaited is no failure");
    for _ in 0..10 {
        scene.seen.traffic.trouble(trouble("nginx: it is not there", false));
    }
    let decision = decide(&scene.seen);
    let lost = Some("nginx: it is not there".to_owned());
    assert!(decision.orders.contains(&Order::Leave { lost }), "{:?}", decision.orders);
    // Whatever the next routing confirms, the lost one may send anything to the canary.
    scene.rest();
    scene.seen.rollout.max_unavailable = Pods::ZERO;
    scene.seen.traffic.beyond_control();
    let canary = scene.seen.new_revision().unwrap();
    assert!(scene.seen.spare(canary, Pods::ZERO).is_err());
    scene.seen.memory.phase = Phase::Aborted { since: scene.seen.now, why: None };
    scene.seen.revisions[0].available = Pods(9);
    let lost = Former {
        router: "nginx".to_owned(),
        lost: Some(String::new()),
        trouble: None,
        names_revisions: false,
        over: None,
    };
    scene.seen.formers.push(lost);
    assert!(!releases(&decide(&scene.seen)), "nine pods cannot take what ten carry");
    scene.seen.revisions[0].available = Pods(10);
    assert!(releases(&decide(&scene.seen)));
}

#[test]
fn a_router_that_is_lost_keeps_pods_where_no_other_is_named() {
    let mut scene = leaving(Tenure::Leaves);
    scene.rest();
    let Strategy::Canary(canary) = &mut scene.seen.rollout.strategy else { panic!() };
    canary.routing = None;
    scene.seen.revisions[0].wanted = Pods(10);
    scene.seen.revisions[0].available = Pods(10);
    scene.seen.formers.push(Former {
        router: "nginx".to_owned(),
        lost: Some("it is not there".to_owned()),
        trouble: None,
        names_revisions: false,
        over: None,
    });
    let spare =
        |seen: &Observed, to| seen.spare(&seen.revisions[0], Pods(to)).map(|found| found.is_some());
    let why = "it is not there".to_owned();
    assert_eq!(spare(&scene.seen, 7), Err(Waiting::Former { router: "nginx".to_owned(), why }));
    // Those that are not available serve nobody.
    scene.seen.revisions[0].available = Pods(7);
    assert_eq!(spare(&scene.seen, 7), Ok(true));
    scene.seen.revisions[0].available = Pods(10);
    scene.seen.formers[0].over = Some(scene.seen.now);
    assert_eq!(spare(&scene.seen, 7), Ok(true), "it let go");
}

#[test]
fn another_strategy_waits_until_the_routing_is_left_and_remembers_nothing_of_it() {
    let mut scene = leaving(Tenure::LeavesFirst);
    scene.seen.changed = true;
    let before = scene.seen.memory.clone();
    let decision = decide(&scene.seen);
    assert_eq!((shifts(&decision), &decision.memory), (Some(Share::NONE), &before));
    scene.turn();
    let decision = decide(&scene.seen);
    assert_eq!(decision.orders, [Order::Leave { lost: None }]);
    assert_eq!(decision.memory, before);
    assert_eq!(percent(25), scene.asked.first().unwrap().share);
}

#[test]
fn pods_that_a_former_router_leads_to_by_their_revision_stay_until_it_let_go() {
    let mut scene = Scene::update(vec![weight(25), hold()], |_| {});
    scene.rest();
    let later = scene.seen.now.after(std::time::Duration::from_secs(5));
    let (router, lost, trouble) = ("former".to_owned(), None, None);
    let former = |over| Former {
        router: router.clone(),
        lost: lost.clone(),
        trouble: trouble.clone(),
        names_revisions: true,
        over,
    };
    let stable = scene.seen.revisions[0].clone();
    let spared = |scene: &Scene| scene.seen.spare(&stable, Pods(9)).map(|spare| spare.is_some());
    scene.seen.rollout.replicas = Pods(4);
    assert_eq!(spared(&scene), Ok(true));
    scene.seen.formers = vec![former(None)];
    assert!(spared(&scene).is_err());
    scene.seen.formers = vec![former(Some(later))];
    assert!(spared(&scene).is_err() && !releases(&decide(&scene.seen)));
    scene.seen.now = later;
    assert_eq!((spared(&scene), releases(&decide(&scene.seen))), (Ok(true), true));
}

#[test]
fn a_divided_fleet_keeps_its_stable_pods_until_the_former_router_let_go() {
    let mut scene = Scene::update(vec![weight(50), hold()], |canary| {
        canary.routing.as_mut().unwrap().dynamic_stable = true;
    });
    let former = Former {
        router: "former".to_owned(),
        lost: None,
        trouble: None,
        names_revisions: false,
        over: None,
    };
    scene.seen.formers = vec![former];
    scene.router_releases = false;
    scene.rest();
    assert_eq!((scene.pods("v1"), scene.pods("v2"), scene.traffic().0), (10, 5, 50));
    scene.router_releases = true;
    scene.rest();
    assert_eq!((scene.pods("v1"), scene.released.len()), (5, 1));
}

#[test]
fn a_replaced_revision_keeps_its_pods_until_no_former_router_leads_to_its_service() {
    let mut scene = Scene::update(vec![weight(25), hold()], |_| {});
    scene.rest();
    let Strategy::Canary(canary) = &mut scene.seen.rollout.strategy else { unreachable!() };
    canary.routing = None;
    scene.seen.memory.stable = Some(hash("v2"));
    scene.seen.formers = vec![Former {
        router: "former".to_owned(),
        lost: None,
        trouble: None,
        names_revisions: false,
        over: None,
    }];
    let replaced = scene.seen.revisions[0].clone();
    let spared = |scene: &Scene| {
        scene.seen.spare_replaced(&replaced, Pods::ZERO).map(|spare| spare.is_some())
    };
    assert_eq!(scene.seen.selected(Side::Stable), Some(&replaced.hash));
    assert!(matches!(spared(&scene), Err(Waiting::Former { .. })));
    let Door::Service { selects, .. } = &mut scene.seen.stable_door else { unreachable!() };
    *selects = Some(hash("v2"));
    assert_eq!(spared(&scene), Ok(true));
}
