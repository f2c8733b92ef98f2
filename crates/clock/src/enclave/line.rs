//! A line: where a thread's counter stands on the fast hand of a segment.

use tlease_core::time::{Segment, Ticks};

use super::profile::TSC_GRANULARITY;

/// Bounds of the fast hand, tied to one thread's own counter for as long as that thread is not
/// interrupted.
///
/// A segment's hand is the counter of the timekeeper that began it, and when that one is interrupted, of
/// any thread that still has a line of it. Every other thread knows it to within the time that its
/// handshake took, and extends the bounds by its own counter, which may run at another rate: by up to
/// the [`Skew`] of the admitted range. Anchors are taken from the lower bound, checks from the upper
/// one, so that uncertainty only ends a lease earlier (I2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    segment: Segment,
    /// The hand was at least `value` when the own counter showed `lower_at`, ...
    value: u64,
    lower_at: u64,
    /// ... and at most `value + blur` when it showed `upper_at`, at or before `lower_at`.
    blur: u64,
    upper_at: u64,
    skew: Skew,
}

/// How much faster one admitted counter can run than another: a share in units of 2^-32, so that
/// charging it needs no division.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skew(u64);

/// What the hand has certainly reached and not passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// It has reached this.
    pub lower: Ticks,
    /// It has not passed this.
    pub upper: Ticks,
}

impl Line {
    /// The line of a new segment, whose hand is the counter of the thread that begins it.
    #[must_use]
    pub const fn begin(segment: Segment, own: Ticks) -> Self {
        Self { segment, value: own.0, lower_at: own.0, blur: 0, upper_at: own.0, skew: Skew::NONE }
    }

    /// The line of a thread that learned these bounds of the hand between two readings of its own
    /// counter, `before` and `after`.
    ///
    /// The differences of its readings can be wrong by a step of the counter, which is charged here.
    #[must_use]
    pub const fn learn(
        segment: Segment,
        seen: Bounds,
        before: Ticks,
        after: Ticks,
        skew: Skew,
    ) -> Self {
        let Ticks(step) = TSC_GRANULARITY;
        let value = seen.lower.0.saturating_sub(step);
        let blur = seen.upper.0.saturating_sub(value).saturating_add(step);
        Self { segment, value, lower_at: after.0, blur, upper_at: before.0, skew }
    }

    /// The segment.
    #[must_use]
    #[inline]
    pub const fn segment(&self) -> Segment {
        self.segment
    }

    /// The bounds of the hand when the own counter shows `own`.
    ///
    /// `None` if the counter is behind where the line was learned, or a bound beyond 64 bits: a break.
    #[must_use]
    #[inline]
    pub fn at(&self, Ticks(own): Ticks) -> Option<Bounds> {
        let since_lower = own.checked_sub(self.lower_at)?;
        let since_upper = own.checked_sub(self.upper_at)?;
        let lower = since_lower.saturating_sub(self.skew.of_ceil(since_lower));
        let upper = since_upper.checked_add(self.skew.of_ceil(since_upper))?;
        Some(Bounds {
            lower: Ticks(lower.checked_add(self.value)?),
            upper: Ticks(upper.checked_add(self.value)?.checked_add(self.blur)?),
        })
    }

    /// The own counter's reading from which on the line may be used.
    #[must_use]
    pub const fn usable_from(&self) -> Ticks {
        Ticks(self.lower_at)
    }

    /// The same line with the whole skew of `reach` own ticks charged at once: from then on the upper
    /// bound is a constant away from the own counter, [`Ahead`].
    #[must_use]
    pub fn charge(&self, Ticks(reach): Ticks) -> Option<Ahead> {
        let since = reach.checked_add(self.lower_at.checked_sub(self.upper_at)?)?;
        let charge = self.skew.of_ceil(since);
        let value = self.value.checked_add(self.blur)?.checked_add(charge)?;
        Some(Ahead { own: Ticks(self.upper_at), hand: Ticks(value) })
    }
}

/// An upper bound of the hand that only needs an addition: `hand + (reading - own)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ahead {
    /// A reading of the own counter.
    pub own: Ticks,
    /// The bound at that reading.
    pub hand: Ticks,
}

impl Skew {
    /// All counters run alike.
    pub const NONE: Self = Self(0);

    /// By at most `numerator / denominator`, rounded up.
    ///
    /// # Panics
    /// If the denominator is zero.
    #[must_use]
    pub fn at_most(numerator: u64, denominator: u64) -> Self {
        // Both are below 2^64, so the product is below 2^96.
        let share = u128::from(numerator).saturating_mul(1 << 32).div_ceil(denominator.into());
        Self(u64::try_from(share).unwrap_or(u64::MAX))
    }

