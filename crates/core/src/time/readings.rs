//! Raw readings of a profile's clock sources, and what is known of each source.

use core::cmp::Ordering;

use super::Span;

/// The most clock sources one hand combines: the three clocks of profile `host`.
pub const SOURCES_MAX: usize = 3;

/// Ticks of one source, as it shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ticks(pub u64);

/// What the sources of a profile showed at one moment, in the profile's order.
///
/// A source that gave no reading is absent (`None`), which every comparison with an instant that
/// has it takes as a break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readings {
    ticks: [u64; SOURCES_MAX],
    /// Bit `i` is set iff source `i` gave a reading; ticks of absent sources are 0.
    present: u8,
}

impl Readings {
    /// The readings, one for each source of the profile.
    ///
    /// # Panics
    /// With more than [`SOURCES_MAX`] readings.
    #[must_use]
    pub fn new(readings: &[Option<Ticks>]) -> Self {
        assert!(readings.len() <= SOURCES_MAX, "a hand combines at most {SOURCES_MAX} sources");
        let mut all = Self { ticks: [0; SOURCES_MAX], present: 0 };
        for ((slot, bit), reading) in all.ticks.iter_mut().zip([1_u8, 2, 4]).zip(readings) {
            if let Some(Ticks(ticks)) = reading {
                *slot = *ticks;
                all.present |= bit;
            }
        }
        all
    }

    /// The reading of a profile with one source.
    #[must_use]
    pub const fn one(ticks: Ticks) -> Self {
        Self { ticks: [ticks.0, 0, 0], present: 1 }
    }

    /// The readings of a profile with three sources.
    #[must_use]
    pub const fn three(ticks: [Ticks; 3]) -> Self {
        Self { ticks: [ticks[0].0, ticks[1].0, ticks[2].0], present: 7 }
    }

    /// The ticks of all sources, and which of them gave any.
    pub(crate) const fn parts(&self) -> ([u64; SOURCES_MAX], u8) {
        (self.ticks, self.present)
    }

    /// The readings with these [`parts`](Self::parts).
    pub(crate) const fn of_parts(ticks: [u64; SOURCES_MAX], present: u8) -> Self {
        Self { ticks, present }
    }

    /// The reading of source `index`, if it gave one.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Ticks> {
        let bit = 1_u8.checked_shl(u32::try_from(index).ok()?)?;
        (self.present & bit != 0).then(|| self.ticks.get(index).copied().map(Ticks))?
    }

    /// How far each source advanced since `earlier`.
    ///
    /// `None` is a break of continuity: the two do not show the same sources, none is shown at all,
    /// or one went backwards.
    #[inline]
    pub(super) fn advance_since(&self, earlier: &Self) -> Option<Advance> {
        if self.present != earlier.present || self.present == 0 {
            return None;
        }
        let mut ticks = [0; SOURCES_MAX];
        for ((advance, now), then) in ticks.iter_mut().zip(self.ticks).zip(earlier.ticks) {
            *advance = now.checked_sub(then)?;
        }
        Some(Advance { ticks, present: self.present })
    }
}

/// Ticks that each present source advanced between two readings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Advance {
    ticks: [u64; SOURCES_MAX],
    present: u8,
}

impl Advance {
    /// The advances of the present sources, each beside what is known of its source.
    ///
    /// A source that is present but not described by the hand would be dropped silently here, so
    /// hands refuse such readings first (`covers`).
    #[inline]
    pub(super) fn each<'a>(
        &'a self,
        sources: &'a [Source],
    ) -> impl Iterator<Item = (u64, &'a Source)> + 'a {
        self.ticks
            .iter()
            .zip([1_u8, 2, 4])
            .zip(sources)
            .filter(|((_, bit), _)| self.present & bit != 0)
            .map(|((ticks, _), source)| (*ticks, source))
    }

    /// Whether `count` described sources are enough for every source present.
    #[inline]
    pub(super) fn covered_by(&self, count: usize) -> bool {
        match count {
            0 => self.present == 0,
            1 => self.present <= 1,
            2 => self.present <= 3,
            _ => true,
        }
    }
}

/// What a hand knows of one of its sources: how long a tick is, at its bound, and how coarse the
/// source is.
///
/// The length of a tick is the fraction `nanos / ticks`. For a slow hand it is the *least* true time
/// that so many ticks can take, for a fast hand the *most*; both include the drift allowance of the
/// profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    nanos: u64,
    ticks: u64,
    granularity: u64,
}

impl Source {
    /// A source whose `ticks` ticks last `nanos` nanoseconds at the bound that the hand needs, and
    /// which moves in steps of `granularity` ticks.
    ///
    /// Nothing can prove these numbers: they are the profile's word on its sources (assumptions A1,
    /// A2 in `docs/claims.md`).
    ///
    /// # Panics
    /// If `nanos` or `ticks` is zero: such a clock measures nothing.
    #[must_use]
    pub const fn assume(nanos: u64, ticks: u64, granularity: Ticks) -> Self {
        assert!(nanos > 0 && ticks > 0, "a tick of no length, or no tick at all");
        Self { nanos, ticks, granularity: granularity.0 }
    }

    /// A source of nanosecond ticks that may run fast by `ppb` parts per billion: for a slow hand.
    ///
    /// # Panics
    /// If `ppb` is a billion or more.
    #[must_use]
    pub const fn assume_slow_nanos(ppb: u32) -> Self {
        assert!(ppb < 1_000_000_000, "a drift of 100 % or more leaves no clock");
        #[expect(clippy::as_conversions, reason = "u32 to u64 widens; From is not const")]
        #[expect(clippy::arithmetic_side_effects, reason = "ppb is below a billion")]
        Self::assume(1_000_000_000 - ppb as u64, 1_000_000_000, Ticks(1))
    }

