//! The memory of an emulated enclave, twice mapped: once as the enclave sees it, with the rights of its
//! pages, and once as the emulator does, where everything can be read and written.

use std::io;
use std::ptr;
use std::slice;
use std::sync::atomic::{AtomicU64, Ordering};

/// The emulator's mapping. It stays for the life of the process, as does the enclave.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    start: usize,
    size: usize,
}

/// Which accesses the enclave's own mapping of a page admits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rights(pub(super) libc::c_int);

impl View {
    /// Maps `size` bytes of zeros twice; returns the base of the enclave's mapping, which is aligned to
    /// its size and has no rights yet, and the view.
    pub(super) fn map(size: usize) -> io::Result<(usize, Self)> {
        // WHY: only a file without a name can be mapped twice.
        // SAFETY: the name is a string that ends in zero.
        let file = unsafe { libc::memfd_create(c"enclave".as_ptr(), libc::MFD_CLOEXEC) };
        let length = libc::off_t::try_from(size).map_err(io::Error::other)?;
        // WHY: the standard library does not own this descriptor.
        // SAFETY: no memory is passed.
        if file < 0 || unsafe { libc::ftruncate(file, length) } < 0 {
            return Err(io::Error::last_os_error());
        }
        let reserved = map(0, size * 2, libc::PROT_NONE, ANONYMOUS, -1)?;
        let base = reserved.next_multiple_of(size);
        map(base, size, libc::PROT_NONE, libc::MAP_SHARED | libc::MAP_FIXED, file)?;
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        let start = map(0, size, rights, libc::MAP_SHARED, file)?;
        Ok((base, Self { start, size }))
    }

    /// From the parts that [`Self::parts`] gave.
    pub(super) const fn of_parts((start, size): (usize, usize)) -> Self {
        Self { start, size }
    }

    pub(super) const fn parts(self) -> (usize, usize) {
        (self.start, self.size)
    }

    /// The 8 bytes at an offset that is a multiple of 8.
    pub(super) fn word(self, offset: usize) -> &'static AtomicU64 {
        self.check(offset, 8);
        assert!(offset.is_multiple_of(8), "words are aligned");
        let word = ptr::with_exposed_provenance_mut::<u64>(self.start + offset);
        // WHY: the enclave writes this memory through its own mapping, at any time.
        // SAFETY: within the mapping, which is never unmapped, aligned, and read and written by
        // atomics alone on this side.
        unsafe { AtomicU64::from_ptr(word) }
    }

    pub(super) fn load(self, offset: usize) -> u64 {
        self.word(offset).load(Ordering::Relaxed)
    }

    pub(super) fn store(self, offset: usize, value: u64) {
        self.word(offset).store(value, Ordering::Relaxed);
    }

    /// Copies bytes into the enclave.
    pub(super) fn write(self, offset: usize, bytes: &[u8]) {
        self.check(offset, bytes.len());
        let to = ptr::with_exposed_provenance_mut::<u8>(self.start + offset);
        // WHY: the destination belongs to the enclave, and to no Rust object.
        // SAFETY: within the mapping; a caller's slice cannot lie in it, as no slice is made of it.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }

    /// Copies bytes out of the enclave.
    pub(super) fn read(self, offset: usize, bytes: &mut [u8]) {
        self.check(offset, bytes.len());
        let from = ptr::with_exposed_provenance::<u8>(self.start + offset);
        // WHY: the source belongs to the enclave, and to no Rust object.
        // SAFETY: within the mapping; the destination is a slice of the caller's, outside it.
        unsafe { ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), bytes.len()) };
    }

    /// Ends the process instead of panicking: this runs in signal handlers.
    fn check(self, offset: usize, length: usize) {
        if offset.checked_add(length).is_none_or(|end| end > self.size) {
            // WHY: a panic would allocate, in a signal handler.
            // SAFETY: takes nothing.
            unsafe { libc::abort() };
        }
    }
}

/// Sets the rights of the enclave's own mapping.
pub(super) fn protect(address: usize, size: usize, rights: Rights) -> io::Result<()> {
    let start = ptr::with_exposed_provenance_mut(address);
    // WHY: rights of pages are the kernel's to change.
    // SAFETY: the pages are of an enclave that is being loaded: no Rust object lies in them.
    let result = unsafe { libc::mprotect(start, size, rights.0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Memory outside the enclave that an instruction names: exactly what the CPU would access there.
pub(super) fn bytes_at<'a>(address: u64, length: usize) -> Option<&'a [u8]> {
    let start = ptr::with_exposed_provenance::<u8>(usize::try_from(address).ok()?);
    // WHY: operands of ENCLU are addresses.
    // SAFETY: as sound as the enclave's own instruction: an address that is not mapped faults here as
    // it would there. The bytes are copied before the enclave runs again.
    (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start, length) })
}

/// Writes what an instruction writes to memory that it names.
pub(super) fn write_at(address: u64, bytes: &[u8]) -> Option<()> {
    let to = ptr::with_exposed_provenance_mut::<u8>(usize::try_from(address).ok()?);
    if to.is_null() {
        return None;
    }
    // WHY: operands of ENCLU are addresses.
    // SAFETY: as sound as the enclave's own instruction, which names this memory to be written.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    Some(())
}

const ANONYMOUS: libc::c_int = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;

fn map(
    at: usize,
    size: usize,
    rights: libc::c_int,
    flags: libc::c_int,
    file: libc::c_int,
) -> io::Result<usize> {
    let at = ptr::with_exposed_provenance_mut(at);
    // WHY: mappings are the kernel's to make.
    // SAFETY: fixed only over a range that was reserved here before.
    let start = unsafe { libc::mmap(at, size, rights, flags, file, 0) };
    if start == libc::MAP_FAILED {
        Err(io::Error::last_os_error())
    } else {
        Ok(start.expose_provenance())
    }
}
