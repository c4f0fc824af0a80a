//! The parts of the status that only a blue-green rollout has.

use serde_json::{Map, Value};
use sluice_core::Decision;
use sluice_core::observed::Door;
use sluice_core::phase::{Hold, Phase};
use sluice_core::traffic::Side;

use super::{put, run_status, selector_text};
use crate::field::Field;
use crate::keys;
use crate::objects::{Objects, ReplicaSet};
use crate::rollout::observe::Seen;

/// `status.blueGreen`; `None` when there is nothing to say.
pub(super) fn status(seen: &Seen, decision: &Decision) -> Option<Value> {
    let observed = &seen.observed;
    let memory = &decision.memory;
    let selector = |side| observed.selected(side).map(|hash| Value::from(hash.0.clone()));
    // Passed when the preview is over; when the Service has followed, that says as much.
    let passed = matches!(memory.phase, Phase::Promoting { full: false, .. })
        && observed.selected(Side::Stable) != Some(&observed.wanted);
    let mut fields = Map::new();
    put(&mut fields, "activeSelector", selector(Side::Stable));
    put(&mut fields, "previewSelector", selector(Side::Canary));
    put(&mut fields, "scaleUpPreviewCheckPoint", passed.then_some(true.into()));
    let run = |run: &Option<_>| run.as_ref().map(run_status);
    put(&mut fields, "prePromotionAnalysisRunStatus", run(&memory.pre_run));
    put(&mut fields, "postPromotionAnalysisRunStatus", run(&memory.post_run));
    (!fields.is_empty()).then_some(Value::Object(fields))
}

/// The ReplicaSet that users get.
pub(super) fn active<'o>(objects: &'o Objects, seen: &Seen) -> Option<&'o ReplicaSet> {
    seen.intent.rollout.blue_green()?;
    let hash = seen.observed.selected(Side::Stable)?;
    objects.replica_sets.iter().find(|set| set.hash() == hash.0).map(|set| &**set)
}

/// Whether the active Service selects a revision with a whole fleet; `None` for another strategy.
pub(super) fn is_available(objects: &Objects, seen: &Seen) -> Option<bool> {
    seen.intent.rollout.blue_green()?;
    let fleet = seen.intent.rollout.replicas.0;
    let full = |set: &ReplicaSet| set.wanted >= fleet && set.available >= fleet;
    Some(active(objects, seen).is_some_and(full))
}

/// Whether both Services select the wanted revision and nothing holds it; `None` for another
/// strategy.
pub(super) fn is_there(seen: &Seen, decision: &Decision) -> Option<bool> {
    let rollout = &seen.intent.rollout;
    rollout.blue_green()?;
    let phase = &decision.memory.phase;
    let free = *phase.hold() == Hold::None && !rollout.paused;
    let selects = |side| match seen.observed.door(side) {
        Door::None => true,
        Door::Service { selects, .. } => selects.as_ref() == Some(&seen.observed.wanted),
    };
    let aborted = matches!(phase, Phase::Aborted { .. });
    Some(free && !aborted && selects(Side::Stable) && selects(Side::Canary))
}

/// Whether a Service selects another revision than `old` says.
pub(super) fn turned(old: &Field<'_>, new: &Map<String, Value>) -> bool {
    let new = new.get("blueGreen");
    ["activeSelector", "previewSelector"].iter().any(|name| {
        old.get("blueGreen").get(name).value() != new.and_then(|fields| fields.get(*name))
    })
}

/// The selector of the pods of `set`, for autoscalers.
pub(super) fn selector(seen: &Seen, set: &ReplicaSet) -> String {
    let mut selector = seen.intent.selector.clone();
    if !selector.get("matchLabels").is_some_and(Value::is_object) {
        selector["matchLabels"] = Value::Object(Map::new());
    }
    selector["matchLabels"][keys::HASH] = set.hash().into();
    selector_text(&selector)
}
