//! What one call has: its limits, what it used of them, and the way out.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use sluice_port::http::{Egress, HttpError, HttpRequest};
use wasmtime::ResourceLimiter;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{HostWallClock, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use crate::bindings::host::sluice::host::{http, kubernetes, log, secrets};
use crate::bindings::host::sluice::plugin::types;
use crate::limits::Limits;

/// What time it is for components.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// The data of one call's store.
pub struct Ctx {
    wasi: WasiCtx,
    table: ResourceTable,
    plugin: Arc<str>,
    egress: Arc<dyn Egress>,
    limits: Limits,
    ends: Instant,
    http_calls: u32,
    log_lines: u32,
    /// Bytes of memory that were asked for and refused.
    refused: bool,
    /// The most bytes of memory that were in use.
    pub(crate) peak: usize,
    /// Ticks of the clock that passed while the component computed.
    pub(crate) ticks: u32,
    /// Requests that were denied.
    pub(crate) denied: u32,
}

struct Wall(Clock);

impl HostWallClock for Wall {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        (self.0)().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }
}

impl Ctx {
    pub(crate) fn new(
        plugin: Arc<str>,
        egress: Arc<dyn Egress>,
        clock: Option<&Clock>,
        limits: Limits,
    ) -> Self {
        let mut wasi = WasiCtxBuilder::new();
        wasi.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false).max_random_size(64 << 10);
        if let Some(clock) = clock {
            wasi.wall_clock(Wall(clock.clone()));
        }
        let mut table = ResourceTable::new();
        table.set_max_capacity(1000);
        Self {
            wasi: wasi.build(),
            table,
            plugin,
            egress,
            limits,
            ends: Instant::now() + limits.wall,
            http_calls: 0,
            log_lines: 0,
            refused: false,
            peak: 0,
            ticks: 0,
            denied: 0,
        }
    }

    pub(crate) fn memory_refused(&self) -> bool {
        self.refused
    }

    pub(crate) fn cpu_used_up(&self) -> bool {
        crate::engine::TICK * self.ticks > self.limits.cpu
    }
}

impl WasiView for Ctx {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl ResourceLimiter for Ctx {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let allowed = desired <= self.limits.memory;
        self.refused |= !allowed;
        if allowed {
            self.peak = self.peak.max(desired);
        }
        Ok(allowed)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= 100_000)
    }
}

impl types::Host for Ctx {}

impl http::Host for Ctx {
    async fn send(&mut self, request: http::Request) -> Result<http::Response, http::HttpError> {
        if self.limits.http_calls == 0 {
            self.denied += 1;
            return Err(http::HttpError::NotGranted(
                "no network while a configuration is checked".into(),
            ));
        }
        if self.http_calls >= self.limits.http_calls {
            self.denied += 1;
            let most = self.limits.http_calls;
            return Err(http::HttpError::NotGranted(format!("more than {most} requests in one call")));
        }
        self.http_calls += 1;
        let body = request.body.as_ref().map_or(0, Vec::len);
        if body > self.limits.body_out {
            let most = self.limits.body_out;
            return Err(http::HttpError::InvalidRequest(format!("a body of more than {most} bytes")));
        }
        let left = self.ends.saturating_duration_since(Instant::now());
        let left = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        let asked = request.timeout_ms.map_or(left, u64::from);
        let request = HttpRequest {
            method: request.method,
            url: request.url,
            headers: request.headers,
            body: request.body,
            timeout_ms: asked.min(left),
            max_body: self.limits.body_in,
            insecure: request.insecure,
        };
        let answer = self.egress.send(&self.plugin, request).await;
        let answer = answer.map_err(|error| {
            self.denied += u32::from(matches!(error, HttpError::NotGranted(_)));
            http_error(error)
        })?;
        Ok(http::Response { status: answer.status, headers: answer.headers, body: answer.body })
    }
}

fn http_error(error: HttpError) -> http::HttpError {
    match error {
        HttpError::NotGranted(text) => http::HttpError::NotGranted(text),
        HttpError::InvalidRequest(text) => http::HttpError::InvalidRequest(text),
        HttpError::Timeout => http::HttpError::Timeout,
        HttpError::Connect(text) => http::HttpError::Connect(text),
        HttpError::TooLarge(bytes) => http::HttpError::TooLarge(bytes),
        HttpError::Other(text) => http::HttpError::Other(text),
    }
}

impl secrets::Host for Ctx {
    async fn get(&mut self, alias: String) -> Result<Vec<u8>, secrets::SecretError> {
        self.denied += 1;
        Err(secrets::SecretError::NotGranted(format!("no secret is granted as '{alias}'")))
    }
}

/// What a plugin without any grant for objects is told.
fn no_objects(verb: &str, target: &str) -> kubernetes::KubeError {
    kubernetes::KubeError::NotGranted(format!("no grant to {verb} {target}"))
}

impl kubernetes::Host for Ctx {
    async fn get(
        &mut self,
        target: types::ObjectRef,
        _fields: Vec<String>,
    ) -> Result<String, kubernetes::KubeError> {
        self.denied += 1;
        Err(no_objects("get", &target.kind))
    }

    async fn find(
        &mut self,
        target: types::ObjectRef,
        _options: kubernetes::ListOptions,
    ) -> Result<Vec<String>, kubernetes::KubeError> {
        self.denied += 1;
        Err(no_objects("find", &target.kind))
    }

    async fn apply(
        &mut self,
        _object: String,
        _force: bool,
    ) -> Result<String, kubernetes::KubeError> {
        self.denied += 1;
        Err(no_objects("apply", "objects"))
    }

    async fn patch(
        &mut self,
        target: types::ObjectRef,
        _kind: kubernetes::PatchType,
        _body: String,
    ) -> Result<String, kubernetes::KubeError> {
        self.denied += 1;
        Err(no_objects("patch", &target.kind))
    }

    async fn remove(&mut self, target: types::ObjectRef) -> Result<(), kubernetes::KubeError> {
        self.denied += 1;
        Err(no_objects("remove", &target.kind))
    }
}

impl log::Host for Ctx {
    async fn enabled(&mut self, level: log::Level) -> bool {
        // A component has no business with the controller's filter beyond this.
        !matches!(level, log::Level::Trace) && self.log_lines < self.limits.log_lines
    }

    async fn write(&mut self, level: log::Level, message: String, fields: Vec<(String, String)>) {
        if self.log_lines >= self.limits.log_lines {
            return;
        }
        self.log_lines += 1;
        let plugin = &*self.plugin;
        let message: String = message.chars().take(4096).collect();
        let fields: Vec<_> =
            fields.iter().take(16).map(|(key, value)| format!("{key}={value:.256}")).collect();
        let fields = fields.join(" ");
        match level {
            log::Level::Trace => tracing::trace!(plugin, fields, "{message}"),
            log::Level::Debug => tracing::debug!(plugin, fields, "{message}"),
            log::Level::Info => tracing::info!(plugin, fields, "{message}"),
            log::Level::Warn => tracing::warn!(plugin, fields, "{message}"),
            log::Level::Error => tracing::error!(plugin, fields, "{message}"),
        }
    }
}
