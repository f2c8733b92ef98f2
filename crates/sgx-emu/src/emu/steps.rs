//! Exits at a chosen instruction: the emulator stops a thread where a function begins, and counts its
//! instructions until it returns.
//!
//! The stops themselves are not exits: they leave no trace inside, as a debugger's would not. Only the
//! chosen ones write the State Save Area.

use super::frame::Registers;
use super::table::Thread;
use super::tsc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};

/// Which instructions of the function are followed by an exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steps {
    /// Each, and one before the first.
    Every,
    /// After so many instructions, in each call.
    After(u64),
    /// One exit in each call: in the first before the first instruction, then after so many more in
    /// each, to the function's return, and again from one instruction later.
    Sweep(u64),
    /// One exit in each call, within its emulated transactions: before their first instruction, then one
    /// later in each call, and again from the first.
    Within,
    /// No exit: the thread is kept when it leaves by itself, for the first call to the host.
    Call,
}

/// What is under way on one thread.
#[derive(Debug)]
pub(super) struct Session {
    is_running: AtomicBool,
    done: AtomicU64,
    stack: AtomicU64,
    exit_after: AtomicU64,
    /// Instructions within transactions so far, and after how many of them the exit comes.
    within: AtomicU64,
    exit_within: AtomicU64,
    /// Whether it is kept at its first call to the host.
    stops_at_call: AtomicBool,
    /// The exit came due within an emulated transaction, which has to abort first.
    is_due: AtomicBool,
}

/// Where threads are stopped. One place for the process.
#[derive(Debug)]
struct Probe {
    /// The address in the enclave's own mapping; zero without a probe.
    address: AtomicUsize,
    original: AtomicU64,
    every: AtomicBool,
    /// Instructions from one exit of a sweep to the next; zero without one.
    stride: AtomicU64,
    next: AtomicU64,
    /// As `next`, within transactions.
    within: AtomicU64,
    stops_at_calls: AtomicBool,
    is_still: AtomicBool,
    /// How many instructions the last call took, and how many calls there were.
    length: AtomicU64,
    calls: AtomicU64,
}

static PROBE: Probe = Probe {
    address: AtomicUsize::new(0),
    original: AtomicU64::new(0),
    every: AtomicBool::new(false),
    stride: AtomicU64::new(0),
    next: AtomicU64::new(0),
    within: AtomicU64::new(NEVER),
    stops_at_calls: AtomicBool::new(false),
    is_still: AtomicBool::new(false),
    length: AtomicU64::new(0),
    calls: AtomicU64::new(0),
};

/// A word that is zero while calls are to be left alone.
static ARMED: OnceLock<&'static AtomicU64> = OnceLock::new();

/// Leaves calls alone that begin while this word is zero; `false` if another one was named before.
pub(super) fn spare_while_zero(word: &'static AtomicU64) -> bool {
    ARMED.set(word).is_ok()
}

/// Stops every thread of the enclave at this offset from now on.
pub(super) fn set(enclave: &super::table::Enclave, offset: usize, steps: Steps) {
    let mut byte = [0];
    enclave.view().read(offset, &mut byte);
    PROBE.original.store(byte[0].into(), SeqCst);
    PROBE.every.store(steps == Steps::Every, SeqCst);
    let (first, stride) = match steps {
        Steps::After(count) => (count, 0),
        Steps::Every => (0, 0),
        Steps::Sweep(stride) => (0, stride),
        Steps::Within | Steps::Call => (NEVER, 0),
    };
    PROBE.within.store(if steps == Steps::Within { 0 } else { NEVER }, SeqCst);
    PROBE.stops_at_calls.store(steps == Steps::Call, SeqCst);
    PROBE.stride.store(stride, SeqCst);
    PROBE.next.store(first, SeqCst);
    PROBE.address.store(enclave.base.load(SeqCst) + offset, SeqCst);
    enclave.view().write(offset, &[BREAKPOINT]);
}

/// While a call is followed and not left alone, the counter stands still and no exit comes but those that
/// are chosen: the kernel may give the core away, and leaves no trace of it.
///
/// No host can do that. It takes chance out of attacks that a guard with a hole must not survive.
pub fn keep_still() {
    PROBE.is_still.store(true, SeqCst);
}

/// Whether the thread's interrupts are kept from it.
pub(super) fn is_still(thread: &Thread) -> bool {
    let session = &thread.steps;
    PROBE.is_still.load(SeqCst) && session.is_running.load(SeqCst) && !session.is_spared()
}

/// Whether a thread that has left for a call to the host is kept there: once in each call of the function.
pub(super) fn is_kept_at_call(thread: &Thread) -> bool {
    let session = &thread.steps;
    session.is_running.load(SeqCst) && session.stops_at_call.swap(false, SeqCst)
}

/// Instructions of the last call that was followed to its end, and how many calls were.
#[must_use]
pub fn followed() -> (u64, u64) {
    (PROBE.length.load(SeqCst), PROBE.calls.load(SeqCst))
}

/// What the handler does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Go,
    Exit,
    /// This stop is not one of ours.
    NotOurs,
}

