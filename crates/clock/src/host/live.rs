//! The live segment of a clock, where the guard can read it: one cache line of atomic words.

#[cfg(target_arch = "x86_64")]
use core::mem::offset_of;
use core::sync::atomic::{AtomicU64, Ordering};

use tlease_core::time::Segment;

use super::mark_pair;
use crate::segment::{Evidence, Offset};

/// What the live segment rests on ([`Evidence`]), shared by all threads.
///
/// A break first replaces the segment's number, by which every lease of the old segment is suspect at
/// once, even in a transaction that is running; only then the evidence. A lease of the new segment
/// cannot exist before both are written.
#[repr(C, align(128))]
#[derive(Debug)]
pub(crate) struct LiveSegment {
    segment: AtomicU64,
    offset_floor: AtomicU64,
    disruption: AtomicU64,
    generation: AtomicU64,
}

/// Where the assembly finds the words.
#[cfg(target_arch = "x86_64")]
impl LiveSegment {
    pub(crate) const SEGMENT_OFFSET: usize = offset_of!(Self, segment);
    pub(crate) const CLOCK_OFFSET_OFFSET: usize = offset_of!(Self, offset_floor);
    pub(crate) const DISRUPTION_OFFSET: usize = offset_of!(Self, disruption);
    pub(crate) const GENERATION_OFFSET: usize = offset_of!(Self, generation);
}

impl LiveSegment {
    pub(crate) fn new(evidence: &Evidence) -> Self {
        let live = Self {
            segment: AtomicU64::new(0),
            offset_floor: AtomicU64::new(0),
            disruption: AtomicU64::new(0),
            generation: AtomicU64::new(0),
        };
        live.publish(evidence);
        live
    }

    /// Makes `evidence` the live one. One writer at a time.
    pub(crate) fn publish(&self, evidence: &Evidence) {
        let Segment(segment) = evidence.segment;
        self.segment.swap(segment, Ordering::SeqCst);
        let Offset(offset) = evidence.offset_floor;
        self.offset_floor.store(offset, Ordering::Release);
        let (disruption, generation) = mark_pair(evidence.marks);
        self.disruption.store(disruption, Ordering::Release);
        self.generation.store(generation, Ordering::Release);
    }

    /// The clock offset at the segment's beginning. Read it before the segment's number.
    #[inline]
    pub(crate) fn offset_floor(&self) -> Offset {
        Offset(self.offset_floor.load(Ordering::Acquire))
    }

    #[inline]
    pub(crate) const fn segment(&self) -> &AtomicU64 {
        &self.segment
    }

    #[inline]
    pub(crate) const fn disruption(&self) -> &AtomicU64 {
        &self.disruption
    }

    #[inline]
    pub(crate) const fn generation(&self) -> &AtomicU64 {
        &self.generation
    }
}
