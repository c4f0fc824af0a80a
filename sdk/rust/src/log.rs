//! Log lines, which the host ties to the plugin and to the rollout or run at hand.

use crate::host;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Every detail.
    Trace,
    /// For whoever looks for a mistake.
    Debug,
    /// What happened.
    Info,
    /// Something is off, and work goes on.
    Warn,
    /// Something failed.
    Error,
}

/// False if a line of this level would be dropped, so that it need not be built.
pub fn enabled(level: Level) -> bool {
    host::enabled(level)
}

/// Writes a line with fields, which are pairs of name and value.
pub fn write(level: Level, message: &str, fields: &[(&str, &str)]) {
    host::write(level, message, fields);
}

/// Writes a line for whoever looks for a mistake.
pub fn debug(message: &str) {
    write(Level::Debug, message, &[]);
}

/// Writes a line about what happened.
pub fn info(message: &str) {
    write(Level::Info, message, &[]);
}

/// Writes a line about something that is off.
pub fn warn(message: &str) {
    write(Level::Warn, message, &[]);
}

/// Writes a line about something that failed.
pub fn error(message: &str) {
    write(Level::Error, message, &[]);
}
