//! The words of a lease that its holder's threads share, and the order in which they change.
//!
//! A record is one cache line of atomic words, on a page that the kernel wipes on fork, and its
//! clock's *live segment* is another. The guard reads both inside a hardware transaction, that is,
//! at one instant; [`Record::view`] reads them word by word, without a lock, and still never combines
//! words of two leases or two segments:
//!
//! - the state word names the fence, and fences never repeat: the same word before and after a read
//!   means that the words between are of that lease;
//! - a deadline counts only in its segment. The writer changes the deadline before the segment, and
//!   neither before the old segment has died; a reader takes the segment first and compares it with
//!   the live one last.
//!
//! Nothing here knows a clock. `tests/record_interleavings.rs` compiles this very file against
//! loom's atomics and runs every interleaving.

use super::atomic::{AtomicU64, Ordering};

/// How many words a record takes: two cache lines, so that neighbours are not fetched together.
pub(crate) const RECORD_WORDS: usize = 16;
/// Word 0: `fence << 1 | 1` while held, 0 otherwise.
pub(crate) const STATE: usize = 0;
/// Word 1: the first `CLOCK_MONOTONIC_RAW` reading, in ns, at which the lease may be over.
pub(crate) const DEADLINE: usize = 1;
/// Word 2: the segment in which the deadline counts.
pub(crate) const SEGMENT: usize = 2;
/// Word 3: not zero in the process that created the record; wiped to zero in a forked child.
pub(crate) const BORN: usize = 3;

/// The state word of a lease that is not held: also what a wiped page reads.
pub(crate) const NOT_HELD: u64 = 0;

/// The state word of a lease that is held: the fence above one bit that is set.
#[inline]
pub(crate) const fn state_word(fence: u64) -> u64 {
    fence << 1 | 1
}

/// A segment that never lives: they count up from zero.
const NEVER_LIVE: u64 = u64::MAX;

/// The words of one lease.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a>(&'a [AtomicU64; RECORD_WORDS]);

/// What a reader found in a record: words of one lease, in one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// The state word is another one.
    NotHeld,
    /// Held, but its segment is over: no deadline is known.
    Stale,
    /// Held until `deadline`, as long as `segment` lives.
    Held { deadline: u64, segment: u64 },
}

impl<'a> Record<'a> {
    #[inline]
    pub(crate) const fn new(words: &'a [AtomicU64; RECORD_WORDS]) -> Self {
        Self(words)
    }

    #[inline]
    pub(crate) const fn words(&self) -> &'a [AtomicU64; RECORD_WORDS] {
        self.0
    }

    /// Makes the record this process's own, not held.
    pub(crate) fn claim(&self) {
        self.0[STATE].store(NOT_HELD, Ordering::SeqCst);
        self.0[BORN].store(1, Ordering::Release);
    }

    /// Whether this process claimed the record: false in a forked child.
    pub(crate) fn is_ours(&self) -> bool {
        self.0[BORN].load(Ordering::Acquire) != 0
    }

    #[inline]
    pub(crate) fn state(&self) -> u64 {
        self.0[STATE].load(Ordering::Acquire)
    }

    /// Holds: a new lease, a renewal, or a lease that is anchored again in a new segment.
    ///
    /// One writer at a time. `segment` is the live one, so that any other the record shows is dead.
    pub(crate) fn hold(&self, word: u64, deadline: u64, segment: u64) {
        let renewal = self.state() == word;
        if !renewal {
            // Closed before the deadline changes, so that the old lease never gets the new one.
            self.0[STATE].swap(NOT_HELD, Ordering::SeqCst);
        }
        self.0[DEADLINE].store(deadline, Ordering::Release);
        self.0[SEGMENT].store(segment, Ordering::Release);
        if !renewal {
            self.0[STATE].store(word, Ordering::Release);
        }
    }

    /// Makes the deadline count in no segment, until the next [`Record::hold`].
    ///
    /// A locked exchange, as in [`Record::close`]. The segment of the next hold may be the one that
    /// the record showed before: a reader that combines the two has a deadline of that segment.
    pub(crate) fn suspend(&self) {
        self.0[SEGMENT].swap(NEVER_LIVE, Ordering::SeqCst);
    }

    /// Closes the record and returns the state word it had.
    ///
    /// A locked exchange: when it returns, no transaction that still read the old word can commit.
    pub(crate) fn close(&self) -> u64 {
        self.0[STATE].swap(NOT_HELD, Ordering::SeqCst)
    }

    /// The deadline and segment of the lease with this state word.
    ///
    /// `live` reads the live segment; it is called after the record was read.
    #[inline]
    pub(crate) fn view(&self, word: u64, live: impl FnOnce() -> u64) -> View {
        if self.state() != word {
            return View::NotHeld;
        }
        let segment = self.0[SEGMENT].load(Ordering::Acquire);
        let deadline = self.0[DEADLINE].load(Ordering::Acquire);
        let live = live();
        if self.state() != word {
            return View::NotHeld;
        }
        if segment != live {
            return View::Stale;
        }
        View::Held { deadline, segment }
    }

    /// The deadline and segment as they are, for the one writer.
    pub(crate) fn held_by_writer(&self) -> (u64, u64) {
        (self.0[DEADLINE].load(Ordering::Acquire), self.0[SEGMENT].load(Ordering::Acquire))
    }
}
