//! A Deployment that lends its template: when its pods go, and how they come back.

use sluice_core::lender::{Lender, ScaleDown};
use sluice_core::observed::Hash;
use sluice_core::{Order, Pods, decide};

use crate::scene::Scene;

/// A rollout of ten pods in its first revision, beside a Deployment of ten.
fn first(scale_down: ScaleDown, available: u32) -> Scene {
    let mut scene = Scene::update(vec![], |_| {});
    scene.seen.wanted = Hash("v1".to_owned());
    scene.seen.changed = false;
    scene.most_canary_pods = available;
    scene.seen.revisions[0].available = Pods(available);
    let name = "web".to_owned();
    scene.seen.lender = Some(Lender { name, wanted: Pods(10), before: None, scale_down });
    scene
}

#[test]
fn its_pods_go_at_once_when_all_are_replaced() {
    let mut scene = first(ScaleDown::OnSuccess, 9);
    scene.rest();
    assert!(scene.lent.is_empty(), "one is missing: {:?}", scene.lent);
    scene.most_canary_pods = 10;
    scene.rest();
    assert_eq!(scene.lent, [0]);
    assert_eq!(scene.seen.lender.as_ref().unwrap().before, Some(Pods(10)));
}

#[test]
fn its_pods_go_one_by_one_as_they_are_replaced() {
    let mut scene = first(ScaleDown::Progressively, 0);
    for available in [0, 3, 2, 7, 10, 4] {
        scene.most_canary_pods = available;
        scene.rest();
    }
    // When all were replaced it is over, though pods may be missing later.
    assert_eq!(scene.lent, [7, 8, 3, 0]);
}

#[test]
fn a_larger_deployment_keeps_what_is_not_replaced_until_the_rollout_is_whole() {
    let mut scene = first(ScaleDown::Progressively, 4);
    scene.seen.lender.as_mut().unwrap().wanted = Pods(15);
    scene.rest();
    assert_eq!(scene.lent, [11]);
    scene.most_canary_pods = 10;
    scene.rest();
    assert_eq!(scene.lent, [11, 0]);
}

#[test]
fn one_that_is_not_to_be_replaced_gets_its_pods_back() {
    let mut scene = first(ScaleDown::OnSuccess, 10);
    scene.rest();
    scene.seen.lender.as_mut().unwrap().scale_down = ScaleDown::Never;
    scene.rest();
    let lender = scene.seen.lender.as_ref().unwrap();
    assert_eq!((lender.wanted, lender.before), (Pods(10), None));
}

#[test]
fn a_later_revision_takes_nothing_over() {
    let mut scene = first(ScaleDown::OnSuccess, 10);
    scene.seen.revisions[0].number = 2;
    scene.seen.number = 2;
    scene.rest();
    assert!(scene.lent.is_empty());
    // What was begun with the first revision is brought to its end.
    scene.seen.lender.as_mut().unwrap().before = Some(Pods(10));
    let orders = decide(&scene.seen).orders;
    assert!(orders.contains(&Order::ScaleLender { from: Pods(10), to: Pods(0) }), "{orders:?}");
}
