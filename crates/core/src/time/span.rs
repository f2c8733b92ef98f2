//! `Span`: a length of time, the only form of time that crosses a wire.

use core::fmt;
use core::time::Duration;

/// A length of time in whole nanoseconds, up to about 584 years.
///
/// # Timing
/// A span belongs to no clock. Where one comes out of a hand, the method that made it says in which
/// direction it was rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(u64);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// The longest span that can be written.
    pub const MAX: Self = Self(u64::MAX);

    /// A span of `nanos` nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// A span of `millis` milliseconds.
    ///
    /// # Panics
    /// If it exceeds 584 years. Meant for constants and tests; values from outside come through
    /// [`Span::try_from`] a [`Duration`] or as nanoseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        match millis.checked_mul(1_000_000) {
            Some(nanos) => Self(nanos),
            None => panic!("a span of more than 584 years"),
        }
    }

    /// A span of `secs` seconds.
    ///
    /// # Panics
    /// If it exceeds 584 years, as [`Span::from_millis`].
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        match secs.checked_mul(1_000_000_000) {
            Some(nanos) => Self(nanos),
            None => panic!("a span of more than 584 years"),
        }
    }

    /// The whole nanoseconds.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whether this is no time at all.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, or `None` beyond [`Span::MAX`].
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The sum, at most [`Span::MAX`].
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, or `None` below zero.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
    }

    /// The difference, at least zero.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// `self * numerator / denominator`, rounded down, at most [`Span::MAX`].
    ///
    /// # Panics
    /// If `denominator` is zero.
    #[must_use]
    pub fn scaled_floor(self, numerator: u32, denominator: u32) -> Self {
        assert!(denominator != 0, "a fraction of a span needs a denominator");
        let product = u128::from(self.0).saturating_mul(u128::from(numerator));
        let nanos = product.checked_div(u128::from(denominator)).unwrap_or(u128::MAX);
        Self(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl TryFrom<Duration> for Span {
    type Error = SpanTooLong;

    fn try_from(duration: Duration) -> Result<Self, SpanTooLong> {
        u64::try_from(duration.as_nanos()).map(Self).map_err(|_| SpanTooLong(duration))
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        Self::from_nanos(span.0)
    }
}

impl fmt::Display for Span {
    /// As a [`Duration`] prints: `1.5s`, `20ms`; a precision (`{:.1}`) applies.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&Duration::from(*self), f)
    }
}

/// A duration of more than 584 years, which no [`Span`] can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanTooLong(pub Duration);

impl fmt::Display for SpanTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is too long: a span holds at most 584 years", self.0)
    }
}

impl core::error::Error for SpanTooLong {}
