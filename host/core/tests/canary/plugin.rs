//! Steps that components do.

use std::time::Duration;

use sluice_core::called::{AFTER_A_FAULT, Answer, Call, Operation, Progress, Reply};
use sluice_core::fact::Fact;
use sluice_core::phase::{Memory, Phase};
use sluice_core::rollout::{Act, Step};
use sluice_core::{Decision, Order, Timestamp, decide};

use crate::scene::{Scene, hash, hold, weight};

fn plugin(name: &str) -> Step {
    Step::of(Act::Plugin(name.to_owned()))
}

/// The calls that are ordered: operation, step, which call, and the state that goes with it.
fn ordered(decision: &Decision) -> Vec<(Operation, usize, u32, Option<&str>)> {
    let call = |order| match order {
        &Order::CallStep { index, operation, execution, ref state, .. } => {
            Some((operation, index, execution, state.as_deref()))
        }
        _ => None,
    };
    decision.orders.iter().filter_map(call).collect()
}

/// A release at its first decisions, one second after another.
struct Story(Scene);

impl Story {
    fn of(steps: Vec<Step>) -> Self {
        let mut story = Self(Scene::update(steps, |canary| canary.routing = None));
        story.0.seen.now = Timestamp(100_000);
        story
    }

    /// The next decision, and what is remembered of it.
    fn next(&mut self) -> Decision {
        let decision = decide(&self.0.seen);
        let seen = &mut self.0.seen;
        seen.memory = decision.memory.clone();
        seen.changed = false;
        seen.replies.clear();
        seen.now = seen.now.after(Duration::from_secs(1));
        decision
    }

    /// An answer to the call that was made last for this step.
    fn answer(&mut self, operation: Operation, index: usize, answer: Answer) -> &mut Self {
        let calls = self.0.seen.memory.calls.iter();
        let mut calls = calls.filter(|call| call.index == index && call.operation == operation);
        let execution = calls.next().unwrap().executions;
        self.0.seen.replies.push(Reply {
            hash: hash("v2"),
            index,
            operation,
            execution,
            answer,
            message: None,
            state: Some("{\"n\":1}".to_owned()),
        });
        self
    }

    fn wait(&mut self, wait: Duration) -> &mut Self {
        self.0.seen.now = self.0.seen.now.after(wait);
        self
    }

    fn memory(&self) -> &Memory {
        &self.0.seen.memory
    }

    fn index(&self) -> Option<usize> {
        match self.memory().phase {
            Phase::Stepping { index, .. } => Some(index),
            _ => None,
        }
    }
}

const RUN: Operation = Operation::Run;

#[test]
fn a_component_is_asked_until_it_is_done_and_told_what_it_said() {
    let mut story = Story::of(vec![plugin("approve"), hold()]);
    assert_eq!(ordered(&story.next()), [(RUN, 0, 1, None)], "recorded and asked in one turn");
    assert_eq!(ordered(&story.next()), [(RUN, 0, 1, None)], "an answer that is lost is asked for");
    let again = Answer::Again(Duration::from_secs(20));
    let decision = story.answer(RUN, 0, again).next();
    assert_eq!(ordered(&decision), []);
    let wake = decision.wake.unwrap().at;
    assert_eq!(wake, story.memory().calls[0].updated.after(Duration::from_secs(20)));
    let decision = story.wait(Duration::from_secs(20)).next();
    assert_eq!(ordered(&decision), [(RUN, 0, 2, Some("{\"n\":1}"))]);
    let decision = story.answer(RUN, 0, Answer::Done).next();
    assert!(decision.facts.contains(&Fact::StepCompleted { index: 0 }));
    assert_eq!(story.index(), Some(1));
    assert!(story.memory().calls[0].finished.is_some());
}

