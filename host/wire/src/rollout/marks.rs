//! What the controller adds to pods: metadata of a role, and a rule that keeps an update away from
//! the nodes of the stable revision.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sluice_core::observed::Hash;
use sluice_core::traffic::Side;

use crate::field::{Field, Refusals};
use crate::keys;
use crate::rollout::hash::{kept_away_from, without_injected};

/// Labels and annotations for pods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodMetadata {
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
}

/// The metadata that the pods of each side get: of `canaryMetadata` and `stableMetadata`, or of
/// `previewMetadata` and `activeMetadata`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataPair {
    /// For the stable side.
    pub stable: PodMetadata,
    /// For the side under test.
    pub canary: PodMetadata,
}

/// How strictly an update keeps away from the nodes of the stable revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AntiAffinity {
    /// Its pods do not run there.
    Required,
    /// Its pods rather do not run there, with a weight from 1 to 100.
    Preferred(u32),
}

impl PodMetadata {
    /// Read what can be read.
    pub fn read(value: &Value) -> Self {
        let map = |part: &str| {
            let entries = value.get(part).and_then(Value::as_object).into_iter().flatten();
            entries
                .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                .collect()
        };
        Self { labels: map("labels"), annotations: map("annotations") }
    }

    /// Read a field, with a complaint about what is no text.
    pub fn parse(field: &Field<'_>, bad: &mut Refusals) -> Self {
        for part in ["labels", "annotations"] {
            let part = field.get(part);
            let entries = part.value().and_then(Value::as_object).into_iter().flatten();
            for (key, value) in entries.filter(|(_, value)| !value.is_string()) {
                bad.add(&part, format!("Invalid value: {value}: the value of {key} must be a text; put it into quotes"));
            }
        }
        field.value().map(Self::read).unwrap_or_default()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.annotations.is_empty()
    }

    /// The text of the annotation `rollout.argoproj.io/ephemeral-metadata`; `None` if empty.
    pub fn text(&self) -> Option<String> {
        let part = |name: &str, entries: &BTreeMap<String, String>| {
            (!entries.is_empty()).then(|| format!("\"{name}\":{}", json!(entries)))
        };
        let parts = [part("labels", &self.labels), part("annotations", &self.annotations)];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        (!self.is_empty()).then(|| format!("{{{}}}", parts.join(",")))
    }

    /// The merge patch of a pod's metadata that makes it have this instead of `before`. What
    /// `before` had hidden is as in `under`, the metadata that the user wrote into the template.
    pub fn patch(&self, before: &Self, under: &Self) -> Value {
        type Entries = BTreeMap<String, String>;
        let part = |now: &Entries, then: &Entries, under: &Entries| {
            let gone = then.keys().filter(|key| !now.contains_key(*key));
            let gone = gone.map(|key| (key.clone(), json!(under.get(key))));
            let new = now.iter().map(|(key, value)| (key.clone(), json!(value)));
            gone.chain(new).collect::<Map<String, Value>>()
        };
        let labels = part(&self.labels, &before.labels, &under.labels);
        let annotations = part(&self.annotations, &before.annotations, &under.annotations);
        let parts = [("labels", labels), ("annotations", annotations)];
        let parts = parts.into_iter().filter(|(_, part)| !part.is_empty());
        parts.map(|(name, part)| (name.to_owned(), Value::Object(part))).collect()
    }

    /// This and the keys of `more`.
    pub fn and(mut self, more: &Self) -> Self {
        for (key, value) in &more.labels {
            self.labels.entry(key.clone()).or_insert_with(|| value.clone());
        }
        for (key, value) in &more.annotations {
            self.annotations.entry(key.clone()).or_insert_with(|| value.clone());
        }
        self
    }
}

impl MetadataPair {
    /// Read what either strategy says.
    pub fn parse(strategy: &Field<'_>, bad: &mut Refusals) -> Self {
        let mut read = |canary: &str, blue_green: &str| {
            let field = strategy.at(canary);
            let field = if field.is_set() { field } else { strategy.at(blue_green) };
            PodMetadata::parse(&field, bad)
        };
        Self {
            stable: read("canary.stableMetadata", "blueGreen.activeMetadata"),
            canary: read("canary.canaryMetadata", "blueGreen.previewMetadata"),
        }
    }

    /// The metadata of one side.
    pub fn of(&self, side: Side) -> &PodMetadata {
        match side {
            Side::Stable => &self.stable,
            Side::Canary => &self.canary,
        }
    }
}

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

impl AntiAffinity {
    /// Read `antiAffinity` of either strategy.
    pub fn parse(strategy: &Field<'_>, bad: &mut Refusals) -> Option<Self> {
        let field = strategy.at("canary.antiAffinity");
        let field = if field.is_set() { field } else { strategy.at("blueGreen.antiAffinity") };
        if !field.is_set() {
            return None;
        }
        let (required, preferred) = (field.get(REQUIRED), field.get(PREFERRED));
        if required.is_set() == preferred.is_set() {
            bad.add(&field, "Invalid value: AntiAffinity must have exactly one strategy listed");
            return None;
        }
        if required.is_set() {
            return Some(Self::Required);
        }
        let weight = preferred.get("weight").u32().filter(|weight| (1..=100).contains(weight));
        if weight.is_none() {
            bad.add(&preferred.get("weight"), "Invalid value: must be in the range 1-100");
        }
        weight.map(Self::Preferred)
    }

