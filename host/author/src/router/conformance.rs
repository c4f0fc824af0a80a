//! What every router must do: its changes end where it says they do, may be cut off and repeated,
//! and nothing that is configured or there makes it trap.

use std::time::Instant;

use serde_json::json;
use sluice_port::traffic::capability;
use sluice_port::{Change, Components, Fault, Routing, Verification};

use super::cases::{Case, Expected, Function};
use super::objects::Objects;
use super::{Asked, NAME};
use crate::conformance::brief;
use crate::error::Error;
use crate::trial::{Bench, Verdict};

/// Names of capabilities that a rollout can need.
const CAPABILITIES: [&str; 6] = [
    capability::HEADER_ROUTES,
    capability::MIRROR_ROUTES,
    capability::ADDITIONAL_DESTINATIONS,
    capability::VERIFY,
    capability::PING_PONG,
    "affinity",
];

pub(crate) async fn router(bench: &Bench, cases: &[Case]) -> Result<Vec<Verdict>, Error> {
    let mut kit = Kit { bench, verdicts: Vec::new() };
    kit.capabilities();
    kit.broken_configurations(cases).await?;
    kit.nothing_there(cases).await?;
    kit.settles(cases).await?;
    kit.cut_off(cases).await?;
    kit.verifies(cases).await?;
    Ok(kit.verdicts)
}

struct Kit<'a> {
    bench: &'a Bench,
    verdicts: Vec<Verdict>,
}

/// Cases in which something is routed or released.
fn changing(cases: &[Case]) -> impl Iterator<Item = &Case> {
    cases.iter().filter(|case| {
        matches!(case.call, Function::Route | Function::Release)
            && matches!(case.expect, Expected::Patches(_))
    })
}

