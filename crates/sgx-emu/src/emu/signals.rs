//! The handler: every signal that reaches a thread inside an enclave.

use super::enclu::{self, ENCLU, GeneralProtection};
use super::exit::Cause;
use super::frame::{Registers, exit_info};
use super::steps::{self, Next};
use super::table::{self, Thread};
use super::{cpu, preempt, rtm, timer, tsc};
use std::io;
use std::sync::atomic::Ordering::SeqCst;

/// Installs the handler for faults and for every signal that a test may send.
pub(super) fn install() -> io::Result<()> {
    // WHY: a plain structure of the kernel's without a constructor.
    // SAFETY: zeros are a value of each of its fields.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = (on_signal as extern "C" fn(_, _, _) as *const ()).expose_provenance();
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
    // WHY: sets are filled by the C library alone.
    // SAFETY: the set is a local.
    unsafe { libc::sigfillset(&raw mut action.sa_mask) };
    for signal in FAULTS.iter().copied().chain(interrupts()) {
        // WHY: the standard library installs no handlers.
        // SAFETY: the handler is a function for three arguments, as the flags say.
        if unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

const FAULTS: &[libc::c_int] =
    &[libc::SIGILL, libc::SIGSEGV, libc::SIGTRAP, libc::SIGBUS, libc::SIGFPE];

/// What stands for an interrupt: the timer's signal, and those that other tools send.
fn interrupts() -> impl Iterator<Item = libc::c_int> {
    [libc::SIGUSR1, libc::SIGUSR2, libc::SIGALRM, libc::SIGPROF, libc::SIGVTALRM, libc::SIGURG]
        .into_iter()
        .chain([timer::signal()])
}

/// No thread-local memory, no allocation, no panic: FS may be the enclave's.
extern "C" fn on_signal(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    let context = context.cast::<libc::ucontext_t>();
    // WHY: the kernel passes the interrupted thread's registers by a pointer.
    // SAFETY: a handler with SA_SIGINFO gets a valid, exclusive one.
    let mut registers = Registers(unsafe { &mut *context });
    // WHY: as above.
    // SAFETY: as above; the code is there for every signal.
    let code = unsafe { (*info).si_code };
    let instruction = registers.get(libc::REG_RIP);
    let taken = match table::inside(instruction, cpu::fs()) {
        Some(thread) => inside(thread, signal, code, &mut registers),
        None => {
            if signal == timer::signal() && code == libc::SI_TIMER {
                // WHY: as above.
                // SAFETY: as above.
                let info = unsafe { &*info };
                // WHY: which timer it was stands in a union.
                // SAFETY: the code says that a timer sent it.
                timer::rang_outside(unsafe { info.si_timerid() });
            }
            outside(signal, instruction, &mut registers)
        }
    };
    if taken.is_err() {
        // As without us: the fault comes again, and ends the process.
        // WHY: this is how a handler declines.
        // SAFETY: takes a number and a constant.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

fn outside(
    signal: libc::c_int,
    instruction: u64,
    registers: &mut Registers<'_>,
) -> Result<(), GeneralProtection> {
    match signal {
        // A processor without SGX does not know ENCLU, and one with it knows no such enclave.
        libc::SIGILL | libc::SIGSEGV if cpu::instruction(instruction) == ENCLU => {
            enclu::outside(registers)
        }
        // The event of a preemption that came after the thread had left.
        libc::SIGTRAP => {
            registers.set_stepping(false);
            Ok(())
        }
        _ if FAULTS.contains(&signal) => Err(GeneralProtection),
        // An interrupt outside is nobody's business.
        _ => Ok(()),
    }
}

fn inside(
    thread: &Thread,
    signal: libc::c_int,
    code: libc::c_int,
    registers: &mut Registers<'_>,
) -> Result<(), GeneralProtection> {
    match signal {
        libc::SIGTRAP => trap(thread, code, registers),
        _ if FAULTS.contains(&signal) => fault(thread, registers),
        _ => exit(thread, registers, Cause::Interrupt),
    }
    Ok(())
}

fn trap(thread: &Thread, code: libc::c_int, registers: &mut Registers<'_>) {
    if code == preempt::TRAP_PERF {
        return exit(thread, registers, Cause::Preempted);
    }
    let is_step = code == libc::TRAP_TRACE;
    let next = match (is_step, rtm::on_trap(thread, registers)) {
        (_, Some(next)) => next,
        (true, None) => steps::step(thread, registers),
        (false, None) => steps::begin(thread, registers),
    };
    match next {
        Next::NotOurs if is_step => registers.set_stepping(false),
        Next::NotOurs => fault(thread, registers),
        Next::Go | Next::Exit => follow(thread, registers, next),
    }
}

fn follow(thread: &Thread, registers: &mut Registers<'_>, next: Next) {
    if next == Next::Exit {
        exit(thread, registers, Cause::Step);
    }
}

/// An instruction that faulted: one that is emulated, or a fault of the enclave's own.
fn fault(thread: &Thread, registers: &mut Registers<'_>) {
    let instruction = cpu::instruction(registers.get(libc::REG_RIP));
    if instruction == ENCLU && enclu::inside(thread, registers).is_ok() {
        return;
    }
    if tsc::answer(registers, instruction) {
        // For a transaction that is the instruction that it waited for.
        if let Some(next) = rtm::on_trap(thread, registers) {
            follow(thread, registers, next);
        }
        return;
    }
    let is_illegal = registers.get(libc::REG_TRAPNO) == ILLEGAL;
    if is_illegal && let Some(next) = rtm::on_illegal(thread, registers) {
        return follow(thread, registers, next);
    }
    // A fault in a transaction is an abort and nothing else.
    if rtm::abort(registers) {
        return;
    }
    let vector = registers.get(libc::REG_TRAPNO).to_le_bytes()[0];
    thread.fault_error.store(registers.get(libc::REG_ERR), SeqCst);
    thread.fault_address.store(registers.get(libc::REG_CR2), SeqCst);
    thread.cause.store(Cause::Fault(vector).encoded(), SeqCst);
    enclu::exit(thread, registers, exit_info(vector));
}

/// The vector of an illegal instruction.
const ILLEGAL: u64 = 6;

fn exit(thread: &Thread, registers: &mut Registers<'_>, cause: Cause) {
    if matches!(cause, Cause::Interrupt | Cause::Preempted) && steps::is_still(thread) {
        return;
    }
    rtm::abort(registers);
    thread.cause.store(cause.encoded(), SeqCst);
    enclu::exit(thread, registers, 0);
}
