use super::*;

fn key(name: &str) -> Key {
    Key { kind: Kind::Rollout, namespace: "ns".into(), name: name.into() }
}

fn fine() -> Turned {
    Turned::Fine { wake: None, wrote: vec![], again: false }
}

fn leading() -> Engine {
    let mut engine = Engine::new();
    engine.handle(Input::Leading(true), Timestamp(0));
    engine
}

const NOW: Timestamp = Timestamp(1_000);

#[test]
fn nothing_is_due_while_another_leads() {
    let mut engine = Engine::new();
    engine.handle(Input::Changed(key("a")), NOW);
    assert_eq!(engine.poll(NOW), None);
    engine.handle(Input::Leading(true), NOW);
    assert_eq!(engine.poll(NOW), Some(key("a")));
}

#[test]
fn a_key_has_one_turn_at_a_time_and_a_change_meanwhile_is_not_lost() {
    let mut engine = leading();
    engine.handle(Input::Changed(key("a")), NOW);
    assert_eq!(engine.poll(NOW), Some(key("a")));
    engine.handle(Input::Changed(key("a")), NOW);
    assert_eq!(engine.poll(NOW), None);
    engine.handle(Input::Done(key("a"), fine()), NOW);
    assert_eq!(engine.poll(NOW), Some(key("a")));
}

#[test]
fn a_key_waits_until_its_own_writes_show() {
    let mut engine = leading();
    let object = ObjectId("ReplicaSet/ns/a".into());
    engine.handle(Input::Changed(key("a")), NOW);
    engine.poll(NOW);
    let wrote = vec![(object.clone(), Version(7))];
    engine.handle(Input::Done(key("a"), Turned::Fine { wake: None, wrote, again: true }), NOW);
    engine.handle(Input::Seen(object.clone(), Some(Version(6))), NOW);
    assert_eq!(engine.poll(NOW), None);
    engine.handle(Input::Seen(object, Some(Version(7))), NOW);
    assert_eq!(engine.poll(NOW), Some(key("a")));
}

#[test]
fn a_write_that_never_shows_holds_a_key_for_a_bounded_time() {
    let mut engine = leading();
    engine.handle(Input::Changed(key("a")), NOW);
    engine.poll(NOW);
    let wrote = vec![(ObjectId("gone".into()), Version(7))];
    engine.handle(Input::Done(key("a"), Turned::Fine { wake: None, wrote, again: true }), NOW);
    assert_eq!(engine.wake_at(), Some(NOW.after(BARRIER_LIMIT)));
    assert_eq!(engine.poll(NOW.after(BARRIER_LIMIT)), Some(key("a")));
}

#[test]
fn failures_back_off_and_a_success_ends_that() {
    let mut engine = leading();
    engine.handle(Input::Changed(key("a")), NOW);
    let mut now = NOW;
    let mut waits = Vec::new();
    for _ in 0..12 {
        assert_eq!(engine.poll(now), Some(key("a")));
        engine.handle(Input::Done(key("a"), Turned::Failed { wrote: vec![] }), now);
        let next = engine.wake_at().unwrap();
        waits.push(next.since(now).as_millis());
        now = next;
    }
    assert_eq!(waits[..4], [250, 500, 1_000, 2_000]);
    assert_eq!(waits[11], 60_000);
    engine.poll(now);
    engine.handle(Input::Done(key("a"), fine()), now);
    assert_eq!(engine.wake_at(), None);
}

#[test]
fn a_key_wakes_when_it_wished_to() {
    let mut engine = leading();
    engine.handle(Input::Changed(key("a")), NOW);
    engine.poll(NOW);
    let wake = Some(Wake { at: Timestamp(5_000), because: "the pause ends" });
    engine.handle(Input::Done(key("a"), Turned::Fine { wake, wrote: vec![], again: false }), NOW);
    assert_eq!(engine.poll(Timestamp(4_999)), None);
    assert_eq!(engine.wake_at(), Some(Timestamp(5_000)));
    assert_eq!(engine.poll(Timestamp(5_000)), Some(key("a")));
}

#[test]
fn a_release_under_way_goes_ahead_of_one_that_waits_to_begin_but_not_for_ever() {
    let mut engine = leading();
    let begun = key("begun");
    engine.handle(Input::Advanced(begun.clone(), Advance::new(50)), NOW);
    let turns = |engine: &mut Engine, waited: Duration| {
        engine.handle(Input::Changed(key("new")), NOW);
        engine.handle(Input::Changed(begun.clone()), NOW.after(waited));
        let now = NOW.after(waited);
        let turns = [engine.poll(now), engine.poll(now)];
        for turn in turns.iter().flatten() {
            engine.handle(Input::Done(turn.clone(), fine()), now);
        }
        turns.map(|turn| turn.map(|key| key.name))
    };
    let ahead = turns(&mut engine, HEAD_START / 2 - Duration::from_millis(1));
    assert_eq!(ahead, [Some("begun".to_owned()), Some("new".to_owned())]);
    let behind = turns(&mut engine, HEAD_START / 2 + Duration::from_millis(1));
    assert_eq!(behind, [Some("new".to_owned()), Some("begun".to_owned())]);
}

#[test]
fn a_clock_that_is_set_back_delays_no_change() {
    let mut engine = leading();
    engine.handle(Input::Changed(key("a")), Timestamp(10_000_000));
    assert_eq!(engine.poll(NOW), Some(key("a")));
}

#[test]
fn a_key_that_is_gone_is_forgotten_even_in_flight() {
    let mut engine = leading();
    engine.handle(Input::Changed(key("a")), NOW);
    engine.poll(NOW);
    engine.handle(Input::Gone(key("a")), NOW);
    engine.handle(Input::Done(key("a"), fine()), NOW);
    assert!(engine.is_empty());
    assert_eq!(engine.running(), 0);
}
