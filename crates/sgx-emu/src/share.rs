//! A page outside of every enclave: what enclaves do becomes visible there, and judges look.
//!
//! It is a file that every process maps, so that its order of entries is the truth for all.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// The mapping, which stays for the life of the process.
#[derive(Debug, Clone, Copy)]
pub struct Share {
    start: usize,
}

impl Share {
    /// Bytes of the file.
    pub const SIZE: usize = 1 << 20;

    /// Maps the file, which is made if it is not there.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path)?;
        file.set_len(Self::SIZE as u64)?;
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        // WHY: shared memory is the kernel's to map.
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start = unsafe {
            libc::mmap(ptr::null_mut(), Self::SIZE, rights, libc::MAP_SHARED, file.as_raw_fd(), 0)
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { start: start.expose_provenance() })
    }

    /// Where it lies in this process.
    #[must_use]
    pub fn address(&self) -> usize {
        self.start
    }

    /// A word of it.
    ///
    /// # Panics
    /// If it has fewer.
    #[must_use]
    pub fn word(&self, index: usize) -> &'static AtomicU64 {
        assert!(index < Self::SIZE / 8, "the page has that many words");
        let word = ptr::with_exposed_provenance_mut(self.start + index * 8);
        // WHY: others write it through mappings of their own.
        // SAFETY: within the mapping, which is never unmapped, aligned, and accessed by atomics.
        unsafe { AtomicU64::from_ptr(word) }
    }

    /// Reads a word.
    #[must_use]
    pub fn load(&self, index: usize) -> u64 {
        self.word(index).load(SeqCst)
    }
}
