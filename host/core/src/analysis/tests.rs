//! Stories of single runs. [`World`] plays the shell: it records every decision, has orders under
//! way until they are answered, and checks after each turn that deciding twice changes nothing.

use super::*;

struct World {
    seen: Observed,
    last: Decision,
}

const OK: Verdict = Verdict::Successful;
const BAD: Verdict = Verdict::Failed;
const UNSURE: Verdict = Verdict::Inconclusive;
const ERR: Verdict = Verdict::Error;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn at(seconds: u64) -> Timestamp {
    Timestamp(1_700_000_000_000).after(secs(seconds))
}

fn metric(name: &str) -> MetricSpec {
    MetricSpec { name: name.to_owned(), ..MetricSpec::default() }
}

/// A metric without end, measured every ten seconds.
fn endless(name: &str) -> MetricSpec {
    MetricSpec { interval: Some(secs(10)), ..metric(name) }
}

/// A metric that is measured so many times, every ten seconds.
fn counted(name: &str, count: u32) -> MetricSpec {
    MetricSpec { count: Some(count), ..endless(name) }
}

impl World {
    /// A run that was decided on once, at second 0.
    fn new(metrics: impl IntoIterator<Item = MetricSpec>) -> Self {
        Self::of(Ok(metrics.into_iter().collect()))
    }

    fn of(metrics: Result<Vec<MetricSpec>, String>) -> Self {
        let seen = Observed {
            now: at(0),
            metrics,
            terminate: false,
            time_to_live: TimeToLive::default(),
            status: Status::default(),
            in_flight: BTreeSet::new(),
            finished: Vec::new(),
        };
        let last = decide(&seen);
        let mut world = Self { seen, last };
        world.turn();
        world
    }

    /// Decide, record, and take the orders up.
    fn turn(&mut self) -> &Decision {
        let decision = decide(&self.seen);
        assert_eq!(decision, decide(&self.seen), "the same observation, another decision");
        self.seen.status = decision.status.clone();
        let again = decide(&self.seen);
        assert_eq!(again.status, decision.status, "what was recorded was recorded again");
        assert_eq!(again.facts, [], "what was told was told again");
        self.seen.finished.clear();
        for order in &decision.orders {
            if let Order::Measure { metric, index } | Order::Resume { metric, index, .. } = order {
                self.seen.in_flight.insert((metric.clone(), *index));
            }
        }
        self.last = decision;
        &self.last
    }

    fn at(&mut self, seconds: u64) -> &Decision {
        self.seen.now = at(seconds);
        self.turn()
    }

    /// Answer what is under way for this metric.
    fn answer_with(&mut self, metric: &str, outcome: Outcome) -> &Decision {
        let ticket = self.seen.in_flight.iter().find(|(name, _)| name == metric).cloned();
        let ticket = ticket.unwrap_or_else(|| panic!("nothing is under way for {metric}"));
        self.seen.in_flight.remove(&ticket);
        self.seen.finished.push(Finished {
            metric: ticket.0,
            index: ticket.1,
            started: self.seen.now,
            at: self.seen.now,
            outcome,
            metadata: Vec::new(),
            metric_metadata: Vec::new(),
        });
        self.turn()
    }

    fn answer(&mut self, metric: &str, verdict: Verdict) -> &Decision {
        let message = if verdict == ERR { "no route to host" } else { "" };
        let (value, message) = ("1".to_owned(), message.to_owned());
        self.answer_with(metric, Outcome::Judged { verdict, value, message })
    }

    fn goes_on(&mut self, metric: &str, resume: u64) -> &Decision {
        let (token, message) = ("job-7".to_owned(), String::new());
        self.answer_with(metric, Outcome::Running { token, resume: at(resume), message })
    }

    /// Answer one measurement after the other at the moments at which they are due.
    fn measure(&mut self, metric: &str, verdicts: &[Verdict]) -> &Decision {
        for (nth, verdict) in verdicts.iter().enumerate() {
            if nth > 0 {
                self.seen.now = self.last.wake.expect("another measurement is to come").at;
                self.turn();
            }
            self.answer(metric, *verdict);
        }
        &self.last
    }

    fn phase(&self) -> &'static str {
        words::name(self.seen.status.phase.expect("decided once"))
    }

    fn message(&self) -> &str {
        &self.seen.status.message
    }

    fn result(&self, metric: &str) -> &MetricResult {
        self.seen.status.result(metric).expect("the metric was measured")
    }

    fn metric_phase(&self, metric: &str) -> &'static str {
        words::name(self.result(metric).phase)
    }
}

