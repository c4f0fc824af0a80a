//! What must hold while Services alone decide who gets requests.
//!
//! * B1: the active Service is turned only to a revision that carries the fleet; on the way back
//!   to the stable one, as many pods may be missing as the user lets, or as are missing now.
//! * B2: what the active Service selects, or selected until less than its delay ago, is not told
//!   to have fewer pods than the fleet; what the preview selects keeps its pods, unless it is the
//!   wanted revision. An aborted revision keeps them for the delay of aborts.
//! * B3: nobody is given an update that was not promoted: no word, no time, no analysis is
//!   skipped, unless the user says so or goes back to what was in use.
//! * B4: nothing becomes stable that users do not get, or that was not proved.
//!
//! * B5: what comes to rest has left nothing behind: users get the stable version, nobody else's
//!   pods are there without a reason, and the preview shows what is wanted.
//!
//! The writes of one instant are judged one after the other, as they were accepted.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use sluice_core::Timestamp;
use sluice_wire::clock::parse_time;
use sluice_wire::rollout::{Verb, Write};

use super::window::Window;
use super::{HASH, Violation, restart};
use crate::cluster::Cluster;
use crate::shell::{Note, lock};

/// What a rollout asks for, read anew here.
struct Wish {
    fleet: u32,
    unavailable: u32,
    active: String,
    preview: Option<String>,
    delay: Duration,
    /// `None`: for ever.
    abort_delay: Option<Duration>,
    limit: Option<u64>,
    by_user: bool,
    seconds: u64,
    pre: bool,
    post: bool,
    stable: Option<String>,
    current: Option<String>,
    aborted: Option<Timestamp>,
}

/// How a revision stopped being the active one.
#[derive(Clone, Copy, Debug)]
struct Left {
    at: Timestamp,
    by_abort: bool,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Available pods over the time that the controller may be behind.
    seen: Window<BTreeMap<String, u32>>,
    fleets: Window<u32>,
    wanted: BTreeMap<String, u32>,
    active: Option<String>,
    preview: Option<String>,
    left: BTreeMap<String, Left>,
    stable: Option<String>,
    current: Option<String>,
    /// What was wanted when the instant began, until the record of another one is written in it.
    wanted_before: Option<String>,
    aborted_since: Option<Timestamp>,
    /// What a user said about the present update: promote, or promote in full.
    promoted: bool,
    promoted_fully: bool,
}

impl Watch {
    /// A user promoted what is there.
    pub(super) fn promoted(&mut self, fully: bool) {
        self.promoted = true;
        self.promoted_fully |= fully;
    }

    /// Judge the instant in which `notes` happened; `None` if this is no blue-green rollout.
    pub(super) fn look(
        &mut self,
        cluster: &Cluster,
        (namespace, name): (&str, &str),
        staleness: Duration,
        notes: &[Note],
    ) -> Option<Vec<Violation>> {
        let rollout = lock(&cluster.world).get("Rollout", namespace, name)?.clone();
        let wish = wish(&rollout)?;
        let now = cluster.now;
        self.remember(cluster, namespace, &wish, staleness, notes);
        self.wanted_before.clone_from(&self.current);
        self.aborted_since = wish.aborted.and(self.aborted_since.or(Some(now)));
        let scene = Scene { cluster, namespace, wish: &wish, now, staleness };
        let mut bad = Vec::new();
        for note in notes {
            if let Note::Wrote(write) = note {
                self.judge(&scene, write, &mut bad);
            }
        }
        self.wants(wish.current.as_deref());
        if self.stable != wish.stable {
            bad.extend(self.settled(&scene));
            self.stable.clone_from(&wish.stable);
        }
        Some(bad.into_iter().map(|what| Violation { at: now, what }).collect())
    }

