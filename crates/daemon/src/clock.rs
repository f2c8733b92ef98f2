//! `SlowClock`: the slow hand that a server reads for its granter.

use std::fmt;

use tlease_clock::{Clock, HostClock};
use tlease_core::time::{Now, SlowHand, SlowInstant};

/// A slow hand and the way to read it: a profile's ([`Clock`]), or a test's that is
/// steered.
pub struct SlowClock {
    hand: SlowHand,
    read: Box<dyn FnMut() -> Now<SlowInstant> + Send>,
}

impl SlowClock {
    /// A clock that is read by `read`, and measured by `hand`.
    ///
    /// # Timing
    /// Each call of `read` must read the sources anew: its `not_before` no later and its `not_after`
    /// no earlier than that moment.
    #[must_use]
    pub fn new(hand: SlowHand, read: impl FnMut() -> Now<SlowInstant> + Send + 'static) -> Self {
        Self { hand, read: Box::new(read) }
    }

    pub(crate) const fn hand(&self) -> SlowHand {
        self.hand
    }

    pub(crate) fn now(&mut self) -> Now<SlowInstant> {
        (self.read)()
    }
}

impl From<HostClock> for SlowClock {
    fn from(clock: HostClock) -> Self {
        Self::new(clock.slow_hand(), move || clock.slow_now())
    }
}

impl From<Clock> for SlowClock {
    fn from(clock: Clock) -> Self {
        Self::new(clock.slow_hand(), move || clock.slow_now())
    }
}

impl fmt::Debug for SlowClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlowClock").field("hand", &self.hand).finish_non_exhaustive()
    }
}
