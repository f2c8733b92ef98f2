//! The gate of the profile `host`: how a transaction ends that reads the kernel's clocks.
//!
//! The assembly reads its addresses from a [`Gate`] on the caller's stack. Nothing in it goes through the
//! global offset table, whose page nothing else would touch.

use core::arch::asm;
use core::mem::{MaybeUninit, offset_of};
use core::sync::atomic::AtomicU64;

use tlease_core::time::Ticks;

use super::rtm::Tail;
use crate::arch::clocks::{KernelClock, NANOS};
use crate::arch::touch;
use crate::arch::vdso::{ClockGettime, Timespec};
use crate::guard::status::Verdict;
use crate::host::live::LiveSegment;
use crate::lease::record::{DEADLINE, RECORD_WORDS, SEGMENT, STATE};
use crate::segment::OFFSET_BLUR;

/// What a transaction must find to be let through, and what it notes.
#[repr(C)]
pub(crate) struct Gate<'a> {
    record: &'a [AtomicU64; RECORD_WORDS],
    live: &'a LiveSegment,
    /// The state word of the lease that acts.
    word: u64,
    /// VMClock's markers; without the device, the very words they are compared with.
    disruption: &'a AtomicU64,
    generation: &'a AtomicU64,
    clock_gettime: ClockGettime,
    margin: u64,
    modes: u64,
    /// Written by the transaction, and read by it alone.
    monotonic: MaybeUninit<Timespec>,
    boot: MaybeUninit<Timespec>,
    raw: MaybeUninit<Timespec>,
}

/// How a gate reads the clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GateClocks<'a> {
    pub(crate) clock_gettime: ClockGettime,
    pub(crate) live: &'a LiveSegment,
    pub(crate) disruption: &'a AtomicU64,
    pub(crate) generation: &'a AtomicU64,
    /// Added to the clock before it is compared with the deadline, in ns.
    pub(crate) margin: u64,
    /// Compare the clock offset with the segment's.
    pub(crate) watch_suspends: bool,
    /// Make the body's stores visible before the clock is read.
    pub(crate) strict: bool,
}

const MODE_STRICT: u64 = 1;
const MODE_NO_SUSPENDS: u64 = 2;

impl<'a> Gate<'a> {
    pub(crate) fn new(
        clocks: &GateClocks<'a>,
        record: &'a [AtomicU64; RECORD_WORDS],
        word: u64,
    ) -> Self {
        let strict = if clocks.strict { MODE_STRICT } else { 0 };
        let suspends = if clocks.watch_suspends { 0 } else { MODE_NO_SUSPENDS };
        Self {
            record,
            live: clocks.live,
            word,
            disruption: clocks.disruption,
            generation: clocks.generation,
            clock_gettime: clocks.clock_gettime,
            margin: clocks.margin,
            modes: strict | suspends,
            monotonic: MaybeUninit::uninit(),
            boot: MaybeUninit::uninit(),
            raw: MaybeUninit::uninit(),
        }
    }
}

impl Tail for Gate<'_> {
    #[inline(always)]
    unsafe fn end(&mut self) -> Ticks {
        // WHY: its assembly ends a transaction.
        // SAFETY: the caller is inside one.
        unsafe { tail(self) }
    }

    /// Clocks and their data, markers, live segment, record.
    fn touch(&mut self) {
        for clock in [KernelClock::Monotonic, KernelClock::Raw, KernelClock::Boot] {
            (self.clock_gettime)(clock.number(), self.raw.write(Timespec::default()));
        }
        for word in [self.disruption, self.generation, self.live.segment()] {
            touch::for_reading(word);
        }
        for word in self.record {
            touch::for_reading(word);
        }
    }
}

/// Assembly that calls the kernel's `clock_gettime` for one clock, into one of the gate's fields.
macro_rules! read_clock {
    ($clock:literal, $field:literal) => {
        concat!(
            "mov edi, {",
            $clock,
            "}\n",
            "lea rsi, [r12 + {",
            $field,
            "}]\n",
            "call qword ptr [r12 + {clock_gettime}]\n",
            "test eax, eax\n",
            "jnz 24f",
        )
    };
}

/// Bytes of an atomic word.
const WORD: usize = size_of::<AtomicU64>();