    /// B5: what is wrong with a rollout that rests and that nobody holds.
    pub(super) fn rest(
        &self,
        cluster: &Cluster,
        (namespace, name): (&str, &str),
    ) -> Option<String> {
        let rollout = lock(&cluster.world).get("Rollout", namespace, name)?.clone();
        let wish = wish(&rollout)?;
        let (stable, current) = (wish.stable.clone()?, wish.current.clone()?);
        let settled = stable == current;
        let paused = rollout.pointer("/spec/paused") == Some(&Value::Bool(true));
        let given_up = wish.aborted.is_some();
        if (settled && !paused || given_up) && self.active.as_ref() != Some(&stable) {
            return Some(format!("B5: users get {:?}, and {stable} is stable", self.active));
        }
        if !settled && given_up && wish.abort_delay.is_some() {
            let left = self.wanted.get(&current).copied().unwrap_or(0);
            if left > 0 {
                return Some(format!("B5: {current} was aborted and has {left} pods"));
            }
        }
        let shows = wish.preview.is_none() || self.preview.as_ref() == Some(&current);
        if settled && !paused && !shows {
            return Some(format!("B5: the preview shows {:?}", self.preview));
        }
        let fleet = self.wanted.get(&stable).copied().unwrap_or(0);
        if fleet != wish.fleet {
            return Some(format!("B5: {stable} is stable with {fleet} of {} pods", wish.fleet));
        }
        let others = self.replaced_beside(&wish, "");
        if settled && !paused && others > 0 {
            return Some(format!("B5: {others} replaced versions have pods"));
        }
        None
    }

    fn judge(&mut self, scene: &Scene<'_>, write: &Write, bad: &mut Vec<String>) {
        let name = write.target.name.as_str();
        match (write.target.kind, write.verb) {
            ("Service", Verb::Merge) => {
                let hash = write.body.pointer("/spec/selector").and_then(|s| s.get(HASH)?.as_str());
                let Some(hash) = hash.map(str::to_owned) else { return };
                if name == scene.wish.active && self.active.as_ref() != Some(&hash) {
                    bad.extend(self.turned(scene, &hash));
                    if let Some(old) = self.active.replace(hash.clone()) {
                        let by_abort = scene.wish.aborted.is_some();
                        self.left.insert(old, Left { at: scene.now, by_abort });
                    }
                    self.left.remove(&hash);
                }
                if scene.wish.preview.as_deref() == Some(name) {
                    self.preview = Some(hash);
                }
            }
            ("Rollout", Verb::Merge) => {
                let current = write.body.pointer("/status/currentPodHash").and_then(Value::as_str);
                if current.is_some() {
                    self.wanted_before = None;
                    self.wants(current);
                }
            }
            ("ReplicaSet", Verb::Create) => {
                let wanted = write.body.pointer("/spec/replicas").and_then(Value::as_u64);
                self.wanted.insert(scene.hash_of(name), count(wanted));
            }
            ("ReplicaSet", Verb::Merge) => {
                let Some(to) = write.body.pointer("/spec/replicas").and_then(Value::as_u64) else {
                    return;
                };
                let (hash, to) = (scene.hash_of(name), count(Some(to)));
                let from = self.wanted.insert(hash.clone(), to).unwrap_or(to);
                if to < from {
                    bad.extend(self.shrunk(scene, &hash, from, to));
                }
            }
            ("ReplicaSet", Verb::Delete) => {
                let hash = scene.hash_of(name);
                let pods = self.wanted.remove(&hash).unwrap_or(0);
                if pods > 0 || self.active.as_ref() == Some(&hash) {
                    bad.push(format!("B2: {hash} was deleted while it was in use"));
                }
            }
            _ => {}
        }
    }

    /// Another update is recorded, of which nobody has said a word yet. What was done in the same
    /// instant before that is judged by what was said about the one before.
    fn wants(&mut self, current: Option<&str>) {
        if self.current.as_deref() != current {
            self.current = current.map(str::to_owned);
            (self.promoted, self.promoted_fully) = (false, false);
        }
    }

