//! Log lines of components, gathered to be shown beside the call that they belong to.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// What the component host calls them.
const TARGET: &str = "sluice::plugin";

/// The lines since they were last taken.
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    /// All lines, which are gone then.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Gather from now on. What else would log in this process is quiet, since the command itself
/// tells what happens.
pub fn listen() -> Lines {
    let lines = Lines::default();
    let only = Targets::new().with_target(TARGET, Level::DEBUG);
    // Somebody else may listen already, as in tests; then there are no lines to show.
    let _ = tracing_subscriber::registry().with(lines.clone().with_filter(only)).try_init();
    lines
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut said = Said::default();
        event.record(&mut said);
        let level = event.metadata().level().as_str().to_lowercase();
        let line = format!("{level}: {}{}", said.message, said.fields);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

#[derive(Default)]
struct Said {
    message: String,
    fields: String,
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            // Writing to a text does not fail.
            let _ = write!(self.message, "{value:?}");
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message.push_str(value),
            "fields" if !value.is_empty() => self.fields = format!(" ({value})"),
            _ => {}
        }
    }
}
