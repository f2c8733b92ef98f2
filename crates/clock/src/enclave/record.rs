//! What a timekeeper publishes, and the words in which it does.
//!
//! Two copies under one version: the writer fills the copy that nobody reads, then moves the version. A
//! timekeeper that is stopped in the middle of it blocks no reader, which a plain sequence lock would do.
//! Nothing here knows a clock. `tests/record_interleavings.rs` compiles this very file against loom's
//! atomics and runs every interleaving.

use tlease_core::time::{Segment, Ticks};

use super::atomic::{AtomicU64, Ordering};

/// Links of the chain of dependent multiplications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Links(pub u64);

/// What a timekeeper shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// The segment of `fast`; `None` while it serves nobody.
    pub segment: Option<Segment>,
    /// The links it has executed, at least: see `Pace::executed`.
    pub slow: Links,
    /// A lower bound of the fast hand at the last beat: the send anchor of holders. A stale one is an
    /// earlier one, hence safe.
    pub fast: Ticks,
    /// The upper bound is this much further.
    pub blur: Ticks,
}

/// The shared words. One writer, any number of readers.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub struct Record {
    version: AtomicU64,
    copies: [Shown; 2],
}

#[derive(Debug, Default)]
#[repr(C, align(64))]
struct Shown {
    segment: AtomicU64,
    slow: AtomicU64,
    fast: AtomicU64,
    blur: AtomicU64,
}

impl Record {
    /// Publishes. The one writer's.
    ///
    /// The exchange at the end is a locked one: whatever the writer does after a fence, readers see this.
    #[inline]
    pub fn publish(&self, shown: &Published) {
        let version = self.version.load(Ordering::Relaxed).wrapping_add(1);
        let copy = self.copy(version);
        // Released, so that none of these is seen before the version that made this copy the spare one.
        copy.segment.store(segment_word(shown.segment), Ordering::Release);
        copy.slow.store(shown.slow.0, Ordering::Release);
        copy.fast.store(shown.fast.0, Ordering::Release);
        copy.blur.store(shown.blur.0, Ordering::Release);
        self.version.swap(version, Ordering::SeqCst);
    }

    /// How often it was published.
    #[inline]
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// What was published last, and its version. `None` if it was overwritten meanwhile: read again.
    #[inline]
    #[must_use]
    pub fn read(&self) -> Option<(u64, Published)> {
        let version = self.version();
        let copy = self.copy(version);
        let shown = Published {
            segment: segment_of(copy.segment.load(Ordering::Acquire)),
            slow: Links(copy.slow.load(Ordering::Acquire)),
            fast: Ticks(copy.fast.load(Ordering::Acquire)),
            blur: Ticks(copy.blur.load(Ordering::Acquire)),
        };
        (self.version.load(Ordering::Acquire) == version).then_some((version, shown))
    }

    const fn copy(&self, version: u64) -> &Shown {
        let [even, odd] = &self.copies;
        if version & 1 == 0 { even } else { odd }
    }
}

/// Segment 0 is never begun.
const fn segment_word(segment: Option<Segment>) -> u64 {
    match segment {
        Some(Segment(number)) => number,
        None => 0,
    }
}

fn segment_of(word: u64) -> Option<Segment> {
    (word != 0).then_some(Segment(word))
}
