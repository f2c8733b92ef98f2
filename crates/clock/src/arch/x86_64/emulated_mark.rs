//! A mark that a test wipes, for transactions in software.

use core::cell::Cell;
use core::sync::atomic::{AtomicU64, Ordering};

use super::stay_gate::MarkWord;

/// The mark of a thread whose transactions are emulated: only [`EmulatedMark::exit`] wipes it.
///
/// An emulator of transactions works by signals, each of which clears the kernel's mark, so that no
/// commit in a stay would ever go through. This word stands in for it, and a test says when an exit
/// happens. The interruptions of this machine itself are not seen; none of them moves the counter.
#[derive(Debug, Clone, Copy)]
pub struct EmulatedMark(&'static AtomicU64);

impl EmulatedMark {
    /// Has the marks that are claimed on this thread from here on be such a word: always the same.
    #[must_use]
    pub fn assume_here() -> Self {
        let fresh = || Self(Box::leak(Box::new(AtomicU64::new(WIPED))));
        let mark = HERE.get().unwrap_or_else(fresh);
        HERE.set(Some(mark));
        mark
    }

    /// What an exit of that thread does. From any thread, and from a signal handler.
    pub fn exit(self) {
        self.0.store(WIPED, Ordering::SeqCst);
    }

    /// Takes an exit back, for a test that knows that nothing happened in it.
    pub fn put_back(self) {
        self.0.store(ARMED, Ordering::SeqCst);
    }

    /// The one of this thread, if a test made one.
    pub(super) fn here() -> Option<Self> {
        HERE.get()
    }

    pub(super) fn is_armed(self) -> bool {
        self.0.load(Ordering::SeqCst) == ARMED
    }

    /// The word, and what it holds while armed.
    pub(super) fn word(self) -> MarkWord {
        MarkWord { address: self.0.as_ptr(), armed: ARMED }
    }
}

std::thread_local! {
    static HERE: Cell<Option<EmulatedMark>> = const { Cell::new(None) };
}

const WIPED: u64 = 0;
const ARMED: u64 = u64::from_be_bytes(*b"TL-STAY?");
