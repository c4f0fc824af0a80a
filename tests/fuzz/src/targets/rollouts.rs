//! Rollouts: refusals name a field, `lint` agrees, and what is recorded comes to rest.

use std::sync::Arc;

use serde_json::Value;
use sluice_core::traffic::Traffic;
use sluice_core::{Timestamp, decide};
use sluice_sim::world::merge_value;
use sluice_wire::lint::{self, Severity};
use sluice_wire::rollout::observe::observe;
use sluice_wire::rollout::parse::parse;
use sluice_wire::rollout::project::project;
use sluice_wire::rollout::recall::recall;
use sluice_wire::rollout::turn;
use sluice_wire::store::Watched;
use sluice_wire::{Objects, Refusal, Store};

use crate::{Verdict, hold};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// Everything that is refused is refused by name, and `lint` would have said so before.
pub(super) fn parsed(rollout: &Value) -> Verdict {
    let Err(refusals) = parse(rollout) else { return Ok(()) };
    named(&refusals)?;
    let identified = ["apiVersion", "kind"].iter().all(|name| rollout[name].is_string());
    if !identified
        || rollout["kind"] != "Rollout"
        || rollout["apiVersion"] != "argoproj.io/v1alpha1"
    {
        return Ok(());
    }
    let text = rollout.to_string();
    // What is no YAML is told as that.
    let Ok(documents) = lint::read("rollout.json", &text) else { return Ok(()) };
    let report = lint::lint(&documents, &|_, _, _| Ok(()));
    hold(report.count(Severity::Error) > 0, || {
        format!("the controller refuses what lint lets pass: {refusals:?}")
    })
}

fn named(refusals: &[Refusal]) -> Verdict {
    hold(!refusals.is_empty(), || "refused without a reason".to_owned())?;
    let bad = refusals.iter().find(|one| !one.path.starts_with("spec") || one.message.is_empty());
    hold(bad.is_none(), || format!("no field is named: {bad:?}"))
}

/// Whatever stands in a cluster, turns about it come to rest when nothing else happens, and what
/// was decided is what is recalled.
pub(super) fn turns(world: &Value) -> Verdict {
    let mut store = Store::new();
    let mut rollout = None;
    for object in world["objects"].as_array().into_iter().flatten() {
        let Some(kind) = object["kind"].as_str().and_then(Watched::of_kind) else { continue };
        if matches!(kind, Watched::Rollout) {
            rollout = Some(object.clone());
        }
        store.apply(kind, object.clone());
    }
    let Some(rollout) = rollout else { return Ok(()) };
    let word = |name: &str| rollout["metadata"][name].as_str().unwrap_or_default().to_owned();
    let collected =
        store.collect(&word("namespace"), &word("name"), "", Traffic::unknown(NOW), NOW);
    let Some(mut objects) = collected else { return Ok(()) };
    for _ in 0..8 {
        let turn = turn(&objects);
        if !turn.refusals.is_empty() {
            named(&turn.refusals)?;
        }
        recalled(&objects)?;
        let Some(write) = turn.record else { return Ok(()) };
        let mut changed = (*objects.rollout).clone();
        merge_value(&mut changed, &write.body);
        hold(changed != *objects.rollout, || format!("a write without effect: {}", write.body))?;
        objects.rollout = Arc::new(changed);
    }
    Err("the ninth turn still has something to record".to_owned())
}

fn recalled(objects: &Objects) -> Verdict {
    let Ok(seen) = observe(objects) else { return Ok(()) };
    let decision = decide(&seen.observed);
    let mut rollout = (*objects.rollout).clone();
    rollout["status"] = project(objects, &seen, &decision).status;
    let again = recall(&rollout, &seen.intent, &seen.identity.hash, NOW);
    hold(again == decision.memory, || {
        format!("decided {:?}, and recalled {again:?}", decision.memory)
    })
}
