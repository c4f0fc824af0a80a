//! A namespace of one test, and the objects in it.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::core::v1 as core;
use kube::{
    Api, Client,
    api::{
        ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, ObjectMeta, Patch,
        PatchParams, PostParams, TypeMeta,
    },
    discovery::{self, Scope},
};
use serde_json::Value;

use crate::Cluster;

/// Who the API server says has applied what a test applies.
const FIELD_MANAGER: &str = "e2e";

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The version, such as `v1`.
    pub version: &'static str,
    /// The kind in the singular, such as `Rollout`.
    pub name: &'static str,
}

impl Kind {
    /// `AnalysisRun` of `argoproj.io`.
    pub const ANALYSIS_RUN: Self = Self::argo("AnalysisRun");
    /// `AnalysisTemplate` of `argoproj.io`.
    pub const ANALYSIS_TEMPLATE: Self = Self::argo("AnalysisTemplate");
    /// `ClusterAnalysisTemplate` of `argoproj.io`.
    pub const CLUSTER_ANALYSIS_TEMPLATE: Self = Self::argo("ClusterAnalysisTemplate");
    /// `ConfigMap`.
    pub const CONFIG_MAP: Self = Self::core("ConfigMap");
    /// `CustomResourceDefinition`.
    pub const CRD: Self =
        Self { group: "apiextensions.k8s.io", version: "v1", name: "CustomResourceDefinition" };
    /// `Deployment`.
    pub const DEPLOYMENT: Self = Self { group: "apps", version: "v1", name: "Deployment" };
    /// `Experiment` of `argoproj.io`.
    pub const EXPERIMENT: Self = Self::argo("Experiment");
    /// `HorizontalPodAutoscaler`.
    pub const AUTOSCALER: Self =
        Self { group: "autoscaling", version: "v2", name: "HorizontalPodAutoscaler" };
    /// `Ingress`.
    pub const INGRESS: Self = Self { group: "networking.k8s.io", version: "v1", name: "Ingress" };
    /// `Lease`.
    pub const LEASE: Self = Self { group: "coordination.k8s.io", version: "v1", name: "Lease" };
    /// `Plugin` of `sluice.dev`.
    pub const PLUGIN: Self = Self { group: "sluice.dev", version: "v1alpha1", name: "Plugin" };
    /// `Pod`.
    pub const POD: Self = Self::core("Pod");
    /// `ReplicaSet`.
    pub const REPLICA_SET: Self = Self { group: "apps", version: "v1", name: "ReplicaSet" };
    /// `Rollout` of `argoproj.io`.
    pub const ROLLOUT: Self = Self::argo("Rollout");
    /// `Service`.
    pub const SERVICE: Self = Self::core("Service");

    const fn core(name: &'static str) -> Self {
        Self { group: "", version: "v1", name }
    }

    const fn argo(name: &'static str) -> Self {
        Self { group: "argoproj.io", version: "v1alpha1", name }
    }
}

impl From<Kind> for GroupVersionKind {
    fn from(kind: Kind) -> Self {
        Self::gvk(kind.group, kind.version, kind.name)
    }
}

/// An Event about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `Normal` or `Warning`.
    pub severity: String,
    /// The machine's word for what happened.
    pub reason: String,
    /// The sentence for people.
    pub message: String,
    /// How often it happened.
    pub count: i32,
}

impl Event {
    /// Whether events with these `reasons` are among `events` in this order, with anything between
    /// them.
    ///
    /// # Errors
    ///
    /// When they are not, with the reasons that there are.
    pub fn in_order(events: &[Self], reasons: &[&str]) -> Result<()> {
        let there: Vec<_> = events.iter().map(|event| event.reason.as_str()).collect();
        let mut rest = there.iter();
        match reasons.iter().find(|reason| !rest.any(|there| there == *reason)) {
            None => Ok(()),
            Some(missing) => bail!("no {missing} in the order of {reasons:?} among {there:?}"),
        }
    }
}

/// A namespace that belongs to one test.
///
/// It is not deleted in the end: that is slow, and the cluster goes away or can
/// bear it.
pub struct Namespace {
    cluster: &'static Cluster,
    client: Client,
    name: String,
    known: Mutex<BTreeMap<String, (ApiResource, Scope)>>,
}

