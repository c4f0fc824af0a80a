//! Canary releases as stories: what a user writes, and what becomes of pods and traffic.
//!
//! Each has ten pods of `v1`, all traffic on them, and a release of `v2`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test ends where something is missing"
)]

mod experiment;
mod leave;
mod lender;
mod plugin;
mod restart;
mod scene;

use scene::{Scene, header, hold, percent, scale, weight};
use sluice_core::phase::Phase;
use sluice_core::rollout::{Enough, Scale, Step};
use sluice_core::{Pods, Waiting};

fn dynamic(canary: &mut sluice_core::rollout::Canary) {
    let routing = canary.routing.as_mut().unwrap();
    routing.dynamic_stable = true;
    routing.abort_scale_down_delay = Some(std::time::Duration::ZERO);
}

#[test]
fn pods_follow_the_weight() {
    let mut scene = Scene::update(vec![weight(25), hold()], |_| {});
    scene.rest();
    assert_eq!((scene.pods("v1"), scene.pods("v2")), (10, 3));
    assert_eq!(scene.traffic(), (25, "v1", "v2"));
    scene.promote();
    assert_eq!((scene.pods("v1"), scene.pods("v2")), (0, 10));
    assert_eq!(scene.traffic(), (0, "v2", "v2"));
    assert_eq!(scene.waits(), "");
}

#[test]
fn a_size_of_its_own_lasts_until_the_size_follows_the_traffic_again() {
    let steps = vec![
        scale(Scale::Replicas(Pods(4))),
        hold(),
        weight(20),
        hold(),
        scale(Scale::Weight(percent(75))),
        hold(),
        scale(Scale::MatchTraffic),
        hold(),
    ];
    let mut scene = Scene::update(steps, |_| {});
    scene.rest();
    assert_eq!((scene.pods("v2"), scene.traffic().0), (4, 0));
    scene.promote();
    assert_eq!((scene.pods("v2"), scene.traffic().0), (4, 20));
    scene.promote();
    assert_eq!((scene.pods("v2"), scene.traffic().0), (8, 20));
    scene.promote();
    assert_eq!((scene.pods("v2"), scene.traffic().0), (2, 20));
    scene.promote();
    assert_eq!((scene.pods("v2"), scene.traffic()), (10, (0, "v2", "v2")));
}

#[test]
fn more_pods_than_the_fleet_may_be_counted_out() {
    let mut scene = Scene::update(vec![scale(Scale::Replicas(Pods(12))), hold()], |_| {});
    scene.rest();
    assert_eq!((scene.pods("v1"), scene.pods("v2")), (10, 12));
}

#[test]
fn a_weight_waits_where_the_steps_give_it_too_few_pods() {
    let steps = vec![scale(Scale::Replicas(Pods(1))), weight(50)];
    let mut scene = Scene::update(steps, |_| {});
    scene.rest();
    assert_eq!((scene.pods("v2"), scene.traffic().0), (1, 0));
    let waiting = scene.last.as_ref().unwrap().waiting.clone().unwrap();
    let told = Waiting::ScaledBelow { step: 0, share: percent(50), given: Pods(1), needs: Pods(5) };
    assert_eq!(waiting, told);
    assert!(waiting.unblocked_by().contains("matchTrafficWeight: true"));
}

#[test]
fn a_size_and_a_weight_in_one_step_are_both_waited_for() {
    let step = Step { scale: Some(Scale::Replicas(Pods(6))), ..weight(50) };
    let mut scene = Scene::update(vec![step, hold()], |_| {});
    scene.most_canary_pods = 5;
    scene.rest();
    assert_eq!(scene.seen.memory.phase, Phase::Stepping { index: 0, hold: Default::default() });
    assert_eq!(scene.traffic().0, 0);
    scene.most_canary_pods = 6;
    scene.rest();
    assert_eq!(scene.traffic().0, 50);
}

#[test]
fn no_revision_that_has_pods_has_fewer_than_the_least() {
    let mut scene = Scene::update(vec![weight(10), hold()], |canary| {
        canary.routing.as_mut().unwrap().min_pods = Pods(3);
    });
    scene.rest();
    assert_eq!(scene.pods("v2"), 3);
    let mut scene = Scene::update(vec![weight(0), hold()], |canary| {
        canary.routing.as_mut().unwrap().min_pods = Pods(3);
    });
    scene.rest();
    assert_eq!(scene.pods("v2"), 0, "nothing stays nothing");
}

