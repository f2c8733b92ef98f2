//! The signal handlers, and the same decisions for a program that has handlers of its own.

use core::ffi::{c_int, c_void};
use core::fmt;
use core::ptr;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::begin;
use crate::context::Context;
use crate::instruction::{self, Kind};
use crate::liar;
use crate::slots;
use crate::transaction::{Status, Transaction};

/// Proof that transactions are emulated in this process from here on.
#[derive(Debug, Clone, Copy)]
pub struct Installed(());

/// Why transactions cannot be emulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotInstalled {
    /// This processor has the instructions itself, so that none of them raises an exception.
    HasTransactions,
    /// This processor or kernel lets nobody read the base of FS.
    NoSegmentBases,
    /// The kernel refused a signal handler.
    NoHandlers,
    /// The kernel does not let this program's code be overwritten.
    CodeIsFixed,
}

impl fmt::Display for NotInstalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HasTransactions => "this processor has transactions: nothing to emulate",
            Self::NoSegmentBases => "segment bases cannot be read here",
            Self::NoHandlers => "the kernel refused a signal handler",
            Self::CodeIsFixed => "the kernel does not let this program's code be overwritten",
        })
    }
}

impl core::error::Error for NotInstalled {}

/// Emulates transactions in this process from here on, by handlers of SIGILL and SIGTRAP.
///
/// Signals that are not ours go to the handlers that were there before.
///
/// # Errors
/// [`NotInstalled`]; nothing changed, but for [`NotInstalled::NoHandlers`].
pub fn install() -> Result<Installed, NotInstalled> {
    static INSTALLED: OnceLock<Result<Installed, NotInstalled>> = OnceLock::new();
    *INSTALLED.get_or_init(|| {
        prepare()?;
        begin::overwrite_in_this_program().map_err(|_| NotInstalled::CodeIsFixed)?;
        for signal in [libc::SIGILL, libc::SIGTRAP] {
            handle(signal)?;
        }
        Ok(Installed(()))
    })
}

/// What [`install`] does, but for the handlers: for a program that calls [`on_illegal`] and
/// [`on_trap`] from its own.
///
/// # Errors
/// [`NotInstalled`]; nothing changed.
pub fn prepare() -> Result<(), NotInstalled> {
    if std::arch::is_x86_feature_detected!("rtm") {
        return Err(NotInstalled::HasTransactions);
    }
    // WHY: no safe wrapper for this entry of the auxiliary vector.
    // SAFETY: no precondition.
    let capabilities = unsafe { libc::getauxval(AT_HWCAP2) };
    if capabilities & HWCAP2_FSGSBASE == 0 {
        return Err(NotInstalled::NoSegmentBases);
    }
    slots::for_all(Transaction::prepare);
    // The decoder builds its tables when it is first used.
    instruction::decode(
        (prepare as fn() -> Result<(), NotInstalled> as *const ()).expose_provenance(),
    );
    Ok(())
}

/// Deals with SIGILL if it was raised by an instruction of transactions; `false` if not.
pub fn on_illegal(context: &mut Context<'_>) -> bool {
    let at = context.instruction();
    let instruction = instruction::decode(at);
    let next = at.wrapping_add(instruction.len());
    match instruction::kind(&instruction, context) {
        Kind::Begin(fallback) => {
            let begun = slots::with_new(|transaction| transaction.begin(context, next, fallback));
            if begun.is_none() {
                context.set_eax(Status::BLANK.0);
                context.resume_at(fallback);
            }
        }
        Kind::Test => {
            context.set_tested(false);
            context.resume_at(next);
        }
        Kind::Abort(_) => context.resume_at(next),
        Kind::End
        | Kind::Forbidden
        | Kind::ReadsClock
        | Kind::ReadsCounter
        | Kind::Store { .. }
        | Kind::Exchange { .. }
        | Kind::Other => return false,
    }
    true
}

/// Deals with SIGTRAP if this thread is in a transaction; `false` if not.
pub fn on_trap(context: &mut Context<'_>) -> bool {
    slots::with_running(|transaction| transaction.stepped(context)).is_some()
}