    /// B1 and B3.
    fn turned(&self, scene: &Scene<'_>, hash: &str) -> Option<String> {
        let fleet = self.least_fleet();
        let has = self.best(hash);
        let back = self.active.as_deref().filter(|_| scene.wish.stable.as_deref() == Some(hash));
        let needs = back.map_or(fleet, |old| {
            let few = fleet.saturating_sub(scene.wish.unavailable).max(1).min(fleet);
            few.min(self.fewest(old).max(1))
        });
        if has < needs {
            return Some(format!(
                "B1: the active Service was turned to {hash}, which had at most {has} of the {needs} pods that it needs"
            ));
        }
        let known = scene.wish.stable.as_deref() == Some(hash) || scene.wish.stable.is_none();
        let excused = known || self.promoted_fully || scene.is_older(hash);
        let Wish { pre, by_user, seconds, .. } = *scene.wish;
        if !excused && pre && !scene.succeeded("PrePromotion", hash) {
            return Some(format!("B3: users were given {hash} before its analysis succeeded"));
        }
        if !excused && by_user && !self.promoted {
            return Some(format!("B3: users were given {hash}, and nobody promoted it"));
        }
        let soon = scene.now < scene.created(hash).after(Duration::from_secs(seconds));
        if !excused && soon && !by_user && !self.promoted {
            return Some(format!("B3: users were given {hash} in less than {seconds} s"));
        }
        None
    }

    /// B2.
    fn shrunk(&self, scene: &Scene<'_>, hash: &str, from: u32, to: u32) -> Option<String> {
        let wish = scene.wish;
        if to >= self.least_fleet() {
            return None;
        }
        let shrunk = format!("B2: {hash} was shrunk from {from} to {to} pods");
        if self.active.as_deref() == Some(hash) {
            return Some(format!("{shrunk}, and users get it"));
        }
        let is_current = wish
            .current
            .as_deref()
            .into_iter()
            .chain(self.wanted_before.as_deref())
            .any(|one| one == hash);
        if self.preview.as_deref() == Some(hash) && !is_current {
            return Some(format!("{shrunk}, and the preview selects it"));
        }
        let known = self.aborted_since.is_some_and(|at| at.after(scene.staleness) < scene.now);
        if let Some(since) = wish.aborted.filter(|_| is_current && known) {
            match wish.abort_delay {
                None => return Some(format!("{shrunk}, and is to keep them after an abort")),
                Some(delay) if scene.now < since.after(delay) => {
                    return Some(format!("{shrunk}, sooner than an abort allows"));
                }
                Some(_) => {}
            }
        }
        let left = self.left.get(hash)?;
        let delay = match wish.abort_delay {
            Some(abort) if left.by_abort => abort.min(wish.delay),
            Some(_) | None => wish.delay,
        };
        let over_limit = wish.limit.is_some_and(|limit| self.replaced_beside(wish, hash) >= limit);
        if scene.now < left.at.after(delay) && !over_limit {
            return Some(format!("{shrunk}, and users got it less than {delay:?} ago"));
        }
        None
    }

    /// B4.
    fn settled(&self, scene: &Scene<'_>) -> Option<String> {
        let hash = scene.wish.stable.as_deref()?;
        let before = self.stable.as_deref().filter(|before| self.wanted.contains_key(*before))?;
        // Nobody was given anything yet: a first version may be replaced by another before its
        // ReplicaSet was ever seen.
        let active = self.active.as_deref()?;
        if active != hash {
            return Some(format!("B4: {hash} is stable, and users do not get it"));
        }
        let older = scene.created(hash) < scene.created(before);
        let excused = self.promoted_fully || older;
        if scene.wish.post && !excused && !scene.succeeded("PostPromotion", hash) {
            return Some(format!("B4: {hash} is stable before its analysis succeeded"));
        }
        None
    }

    /// Revisions with pods that are neither stable nor wanted, but for this one.
    fn replaced_beside(&self, wish: &Wish, hash: &str) -> u64 {
        let in_use = [wish.stable.as_deref(), wish.current.as_deref(), Some(hash)];
        let others = self
            .wanted
            .iter()
            .filter(|(hash, wanted)| **wanted > 0 && !in_use.contains(&Some(hash.as_str())));
        others.count() as u64
    }

    fn remember(
        &mut self,
        cluster: &Cluster,
        namespace: &str,
        wish: &Wish,
        staleness: Duration,
        notes: &[Note],
    ) {
        let now = cluster.now;
        let world = lock(&cluster.world);
        let sets = world.list("ReplicaSet").filter(|(place, _)| place.1 == namespace);
        let available = sets.filter_map(|(place, set)| {
            let hash = set.pointer("/metadata/labels")?.get(HASH)?.as_str()?;
            Some((hash.to_owned(), cluster.fleet.available(place, now)))
        });
        let available: BTreeMap<_, _> = available.collect();
        drop(world);
        restart::remember(&mut self.seen, cluster, available, notes);
        self.seen.forget(now, staleness);
        if self.fleets.last() != Some(&wish.fleet) {
            self.fleets.push(now, wish.fleet);
        }
        self.fleets.forget(now, staleness);
    }