#[test]
fn a_threshold_lets_fewer_pods_be_enough() {
    for (enough, pods) in [(Enough::Percent(60), 3), (Enough::Pods(Pods(2)), 2)] {
        let mut scene = Scene::update(vec![weight(50), hold()], |canary| canary.enough = enough);
        scene.most_canary_pods = pods - 1;
        scene.rest();
        assert_eq!(scene.traffic().0, 0, "{enough:?}");
        scene.most_canary_pods = pods;
        scene.rest();
        assert_eq!((scene.pods("v2"), scene.traffic().0), (5, 50), "{enough:?}");
    }
}

#[test]
fn no_threshold_promotes_a_version_without_a_pod() {
    for enough in [Enough::Pods(Pods::ZERO), Enough::Percent(0)] {
        let mut scene = Scene::update(vec![], |canary| canary.enough = enough);
        scene.most_canary_pods = 0;
        scene.rest();
        assert_ne!(scene.seen.memory.stable, Some(scene.seen.wanted.clone()), "{enough:?}");
        scene.most_canary_pods = 10;
        scene.rest();
        assert_eq!(scene.seen.memory.stable, Some(scene.seen.wanted.clone()), "{enough:?}");
    }
}

#[test]
fn a_header_route_opens_with_the_first_pod_and_goes_with_the_release() {
    let steps = vec![scale(Scale::Replicas(Pods(1))), header("beta", true), hold()];
    let mut scene = Scene::update(steps, |_| {});
    scene.most_canary_pods = 0;
    scene.rest();
    assert!(scene.routes().is_empty());
    scene.most_canary_pods = 1;
    scene.rest();
    assert_eq!((scene.routes(), scene.traffic()), (vec!["beta"], (0, "v1", "v2")));
    scene.most_canary_pods = 10;
    scene.promote();
    assert!(scene.routes().is_empty());
    assert_eq!(scene.traffic(), (0, "v2", "v2"));
}

#[test]
fn a_step_takes_a_route_back() {
    let steps = vec![weight(10), header("beta", true), hold(), header("beta", false), hold()];
    let mut scene = Scene::update(steps, |_| {});
    scene.rest();
    assert_eq!(scene.routes(), ["beta"]);
    scene.promote();
    assert_eq!((scene.routes(), scene.traffic().0), (vec![], 10));
}

#[test]
fn a_canary_keeps_a_pod_as_long_as_a_route_may_lead_to_it() {
    let steps = vec![scale(Scale::Replicas(Pods(2))), header("beta", true), hold()];
    let mut scene = Scene::update(steps, |_| {});
    scene.rest();
    scene.router_works = false;
    scene.seen.rollout.replicas = Pods(10);
    scene.abort();
    assert!(scene.pods("v2") >= 1);
    scene.router_works = true;
    scene.rest();
    assert_eq!((scene.pods("v2"), scene.routes()), (0, vec![]));
}

#[test]
fn an_abort_and_another_template_take_routes_back() {
    let steps = || vec![weight(10), header("beta", true), hold()];
    let mut scene = Scene::update(steps(), |_| {});
    scene.rest().abort();
    assert!(scene.routes().is_empty());
    let mut scene = Scene::update(steps(), |_| {});
    scene.rest();
    let asked = scene.asked.len();
    scene.release("v3");
    let first = &scene.asked[asked];
    assert!(first.share.is_none() && first.routes.is_empty(), "first everything goes back");
    assert_eq!((scene.traffic(), scene.routes()), ((10, "v1", "v3"), vec!["beta"]));
}

#[test]
fn a_divided_fleet_shrinks_behind_the_traffic_and_grows_before_it() {
    let mut scene = Scene::update(vec![weight(30), hold(), weight(80), hold()], dynamic);
    scene.rest();
    assert_eq!((scene.pods("v1"), scene.pods("v2"), scene.traffic().0), (7, 3, 30));
    scene.promote();
    assert_eq!((scene.pods("v1"), scene.pods("v2"), scene.traffic().0), (2, 8, 80));
    scene.promote();
    assert_eq!((scene.pods("v1"), scene.pods("v2")), (0, 10));
}

