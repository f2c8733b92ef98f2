//! Reaching pages outside a transaction, so that the next one can reach them inside.
//!
//! A transaction can neither take a page fault nor let the page walker set an Accessed or Dirty bit:
//! it aborts with status 0, changes nothing, and would do so for ever.

use core::sync::atomic::{AtomicU64, Ordering};

#[cfg(any(feature = "host", target_env = "sgx"))]
use super::PAGE;

/// Writes the word's own value back to it: a real locked write, so that the page becomes dirty.
///
/// Not `fetch_or(0)`: the compiler turns that into a fence and a load, which sets no Dirty bit.
#[inline]
pub(crate) fn for_writing(word: &AtomicU64) {
    #[cfg(target_arch = "x86_64")]
    // WHY: no Rust operation is promised to become a write that changes nothing.
    // SAFETY: `word` is a valid, aligned, writable atomic; OR with 0 leaves its value.
    unsafe {
        core::arch::asm!("lock or qword ptr [{}], 0", in(reg) word.as_ptr(), options(nostack));
    }
    // Without transactions nothing needs touching; a read keeps the meaning.
    #[cfg(not(target_arch = "x86_64"))]
    for_reading(word);
}

/// Reads the word.
#[inline]
pub(crate) fn for_reading(word: &AtomicU64) {
    core::hint::black_box(word.load(Ordering::SeqCst));
}

/// Writes to the pages of the stack that a transaction may go down to.
#[cfg(any(feature = "host", target_env = "sgx"))]
#[inline(never)]
pub(crate) fn stack() {
    let mut below = [0_u8; 4 * PAGE];
    for byte in below.iter_mut().step_by(PAGE) {
        *byte = 1;
    }
    core::hint::black_box(&mut below);
}
