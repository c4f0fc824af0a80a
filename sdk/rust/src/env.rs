//! Environment variables that the host shows to this plugin: as a rule none, and never its own.

use crate::host;

/// The value of a variable; `None` if the host does not show it.
pub fn var(name: &str) -> Option<String> {
    host::variable(name)
}
