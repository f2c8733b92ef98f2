//! The gate of the profiles `enclave*`: how a transaction ends that reads the counter, in a thread that was
//! not interrupted since its handshake.

use core::arch::asm;
use core::marker::PhantomData;
use core::mem::offset_of;
use core::sync::atomic::AtomicU64;

use tlease_core::time::{Segment, Ticks};

use super::rtm::Tail;
use crate::arch::{Marks, counter, touch};
use crate::enclave::Stretch;
use crate::guard::status::Verdict;
use crate::lease::record::{DEADLINE, RECORD_WORDS, SEGMENT, STATE};

/// What a transaction must find to be let through.
#[repr(C)]
pub(crate) struct StayGate<'a> {
    record: &'a [AtomicU64; RECORD_WORDS],
    /// The state word of the lease that acts.
    word: u64,
    segment: u64,
    marks: [MarkWord; MARKS],
    /// The counter's readings between which the stretch reads.
    begins: u64,
    ends: u64,
    /// A reading of the counter, and the upper bound of the fast hand at it.
    own: u64,
    hand: u64,
    /// Added to the hand before it is compared with the deadline, in ticks.
    margin: u64,
    modes: u64,
    /// The marks are the calling thread's, and stay armed or lost as long as this borrows them.
    borrows: PhantomData<&'a Marks>,
}

/// A word of a thread's marks, and what it holds while nothing has interrupted the thread.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct MarkWord {
    pub(crate) address: *const u64,
    pub(crate) armed: u64,
}

/// How many words tell: in SGX two, outside one, which is then tested twice.
pub(crate) const MARKS: usize = 2;

/// How a commit is compared with its deadline.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StayMargin {
    /// Ticks of the counter by which the deadline is brought forward.
    pub(crate) ticks: u64,
    /// Make the body's stores visible before the counter is read.
    pub(crate) strict: bool,
}

const MODE_STRICT: u64 = 1;
/// As the assembly below has it.
#[cfg(feature = "mutants")]
const MODE_UNFENCED: u64 = 2;

impl<'a> StayGate<'a> {
    #[inline]
    pub(crate) fn new(
        record: &'a [AtomicU64; RECORD_WORDS],
        word: u64,
        marks: &'a Marks,
        stretch: &Stretch,
        margin: StayMargin,
    ) -> Self {
        let (Segment(segment), ahead) = (stretch.segment(), stretch.ahead());
        Self {
            record,
            word,
            segment,
            marks: marks.words(),
            begins: stretch.begins().0,
            ends: stretch.ends().0,
            own: ahead.own.0,
            hand: ahead.hand.0,
            margin: margin.ticks,
            modes: if margin.strict { MODE_STRICT } else { 0 },
            borrows: PhantomData,
        }
    }
}

#[cfg(feature = "mutants")]
impl StayGate<'_> {
    /// Has the tests of the marks find what they look for.
    pub(crate) fn ignore_marks(&mut self) {
        static KEPT: u64 = 1;
        self.marks = [MarkWord { address: &raw const KEPT, armed: KEPT }; MARKS];
    }

    /// Has the counter read without its fence.
    pub(crate) fn skip_fence(&mut self) {
        self.modes |= MODE_UNFENCED;
    }
}

/// What the counter is read behind.
#[cfg(not(feature = "mutants"))]
macro_rules! fence {
    () => {
        "lfence"
    };
}

/// The same, unless a test planted that it is not.
#[cfg(feature = "mutants")]
macro_rules! fence {
    () => {
        "test qword ptr [r12 + {modes}], 2\njnz 4f\nlfence\n4:"
    };
}

impl Tail for StayGate<'_> {
    #[inline(always)]
    unsafe fn end(&mut self) -> Ticks {
        // WHY: its assembly ends a transaction.
        // SAFETY: the caller is inside one.
        unsafe { tail(self) }
    }

    /// The marks need none: looking at them outside, before the commit, has reached their pages, and a
    /// commit whose mark is lost is refused in any case.
    fn touch(&mut self) {
        for word in self.record {
            touch::for_reading(word);
        }
        core::hint::black_box(counter());
    }
}

