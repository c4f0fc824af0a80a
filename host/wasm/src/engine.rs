//! The WebAssembly engine, and a thread that lets time pass in it.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use wasmtime::{Config, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

use crate::host::locked;
use crate::limits::MOST_MEMORY;

/// How often a component that computes is looked at, and gives way to others.
pub const TICK: Duration = Duration::from_millis(10);
/// How long it computes before it is looked at for the first time: many that begin at once would
/// otherwise keep everybody waiting for a tick each.
const FIRST: Duration = Duration::from_millis(2);
/// [`TICK`] in the time of the engine's clock, whose unit is [`FIRST`].
pub(crate) const TICK_UNITS: u64 = 5;
/// How often the clock looks whether its engine is still there while nothing is called.
const IDLE: Duration = Duration::from_secs(1);
/// Calls at one time, of all components. The pool holds more, so that it is never the limit.
pub(crate) const MOST_CALLS: usize = 64;

/// Start an engine and its clock, which ends with the engine.
///
/// Instances come from a pool where the address space allows it, which is about 35 GiB that are
/// reserved and not used. Where it does not, each instance has memory of its own: slower, and
/// everywhere possible.
pub(crate) fn start() -> Result<(Engine, Arc<Pulse>), wasmtime::Error> {
    let engine = Engine::new(&config(true)).or_else(|error| {
        tracing::warn!(
            error = %format!("{error:#}"),
            "no address space for a pool of component instances; each gets memory of its own"
        );
        Engine::new(&config(false))
    })?;
    let pulse = Arc::new(Pulse::default());
    tick(&engine, pulse.clone());
    Ok((engine, pulse))
}

/// What compiles for the engine and runs nothing: no pool, no clock, and one thread, so that limits
/// of the process hold for the work.
pub(crate) fn to_compile() -> Config {
    let mut config = config(false);
    config.parallel_compilation(false);
    config
}

fn config(pooled: bool) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // Our interfaces are synchronous. Calls on a plain fibre can be given up at any time by
        // dropping them, which is not so for the concurrent kind.
        .concurrency_support(false)
        .wasm_memory64(false)
        .cranelift_opt_level(OptLevel::Speed)
        .memory_reservation(MOST_MEMORY as u64)
        .memory_guard_size(64 << 10)
        .memory_init_cow(true)
        .async_stack_size(1 << 20)
        .max_wasm_stack(512 << 10);
    if pooled {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
    }
    config
}

/// One interpreter can take sixteen core instances and several memories.
fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(128)
        .total_core_instances(4096)
        .total_memories(256)
        .total_tables(2048)
        .table_elements(100_000)
        .max_memory_size(MOST_MEMORY)
        .total_stacks(128)
        .max_component_instance_size(10 << 20)
        .max_core_instance_size(10 << 20)
        .max_unused_warm_slots(16)
        .linear_memory_keep_resident(256 << 10);
    pool
}

/// How many calls are under way. The clock stands still while there is none.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    calls: Mutex<usize>,
    begun: Condvar,
}

/// A call that is under way until this is dropped.
pub(crate) struct Beat(Arc<Pulse>);

impl Pulse {
    pub(crate) fn begin(self: &Arc<Self>) -> Beat {
        let mut calls = locked(&self.calls);
        *calls += 1;
        if *calls == 1 {
            self.begun.notify_one();
        }
        Beat(self.clone())
    }

    /// Wait until a call is under way, and no longer than [`IDLE`].
    fn wait(&self) {
        let calls = locked(&self.calls);
        if *calls == 0 {
            // What comes of it, and why it ended, is seen at the next look.
            let _ = self.begun.wait_timeout(calls, IDLE);
        }
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        *locked(&self.0.calls) -= 1;
    }
}

/// A thread of the operating system, so that a busy executor cannot stop the clock. A tick that
/// comes late is one tick: catching up would only make components give way for nothing.
fn tick(engine: &Engine, pulse: Arc<Pulse>) {
    let engine = engine.weak();
    let thread = std::thread::Builder::new().name("component-clock".into());
    let started = thread.spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            pulse.wait();
            std::thread::sleep(FIRST);
        }
    });
    if let Err(error) = started {
        tracing::error!(%error, "no thread for the component clock; nothing stops endless loops");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_without_a_pool_is_possible() {
        Engine::new(&config(false)).unwrap();
    }
}
