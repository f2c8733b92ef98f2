//! Memory of the host, as an enclave sees it.

use core::sync::atomic::AtomicU64;

use super::Word;
use crate::arch;

/// Words outside of the enclave, at an address that the host names: where effects become visible to
/// others.
///
/// Nothing in it can be believed: the host writes there as it likes. What a commit promises is that
/// the enclave's own stores become visible only while its lease is valid.
#[derive(Debug, Clone, Copy)]
pub struct HostMemory(&'static [AtomicU64]);

impl HostMemory {
    /// The words from an address on; `None` if they are not aligned, or not wholly outside.
    #[must_use]
    pub fn at(address: usize, words: usize) -> Option<Self> {
        arch::host_words(address, words).map(Self)
    }

    /// All of them.
    #[must_use]
    pub const fn words(&self) -> &'static [AtomicU64] {
        self.0
    }

    /// The word at an index, if there is one.
    #[must_use]
    pub fn word(&self, index: usize) -> Option<Word<'static>> {
        self.0.get(index).map(Word::new)
    }
}
