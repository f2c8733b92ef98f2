//! How long before the deadline the killing starts.

use std::fmt;
use std::time::Duration;

/// The time kept for killing: the tree is killed from `deadline - margin` on.
///
/// The claim of `tlease run` holds as long as the watchdog is scheduled within this time (assumption
/// A12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Margin {
    span: Duration,
    kill_latency: Duration,
}

impl Margin {
    /// The margin for leases of `term` on a machine where killing and reaping a small tree took
    /// `kill_latency`: the largest of 100 ms, ten times that latency, and a quarter of the term up
    /// to two seconds.
    ///
    /// # Errors
    /// [`TermTooShort`] if the term is below four margins: too little of it would be left for work.
    pub(super) fn of(term: Duration, kill_latency: Duration) -> Result<Self, TermTooShort> {
        let span = LEAST
            .max(kill_latency.saturating_mul(LATENCIES))
            .max((term / MARGINS_IN_A_TERM).min(QUARTER_AT_MOST));
        let shortest = span.saturating_mul(MARGINS_IN_A_TERM);
        if term < shortest {
            return Err(TermTooShort { term, shortest, kill_latency });
        }
        Ok(Self { span, kill_latency })
    }

    /// The margin itself.
    #[must_use]
    pub(super) const fn span(&self) -> Duration {
        self.span
    }

    /// The kill latency it was made from.
    #[must_use]
    pub(super) const fn kill_latency(&self) -> Duration {
        self.kill_latency
    }
}

/// The term leaves too little time to work in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TermTooShort {
    /// The term that was asked for.
    pub term: Duration,
    /// The shortest term that would do here.
    pub shortest: Duration,
    /// What killing a small tree took.
    pub kill_latency: Duration,
}

impl fmt::Display for TermTooShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a term of {:?} is too short: killing a small tree took {:.1?} here, so the last {:?} \
             of each term are kept for killing, and a term must be at least four times that: {:?}",
            self.term,
            self.kill_latency,
            self.shortest / MARGINS_IN_A_TERM,
            self.shortest
        )
    }
}

impl std::error::Error for TermTooShort {}

/// A scheduler under load leaves a process waiting for tens of milliseconds.
const LEAST: Duration = Duration::from_millis(100);
/// The real tree is larger than the one that was measured.
const LATENCIES: u32 = 10;
/// Long terms can afford more, up to here.
const QUARTER_AT_MOST: Duration = Duration::from_secs(2);
/// At least three quarters of a term are for work.
const MARGINS_IN_A_TERM: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn margin_ms(term_ms: u64, latency_ms: u64) -> Result<u128, u128> {
        Margin::of(Duration::from_millis(term_ms), Duration::from_millis(latency_ms))
            .map(|margin| margin.span().as_millis())
            .map_err(|refused| refused.shortest.as_millis())
    }

    #[test]
    fn takes_the_largest_of_its_three_reasons() {
        assert_eq!(margin_ms(400, 1), Ok(100));
        assert_eq!(margin_ms(1_000, 1), Ok(250));
        assert_eq!(margin_ms(60_000, 1), Ok(2_000));
        assert_eq!(margin_ms(60_000, 300), Ok(3_000));
    }

    #[test]
    fn refuses_terms_below_four_margins_and_says_what_would_do() {
        assert_eq!(margin_ms(399, 1), Err(400));
        assert_eq!(margin_ms(1_000, 30), Err(1_200));
        assert_eq!(margin_ms(0, 0), Err(400));
    }

    #[test]
    fn a_term_that_four_does_not_divide_is_not_refused_for_rounding() {
        assert!(Margin::of(Duration::from_nanos(500_000_003), Duration::ZERO).is_ok());
    }
}
