//! What a lease cell needs of the clock that times it.

use tlease_core::time::{FastInstant, Segment, Span, Ticks};

/// A clock that lease cells can be timed by: `HostClock`, or the [`KeeperClock`](crate::enclave::KeeperClock) of the
/// profiles `enclave*`.
pub trait Timing {
    /// The segment in which a reply may be applied now: an anchor of another one is void.
    fn live_segment(&self) -> Option<Segment>;

    /// The first reading of the fast hand's source at which a term since an anchor may be over, whatever
    /// the segment can hide charged. `None` if the term is too short to be shown.
    fn end_of(&self, anchor: &FastInstant, term: Span) -> Option<Ticks>;

    /// A cell was closed or suspended: ends the stores that passed their checks before.
    fn closed(&self);
}
