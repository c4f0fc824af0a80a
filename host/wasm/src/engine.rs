//! The WebAssembly engine: one per process, and a thread that lets time pass in it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// How often components that compute are looked at.
pub const TICK: Duration = Duration::from_millis(10);
/// Calls at one time, in the whole process. The pool holds more, so that it is never the limit.
pub const MOST_CALLS: usize = 64;
const MEMORY: usize = 128 << 20;

/// The engine, kept alive by whoever holds it; its thread ends with it.
#[derive(Clone, Debug)]
pub struct Clockwork {
    engine: Arc<Engine>,
}

impl Clockwork {
    /// Start an engine. Instances come from a pool where the address space allows it; where not,
    /// each has memory of its own, which is slower and works everywhere.
    pub fn start() -> Result<Self, wasmtime::Error> {
        let engine = match Engine::new(&config(true)) {
            Ok(engine) => engine,
            Err(error) => {
                tracing::info!(%error, "no pool of instances; each gets memory of its own");
                Engine::new(&config(false))?
            }
        };
        let engine = Arc::new(engine);
        tick(Arc::downgrade(&engine));
        Ok(Self { engine })
    }

    /// The engine itself.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }
}

fn config(pooled: bool) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .concurrency_support(false)
        .wasm_memory64(false)
        .memory_reservation(MEMORY as u64)
        .memory_guard_size(64 << 10)
        .memory_init_cow(true)
        .async_stack_size(1 << 20)
        .max_wasm_stack(512 << 10);
    if pooled {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(128)
            .total_core_instances(2048)
            .total_memories(128)
            .total_tables(1024)
            .table_elements(100_000)
            .max_memory_size(MEMORY)
            .total_stacks(128)
            .max_component_instance_size(10 << 20)
            .max_core_instance_size(10 << 20)
            .max_unused_warm_slots(16)
            .linear_memory_keep_resident(256 << 10);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    config
}

/// A thread of the operating system, so that a busy executor cannot stop the clock. A tick that
/// comes late is one tick: catching up would end calls that did nothing wrong.
fn tick(engine: Weak<Engine>) {
    let thread = std::thread::Builder::new().name("component-clock".into());
    let started = thread.spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    });
    if let Err(error) = started {
        tracing::error!(%error, "cannot start the clock; calls are bounded by their wall limit only");
    }
}
