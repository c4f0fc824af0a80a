//! `wasi:logging`: what runtimes of some languages write their lines to. They go where those of
//! `sluice:host/log` go, and count towards the same limits.

use tracing::Level;
use wasmtime::component::{HasSelf, Linker};

use crate::bindings::logging::wasi::logging::logging;
use crate::ctx::Ctx;

pub(crate) fn add_to_linker(linker: &mut Linker<Ctx>) -> wasmtime::Result<()> {
    logging::add_to_linker::<_, HasSelf<_>>(linker, |ctx: &mut Ctx| ctx)
}

impl logging::Host for Ctx {
    fn log(&mut self, level: logging::Level, context: String, message: String) {
        let level = match level {
            logging::Level::Trace => Level::TRACE,
            logging::Level::Debug => Level::DEBUG,
            logging::Level::Info => Level::INFO,
            logging::Level::Warn => Level::WARN,
            logging::Level::Error | logging::Level::Critical => Level::ERROR,
        };
        let fields = match context.is_empty() {
            true => Vec::new(),
            false => vec![("context".to_owned(), context)],
        };
        self.log.told(level, &message, &fields);
    }
}
