//! Machines without transactions and restartable sequences of ours: everything that would use them
//! answers `Unsupported`.
//!
//! The types have no values, so that the compiler knows that none of it runs.

use core::sync::atomic::AtomicU64;

use tlease_core::time::Ticks;

use super::clocks::KernelClocks;
use super::vdso::ClockGettime;
use crate::enclave::Stretch;
use crate::guard::status::AbortStatus;
use crate::host::live::LiveSegment;
use crate::lease::record::RECORD_WORDS;

/// Hardware transactions, of which there are none.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rtm {}

impl Rtm {
    pub(crate) fn detect() -> Option<Self> {
        None
    }

    pub(crate) fn running(self) -> bool {
        match self {}
    }

    pub(crate) fn transact<R>(
        self,
        _gate: &mut impl Tail,
        _body: impl FnOnce() -> R,
    ) -> Result<(R, Ticks), AbortStatus> {
        match self {}
    }
}

/// The end of a transaction that never begins.
pub(crate) trait Tail {
    fn touch(&mut self);
}

/// As on x86-64.
#[derive(Debug, Clone, Copy)]
#[expect(dead_code, reason = "what a gate reads where there are transactions")]
pub(crate) struct GateClocks<'a> {
    pub(crate) clock_gettime: ClockGettime,
    pub(crate) live: &'a LiveSegment,
    pub(crate) disruption: &'a AtomicU64,
    pub(crate) generation: &'a AtomicU64,
    pub(crate) margin: u64,
    pub(crate) watch_suspends: bool,
    pub(crate) strict: bool,
}

/// Never used: there is no [`Rtm`] to use it with.
pub(crate) struct Gate<'a>(core::marker::PhantomData<&'a ()>);

impl<'a> Gate<'a> {
    pub(crate) fn new(
        _clocks: &GateClocks<'a>,
        _record: &'a [AtomicU64; RECORD_WORDS],
        _word: u64,
    ) -> Self {
        Self(core::marker::PhantomData)
    }
}

impl Tail for Gate<'_> {
    fn touch(&mut self) {}
}

pub(crate) fn code_address() -> *const u8 {
    core::ptr::null()
}

/// Restartable sequences, of which there are none of ours.
#[derive(Debug)]
pub(crate) enum Restartable {}

impl Restartable {
    pub(crate) fn find(_profile: &crate::profile::Profile, _clocks: &KernelClocks) -> Option<Self> {
        None
    }

    pub(crate) fn restart_all(&self) {
        match *self {}
    }

    pub(crate) fn publish(
        &self,
        _cell: &crate::lease::LeaseCell,
        _fence: tlease_core::fence::Fence,
        _target: &crate::memory::Word<'_>,
        _value: u64,
    ) -> Result<crate::guard::Published, crate::guard::Refusal> {
        match *self {}
    }
}

/// The mark: never armed, since there is no [`Rseq`] to arm it with.
pub(crate) struct Mark;

impl Mark {
    pub(crate) fn arm(rseq: Rseq) -> Self {
        match rseq {}
    }

    pub(crate) fn rearm(&mut self) {}

    pub(crate) fn is_armed(&self) -> bool {
        false
    }
}

/// Marks of a thread that has none.
#[derive(Debug)]
pub(crate) enum Marks {}

impl Marks {
    pub(crate) fn find() -> Result<Self, crate::stay::NoMarks> {
        Err(crate::stay::NoMarks::NoRestartableSequences)
    }

    pub(crate) fn arm(&mut self) {
        match *self {}
    }

    pub(crate) fn disarm(&mut self) {
        match *self {}
    }

    pub(crate) fn are_armed(&self) -> bool {
        match *self {}
    }
}

/// As on x86-64.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rseq {}

impl Rseq {
    pub(crate) fn find() -> Option<Self> {
        None
    }
}

/// What CPUID would report.
pub(crate) struct Cpu;

impl Cpu {
    pub(crate) fn has_invariant_tsc() -> bool {
        false
    }

    pub(crate) fn has_hypervisor() -> bool {
        false
    }

    pub(crate) fn has_sgx() -> bool {
        false
    }

    pub(crate) fn has_rtm() -> bool {
        false
    }

    pub(crate) fn model() -> ([u8; 12], u32, u32, u32) {
        ([0; 12], 0, 0, 0)
    }
}

pub(crate) fn imul_chain_ticks(rtm: Rtm, _links: u32) -> Option<u64> {
    match rtm {}
}

/// A timekeeper's work, which nobody does: a timekeeper needs [`Marks`].
#[derive(Debug)]
pub(crate) struct Chain;

impl Chain {
    pub(crate) fn begin() -> Self {
        nobody_has_marks()
    }

    pub(crate) fn beat(&mut self) -> Ticks {
        nobody_has_marks()
    }
}

pub(crate) fn counter() -> Ticks {
    nobody_has_marks()
}

/// Read before it is known whether the thread has marks, and used only if it has.
pub(crate) fn counter_early() -> Ticks {
    Ticks(0)
}

fn nobody_has_marks() -> ! {
    unreachable!("what reads the counter has marks, and here nothing has")
}

/// Never used: there is no [`Rtm`] to use it with.
pub(crate) struct StayGate<'a>(core::marker::PhantomData<&'a ()>);

/// As on x86-64.
#[derive(Debug, Clone, Copy)]
#[expect(dead_code, reason = "what a gate reads where there are transactions")]
pub(crate) struct StayMargin {
    pub(crate) ticks: u64,
    pub(crate) strict: bool,
}

impl<'a> StayGate<'a> {
    pub(crate) fn new(
        _record: &'a [AtomicU64; RECORD_WORDS],
        _word: u64,
        _marks: &'a Marks,
        _stretch: &'a Stretch,
        _margin: StayMargin,
    ) -> Self {
        Self(core::marker::PhantomData)
    }
}

impl Tail for StayGate<'_> {
    fn touch(&mut self) {}
}

/// As on x86-64.
#[derive(Debug, Clone, Copy)]
#[expect(dead_code, reason = "what a sequence reads where there are any")]
pub(crate) struct SequenceWords<'a> {
    pub(crate) record: &'a [AtomicU64; RECORD_WORDS],
    pub(crate) live: &'a LiveSegment,
    pub(crate) word: u64,
    pub(crate) disruption: &'a AtomicU64,
    pub(crate) generation: &'a AtomicU64,
    pub(crate) target: &'a AtomicU64,
    pub(crate) value: u64,
}

/// A sequence that never begins, since there is no [`Rseq`] to arm it with.
pub(crate) struct Sequence<'a> {
    pub(crate) armed_at: u64,
    pub(crate) ticks_left: u64,
    words: core::marker::PhantomData<&'a ()>,
}

/// As on x86-64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(dead_code, reason = "how a sequence ends where there are any")]
pub(crate) enum Stored {
    Yes,
    TimeUp,
    Broken,
    Revoked,
    Restarted,
}

impl<'a> Sequence<'a> {
    pub(crate) fn arm(_rseq: Rseq, _words: &SequenceWords<'a>) -> Self {
        nobody_has_marks()
    }

    pub(crate) fn is_armed(&self) -> bool {
        nobody_has_marks()
    }

    pub(crate) fn store(self) -> Stored {
        nobody_has_marks()
    }
}
