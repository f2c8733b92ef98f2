//! How the guard orders effects and clock readings, and the margins that cover the rest.

use tlease_core::time::Span;

/// How the guard orders the effects of a commit and its clock reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitOrder {
    /// LFENCE: the clock is read after the effects have executed, at most some hundred nanoseconds
    /// before they are visible (0.8 us was the most ever seen here). The margin covers it.
    Fenced,
    /// MFENCE; LFENCE: the clock is read after the effects own their cache lines. Needs no margin,
    /// costs about 14 ns.
    Strict,
}

/// Sixty times the longest clock-reading-to-visibility ever seen.
pub(crate) const COMMIT_MARGIN: Span = Span::from_nanos(50_000);
/// The least commit margin in fenced order: twice the longest ever seen, rounded up.
pub(crate) const COMMIT_MARGIN_MIN: Span = Span::from_nanos(2_000);
/// The default and least margin of a restartable publish.
pub(crate) const PUBLISH_MARGIN: Span = Span::from_nanos(500_000);
