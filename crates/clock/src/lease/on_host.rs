//! A lease that the kernel's clocks time: what can be said of it.

use core::sync::atomic::Ordering;

use tlease_core::fence::Fence;
use tlease_core::time::{Segment, Span, Ticks};

use super::LeaseCell;
use super::record::{View, state_word};
use super::state::Check;
use crate::deadline::Deadline;
use crate::host::live::LiveSegment;
use crate::host::mark_pair;
use crate::segment::Suspends;

impl LeaseCell {
    /// What can be said of the lease `fence` now: no system call, no transaction, from any thread.
    ///
    /// # Timing
    /// `remaining` counts `CLOCK_MONOTONIC_RAW` from a reading during this call to the deadline, without
    /// the guard's margin. A call that begins at or after the deadline never says `Valid` (I13).
    #[inline]
    pub fn check(&self, fence: Fence) -> Check {
        // The clock first: the words are then read in the shadow of its latency.
        match self.clock().profile().suspends {
            Suspends::AssumedAbsent => self.check_at(fence, self.clock().raw_now(), |_| false),
            Suspends::Watched => {
                let (raw, offset) = self.clock().raw_and_offset();
                self.check_at(fence, raw, |live| !offset.within_blur_of(live.offset_floor()))
            }
        }
    }

    #[inline(always)]
    fn check_at(
        &self,
        fence: Fence,
        Ticks(raw): Ticks,
        suspended: impl FnOnce(&LiveSegment) -> bool,
    ) -> Check {
        let live = self.clock().live();
        // Before the live segment's number is read: see `LiveSegment::publish`.
        let suspended = suspended(live);
        let view =
            self.record().view(state_word(fence.get()), || live.segment().load(Ordering::Acquire));
        let deadline = match view {
            View::NotHeld => return Check::NotHeld,
            View::Stale => return Check::Suspect,
            View::Held { deadline, segment: _ } => deadline,
        };
        let Some(remaining) = deadline.checked_sub(raw).filter(|ticks| *ticks > 0) else {
            return Check::Expired;
        };
        if suspended || !self.clock().marks_unchanged() {
            return self.doubt(fence);
        }
        Check::Valid { remaining: Span::from_nanos(remaining) }
    }

    /// The deadline of the lease `fence` as plain data, for another process on this machine.
    ///
    /// `None` if it is not held, or suspect.
    #[must_use]
    pub fn deadline(&self, fence: Fence) -> Option<Deadline> {
        let evidence = self.clock().evidence();
        let Segment(live) = evidence.segment;
        match self.record().view(state_word(fence.get()), || live) {
            View::NotHeld | View::Stale => None,
            View::Held { deadline, segment: _ } => Some(Deadline {
                identity: *self.clock().identity(),
                raw: Ticks(deadline),
                offset_floor: self.clock().offset_floor_of(&evidence),
                marks: mark_pair(evidence.marks),
            }),
        }
    }

    /// A clock reading did not fit the live segment: the reads were interrupted, or time was.
    #[cold]
    fn doubt(&self, fence: Fence) -> Check {
        // Ends the segment for good if it is over, so that no later reading makes the lease valid.
        let Segment(now) = self.clock().fast_now().reading().segment();
        match self.record().view(state_word(fence.get()), || now) {
            View::NotHeld => Check::NotHeld,
            View::Stale => Check::Suspect,
            View::Held { deadline, segment: _ } => {
                let Ticks(raw) = self.clock().raw_now();
                match deadline.checked_sub(raw).filter(|ticks| *ticks > 0) {
                    Some(left) => Check::Valid { remaining: Span::from_nanos(left) },
                    None => Check::Expired,
                }
            }
        }
    }
}