    /// A source of nanosecond ticks that may run slow by `ppb` parts per billion: for a fast hand.
    ///
    /// A source that shows `1 - ppb` of true time needs a factor of `1 / (1 - ppb)`, which is a
    /// little more than `1 + ppb`.
    ///
    /// # Panics
    /// If `ppb` is a billion or more.
    #[must_use]
    pub const fn assume_fast_nanos(ppb: u32) -> Self {
        assert!(ppb < 1_000_000_000, "a drift of 100 % or more leaves no clock");
        #[expect(clippy::as_conversions, reason = "u32 to u64 widens; From is not const")]
        #[expect(clippy::arithmetic_side_effects, reason = "ppb is below a billion")]
        Self::assume(1_000_000_000, 1_000_000_000 - ppb as u64, Ticks(1))
    }

    /// The true time that `advance` ticks certainly took, rounded down: granularity taken off.
    pub(super) fn span_floor(&self, advance: u64) -> Span {
        let ticks = u128::from(advance.saturating_sub(self.granularity));
        let nanos = ticks
            .saturating_mul(u128::from(self.nanos))
            .checked_div(u128::from(self.ticks))
            .unwrap_or(0);
        Span::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The true time that `advance` ticks can have taken, rounded up: granularity added.
    /// `None` if it exceeds [`Span::MAX`].
    pub(super) fn span_ceil(&self, advance: u64) -> Option<Span> {
        let ticks = u128::from(advance).checked_add(u128::from(self.granularity))?;
        let nanos = ticks.checked_mul(u128::from(self.nanos))?.div_ceil(u128::from(self.ticks));
        u64::try_from(nanos).ok().map(Span::from_nanos)
    }

    /// How the length of `advance` ticks compares with `span`: exactly.
    pub(super) fn compare(&self, advance: u64, span: Span) -> Ordering {
        // Both sides are products of two 64-bit numbers and fit in 128 bits.
        let shown = u128::from(advance).saturating_mul(u128::from(self.nanos));
        shown.cmp(&u128::from(span.as_nanos()).saturating_mul(u128::from(self.ticks)))
    }

    /// Whether `advance` ticks certainly took `term` or longer, compared exactly, with no rounding:
    /// `(advance - q) * nanos >= term * ticks`.
    #[inline]
    pub(super) fn certainly_took(&self, advance: u64, term: Span) -> bool {
        let Some(ticks) = advance.checked_sub(self.granularity) else { return term.is_zero() };
        // Both sides are products of two 64-bit numbers and fit in 128 bits.
        let shown = u128::from(ticks).saturating_mul(u128::from(self.nanos));
        shown >= u128::from(term.as_nanos()).saturating_mul(u128::from(self.ticks))
    }

    /// The most ticks the source may show past an anchor so that less than `term` can have passed:
    /// the largest `n` such that an advance of `n - 1` is still short of the term. `None` if
    /// not even an advance of zero is.
    pub(super) fn ticks_within_floor(&self, term: Span) -> Option<u64> {
        let product = u128::from(term.as_nanos()).checked_mul(u128::from(self.ticks))?;
        // advance + q < product / nanos, for integers: advance < ceil(product / nanos) - q.
        let ticks = product.div_ceil(u128::from(self.nanos));
        let ticks = ticks.checked_sub(u128::from(self.granularity))?;
        let ticks = u64::try_from(ticks).unwrap_or(u64::MAX);
        (ticks > 0).then_some(ticks)
    }
}

/// What planted bugs make of readings.
#[cfg(feature = "mutants")]
impl Readings {
    pub(super) fn least(&self) -> Self {
        self.all_like((0..SOURCES_MAX).filter_map(|index| self.get(index)).min())
    }

    pub(super) fn greatest(&self) -> Self {
        self.all_like((0..SOURCES_MAX).filter_map(|index| self.get(index)).max())
    }

    /// Where a source shows less than in `earlier`, what it showed there.
    pub(super) fn no_less_than(&self, earlier: &Self) -> Self {
        let mut raised = *self;
        for (ticks, least) in raised.ticks.iter_mut().zip(&earlier.ticks) {
            *ticks = (*ticks).max(*least);
        }
        raised
    }

    fn all_like(&self, one: Option<Ticks>) -> Self {
        Self { ticks: [one.unwrap_or_default().0; SOURCES_MAX], present: self.present }
    }
}

#[cfg(feature = "mutants")]
impl Advance {
    pub(super) fn least(&self) -> Self {
        self.all_like(self.each_present().min())
    }

    pub(super) fn most(&self) -> Self {
        self.all_like(self.each_present().max())
    }

    fn each_present(&self) -> impl Iterator<Item = u64> {
        self.ticks.iter().zip([1_u8, 2, 4]).filter(|(_, bit)| self.present & bit != 0).map(|t| *t.0)
    }

    fn all_like(&self, one: Option<u64>) -> Self {
        Self { ticks: [one.unwrap_or_default(); SOURCES_MAX], present: self.present }
    }
}

#[cfg(feature = "mutants")]
impl Source {
    pub(super) fn exact(self) -> Self {
        Self { granularity: 0, ..self }
    }

    pub(super) fn nominal(self) -> Self {
        Self { nanos: 1, ticks: 1, ..self }
    }
}
