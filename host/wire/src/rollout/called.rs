//! Steps that are left to components: their part of the status, their events, and the calls.

use std::time::Duration;

use serde_json::{Map, Value};
use sluice_core::called::{Answer, Call, Operation, Progress, Reply};
use sluice_core::observed::Hash;
use sluice_port::{Components, Fault, StepAnswer, StepCall, StepOutcome};

use crate::clock::{format_time, next_second, parse_duration, parse_time};
use crate::field::Field;
use crate::rollout::Event;

/// The soonest that a component is asked again, whatever it says.
const SOONEST: Duration = Duration::from_secs(1);

/// What is asked of a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The component.
    pub component: String,
    /// What it is asked to do.
    pub operation: Operation,
    /// Which call it is.
    pub execution: u32,
    /// The revision that is released.
    pub hash: Hash,
    /// What the component is told.
    pub call: StepCall,
}

impl Request {
    /// Ask, and bring the answer into the form in which a turn takes it.
    pub async fn make(&self, components: &dyn Components) -> Reply {
        let (name, call) = (self.component.as_str(), &self.call);
        let nothing = |()| StepAnswer { outcome: StepOutcome::Done, state: None, message: None };
        self.reply(match self.operation {
            Operation::Run => components.run_step(name, call).await,
            Operation::Terminate => components.terminate_step(name, call).await.map(nothing),
            Operation::Abort => components.abort_step(name, call).await.map(nothing),
        })
    }

    /// What an answer means to the rollout.
    pub fn reply(&self, answer: Result<StepAnswer, Fault>) -> Reply {
        let (answer, message, state) = match answer {
            Ok(StepAnswer { outcome, state, message }) => {
                let answer = match outcome {
                    StepOutcome::Done => Answer::Done,
                    StepOutcome::Failed(why) => Answer::Failed(why),
                    StepOutcome::Again(millis) => {
                        Answer::Again(Duration::from_millis(millis.into()).max(SOONEST))
                    }
                };
                (answer, message, state)
            }
            Err(fault) => (Answer::Fault(fault.to_string()), None, None),
        };
        Reply {
            hash: self.hash.clone(),
            index: self.call.index as usize,
            operation: self.operation,
            execution: self.execution,
            answer,
            message,
            state,
        }
    }
}

/// Read `status.canary.stepPluginStatuses`; what has no index and no name is left out.
pub(crate) fn recall(status: &Field<'_>) -> Vec<Call> {
    let list = status.at("canary.stepPluginStatuses");
    list.items().iter().filter_map(read).collect()
}

fn read(entry: &Field<'_>) -> Option<Call> {
    let time = |name: &str| entry.get(name).str().and_then(parse_time);
    let operation = match entry.get("operation").str() {
        Some("Terminate") => Operation::Terminate,
        Some("Abort") => Operation::Abort,
        Some(_) | None => Operation::Run,
    };
    let progress = match entry.get("phase").str() {
        Some("Successful") => Progress::Successful,
        Some("Failed") => Progress::Failed,
        Some("Error") => Progress::Error,
        Some(_) | None => Progress::Running,
    };
    let updated = time("updatedAt").unwrap_or_default();
    let ended = matches!(progress, Progress::Successful | Progress::Failed);
    Some(Call {
        index: entry.get("index").u32()? as usize,
        name: entry.get("name").name()?.to_owned(),
        operation,
        progress,
        message: entry.get("message").str().unwrap_or_default().to_owned(),
        executions: entry.get("executions").u32().unwrap_or(1).max(1),
        started: time("startedAt").unwrap_or_default(),
        updated,
        finished: ended.then(|| time("finishedAt").unwrap_or(updated)),
        backoff: entry.get("backoff").str().and_then(parse_duration),
        state: entry.get("status").value().map(Value::to_string),
    })
}

/// The list as it is recorded; `None` when nothing was asked.
pub(crate) fn project(calls: &[Call]) -> Option<Value> {
    (!calls.is_empty()).then(|| calls.iter().map(write).collect())
}

fn write(call: &Call) -> Value {
    let time = |at| Value::from(format_time(next_second(at)));
    let mut entry = Map::new();
    entry.insert("index".into(), call.index.into());
    entry.insert("name".into(), call.name.clone().into());
    entry.insert("operation".into(), operation_name(call.operation).into());
    entry.insert("phase".into(), progress_name(call.progress).into());
    entry.insert("executions".into(), call.executions.into());
    entry.insert("startedAt".into(), time(call.started));
    entry.insert("updatedAt".into(), time(call.updated));
    if let Some(finished) = call.finished {
        entry.insert("finishedAt".into(), time(finished));
    }
    if !call.message.is_empty() {
        entry.insert("message".into(), call.message.clone().into());
    }
    if let Some(backoff) = call.backoff {
        let millis = backoff.as_millis();
        let whole = millis.is_multiple_of(1000).then(|| format!("{}s", millis / 1000));
        entry.insert("backoff".into(), whole.unwrap_or_else(|| format!("{millis}ms")).into());
    }
    let state = call.state.as_ref().and_then(|state| serde_json::from_str::<Value>(state).ok());
    if let Some(state) = state.filter(|state| !state.is_null()) {
        entry.insert("status".into(), state);
    }
    Value::Object(entry)
}

fn operation_name(operation: Operation) -> &'static str {
    match operation {
        Operation::Run => "Run",
        Operation::Terminate => "Terminate",
        Operation::Abort => "Abort",
    }
}

fn progress_name(progress: Progress) -> &'static str {
    match progress {
        Progress::Running => "Running",
        Progress::Successful => "Successful",
        Progress::Failed => "Failed",
        Progress::Error => "Error",
    }
}

/// The event of a change; `None` where the step's completion is the event.
pub(crate) fn event(index: usize, name: &str, operation: Operation, to: Progress) -> Option<Event> {
    if (operation, to) == (Operation::Run, Progress::Successful) {
        return None;
    }
    let (what, number) = (operation_name(operation), index + 1);
    let message = format!("Step Plugin {number} ({name}): {what} is {}", progress_name(to));
    Some(match to {
        Progress::Running | Progress::Successful => Event::normal(TRANSITION, message),
        Progress::Failed | Progress::Error => Event::warning(TRANSITION, message),
    })
}

const TRANSITION: &str = "StepPluginTransition";
