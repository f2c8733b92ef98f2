//! Restartable sequences: the area that libc registered for this thread.

use core::arch::asm;
use core::ffi::CStr;
use core::sync::atomic::{Ordering, compiler_fence};

use super::stay_gate::MarkWord;

/// Where each thread's rseq area is, relative to its thread pointer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rseq {
    offset: isize,
}

impl Rseq {
    /// The registration that libc made (glibc from 2.35 on), if it made one.
    ///
    /// Looked up by name: a libc without restartable sequences must still link.
    pub(crate) fn find() -> Option<Self> {
        let size = symbol::<u32>(c"__rseq_size")?;
        let offset = symbol::<isize>(c"__rseq_offset")?;
        (size >= AREA_BYTES_MIN).then_some(Self { offset })
    }

    /// This thread's `rseq_cs` word: the address of the descriptor of a running sequence.
    #[inline]
    fn descriptor_word(self) -> *mut u64 {
        let thread: *mut u8;
        // WHY: Rust has no name for the thread pointer.
        // SAFETY: the x86-64 ABI keeps the thread pointer at FS:0; reading it changes nothing.
        unsafe {
            asm!("mov {}, fs:0", out(reg) thread, options(nostack, readonly, preserves_flags));
        }
        let area = thread.wrapping_offset(self.offset);
        area.wrapping_add(RSEQ_CS).cast()
    }
}

/// "Not preempted, migrated or signalled since armed", of one thread.
///
/// The word that the kernel clears when one of these happens outside a sequence. Plain interrupts and
/// what a hypervisor does it does not see, and newer kernels may leave it alone across a system call.
/// Other code of the process that uses restartable sequences overwrites it, which counts as lost.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Mark {
    /// Of the thread that armed it: a raw pointer, so that the type is not `Send`.
    descriptor_word: *mut u64,
}

impl Mark {
    #[inline]
    pub(crate) fn arm(rseq: Rseq) -> Self {
        let mut mark = Self { descriptor_word: rseq.descriptor_word() };
        mark.rearm();
        mark
    }

    /// Begins anew.
    #[inline]
    pub(crate) fn rearm(&mut self) {
        // WHY: the kernel's interface is a word in memory that libc owns.
        // SAFETY: the calling thread's own registered area (`Mark` is not `Send`), mapped and aligned
        // while it lives. The descriptor is a valid `struct rseq_cs` of version 0 whose range and
        // abort address lie in this object's text, with the signature that libc registered before
        // the abort address.
        unsafe { self.descriptor_word.write_volatile(descriptor()) };
        // The kernel clears the word from outside; what follows must not be moved above the store.
        compiler_fence(Ordering::SeqCst);
    }

    /// Whether nothing has cleared it.
    #[inline]
    pub(crate) fn is_armed(&self) -> bool {
        // WHY: the kernel's interface is a word in memory that libc owns.
        // SAFETY: as in `rearm`.
        unsafe { self.descriptor_word.read_volatile() == descriptor() }
    }

    /// The word, and what it holds while armed.
    #[inline]
    pub(super) fn word(&self) -> MarkWord {
        MarkWord { address: self.descriptor_word, armed: descriptor() }
    }

    /// Clears it, as the kernel does.
    pub(super) fn lose(&mut self) {
        // WHY: the kernel's interface is a word in memory that libc owns.
        // SAFETY: as in `rearm`; 0 means that no sequence is running.
        unsafe { self.descriptor_word.write_volatile(0) };
    }
}

impl Drop for Mark {
    /// Leaves nothing of ours in libc's area.
    fn drop(&mut self) {
        self.lose();
    }
}

/// The address of the descriptor of the one sequence there is.
fn descriptor() -> u64 {
    let descriptor = &raw const tlease_publish_cs;
    // Widens: addresses have 64 bits here.
    u64::try_from(descriptor.expose_provenance()).unwrap_or(0)
}

// WHY: the descriptor is written in assembly, beside the sequence that it describes.
// SAFETY: declared as `publish.rs` defines it; only its address is used.
unsafe extern "C" {
    static tlease_publish_cs: u64;
}

/// Offset of `rseq_cs` in `struct rseq` of `linux/rseq.h`.
const RSEQ_CS: usize = 8;
/// The area up to `flags`: what the first version of the interface had.
const AREA_BYTES_MIN: u32 = 20;

/// The value of a constant that libc exports.
fn symbol<T: Copy>(name: &CStr) -> Option<T> {
    // WHY: dlsym has no safe wrapper without a dependency.
    // SAFETY: a NUL-terminated name; RTLD_DEFAULT searches the objects loaded at start.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    if found.is_null() {
        return None;
    }
    // WHY: a symbol found by name has no Rust type.
    // SAFETY: glibc's `__rseq_offset` is a `ptrdiff_t` and `__rseq_size` an `unsigned int`, both
    // constant after start-up; the caller names the matching type.
    Some(unsafe { found.cast::<T>().read() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_stays_armed_when_nothing_happens_and_can_be_armed_again() {
        let Some(rseq) = Rseq::find() else {
            println!("skipped: no restartable sequences");
            return;
        };
        let mut mark = Mark::arm(rseq);
        // A chance preemption clears it; not each time.
        assert!((0..1_000).any(|_| {
            mark.rearm();
            mark.is_armed()
        }));
        let sleep = rustix::thread::Timespec { tv_sec: 0, tv_nsec: 1_000 };
        assert!((0..1_000).any(|_| {
            mark.rearm();
            let _ = rustix::thread::nanosleep(&sleep);
            mark.rearm();
            mark.is_armed()
        }));
    }
}