impl Namespace {
    /// Makes a namespace with a name that begins with `test` and that nobody
    /// uses, in the shared cluster.
    ///
    /// # Errors
    ///
    /// When there is no cluster, or `test` is not a DNS label.
    pub async fn new(test: &str) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let cluster = Cluster::shared().await?;
        let client = cluster.client().await?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{test}-{}-{count}", std::process::id());
        let namespace = core::Namespace {
            metadata: ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() },
            ..core::Namespace::default()
        };
        Api::all(client.clone())
            .create(&PostParams::default(), &namespace)
            .await
            .with_context(|| format!("failed to make the namespace {name}"))?;
        Ok(Self { cluster, client, name, known: Mutex::default() })
    }

    /// The namespace's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The cluster that it is in.
    pub fn cluster(&self) -> &'static Cluster {
        self.cluster
    }

    /// The client that everything here uses.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Applies each document of `yaml` by server-side apply: into this
    /// namespace, unless its kind has none. Returns the objects as accepted.
    ///
    /// # Errors
    ///
    /// When a document is no object, its kind is unknown, or it is refused.
    pub async fn apply(&self, yaml: &str) -> Result<Vec<Value>> {
        let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).context("not YAML")?;
        let mut applied = Vec::new();
        for document in documents.into_iter().filter(|document| !document.is_null()) {
            let object: DynamicObject = serde_json::from_value(document)?;
            let types = object.types.clone().context("a document has no apiVersion and kind")?;
            let name = object.metadata.name.clone().context("a document has no metadata.name")?;
            let kind = GroupVersionKind::try_from(types)?;
            let what = format!("{} {name}", kind.kind);
            let parameters = PatchParams::apply(FIELD_MANAGER).force();
            let accepted = self
                .api_of(kind)
                .await?
                .patch(&name, &parameters, &Patch::Apply(&object))
                .await
                .with_context(|| format!("failed to apply {what}"))?;
            applied.push(serde_json::to_value(accepted)?);
        }
        Ok(applied)
    }

    /// The API of `kind`, in this namespace if the kind is namespaced.
    ///
    /// # Errors
    ///
    /// When the cluster does not know the kind.
    pub async fn api(&self, kind: Kind) -> Result<Api<DynamicObject>> {
        self.api_of(kind.into()).await
    }

    /// The object.
    ///
    /// # Errors
    ///
    /// When it does not exist or cannot be read.
    pub async fn get(&self, kind: Kind, name: &str) -> Result<Value> {
        let found = self.find(kind, name).await?;
        found.with_context(|| format!("{} {name} does not exist", kind.name))
    }

    /// The object, or `None` when it does not exist.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn find(&self, kind: Kind, name: &str) -> Result<Option<Value>> {
        let found = self.api(kind).await?.get_opt(name).await?;
        Ok(found.map(serde_json::to_value).transpose()?)
    }

    /// All objects of `kind` with labels that match `selector`, which may be
    /// empty.
    ///
    /// # Errors
    ///
    /// When they cannot be listed.
    pub async fn list(&self, kind: Kind, selector: &str) -> Result<Vec<Value>> {
        let objects = self.api(kind).await?.list(&ListParams::default().labels(selector)).await?;
        // A list's items do not say what they are.
        let types = TypeMeta {
            api_version: [kind.group, kind.version].join("/").trim_start_matches('/').to_owned(),
            kind: kind.name.to_owned(),
        };
        let named = |object: DynamicObject| DynamicObject { types: Some(types.clone()), ..object };
        Ok(objects
            .items
            .into_iter()
            .map(named)
            .map(serde_json::to_value)
            .collect::<Result<_, _>>()?)
    }

    /// Changes an object by a JSON merge patch.
    ///
    /// # Errors
    ///
    /// When the patch is refused.
    pub async fn merge(&self, kind: Kind, name: &str, patch: &Value) -> Result<()> {
        let api = self.api(kind).await?;
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .with_context(|| format!("failed to patch {} {name}", kind.name))?;
        Ok(())
    }

    /// Changes the status of an object by a JSON merge patch of the whole
    /// object's form, `{"status": …}`.
    ///
    /// # Errors
    ///
    /// When the patch is refused.
    pub async fn merge_status(&self, kind: Kind, name: &str, patch: &Value) -> Result<()> {
        let api = self.api(kind).await?;
        api.patch_status(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .with_context(|| format!("failed to patch the status of {} {name}", kind.name))?;
        Ok(())
    }

    /// Deletes an object, without awaiting its end.
    ///
    /// # Errors
    ///
    /// When it does not exist or may not be deleted.
    pub async fn delete(&self, kind: Kind, name: &str) -> Result<()> {
        let api = self.api(kind).await?;
        api.delete(name, &DeleteParams::background())
            .await
            .with_context(|| format!("failed to delete {} {name}", kind.name))?;
        Ok(())
    }

    /// The Events about an object, in the order in which they were last written.
    ///
    /// # Errors
    ///
    /// When they cannot be listed.
    pub async fn events(&self, kind: Kind, name: &str) -> Result<Vec<Event>> {
        let selector = format!("involvedObject.kind={},involvedObject.name={name}", kind.name);
        let api: Api<core::Event> = Api::namespaced(self.client.clone(), &self.name);
        let mut events = api.list(&ListParams::default().fields(&selector)).await?.items;
        // A resource version is a number that grows with each write to the
        // database, and finer than any time in an Event.
        events.sort_by_key(|event| {
            let version = event.metadata.resource_version.as_deref();
            version.and_then(|version| version.parse::<u64>().ok()).unwrap_or_default()
        });
        Ok(events.into_iter().map(Event::from).collect())
    }

    async fn api_of(&self, kind: GroupVersionKind) -> Result<Api<DynamicObject>> {
        let key = format!("{}/{}/{}", kind.group, kind.version, kind.kind);
        let cached = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        let (resource, scope) = match cached {
            Some(known) => known,
            None => {
                let (resource, capabilities) = discovery::pinned_kind(&self.client, &kind)
                    .await
                    .with_context(|| format!("the cluster has no {key}"))?;
                let known = (resource, capabilities.scope);
                let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                all.insert(key, known.clone());
                known
            }
        };
        Ok(match scope {
            Scope::Namespaced => Api::namespaced_with(self.client.clone(), &self.name, &resource),
            Scope::Cluster => Api::all_with(self.client.clone(), &resource),
        })
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Namespace").field(&self.name).finish()
    }
}

impl From<core::Event> for Event {
    fn from(event: core::Event) -> Self {
        // Events of the newer API count in a series, and the first is not in it.
        let series = event.series.and_then(|series| series.count);
        Self {
            severity: event.type_.unwrap_or_default(),
            reason: event.reason.unwrap_or_default(),
            message: event.message.unwrap_or_default(),
            count: series.or(event.count).unwrap_or(1).max(1),
        }
    }
}
