//! One word that only a valid lease can change.

use core::sync::atomic::{AtomicU64, Ordering};

/// One 64-bit word of a [`Region`](super::Region): anyone reads it, a guard writes it.
#[derive(Debug, Clone, Copy)]
pub struct Word<'a>(&'a AtomicU64);

impl<'a> Word<'a> {
    /// A word that lives elsewhere than in a region.
    ///
    /// It must stay mapped and writable; a word on a page of its own never shares a cache line with
    /// what others write.
    #[must_use]
    pub const fn new(atomic: &'a AtomicU64) -> Self {
        Self(atomic)
    }

    /// The value that was committed last.
    #[must_use]
    #[inline]
    pub fn load(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) const fn atomic(&self) -> &'a AtomicU64 {
        self.0
    }
}
