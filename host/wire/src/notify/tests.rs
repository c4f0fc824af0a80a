//! The outbox, and that no crash makes it lie or forget.

use super::*;
use serde_json::json;
use sluice_port::{Delivery, Fault};

fn subscribed(subscriptions: &[(&str, &str)]) -> Value {
    let annotations: serde_json::Map<String, Value> = subscriptions
        .iter()
        .map(|(to, who)| {
            (format!("{}{to}", keys::NOTIFICATION_SUBSCRIBE_PREFIX), Value::from(*who))
        })
        .collect();
    json!({
        "metadata": {
            "namespace": "shop", "name": "web", "uid": "u", "resourceVersion": "7",
            "annotations": annotations,
        },
        "spec": {"template": {"spec": {"containers": [{"image": "b:2"}, {"image": "a:1"}]}}},
        "status": {"phase": "Progressing"},
    })
}

fn rollout() -> Value {
    let mut rollout = subscribed(&[("on-rollout-aborted.slack", "ops; dev ")]);
    rollout["metadata"]["annotations"][keys::REVISION] = "2".into();
    rollout
}

fn aborted() -> Event {
    Event::warning("RolloutAborted", "Rollout aborted update to revision 2".to_owned())
}

fn recorded(events: &[Event]) -> New<'_> {
    New { events, recorded: true, number: None }
}

const NOTHING: New<'_> = New { events: &[], recorded: false, number: None };
const NOW: Timestamp = Timestamp(1_000);

/// Do the write as the API server would.
fn apply(rollout: &mut Value, settled: &Settled) {
    if let Some(write) = &settled.write {
        assert_eq!(
            write.body["metadata"]["resourceVersion"],
            rollout["metadata"]["resourceVersion"]
        );
        let text = &write.body["metadata"]["annotations"][keys::OUTBOX];
        let annotations = rollout["metadata"]["annotations"].as_object_mut().unwrap();
        match text.is_null() {
            true => annotations.remove(keys::OUTBOX),
            false => annotations.insert(keys::OUTBOX.to_owned(), text.clone()),
        };
    }
}

#[test]
fn triggers_are_reasons_in_kebab_case() {
    let table = [
        ("RolloutAborted", "on-rollout-aborted"),
        ("RolloutStepCompleted", "on-rollout-step-completed"),
        ("ScalingReplicaSet", "on-scaling-replica-set"),
        ("AnalysisRunFailed", "on-analysis-run-failed"),
        ("HPAUpdated", "on-hpa-updated"),
        ("Updated VirtualService", "on-updated-virtual-service"),
    ];
    for (reason, name) in table {
        assert_eq!(trigger(reason), name);
    }
}

#[test]
fn a_subscription_names_trigger_notifier_and_recipients() {
    let rollout = subscribed(&[("on-rollout-aborted.slack", " ops;; dev "), ("slack", "x")]);
    let expected = Subscription {
        trigger: "on-rollout-aborted".to_owned(),
        service: "slack".to_owned(),
        recipients: vec!["ops".to_owned(), "dev".to_owned()],
    };
    assert_eq!(subscriptions(&rollout), [expected]);
}

#[test]
fn nothing_is_written_where_nobody_subscribed() {
    for rollout in [subscribed(&[]), subscribed(&[("on-rollout-paused.slack", "ops")])] {
        let settled = settle(&rollout, &Desk::default(), recorded(&[aborted()]), NOW);
        assert_eq!((settled.write, settled.waiting), (None, Vec::new()));
    }
}

#[test]
fn a_fact_is_told_with_what_a_reader_needs() {
    let settled = settle(&rollout(), &Desk::default(), recorded(&[aborted()]), NOW);
    let notice = settled.waiting[0].notice(&rollout()).unwrap();
    assert!(notice.key.starts_with("u/2/on-rollout-aborted/"), "{}", notice.key);
    assert_eq!(notice.recipients, ["ops", "dev"]);
    assert_eq!(notice.images, ["a:1", "b:2"]);
    assert_eq!((notice.phase.as_str(), notice.revision.as_str()), ("Progressing", "2"));
    assert!(notice.warning && notice.time_ms == NOW.0);
    assert_eq!(settled.waiting[0].notice(&subscribed(&[])), None, "nobody wants it any more");
}

#[test]
fn two_facts_of_one_turn_are_both_told_by_everybody_who_was_asked_to() {
    let rollout = subscribed(&[
        ("on-analysis-run-failed.slack", "ops"),
        ("on-analysis-run-failed.pager", ""),
        ("on-rollout-aborted.slack", "ops"),
    ]);
    let failed = |name: &str| Event::warning("AnalysisRunFailed", format!("run {name} failed"));
    let events = [failed("a"), failed("b"), aborted(), aborted()];
    let settled = settle(&rollout, &Desk::default(), recorded(&events), NOW);
    let told: Vec<_> =
        settled.waiting.iter().map(|e| (e.service.as_str(), e.message.as_str())).collect();
    let abort = aborted().message;
    let expected = [
        ("pager", "run a failed"),
        ("slack", "run a failed"),
        ("pager", "run b failed"),
        ("slack", "run b failed"),
        ("slack", abort.as_str()),
    ];
    assert_eq!(told, expected);
}

