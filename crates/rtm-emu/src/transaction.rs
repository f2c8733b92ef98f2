//! One running transaction: what happens before each of its instructions.

use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use iced_x86::{InstructionInfoFactory, Register};

use crate::buffer::{Buffer, Unusable};
use crate::context::{Context, Snapshot};
use crate::instruction::{self, Kind};
use crate::kernel::{self, Timespec};

/// The instruction before which a transaction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Its number: 1 is the one after XBEGIN.
    pub number: u64,
    /// Its address.
    pub address: usize,
    /// What it is.
    pub runs: Runs,
}

/// The instructions whose order a test may want to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runs {
    /// RDTSC or RDTSCP.
    Counter,
    /// LFENCE.
    LoadFence,
    /// MFENCE.
    FullFence,
    /// XEND.
    End,
    /// Any other.
    Other,
}

/// What happens before an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing: it runs.
    Continue,
    /// An interrupt: the transaction aborts with status 0.
    Interrupt,
}

/// Has `hook` called before each instruction of every transaction, in a signal handler: it may use
/// atomics, and nothing that locks, allocates or uses thread-local storage. `None` ends that.
pub fn set_hook(hook: Option<fn(Step) -> Action>) {
    HOOK.store(hook.map_or(core::ptr::null_mut(), |hook| hook as *mut ()), Ordering::SeqCst);
}

/// Has transactions read the time-stamp counter as it is now, until [`thaw_counter`]: a host that holds it
/// back. What reads it outside of a transaction sees it as it is.
pub fn freeze_counter() {
    // WHY: the intrinsic is unsafe only for CPUs without RDTSC.
    // SAFETY: RDTSC is part of x86-64.
    FROZEN.store(unsafe { core::arch::x86_64::_rdtsc() }, Ordering::SeqCst);
}

/// Ends what [`freeze_counter`] began.
pub fn thaw_counter() {
    FROZEN.store(0, Ordering::SeqCst);
}

/// What the counter shows in transactions; 0 if nobody holds it back.
static FROZEN: AtomicU64 = AtomicU64::new(0);

/// An effect becomes visible at most this long after the transaction first read the counter or a clock,
/// in ns of CLOCK_MONOTONIC; else the transaction aborts with status 0.
///
/// All readings in a transaction are of one moment, as a processor would take them, not of ours: code
/// that brackets one clock by another would else find a gap that no processor makes.
pub const FRESH_NANOS: u64 = 20_000_000;

/// The state of a thread's transaction.
#[derive(Debug)]
pub(crate) struct Transaction {
    /// How deep XBEGINs are nested; 0 is none.
    depth: u32,
    fallback: usize,
    before: Snapshot,
    buffer: Buffer,
    steps: u64,
    counter: Counter,
    clocks: Option<Clocks>,
    /// Its storage is allocated here, once.
    factory: Option<InstructionInfoFactory>,
}

/// What the kernel's clocks showed when a transaction first asked for one.
#[derive(Debug, Clone, Copy)]
struct Clocks {
    /// CLOCK_MONOTONIC before they were read.
    since: u64,
    monotonic: Timespec,
    raw: Timespec,
    boot: Timespec,
}

impl Clocks {
    fn read() -> Self {
        let since = kernel::monotonic_nanos();
        let [monotonic, raw, boot] =
            [libc::CLOCK_MONOTONIC, libc::CLOCK_MONOTONIC_RAW, libc::CLOCK_BOOTTIME]
                .map(kernel::clock);
        Self { since, monotonic, raw, boot }
    }

    fn of(self, clock: u64) -> Option<Timespec> {
        match i32::try_from(clock).ok()? {
            libc::CLOCK_MONOTONIC => Some(self.monotonic),
            libc::CLOCK_MONOTONIC_RAW => Some(self.raw),
            libc::CLOCK_BOOTTIME => Some(self.boot),
            _ => None,
        }
    }
}

/// What a transaction knows of the time-stamp counter; `since` is the clock before its first reading.
#[derive(Debug, Clone, Copy)]
enum Counter {
    Unread,
    /// The processor is reading it; what it showed before, if it did.
    Reading {
        since: u64,
        before: Option<u64>,
    },
    Read {
        since: u64,
        shown: u64,
    },
}