#[test]
fn what_the_component_refuses_aborts_and_what_it_fails_at_does_not() {
    let mut story = Story::of(vec![plugin("approve"), hold()]);
    story.next();
    let decision = story.answer(RUN, 0, Answer::Fault("it trapped".to_owned())).next();
    assert_eq!(story.memory().calls[0].progress, Progress::Error);
    let said = decision.waiting.unwrap().to_string();
    assert_eq!(said, "step plugin approve to finish steps[0]: it trapped");
    assert_eq!(ordered(&story.next()), []);
    let decision = story.wait(AFTER_A_FAULT).next();
    assert_eq!(ordered(&decision), [(RUN, 0, 2, None)]);
    story.answer(RUN, 0, Answer::Failed("not on a Friday".to_owned())).next();
    let Phase::Aborted { why: Some(why), .. } = &story.memory().phase else { panic!() };
    assert_eq!(why, "Step Plugin 1 (approve) failed: not on a Friday");
}

#[test]
fn an_abort_undoes_the_last_first_and_a_retry_begins_with_nothing() {
    let mut story = Story::of(vec![plugin("one"), plugin("two"), plugin("three"), hold()]);
    story.next();
    story.answer(RUN, 0, Answer::Done).next();
    story.answer(RUN, 1, Answer::Done).next();
    assert_eq!(story.index(), Some(2));
    story.0.seen.memory.phase = Phase::Aborted { since: story.0.seen.now, why: None };
    assert_eq!(ordered(&story.next()), [(Operation::Abort, 2, 1, None)], "it may have begun");
    let decision = story.answer(Operation::Abort, 2, Answer::Fault("?".to_owned())).next();
    assert_eq!(ordered(&decision), [(Operation::Abort, 1, 1, Some("{\"n\":1}"))]);
    let decision = story.answer(Operation::Abort, 1, Answer::Done).next();
    assert_eq!(ordered(&decision), [(Operation::Abort, 0, 1, Some("{\"n\":1}"))]);
    story.answer(Operation::Abort, 0, Answer::Done).next();
    let decision = story.wait(AFTER_A_FAULT).next();
    assert_eq!(ordered(&decision), [(Operation::Abort, 2, 2, None)], "what failed is tried again");
    let phase = Phase::Stepping { index: 0, hold: sluice_core::phase::Hold::None };
    story.0.seen.memory.phase = phase;
    assert_eq!(ordered(&story.next()), [(RUN, 0, 1, None)]);
    assert_eq!(story.memory().calls.len(), 1);
}

#[test]
fn who_skips_a_step_has_it_stopped() {
    let mut story = Story::of(vec![plugin("approve"), hold()]);
    story.next();
    story.answer(RUN, 0, Answer::Again(Duration::from_secs(600))).next();
    story.0.seen.memory.phase =
        Phase::Promoting { full: true, hold: sluice_core::phase::Hold::None };
    let decision = story.next();
    assert_eq!(ordered(&decision), [(Operation::Terminate, 0, 1, Some("{\"n\":1}"))]);
    story.answer(Operation::Terminate, 0, Answer::Done).next();
    assert_eq!(ordered(&story.next()), []);
}

#[test]
fn a_paused_rollout_asks_nobody_and_an_answer_to_another_call_is_none() {
    let mut story = Story::of(vec![weight(0), plugin("approve"), hold()]);
    story.0.seen.memory.phase = Phase::Stepping { index: 1, hold: sluice_core::phase::Hold::None };
    story.0.seen.changed = false;
    story.0.seen.rollout.paused = true;
    assert_eq!(ordered(&story.next()), []);
    story.0.seen.rollout.paused = false;
    assert_eq!(ordered(&story.next()), [(RUN, 1, 1, None)]);
    story.answer(RUN, 1, Answer::Done);
    story.0.seen.replies[0].execution = 2;
    story.next();
    story.answer(RUN, 1, Answer::Done);
    story.0.seen.replies[0].hash = hash("v1");
    story.next();
    assert_eq!(story.index(), Some(1));
    let expected = Call::first(1, "approve", RUN, story.memory().calls[0].started);
    assert_eq!(story.memory().calls, [expected]);
}