#[test]
fn the_same_transition_at_another_time_is_another_fact() {
    let key = |rollout: &Value| {
        settle(rollout, &Desk::default(), recorded(&[aborted()]), NOW).waiting[0].key.clone()
    };
    let mut later = rollout();
    later["status"]["abortedAt"] = "2026-01-31T12:00:00Z".into();
    assert_eq!(key(&rollout()), key(&rollout()));
    assert_ne!(key(&rollout()), key(&later));
}

#[test]
fn lasting_trouble_is_told_once_and_every_deed_by_itself() {
    let rollout =
        subscribed(&[("on-routing-error.slack", ""), ("on-scaling-replica-set.slack", "")]);
    let mut desk = Desk::default();
    let trouble = [Event::warning("RoutingError", "the mesh is away".to_owned())];
    let new = New { events: &trouble, ..NOTHING };
    let first = settle(&rollout, &desk, new, NOW);
    assert_eq!(first.waiting.len(), 1);
    desk.settled(&first, BTreeSet::from(["on-scaling-replica-set".to_owned()]));
    assert_eq!(settle(&rollout, &desk, new, Timestamp(9)).waiting, Vec::new());
    let scaled = Event::normal("ScalingReplicaSet", "Scaled up web-1 from 0 to 1".to_owned());
    for at in [Timestamp(10), Timestamp(20)] {
        assert!(desk.say(&scaled, at));
    }
    assert!(!desk.say(&aborted(), NOW), "nobody subscribed to that");
    let settled = settle(&rollout, &desk, NOTHING, NOW);
    assert_eq!(settled.waiting.len(), 2);
    desk.settled(&settled, BTreeSet::new());
    assert_eq!(settle(&rollout, &desk, NOTHING, NOW).waiting, Vec::new());
}

#[test]
fn what_cannot_be_told_in_a_day_is_given_up_and_what_nobody_wants_is_forgotten() {
    let mut rollout = rollout();
    let desk = Desk::default();
    let settled = settle(&rollout, &desk, recorded(&[aborted()]), NOW);
    apply(&mut rollout, &settled);
    rollout["status"]["abort"] = true.into();
    let day = NOW.after(GIVEN_UP_AFTER);
    let before = settle(&rollout, &desk, NOTHING, Timestamp(day.0 - 1));
    assert_eq!((before.waiting.len(), before.write), (1, None));
    let after = settle(&rollout, &desk, NOTHING, day);
    assert_eq!((after.waiting.len(), after.given_up.len()), (0, 1));
    assert!(after.write.is_some());
    let annotations = rollout["metadata"]["annotations"].as_object_mut().unwrap();
    annotations.retain(|key, _| key == keys::OUTBOX);
    let unwanted = settle(&rollout, &desk, NOTHING, NOW);
    assert_eq!((unwanted.waiting.len(), unwanted.given_up.len()), (0, 0));
    apply(&mut rollout, &unwanted);
    assert_eq!(rollout["metadata"]["annotations"], json!({}));
}

#[test]
fn the_outbox_is_bounded_and_survives_nonsense() {
    let rollout_of = |text: String| {
        let mut rollout = rollout();
        rollout["metadata"]["annotations"][keys::OUTBOX] = text.into();
        rollout
    };
    for nonsense in ["{", "7", r#"[{"key": 1}]"#, &"[".repeat(1 << 20)] {
        let settled = settle(&rollout_of(nonsense.to_owned()), &Desk::default(), NOTHING, NOW);
        assert!(settled.waiting.is_empty() && settled.write.is_some(), "it is taken away");
    }
    let events: Vec<_> = (0..2 * MOST_WAITING)
        .map(|index| Event::warning("RolloutAborted", format!("{index}{}", "x".repeat(2000))))
        .collect();
    let settled = settle(&rollout(), &Desk::default(), recorded(&events), NOW);
    let text = settled.write.unwrap().body["metadata"]["annotations"][keys::OUTBOX].to_string();
    assert!(text.len() <= 2 * MOST_BYTES && settled.waiting.len() <= MOST_WAITING);
    assert_eq!(settled.waiting.len() + settled.given_up.len(), events.len());
    assert!(settled.waiting.last().unwrap().message.starts_with("127"), "the oldest go first");
}

/// After which act of its life a controller is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Killed {
    BeforeAll,
    AfterBoxed,
    AfterRecord,
    AfterTelling,
    AfterConfirming,
}

