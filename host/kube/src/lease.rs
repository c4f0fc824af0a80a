//! Who leads: one Lease, held by one process at a time.
//!
//! A foreign lease counts as held until it has not changed for its duration by *our* clock, so
//! that clocks of different machines need not agree. Our own counts as held for ten seconds after
//! the last renewal that began, which is less than the fifteen for which others respect it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Client;
use kube::api::{Api, PostParams};
use tokio::time::Instant;

use crate::error::ApiError;

/// For how long others respect a lease that is not renewed.
pub const DURATION: Duration = Duration::from_secs(15);
/// For how long the holder tries to renew before it gives up.
pub const RENEW_LIMIT: Duration = Duration::from_secs(10);
/// How long between two attempts.
pub const RETRY: Duration = Duration::from_secs(2);
const NAME: &str = "argo-rollouts-controller-lock";

/// For how long this process may write. Clones share it.
#[derive(Clone, Debug)]
pub struct Term(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    start: Instant,
    /// Milliseconds after `start`.
    ends: AtomicU64,
}

impl Term {
    /// A term that has not begun.
    pub fn none() -> Self {
        Self(Arc::new(Inner { start: Instant::now(), ends: AtomicU64::new(0) }))
    }

    /// Whether this process may write now. A process that was stopped for a while learns here
    /// that its time is over, before it learns it from the API server.
    pub fn holds(&self) -> bool {
        self.0.start.elapsed() < Duration::from_millis(self.0.ends.load(Ordering::Acquire))
    }

    /// Let the term have no end: nobody else leads.
    pub fn forever(&self) {
        self.0.ends.store(u64::MAX, Ordering::Release);
    }

    fn until(&self, end: Instant) {
        let ends = end.saturating_duration_since(self.0.start).as_millis();
        self.0.ends.store(u64::try_from(ends).unwrap_or(u64::MAX), Ordering::Release);
    }

    fn end(&self) {
        self.0.ends.store(0, Ordering::Release);
    }
}

/// This process's place in the election.
pub struct Candidate {
    api: Api<Lease>,
    name: String,
    /// Who we are, to others.
    pub identity: String,
    term: Term,
    /// The foreign lease as it was seen last, and since when.
    seen: Option<(LeaseSpec, Instant)>,
    /// Our own lease as it was written last, so that a renewal need not read it first.
    held: Option<Lease>,
}

impl Candidate {
    /// A candidate for the lease of `instance` in `namespace`; an empty `instance` is the default.
    pub fn new(client: Client, namespace: &str, instance: &str, term: Term) -> Self {
        let name = if instance.is_empty() { NAME.to_owned() } else { format!("{NAME}-{instance}") };
        let api = Api::namespaced(client, namespace);
        Self { api, name, identity: identity(), term, seen: None, held: None }
    }

