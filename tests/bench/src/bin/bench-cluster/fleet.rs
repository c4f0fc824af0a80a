//! Many rollouts, or Deployments, of one shape.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::runtime::watcher::{self, Event, watcher};
use serde_json::{Value, json};
use sluice_e2e::{Kind, Namespace, eventually};
use tokio::task::JoinHandle;

/// How many requests of ours are under way at once.
const AT_ONCE: usize = 32;

/// Objects of one kind in one namespace, and a watch that notes when each is done.
pub struct Fleet<'a> {
    namespace: &'a Namespace,
    api: Api<DynamicObject>,
    kind: Kind,
    names: Vec<String>,
    done: Arc<Mutex<BTreeMap<String, Done>>>,
    watch: JoinHandle<()>,
}

/// The newest generation that was seen done, and when that was seen first.
#[derive(Clone, Copy, Debug)]
struct Done {
    generation: i64,
    at: Instant,
}

impl<'a> Fleet<'a> {
    /// None yet.
    ///
    /// # Errors
    /// When the cluster does not know the kind.
    pub async fn new(namespace: &'a Namespace, kind: Kind) -> Result<Self> {
        let api = namespace.api(kind).await?;
        let done: Arc<Mutex<BTreeMap<String, Done>>> = Arc::default();
        let (watched, notes) = (api.clone(), Arc::clone(&done));
        let watch = tokio::spawn(async move {
            let mut events = watcher(watched, watcher::Config::default()).boxed();
            while let Some(event) = events.next().await {
                match event {
                    Ok(Event::Apply(object) | Event::InitApply(object)) => note(&notes, &object),
                    Ok(Event::Init | Event::InitDone | Event::Delete(_)) => {}
                    // The watcher begins anew by itself.
                    Err(error) => eprintln!("watch of a fleet: {error}"),
                }
            }
        });
        Ok(Self { namespace, api, kind, names: Vec::new(), done, watch })
    }

    /// Create objects until there are `count`, each with what `around` gives for its name beside
    /// it, and await that all are done.
    ///
    /// # Errors
    /// When one is refused, or not done in time.
    pub async fn grow(
        &mut self,
        count: usize,
        make: impl Fn(&str) -> Result<Value>,
        around: impl Fn(&str) -> String,
    ) -> Result<()> {
        let fresh: Vec<String> =
            (self.names.len()..count).map(|index| format!("web-{index:04}")).collect();
        let (namespace, api) = (self.namespace, &self.api);
        let create = fresh.iter().map(|name| {
            let (object, around) = (make(name), around(name));
            async move {
                namespace.apply(&around).await?;
                let object: DynamicObject = serde_json::from_value(object?)?;
                api.create(&PostParams::default(), &object).await?;
                anyhow::Ok(())
            }
        });
        let _: Vec<()> =
            futures::stream::iter(create).buffer_unordered(AT_ONCE).try_collect().await?;
        self.names.extend(fresh);
        let first = self.names.iter().map(|name| (name.clone(), 1)).collect();
        self.until_done(&first, limit(count)).await?;
        Ok(())
    }

    /// Release another image everywhere at once: how long each took from its own change.
    ///
    /// # Errors
    /// When a change is refused, or not done in time.
    pub async fn release(&self, image: &str) -> Result<Vec<Duration>> {
        let containers = json!([{"name": "main", "image": image}]);
        let patch = json!({"spec": {"template": {"spec": {"containers": containers}}}});
        let patch = &patch;
        let change = self.names.iter().map(|name| async move {
            let begun = Instant::now();
            let parameters = PatchParams::default();
            let changed = self.api.patch(name, &parameters, &Patch::Merge(patch)).await?;
            let generation = changed.metadata.generation.context("no generation")?;
            anyhow::Ok((name.clone(), generation, begun))
        });
        let changes: Vec<(String, i64, Instant)> =
            futures::stream::iter(change).buffer_unordered(AT_ONCE).try_collect().await?;
        let wanted =
            changes.iter().map(|(name, generation, _)| (name.clone(), *generation)).collect();
        let done = self.until_done(&wanted, limit(self.names.len())).await?;
        Ok(changes.iter().map(|(name, _, begun)| done[name].duration_since(*begun)).collect())
    }

    /// The first object's name.
    pub fn first(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }

    async fn until_done(
        &self,
        wanted: &BTreeMap<String, i64>,
        limit: Duration,
    ) -> Result<BTreeMap<String, Instant>> {
        let what = format!("{} of kind {}", wanted.len(), self.kind.name);
        eventually(&what, limit, async || {
            let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
            let at: BTreeMap<String, Instant> = wanted
                .iter()
                .filter_map(|(name, generation)| {
                    let done = done.get(name).filter(|done| done.generation >= *generation)?;
                    Some((name.clone(), done.at))
                })
                .collect();
            ensure!(at.len() == wanted.len(), "{} are done", at.len());
            Ok(at)
        })
        .await
    }
}

impl Drop for Fleet<'_> {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

/// Far more than any run here has needed.
fn limit(count: usize) -> Duration {
    Duration::from_secs(120) + Duration::from_millis(500) * u32::try_from(count).unwrap_or(10_000)
}

fn note(notes: &Mutex<BTreeMap<String, Done>>, object: &DynamicObject) {
    let (Some(name), Some(generation)) = (&object.metadata.name, object.metadata.generation) else {
        return;
    };
    if !is_done(&object.data, generation) {
        return;
    }
    let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
    let at = Instant::now();
    let noted = notes.entry(name.clone()).or_insert(Done { generation, at });
    if noted.generation < generation {
        *noted = Done { generation, at };
    }
}

/// Whether the newest generation is out: a Rollout says so itself, a Deployment by its counts.
fn is_done(data: &Value, generation: i64) -> bool {
    let status = &data["status"];
    if let Some(phase) = status["phase"].as_str() {
        return phase == "Healthy"
            && status["observedGeneration"].as_str() == Some(&generation.to_string())
            && status["stableRS"] == status["currentPodHash"];
    }
    let wanted = &data["spec"]["replicas"];
    let whole = ["replicas", "updatedReplicas", "availableReplicas"];
    status["observedGeneration"] == generation
        && whole.iter().all(|count| &status[*count] == wanted)
}
