//! When not to call a component: after it misbehaved too often.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(300);
const IN_A_ROW: usize = 3;
const OF_LAST: (usize, usize) = (5, 20);

/// Opens after three misbehaviours in a row or five of the last twenty calls; then one call is
/// let through after ten seconds, and twice as long after each that fails again.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    recent: VecDeque<bool>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    until: Instant,
    wait: Duration,
    trying: bool,
}

impl Breaker {
    /// Whether to call now; if not, for how much longer not.
    pub(crate) fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if now < open.until {
            return Err(open.until - now);
        }
        if open.trying {
            return Err(Duration::from_millis(100));
        }
        open.trying = true;
        Ok(())
    }

    /// What became of a call.
    pub(crate) fn record(&mut self, misbehaved: bool, now: Instant) {
        if let Some(open) = &self.open {
            if misbehaved {
                let wait = (open.wait * 2).min(LONGEST);
                self.open = Some(Open { until: now + wait, wait, trying: false });
            } else {
                self.open = None;
                self.recent.clear();
            }
            return;
        }
        self.recent.push_back(misbehaved);
        if self.recent.len() > OF_LAST.1 {
            self.recent.pop_front();
        }
        let row = self.recent.iter().rev().take_while(|bad| **bad).count();
        let all = self.recent.iter().filter(|bad| **bad).count();
        if row >= IN_A_ROW || all >= OF_LAST.0 {
            self.open = Some(Open { until: now + FIRST, wait: FIRST, trying: false });
        }
    }

    /// Whether calls are refused at present.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_in_a_row_open_it_and_one_good_call_closes_it() {
        let mut breaker = Breaker::default();
        let start = Instant::now();
        for _ in 0..3 {
            assert!(breaker.admit(start).is_ok());
            breaker.record(true, start);
        }
        assert_eq!(breaker.admit(start), Err(FIRST));
        let later = start + FIRST;
        assert!(breaker.admit(later).is_ok());
        assert!(breaker.admit(later).is_err(), "only one call is let through");
        breaker.record(false, later);
        assert!(breaker.admit(later).is_ok());
    }

    #[test]
    fn it_waits_twice_as_long_each_time_and_never_longer_than_five_minutes() {
        let mut breaker = Breaker::default();
        let mut now = Instant::now();
        (0..3).for_each(|_| breaker.record(true, now));
        let mut waits = Vec::new();
        for _ in 0..7 {
            let wait = breaker.admit(now).unwrap_err();
            waits.push(wait.as_secs());
            now += wait;
            breaker.admit(now).unwrap();
            breaker.record(true, now);
        }
        assert_eq!(waits, [10, 20, 40, 80, 160, 300, 300]);
    }

    #[test]
    fn five_of_twenty_open_it() {
        let mut breaker = Breaker::default();
        let now = Instant::now();
        for call in 0..13 {
            breaker.record(call % 3 == 0, now);
        }
        assert!(breaker.is_open());
    }
}