    /// `affinity` with the rule that keeps away from `other`, and without any former one.
    pub fn inject(
        rule: Option<Self>,
        affinity: &Value,
        other: Option<&Hash>,
        namespace: &str,
    ) -> Option<Value> {
        let rest = without_injected(affinity);
        let (Some(rule), Some(other)) = (rule, other) else { return rest };
        let term = json!({
            "labelSelector": {"matchExpressions": [
                {"key": keys::HASH, "operator": "In", "values": [other.0]},
            ]},
            "namespaces": [namespace],
            "topologyKey": "kubernetes.io/hostname",
        });
        let (list, term) = match rule {
            Self::Required => (REQUIRED, term),
            Self::Preferred(weight) => {
                (PREFERRED, json!({"weight": weight, "podAffinityTerm": term}))
            }
        };
        let mut affinity = rest.unwrap_or_else(|| json!({}));
        let terms = &mut affinity["podAntiAffinity"][list];
        match terms.as_array_mut() {
            Some(terms) => terms.push(term),
            None => *terms = json!([term]),
        }
        Some(affinity)
    }

    /// The revision that an affinity keeps away from by this rule; an empty hash for a rule that
    /// is written in another way.
    pub fn read(rule: Option<Self>, affinity: &Value) -> Option<Hash> {
        let list = |list: &str| {
            let terms = affinity.pointer(&format!("/podAntiAffinity/{list}"));
            terms.and_then(Value::as_array).into_iter().flatten()
        };
        let required =
            list(REQUIRED).filter_map(|term| Some((Self::Required, kept_away_from(term)?)));
        let preferred = list(PREFERRED).filter_map(|term| {
            let weight = term.get("weight").and_then(Value::as_u64).unwrap_or(0);
            let weight = u32::try_from(weight).unwrap_or(0);
            Some((Self::Preferred(weight), kept_away_from(term.get("podAffinityTerm")?)?))
        });
        let found: Vec<_> = required.chain(preferred).collect();
        match found.as_slice() {
            [] => None,
            [(how, hash)] if Some(*how) == rule => Some(Hash((*hash).to_owned())),
            [_, ..] => Some(Hash::default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_added_found_and_taken_off_again() {
        let own = json!({"podAntiAffinity": {REQUIRED: [
            {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "web"}}},
        ]}});
        let stable = Hash("abc".to_owned());
        for rule in [AntiAffinity::Required, AntiAffinity::Preferred(7)] {
            for before in [Value::Null, own.clone()] {
                let with =
                    AntiAffinity::inject(Some(rule), &before, Some(&stable), "shop").unwrap();
                assert_eq!(AntiAffinity::read(Some(rule), &with), Some(stable.clone()));
                assert_eq!(AntiAffinity::read(None, &with), Some(Hash::default()));
                let again = AntiAffinity::inject(Some(rule), &with, Some(&stable), "shop").unwrap();
                assert_eq!(again, with, "a second time changes nothing");
                let without = AntiAffinity::inject(Some(rule), &with, None, "shop");
                assert_eq!(without.unwrap_or_default(), before);
            }
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_its_path() {
        let refused = |canary: Value| {
            let strategy = json!({"canary": canary});
            let (root, mut bad) = (Field::root(&strategy), Refusals::default());
            MetadataPair::parse(&root, &mut bad);
            AntiAffinity::parse(&root, &mut bad);
            bad.or(()).err().map(|bad| bad.into_iter().map(|one| one.path).collect::<Vec<_>>())
        };
        let table = [
            (json!({"antiAffinity": {REQUIRED: {}}}), None),
            (json!({"antiAffinity": {}}), Some("canary.antiAffinity")),
            (
                json!({"antiAffinity": {REQUIRED: {}, PREFERRED: {"weight": 1}}}),
                Some("canary.antiAffinity"),
            ),
            (
                json!({"antiAffinity": {PREFERRED: {"weight": 101}}}),
                Some("canary.antiAffinity.preferredDuringSchedulingIgnoredDuringExecution.weight"),
            ),
            (json!({"canaryMetadata": {"labels": {"a": 1}}}), Some("canary.canaryMetadata.labels")),
        ];
        for (canary, expected) in table {
            let expected = expected.map(|path| vec![path.to_owned()]);
            assert_eq!(refused(canary.clone()), expected, "{canary}");
        }
    }

    #[test]
    fn metadata_replaces_what_was_there_and_gives_back_what_it_hid() {
        let read = |value: Value| PodMetadata::read(&value);
        let canary = read(json!({"labels": {"role": "canary", "team": "a"}}));
        let stable = read(json!({"labels": {"role": "stable"}, "annotations": {"x": "1"}}));
        let under = read(json!({"labels": {"team": "own"}}));
        let patch = stable.patch(&canary, &under);
        let expected =
            json!({"labels": {"role": "stable", "team": "own"}, "annotations": {"x": "1"}});
        assert_eq!(patch, expected);
        assert_eq!(canary.patch(&stable, &read(json!({})))["annotations"], json!({"x": null}));
        let text = stable.text().unwrap();
        assert_eq!(text, r#"{"labels":{"role":"stable"},"annotations":{"x":"1"}}"#);
        assert_eq!(read(serde_json::from_str(&text).unwrap()), stable);
        assert_eq!(PodMetadata::default().text(), None);
    }
}