/// What is ordered, as `measure a#0`.
fn orders(decision: &Decision) -> String {
    let mut told = Vec::new();
    for order in &decision.orders {
        told.push(match order {
            Order::Measure { metric, index } => format!("measure {metric}#{index}"),
            Order::Resume { metric, index, token } => format!("resume {metric}#{index} {token}"),
            Order::Terminate { metric, index, token } => {
                format!("terminate {metric}#{index} {token}")
            }
            Order::Delete => "delete".to_owned(),
        });
    }
    told.join(", ")
}

fn wake(decision: &Decision) -> Option<u64> {
    decision.wake.map(|wake| wake.at.since(at(0)).as_secs())
}

#[test]
fn a_metric_without_count_and_interval_is_measured_once() {
    let mut run = World::new([metric("a")]);
    assert_eq!(orders(&run.last), "measure a#0");
    assert_eq!(run.phase(), "Running");
    assert_eq!(run.last.waiting.as_ref().map(ToString::to_string).unwrap(), "a measurement of a");
    run.answer("a", OK);
    assert_eq!((run.phase(), run.message()), ("Successful", ""));
    assert_eq!(run.seen.status.completed, Some(at(0)));
    assert_eq!(
        run.last.facts,
        [
            Fact::MetricCompleted {
                metric: "a".to_owned(),
                phase: RunPhase::Successful,
                dry_run: false
            },
            Fact::RunCompleted { phase: RunPhase::Successful },
        ]
    );
}

#[test]
fn what_is_under_way_is_not_ordered_twice_and_what_was_lost_is_ordered_again() {
    let mut run = World::new([metric("a")]);
    assert_eq!(orders(run.at(5)), "");
    run.seen.in_flight.clear();
    assert_eq!(orders(run.at(6)), "measure a#0");
}

#[test]
fn an_answer_to_an_older_order_is_ignored() {
    let mut run = World::new([counted("a", 3)]);
    run.answer("a", OK);
    run.at(10);
    run.seen.in_flight = BTreeSet::from([("a".to_owned(), 0)]);
    run.answer("a", BAD);
    assert_eq!(
        run.result("a").tally,
        Tally { count: 1, successful: 1, consecutive_success: 1, ..Tally::default() }
    );
}

#[test]
fn the_interval_counts_from_the_end_of_the_last_measurement() {
    let mut run = World::new([counted("a", 2)]);
    run.at(3);
    let decision = run.answer("a", OK);
    assert_eq!((orders(decision).as_str(), wake(decision)), ("", Some(13)));
    assert_eq!(decision.waiting.as_ref().unwrap().to_string(), "the next measurement of a");
    assert_eq!(orders(run.at(12)), "");
    assert_eq!(orders(run.at(13)), "measure a#1");
    run.answer("a", OK);
    assert_eq!(run.phase(), "Successful");
}

#[test]
fn an_interval_without_a_count_never_ends_by_itself() {
    let mut run = World::new([endless("a")]);
    run.measure("a", &[OK; 40]);
    assert_eq!((run.phase(), run.metric_phase("a")), ("Running", "Running"));
    assert_eq!(run.result("a").tally.count, 40);
}

#[test]
fn the_initial_delay_counts_from_the_start_of_the_run() {
    let delayed = MetricSpec { initial_delay: Some(secs(60)), ..metric("late") };
    let mut run = World::new([metric("early"), delayed]);
    assert_eq!(orders(&run.last), "measure early#0");
    assert_eq!(wake(&run.last), Some(60));
    run.at(5);
    run.answer("early", OK);
    assert_eq!(run.phase(), "Running", "a metric that has not begun keeps the run going");
    assert_eq!(run.last.waiting.as_ref().unwrap().to_string(), "the initial delay of late");
    assert_eq!(orders(run.at(60)), "measure late#0");
    run.answer("late", OK);
    assert_eq!(run.phase(), "Successful");
    assert_eq!(run.seen.status.started, Some(at(0)));
}

#[test]
fn an_error_is_retried_after_ten_seconds_whatever_the_interval() {
    let hourly = MetricSpec { interval: Some(secs(3600)), ..counted("a", 2) };
    let mut run = World::new([hourly]);
    assert_eq!(wake(run.answer("a", ERR)), Some(10));
    assert_eq!(
        run.last.waiting.as_ref().unwrap().to_string(),
        "another try at a after 1 errors in a row"
    );
    assert_eq!(orders(run.at(10)), "measure a#1");
    assert_eq!(wake(run.answer("a", OK)), Some(3610));
}

#[test]
fn a_metric_without_interval_retries_an_error() {
    let mut run = World::new([metric("a")]);
    run.measure("a", &[ERR, OK]);
    assert_eq!(run.phase(), "Successful");
}

