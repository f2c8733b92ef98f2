//! One store as a restartable sequence: check the lease, then store, and begin again if preempted.
//!
//! One descriptor is both the mark ("not preempted since armed") and the critical section, so that
//! no gap lies between testing the one and entering the other.

use core::arch::global_asm;
use core::mem::offset_of;
use core::sync::atomic::AtomicU64;

use super::rseq::{Mark, Rseq};
use crate::host::live::LiveSegment;
use crate::lease::record::{RECORD_WORDS, SEGMENT, STATE};

/// What the sequence must find to store.
#[repr(C)]
pub(crate) struct Sequence<'a> {
    record: &'a [AtomicU64; RECORD_WORDS],
    live: &'a LiveSegment,
    word: u64,
    disruption: &'a AtomicU64,
    generation: &'a AtomicU64,
    /// The counter when the deadline was translated into ticks, and the ticks left then.
    pub(crate) armed_at: u64,
    pub(crate) ticks_left: u64,
    target: &'a AtomicU64,
    value: u64,
    /// Disarmed when the sequence is dropped.
    mark: Mark,
}

/// How the sequence ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stored {
    /// The value is stored.
    Yes,
    /// The time armed for is used up, or the counter went back.
    TimeUp,
    /// The segment is over, or VMClock's markers changed.
    Broken,
    /// The state word is another one.
    Revoked,
    /// Preempted, migrated or signalled since it was armed.
    Restarted,
}

/// The words and the value that a sequence works with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SequenceWords<'a> {
    pub(crate) record: &'a [AtomicU64; RECORD_WORDS],
    pub(crate) live: &'a LiveSegment,
    pub(crate) word: u64,
    pub(crate) disruption: &'a AtomicU64,
    pub(crate) generation: &'a AtomicU64,
    pub(crate) target: &'a AtomicU64,
    pub(crate) value: u64,
}

impl<'a> Sequence<'a> {
    /// A sequence that stores only if this thread is not preempted from here on.
    pub(crate) fn arm(rseq: Rseq, words: &SequenceWords<'a>) -> Self {
        Self {
            mark: Mark::arm(rseq),
            record: words.record,
            live: words.live,
            word: words.word,
            disruption: words.disruption,
            generation: words.generation,
            armed_at: 0,
            ticks_left: 0,
            target: words.target,
            value: words.value,
        }
    }

    /// Whether nothing has interrupted this thread since it was armed.
    pub(crate) fn is_armed(&self) -> bool {
        self.mark.is_armed()
    }

    /// Checks and stores, and disarms.
    pub(crate) fn store(self) -> Stored {
        // WHY: only assembly can be a restartable sequence.
        // SAFETY: all addresses come from the references in `self`; `target` is written as an aligned
        // 64-bit store. The routine follows the C ABI, keeps nothing, and its abort handler returns
        // like the routine itself, whose stack it has not changed.
        let outcome = unsafe { tlease_publish(&self) };
        match outcome {
            0 => Stored::Yes,
            1 => Stored::TimeUp,
            2 => Stored::Broken,
            3 => Stored::Revoked,
            _ => Stored::Restarted,
        }
    }
}

