//! The slow hand: never ahead of true time. Granters read it.

use super::readings::Advance;
use super::{Now, Readings, SOURCES_MAX, Source, Span};

/// A moment on a slow hand: raw readings of its sources.
///
/// Has no order and no arithmetic of its own; [`SlowHand`] measures the advance from one to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowInstant(Readings);

impl SlowInstant {
    /// What the sources of a slow hand showed.
    #[must_use]
    pub const fn new(readings: Readings) -> Self {
        Self(readings)
    }

    /// The raw readings.
    #[must_use]
    pub const fn readings(&self) -> &Readings {
        &self.0
    }
}

/// The hand that never runs faster than true time.
///
/// # Timing
/// For two instants `a`, `b` read in this order, the advance is at most the true time that passed
/// between the readings, as long as *one* of its sources keeps what its [`Source`] says (invariant
/// I1; assumption A1): each source is measured from the same anchor and the smallest advance counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowHand {
    sources: [Source; SOURCES_MAX],
    count: usize,
    #[cfg(feature = "mutants")]
    pub(crate) mutant: Option<crate::Mutant>,
}

impl SlowHand {
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
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }

    /// The true time that certainly passed from `start` to `now`, rounded down.
    ///
    /// `start` is read as an upper bound of its moment (`Now::not_after`), `now` as a lower bound
    /// (`Now::not_before`). `None` is a break: a source went backwards, vanished or appeared.
    #[must_use]
    pub fn elapsed_floor(&self, start: &SlowInstant, now: &SlowInstant) -> Option<Span> {
        self.advance(start, now)?
            .each(&self.sources)
            .map(|(ticks, source)| source.span_floor(ticks))
            .min()
    }

    /// Whether `term` has certainly passed from `start` to `now`: the granter may grant again.
    ///
    /// Exact, without rounding; stamps as in [`SlowHand::elapsed_floor`]. `None` is a break.
    #[must_use]
    #[inline]
    pub fn must_be_over(&self, start: &SlowInstant, term: Span, now: &SlowInstant) -> Option<bool> {
        let advance = self.advance(start, now)?;
        Some(advance.each(&self.sources).all(|(ticks, source)| source.certainly_took(ticks, term)))
    }

    /// Whether `now` continues `before`: the same sources, none of them behind where it was.
    #[must_use]
    #[inline]
    pub fn continues(&self, before: &SlowInstant, now: &SlowInstant) -> bool {
        self.advance(before, now).is_some()
    }

    #[inline]
    fn advance(&self, start: &SlowInstant, now: &SlowInstant) -> Option<Advance> {
        planted!(self, SlowLeastReading => return now.0.least().advance_since(&start.0.least()));
        let advance = now.0.advance_since(&start.0).filter(|a| a.covered_by(self.count))?;
        planted!(self, SlowTakesMost => return Some(advance.most()));
        Some(advance)
    }
}

#[cfg(feature = "mutants")]
impl SlowHand {
    /// Plants a bug in this hand, or in the machine that gets it.
    #[must_use]
    pub fn mutate(mut self, mutant: crate::Mutant) -> Self {
        self.mutant = Some(mutant);
        planted!(self, SlowInstantsRounded => self.sources = self.sources.map(Source::exact));
        planted!(self, SlowDriftForgotten => self.sources = self.sources.map(Source::nominal));
        self
    }
}

impl Now<SlowInstant> {
    /// The stamp to free from: an upper bound of this moment. A later start only frees later.
    #[must_use]
    pub const fn start_stamp(&self) -> SlowInstant {
        self.not_after
    }

    /// The stamp to measure up to: a lower bound of this moment.
    #[must_use]
    pub const fn reading(&self) -> SlowInstant {
        self.not_before
    }
}

/// Copies the descriptions of a hand's sources into their fixed array.
pub(super) fn described(sources: &[Source]) -> ([Source; SOURCES_MAX], usize) {
    let first = sources.first().expect("a hand needs a source");
    assert!(sources.len() <= SOURCES_MAX, "a hand combines at most {SOURCES_MAX} sources");
    let mut all = [*first; SOURCES_MAX];
    for (slot, source) in all.iter_mut().zip(sources) {
        *slot = *source;
    }
    (all, sources.len())
}
