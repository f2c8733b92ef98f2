//! The fast hand: never behind true time within a segment. Holders read it.

use core::cmp::Ordering;

use super::readings::Advance;
use super::slow::described;
use super::{Now, Readings, SOURCES_MAX, Source, Span, Ticks};

/// An unbroken stretch of a fast hand.
///
/// A new segment starts whenever continuity of time cannot be shown: a suspend, a snapshot or
/// migration, an interrupted timekeeper. Nothing is known of the time between two segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Segment(pub u64);

/// A moment on a fast hand: raw readings of its sources, in one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FastInstant {
    segment: Segment,
    readings: Readings,
}

impl FastInstant {
    /// What the sources of a fast hand showed in `segment`.
    #[must_use]
    pub const fn new(segment: Segment, readings: Readings) -> Self {
        Self { segment, readings }
    }

    /// The segment in which it was read.
    #[must_use]
    pub const fn segment(&self) -> Segment {
        self.segment
    }

    /// The raw readings.
    #[must_use]
    pub const fn readings(&self) -> &Readings {
        &self.readings
    }
}

/// The hand that never runs slower than true time, within one segment.
///
/// # Timing
/// For two instants `a`, `b` of one segment, read in this order, the advance is at least the true
/// time that passed between the readings, as long as *one* of its sources keeps what its [`Source`]
/// says (invariant I2; assumption A2): each source is measured from the same anchor and the largest
/// advance counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FastHand {
    sources: [Source; SOURCES_MAX],
    count: usize,
    /// True time that a segment can hide.
    hidden: Span,
    #[cfg(feature = "mutants")]
    pub(crate) mutant: Option<crate::Mutant>,
}

/// What a holder's clock says of a term that began at an anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remaining {
    /// Less than the term can have passed: at least this much is left, rounded down, so that the
    /// last fraction of a nanosecond shows as zero.
    AtLeast(Span),
    /// The whole term may have passed.
    Over,
    /// Continuity since the anchor cannot be shown: another segment, or a source that went back.
    Unknown,
}

impl FastHand {
    /// A hand that combines these sources, in the order in which [`Readings`] show them.
    ///
    /// # Panics
    /// Without a source, or with more than [`SOURCES_MAX`].
    #[must_use]
    pub fn new(sources: &[Source]) -> Self {
        let (sources, count) = described(sources);
        Self {
            sources,
            count,
            hidden: Span::ZERO,
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }

    /// The same hand, of which a segment can hide up to `span` of true time in all: suspends too short
    /// to be told from the noise of its reads. Whoever sets a deadline by this hand charges that by
    /// itself; the [audit](crate::audit) allows for it.
    #[must_use]
    pub const fn assume_hides(mut self, span: Span) -> Self {
        self.hidden = span;
        self
    }

    /// True time that a segment can hide.
    pub(crate) const fn hidden(&self) -> Span {
        self.hidden
    }

    /// The true time that can have passed from `anchor` to `now`, rounded up.
    ///
    /// `anchor` is read as a lower bound of its moment (`Now::not_before`), `now` as an upper bound
    /// (`Now::not_after`). `None` is a break: another segment, a source that went backwards or
    /// vanished, or more time than a span can hold.
    #[must_use]
    pub fn elapsed_ceil(&self, anchor: &FastInstant, now: &FastInstant) -> Option<Span> {
        let mut most = Span::ZERO;
        for (ticks, source) in self.advance(anchor, now)?.each(&self.sources) {
            most = most.max(source.span_ceil(ticks)?);
        }
        Some(most)
    }

    /// What is left of `term` since `anchor`: the holder may act only on [`Remaining::AtLeast`].
    ///
    /// Rounded down; stamps as in [`FastHand::elapsed_ceil`]. Says `AtLeast` for exactly the instants
    /// before [`FastHand::deadline`].
    #[must_use]
    pub fn remaining(&self, anchor: &FastInstant, term: Span, now: &FastInstant) -> Remaining {
        let Some(advance) = self.advance(anchor, now) else { return Remaining::Unknown };
        let mut least = Span::MAX;
        for (ticks, source) in advance.each(&self.sources) {
            match source.ticks_within_floor(term) {
                Some(limit) if ticks < limit => {}
                Some(_) | None => return Remaining::Over,
            }
            let Some(elapsed) = source.span_ceil(ticks) else { return Remaining::Over };
            least = least.min(term.saturating_sub(elapsed));
        }
        Remaining::AtLeast(least)
    }

    /// The first reading of source `index` at which a term since `anchor` may be over.
    ///
    /// The lease is usable while *every* source of the hand reads less than its deadline, in the
    /// anchor's segment. This is the number a guard compares raw ticks with. `None` if the source is
    /// absent, or the term is shorter than the hand can show.
    ///
    /// # Timing
    /// Rounded down to the tick: never later than the exact deadline. Saturates at the end of the
    /// source's 64 bits, where the source would have to wrap, which is a break.
    #[must_use]
    pub fn deadline(&self, anchor: &FastInstant, term: Span, index: usize) -> Option<Ticks> {
        let source = self.sources.get(..self.count)?.get(index)?;
        let within = source.ticks_within_floor(term)?;
        let Ticks(anchored) = anchor.readings.get(index)?;
        Some(Ticks(anchored.saturating_add(within)))
    }

    /// How the movement from `earlier` to `later` compares with `span`: exactly, with neither rounding
    /// nor granularity. Says which of two stamps is the better one, never how long something can have
    /// taken.
    pub(crate) fn compare_movement(
        &self,
        earlier: &FastInstant,
        later: &FastInstant,
        span: Span,
    ) -> Option<Ordering> {
        let advance = self.advance(earlier, later)?;
        // Of several sources the one that moved furthest counts.
        advance.each(&self.sources).map(|(ticks, source)| source.compare(ticks, span)).max()
    }

    /// How many sources the hand combines.
    #[must_use]
    pub const fn source_count(&self) -> usize {
        self.count
    }

    #[inline]
    fn advance(&self, anchor: &FastInstant, now: &FastInstant) -> Option<Advance> {
        if anchor.segment != now.segment && !planted!(self, SegmentIgnored) {
            return None;
        }
        let (anchor, now) = (&anchor.readings, &now.readings);
        planted!(self, FastGreatestReading => {
            return now.greatest().advance_since(&anchor.greatest());
        });
        planted!(self, FastBackIsZero => return now.no_less_than(anchor).advance_since(anchor));
        let advance = now.advance_since(anchor).filter(|a| a.covered_by(self.count))?;
        planted!(self, FastTakesLeast => return Some(advance.least()));
        Some(advance)
    }
}

#[cfg(feature = "mutants")]
impl FastHand {
    /// Plants a bug in this hand, or in the machine that gets it.
    #[must_use]
    pub fn mutate(mut self, mutant: crate::Mutant) -> Self {
        self.mutant = Some(mutant);
        planted!(self, FastInstantsRounded => self.sources = self.sources.map(Source::exact));
        planted!(self, FastDriftForgotten => self.sources = self.sources.map(Source::nominal));
        self
    }
}

impl Now<FastInstant> {
    /// The stamp to count a lease from: a lower bound of this moment. An earlier anchor only ends
    /// the lease earlier.
    #[must_use]
    pub const fn send_anchor(&self) -> FastInstant {
        self.not_before
    }

    /// The stamp to check against: an upper bound of this moment.
    #[must_use]
    pub const fn reading(&self) -> FastInstant {
        self.not_after
    }
}