#[test]
fn errors_do_not_count_towards_the_count() {
    let mut run = World::new([counted("a", 2)]);
    run.measure("a", &[ERR, OK, ERR]);
    assert_eq!(run.phase(), "Running");
    let tally = run.result("a").tally;
    assert_eq!((tally.count, tally.error, tally.consecutive_error), (1, 2, 1));
    run.at(60);
    run.answer("a", OK);
    assert_eq!(run.phase(), "Successful");
}

#[test]
fn counters_follow_each_verdict() {
    let tolerant = MetricSpec { failure_limit: Some(9), inconclusive_limit: 9, ..endless("a") };
    let mut run = World::new([tolerant]);
    // After each verdict: count, successful, failed, inconclusive, error, errors in a row,
    // successes in a row.
    let table = [
        (OK, [1, 1, 0, 0, 0, 0, 1]),
        (OK, [2, 2, 0, 0, 0, 0, 2]),
        (ERR, [2, 2, 0, 0, 1, 1, 0]),
        (ERR, [2, 2, 0, 0, 2, 2, 0]),
        (BAD, [3, 2, 1, 0, 2, 0, 0]),
        (OK, [4, 3, 1, 0, 2, 0, 1]),
        (UNSURE, [5, 3, 1, 1, 2, 0, 0]),
    ];
    for (nth, (verdict, expected)) in table.into_iter().enumerate() {
        run.at(nth as u64 * 20);
        run.answer("a", verdict);
        let t = run.result("a").tally;
        let found = [
            t.count,
            t.successful,
            t.failed,
            t.inconclusive,
            t.error,
            t.consecutive_error,
            t.consecutive_success,
        ];
        assert_eq!(found, expected, "after verdict {nth}");
    }
}

