use super::*;

fn at(seconds: u64) -> Timestamp {
    Timestamp(1_700_000_000_000).after(Duration::from_secs(seconds))
}

/// An experiment of two versions with two pods each, which goes on for a minute.
fn fresh() -> Observed {
    let template = |name: &str| Template {
        name: name.to_owned(),
        replicas: Pods(2),
        set: None,
        service: None,
        door: Door::Absent,
        routed: false,
        refused: None,
        trouble: None,
    };
    Observed {
        now: at(0),
        created: at(0),
        invalid: None,
        terminate: false,
        duration: Some(Duration::from_secs(60)),
        progress_deadline: Duration::from_secs(600),
        scale_down_delay: Duration::from_secs(30),
        drained: at(0),
        templates: vec![template("base"), template("new")],
        analyses: Vec::new(),
        status: Status::default(),
    }
}

fn analysis(required: bool) -> Analysis {
    Analysis { name: "rates".into(), required, run_name: "e-rates".into(), run: None, fault: None }
}

fn set(available: u32) -> Set {
    Set { wanted: Pods(2), current: Pods(2), available: Pods(available), deadline: None }
}

/// Decide and record it. What was decided is decided again, without a word, and every end that is
/// not final says what it waits for.
fn settle(seen: &mut Observed) -> Decision {
    let first = decide(seen);
    seen.status = first.status.clone();
    let again = decide(seen);
    assert_eq!((&again.status, &again.facts[..]), (&first.status, &[][..]));
    if !seen.status.is_over() {
        assert!(again.waiting.is_some(), "it says nothing of what it waits for");
        assert_eq!(again.orders, first.orders);
    }
    first
}

/// The same with all pods available since a while.
fn running(mut seen: Observed) -> Observed {
    for template in &mut seen.templates {
        template.set = Some(set(2));
    }
    settle(&mut seen);
    seen
}

fn phase(seen: &Observed) -> (RunPhase, &str) {
    (seen.status.phase.unwrap(), &seen.status.message)
}

fn stands(seen: &Observed) -> Vec<TemplatePhase> {
    seen.status.templates.iter().map(|one| one.phase).collect()
}

#[test]
fn pods_come_at_once_and_time_counts_when_all_are_available() {
    let mut seen = fresh();
    let first = settle(&mut seen);
    let create = |template| Order::CreateSet { template, to: Pods(2) };
    assert_eq!(first.orders, [create(0), create(1)]);
    assert_eq!(phase(&seen), (RunPhase::Pending, ""));
    seen.templates[0].set = Some(set(2));
    seen.templates[1].set = Some(set(1));
    seen.now = at(5);
    settle(&mut seen);
    assert_eq!(stands(&seen), [TemplatePhase::Running, TemplatePhase::Progressing]);
    assert_eq!((phase(&seen).0, seen.status.available_at), (RunPhase::Pending, None));
    seen.templates[1].set = Some(set(2));
    seen.now = at(9);
    let all = settle(&mut seen);
    assert_eq!((phase(&seen).0, seen.status.available_at), (RunPhase::Running, Some(at(9))));
    assert_eq!(all.wake.unwrap().at, at(69));
    assert_eq!(all.waiting, Some(Waiting::Duration(at(69))));
    seen.now = at(69);
    let last = settle(&mut seen);
    assert_eq!(phase(&seen), (RunPhase::Successful, ""));
    assert_eq!(last.orders, [], "its end is recorded first");
    let ended = Fact::Changed {
        from: Some(RunPhase::Running),
        to: RunPhase::Successful,
        message: String::new(),
    };
    assert!(last.facts.contains(&ended), "{:?}", last.facts);
}

#[test]
fn pods_outlive_the_experiment_by_the_delay_and_services_the_pods() {
    let mut seen = fresh();
    seen.templates.truncate(1);
    seen.templates[0].service = Some("e-base".into());
    let mut seen = running(seen);
    assert_eq!(phase(&seen).0, RunPhase::Pending, "nobody reaches the pods yet");
    let order = Order::CreateService { template: 0 };
    assert_eq!(decide(&seen).orders, [order]);
    seen.templates[0].door = Door::Ours;
    settle(&mut seen);
    assert_eq!(phase(&seen).0, RunPhase::Running);
    seen.now = at(60);
    settle(&mut seen);
    let first = settle(&mut seen);
    assert_eq!(first.orders, [Order::Deadline { template: 0, at: Some(at(90)) }]);
    seen.templates[0].set.as_mut().unwrap().deadline = Some(at(90));
    seen.now = at(89);
    let kept = decide(&seen);
    assert_eq!((&kept.orders[..], kept.wake.unwrap().at), (&[][..], at(90)));
    seen.now = at(90);
    seen.templates[0].routed = true;
    let routed = decide(&seen);
    assert_eq!(routed.orders, [], "requests still come");
    assert_eq!(routed.waiting, Some(Waiting::Traffic { service: "e-base".into() }));
    assert_eq!(routed.wake.unwrap().at, at(95));
    seen.drained = at(200);
    let unknown = decide(&seen);
    assert_eq!(unknown.orders, []);
    assert_eq!(unknown.waiting, routed.waiting, "no time can be told while they still come");
    seen.templates[0].routed = false;
    seen.drained = at(97);
    let draining = decide(&seen);
    assert_eq!((draining.orders, draining.wake.unwrap().at), (Vec::new(), at(97)));
    seen.now = at(97);
    let order = Order::Scale { template: 0, from: Pods(2), to: Pods::ZERO };
    assert_eq!(decide(&seen).orders, [order]);
    let set = seen.templates[0].set.as_mut().unwrap();
    (set.wanted, set.deadline) = (Pods::ZERO, None);
    assert_eq!(decide(&seen).orders, [], "a pod is still ending");
    seen.templates[0].set.as_mut().unwrap().current = Pods::ZERO;
    assert_eq!(decide(&seen).orders, [Order::DeleteService { template: 0 }]);
    seen.templates[0].door = Door::Absent;
    let rest = decide(&seen);
    assert_eq!((rest.orders, rest.waiting, rest.wake), (Vec::new(), None, None));
}