/// One life of a controller whose rollout is to be aborted, up to where it is killed.
fn live(rollout: &mut Value, told: &mut Vec<Notice>, killed: Option<Killed>) {
    let mut desk = Desk::default();
    for _ in 0..3 {
        if killed == Some(Killed::BeforeAll) {
            return;
        }
        let record = rollout["status"]["abort"].is_null();
        let events: Vec<_> = record.then(aborted).into_iter().collect();
        let new = New { events: &events, recorded: record, number: None };
        let settled = settle(rollout, &desk, new, NOW);
        apply(rollout, &settled);
        if killed == Some(Killed::AfterBoxed) {
            return;
        }
        if record {
            rollout["status"]["abort"] = true.into();
        }
        if killed == Some(Killed::AfterRecord) {
            return;
        }
        desk.settled(&settled, BTreeSet::new());
        for (service, entries) in desk.due(&settled.waiting, NOW) {
            assert_eq!(rollout["status"]["abort"], true, "only what is true is told");
            told.extend(entries.iter().filter_map(|entry| entry.notice(rollout)));
            if killed == Some(Killed::AfterTelling) {
                return;
            }
            let done =
                entries.iter().map(|entry| (entry.id(), Ended::of(Ok(Delivery::Delivered(None)))));
            desk.ended(&service, done.collect(), NOW);
        }
    }
    assert_eq!(rollout["metadata"]["annotations"].get(keys::OUTBOX), None, "and the box is empty");
}

#[test]
fn no_crash_makes_a_fact_untold_and_none_told_again_that_was_confirmed() {
    let lives = [
        Killed::BeforeAll,
        Killed::AfterBoxed,
        Killed::AfterRecord,
        Killed::AfterTelling,
        Killed::AfterConfirming,
    ];
    for first in lives {
        for second in lives {
            let (mut rollout, mut told) = (rollout(), Vec::new());
            for killed in [first, second] {
                let killed = Some(killed).filter(|killed| *killed != Killed::AfterConfirming);
                live(&mut rollout, &mut told, killed);
            }
            live(&mut rollout, &mut told, None);
            let keys: BTreeSet<_> = told.iter().map(|notice| notice.key.clone()).collect();
            assert_eq!(keys.len(), 1, "{first:?} {second:?}: one fact, one key");
            // Only who was killed between telling and noting it tells again.
            let again = [first, second].iter().filter(|k| **k == Killed::AfterTelling).count();
            let confirmed = first == Killed::AfterConfirming;
            let most = 1 + if confirmed { 0 } else { again };
            assert!(told.len() <= most, "{first:?} {second:?}: told {} times", told.len());
        }
    }
}

#[test]
fn a_decision_that_was_never_recorded_is_not_told() {
    let mut rollout = rollout();
    let settled = settle(&rollout, &Desk::default(), recorded(&[aborted()]), NOW);
    apply(&mut rollout, &settled);
    // The controller is killed here, and the next one decides otherwise.
    let paused = Event::normal("RolloutPaused", "Rollout is paused".to_owned());
    let settled = settle(&rollout, &Desk::default(), recorded(&[paused]), NOW);
    assert_eq!(settled.waiting, Vec::new());
    apply(&mut rollout, &settled);
    assert_eq!(rollout["metadata"]["annotations"].get(keys::OUTBOX), None);
}

#[test]
fn a_status_that_comes_back_does_not_take_a_fact_away() {
    let mut rollout = rollout();
    let mut desk = Desk::default();
    let before = rollout["status"].clone();
    let settled = settle(&rollout, &desk, recorded(&[aborted()]), NOW);
    apply(&mut rollout, &settled);
    desk.settled(&settled, BTreeSet::new());
    rollout["status"] = before;
    assert_eq!(settle(&rollout, &desk, NOTHING, NOW).waiting.len(), 1);
}

#[test]
fn a_busy_notifier_is_not_called_twice_and_a_late_one_is_called_when_it_is_time() {
    let mut desk = Desk::default();
    let settled = settle(&rollout(), &desk, recorded(&[aborted()]), NOW);
    let entry = settled.waiting[0].clone();
    assert_eq!(desk.due(&settled.waiting, NOW).len(), 1);
    assert_eq!(desk.due(&settled.waiting, NOW).len(), 0, "it is busy");
    assert_eq!(desk.wake(&settled.waiting), None);
    let busy = Fault::Transient { message: "503".to_owned(), after_ms: None };
    desk.ended("slack", vec![(entry.id(), Ended::of(Err(busy)))], NOW);
    let next = NOW.after(Duration::from_secs(1));
    assert_eq!(desk.wake(&settled.waiting).map(|wake| wake.at), Some(next));
    assert_eq!(desk.due(&settled.waiting, NOW).len(), 0, "it is too early");
    assert_eq!(desk.due(&settled.waiting, next)["slack"][0].key, entry.key);
}
