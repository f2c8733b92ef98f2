//! The bug that is planted in a world, if one is. Nothing without the feature `mutants`.

use tlease_clock::enclave::{Handshake, Pace};
use tlease_clock::segment::SegmentTracker;
use tlease_core::time::{FastHand, SlowHand};

#[cfg(feature = "mutants")]
use crate::mutants::Bug;

/// Whether a bug of the drivers or of the modelled machine is planted.
macro_rules! planted {
    ($planted:expr, $bug:ident) => {{
        #[cfg(feature = "mutants")]
        {
            $planted.is($crate::mutants::Bug::Driver($crate::mutants::Driver::$bug))
        }
        #[cfg(not(feature = "mutants"))]
        {
            false
        }
    }};
}

/// A bug, or none.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Planted {
    #[cfg(feature = "mutants")]
    bug: Option<Bug>,
}

#[cfg(feature = "mutants")]
impl Planted {
    pub(crate) const fn one(bug: Bug) -> Self {
        Self { bug: Some(bug) }
    }

    pub(crate) fn is(self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }
}

impl Planted {
    /// The hand of a granter.
    pub(crate) fn in_granter(self, hand: SlowHand) -> SlowHand {
        #[cfg(feature = "mutants")]
        if let Some(Bug::Core(mutant)) = self.bug {
            return hand.mutate(mutant);
        }
        hand
    }

    /// The hand of a holder.
    pub(crate) fn in_holder(self, hand: FastHand) -> FastHand {
        #[cfg(feature = "mutants")]
        if let Some(Bug::Core(mutant)) = self.bug {
            return hand.mutate(mutant);
        }
        hand
    }

    /// What a timekeeper judges by.
    pub(crate) const fn in_pace(self, pace: Pace) -> Pace {
        #[cfg(feature = "mutants")]
        if let Some(Bug::Clock(mutant)) = self.bug {
            return pace.mutate(mutant);
        }
        pace
    }

    /// A handshake of a thread in an enclave.
    pub(crate) const fn in_handshake(self, handshake: Handshake) -> Handshake {
        #[cfg(feature = "mutants")]
        if let Some(Bug::Clock(mutant)) = self.bug {
            return handshake.mutate(mutant);
        }
        handshake
    }

    /// Who finds the segments of a Linux machine.
    pub(crate) const fn in_tracker(self, tracker: SegmentTracker) -> SegmentTracker {
        #[cfg(feature = "mutants")]
        if let Some(Bug::Clock(mutant)) = self.bug {
            return tracker.mutate(mutant);
        }
        tracker
    }
}
