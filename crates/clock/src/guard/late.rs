//! Commits that were perhaps visible only after their deadline.

use core::sync::atomic::{AtomicU64, Ordering};

use tlease_core::time::Span;

/// Acts that could not be shown to have been on time: the clock, read again right after the act, was at
/// or past the deadline. Either assumption A6 failed, or the thread was paused right after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LateCommits {
    /// How many.
    pub count: u64,
    /// The worst of them: how long after its deadline it became visible, at most.
    pub worst: Span,
}

/// Counts them, from any thread.
#[derive(Debug, Default)]
pub(crate) struct LateCounter {
    count: AtomicU64,
    worst: AtomicU64,
}

impl LateCounter {
    #[cold]
    pub(crate) fn note(&self, by: Span) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.worst.fetch_max(by.as_nanos(), Ordering::Relaxed);
    }

    pub(crate) fn so_far(&self) -> LateCommits {
        LateCommits {
            count: self.count.load(Ordering::Relaxed),
            worst: Span::from_nanos(self.worst.load(Ordering::Relaxed)),
        }
    }
}