// WHY: a restartable sequence must be one piece of code with known addresses.
// SAFETY: declared as the assembly below defines it.
unsafe extern "C" {
    fn tlease_publish(sequence: &Sequence<'_>) -> u32;
}

// The kernel restarts a preempted thread at the abort handler while its instruction pointer is in
// [start, end). The store is the last instruction before `end`: either it has happened, or nothing has.
// The four bytes before the handler are the signature that glibc registers (RSEQ_SIG).
global_asm!(
    ".pushsection __rseq_cs, \"aw\", @progbits",
    ".balign 32",
    ".hidden tlease_publish_cs",
    ".globl tlease_publish_cs",
    "tlease_publish_cs:",
    ".long 0, 0",
    ".quad .Ltlease_publish_start",
    ".quad .Ltlease_publish_end - .Ltlease_publish_start",
    ".quad .Ltlease_publish_abort",
    ".popsection",
    ".pushsection .text.tlease_publish, \"ax\", @progbits",
    ".balign 16",
    ".byte 0x0f, 0xb9, 0x3d",
    ".long 0x53053053",
    ".Ltlease_publish_abort:",
    "mov eax, 4",
    "ret",
    ".balign 64",
    ".hidden tlease_publish",
    ".globl tlease_publish",
    ".type tlease_publish, @function",
    "tlease_publish:",
    "mov rsi, [rdi + {mark}]",
    "mov r8, [rdi + {value}]",
    "mov r9, [rdi + {target}]",
    "lea r11, [rip + tlease_publish_cs]",
    ".Ltlease_publish_start:",
    "cmp [rsi], r11", // not preempted since armed; from here on the kernel restarts us
    "jne 24f",
    "mov rax, [rdi + {record}]",
    "mov rcx, [rdi + {word}]",
    "cmp [rax + {STATE}], rcx",
    "jne 23f",
    "mov rdx, [rdi + {live}]",
    "mov rcx, [rdx + {live_segment}]",
    "cmp [rax + {SEGMENT}], rcx",
    "jne 22f",
    "mov rax, [rdi + {disruption}]",
    "mov rax, [rax]",
    "cmp rax, [rdx + {live_disruption}]",
    "jne 22f",
    "mov rax, [rdi + {generation}]",
    "mov rax, [rax]",
    "cmp rax, [rdx + {live_generation}]",
    "jne 22f",
    "lfence",
    "rdtsc",
    "shl rdx, 32",
    "or rax, rdx",
    "sub rax, [rdi + {armed_at}]",
    "cmp rax, [rdi + {ticks_left}]", // unsigned: a counter that went back is refused too
    "jae 21f",
    "mov [r9], r8",
    ".Ltlease_publish_end:",
    "xor eax, eax",
    "ret",
    "21: mov eax, 1",
    "ret",
    "22: mov eax, 2",
    "ret",
    "23: mov eax, 3",
    "ret",
    "24: mov eax, 4",
    "ret",
    ".size tlease_publish, . - tlease_publish",
    ".popsection",
    mark = const offset_of!(Sequence<'_>, mark),
    value = const offset_of!(Sequence<'_>, value),
    target = const offset_of!(Sequence<'_>, target),
    record = const offset_of!(Sequence<'_>, record),
    word = const offset_of!(Sequence<'_>, word),
    live = const offset_of!(Sequence<'_>, live),
    disruption = const offset_of!(Sequence<'_>, disruption),
    generation = const offset_of!(Sequence<'_>, generation),
    armed_at = const offset_of!(Sequence<'_>, armed_at),
    ticks_left = const offset_of!(Sequence<'_>, ticks_left),
    live_segment = const LiveSegment::SEGMENT_OFFSET,
    live_disruption = const LiveSegment::DISRUPTION_OFFSET,
    live_generation = const LiveSegment::GENERATION_OFFSET,
    STATE = const STATE * size_of::<AtomicU64>(),
    SEGMENT = const SEGMENT * size_of::<AtomicU64>(),
);

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use tlease_core::time::Segment;

    use super::*;
    use crate::segment::{Evidence, Markers, Offset};

    /// The words of a lease that is held, and the word it stores to.
    struct Lease {
        record: [AtomicU64; RECORD_WORDS],
        live: LiveSegment,
        disruption: AtomicU64,
        target: AtomicU64,
    }

    const HELD: u64 = 5 << 1 | 1;

    impl Lease {
        fn held() -> Self {
            let evidence =
                Evidence { segment: Segment(3), offset_floor: Offset(0), marks: Markers::NoDevice };
            let lease = Self {
                record: [const { AtomicU64::new(0) }; RECORD_WORDS],
                live: LiveSegment::new(&evidence),
                disruption: AtomicU64::new(0),
                target: AtomicU64::new(0),
            };
            lease.record[STATE].store(HELD, Ordering::SeqCst);
            lease.record[SEGMENT].store(3, Ordering::SeqCst);
            lease
        }

        /// Runs the sequence with `spoil` between arming and storing, until it is not restarted by
        /// chance. `None` without restartable sequences.
        fn store(&self, spoil: impl Fn(&mut Sequence<'_>)) -> Option<Stored> {
            let rseq = Rseq::find()?;
            let words = SequenceWords {
                record: &self.record,
                live: &self.live,
                word: HELD,
                disruption: &self.disruption,
                generation: self.live.generation(),
                target: &self.target,
                value: 7,
            };
            let mut stored = Stored::Restarted;
            for _ in 0..100 {
                let mut sequence = Sequence::arm(rseq, &words);
                sequence.ticks_left = u64::MAX;
                spoil(&mut sequence);
                stored = sequence.store();
                if stored != Stored::Restarted {
                    break;
                }
            }
            Some(stored)
        }

        /// That the sequence ends so, and stores only if it says so.
        fn ends(&self, expected: Stored, spoil: impl Fn(&mut Sequence<'_>)) {
            let Some(stored) = self.store(spoil) else {
                println!("skipped: no restartable sequences");
                return;
            };
            assert_eq!(stored, expected);
            let value = self.target.load(Ordering::SeqCst);
            assert_eq!(value == 7, expected == Stored::Yes);
        }
    }

    #[test]
    fn a_valid_lease_stores() {
        Lease::held().ends(Stored::Yes, |_| ());
    }

    #[test]
    fn every_test_of_the_sequence_refuses() {
        let revoked = Lease::held();
        revoked.record[STATE].store(0, Ordering::SeqCst);
        revoked.ends(Stored::Revoked, |_| ());

        let stale = Lease::held();
        stale.record[SEGMENT].store(2, Ordering::SeqCst);
        stale.ends(Stored::Broken, |_| ());

        let disrupted = Lease::held();
        disrupted.disruption.store(1, Ordering::SeqCst);
        disrupted.ends(Stored::Broken, |_| ());

        Lease::held().ends(Stored::TimeUp, |sequence| sequence.ticks_left = 0);
        // A counter that seems to have gone back since it was armed.
        Lease::held().ends(Stored::TimeUp, |sequence| {
            sequence.armed_at = u64::MAX >> 1;
            sequence.ticks_left = 1 << 40;
        });
    }

    #[test]
    fn a_thread_that_lost_its_mark_restarts() {
        Lease::held().ends(Stored::Restarted, |sequence| sequence.mark.lose());
    }
}