    /// Try until this process leads.
    pub async fn acquire(&mut self) {
        let mut trouble = String::new();
        loop {
            match self.attempt().await {
                Ok(true) => return,
                Ok(false) => trouble.clear(),
                Err(error) => {
                    let text = error.to_string();
                    if text != trouble {
                        tracing::warn!(lease = %self.name, error = %text, "cannot take the lease");
                        trouble = text;
                    }
                }
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Renew until that is no longer possible, and say why.
    pub async fn keep(&mut self) -> String {
        let mut renewed = Instant::now();
        let mut trouble = String::new();
        loop {
            tokio::time::sleep(RETRY).await;
            let began = Instant::now();
            let left = RENEW_LIMIT.saturating_sub(renewed.elapsed());
            let attempt = tokio::time::timeout(left, self.attempt());
            match attempt.await {
                Ok(Ok(true)) => renewed = began,
                Ok(Ok(false)) => {
                    self.term.end();
                    return "another process holds it".to_owned();
                }
                Ok(Err(error)) => trouble = error.to_string(),
                Err(_) => trouble.push_str(" no answer in time"),
            }
            if renewed.elapsed() >= RENEW_LIMIT {
                self.term.end();
                return format!("it could not be renewed for 10 s: {}", trouble.trim());
            }
        }
    }

    /// Give the lease back, so that the next process need not wait.
    pub async fn release(&mut self) {
        self.term.end();
        match self.give_back().await {
            Ok(()) => tracing::info!(lease = %self.name, "released the lease"),
            // It was never ours.
            Err(ApiError::NotLeading) => {}
            Err(error) => tracing::warn!(lease = %self.name, %error, "cannot release the lease"),
        }
    }

    async fn give_back(&self) -> Result<(), ApiError> {
        let mut lease = self.get().await?.ok_or(ApiError::NotLeading)?;
        let mut spec = lease.spec.take().unwrap_or_default();
        if spec.holder_identity.as_deref() != Some(&self.identity) {
            return Err(ApiError::NotLeading);
        }
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        lease.spec = Some(spec);
        self.replace(&lease).await.map(drop)
    }

    /// Take or renew the lease if it is free, ours or over; answers whether it is ours now.
    async fn attempt(&mut self) -> Result<bool, ApiError> {
        let began = Instant::now();
        // The server refuses a version that is not the newest, so what is remembered of a lease
        // can be out of date and does no harm.
        let known = match self.held.take() {
            Some(lease) => Some(lease),
            None => self.get().await?,
        };
        let written = match known {
            None => self.create().await,
            Some(lease) => {
                let spec = lease.spec.clone().unwrap_or_default();
                if self.foreign(&spec) {
                    return Ok(false);
                }
                self.replace(&Lease { spec: Some(self.ours(&spec)), ..lease }).await
            }
        };
        match written {
            Ok(lease) => {
                self.held = Some(lease);
                self.term.until(began + RENEW_LIMIT);
                Ok(true)
            }
            // Somebody was faster, or removed it. Who, the next attempt tells.
            Err(ApiError::Conflict(_) | ApiError::Taken(_) | ApiError::Missing(_)) => {
                Ok(self.term.holds())
            }
            Err(error) => Err(error),
        }
    }

    /// Whether another process holds the lease, as far as can be known.
    fn foreign(&mut self, spec: &LeaseSpec) -> bool {
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        if holder.is_empty() || holder == self.identity {
            return false;
        }
        let since = match &self.seen {
            Some((seen, since)) if seen == spec => *since,
            _ => {
                let now = Instant::now();
                self.seen = Some((spec.clone(), now));
                now
            }
        };
        let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        since.elapsed() < seconds.map_or(DURATION, Duration::from_secs)
    }

    fn ours(&self, before: &LeaseSpec) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let mine = before.holder_identity.as_deref() == Some(&self.identity);
        let transitions = before.lease_transitions.unwrap_or_default();
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: before.acquire_time.clone().filter(|_| mine).or(Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(if mine { transitions } else { transitions.saturating_add(1) }),
            ..before.clone()
        }
    }

    async fn get(&self) -> Result<Option<Lease>, ApiError> {
        self.api.get_opt(&self.name).await.map_err(|error| self.error(error))
    }

    async fn create(&self) -> Result<Lease, ApiError> {
        let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
        let fresh = LeaseSpec { lease_transitions: Some(-1), ..LeaseSpec::default() };
        let lease = Lease { metadata, spec: Some(self.ours(&fresh)) };
        let created = self.api.create(&PostParams::default(), &lease).await;
        created.map_err(|error| self.error(error))
    }

    async fn replace(&self, lease: &Lease) -> Result<Lease, ApiError> {
        let replaced = self.api.replace(&self.name, &PostParams::default(), lease).await;
        replaced.map_err(|error| self.error(error))
    }

    fn error(&self, error: kube::Error) -> ApiError {
        ApiError::of(&format!("Lease {}", self.name), error)
    }
}

/// `<hostname>_<uuid>`, new for each process.
fn identity() -> String {
    let read = |path| std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    let host = std::env::var("HOSTNAME").ok().filter(|name| !name.is_empty());
    let host = host.or_else(|| read("/proc/sys/kernel/hostname")).unwrap_or_default();
    let unique = read("/proc/sys/kernel/random/uuid")
        .unwrap_or_else(|| format!("{}-{}", std::process::id(), Timestamp::now().as_nanosecond()));
    format!("{host}_{unique}")
}
