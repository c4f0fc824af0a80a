//! What every step must do: say no to a broken configuration without asking anybody, survive a
//! broken network, do no harm when a call is repeated, and stop and undo whatever it left behind,
//! or nothing.

use std::time::Instant;

use serde_json::{Value, json};
use sluice_port::{Fault, StepCall};

use super::cases::{Answer, Call, Case, Expect, Function};
use super::{Called, answer, left_behind};
use crate::conformance::{brief, denied, too_much_memory, trouble};
use crate::error::Error;
use crate::recorded::Mode;
use crate::trial::{Bench, Verdict};

/// What every step must do. `cases` are where its right configurations come from.
pub(crate) async fn step(bench: &Bench, cases: &[Case]) -> Result<Vec<Verdict>, Error> {
    let mut moments = Vec::new();
    for case in cases.iter().filter(|case| case.runs()) {
        moments.extend(passed(bench, case).await?);
    }
    let kit = Kit { bench, cases, moments };
    let mut verdicts = Vec::new();
    let mut began = Instant::now();
    let mut verdict = |name: &str, problems: Vec<String>| {
        let (of, name) = ("conformance".to_owned(), name.to_owned());
        verdicts.push(Verdict { of, name, problems, took: began.elapsed() });
        began = Instant::now();
    };
    verdict(
        "a broken configuration is answered with invalid-config",
        kit.broken_configurations().await?,
    );
    verdict("a configuration that runs is valid", kit.right_configurations().await?);
    verdict("validate asks nobody", kit.silent_checks().await?);
    verdict("a repeated call has the same answer", kit.repeats().await?);
    verdict(
        "a broken network is answered, and one that may come back with transient",
        kit.broken_networks().await?,
    );
    verdict("it can be stopped and undone before and after any call", kit.endings().await?);
    verdict("a state of another version does no harm", kit.foreign_states().await?);
    verdict("it stays well below its limit of memory", too_much_memory(&bench.info()));
    Ok(verdicts)
}

/// A call as it is made in a case, with the state that is found then.
struct Moment<'a> {
    case: &'a Case,
    call: &'a Call,
    with: StepCall,
    /// The state that is there after it.
    after: Option<String>,
}

/// Every call of a case, in turn.
async fn passed<'a>(bench: &Bench, case: &'a Case) -> Result<Vec<Moment<'a>>, Error> {
    let mut moments = Vec::new();
    let mut state = case.first_state();
    for call in &case.calls {
        let with = case.step_call(state.clone());
        let Called { answer, .. } = answer(bench, call, &with, Mode::Recorded).await?;
        state = left_behind(&answer, state);
        moments.push(Moment { case, call, with, after: state.clone() });
    }
    Ok(moments)
}

struct Kit<'a> {
    bench: &'a Bench,
    cases: &'a [Case],
    moments: Vec<Moment<'a>>,
}

