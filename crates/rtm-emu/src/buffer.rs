//! What a transaction has read and written: the words stay as they were in memory until it commits.

use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::context::low_mask;
use crate::kernel;

/// The read and the write set, by aligned words of eight bytes.
#[derive(Debug)]
pub(crate) struct Buffer {
    words: [Word; WORDS_MAX],
    used: usize,
}

#[derive(Debug, Clone, Copy)]
struct Word {
    address: usize,
    /// What memory showed when the transaction first came here, and must still show when it commits.
    seen: u64,
    /// What the transaction sees here.
    value: u64,
    /// The bits that it has written.
    written: u64,
    /// Whether `value` lies in memory just now, for one instruction.
    laid: bool,
}

/// Why a word cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unusable {
    Unmapped,
    TooMany,
}

impl Buffer {
    pub(crate) const EMPTY: Self = Self {
        words: [Word { address: 0, seen: 0, value: 0, written: 0, laid: false }; WORDS_MAX],
        used: 0,
    };

    pub(crate) fn clear(&mut self) {
        self.used = 0;
    }

    /// Lets the next instruction use `len` bytes at `address` on the processor: what the transaction
    /// wrote there is laid into memory until [`Buffer::take_back`].
    pub(crate) fn lay(&mut self, address: usize, len: usize, writes: bool) -> Result<(), Unusable> {
        let end = address.saturating_add(len);
        let mut at = address & !7;
        while at < end {
            let from = address.max(at) - at;
            let to = end.min(at.saturating_add(8)) - at;
            let word = self.word(at)?;
            if writes {
                word.written |= low_mask(to) & !low_mask(from);
            }
            if word.written != 0 {
                store(at, word.value, word.written);
                word.laid = true;
            }
            at = at.saturating_add(8);
        }
        Ok(())
    }

    /// Takes what the last instruction wrote out of memory again.
    pub(crate) fn take_back(&mut self) {
        for word in self.words.iter_mut().take(self.used).filter(|word| word.laid) {
            word.value = load(word.address);
            store(word.address, word.seen, word.written);
            word.laid = false;
        }
    }

    /// What the transaction sees in an aligned word.
    pub(crate) fn read(&mut self, address: usize) -> Result<u64, Unusable> {
        self.word(address).map(|word| word.value)
    }

    /// Writes the low `len` bytes of `value` at `address`, all within one aligned word.
    pub(crate) fn write(&mut self, address: usize, len: usize, value: u64) -> Result<(), Unusable> {
        let shift = u32::try_from((address & 7) * 8).unwrap_or(0);
        let bits = low_mask(len) << shift;
        let word = self.word(address & !7)?;
        word.value = word.value & !bits | (value << shift) & bits;
        word.written |= bits;
        Ok(())
    }

    /// Forgets a part of the stack that is no longer in use: signals are handled on it.
    pub(crate) fn forget(&mut self, range: core::ops::Range<usize>) {
        let mut at = 0;
        while at < self.used {
            if range.contains(&self.words[at].address) {
                self.used -= 1;
                self.words[at] = self.words[self.used];
            } else {
                at += 1;
            }
        }
    }

    /// Whether nobody else has changed what the transaction has read or written.
    pub(crate) fn is_undisturbed(&self) -> bool {
        self.words.iter().take(self.used).all(|word| load(word.address) == word.seen)
    }

    /// Makes the writes visible.
    pub(crate) fn apply(&self) {
        for word in self.words.iter().take(self.used).filter(|word| word.written != 0) {
            store(word.address, word.value, word.written);
        }
    }

    fn word(&mut self, address: usize) -> Result<&mut Word, Unusable> {
        let known = self.words.iter().take(self.used).position(|word| word.address == address);
        let at = match known {
            Some(at) => at,
            None => {
                if !kernel::is_readable(address) {
                    return Err(Unusable::Unmapped);
                }
                let seen = load(address);
                let slot = self.words.get_mut(self.used).ok_or(Unusable::TooMany)?;
                *slot = Word { address, seen, value: seen, written: 0, laid: false };
                self.used += 1;
                self.used - 1
            }
        };
        self.words.get_mut(at).ok_or(Unusable::TooMany)
    }
}

fn load(address: usize) -> u64 {
    let word = ptr::with_exposed_provenance_mut::<u64>(address);
    // WHY: the memory of the interrupted code has no Rust name here.
    // SAFETY: aligned to 8, and readable: the kernel was asked before it came into the buffer. Other threads may
    // write it, hence atomic.
    unsafe { AtomicU64::from_ptr(word) }.load(Ordering::SeqCst)
}

/// Stores the bits `mask` of `value`: as one word if it is whole, else byte by byte.
fn store(address: usize, value: u64, mask: u64) {
    if mask == u64::MAX {
        let word = ptr::with_exposed_provenance_mut::<u64>(address);
        // WHY: as above.
        // SAFETY: aligned to 8; the interrupted code is about to write it, or has, so where it is not
        // writable a fault here is the fault that it would have had.
        unsafe { AtomicU64::from_ptr(word) }.store(value, Ordering::SeqCst);
        return;
    }
    for (at, (byte, mask)) in value.to_le_bytes().into_iter().zip(mask.to_le_bytes()).enumerate() {
        if mask != 0 {
            let at = ptr::with_exposed_provenance_mut::<u8>(address.wrapping_add(at));
            // WHY: as above.
            // SAFETY: as above, for one byte of that word.
            unsafe { at.write_volatile(byte) };
        }
    }
}

/// Larger than any body of the guard; a processor's limit is its first-level cache.
const WORDS_MAX: usize = 1_024;
