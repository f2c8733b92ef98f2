//! The clock that holders and granters of the profiles `enclave*` use.

use alloc::sync::Arc;

use tlease_core::time::{FastHand, FastInstant, Now, Segment, SlowHand, SlowInstant, Span, Ticks};

use super::keepers::Keepers;
use crate::arch::{Rtm, StayMargin};
use crate::guard::{LateCommits, LateCounter};
use crate::lease::Timing;
use crate::order::CommitOrder;

/// Timekeepers, and how the guard uses them.
///
/// Who keeps them is somebody else's affair: in an enclave its own threads, outside those that
/// `EnclaveSim` starts.
#[derive(Debug)]
pub struct KeeperClock {
    keepers: Arc<Keepers>,
    margin: Margin,
    rtm: Option<Rtm>,
    late: LateCounter,
    #[cfg(feature = "host")]
    pub(super) outside: super::outside::Outside,
    #[cfg(all(feature = "mutants", not(feature = "host")))]
    pub(super) mutant: Option<crate::Mutant>,
}

/// By how much the guard brings a deadline forward.
#[derive(Debug, Clone, Copy)]
pub struct Margin {
    /// The time from the guard's clock reading to its effects (assumption A6).
    pub commit: Span,
    /// How the two are ordered.
    pub order: CommitOrder,
}

impl KeeperClock {
    /// A clock of these timekeepers, in an enclave, with the guard if transactions commit here.
    ///
    /// The processor does not say inside whether it has transactions: on one without them (A9 does not
    /// hold there) the probe is an illegal instruction, which ends the enclave.
    #[cfg(not(feature = "host"))]
    #[must_use]
    pub fn in_enclave(keepers: Arc<Keepers>, margin: Margin) -> Self {
        Self {
            keepers,
            margin,
            rtm: Rtm::assume_present(),
            late: LateCounter::default(),
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }

    /// Plants a fault.
    #[cfg(all(feature = "mutants", not(feature = "host")))]
    #[must_use]
    pub const fn mutate(mut self, mutant: crate::Mutant) -> Self {
        self.mutant = Some(mutant);
        self
    }

    /// Whether acts can be committed: transactions do commit here.
    #[must_use]
    pub const fn can_commit(&self) -> bool {
        self.rtm.is_some()
    }

    /// A clock of these timekeepers, outside of an enclave.
    #[cfg(feature = "host")]
    pub(super) fn new(
        keepers: Arc<Keepers>,
        margin: Margin,
        rtm: Option<Rtm>,
        outside: super::outside::Outside,
    ) -> Self {
        Self { keepers, margin, rtm, late: LateCounter::default(), outside }
    }

    /// Reads the slow hand. As [`Keepers::slow_now`].
    #[must_use]
    pub fn slow_now(&self) -> Now<SlowInstant> {
        self.keepers.slow_now()
    }

    /// The arithmetic of the slow hand.
    #[must_use]
    pub fn slow_hand(&self) -> SlowHand {
        self.keepers.slow_hand()
    }

    /// The arithmetic of the fast hand.
    #[must_use]
    pub fn fast_hand(&self) -> FastHand {
        self.keepers.fast_hand()
    }

    /// The timekeepers.
    #[must_use]
    #[inline]
    pub fn keepers(&self) -> &Keepers {
        &self.keepers
    }

    /// The acts so far that could not be shown to have been on time (assumption A6).
    #[must_use]
    pub fn late_commits(&self) -> LateCommits {
        self.late.so_far()
    }

    #[inline]
    pub(super) const fn rtm(&self) -> Option<Rtm> {
        self.rtm
    }

    #[inline]
    pub(super) const fn margin(&self) -> Margin {
        self.margin
    }

    /// The margin as the guard compares it.
    #[inline]
    pub(super) fn stay_margin(&self) -> StayMargin {
        let Ticks(ticks) = self.keepers.ticks_ceil(self.margin.commit);
        StayMargin { ticks, strict: self.margin.order == CommitOrder::Strict }
    }

    #[inline]
    pub(super) const fn late(&self) -> &LateCounter {
        &self.late
    }
}

impl Timing for KeeperClock {
    fn live_segment(&self) -> Option<Segment> {
        self.keepers.anchor().map(|anchor| anchor.segment())
    }

    fn end_of(&self, anchor: &FastInstant, term: Span) -> Option<Ticks> {
        self.keepers.fast_hand().deadline(anchor, term, 0)
    }

    fn closed(&self) {
        #[cfg(feature = "host")]
        self.outside.restart_sequences();
    }
}