/// Bytes of an atomic word.
const WORD: usize = size_of::<AtomicU64>();

/// Counter, state, segment, marks, stretch, deadline, XEND: one block, so that nothing is scheduled
/// between. Returns the fast hand's upper bound that was let through.
///
/// All that the tests read is in the transaction's read set, hence of one instant: a mark that is lost
/// after it was read here is lost by an interruption, and that aborts. The counter is read after the
/// body, by an LFENCE that waits until the body has executed, in strict mode after an MFENCE that waits
/// until its stores have their cache lines.
///
/// # Safety
/// As [`Tail::end`].
#[inline(always)]
unsafe fn tail(gate: &mut StayGate<'_>) -> Ticks {
    let now: u64;
    // WHY: as one block, since the compiler may move code between two of them.
    // SAFETY: inside a transaction, as the caller promises, so XEND and XABORT cannot fault. All
    // addresses come from references that `gate` borrows: the record's, and the marks', which are
    // aligned words of the calling thread that stay mapped while it lives.
    unsafe {
        asm!(
            "test qword ptr [r12 + {modes}], {STRICT}", "jz 3f", "mfence",
            "3:", fence!(), "rdtsc", "shl rdx, 32", "or rax, rdx",
            // Revoked?
            "mov rdx, [r12 + {record}]", "mov rcx, [r12 + {word}]",
            "cmp [rdx + {STATE}], rcx", "jne 23f",
            // Of another segment?
            "mov rcx, [r12 + {segment}]", "cmp [rdx + {SEGMENT}], rcx", "jne 22f",
            // Interrupted since the handshake?
            "mov rsi, [r12 + {marks}]", "mov rcx, [r12 + {marks} + 8]",
            "cmp [rsi], rcx", "jne 22f",
            "mov rsi, [r12 + {marks} + 16]", "mov rcx, [r12 + {marks} + 24]",
            "cmp [rsi], rcx", "jne 22f",
            // Before the handshake, or beyond its reach?
            "cmp rax, [r12 + {begins}]", "jb 22f", "cmp rax, [r12 + {ends}]", "jae 22f",
            // Before the deadline, by the margin?
            "sub rax, [r12 + {own}]", "add rax, [r12 + {hand}]",
            "mov rcx, rax", "add rcx, [r12 + {margin}]", "jc 21f",
            "cmp rcx, [rdx + {DEADLINE}]", "jae 21f",
            "xend", "jmp 25f",
            "21: xabort {EXPIRED}", "22: xabort {SUSPECT}", "23: xabort {REVOKED}",
            "25:",
            in("r12") gate, out("rax") now, out("rcx") _, out("rdx") _, out("rsi") _,
            record = const offset_of!(StayGate<'_>, record),
            word = const offset_of!(StayGate<'_>, word),
            segment = const offset_of!(StayGate<'_>, segment),
            marks = const offset_of!(StayGate<'_>, marks),
            begins = const offset_of!(StayGate<'_>, begins),
            ends = const offset_of!(StayGate<'_>, ends),
            own = const offset_of!(StayGate<'_>, own), hand = const offset_of!(StayGate<'_>, hand),
            margin = const offset_of!(StayGate<'_>, margin),
            modes = const offset_of!(StayGate<'_>, modes),
            STATE = const STATE * WORD, SEGMENT = const SEGMENT * WORD,
            DEADLINE = const DEADLINE * WORD, STRICT = const MODE_STRICT,
            EXPIRED = const Verdict::Expired.code(), SUSPECT = const Verdict::Suspect.code(),
            REVOKED = const Verdict::Revoked.code(),
            options(nostack),
        );
    }
    Ticks(now)
}
