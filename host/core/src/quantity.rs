//! Pods and shares of traffic, with rounding in one place.

use std::fmt;
use std::num::NonZeroU32;

/// A number of pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pods(pub u32);

impl Pods {
    /// No pods.
    pub const ZERO: Self = Self(0);

    /// The difference, never below zero.
    pub fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The sum, never above the largest number.
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl std::iter::Sum for Pods {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, Self::plus)
    }
}

impl fmt::Display for Pods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A part of the traffic: `parts` out of `whole`, never more than all of it.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    parts: u32,
    whole: NonZeroU32,
}

impl Share {
    /// Nothing.
    pub const NONE: Self = Self { parts: 0, whole: NonZeroU32::MIN };
    /// Everything.
    pub const ALL: Self = Self { parts: 1, whole: NonZeroU32::MIN };

    /// `None` if `whole` is zero or `parts` is more than `whole`.
    pub fn new(parts: u32, whole: u32) -> Option<Self> {
        let whole = NonZeroU32::new(whole)?;
        (parts <= whole.get()).then_some(Self { parts, whole })
    }

    /// Like [`Share::new`], but takes too much for everything.
    pub fn clamped(parts: u32, whole: NonZeroU32) -> Self {
        Self { parts: parts.min(whole.get()), whole }
    }

    /// The pods that carry this share of a fleet, rounded up.
    pub fn of(self, fleet: Pods) -> Pods {
        let exact = u64::from(self.parts) * u64::from(fleet.0);
        Pods(u32::try_from(exact.div_ceil(u64::from(self.whole.get()))).unwrap_or(fleet.0))
    }

    /// What is left.
    pub fn rest(self) -> Self {
        Self { parts: self.whole.get() - self.parts, whole: self.whole }
    }

    /// What is left of it without `other`; nothing, if that is more. Where the two cannot be told
    /// in parts of one whole, all of it.
    pub fn less(self, other: Self) -> Self {
        if self.whole == other.whole {
            return Self { parts: self.parts.saturating_sub(other.parts), whole: self.whole };
        }
        let (own, theirs) = (self.whole.get(), other.whole.get());
        let whole = own.checked_mul(theirs).and_then(NonZeroU32::new);
        let parts = |share: Self, by: u32| share.parts.checked_mul(by);
        match (whole, parts(self, theirs), parts(other, own)) {
            (Some(whole), Some(has), Some(gone)) => Self { parts: has.saturating_sub(gone), whole },
            _ => self,
        }
    }

    /// The share in parts of another whole, rounded up.
    pub fn parts_of(self, whole: NonZeroU32) -> u32 {
        let exact = u64::from(self.parts) * u64::from(whole.get());
        u32::try_from(exact.div_ceil(u64::from(self.whole.get()))).unwrap_or(whole.get())
    }

    /// The share as parts and whole, as it was given.
    pub fn fraction(self) -> (u32, u32) {
        (self.parts, self.whole.get())
    }

    /// Whether this is nothing.
    pub fn is_none(self) -> bool {
        self.parts == 0
    }

    fn cross(self, other: Self) -> (u64, u64) {
        (
            u64::from(self.parts) * u64::from(other.whole.get()),
            u64::from(other.parts) * u64::from(self.whole.get()),
        )
    }
}

/// Shares are equal when they are the same part: 1 of 2 is 50 of 100.
impl PartialEq for Share {
    fn eq(&self, other: &Self) -> bool {
        let (left, right) = self.cross(*other);
        left == right
    }
}

impl Eq for Share {}

impl PartialOrd for Share {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Share {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let (left, right) = self.cross(*other);
        left.cmp(&right)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.whole.get() == 100 {
            write!(f, "{} %", self.parts)
        } else {
            write!(f, "{}/{}", self.parts, self.whole)
        }
    }
}