/// A breakpoint was hit.
pub(super) fn begin(thread: &Thread, registers: &mut Registers<'_>) -> Next {
    let address = PROBE.address.load(SeqCst) as u64;
    if address == 0 || registers.get(libc::REG_RIP) != address + 1 {
        return Next::NotOurs;
    }
    registers.set(libc::REG_RIP, address);
    place(thread, PROBE.original.load(SeqCst).to_le_bytes()[0]);
    let session = &thread.steps;
    session.done.store(0, SeqCst);
    session.stack.store(registers.get(libc::REG_RSP), SeqCst);
    let is_spared = ARMED.get().is_some_and(|word| word.load(SeqCst) == 0);
    let of_probe = |word: &AtomicU64| if is_spared { SPARED } else { word.load(SeqCst) };
    session.exit_after.store(of_probe(&PROBE.next), SeqCst);
    session.exit_within.store(of_probe(&PROBE.within), SeqCst);
    session.stops_at_call.store(!is_spared && PROBE.stops_at_calls.load(SeqCst), SeqCst);
    session.within.store(0, SeqCst);
    session.is_running.store(true, SeqCst);
    if is_still(thread) {
        tsc::stand_still(true);
    }
    registers.set_stepping(true);
    session.next(0)
}

/// A thread that steps has done one more instruction.
pub(super) fn step(thread: &Thread, registers: &mut Registers<'_>) -> Next {
    let session = &thread.steps;
    if !session.is_running.load(SeqCst) {
        return Next::NotOurs;
    }
    let done = session.done.fetch_add(1, SeqCst) + 1;
    if done == 1 {
        place(thread, BREAKPOINT);
    }
    let stack = registers.get(libc::REG_RSP);
    // A thread that comes back from a call to the host still has the host's.
    let has_returned = stack > session.stack.load(SeqCst) && thread.enclave().holds(stack);
    let next = session.next(done);
    if has_returned || done >= STEPS_MAX {
        if is_still(thread) {
            tsc::stand_still(false);
        }
        session.is_running.store(false, SeqCst);
        registers.set_stepping(false);
        PROBE.length.store(done, SeqCst);
        PROBE.calls.fetch_add(1, SeqCst);
        let (at, stride) = (session.exit_after.load(SeqCst), PROBE.stride.load(SeqCst));
        if stride > 0 && at != SPARED {
            PROBE.next.store(next_of_sweep(at, stride, done), SeqCst);
        }
        let (at, within) = (session.exit_within.load(SeqCst), session.within.load(SeqCst));
        if at < NEVER {
            PROBE.within.store(if at < within { at + 1 } else { 0 }, SeqCst);
        }
    } else {
        registers.set_stepping(true);
    }
    next
}

/// Where the exit of the next call comes, in a function of `length` instructions. After each pass it
/// begins one instruction later, so that a stride leaves nothing out.
fn next_of_sweep(at: u64, stride: u64, length: u64) -> u64 {
    if at >= length { (at % stride + 1) % stride } else { at + stride }
}

/// Before an instruction of an emulated transaction: whether the exit comes here.
pub(super) fn is_due_within(thread: &Thread) -> bool {
    let session = &thread.steps;
    if !session.is_running.load(SeqCst) {
        return false;
    }
    let done = session.done.fetch_add(1, SeqCst) + 1;
    let within = session.within.fetch_add(1, SeqCst);
    let is_due = session.next(done) == Next::Exit || session.exit_within.load(SeqCst) == within;
    if is_due {
        session.is_due.store(true, SeqCst);
    }
    is_due
}

/// After the emulator of transactions had its turn: the exit that came due in it, if one did.
pub(super) fn after_transaction(thread: &Thread, registers: &mut Registers<'_>) -> Next {
    let session = &thread.steps;
    if session.is_running.load(SeqCst) {
        registers.set_stepping(true);
    }
    if session.is_due.swap(false, SeqCst) { Next::Exit } else { Next::Go }
}

/// Whether a thread that comes back in goes on stepping.
pub(super) fn goes_on(thread: &Thread) -> bool {
    thread.steps.is_running.load(SeqCst)
}

/// Instructions since the function began, if one is being followed.
pub(super) fn done(thread: &Thread) -> Option<u64> {
    let session = &thread.steps;
    (session.is_running.load(SeqCst) || session.ended_now()).then(|| session.done.load(SeqCst))
}

impl Session {
    pub(super) const fn new() -> Self {
        Self {
            is_running: AtomicBool::new(false),
            done: AtomicU64::new(0),
            stack: AtomicU64::new(0),
            exit_after: AtomicU64::new(0),
            within: AtomicU64::new(0),
            exit_within: AtomicU64::new(NEVER),
            stops_at_call: AtomicBool::new(false),
            is_due: AtomicBool::new(false),
        }
    }

    fn next(&self, done: u64) -> Next {
        let at = self.exit_after.load(SeqCst);
        let is_due = at == done || PROBE.every.load(SeqCst) && at != SPARED;
        if is_due { Next::Exit } else { Next::Go }
    }

    fn is_spared(&self) -> bool {
        self.exit_after.load(SeqCst) == SPARED
    }

    fn ended_now(&self) -> bool {
        self.done.load(SeqCst) > 0
    }
}

fn place(thread: &Thread, byte: u8) {
    let enclave = thread.enclave();
    let offset = PROBE.address.load(SeqCst) - enclave.base.load(SeqCst);
    enclave.view().write(offset, &[byte]);
}

/// More instructions than a call has; the second also tells that the call is left alone.
const NEVER: u64 = u64::MAX - 1;
const SPARED: u64 = u64::MAX;
const BREAKPOINT: u8 = 0xcc;
/// A function that takes longer waits for something, and would for ever at this pace.
const STEPS_MAX: u64 = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_comes_to_each_instruction_and_to_the_return() {
        for stride in [1, 7, 23] {
            let mut at = 0;
            let mut left: std::collections::BTreeSet<u64> = (0..=50).collect();
            for _ in 0..150 {
                left.remove(&at);
                at = next_of_sweep(at, stride, 50);
            }
            assert!(left.is_empty(), "{stride}: {left:?}");
        }
    }
}