impl Kit<'_> {
    fn verdict(&mut self, name: &str, began: Instant, problems: Vec<String>) {
        self.verdicts.push(Verdict {
            of: "conformance".to_owned(),
            name: name.to_owned(),
            problems,
            took: began.elapsed(),
        });
    }

    /// The changes that a case asks for, for other objects.
    async fn changes(
        &self,
        case: &Case,
        objects: &Objects,
    ) -> Result<Result<Vec<Change>, Fault>, Error> {
        let asked = Asked { bench: self.bench, wanted: &case.wanted, objects };
        match case.call {
            Function::Release => asked.release().await,
            Function::Route | Function::Verify | Function::Validate => asked.route().await,
        }
    }

    fn capabilities(&mut self) {
        let began = Instant::now();
        let mut problems = Vec::new();
        match self.bench.host().capabilities(NAME) {
            Ok(names) => {
                let unknown = names.iter().filter(|name| !CAPABILITIES.contains(&name.as_str()));
                problems.extend(unknown.map(|name| {
                    format!("{name} is none that a rollout can need: {}", CAPABILITIES.join(", "))
                }));
            }
            Err(fault) => problems.push(fault.to_string()),
        }
        self.verdict("its capabilities have names that are known", began, problems);
    }

    async fn broken_configurations(&mut self, cases: &[Case]) -> Result<(), Error> {
        let began = Instant::now();
        let mut problems = Vec::new();
        let Some(model) = cases.first() else { return Ok(()) };
        for config in [json!([]), json!("text"), json!(5), json!({"noSuchField": {"a": [1]}})] {
            let wanted = Routing { config: config.to_string(), ..model.wanted.clone() };
            let asked = Asked { bench: self.bench, wanted: &wanted, objects: &model.before };
            let checked = asked.validate().await?;
            let routed = asked.route().await?.map(|_| ());
            for (what, answer) in [("validate", checked), ("route", routed)] {
                if !matches!(answer, Err(Fault::InvalidConfig(_))) {
                    let words = words(&answer.map(|()| Vec::new()));
                    problems.push(format!("{what} of the configuration {config}: {words}"));
                }
            }
        }
        self.verdict("a broken configuration is answered with invalid-config", began, problems);
        Ok(())
    }

    async fn nothing_there(&mut self, cases: &[Case]) -> Result<(), Error> {
        let began = Instant::now();
        let mut problems = Vec::new();
        let none = Objects::default();
        for case in cases {
            for call in [Function::Route, Function::Release] {
                let case = Case { call, ..case.clone() };
                let answer = self.changes(&case, &none).await?;
                if answer.as_ref().is_err_and(Fault::is_misbehaviour) {
                    problems.push(format!("{:?}, {call:?}: {}", case.name, words(&answer)));
                }
            }
        }
        self.verdict("objects that are not there do no harm", began, problems);
        Ok(())
    }

    /// What was done once need not be done again.
    async fn settles(&mut self, cases: &[Case]) -> Result<(), Error> {
        let began = Instant::now();
        let mut problems = Vec::new();
        for case in changing(cases) {
            let Ok(changes) = self.changes(case, &case.before).await? else { continue };
            let after = match case.before.with(&changes, &case.wanted.namespace) {
                Ok(after) => after,
                Err(why) => {
                    problems.push(format!("{:?}: {why}", case.name));
                    continue;
                }
            };
            match self.changes(case, &after).await? {
                Ok(more) if more.is_empty() => {}
                other => problems.push(format!("{:?}, done again: {}", case.name, words(&other))),
            }
        }
        self.verdict("what was done is not done again", began, problems);
        Ok(())
    }

    /// A controller may stop after any change.
    async fn cut_off(&mut self, cases: &[Case]) -> Result<(), Error> {
        let began = Instant::now();
        let mut problems = Vec::new();
        for case in changing(cases) {
            let namespace = &case.wanted.namespace;
            let Ok(changes) = self.changes(case, &case.before).await? else { continue };
            let Ok(wanted) = case.before.with(&changes, namespace) else { continue };
            for done in 0..changes.len() {
                let Ok(half) = case.before.with(&changes[..done], namespace) else { continue };
                let rest = self.changes(case, &half).await?;
                let reached = match &rest {
                    Ok(rest) => half.with(rest, namespace),
                    Err(fault) => Err(fault.to_string()),
                };
                if reached.as_ref() != Ok(&wanted) {
                    let of = changes.len();
                    let rest = words(&rest);
                    problems.push(format!("{:?}, cut off after {done} of {of}: {rest}", case.name));
                }
            }
        }
        self.verdict("changes that were cut off end where they would have", began, problems);
        Ok(())
    }

    async fn verifies(&mut self, cases: &[Case]) -> Result<(), Error> {
        let began = Instant::now();
        let mut problems = Vec::new();
        let routes = changing(cases).filter(|case| case.call == Function::Route);
        for case in routes {
            let Ok(changes) = self.changes(case, &case.before).await? else { continue };
            if changes.is_empty() {
                continue;
            }
            let asked = Asked { bench: self.bench, wanted: &case.wanted, objects: &case.before };
            let early = asked.verify().await?;
            if matches!(early, Ok(Verification::Converged | Verification::CannotTell)) {
                problems.push(format!("{:?}, before anything was done: {early:?}", case.name));
            }
            let Ok(after) = case.before.with(&changes, &case.wanted.namespace) else { continue };
            let asked = Asked { bench: self.bench, wanted: &case.wanted, objects: &after };
            if let Err(fault) = asked.verify().await? {
                problems.push(format!("{:?}, when all was done: {fault}", case.name));
            }
        }
        self.verdict("it does not find converged what it has yet to change", began, problems);
        Ok(())
    }
}

fn words(answer: &Result<Vec<Change>, Fault>) -> String {
    match answer {
        Ok(changes) if changes.is_empty() => "no change".to_owned(),
        Ok(changes) => changes.iter().map(change).collect::<Vec<_>>().join(", "),
        Err(fault) => brief(fault),
    }
}

fn change(change: &Change) -> String {
    match change {
        Change::Put(object) => format!("put {object}"),
        Change::Remove(target) => format!("remove {} {}", target.kind, target.name),
    }
}
