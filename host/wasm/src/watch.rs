//! The first calls of a component that took another's place: if it misbehaves there, the other one
//! comes back.

/// How many calls are watched.
const WATCHED: u32 = 20;
/// How many of them may misbehave, and one less.
const TOO_MANY: u32 = 3;

/// What was seen of a component so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Watch {
    calls: u32,
    faults: u32,
}

/// What one more call means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Too early to say.
    Watched,
    /// It misbehaved too often among its first calls.
    Failed {
        /// How many calls there were.
        calls: u32,
        /// In how many it misbehaved.
        faults: u32,
    },
    /// It is as good as any other.
    Proven,
}

impl Watch {
    /// One more call ended.
    pub(crate) fn record(&mut self, misbehaved: bool) -> Standing {
        if self.calls >= WATCHED {
            return Standing::Proven;
        }
        self.calls += 1;
        self.faults += u32::from(misbehaved);
        if self.faults >= TOO_MANY {
            let Self { calls, faults } = *self;
            // Said once: what ends after this was under way before.
            self.calls = WATCHED;
            return Standing::Failed { calls, faults };
        }
        if self.calls == WATCHED { Standing::Proven } else { Standing::Watched }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standings(faults: impl Fn(u32) -> bool) -> Vec<Standing> {
        let mut watch = Watch::default();
        (1..=25).map(|call| watch.record(faults(call))).collect()
    }

    #[test]
    fn three_of_the_first_twenty_are_too_many_wherever_they_are() {
        let seen = standings(|call| [1, 10, 20].contains(&call));
        assert_eq!(seen[18], Standing::Watched);
        assert_eq!(seen[19], Standing::Failed { calls: 20, faults: 3 });
        assert_eq!(standings(|_| true)[2], Standing::Failed { calls: 3, faults: 3 });
    }

    #[test]
    fn what_comes_later_is_for_the_breaker() {
        let seen = standings(|call| [1, 2, 21, 22].contains(&call));
        assert_eq!(
            seen[18..],
            [Standing::Watched; 1].into_iter().chain([Standing::Proven; 6]).collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_failure_is_told_once() {
        let failed = |standing: &Standing| matches!(standing, Standing::Failed { .. });
        assert_eq!(standings(|_| true).iter().filter(|standing| failed(standing)).count(), 1);
    }
}
