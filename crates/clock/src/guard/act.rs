//! What the body of a commit may do.

use core::marker::PhantomData;
use core::sync::atomic::Ordering;

use tlease_core::fence::Fence;

use crate::memory::{Registered, Ring, RingFull, Word};

/// Proof that a commit is running: words and rings are written through it.
///
/// Not `Send`, and cannot leave the body. The body may run several times; the effects of all but the
/// last run never happened.
#[derive(Debug)]
pub struct Act<'a> {
    fence: Fence,
    thread: PhantomData<(&'a (), *mut ())>,
}

impl Act<'_> {
    #[inline]
    pub(super) const fn new(fence: Fence) -> Self {
        Self { fence, thread: PhantomData }
    }

    /// The fence of the lease that acts.
    #[must_use]
    #[inline]
    pub const fn fence(&self) -> Fence {
        self.fence
    }

    /// The word's value at the instant of the commit.
    #[must_use]
    #[inline]
    pub fn load(&self, word: &Word<'_>) -> u64 {
        word.atomic().load(Ordering::Relaxed)
    }

    /// Stores to a word.
    #[inline]
    pub fn store(&self, word: &Word<'_>, value: u64) {
        word.atomic().store(value, Ordering::Relaxed);
    }

    /// Appends an entry that carries this lease's fence; returns its position.
    ///
    /// # Errors
    /// [`RingFull`] if the ring refuses when it is full.
    #[inline]
    pub fn append(&self, ring: &Ring<'_>, payload: [u64; 6]) -> Result<u64, RingFull> {
        ring.append(self.fence, payload)
    }
}

/// One store of a fixed list: see [`LeaseCell::commit_ops`](crate::LeaseCell::commit_ops).
#[derive(Debug, Clone, Copy)]
pub struct Store<'a> {
    /// Where.
    pub word: Word<'a>,
    /// What.
    pub value: u64,
}

impl Registered for Store<'_> {
    fn touch(&self) {
        self.word.touch();
    }
}
