//! The two hands of a clock, and the only arithmetic allowed on them.
//!
//! An *instant* is what the sources of a profile showed: raw ticks, never rounded, never converted.
//! Only the difference of two instants becomes a [`Span`], once, in the direction that is safe for
//! the role that reads it:
//!
//! - [`SlowHand`] never runs faster than true time. The granter reads it.
//! - [`FastHand`] never runs slower than true time within one [`Segment`]. The holder reads it.
//!
//! Instants of the two hands are different types and nothing compares across them.

mod fast;
mod readings;
mod slow;
mod span;

pub use fast::{FastHand, FastInstant, Remaining, Segment};
pub use readings::{Readings, SOURCES_MAX, Source, Ticks};
pub use slow::{SlowHand, SlowInstant};
pub use span::{Span, SpanTooLong};

/// The bounds of one moment on one hand, taken by the shell around one event.
///
/// True time lay between the two when the event was handed in. A clock that is read directly gives
/// the same instant twice ([`Now::at`]); a value published by another thread gives what was
/// published and the most that can have passed since.
///
/// A granter's shell reads its clock *after* the last byte of the input was read; a holder's shell
/// reads its clock *before* the bytes that the machine puts out are handed to the transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now<I> {
    /// An instant that the hand had certainly reached.
    pub not_before: I,
    /// An instant that the hand had certainly not passed.
    pub not_after: I,
}

impl<I: Copy> Now<I> {
    /// A moment that was read directly, without uncertainty beyond the granularity of its sources.
    #[must_use]
    pub const fn at(instant: I) -> Self {
        Self { not_before: instant, not_after: instant }
    }
}