#[test]
fn without_a_delay_pods_go_once_the_end_is_recorded() {
    let mut seen = running(Observed { scale_down_delay: Duration::ZERO, ..fresh() });
    seen.now = at(60);
    let end = settle(&mut seen);
    assert_eq!(end.orders, []);
    let gone = |template| Order::Scale { template, from: Pods(2), to: Pods::ZERO };
    assert_eq!(decide(&seen).orders, [gone(0), gone(1)]);
}

#[test]
fn pods_that_do_not_come_in_time_fail_the_experiment() {
    let mut seen = fresh();
    for template in &mut seen.templates {
        template.set = Some(set(0));
    }
    settle(&mut seen);
    // A pod that comes is progress.
    seen.templates[1].set = Some(set(1));
    seen.templates[0].set = Some(set(2));
    seen.now = at(599);
    settle(&mut seen);
    seen.now = at(600);
    settle(&mut seen);
    assert_eq!(phase(&seen).0, RunPhase::Pending);
    seen.now = at(1199);
    settle(&mut seen);
    let why = "Template 'new' exceeded its progressDeadlineSeconds (600)";
    assert_eq!(phase(&seen), (RunPhase::Failed, why));
    assert_eq!(stands(&seen), [TemplatePhase::Successful, TemplatePhase::Failed]);
}

#[test]
fn a_pod_that_is_lost_is_waited_for_and_made_again() {
    let mut seen = running(fresh());
    seen.templates[0].set = Some(set(1));
    settle(&mut seen);
    assert_eq!(phase(&seen).0, RunPhase::Pending);
    seen.templates[0].set = Some(Set { wanted: Pods(1), ..set(1) });
    let order = Order::Scale { template: 0, from: Pods(1), to: Pods(2) };
    assert_eq!(decide(&seen).orders, [order], "somebody else took it");
    seen.templates[0].set = Some(set(2));
    settle(&mut seen);
    assert_eq!((phase(&seen).0, seen.status.available_at), (RunPhase::Running, Some(at(0))));
}

#[test]
fn what_cannot_be_made_is_an_error() {
    let mut seen = fresh();
    settle(&mut seen);
    seen.templates[1].refused = Some("no such field".into());
    settle(&mut seen);
    assert_eq!(phase(&seen), (RunPhase::Error, "no such field"));
}

#[test]
fn a_service_of_somebody_else_is_waited_for() {
    let mut seen = fresh();
    seen.templates[0].service = Some("shop".into());
    seen.templates[0].door = Door::Theirs;
    let seen = running(seen);
    let why = "Service 'shop' exists and is not controlled by this experiment";
    assert_eq!(phase(&seen), (RunPhase::Pending, why));
    assert_eq!(decide(&seen).orders, []);
}

#[test]
fn runs_begin_when_all_pods_are_available_and_are_made_once() {
    let mut seen = fresh();
    seen.analyses.push(analysis(false));
    assert!(!decide(&seen).orders.contains(&Order::StartRun { analysis: 0 }));
    let mut seen = running(seen);
    let start = Order::StartRun { analysis: 0 };
    assert_eq!(seen.status.runs[0].phase, RunPhase::Pending);
    // The process died before it was made.
    assert_eq!(decide(&seen).orders, [start]);
    seen.analyses[0].run =
        Some(Run { phase: RunPhase::Running, message: "m".into(), terminating: false });
    settle(&mut seen);
    assert_eq!(decide(&seen).orders, []);
    seen.analyses[0].run = None;
    settle(&mut seen);
    assert_eq!(phase(&seen), (RunPhase::Error, "AnalysisRun 'e-rates' was deleted before its end"));
}