#[test]
fn one_failure_too_many_fails_metric_and_run() {
    let mut run = World::new([MetricSpec { failure_limit: Some(1), ..counted("a", 5) }]);
    run.measure("a", &[BAD, OK]);
    assert_eq!(run.phase(), "Running");
    run.at(20);
    run.answer("a", BAD);
    assert_eq!(run.phase(), "Failed");
    assert_eq!(run.message(), r#"Metric "a" assessed Failed due to failed (2) > failureLimit (1)"#);
}

#[test]
fn one_inconclusive_measurement_too_many_makes_the_run_inconclusive() {
    let mut run = World::new([counted("a", 5)]);
    run.answer("a", UNSURE);
    assert_eq!(run.phase(), "Inconclusive");
    assert_eq!(
        run.message(),
        r#"Metric "a" assessed Inconclusive due to inconclusive (1) > inconclusiveLimit (0)"#
    );
}

#[test]
fn the_fifth_error_in_a_row_is_one_too_many_and_the_message_carries_the_error() {
    let mut run = World::new([counted("a", 5)]);
    run.measure("a", &[ERR; 4]);
    assert_eq!(run.phase(), "Running");
    run.at(100);
    run.answer("a", ERR);
    assert_eq!(run.phase(), "Error");
    assert_eq!(
        run.message(),
        "Metric \"a\" assessed Error due to consecutiveErrors (5) > consecutiveErrorLimit (4): \
         \"Error Message: no route to host\""
    );
}

#[test]
fn an_error_outweighs_an_inconclusive_result_and_that_a_failure() {
    let limits = |failed, inconclusive, consecutive_error| {
        let tally = Tally { failed, inconclusive, consecutive_error, ..Tally::default() };
        assess::over_limit(&metric("a"), &tally)
    };
    assert_eq!(limits(0, 0, 4), None);
    assert_eq!(limits(1, 0, 0), Some(RunPhase::Failed));
    assert_eq!(limits(1, 1, 0), Some(RunPhase::Inconclusive));
    assert_eq!(limits(1, 1, 5), Some(RunPhase::Error));
}

#[test]
fn a_failure_limit_that_is_off_tolerates_every_failure() {
    let spec = MetricSpec { failure_limit: None, consecutive_success_limit: 2, ..endless("a") };
    let mut run = World::new([spec]);
    run.measure("a", &[BAD, BAD, OK, BAD, OK]);
    assert_eq!(run.phase(), "Running");
    run.at(50);
    run.answer("a", OK);
    assert_eq!(run.phase(), "Successful");
}

#[test]
fn reaching_the_count_short_of_the_successes_wanted_is_inconclusive_or_a_failure() {
    for (failure_limit, phase) in [(Some(2), "Inconclusive"), (None, "Failed")] {
        let spec = MetricSpec { failure_limit, consecutive_success_limit: 3, ..counted("a", 4) };
        let mut run = World::new([spec]);
        run.measure("a", &[OK, BAD, OK, OK]);
        assert_eq!(run.phase(), phase);
        assert_eq!(
            run.message(),
            format!(
                "Metric \"a\" assessed {phase} due to \
                 consecutiveSuccess (2) < consecutiveSuccessLimit (3)"
            )
        );
    }
}

#[test]
fn the_worst_metric_decides_and_the_others_are_stopped_where_they_are() {
    let mut run = World::new([endless("good"), counted("bad", 3)]);
    run.answer("good", OK);
    run.answer("bad", BAD);
    assert_eq!((run.phase(), run.metric_phase("good")), ("Failed", "Successful"));
    assert_eq!(
        run.message(),
        r#"Metric "bad" assessed Failed due to failed (1) > failureLimit (0)"#
    );
    let summary = Summary { count: 2, successful: 1, failed: 1, ..Summary::default() };
    assert_eq!(run.seen.status.summary, summary);
}

#[test]
fn phases_rank_from_successful_to_failed() {
    let ends = |first: Verdict, second: Verdict| {
        let strict = |name: &str| MetricSpec { consecutive_error_limit: 0, ..metric(name) };
        let mut run = World::new([strict("a"), strict("b")]);
        // Both answers are there in one turn.
        for (metric, verdict) in [("a", first), ("b", second)] {
            let outcome = Outcome::Judged { verdict, value: String::new(), message: String::new() };
            run.seen.finished.push(Finished {
                metric: metric.to_owned(),
                index: 0,
                started: at(0),
                at: at(0),
                outcome,
                metadata: Vec::new(),
                metric_metadata: Vec::new(),
            });
        }
        run.turn();
        run.phase()
    };
    assert_eq!(ends(OK, OK), "Successful");
    assert_eq!(ends(UNSURE, OK), "Inconclusive");
    assert_eq!(ends(UNSURE, ERR), "Error");
    assert_eq!(ends(ERR, BAD), "Failed");
    assert_eq!(ends(BAD, ERR), "Failed");
}

#[test]
fn terminating_before_any_measurement_is_a_success() {
    let mut run = World::new([endless("a")]);
    run.seen.terminate = true;
    let decision = run.at(1);
    assert_eq!(orders(decision), "");
    assert_eq!((run.phase(), run.message()), ("Successful", "Run Terminated"));
}

#[test]
fn terminating_an_endless_metric_is_a_success() {
    let mut run = World::new([endless("a")]);
    run.answer("a", OK);
    run.seen.terminate = true;
    run.at(10);
    assert_eq!((run.phase(), run.message()), ("Successful", "Run Terminated"));
}

#[test]
fn a_worse_message_replaces_run_terminated() {
    let mut run = World::new([counted("a", 3)]);
    run.seen.terminate = true;
    run.answer("a", BAD);
    assert_eq!(run.phase(), "Failed");
    assert_eq!(run.message(), r#"Metric "a" assessed Failed due to failed (1) > failureLimit (0)"#);
}

#[test]
fn a_measurement_that_goes_on_is_asked_about_again_under_the_same_index() {
    let mut run = World::new([metric("a")]);
    assert_eq!(wake(run.goes_on("a", 5)), Some(5));
    assert_eq!(run.last.waiting.as_ref().unwrap().to_string(), "the unfinished measurement of a");
    assert_eq!(orders(run.at(4)), "");
    assert_eq!(orders(run.at(5)), "resume a#0 job-7");
    assert_eq!(wake(run.goes_on("a", 9)), Some(9));
    assert_eq!(run.result("a").measurements.len(), 1);
    assert_eq!(orders(run.at(9)), "resume a#0 job-7");
    run.answer("a", OK);
    assert_eq!(run.phase(), "Successful");
    let measurement = &run.result("a").measurements[0];
    assert_eq!((measurement.started, measurement.finished), (Some(at(0)), Some(at(9))));
    assert_eq!((measurement.resume, measurement.token.as_deref()), (None, None));
}

#[test]
fn an_unfinished_measurement_without_a_token_is_begun_again() {
    let mut run = World::new([metric("a")]);
    run.goes_on("a", 5);
    run.seen.status.results[0].measurements[0].token = None;
    assert_eq!(orders(run.at(5)), "measure a#0");
}

#[test]
fn terminating_stops_a_measurement_that_goes_on_and_is_inconclusive() {
    let mut run = World::new([metric("a")]);
    run.goes_on("a", 500);
    run.seen.terminate = true;
    assert_eq!(orders(run.at(1)), "terminate a#0 job-7");
    assert_eq!(run.phase(), "Inconclusive");
    let measurement = &run.result("a").measurements[0];
    assert_eq!(measurement.message, "Metric Terminated");
    assert_eq!(measurement.finished, Some(at(1)));
}

#[test]
fn a_measurement_that_turns_out_to_go_on_after_the_end_is_stopped() {
    let mut run = World::new([metric("a")]);
    run.seen.terminate = true;
    run.at(1);
    assert_eq!(run.phase(), "Successful");
    assert_eq!(orders(run.goes_on("a", 5)), "terminate a#0 job-7");
}

#[test]
fn a_dry_run_never_influences_the_run() {
    let dry = MetricSpec { dry_run: true, ..metric("dry") };
    let mut run = World::new([dry, counted("real", 2)]);
    run.answer("dry", BAD);
    assert_eq!((run.phase(), run.metric_phase("dry")), ("Running", "Failed"));
    assert_eq!(
        run.result("dry").message,
        "Metric assessed Failed due to failed (1) > failureLimit (0)"
    );
    run.measure("real", &[OK, OK]);
    assert_eq!((run.phase(), run.message()), ("Successful", ""));
    let (real, dry) = (run.seen.status.summary, run.seen.status.dry_run_summary);
    assert_eq!((real.count, real.successful, real.failed), (1, 1, 0));
    assert_eq!((dry.count, dry.successful, dry.failed), (1, 0, 1));
}

#[test]
fn a_run_of_dry_runs_only_is_successful() {
    let mut run = World::new([MetricSpec { dry_run: true, ..metric("a") }]);
    run.answer("a", BAD);
    assert_eq!(run.phase(), "Successful");
}

#[test]
fn the_last_ten_measurements_are_kept_or_as_many_as_the_retention_says() {
    for (kept, expected) in [(KEPT_MEASUREMENTS, 10), (3, 3), (30, 15), (0, 1)] {
        let mut run = World::new([MetricSpec { kept, ..endless("a") }]);
        run.measure("a", &[OK; 15]);
        let measurements = &run.result("a").measurements;
        assert_eq!(measurements.len(), expected);
        assert_eq!(measurements.last().unwrap().finished, Some(at(140)), "the newest are kept");
    }
}

#[test]
fn a_specification_that_cannot_be_used_ends_the_run_with_a_time_of_completion() {
    let why = "Analysis spec invalid: no metrics specified";
    let run = World::of(Err(why.to_owned()));
    assert_eq!((run.phase(), run.message()), ("Error", why));
    assert_eq!(run.seen.status.completed, Some(at(0)));
}

#[test]
fn what_a_metric_refers_to_and_is_not_there_ends_the_run() {
    let mut run = World::new([endless("a"), endless("b")]);
    run.goes_on("b", 20);
    let why = "Unable to resolve metric arguments: secrets \"token\" not found";
    let decision = run.answer_with("a", Outcome::Unresolvable(why.to_owned()));
    assert_eq!(orders(decision), "terminate b#0 job-7");
    assert_eq!((run.phase(), run.message()), ("Error", why));
    assert_eq!(run.seen.status.completed, Some(at(0)));
}

#[test]
fn a_finished_run_changes_no_more() {
    let mut run = World::new([metric("a")]);
    run.answer("a", OK);
    let status = run.seen.status.clone();
    run.seen.terminate = true;
    run.seen.metrics = Err("edited".to_owned());
    let decision = run.at(99).clone();
    assert_eq!(decision.status, status);
    assert_eq!((decision.orders.len(), decision.facts.len(), decision.wake), (0, 0, None));
}

#[test]
fn a_finished_run_is_deleted_once_its_time_to_live_has_passed() {
    let time_to_live = TimeToLive {
        after_completion: Some(secs(300)),
        after_failure: Some(secs(200)),
        after_success: Some(secs(100)),
    };
    let table = [(OK, 100), (BAD, 200), (UNSURE, 300), (ERR, 300)];
    for (verdict, kept) in table {
        let mut run = World::new([MetricSpec { consecutive_error_limit: 0, ..metric("a") }]);
        run.seen.time_to_live = time_to_live;
        run.at(7);
        assert_eq!(wake(run.answer("a", verdict)), Some(7 + kept + 1), "{verdict:?}");
        assert_eq!(orders(run.at(7 + kept)), "");
        assert_eq!(orders(run.at(7 + kept + 1)), "delete");
    }
}

#[test]
fn a_time_to_live_for_success_keeps_failures_for_ever() {
    let mut run = World::new([metric("a")]);
    run.seen.time_to_live.after_success = Some(secs(1));
    assert_eq!(wake(run.answer("a", BAD)), None);
}
