//! When not to call a component: after it misbehaved too often.

use std::collections::VecDeque;
use std::time::Duration;

const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(300);
const IN_A_ROW: usize = 3;
const OF_LAST: (usize, usize) = (5, 20);
/// What callers are told while one call is on trial, and nobody knows how long it takes.
const ON_TRIAL: Duration = Duration::from_secs(1);

/// Opens after three misbehaviours in a row, or five of the last twenty calls; then one call is
/// let through after ten seconds, and after twice as long each time that one fails, up to five
/// minutes. Times are those since any fixed instant.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    recent: VecDeque<bool>,
    open: Option<Open>,
    /// How often it opened or closed: what a call says that began before that says nothing now.
    turns: u64,
}

#[derive(Debug)]
struct Open {
    until: Duration,
    wait: Duration,
    on_trial: bool,
}

/// The right to make one call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pass {
    turn: u64,
}

impl Breaker {
    /// Whether to call now; if not, for how much longer not.
    pub(crate) fn admit(&mut self, now: Duration) -> Result<Pass, Duration> {
        if let Some(open) = &mut self.open {
            if now < open.until {
                return Err(open.until - now);
            }
            if open.on_trial {
                return Err(ON_TRIAL);
            }
            open.on_trial = true;
        }
        Ok(Pass { turn: self.turns })
    }

    /// What became of a call.
    pub(crate) fn record(&mut self, pass: Pass, misbehaved: bool, now: Duration) {
        if pass.turn != self.turns {
            return;
        }
        let wait = match &self.open {
            Some(_) if !misbehaved => {
                self.recent.clear();
                self.open = None;
                self.turns += 1;
                return;
            }
            Some(open) => (open.wait * 2).min(LONGEST),
            None => {
                if !self.too_often(misbehaved) {
                    return;
                }
                FIRST
            }
        };
        self.open = Some(Open { until: now + wait, wait, on_trial: false });
        self.turns += 1;
    }

    /// The call was given up, so it says nothing, and another one may be the trial.
    pub(crate) fn give_up(&mut self, pass: Pass) {
        if pass.turn == self.turns
            && let Some(open) = &mut self.open
        {
            open.on_trial = false;
        }
    }

    /// Whether calls are refused, or on trial.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    fn too_often(&mut self, misbehaved: bool) -> bool {
        self.recent.push_back(misbehaved);
        if self.recent.len() > OF_LAST.1 {
            self.recent.pop_front();
        }
        let row = self.recent.iter().rev().take_while(|bad| **bad).count();
        let all = self.recent.iter().filter(|bad| **bad).count();
        row >= IN_A_ROW || all >= OF_LAST.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::ZERO;

    fn call(breaker: &mut Breaker, misbehaves: bool, now: Duration) {
        let pass = breaker.admit(now).expect("it is called");
        breaker.record(pass, misbehaves, now);
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        (0..3).for_each(|_| call(&mut breaker, true, START));
        breaker
    }

    #[test]
    fn three_in_a_row_open_it_and_one_good_call_closes_it() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(START), Err(FIRST));
        let trial = breaker.admit(FIRST).unwrap();
        assert_eq!(breaker.admit(FIRST), Err(ON_TRIAL), "only one call is let through");
        breaker.record(trial, false, FIRST);
        assert!(!breaker.is_open());
        call(&mut breaker, true, FIRST);
        assert!(!breaker.is_open(), "what was before is forgotten");
    }

    #[test]
    fn it_waits_twice_as_long_each_time_and_never_longer_than_five_minutes() {
        let mut breaker = opened();
        let mut now = START;
        let mut waits = Vec::new();
        for _ in 0..7 {
            let wait = breaker.admit(now).unwrap_err();
            waits.push(wait.as_secs());
            now += wait;
            call(&mut breaker, true, now);
        }
        assert_eq!(waits, [10, 20, 40, 80, 160, 300, 300]);
    }

    #[test]
    fn five_of_twenty_open_it() {
        let mut breaker = Breaker::default();
        (0..12).for_each(|number| call(&mut breaker, number % 3 == 0, START));
        assert!(!breaker.is_open());
        call(&mut breaker, true, START);
        assert!(breaker.is_open());
    }

    #[test]
    fn calls_that_began_before_it_opened_do_not_count_again() {
        let mut breaker = Breaker::default();
        let passes: Vec<_> = (0..8).map(|_| breaker.admit(START).unwrap()).collect();
        for pass in passes {
            breaker.record(pass, true, START);
        }
        assert_eq!(breaker.admit(START), Err(FIRST));
    }

    #[test]
    fn a_trial_that_is_given_up_leaves_room_for_another() {
        let mut breaker = opened();
        let trial = breaker.admit(FIRST).unwrap();
        breaker.give_up(trial);
        assert!(breaker.admit(FIRST).is_ok());
    }
}
