//! Moments on `CLOCK_MONOTONIC_RAW`, the clock that nobody steers: what a watchdog compares.
//!
//! Whether the clock ran through since the anchor of a lease is not for it to say; that is
//! [`HostClock::check`](tlease_clock::HostClock::check).

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;
use tlease_clock::Deadline;

/// A moment on `CLOCK_MONOTONIC_RAW`, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RawInstant {
    nanos: u64,
}

impl RawInstant {
    /// The moment at which the raw clock shows `nanos`.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self { nanos }
    }

    /// What the raw clock shows at this moment.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.nanos
    }

    /// The raw clock, read once.
    #[must_use]
    pub fn read() -> Self {
        let time = clock_gettime(ClockId::MonotonicRaw);
        // It shows no time before the machine started.
        let secs = u64::try_from(time.tv_sec).unwrap_or(0);
        let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
        Self { nanos: secs.saturating_mul(1_000_000_000).saturating_add(nanos) }
    }

    /// How far `self` is after `earlier`; zero if it is not.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanos.saturating_sub(earlier.nanos))
    }

    /// The moment `span` later; the end of the clock if it has no such moment.
    #[must_use]
    pub const fn later_by(self, span: Duration) -> Self {
        Self { nanos: self.nanos.saturating_add(whole_nanos(span)) }
    }

    /// The moment `span` earlier; the start of the clock if it has no such moment.
    #[must_use]
    pub const fn earlier_by(self, span: Duration) -> Self {
        Self { nanos: self.nanos.saturating_sub(whole_nanos(span)) }
    }
}

impl From<&Deadline> for RawInstant {
    /// The moment from which the holder must not act any more.
    fn from(deadline: &Deadline) -> Self {
        Self { nanos: deadline.raw().0 }
    }
}

const fn whole_nanos(span: Duration) -> u64 {
    let nanos = span.as_nanos();
    if nanos > u64::MAX as u128 { u64::MAX } else { nanos as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_beyond_the_ends_of_the_clock_are_its_ends() {
        let moment = RawInstant::from_nanos(5);
        assert_eq!(moment.earlier_by(Duration::from_nanos(6)), RawInstant::from_nanos(0));
        assert_eq!(moment.later_by(Duration::MAX), RawInstant::from_nanos(u64::MAX));
        assert_eq!(moment.since(RawInstant::from_nanos(6)), Duration::ZERO);
    }

    #[test]
    fn the_clock_does_not_go_back() {
        let earlier = RawInstant::read();
        assert!(RawInstant::read() >= earlier);
    }
}
