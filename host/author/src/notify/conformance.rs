//! What every notifier must do: say no to a broken configuration without asking anybody, survive a
//! broken network, and tell a fact a second time as it told it the first.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use serde_json::{Value, json};
use sluice_port::{Delivery, Fault};

use super::cases::{Answer, Case, Function};
use super::{Called, answer};
use crate::conformance::{brief, denied, too_much_memory, trouble};
use crate::error::Error;
use crate::recorded::Mode;
use crate::trial::{Bench, NAME, Verdict};

/// What every notifier must do. `cases` are where its right configurations come from.
pub(crate) async fn notifier(bench: &Bench, cases: &[Case]) -> Result<Vec<Verdict>, Error> {
    let kit = Kit { bench, cases };
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
    verdict("a configuration that delivers is valid", kit.right_configurations().await?);
    verdict("validate asks nobody", kit.silent_checks().await?);
    verdict("a fact is told the second time as it was the first", kit.repeats().await?);
    verdict("a call that is cut off leaves nothing behind", kit.cut_off().await?);
    verdict(
        "a broken network is answered, and one that may come back is asked again",
        kit.broken_networks().await?,
    );
    verdict("it stays well below its limit of memory", too_much_memory(&bench.info()));
    Ok(verdicts)
}

struct Kit<'a> {
    bench: &'a Bench,
    cases: &'a [Case],
}

impl Kit<'_> {
    fn delivering(&self) -> impl Iterator<Item = &Case> {
        self.cases.iter().filter(|case| case.delivers())
    }

    async fn say(&self, call: Function, case: &Case, config: Value) -> Result<Answer, Error> {
        let case = Case { call, config: Some(config), http: Vec::new(), ..case.clone() };
        Ok(answer(self.bench, &case, denied()).await?.answer)
    }

    /// An operator can write anything, so anything is answered with `invalid-config`. A field that
    /// is misspelt beside right ones must not be passed over either.
    async fn broken_configurations(&self) -> Result<Vec<String>, Error> {
        let mut problems = Vec::new();
        let Some(model) = self.cases.first() else { return Ok(problems) };
        let mut broken =
            vec![json!([]), json!("text"), json!(5), json!({"noSuchField": {"a": [1]}})];
        for case in self.delivering() {
            if let Some(Value::Object(members)) = &case.config {
                let mut members = members.clone();
                members.insert("noSuchField".to_owned(), json!(1));
                broken.push(members.into());
            }
        }
        broken.dedup();
        for config in broken {
            for call in [Function::Validate, Function::Deliver] {
                let answer = self.say(call, model, config.clone()).await?;
                if !matches!(answer, Err(Fault::InvalidConfig(_))) {
                    let words = words(&answer);
                    problems.push(format!("{call:?} with the configuration {config}: {words}"));
                }
            }
        }
        Ok(problems)
    }

    async fn right_configurations(&self) -> Result<Vec<String>, Error> {
        let mut problems = Vec::new();
        for case in self.delivering() {
            let config = case.config.clone().unwrap_or_else(|| json!({}));
            let answer = self.say(Function::Validate, case, config).await?;
            if answer.is_err() {
                problems.push(format!("validate of {:?}: {}", case.name, words(&answer)));
            }
        }
        Ok(problems)
    }

    /// A configuration is checked where there is no network.
    async fn silent_checks(&self) -> Result<Vec<String>, Error> {
        let mut problems = Vec::new();
        for case in self.cases {
            // Whatever is asked of the host then is denied, and counted.
            let before = self.bench.info().totals.denied;
            let config = case.config.clone().unwrap_or_else(|| json!({}));
            let _answer = self.say(Function::Validate, case, config).await?;
            let asked = self.bench.info().totals.denied - before;
            if asked > 0 {
                problems.push(format!("{:?}: the host was asked {asked} times", case.name));
            }
        }
        Ok(problems)
    }

    /// A fact may be told again with the same key, and a server knows it again only if what it is
    /// sent is the same.
    async fn repeats(&self) -> Result<Vec<String>, Error> {
        let mut problems = Vec::new();
        for case in self.delivering() {
            let first = answer(self.bench, case, Mode::Recorded).await?;
            let second = answer(self.bench, case, Mode::Recorded).await?;
            if (&first.answer, &first.seen) != (&second.answer, &second.seen) {
                let (first, second) = (words(&first.answer), words(&second.answer));
                problems.push(format!("{:?}: {first}, then {second}", case.name));
            }
        }
        Ok(problems)
    }

    /// The controller can be killed at any moment; the next call is as good as any.
    async fn cut_off(&self) -> Result<Vec<String>, Error> {
        let mut problems = Vec::new();
        for case in self.delivering() {
            let before = answer(self.bench, case, Mode::Recorded).await?;
            let (config, notice) = (case.config(), case.notice());
            let call = async |host: &sluice_wasm::ComponentHost| {
                let mut call = pin!(host.deliver_with(NAME, Some(&config), &notice));
                // It goes as far as its first request, and is dropped there.
                poll_fn(|context| {
                    let _ = call.as_mut().poll(context);
                    Poll::Ready(())
                })
                .await;
                Ok(())
            };
            let (_cut_off, ..) =
                self.bench.during(case.now, &case.http, Mode::Silent, call).await?;
            let after = answer(self.bench, case, Mode::Recorded).await?;
            if (&before.answer, &before.seen) != (&after.answer, &after.seen) {
                let (before, after) = (words(&before.answer), words(&after.answer));
                problems.push(format!("{:?}: {before}, and after it {after}", case.name));
            }
        }
        Ok(problems)
    }

    async fn broken_networks(&self) -> Result<Vec<String>, Error> {
        let mut problems = Vec::new();
        for (what, mode, passing) in trouble() {
            for case in self.delivering().filter(|case| !case.http.is_empty()) {
                let Called { answer, .. } = answer(self.bench, case, mode.clone()).await?;
                let fine = match &answer {
                    Ok(Some(Delivery::RetryAfter(_))) | Err(Fault::Transient { .. }) => true,
                    // Whoever says that it arrived where nothing did loses it.
                    Ok(Some(Delivery::Delivered(_)) | None) => !passing,
                    Err(fault) => !fault.is_misbehaviour() && !passing,
                };
                if !fine {
                    let words = words(&answer);
                    problems.push(format!("{:?}, when {what}: {words}", case.name));
                }
            }
        }
        Ok(problems)
    }
}

fn words(answer: &Answer) -> String {
    match answer {
        Ok(None) => "ok".to_owned(),
        Ok(Some(delivery)) => format!("{delivery:?}"),
        Err(fault) => brief(fault),
    }
}