#[test]
fn a_divided_fleet_goes_back_by_the_weights_of_its_steps() {
    let steps = vec![weight(20), weight(50), weight(80), hold()];
    let mut scene = Scene::update(steps, dynamic);
    scene.rest();
    assert_eq!(scene.traffic().0, 80);
    let asked = scene.asked.len();
    let mut shares = Vec::new();
    for pods in [2, 4, 5, 7, 8, 9, 10] {
        scene.most_stable_pods = pods;
        scene.abort();
        shares.push(scene.traffic().0);
        let (stable, canary) = (pods, scene.pods("v2"));
        assert!(stable + canary >= 10, "{stable} and {canary} carry everything");
    }
    assert_eq!(shares, [80, 80, 50, 50, 20, 10, 0]);
    assert!(scene.asked[asked..].iter().all(|split| split.routes.is_empty()));
    assert_eq!(scene.pods("v2"), 0, "without a delay of its own, the canary goes at once");
}

#[test]
fn a_divided_fleet_takes_traffic_back_when_its_canary_dies() {
    let mut scene = Scene::update(vec![weight(80), hold()], dynamic);
    scene.rest();
    scene.most_canary_pods = 0;
    scene.rest();
    assert_eq!((scene.pods("v1"), scene.traffic().0), (10, 0));
}

#[test]
fn a_way_back_in_a_divided_fleet_waits_for_the_stable_pods() {
    let mut scene = Scene::update(vec![weight(80), hold()], dynamic);
    scene.rest();
    scene.most_canary_pods = 5;
    scene.release("v1");
    let share = scene.traffic().0;
    assert!((1..80).contains(&share), "five pods cannot carry everything: {share}");
    assert!(scene.pods("v2") >= 5);
    scene.most_canary_pods = 10;
    scene.rest();
    assert_eq!((scene.pods("v1"), scene.pods("v2"), scene.traffic().0), (10, 0, 0));
}

#[test]
fn an_aborted_canary_keeps_its_pods_as_told() {
    let delayed = |delay| {
        let mut scene = Scene::update(vec![weight(50), hold()], |canary| {
            canary.routing.as_mut().unwrap().abort_scale_down_delay = delay;
        });
        scene.rest();
        scene.seen.memory.phase = Phase::Aborted { since: scene.seen.now, why: None };
        scene.turn();
        scene.turn();
        let at_first = scene.pods("v2");
        scene.rest();
        (at_first, scene.pods("v2"))
    };
    let hours = |hours: u64| Some(std::time::Duration::from_secs(hours * 3600));
    assert_eq!(delayed(None), (5, 5), "0 is for ever");
    assert_eq!(delayed(Some(std::time::Duration::from_secs(90))), (5, 0));
    assert_eq!(delayed(hours(5)).0, 5);
}

#[test]
fn ping_pong_changes_sides_and_neither_selectors_nor_routes() {
    let mut scene = Scene::update(vec![weight(50), hold()], |canary| canary.ping_pong = true);
    scene.rest();
    assert_eq!(scene.traffic(), (50, "v1", "v2"));
    scene.promote();
    // The Service that was the canary's is the stable one, and selects what it selected.
    assert_eq!(scene.traffic(), (0, "v2", "v1"));
    assert!(scene.seen.memory.pong);
    let last = scene.asked.last().unwrap();
    assert!(!last.pong && last.share == percent(100), "the last that was asked was everything");
    scene.release("v3");
    assert_eq!(scene.traffic(), (50, "v2", "v3"));
    scene.promote();
    assert_eq!(scene.traffic(), (0, "v3", "v2"));
    assert!(!scene.seen.memory.pong);
}

#[test]
fn ping_pong_leaves_an_aborted_canary_where_it_is() {
    let mut scene = Scene::update(vec![weight(50), hold()], |canary| canary.ping_pong = true);
    scene.rest().abort();
    assert_eq!(scene.traffic(), (0, "v1", "v2"));
    assert!(!scene.seen.memory.pong);
}
