//! What time it is: the system's, or one that somebody else keeps.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtxBuilder};

/// A source of time, such as a simulator's.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// The host's time. Components see the same, so that what they ask a server about agrees with
/// what the controller believes.
#[derive(Clone)]
pub(crate) struct Time {
    clock: Option<Clock>,
    started: Instant,
    started_at: SystemTime,
}

impl Time {
    pub(crate) fn new(clock: Option<Clock>) -> Self {
        let started_at = clock.as_ref().map_or_else(SystemTime::now, |clock| clock());
        Self { clock, started: Instant::now(), started_at }
    }

    /// How long the host has been there. A clock that somebody sets back stands still.
    pub(crate) fn elapsed(&self) -> Duration {
        match &self.clock {
            Some(clock) => clock().duration_since(self.started_at).unwrap_or_default(),
            None => self.started.elapsed(),
        }
    }

    /// Give a component this time, unless it is the system's, which it has anyway.
    pub(crate) fn link(&self, wasi: &mut WasiCtxBuilder) {
        if let Some(clock) = &self.clock {
            wasi.wall_clock(Wall(clock.clone())).monotonic_clock(Monotonic(self.clone()));
        }
    }
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

struct Monotonic(Time);

impl HostMonotonicClock for Monotonic {
    fn resolution(&self) -> u64 {
        1_000_000
    }

    /// Never zero: Go takes that for a clock that does not work, and stops the program.
    fn now(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX).saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_stands_still_is_not_at_zero() {
        let time = Time::new(Some(Arc::new(|| SystemTime::UNIX_EPOCH)));
        assert_eq!(time.elapsed(), Duration::ZERO);
        assert_eq!(Monotonic(time).now(), 1);
    }
}
