//! The mark that a voluntary exit wipes: a word of the run time's thread-local page.
//!
//! EEXIT writes nothing, so the save area does not tell that a thread left for a call to the host,
//! however long the host kept it. The target's run time does: `usercall` notes the stack pointer in
//! `tcsls_last_rsp` before EEXIT, and the entry code clears that word when the thread returns. A mark
//! of ours in that word, which is otherwise zero inside, is lost by every call to the host.
//!
//! The word is an internal of the target's run time, so a self-test proves on each thread that a
//! call wipes it; and the mark is a pointer to a stack of its own, since the entry code would follow
//! it if a thread ever left with the mark armed: it then ends the enclave.

use core::arch::{asm, naked_asm};
use core::sync::atomic::{AtomicU64, Ordering};
use std::boxed::Box;

use super::{LOCAL_BEFORE_TCS, tcs, words};
use crate::arch::MarkWord;

/// The mark's word in the calling thread's local page, and what it holds while armed.
#[derive(Debug, Clone, Copy)]
pub(super) struct HostCallMark {
    word: &'static AtomicU64,
    armed: u64,
}

impl HostCallMark {
    /// Finds the calling thread's word, and proves that a call to the host wipes it.
    ///
    /// `None` if it is not where this run time has it.
    pub(super) fn find() -> Option<Self> {
        let local = words::<LOCAL_WORDS>(tcs().wrapping_sub(LOCAL_BEFORE_TCS))?;
        let word = &local[LAST_RSP];
        if last_rsp() != 0 || word.load(Ordering::SeqCst) != 0 {
            return None;
        }
        let mark = Self { word, armed: landing() };
        mark.arm();
        let same = last_rsp() == mark.armed;
        std::thread::yield_now(); // the cheapest call: `wait` for no event
        let wiped = last_rsp() == 0 && !mark.is_armed();
        mark.disarm();
        (same && wiped).then_some(mark)
    }

    #[inline]
    pub(super) fn arm(self) {
        self.word.store(self.armed, Ordering::SeqCst);
    }

    #[inline]
    pub(super) fn disarm(self) {
        self.word.store(0, Ordering::SeqCst);
    }

    /// The word, and what it holds while armed.
    #[inline]
    pub(super) fn word(self) -> MarkWord {
        MarkWord { address: self.word.as_ptr(), armed: self.armed }
    }

    #[inline]
    pub(super) fn is_armed(self) -> bool {
        self.word.load(Ordering::SeqCst) == self.armed
    }
}

/// The word as the entry code reads it.
fn last_rsp() -> u64 {
    let value: u64;
    // WHY: the run time's thread-local page is reached through GS, which Rust cannot name.
    // SAFETY: GS:10h is a mapped word of this thread's own page: the entry code uses it at each
    // entry. Reads it, touches nothing else.
    unsafe {
        asm!(
            "mov {}, gs:[{LAST_RSP_BYTES}]",
            out(reg) value,
            LAST_RSP_BYTES = const LAST_RSP * 8,
            options(nostack, readonly, preserves_flags),
        );
    }
    value
}

/// A stack for an entry code that takes the mark for what it usually keeps in the word. One for each
/// thread that has marks, never freed, since the word may still name it.
fn landing() -> u64 {
    let stack: &'static mut Landing = Box::leak(Box::new(Landing([0; LANDING_WORDS])));
    let frame = &mut stack.0[LANDING_WORDS - FRAME_WORDS..];
    frame[0] = MXCSR_FCW;
    #[expect(clippy::as_conversions, reason = "a function's address")]
    let landed = landed as *const () as usize;
    frame[RETURN] = u64::try_from(landed).expect("an address has 64 bits");
    u64::try_from(frame.as_ptr().expose_provenance()).expect("an address has 64 bits")
}

#[repr(C, align(16))]
struct Landing([u64; LANDING_WORDS]);

/// A thread came in where no thread can come in: the enclave ends here.
#[unsafe(naked)]
extern "C" fn landed() -> ! {
    // WHY: nothing may run that relies on the stack.
    // SAFETY: UD2 touches nothing; the thread never gets past it.
    naked_asm!("2: ud2", "jmp 2b")
}

/// The word is `tcsls_last_rsp` (std's `sys/pal/sgx/abi/entry.S`).
const LAST_RSP: usize = 2;
const LOCAL_WORDS: usize = 16;
/// What `.Lusercall_ret` pops: MXCSR with the FPU's control word, six registers, where to return.
const FRAME_WORDS: usize = 8;
const RETURN: usize = 7;
const MXCSR_FCW: u64 = 0x1fbf | 0x37f << 32;
/// Two pages: the entry code, or its abort path, uses some hundred bytes of it.
const LANDING_WORDS: usize = 1024;
