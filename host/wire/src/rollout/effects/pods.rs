//! Writes about what the controller adds to ReplicaSets and their pods.

use serde_json::{Map, Value, json};
use sluice_core::observed::Hash;
use sluice_core::traffic::Side;

use super::{Effect, Pods, Scene, Write};
use crate::keys;
use crate::objects::ReplicaSet;
use crate::rollout::identity::injected;
use crate::rollout::marks::{AntiAffinity, PodMetadata};
use crate::rollout::project::difference;

impl Scene<'_> {
    /// What a new ReplicaSet's pods get beside the template.
    pub(super) fn add_to_pods(
        &self,
        template: &mut Value,
        annotations: &mut Map<String, Value>,
        side: Side,
        avoids: Option<&Hash>,
    ) {
        let intent = &self.seen.intent;
        let metadata = intent.metadata.of(side);
        for (part, entries) in
            [("labels", &metadata.labels), ("annotations", &metadata.annotations)]
        {
            for (key, value) in entries {
                template["metadata"][part][key] = value.clone().into();
            }
        }
        if let Some(text) = metadata.text() {
            annotations.insert(keys::EPHEMERAL_METADATA.into(), text.into());
        }
        if avoids.is_some() {
            let affinity = template.pointer("/spec/affinity").unwrap_or(&Value::Null);
            let namespace = &self.meta.namespace;
            let affinity = AntiAffinity::inject(intent.anti_affinity, affinity, avoids, namespace);
            template["spec"]["affinity"] = affinity.unwrap_or_default();
        }
    }

    pub(super) fn refresh(&self, hash: &Hash) -> Option<Write> {
        let set = self.set(hash)?;
        let seconds = self.seen.intent.min_ready_seconds;
        let body = json!({
            "metadata": {"annotations": self.inherited()},
            "spec": {"minReadySeconds": seconds},
        });
        Some(self.merge_set(set, body, None))
    }

    pub(super) fn avoid(&self, hash: &Hash, other: Option<&Hash>) -> Option<Write> {
        let set = self.set(hash)?;
        let (rule, namespace) = (self.seen.intent.anti_affinity, &self.meta.namespace);
        let wanted = AntiAffinity::inject(rule, &set.affinity, other, namespace);
        let old = json!({"affinity": set.affinity});
        let new = wanted.map_or_else(|| json!({}), |affinity| json!({"affinity": affinity}));
        let spec = difference(Some(&old), &new)?;
        Some(self.merge_set(set, json!({"spec": {"template": {"spec": spec}}}), None))
    }

    pub(super) fn mark(&self, hash: &Hash, side: Side) -> Option<Write> {
        let set = self.set(hash)?;
        let metadata = self.seen.intent.metadata.of(side);
        let before = injected(&set.meta).map(|old| PodMetadata::read(&old)).unwrap_or_default();
        let mut annotations = json!({keys::EPHEMERAL_METADATA: metadata.text()});
        if set.wanted > 0 || set.current > 0 {
            let lost = before.clone().and(&lagging(set));
            annotations[keys::PODS_LAG] = lost.text().unwrap_or_else(|| "{}".to_owned()).into();
        }
        let patch = metadata.patch(&before, &self.written_by_user(hash));
        let body = json!({
            "metadata": {"annotations": annotations},
            "spec": {"template": {"metadata": patch}},
        });
        Some(self.merge_set(set, body, None))
    }

    pub(super) fn mark_pods(&self, hash: &Hash, side: Side) -> Option<Effect> {
        let set = self.set(hash)?;
        let metadata = self.seen.intent.metadata.of(side);
        let done = json!({"metadata": {
            "resourceVersion": set.meta.version,
            "annotations": {keys::PODS_LAG: null},
        }});
        Some(Effect::Pods(Pods {
            namespace: self.meta.namespace.clone(),
            controller: set.meta.uid.clone(),
            hash: hash.0.clone(),
            metadata: metadata.patch(&lagging(set), &self.written_by_user(hash)),
            done: self.merge_set(set, done, None),
        }))
    }

    /// The metadata of the template as its user wrote it, where that is known.
    fn written_by_user(&self, hash: &Hash) -> PodMetadata {
        let template = &self.seen.intent.template;
        let wanted = *hash == self.seen.observed.wanted;
        let metadata = template.get("metadata").filter(|_| wanted);
        metadata.map(PodMetadata::read).unwrap_or_default()
    }
}

/// What the pods of a ReplicaSet may still have from before.
fn lagging(set: &ReplicaSet) -> PodMetadata {
    let text = set.meta.annotations.get(keys::PODS_LAG);
    let value = text.and_then(|text| serde_json::from_str::<Value>(text).ok());
    value.as_ref().map(PodMetadata::read).unwrap_or_default()
}
