//! Shared memory.

use core::fmt;
use core::sync::atomic::AtomicU64;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags};

use super::{Ring, RingFault, WhenFull, Word};
use crate::arch::pages::{Access, Pages};

/// A stretch of zeroed shared memory, seen as 64-bit words.
///
/// It survives a fork, and other processes map it through [`Region::fd`]. Words that a guard writes
/// should not share a cache line (8 words) with words that others write all the time.
///
/// # Examples
/// ```
/// use tlease_clock::memory::{Region, WhenFull};
/// let region = Region::new(4096)?;
/// let leader = region.word(0).expect("within the region");
/// let orders = region.create_ring(8, 256, WhenFull::Refuse)?;
/// assert_eq!(leader.load(), 0);
/// assert_eq!(orders.len(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Region {
    pages: Pages,
    fd: OwnedFd,
}

impl Region {
    /// A region of `words` zeroed words, in memory only, of a size that nobody can change.
    ///
    /// # Errors
    /// What the kernel says: out of memory or descriptors; or zero words.
    pub fn new(words: usize) -> io::Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let fd = rustix::fs::memfd_create("tlease-region", flags)?;
        let bytes = words
            .checked_mul(size_of::<AtomicU64>())
            .and_then(|bytes| u64::try_from(bytes).ok())
            .ok_or(io::ErrorKind::InvalidInput)?;
        rustix::fs::ftruncate(&fd, bytes)?;
        rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW)?;
        Self::map(fd, words)
    }

    /// The region behind a descriptor that [`Region::fd`] gave to another process, or a file.
    ///
    /// A file must not be truncated while it is mapped: using a word beyond its end is a fault that
    /// ends the process.
    ///
    /// # Errors
    /// What the kernel says, or that there is not a whole word in it.
    pub fn open(fd: OwnedFd) -> io::Result<Self> {
        let bytes = rustix::fs::fstat(&fd)?.st_size;
        let words = usize::try_from(bytes)
            .ok()
            .and_then(|bytes| bytes.checked_div(size_of::<AtomicU64>()))
            .ok_or(io::ErrorKind::InvalidInput)?;
        Self::map(fd, words)
    }

    fn map(fd: OwnedFd, words: usize) -> io::Result<Self> {
        let pages = Pages::shared(fd.as_fd(), words, Access::ReadWrite)?;
        Ok(Self { pages, fd })
    }

    /// The descriptor to pass to another process.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// All its words, unguarded: for readers, and for bodies that bring their own touch list.
    #[must_use]
    pub fn words(&self) -> &[AtomicU64] {
        self.pages.words()
    }

    /// The word at an index, if the region has it.
    #[must_use]
    pub fn word(&self, index: usize) -> Option<Word<'_>> {
        self.words().get(index).map(Word::new)
    }

    /// Lays out a new ring of `slots` entries from word `start` on.
    ///
    /// # Errors
    /// [`RingFault`] if it does not fit, or the number of slots is no power of two.
    pub fn create_ring(
        &self,
        start: usize,
        slots: usize,
        when_full: WhenFull,
    ) -> Result<Ring<'_>, RingFault> {
        Ring::create(self.words(), start, slots, when_full)
    }

    /// The ring that was laid out at word `start`, here or in another process.
    ///
    /// # Errors
    /// [`RingFault`] if there is none.
    pub fn open_ring(&self, start: usize) -> Result<Ring<'_>, RingFault> {
        Ring::open(self.words(), start)
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region").field("words", &self.words().len()).finish_non_exhaustive()
    }
}