    fn counts<'w>(&'w self, hash: &'w str) -> impl Iterator<Item = u32> + 'w {
        self.seen.iter().map(move |seen| seen.get(hash).copied().unwrap_or(0))
    }

    fn best(&self, hash: &str) -> u32 {
        self.counts(hash).max().unwrap_or(0)
    }

    fn fewest(&self, hash: &str) -> u32 {
        self.counts(hash).min().unwrap_or(0)
    }

    fn least_fleet(&self) -> u32 {
        self.fleets.iter().copied().min().unwrap_or(0)
    }
}

/// The cluster at one instant.
struct Scene<'a> {
    cluster: &'a Cluster,
    namespace: &'a str,
    wish: &'a Wish,
    now: Timestamp,
    staleness: Duration,
}

impl Scene<'_> {
    /// The hash is the last part of the name of a ReplicaSet.
    fn hash_of(&self, set: &str) -> String {
        set.rsplit('-').next().unwrap_or_default().to_owned()
    }

    fn created(&self, hash: &str) -> Timestamp {
        let world = lock(&self.cluster.world);
        let mut sets = world.list("ReplicaSet").filter(|(place, _)| place.1 == self.namespace);
        let set = sets.find(|(place, _)| self.hash_of(&place.2) == hash);
        let text = set.and_then(|(_, set)| set.pointer("/metadata/creationTimestamp")?.as_str());
        text.and_then(parse_time).unwrap_or_default()
    }

    fn is_older(&self, hash: &str) -> bool {
        let stable = self.wish.stable.as_deref();
        stable.is_some_and(|stable| self.created(hash) < self.created(stable))
    }

    /// Whether a run of this kind about this revision succeeded.
    fn succeeded(&self, kind: &str, hash: &str) -> bool {
        let world = lock(&self.cluster.world);
        let mut runs = world.list("AnalysisRun").filter(|(place, _)| place.1 == self.namespace);
        runs.any(|(_, run)| {
            let label = |key: &str| run.pointer("/metadata/labels")?.get(key)?.as_str();
            label("rollout-type") == Some(kind)
                && label(HASH) == Some(hash)
                && run.pointer("/status/phase").and_then(Value::as_str) == Some("Successful")
        })
    }
}

fn count(number: Option<u64>) -> u32 {
    number.and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
}

fn wish(rollout: &Value) -> Option<Wish> {
    let strategy = rollout.pointer("/spec/strategy/blueGreen")?;
    let number = |name: &str| strategy.get(name).and_then(Value::as_u64);
    let text = |pointer: &str| rollout.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let fleet = rollout.pointer("/spec/replicas").and_then(Value::as_u64);
    let fleet = count(fleet.or(Some(1)));
    let abort_delay = number("abortScaleDownDelaySeconds").unwrap_or(30);
    let aborted = rollout.pointer("/status/abort") == Some(&Value::Bool(true));
    let aborted_at = text("/status/abortedAt").as_deref().and_then(parse_time);
    Some(Wish {
        fleet,
        unavailable: number("maxUnavailable").map_or(fleet / 4, |given| count(Some(given))),
        active: strategy.get("activeService")?.as_str()?.to_owned(),
        preview: strategy.get("previewService").and_then(Value::as_str).map(str::to_owned),
        delay: Duration::from_secs(number("scaleDownDelaySeconds").unwrap_or(30)),
        abort_delay: (abort_delay > 0).then(|| Duration::from_secs(abort_delay)),
        limit: number("scaleDownDelayRevisionLimit"),
        by_user: strategy.get("autoPromotionEnabled") == Some(&Value::Bool(false)),
        seconds: number("autoPromotionSeconds").unwrap_or(0),
        pre: strategy.get("prePromotionAnalysis").is_some(),
        post: strategy.get("postPromotionAnalysis").is_some(),
        stable: text("/status/stableRS"),
        current: text("/status/currentPodHash"),
        aborted: aborted.then(|| aborted_at.unwrap_or_default()),
    })
}
