//! Which revision the template in the specification is: first what is known already, and only
//! then a new name.

use serde_json::{Value, json};
use sluice_core::observed::Hash;

use crate::field::Field;
use crate::keys;
use crate::objects::{Meta, Objects, ReplicaSet};
use crate::rollout::hash::{
    template_digest, template_hash, template_hash_before_1_9, template_shape,
};
use crate::rollout::workload::Borrowed;

/// The revision that is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// Its hash.
    pub hash: Hash,
    /// How many names were found to be taken, for the status.
    pub collisions: Option<u32>,
    /// What has to be known before the hash is certain.
    pub question: Option<Question>,
}

/// How would the API server store a template? Only it knows its defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Which template, by its digest as the user wrote it.
    pub about: u64,
    /// A ReplicaSet of this template, to be made without being stored.
    pub body: Value,
}

/// The answer to a [`Question`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defaulted {
    /// What was asked about.
    pub about: u64,
    /// The digest of the template as the server would store it; `None` if it refused.
    pub template: Option<u64>,
}

impl Question {
    /// The answer, from the ReplicaSet that the server would have stored.
    pub fn answer(&self, stored: Option<&Value>) -> Defaulted {
        let template = stored.and_then(|set| set.pointer("/spec/template"));
        let template = template.map(|template| template_digest(template, None));
        Defaulted { about: self.about, template }
    }
}

/// Find the wanted revision.
///
/// In this order: what was recorded, while the record is about the present specification; the
/// ReplicaSet whose label is the template's hash, of today or of before Argo Rollouts 1.9; the
/// one whose template is the same once the server has filled in its defaults; a new name, which
/// nobody has.
pub fn identify(objects: &Objects) -> Identity {
    let meta = Meta::read(&objects.rollout);
    let root = Field::root(&objects.rollout);
    let collisions = root.at("status.collisionCount").u32();
    let template = root.at("spec.template").value().cloned().unwrap_or_default();
    let scene = Scene { objects, meta: &meta };
    let known = |hash: String| Identity { hash: Hash(hash), collisions, question: None };
    if let Some(hash) = recorded(&objects.rollout, &meta)
        && !scene.is_taken(&hash)
        && scene.is_as_lent(&hash, &template)
    {
        return known(hash);
    }
    for hash in [template_hash, template_hash_before_1_9].map(|hash| hash(&template, collisions)) {
        if scene.has(&hash) {
            return known(hash);
        }
    }
    let (hash, counted) = scene.free_name(&template, collisions);
    let question = match scene.same(&template) {
        Ok(Some(set)) => return known(set.hash().to_owned()),
        Ok(None) => None,
        Err(about) => Some(Question { about, body: body(&meta, &root, &template) }),
    };
    Identity { hash: Hash(hash), collisions: counted, question }
}

/// The hash in the status, while the status is about the present specification. A status that
/// refuses the specification says nothing of its template.
fn recorded(rollout: &Value, meta: &Meta) -> Option<String> {
    let status = Field::root(rollout).get("status");
    let observed = status.get("observedGeneration").str()?.parse::<i64>().ok()?;
    let conditions = status.get("conditions").items();
    let refused = conditions.iter().any(|c| c.get("type").str() == Some("InvalidSpec"));
    if observed != meta.generation || refused {
        return None;
    }
    status.get("currentPodHash").name().map(str::to_owned)
}

struct Scene<'a> {
    objects: &'a Objects,
    meta: &'a Meta,
}

impl Scene<'_> {
    fn has(&self, hash: &str) -> bool {
        self.objects.replica_sets.iter().any(|set| set.hash() == hash)
    }

    fn is_taken(&self, hash: &str) -> bool {
        let name = name(self.meta, hash);
        let sets = &self.objects.replica_sets;
        !self.has(hash)
            && (self.objects.learnt.taken.contains(&name)
                || sets.iter().any(|set| set.meta.name == name))
    }

    /// Whether the revision that was recorded has the template that is lent now: a workload
    /// changes without the rollout's generation. Both are as the server stores them.
    fn is_as_lent(&self, hash: &str, template: &Value) -> bool {
        if self.objects.borrowed == Borrowed::Own {
            return true;
        }
        let recorded = self.objects.replica_sets.iter().find(|set| set.hash() == hash);
        recorded.is_some_and(|set| set.template == template_digest(template, None))
    }

    /// A hash whose name nobody has, and the collisions that it counts.
    fn free_name(&self, template: &Value, mut collisions: Option<u32>) -> (String, Option<u32>) {
        loop {
            let hash = template_hash(template, collisions);
            // Every collision is another name, so that this ends after as many as there are.
            if !self.is_taken(&hash) {
                return (hash, collisions);
            }
            collisions = Some(collisions.unwrap_or(0).saturating_add(1));
        }
    }

    /// The oldest ReplicaSet of the same template; an error if the server has to be asked first.
    fn same(&self, template: &Value) -> Result<Option<&ReplicaSet>, u64> {
        let shape = template_shape(template);
        let mut alike: Vec<_> =
            self.objects.replica_sets.iter().filter(|set| set.shape == shape).collect();
        if alike.is_empty() {
            return Ok(None);
        }
        let about = template_digest(template, None);
        let answer = self.objects.learnt.defaulted.filter(|answer| answer.about == about);
        let Some(answer) = answer else { return Err(about) };
        alike.sort_by(|a, b| (a.meta.created, &a.meta.name).cmp(&(b.meta.created, &b.meta.name)));
        let same = alike.into_iter().find(|set| Some(set.template) == answer.template);
        Ok(same.map(|set| &**set))
    }
}

/// The name of the ReplicaSet with this hash.
pub fn name(rollout: &Meta, hash: &str) -> String {
    format!("{}-{hash}", rollout.name)
}

fn body(meta: &Meta, root: &Field<'_>, template: &Value) -> Value {
    let selector = root.at("spec.selector").value().cloned().unwrap_or_default();
    json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"generateName": format!("{}-", meta.name), "namespace": meta.namespace},
        "spec": {"replicas": 0, "selector": selector, "template": template},
    })
}

/// The keys of the metadata that was added to a ReplicaSet's pods.
pub(crate) fn injected(meta: &Meta) -> Option<Value> {
    meta.annotations.get(keys::EPHEMERAL_METADATA).and_then(|text| serde_json::from_str(text).ok())
}