impl Kit<'_> {
    async fn say(&self, call: Function, with: &StepCall) -> Result<Answer, Error> {
        let call = Call { call, now: None, http: Vec::new(), expect: Expect::default() };
        Ok(answer(self.bench, &call, with, denied()).await?.answer)
    }

    /// Those that misbehave when called so, as problems.
    async fn harmed(
        &self,
        what: &str,
        calls: &[Function],
        with: &StepCall,
    ) -> Result<Vec<String>, Error> {
        let mut problems = Vec::new();
        for call in calls {
            let answer = self.say(*call, with).await?;
            if answer.as_ref().is_err_and(Fault::is_misbehaviour) {
                problems.push(format!("{call:?} {what}: {}", words(&answer)));
            }
        }
        Ok(problems)
    }

    /// A user can write anything, so anything is answered with `invalid-config`.
    async fn broken_configurations(&self) -> Result<Vec<String>, Error> {
        let mut problems = Vec::new();
        let Some(model) = self.cases.first() else { return Ok(problems) };
        for config in [json!([]), json!("text"), json!(5), json!({"noSuchField": {"a": [1]}})] {
            let with = Case { config: Some(config.clone()), ..model.clone() }.step_call(None);
            for call in [Function::Validate, Function::Run] {
                let answer = self.say(call, &with).await?;
                if !matches!(answer, Err(Fault::InvalidConfig(_))) {
                    let words = words(&answer);
                    problems.push(format!("{call:?} of the configuration {config}: {words}"));
                }
            }
        }
        problems.extend(self.unknown_fields().await?);
        Ok(problems)
    }

    /// A field that is misspelt beside right ones must not be passed over: what it was to say
    /// would silently not be done.
    async fn unknown_fields(&self) -> Result<Vec<String>, Error> {
        let mut problems = Vec::new();
        for case in self.cases.iter().filter(|case| case.runs()) {
            let Some(Value::Object(members)) = &case.config else { continue };
            let mut members = members.clone();
            members.insert("noSuchField".to_owned(), json!(1));
            let with = Case { config: Some(members.into()), ..case.clone() }.step_call(None);
            let answer = self.say(Function::Validate, &with).await?;
            if !matches!(answer, Err(Fault::InvalidConfig(_))) {
                let words = words(&answer);
                problems
                    .push(format!("{:?}, with noSuchField beside the rest: {words}", case.name));
            }
        }
        Ok(problems)
    }

    async fn right_configurations(&self) -> Result<Vec<String>, Error> {
        let mut problems = Vec::new();
        for case in self.cases.iter().filter(|case| case.runs()) {
            let answer = self.say(Function::Validate, &case.step_call(None)).await?;
            if answer.is_err() {
                problems.push(format!("validate of {:?}: {}", case.name, words(&answer)));
            }
        }
        Ok(problems)
    }

    /// A configuration is checked before anything is released, where there is no network.
    async fn silent_checks(&self) -> Result<Vec<String>, Error> {
        let mut problems = Vec::new();
        for case in self.cases {
            // Whatever is asked of the host then is denied, and counted.
            let before = self.bench.info().totals.denied;
            let _answer = self.say(Function::Validate, &case.step_call(None)).await?;
            let asked = self.bench.info().totals.denied - before;
            if asked > 0 {
                problems.push(format!("{:?}: the host was asked {asked} times", case.name));
            }
        }
        Ok(problems)
    }

    /// After a crash a call is repeated with the same state, and neither its answer nor what it
    /// asks of servers may depend on the call before.
    async fn repeats(&self) -> Result<Vec<String>, Error> {
        let mut problems = Vec::new();
        for Moment { case, call, with, .. } in &self.moments {
            let first = answer(self.bench, call, with, Mode::Recorded).await?;
            let second = answer(self.bench, call, with, Mode::Recorded).await?;
            if (&first.answer, &first.seen) != (&second.answer, &second.seen) {
                let (first, second) = (words(&first.answer), words(&second.answer));
                problems.push(format!("{:?}, {:?}: {first}, then {second}", case.name, call.call));
            }
        }
        Ok(problems)
    }

    async fn broken_networks(&self) -> Result<Vec<String>, Error> {
        let mut problems = Vec::new();
        for (what, mode, transient) in trouble() {
            for Moment { case, call, with, .. } in &self.moments {
                if call.http.is_empty() {
                    continue;
                }
                let Called { answer, .. } = answer(self.bench, call, with, mode.clone()).await?;
                let fine = match &answer {
                    Ok(_) | Err(Fault::Transient { .. }) => true,
                    Err(fault) => !fault.is_misbehaviour() && !transient,
                };
                if !fine {
                    let words = words(&answer);
                    problems.push(format!("{:?}, when {what}: {words}", case.name));
                }
            }
        }
        Ok(problems)
    }

    /// A release may end at any moment, and ending it may be interrupted and done again.
    async fn endings(&self) -> Result<Vec<String>, Error> {
        let mut problems = Vec::new();
        let endings = [Function::Terminate, Function::Abort, Function::Abort, Function::Terminate];
        for Moment { case, with, after, .. } in &self.moments {
            for state in [with.state.clone(), after.clone(), None] {
                let what = format!("in {:?} with the state {}", case.name, shown(&state));
                let with = StepCall { state, ..with.clone() };
                problems.extend(self.harmed(&what, &endings, &with).await?);
            }
        }
        // The same mistake shows at every call of a case.
        problems.sort();
        problems.dedup();
        Ok(problems)
    }

    /// A state may be from an older version, and from before a change of the configuration.
    async fn foreign_states(&self) -> Result<Vec<String>, Error> {
        let mut problems = Vec::new();
        let calls = [Function::Run, Function::Terminate, Function::Abort];
        for case in self.cases.iter().filter(|case| case.runs()) {
            for state in ["null", "\"old\"", "{\"version\": 0}", "[1, 2]"] {
                let what = format!("in {:?} with the state {state}", case.name);
                let with = case.step_call(Some(state.to_owned()));
                problems.extend(self.harmed(&what, &calls, &with).await?);
            }
        }
        Ok(problems)
    }
}

fn shown(state: &Option<String>) -> &str {
    state.as_deref().unwrap_or("none")
}

fn words(answer: &Answer) -> String {
    match answer {
        Ok(None) => "ok".to_owned(),
        Ok(Some(answer)) => format!("{:?}", answer.outcome),
        Err(fault) => brief(fault),
    }
}