/// Why a transaction aborts: the manual's bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Status(pub(crate) u32);

impl Status {
    /// An interrupt, a fault, or an instruction that cannot be in a transaction.
    pub(crate) const BLANK: Self = Self(0);
    const CONFLICT: Self = Self(1 << 1 | 1 << 2);
    const CAPACITY: Self = Self(1 << 3);

    fn explicit(code: u8) -> Self {
        Self(1 | u32::from(code) << 24)
    }
}

impl Transaction {
    pub(crate) const IDLE: Self = Self {
        depth: 0,
        fallback: 0,
        before: Snapshot::EMPTY,
        buffer: Buffer::EMPTY,
        steps: 0,
        counter: Counter::Unread,
        clocks: None,
        factory: None,
    };

    pub(crate) const fn is_running(&self) -> bool {
        self.depth > 0
    }

    /// Begins at the XBEGIN that the context stands at.
    pub(crate) fn begin(&mut self, context: &mut Context<'_>, next: usize, fallback: usize) {
        self.depth = 1;
        self.fallback = fallback;
        context.snapshot(&mut self.before);
        self.buffer.clear();
        self.steps = 0;
        self.counter = Counter::Unread;
        self.clocks = None;
        context.block_signals(!SYNCHRONOUS);
        context.resume_at(next);
        self.go_on(context);
    }

    /// The processor has run one instruction.
    pub(crate) fn stepped(&mut self, context: &mut Context<'_>) {
        self.buffer.take_back();
        if let Counter::Reading { since, before } = self.counter {
            let first = match FROZEN.load(Ordering::SeqCst) {
                0 => context.counter(),
                held_back => held_back,
            };
            let shown = before.map_or(first, |shown| shown.wrapping_add(READING_TICKS));
            context.set_counter(shown);
            self.counter = Counter::Read { since, shown };
        }
        self.go_on(context);
    }

    /// Restores everything and resumes at the fallback.
    pub(crate) fn abort(&mut self, context: &mut Context<'_>, status: Status) {
        self.buffer.take_back();
        self.depth = 0;
        context.restore(&self.before);
        context.set_stepping(false);
        context.set_eax(status.0);
        context.resume_at(self.fallback);
    }

    /// Runs instructions here until one must run on the processor, or the transaction ends.
    fn go_on(&mut self, context: &mut Context<'_>) {
        loop {
            match self.step(context) {
                Ok(Next::Step) => {}
                Ok(Next::Run) => return context.set_stepping(true),
                Ok(Next::Ended) => return,
                Err(status) => return self.abort(context, status),
            }
        }
    }

    fn step(&mut self, context: &mut Context<'_>) -> Result<Next, Status> {
        let address = context.instruction();
        self.steps += 1;
        let instruction = instruction::decode(address);
        let runs = instruction::runs(&instruction);
        if asks_to_interrupt(Step { number: self.steps, address, runs })
            || kernel::pending_signals() & !self.before.signals() != 0
        {
            return Err(Status::BLANK);
        }
        let stack = context.stack();
        self.buffer.forget(stack.saturating_sub(DEAD_STACK)..stack.saturating_sub(RED_ZONE));
        if !self.buffer.is_undisturbed() {
            return Err(Status::CONFLICT);
        }
        let next = address.wrapping_add(instruction.len());
        match instruction::kind(&instruction, context) {
            Kind::Begin(_) => self.depth += 1,
            Kind::Test => context.set_tested(true),
            Kind::Abort(code) => return Err(Status::explicit(code)),
            Kind::Forbidden => return Err(Status::BLANK),
            Kind::End if self.depth > 1 => self.depth -= 1,
            Kind::End => return self.commit(context, next),
            Kind::Store { address, len, value } => {
                self.buffer.write(address, len, value).map_err(status_of)?;
            }
            Kind::Exchange { address } => {
                let register = instruction.op1_register();
                let new = context.value(register).ok_or(Status::BLANK)?;
                let old = self.buffer.read(address).map_err(status_of)?;
                self.buffer.write(address, 8, new).map_err(status_of)?;
                context.set_value(register, old).ok_or(Status::BLANK)?;
            }
            Kind::ReadsClock => self.read_clock(context)?,
            Kind::ReadsCounter => {
                self.counter = match self.counter {
                    Counter::Read { since, shown } => {
                        Counter::Reading { since, before: Some(shown) }
                    }
                    Counter::Unread | Counter::Reading { .. } => {
                        Counter::Reading { since: kernel::monotonic_nanos(), before: None }
                    }
                };
                return Ok(Next::Run);
            }
            Kind::Other => {
                let buffer = &mut self.buffer;
                let factory = self.factory.as_mut().ok_or(Status::BLANK)?;
                let lay = |address, len, writes| buffer.lay(address, len, writes);
                instruction::for_each_access(&instruction, factory, context, lay)
                    .ok_or(Status::BLANK)?
                    .map_err(status_of)?;
                return Ok(Next::Run);
            }
        }
        context.resume_at(next);
        Ok(Next::Step)
    }

