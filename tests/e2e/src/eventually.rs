//! Waiting for a condition.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

/// How often a condition is tried.
const PAUSE: Duration = Duration::from_millis(100);

/// Tries `probe` until it succeeds, for at most `limit`, and returns what it
/// found.
///
/// An error of `probe` means "not yet", whatever its cause, and should say what
/// was seen: the last one is part of the failure.
///
/// # Errors
///
/// When `limit` has passed, with `what` was awaited and what was seen last.
pub async fn eventually<T>(
    what: &str,
    limit: Duration,
    mut probe: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        match probe().await {
            Ok(found) => return Ok(found),
            Err(seen) if Instant::now() >= deadline => {
                return Err(anyhow!("waited {limit:?} for {what}; last seen: {seen:#}"));
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
