//! The time of the host.

use crate::host;

/// Milliseconds since the Unix epoch.
pub fn now_ms() -> i64 {
    host::now_ms()
}
