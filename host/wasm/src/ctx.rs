//! What one call has: its limits, what it used of them, and what the host does for it.

use std::sync::Arc;

use sluice_port::http::Egress;
use wasmtime::ResourceLimiter;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use crate::bindings::host::sluice::plugin::types;
use crate::clock::Time;
use crate::grants::Grants;
use crate::host_log::Log;
use crate::limits::{Limits, MOST_MEMORY};
use crate::meter::Meter;
use crate::outgoing::{Bound, Outgoing};
use crate::private::Private;
use crate::trace::Trace;
use crate::turns::Seat;
use crate::wasi_http::Side;

/// The most elements of a table, which is where a component keeps function pointers.
const MOST_ELEMENTS: usize = 100_000;
/// The most resources, such as streams, that a component has at a time.
pub(crate) const MOST_RESOURCES: usize = 1_000;
const MOST_RANDOM: u64 = 64 << 10;

/// The data of one call's store.
pub(crate) struct Ctx {
    wasi: WasiCtx,
    pub(crate) table: ResourceTable,
    pub(crate) wasi_http: Side,
    pub(crate) grants: Arc<Grants>,
    pub(crate) private: Arc<Private>,
    pub(crate) outgoing: Outgoing,
    pub(crate) limits: Limits,
    pub(crate) log: Log,
    pub(crate) meter: Meter,
    pub(crate) seat: Seat,
    /// Host calls that were denied, requests not included: the way out counts those.
    pub(crate) denied: u32,
    /// Set when the call was stopped for computing too long.
    pub(crate) cpu_exceeded: bool,
    /// Set when the component was refused memory.
    pub(crate) memory_refused: bool,
    /// The most bytes of memory that were in use.
    pub(crate) memory_peak: usize,
    memory: usize,
    growing: usize,
}

/// What a store is made from, besides its limits.
pub(crate) struct Surroundings<'a> {
    pub(crate) plugin: Arc<str>,
    pub(crate) egress: Arc<dyn Egress>,
    pub(crate) grants: Arc<Grants>,
    pub(crate) private: Arc<Private>,
    /// What requests say of the trace that they are part of.
    pub(crate) trace: Option<Trace>,
    pub(crate) time: &'a Time,
    /// Environment variables that it sees: none of the process's own.
    pub(crate) variables: &'a [(String, String)],
}

impl Ctx {
    pub(crate) fn new(around: Surroundings<'_>, limits: Limits) -> Self {
        let log = Log::new(around.plugin.clone(), limits);
        let mut wasi = WasiCtxBuilder::new();
        wasi.allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .max_random_size(MOST_RANDOM)
            .stdout(log.stdout())
            .stderr(log.stderr())
            .envs(around.variables);
        around.time.link(&mut wasi);
        let mut table = ResourceTable::new();
        table.set_max_capacity(MOST_RESOURCES);
        let bound = Bound {
            plugin: around.plugin,
            egress: around.egress,
            grants: around.grants.clone(),
            private: around.private.clone(),
            trace: around.trace,
            limits,
        };
        Self {
            wasi: wasi.build(),
            table,
            wasi_http: Side::new(limits),
            grants: around.grants,
            private: around.private,
            outgoing: Outgoing::new(bound),
            limits,
            log,
            meter: Meter::default(),
            seat: Seat::default(),
            denied: 0,
            cpu_exceeded: false,
            memory_refused: false,
            memory_peak: 0,
            memory: 0,
            growing: 0,
        }
    }
}

impl WasiView for Ctx {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl types::Host for Ctx {}

/// The limit holds for all memories together: interpreters bring several.
impl ResourceLimiter for Ctx {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        let most = self.limits.memory.min(MOST_MEMORY);
        if self.memory.saturating_add(more) > most {
            self.memory_refused = true;
            return Ok(false);
        }
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.growing = more;
        self.memory += more;
        self.memory_peak = self.memory_peak.max(self.memory);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory -= std::mem::take(&mut self.growing);
        Ok(())
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= MOST_ELEMENTS)
    }
}
