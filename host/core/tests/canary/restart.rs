//! Restarts: which pods go, how many at a time, and when it is over.

use sluice_core::observed::{Door, Hash};
use sluice_core::restart::{Held, Pod};
use sluice_core::traffic::{Certainty, Split};
use sluice_core::{Pods, Share, Timestamp, Waiting};

use crate::scene::{Scene, hold, weight};

const ASKED: Timestamp = Timestamp(500);

fn pods(revision: &str, count: usize) -> impl Iterator<Item = Pod> {
    (0..count).map(move |number| Pod {
        name: format!("{revision}-{number}"),
        version: "1".to_owned(),
        hash: Hash(revision.to_owned()),
        created: Timestamp(100),
        available: true,
        ending: false,
    })
}

/// Ten pods of `v1` that nobody updates, and a restart.
fn settled() -> Scene {
    let mut scene = Scene::update(vec![], |_| {});
    scene.seen.wanted = Hash("v1".to_owned());
    scene.seen.changed = false;
    scene.seen.restart.asked = Some(ASKED);
    scene.pods = pods("v1", 10).collect();
    scene
}

#[test]
fn pods_go_as_many_at_a_time_as_may_be_missing() {
    let mut scene = settled();
    scene.rest();
    let sizes: Vec<_> = scene.evicted.iter().map(Vec::len).collect();
    assert_eq!(sizes, [2, 2, 2, 2, 2]);
    assert_eq!(scene.seen.memory.restarted, Some(ASKED));
    assert_eq!(scene.waits(), "");
}

#[test]
fn one_goes_where_none_may_be_missing() {
    let mut scene = settled();
    scene.seen.rollout.max_unavailable = Pods::ZERO;
    scene.rest();
    assert!(scene.evicted.iter().all(|turn| turn.len() == 1), "{:?}", scene.evicted);
    assert_eq!(scene.evicted.len(), 10);
}

#[test]
fn what_is_missing_already_counts() {
    let mut scene = settled();
    scene.pods[0].available = false;
    scene.pods[1].ending = true;
    scene.pods[1].available = false;
    scene.pods[2].available = false;
    scene.turn();
    scene.turn();
    // Seven are available, and eight must be: only those go that serve nobody.
    assert_eq!(scene.evicted, [["v1-0", "v1-2"]]);
}

#[test]
fn a_restart_to_come_is_waited_for() {
    let mut scene = settled();
    scene.seen.restart.asked = Some(Timestamp(9_000_000_000));
    scene.rest();
    assert!(scene.evicted.is_empty());
    assert_eq!(scene.last.as_ref().unwrap().wake.unwrap().at, Timestamp(9_000_000_001));
}

#[test]
fn an_update_replaces_the_pods_anyway() {
    let mut scene = Scene::update(vec![weight(10), hold()], |_| {});
    scene.seen.restart.asked = Some(ASKED);
    scene.turn();
    assert_eq!(scene.seen.memory.restarted, Some(ASKED));
}

#[test]
fn the_only_pod_that_gets_a_share_stays_while_the_stable_ones_are_replaced() {
    let mut scene = Scene::update(vec![weight(10), hold()], |_| {});
    scene.rest();
    assert_eq!((scene.pods("v1"), scene.pods("v2")), (10, 1));
    scene.pods = pods("v1", 10).chain(pods("v2", 1)).collect();
    scene.seen.restart.asked = Some(ASKED);
    scene.rest();
    let evicted: Vec<_> = scene.evicted.concat();
    assert_eq!(evicted.len(), 10);
    assert!(evicted.iter().all(|pod| pod.starts_with("v1-")), "stable first: {evicted:?}");
    assert_eq!(scene.seen.memory.restarted, None);
    // With the next step there are more of them, and one can be missed.
    scene.seen.rollout.replicas = Pods(20);
    scene.seen.restart.pods = None;
    let more = pods("v1", 10).chain(pods("v2", 1)).map(|pod| Pod {
        name: format!("{}-more", pod.name),
        created: Timestamp(900),
        ..pod
    });
    scene.pods.extend(more);
    scene.rest();
    assert_eq!(scene.seen.memory.restarted, Some(ASKED));
}

#[test]
fn a_refused_eviction_is_told_and_tried_again_later() {
    let mut scene = settled();
    let until = Timestamp(9_000_000_000);
    let why = "Cannot evict pod as it would violate the pod's disruption budget.".to_owned();
    scene.seen.restart.held = Some(Held { pod: "v1-0".to_owned(), why, until });
    scene.rest();
    assert!(scene.evicted.is_empty());
    let last = scene.last.clone().unwrap();
    assert!(matches!(last.waiting, Some(Waiting::Disruption { .. })), "{:?}", last.waiting);
    assert_eq!(last.wake.unwrap().at, until);
    scene.seen.now = until;
    scene.seen.restart.pods = None;
    scene.rest();
    assert_eq!(scene.seen.memory.restarted, Some(ASKED));
}

#[test]
fn a_last_pod_stays_while_requests_may_follow_an_older_routing() {
    let mut scene = settled();
    scene.rest();
    scene.seen.restart.asked = Some(Timestamp(700));
    let pods: Vec<_> = pods("v1", 1).collect();
    let evictable = |scene: &Scene| scene.seen.missable(&pods, Timestamp(700)).now.len();
    // One pod is all that its revision has, and as good as nothing of the fleet.
    scene.seen.rollout.replicas = Pods(2);
    scene.seen.revisions[0].wanted = Pods(1);
    scene.seen.revisions[0].available = Pods(1);
    let elsewhere = Split {
        stable: Hash("v2".to_owned()),
        canary: Hash("v2".to_owned()),
        share: Share::NONE,
        routes: Vec::new(),
        pong: false,
        additional: Vec::new(),
    };
    (scene.seen.stable_door, scene.seen.canary_door) = (Door::None, Door::None);
    scene.seen.traffic.confirm(elsewhere, Certainty::Written, scene.seen.now);
    assert_eq!(evictable(&scene), 0);
    scene.seen.now = scene.seen.now.after(std::time::Duration::from_secs(5));
    assert_eq!(evictable(&scene), 1);
}
