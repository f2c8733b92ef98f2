//! A stretch: what a thread knows of the fast hand until it is interrupted.

use tlease_core::time::{Segment, Ticks};

use super::line::{Ahead, Line};

/// A thread's own extension of the fast hand after a handshake.
///
/// It means something only while the thread's mark holds, and never beyond its reach. The reading is an
/// upper bound: the handshake's uncertainty is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    segment: Segment,
    ahead: Ahead,
    /// The hand's upper bound less the own counter, modulo 2^64.
    lead: u64,
    begins: Ticks,
    ends: Ticks,
}

/// Why a stretch says nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StretchOver {
    /// The own counter is behind the handshake, beyond its reach, or beyond 64 bits.
    Counter,
}

impl Stretch {
    /// A stretch that begins with a handshake and reaches `reach` ticks of the own counter beyond it.
    /// `None` if that is beyond 64 bits.
    #[must_use]
    pub fn begin(line: &Line, reach: Ticks) -> Option<Self> {
        let begins = line.usable_from();
        let ends = Ticks(begins.0.checked_add(reach.0)?);
        let ahead = line.charge(reach)?;
        // So that no reading before the end overflows.
        ahead.hand.0.checked_add(ends.0.checked_sub(ahead.own.0)?)?;
        let lead = ahead.hand.0.wrapping_sub(ahead.own.0);
        Some(Self { segment: line.segment(), ahead, lead, begins, ends })
    }

    /// The segment in which it reads.
    #[must_use]
    #[inline]
    pub const fn segment(&self) -> Segment {
        self.segment
    }

    /// What the fast hand has certainly not passed when the own counter shows `own`.
    ///
    /// # Errors
    /// [`StretchOver`].
    #[inline]
    pub fn upper(&self, own: Ticks) -> Result<Ticks, StretchOver> {
        if own < self.begins || own >= self.ends {
            return Err(StretchOver::Counter);
        }
        // The bound itself is below 2^64 up to the end (see `begin`), so that one addition gives it.
        Ok(Ticks(own.0.wrapping_add(self.lead)))
    }

    /// The upper bound of the hand, a constant away from the own counter.
    #[must_use]
    #[inline]
    pub const fn ahead(&self) -> Ahead {
        self.ahead
    }

    /// The own counter's first reading at which it reads.
    #[must_use]
    #[inline]
    pub const fn begins(&self) -> Ticks {
        self.begins
    }

    /// The own counter's first reading at which it does not any more.
    #[must_use]
    #[inline]
    pub const fn ends(&self) -> Ticks {
        self.ends
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::{Bounds, Skew};
    use super::*;

    #[test]
    fn a_stretch_reads_between_its_handshake_and_its_reach() {
        let seen = Bounds { lower: Ticks(500), upper: Ticks(500) };
        let line = Line::learn(Segment(2), seen, Ticks(90), Ticks(100), Skew::NONE);
        let stretch = Stretch::begin(&line, Ticks(1_000)).unwrap();
        assert_eq!(stretch.upper(Ticks(99)), Err(StretchOver::Counter));
        assert_eq!(stretch.upper(Ticks(100)), Ok(Ticks(510 + 64)));
        assert_eq!(stretch.upper(Ticks(1_099)), Ok(Ticks(1_509 + 64)));
        assert_eq!(stretch.upper(Ticks(1_100)), Err(StretchOver::Counter));
    }

    #[test]
    fn a_hand_behind_or_far_ahead_of_the_own_counter_is_read_to_the_last_tick() {
        for (hand, own) in [(500, u64::MAX - 2_000), (u64::MAX - 3_000, 100), (0, u64::MAX - 1_100)]
        {
            let seen = Bounds { lower: Ticks(hand), upper: Ticks(hand) };
            let line = Line::learn(Segment(2), seen, Ticks(own - 10), Ticks(own), Skew::NONE);
            let stretch = Stretch::begin(&line, Ticks(1_000)).expect("below 64 bits");
            let upper = line.at(Ticks(own + 999)).expect("a place").upper;
            assert_eq!(stretch.upper(Ticks(own + 999)), Ok(upper), "{hand} {own}");
        }
        let seen = Bounds { lower: Ticks(u64::MAX - 500), upper: Ticks(u64::MAX - 500) };
        let line = Line::learn(Segment(2), seen, Ticks(90), Ticks(100), Skew::NONE);
        assert_eq!(Stretch::begin(&line, Ticks(1_000)), None, "beyond 64 bits");
    }
}
