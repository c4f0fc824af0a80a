//! A component on the component host of the controller, called for real, or with a recording in
//! the place of the network; everything that it asks of servers is listened to.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use jiff::Timestamp;
use sluice_port::Fault;
use sluice_port::http::{Egress, HttpError, HttpRequest, HttpResponse};
use sluice_wasm::{ComponentHost, Grants, HostConfig, Origin, PluginInfo, Private, Terms};

use crate::error::Error;

/// A component and what it is given.
pub struct Setting {
    /// Its file.
    pub component: PathBuf,
    /// The name by which it is called.
    pub name: String,
    /// What it may do.
    pub grants: Grants,
    /// What it may use without holding it, and the secrets that it may read.
    pub private: Private,
    /// What carries its requests.
    pub egress: Arc<dyn Egress>,
    /// The environment that it sees.
    pub variables: Vec<(String, String)>,
    /// Where compiled components are kept. Without it every start compiles anew.
    pub cache: Option<PathBuf>,
}

/// A component that can be called.
pub struct Live {
    host: ComponentHost,
    ear: Arc<Ear>,
    clock: Arc<AtomicU64>,
    name: String,
}

/// What time it is, as exactly as components and cases have it: in milliseconds.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

/// What came of a call.
pub struct Heard<T> {
    /// When it began. The clock of the component stands still meanwhile, so that a recording can
    /// be replayed at the same time of day.
    pub at: Timestamp,
    /// What it answered.
    pub answer: Result<T, Fault>,
    /// What it asked of servers, in order. What the grants denied was not asked.
    pub requests: Vec<Asked>,
    /// How many things were denied.
    pub denied: u64,
    /// How long it took.
    pub took: Duration,
}

/// A request and what became of it. It is as it left the host: credentials are in it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What was sent.
    pub request: HttpRequest,
    /// What came back.
    pub answer: Result<HttpResponse, HttpError>,
    /// How long it took.
    pub took: Duration,
}

impl Live {
    /// Loads a component.
    ///
    /// # Errors
    /// If it cannot be read, or the controller would refuse it.
    pub async fn new(setting: Setting) -> Result<Self, Error> {
        let path = setting.component;
        let bytes = std::fs::read(&path).map_err(Error::io("read", &path))?;
        let ear = Arc::new(Ear { inner: setting.egress, heard: Mutex::default() });
        let clock = Arc::new(AtomicU64::new(0));
        let hand = clock.clone();
        let mut config = HostConfig::new(ear.clone());
        config.cache_dir = setting.cache;
        config.clock = Some(Arc::new(move || {
            UNIX_EPOCH + Duration::from_millis(hand.load(Ordering::Relaxed))
        }));
        config.variables.insert(setting.name.clone(), setting.variables);
        let refused = |error| Error::Load { path: path.clone(), error };
        let host = ComponentHost::new(config).map_err(refused)?;
        let terms =
            Terms { grants: Some(setting.grants), private: setting.private, ..Terms::default() };
        let live = Self { host, ear, clock, name: setting.name };
        live.at(now());
        let origin = Origin::File(path.clone());
        live.host.install_on(&live.name, bytes, origin, terms).await.map_err(refused)?;
        Ok(live)
    }

    /// The name by which it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The component as it is installed; its totals are of all calls.
    pub fn info(&self) -> PluginInfo {
        // There is one, since `new` installed it and nothing takes it out.
        self.host.installed().swap_remove(0)
    }

    /// Makes a call at this time of day.
    pub async fn call<T>(
        &self,
        at: Timestamp,
        call: impl AsyncFnOnce(&ComponentHost) -> Result<T, Fault>,
    ) -> Heard<T> {
        self.at(at);
        self.ear.heard().clear();
        let denied = self.info().totals.denied;
        let began = Instant::now();
        let answer = call(&self.host).await;
        Heard {
            at,
            answer,
            took: began.elapsed(),
            requests: std::mem::take(&mut *self.ear.heard()),
            denied: self.info().totals.denied - denied,
        }
    }

    fn at(&self, at: Timestamp) {
        let millis = u64::try_from(at.as_millisecond()).unwrap_or_default();
        self.clock.store(millis, Ordering::Relaxed);
    }
}

/// What passes requests on and remembers them.
struct Ear {
    inner: Arc<dyn Egress>,
    heard: Mutex<Vec<Asked>>,
}

impl Ear {
    fn heard(&self) -> MutexGuard<'_, Vec<Asked>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Egress for Ear {
    fn send<'a>(
        &'a self,
        plugin: &'a str,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>> {
        Box::pin(async move {
            let began = Instant::now();
            let answer = self.inner.send(plugin, request.clone()).await;
            let took = began.elapsed();
            self.heard().push(Asked { request, answer: answer.clone(), took });
            answer
        })
    }
}