    /// So much of an advance, rounded up.
    #[inline]
    fn of_ceil(self, ticks: u64) -> u64 {
        // Both are below 2^64, so the product is below 2^128 - 2^64.
        let product = u128::from(ticks).wrapping_mul(self.0.into());
        let share = product.saturating_add(u32::MAX.into()) >> 32;
        u64::try_from(share).unwrap_or(u64::MAX)
    }
}

impl Bounds {
    /// How far apart they are.
    #[must_use]
    pub const fn blur(&self) -> Ticks {
        Ticks(self.upper.0.saturating_sub(self.lower.0))
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "test arithmetic on small numbers")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A thread's counter: its reading at true time 0, and how much faster it runs than the slowest
    /// admitted one, in thousandths.
    type Counter = (u64, u64);

    fn shows((start, faster): Counter, true_time: u64) -> Ticks {
        Ticks(start + true_time * (1_000 + faster) / 1_000)
    }

    /// The fastest admitted counter runs 2 % faster than the slowest.
    fn skew() -> Skew {
        Skew::at_most(20, 1_000)
    }

    proptest! {
        /// Whatever chain of handshakes leads from an anchor's thread to that of a check, and whatever
        /// admitted rates their counters have: the advance is at least the slowest counter's.
        #[test]
        fn an_advance_is_never_short_through_any_number_of_handshakes(
            first in (0_u64..1 << 40, 0_u64..=20),
            steps in prop::collection::vec(
                ((0_u64..1 << 40, 0_u64..=20), 0_u64..5_000, 0_u64..5_000, 0_u64..1 << 24),
                1..12,
            ),
            checks in 0_u64..1 << 24,
        ) {
            let mut time = 1_000_000;
            let mut counter = first;
            let mut line = Line::begin(Segment(1), shows(first, time));
            let mut anchors = Vec::new();
            let mut lines = vec![(counter, line)];
            for (next, request, reply, stay) in steps {
                time += stay;
                // Every thread whose chain still stands may publish an anchor.
                for (counter, line) in &lines {
                    anchors.push((time, line.at(shows(*counter, time)).unwrap().lower));
                }
                let before = shows(next, time);
                time += request;
                let seen = line.at(shows(counter, time)).unwrap();
                time += reply;
                line = Line::learn(Segment(1), seen, before, shows(next, time), skew());
                counter = next;
                lines.push((counter, line));
            }
            time += checks;
            for (counter, line) in &lines {
                let bounds = line.at(shows(*counter, time)).unwrap();
                for (then, anchor) in &anchors {
                    // The anchor's own reading may be a tick behind.
                    prop_assert!(bounds.upper.0 + 1 >= anchor.0 + (time - then));
                }
                let ahead = line.charge(Ticks(1 << 29)).unwrap();
                let now = shows(*counter, time);
                prop_assert!(ahead.hand.0 + (now.0 - ahead.own.0) >= bounds.upper.0);
            }
        }
    }

    #[test]
    fn a_counter_that_goes_back_or_overflows_has_no_place_on_the_line() {
        let seen = |lower, blur| Bounds { lower: Ticks(lower), upper: Ticks(lower + blur) };
        let line = Line::learn(Segment(1), seen(100, 5), Ticks(1_000), Ticks(1_010), Skew::NONE);
        assert_eq!(line.at(Ticks(1_010)), Some(seen(100 - 64, 15 + 2 * 64)));
        assert_eq!(line.at(Ticks(1_009)), None);
        let end = seen(u64::MAX - 70, 2);
        let late = Line::learn(Segment(1), end, Ticks(10), Ticks(10), Skew::NONE);
        assert_eq!(late.at(Ticks(14)).unwrap().upper, Ticks(u64::MAX));
        assert_eq!(late.at(Ticks(15)), None);
        let hand = Ticks(u64::MAX - 4);
        assert_eq!(late.charge(Ticks(4)), Some(Ahead { own: Ticks(10), hand }));
    }

    #[test]
    fn the_bounds_part_by_the_skew() {
        let seen = Bounds { lower: Ticks(100), upper: Ticks(100) };
        let line = Line::learn(Segment(1), seen, Ticks(0), Ticks(0), Skew::at_most(1, 1_024));
        let bounds = line.at(Ticks(1_024_000)).unwrap();
        assert_eq!((bounds.lower, bounds.upper), (Ticks(1_023_036), Ticks(1_025_164)));
    }
}