    fn commit(&mut self, context: &mut Context<'_>, next: usize) -> Result<Next, Status> {
        let counter_read = match self.counter {
            Counter::Unread | Counter::Reading { .. } => None,
            Counter::Read { since, .. } => Some(since),
        };
        let clocks_read = self.clocks.map(|clocks| clocks.since);
        let is_stale = |since| kernel::monotonic_nanos().saturating_sub(since) > FRESH_NANOS;
        if counter_read.is_some_and(is_stale) || clocks_read.is_some_and(is_stale) {
            return Err(Status::BLANK);
        }
        self.buffer.apply();
        self.depth = 0;
        context.block_signals(self.before.signals());
        context.set_stepping(false);
        context.resume_at(next);
        Ok(Next::Ended)
    }

    /// Does what the kernel's `clock_gettime(RDI, RSI)` does, and returns from it.
    fn read_clock(&mut self, context: &mut Context<'_>) -> Result<(), Status> {
        let value = |register| context.value(register).ok_or(Status::BLANK);
        let (clock, into) = (value(Register::EDI)?, value(Register::RSI)?);
        let clocks = *self.clocks.get_or_insert_with(Clocks::read);
        let time = clocks.of(clock).ok_or(Status::BLANK)?;
        let into = usize::try_from(into).map_err(|_| Status::BLANK)?;
        for (at, part) in [(into, time.seconds), (into.wrapping_add(8), time.nanos)] {
            self.buffer.write(at, 8, part).map_err(status_of)?;
        }
        context.set_eax(0);
        Ok(())
    }

    /// Allocates what no handler may.
    pub(crate) fn prepare(&mut self) {
        self.factory.get_or_insert_with(InstructionInfoFactory::new);
    }
}

enum Next {
    /// The instruction was run here.
    Step,
    /// The processor must run it.
    Run,
    Ended,
}

fn status_of(unusable: Unusable) -> Status {
    match unusable {
        Unusable::Unmapped => Status::BLANK,
        Unusable::TooMany => Status::CAPACITY,
    }
}

fn asks_to_interrupt(step: Step) -> bool {
    let hook = HOOK.load(Ordering::SeqCst);
    if hook.is_null() {
        return false;
    }
    // WHY: there is no atomic function pointer.
    // SAFETY: only `set_hook` stores here, and what is not null is a function of this type.
    let hook = unsafe { core::mem::transmute::<*mut (), fn(Step) -> Action>(hook) };
    hook(step) == Action::Interrupt
}

static HOOK: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// About what a processor takes for it.
const READING_TICKS: u64 = 40;
/// Below the stack pointer, code may use this much without moving it.
const RED_ZONE: usize = 128;
/// How far below it old words of the stack are looked for.
const DEAD_STACK: usize = 1 << 20;
/// SIGILL, SIGTRAP, SIGBUS, SIGFPE and SIGSEGV: blocked, they would end the process.
const SYNCHRONOUS: u64 = 1 << 3 | 1 << 4 | 1 << 6 | 1 << 7 | 1 << 10;