/// Deals with a fault (SIGSEGV, SIGBUS, SIGFPE) if this thread is in a transaction, which it aborts;
/// `false` if not.
pub fn on_fault(context: &mut Context<'_>) -> bool {
    abort(context)
}

/// Aborts the transaction of this thread with status 0, as an interrupt does; `false` if there is none.
pub fn abort(context: &mut Context<'_>) -> bool {
    slots::with_running(|transaction| transaction.abort(context, Status::BLANK)).is_some()
}

/// Has [`on_signal`] handle a signal from here on, if it does not yet.
pub(crate) fn handle_once(signal: c_int) -> Result<(), NotInstalled> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if before(signal).get().is_some() { Ok(()) } else { handle(signal) }
}

/// The handlers that were there before, for SIGILL, SIGTRAP and SIGSEGV.
static BEFORE: [OnceLock<libc::sigaction>; 3] = [const { OnceLock::new() }; 3];

fn before(signal: c_int) -> &'static OnceLock<libc::sigaction> {
    let [illegal, trap, fault] = &BEFORE;
    match signal {
        libc::SIGILL => illegal,
        libc::SIGTRAP => trap,
        _ => fault,
    }
}

fn handle(signal: c_int) -> Result<(), NotInstalled> {
    // WHY: C structures of the kernel.
    // SAFETY: all-zero is a valid `sigaction`: the default handler, no flags.
    let (mut ours, mut theirs) =
        unsafe { core::mem::zeroed::<(libc::sigaction, libc::sigaction)>() };
    ours.sa_sigaction = (on_signal as extern "C" fn(_, _, _) as *const ()).expose_provenance();
    // On the thread's own stack: the alternative ones are too small for a decoder.
    ours.sa_flags = libc::SA_SIGINFO;
    // WHY: no safe wrapper.
    // SAFETY: a set of our own.
    unsafe { libc::sigfillset(&raw mut ours.sa_mask) };
    // WHY: no safe wrapper.
    // SAFETY: `on_signal` is a handler of the kind that SA_SIGINFO asks for; it uses neither locks nor
    // memory from the heap nor thread-local storage.
    let result = unsafe { libc::sigaction(signal, &raw const ours, &raw mut theirs) };
    if result != 0 {
        return Err(NotInstalled::NoHandlers);
    }
    before(signal).get_or_init(|| theirs);
    Ok(())
}

extern "C" fn on_signal(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let saved = context.cast::<libc::ucontext_t>();
    // WHY: the kernel passes a raw pointer.
    // SAFETY: with SA_SIGINFO it points to the frame of this signal, ours until we return.
    let mut ours = Context::new(unsafe { &mut *saved });
    let is_done = match signal {
        libc::SIGILL => on_illegal(&mut ours),
        libc::SIGTRAP => on_trap(&mut ours),
        _ => liar::on_fault(&mut ours),
    };
    if !is_done {
        pass_on(signal, info, context);
    }
}

/// Calls the handler that was there before; without one, restores the default, to which the signal is
/// raised again when we return.
fn pass_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let Some(theirs) = before(signal).get() else { return };
    if matches!(theirs.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN) {
        // WHY: no safe wrapper.
        // SAFETY: `theirs` is what the kernel gave us for this signal.
        unsafe { libc::sigaction(signal, theirs, ptr::null_mut()) };
        return;
    }
    let handler = ptr::with_exposed_provenance::<()>(theirs.sa_sigaction);
    // WHY: handlers are plain addresses.
    // SAFETY: the kernel gave us this address as the handler of this signal. One that takes the signal
    // alone ignores the other arguments, which are in registers.
    let handler = unsafe {
        core::mem::transmute::<*const (), extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void)>(
            handler,
        )
    };
    handler(signal, info, context);
}

const AT_HWCAP2: libc::c_ulong = 26;
const HWCAP2_FSGSBASE: libc::c_ulong = 1 << 1;