/// Clocks, state, segment, markers, deadline, XEND: one block, so that nothing is scheduled between.
/// Returns the clock reading that was let through.
///
/// For safety the order of the tests does not matter: all that they read is in the transaction's read
/// set, hence of one instant. What matters is that the clock is read after the body, by an LFENCE that
/// waits until the body has executed, in strict mode after an MFENCE that waits until its stores have
/// their cache lines. The tests come after the clock because there they cost nothing: they execute
/// while the counter is being read.
///
/// `BOOTTIME - MONOTONIC`, the later clock first, is an upper bound of the clocks' offset. A suspend
/// cannot fall between the reads: it would abort.
///
/// # Safety
/// As [`Tail::end`].
#[inline(always)]
unsafe fn tail(gate: &mut Gate<'_>) -> Ticks {
    let now: u64;
    // WHY: as one block, since the compiler may move code between two of them.
    // SAFETY: inside a transaction, as the caller promises, so XEND and XABORT cannot fault. All addresses come from the references and the function pointer of `gate`, valid
    // while it is borrowed; R12 survives the calls, which follow the C ABI named by `clobber_abi` on
    // a stack that the compiler aligned (no `nostack`).
    unsafe {
        asm!(
            "test qword ptr [r12 + {modes}], {NO_SUSPENDS}", "jnz 2f",
            read_clock!("MONOTONIC", "monotonic"),
            read_clock!("BOOT", "boot"),
            "2:",
            "test qword ptr [r12 + {modes}], {STRICT}", "jz 3f", "mfence",
            "3:", "lfence",
            read_clock!("RAW", "raw"),
            // Revoked?
            "mov rdx, [r12 + {record}]", "mov rcx, [r12 + {word}]",
            "cmp [rdx + {STATE}], rcx", "jne 23f",
            // Segment over, or VMClock's markers changed?
            "mov rsi, [r12 + {live}]", "mov rcx, [rsi + {live_segment}]",
            "cmp [rdx + {SEGMENT}], rcx", "jne 22f",
            "mov rcx, [r12 + {disruption}]", "mov rcx, [rcx]",
            "cmp rcx, [rsi + {live_disruption}]", "jne 22f",
            "mov rcx, [r12 + {generation}]", "mov rcx, [rcx]",
            "cmp rcx, [rsi + {live_generation}]", "jne 22f",
            // Suspended since the segment began?
            "test qword ptr [r12 + {modes}], {NO_SUSPENDS}", "jnz 4f",
            "mov rcx, [r12 + {boot}]", "sub rcx, [r12 + {monotonic}]", "imul rcx, rcx, {NANOS}",
            "add rcx, [r12 + {boot} + 8]", "sub rcx, [r12 + {monotonic} + 8]",
            "sub rcx, [rsi + {live_offset}]", "cmp rcx, {BLUR}", "ja 22f",
            "4:",
            // Before the deadline, by the margin?
            "imul rax, [r12 + {raw}], {NANOS}", "add rax, [r12 + {raw} + 8]",
            "mov rcx, rax", "add rcx, [r12 + {margin}]",
            "cmp rcx, [rdx + {DEADLINE}]", "jae 21f",
            "xend", "jmp 25f",
            "21: xabort {EXPIRED}", "22: xabort {SUSPECT}", "23: xabort {REVOKED}",
            "24: xabort {CLOCK}",
            "25:",
            in("r12") gate, lateout("rax") now,
            record = const offset_of!(Gate<'_>, record), live = const offset_of!(Gate<'_>, live),
            word = const offset_of!(Gate<'_>, word), modes = const offset_of!(Gate<'_>, modes),
            disruption = const offset_of!(Gate<'_>, disruption),
            generation = const offset_of!(Gate<'_>, generation),
            clock_gettime = const offset_of!(Gate<'_>, clock_gettime),
            margin = const offset_of!(Gate<'_>, margin),
            monotonic = const offset_of!(Gate<'_>, monotonic),
            boot = const offset_of!(Gate<'_>, boot), raw = const offset_of!(Gate<'_>, raw),
            live_segment = const LiveSegment::SEGMENT_OFFSET,
            live_offset = const LiveSegment::CLOCK_OFFSET_OFFSET,
            live_disruption = const LiveSegment::DISRUPTION_OFFSET,
            live_generation = const LiveSegment::GENERATION_OFFSET,
            STATE = const STATE * WORD, SEGMENT = const SEGMENT * WORD,
            DEADLINE = const DEADLINE * WORD, NO_SUSPENDS = const MODE_NO_SUSPENDS,
            STRICT = const MODE_STRICT, MONOTONIC = const KernelClock::Monotonic.number(),
            RAW = const KernelClock::Raw.number(), BOOT = const KernelClock::Boot.number(),
            NANOS = const NANOS, BLUR = const OFFSET_BLUR.as_nanos(),
            EXPIRED = const Verdict::Expired.code(), SUSPECT = const Verdict::Suspect.code(),
            REVOKED = const Verdict::Revoked.code(), CLOCK = const Verdict::ClockFailed.code(),
            clobber_abi("C"),
        );
    }
    Ticks(now)
}
