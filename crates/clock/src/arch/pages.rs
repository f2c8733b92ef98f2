//! Mapped pages, seen as atomic words.

use core::ptr::{self, NonNull};
use core::sync::atomic::AtomicU64;
use std::io;
use std::os::fd::BorrowedFd;

use rustix::mm::{Advice, MapFlags, ProtFlags};

use super::PAGE;

/// Words in a page.
pub(crate) const PAGE_WORDS: usize = PAGE / size_of::<AtomicU64>();

/// A mapping, unmapped when dropped.
#[derive(Debug)]
pub(crate) struct Pages {
    base: NonNull<AtomicU64>,
    words: usize,
    bytes: usize,
}

// WHY: the raw pointer makes the type neither `Send` nor `Sync`.
// SAFETY: the memory behind it is only ever reached as `AtomicU64`, through `words`.
unsafe impl Send for Pages {}
// WHY: as above.
// SAFETY: as above.
unsafe impl Sync for Pages {}

impl Pages {
    /// Private zeroed pages that a forked child sees as zeroes again.
    pub(crate) fn wiped_on_fork(words: usize) -> io::Result<Self> {
        let bytes = page_bytes(words)?;
        // WHY: no safe wrapper maps memory.
        // SAFETY: a null hint and no MAP_FIXED, so no existing mapping is touched.
        let base = unsafe {
            rustix::mm::mmap_anonymous(
                ptr::null_mut(),
                bytes,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
        }?;
        let pages = Self::new(base, words, bytes)?;
        // WHY: no safe wrapper advises the kernel.
        // SAFETY: exactly the pages mapped above, to which no reference exists yet; the advice only
        // changes what a future child finds there: zeroes, which are valid `AtomicU64`s.
        unsafe { rustix::mm::madvise(base, bytes, Advice::LinuxWipeOnFork) }?;
        Ok(pages)
    }

    /// The first `words` words of a file or device, shared with whoever else maps it.
    pub(crate) fn shared(fd: BorrowedFd<'_>, words: usize, access: Access) -> io::Result<Self> {
        let bytes = page_bytes(words)?;
        let protection = match access {
            Access::ReadWrite => ProtFlags::READ | ProtFlags::WRITE,
            Access::ReadOnly => ProtFlags::READ,
        };
        // WHY: no safe wrapper maps memory.
        // SAFETY: a null hint and no MAP_FIXED, so no existing mapping is touched. Others may change
        // the bytes at any time, which is why they are only reached as atomics.
        let base = unsafe {
            rustix::mm::mmap(ptr::null_mut(), bytes, protection, MapFlags::SHARED, fd, 0)
        }?;
        Self::new(base, words, bytes)
    }

    fn new(base: *mut core::ffi::c_void, words: usize, bytes: usize) -> io::Result<Self> {
        let base = NonNull::new(base.cast::<AtomicU64>())
            .ok_or_else(|| io::Error::other("the kernel mapped page zero"))?;
        Ok(Self { base, words, bytes })
    }

    /// The words. Storing to pages mapped [`Access::ReadOnly`] is a fault, so their owner must not.
    #[inline]
    pub(crate) fn words(&self) -> &[AtomicU64] {
        // WHY: the mapping has no type.
        // SAFETY: `base` is page-aligned, mapped for `bytes >= words * 8` until `self` is dropped,
        // readable, and any bit pattern is an `AtomicU64`.
        unsafe { core::slice::from_raw_parts(self.base.as_ptr(), self.words) }
    }

    /// The words, mapped until the process ends.
    pub(crate) fn leak(self) -> &'static [AtomicU64] {
        let pages: &'static Self = Box::leak(Box::new(self));
        pages.words()
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // WHY: no safe wrapper unmaps memory.
        // SAFETY: the range mapped in the constructor, once; `words` borrows `self`, so no reference
        // into it is left.
        let unmapped = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.bytes) };
        debug_assert!(unmapped.is_ok(), "unmapping our own pages: {unmapped:?}");
    }
}

/// Whether a mapping is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    ReadWrite,
    ReadOnly,
}

fn page_bytes(words: usize) -> io::Result<usize> {
    words
        .checked_mul(size_of::<AtomicU64>())
        .and_then(|bytes| bytes.checked_next_multiple_of(PAGE))
        .filter(|bytes| *bytes > 0 && isize::try_from(*bytes).is_ok())
        .ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "no mapping has that many words")
        })
}
