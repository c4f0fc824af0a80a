//! A component that is compiled and not called by anybody yet.

use std::sync::Arc;

use sluice_port::Fault;
use wasmtime::Store;

use crate::ctx::Ctx;
use crate::dir::{config_of, grants_of};
use crate::host::{ComponentHost, Generation, Origin, PluginInfo, Terms, locked};
use crate::limits::Kind;
use crate::load::{LoadError, Pre};

/// A component that is compiled and was tried once, and that nobody calls yet.
pub struct Prepared {
    generation: Generation,
}

impl Prepared {
    /// What it is.
    pub fn info(&self) -> PluginInfo {
        self.generation.info()
    }

    pub(crate) fn into_generation(self) -> Generation {
        self.generation
    }
}

/// Objects are touched for routers, so leave to touch them would do nothing for another kind, and
/// whoever gave it expects that it does something.
fn refuse_objects(kind: Kind, origin: &Origin, terms: &Terms) -> Result<(), LoadError> {
    let named = terms.grants.as_ref().and_then(|grants| grants.kubernetes.as_ref());
    if kind == Kind::Router || named.is_none_or(Vec::is_empty) {
        return Ok(());
    }
    let path = match origin {
        Origin::Object(_) => "spec.permissions.kubernetes".to_owned(),
        Origin::File(path) => grants_of(path).display().to_string(),
        Origin::Bundled | Origin::Other(_) => "its grants".to_owned(),
    };
    let why = format!(
        "only a router touches objects of Kubernetes, and this is a {}; take them out",
        kind.name()
    );
    Err(LoadError::Grants { path, why })
}

impl ComponentHost {
    /// Compile a component and try it once. Nothing changes for anybody.
    ///
    /// Compiling is done on a thread for blocking work.
    ///
    /// # Errors
    /// Whatever keeps it from being called.
    pub async fn prepare(
        &self,
        name: &str,
        bytes: Vec<u8>,
        origin: Origin,
        terms: Terms,
    ) -> Result<Prepared, LoadError> {
        let inner = self.inner.clone();
        let stranger = matches!(origin, Origin::Object(_));
        let loaded = tokio::task::spawn_blocking(move || inner.loader.load(&bytes, stranger))
            .await
            .map_err(|error| LoadError::Compile(error.to_string()))??;
        let given = terms.config.is_some();
        refuse_objects(loaded.outline.kind, &origin, &terms)?;
        let mut generation = self.generation(name, loaded, origin, terms);
        generation.capabilities = self.try_once(&generation).await.map_err(LoadError::Trial)?;
        let prepared = Prepared { generation };
        self.configured(&prepared, given).await?;
        Ok(prepared)
    }

    /// A notifier is configured once and for everybody, so that is looked at before it is called.
    async fn configured(&self, prepared: &Prepared, given: bool) -> Result<(), LoadError> {
        let generation = &prepared.generation;
        let wrong = |why: String| {
            let at = match &generation.origin {
                Origin::Object(_) => "spec.config".to_owned(),
                Origin::File(path) => config_of(path).display().to_string(),
                Origin::Bundled | Origin::Other(_) => "its configuration".to_owned(),
            };
            LoadError::Config { at, why }
        };
        match generation.kind() {
            Kind::Notifier => {
                let checked = self.rehearse(prepared, &generation.config).await;
                checked.map_err(|fault| wrong(fault.to_string()))
            }
            kind if given => Err(wrong(format!(
                "only a notifier is configured here, and this is a {}; take it out",
                kind.name()
            ))),
            Kind::Metric | Kind::Router | Kind::Step => Ok(()),
        }
    }

    /// What a component that nobody calls yet says of a configuration. It has no network.
    ///
    /// # Errors
    /// The component's refusal, or what became of it meanwhile.
    pub async fn rehearse(&self, prepared: &Prepared, config: &str) -> Result<(), Fault> {
        let generation = &prepared.generation;
        let config = config.to_owned();
        let act = async |pre: &Pre, store: &mut Store<Ctx>| match pre {
            Pre::Metric(pre) => {
                let metric = pre.instantiate_async(&mut *store).await?;
                metric.sluice_metric_provider().call_validate(&mut *store, &config).await
            }
            Pre::Router(pre) => {
                let router = pre.instantiate_async(&mut *store).await?;
                router.sluice_traffic_router().call_validate(&mut *store, &config).await
            }
            Pre::Step(pre) => {
                let step = pre.instantiate_async(&mut *store).await?;
                step.sluice_step_step().call_validate(&mut *store, &config).await
            }
            Pre::Notifier(pre) => {
                let notifier = pre.instantiate_async(&mut *store).await?;
                notifier.sluice_notifier_delivery().call_validate(&mut *store, &config).await
            }
        };
        self.run(generation, generation.limits.for_validation(), act).await.0
    }

    /// Let a component take the place of the one of its name and kind. Calls under way end on the
    /// one that they began with.
    ///
    /// One of a Plugin object is watched: if it misbehaves in three of its first twenty calls, and
    /// the one before never did, that one comes back; see [`ComponentHost::withdrawn`].
    pub fn enter(&self, prepared: Prepared) -> PluginInfo {
        let generation = Arc::new(prepared.generation);
        let (kind, name) = (generation.kind(), &*generation.name);
        if generation.is_object()
            && let Ok(before) = self.current(kind, name)
        {
            *locked(&generation.before) = Some(before);
            *locked(&generation.watch) = Some(Default::default());
        }
        locked(&self.inner.withdrawn).remove(&(kind, name.to_owned()));
        let info = generation.info();
        self.put(generation);
        info
    }
}