#[test]
fn a_bad_run_ends_the_experiment_and_the_others_are_told() {
    for bad in [RunPhase::Failed, RunPhase::Error, RunPhase::Inconclusive] {
        let mut seen = fresh();
        seen.analyses = vec![analysis(false), Analysis { name: "more".into(), ..analysis(false) }];
        let mut seen = running(seen);
        let run = |phase| Some(Run { phase, message: "too slow".into(), terminating: false });
        seen.analyses[0].run = run(bad);
        seen.analyses[1].run = run(RunPhase::Running);
        settle(&mut seen);
        assert_eq!(phase(&seen), (bad, "too slow"));
        assert!(decide(&seen).orders.contains(&Order::StopRun { analysis: 1 }));
        seen.analyses[1].run.as_mut().unwrap().terminating = true;
        assert!(!decide(&seen).orders.contains(&Order::StopRun { analysis: 1 }));
        seen.analyses[1].run = run(RunPhase::Successful);
        settle(&mut seen);
        assert_eq!(seen.status.runs[1].phase, RunPhase::Successful);
        assert_eq!(phase(&seen), (bad, "too slow"));
    }
}

#[test]
fn a_required_analysis_ends_the_experiment_and_keeps_its_pods_until_then() {
    let mut seen = fresh();
    seen.analyses.push(analysis(true));
    let mut seen = running(seen);
    let run = |phase| Some(Run { phase, message: String::new(), terminating: false });
    seen.analyses[0].run = run(RunPhase::Running);
    seen.now = at(100);
    settle(&mut seen);
    assert_eq!(phase(&seen).0, RunPhase::Running, "its duration has passed");
    assert_eq!(stands(&seen), [TemplatePhase::Running; 2]);
    let mut early = seen.clone();
    early.now = at(30);
    for seen in [&mut seen, &mut early] {
        seen.analyses[0].run = run(RunPhase::Successful);
        settle(seen);
        assert_eq!(phase(seen).0, RunPhase::Successful);
    }
    assert_eq!(early.status.message, "Required AnalysisRuns completed");
}

#[test]
fn an_analysis_that_cannot_run_is_told_before_the_pods_are_there() {
    let mut seen = fresh();
    seen.analyses.push(Analysis { fault: Some("no template".into()), ..analysis(false) });
    settle(&mut seen);
    assert_eq!(phase(&seen).0, RunPhase::Pending, "it may only not be seen yet");
    assert_eq!(decide(&seen).wake.unwrap().at, at(5));
    seen.now = at(5);
    settle(&mut seen);
    assert_eq!(phase(&seen), (RunPhase::Error, "no template"));
}

#[test]
fn one_that_is_told_to_end_ends_well_once_its_required_runs_did() {
    let mut seen = fresh();
    seen.analyses.push(analysis(true));
    let mut seen = running(seen);
    seen.analyses[0].run =
        Some(Run { phase: RunPhase::Running, message: String::new(), terminating: false });
    seen.terminate = true;
    settle(&mut seen);
    assert_eq!(phase(&seen).0, RunPhase::Running);
    assert_eq!(decide(&seen).orders, [Order::StopRun { analysis: 0 }]);
    seen.analyses[0].run.as_mut().unwrap().phase = RunPhase::Successful;
    settle(&mut seen);
    assert_eq!(phase(&seen), (RunPhase::Successful, ""));
    assert_eq!(stands(&seen), [TemplatePhase::Successful; 2]);
}

#[test]
fn one_that_is_told_to_end_before_it_began_makes_nothing() {
    let mut seen = Observed { terminate: true, ..fresh() };
    let first = settle(&mut seen);
    assert_eq!((first.orders, phase(&seen).0), (Vec::new(), RunPhase::Successful));
}

#[test]
fn without_a_duration_somebody_has_to_end_it() {
    let seen = running(Observed { duration: None, now: at(9), ..fresh() });
    assert_eq!(decide(&seen).waiting, Some(Waiting::Somebody));
    assert_eq!(decide(&seen).wake, None);
}

#[test]
fn a_specification_that_cannot_be_followed_is_told_and_can_be_mended() {
    let mut seen = Observed { invalid: Some("no templates".into()), ..fresh() };
    let first = settle(&mut seen);
    assert_eq!(first.orders, []);
    assert_eq!(phase(&seen), (RunPhase::Pending, "no templates"));
    seen.invalid = None;
    let mended = settle(&mut seen);
    assert_eq!((mended.orders.len(), phase(&seen)), (2, (RunPhase::Pending, "")));
}

#[test]
fn one_that_is_tried_again_keeps_its_pods() {
    let mut seen = running(fresh());
    seen.templates[0].set.as_mut().unwrap().deadline = Some(at(20));
    assert_eq!(decide(&seen).orders, [Order::Deadline { template: 0, at: None }]);
}

#[test]
fn a_user_may_ask_for_fewer_pods() {
    let mut seen = running(fresh());
    seen.templates[1].replicas = Pods(1);
    let order = Order::Scale { template: 1, from: Pods(2), to: Pods(1) };
    assert_eq!(decide(&seen).orders, [order]);
}
