//! Restricted transactional memory: check and act in one step.
//!
//! Everything from the clock reading to XEND is one assembly block, the tail of [`Rtm::transact`]: each
//! profile has its own ([`Tail`]), since each reads another clock.

use core::arch::asm;
use core::mem;
#[cfg(feature = "emulated-transactions")]
use core::sync::atomic::{AtomicBool, Ordering};
#[cfg(feature = "host")]
use std::sync::OnceLock;

use tlease_core::time::Ticks;

use crate::guard::status::{AbortStatus, Verdict};

/// Proof that this CPU runs hardware transactions and commits them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rtm(());

/// The end of a transaction: tests all that must hold at its instant, then commits or aborts.
pub(crate) trait Tail {
    /// Ends the transaction that is running: XEND, or XABORT with the code of a [`Verdict`]. Returns the
    /// clock reading that was let through.
    ///
    /// # Safety
    /// Only inside the transaction that [`Rtm::transact`] began.
    unsafe fn end(&mut self) -> Ticks;

    /// Reaches everything that the tests need, from outside of a transaction.
    fn touch(&mut self);
}

impl Rtm {
    /// Transactions, if the CPU has them, commits them, and `TLEASE_NO_RTM=1` is not set.
    ///
    /// Asked once per process. Microcode may leave the CPUID bit and abort every transaction, so a
    /// bit is not enough: one must commit.
    #[cfg(feature = "host")]
    pub(crate) fn detect() -> Option<Self> {
        static DETECTED: OnceLock<bool> = OnceLock::new();
        let usable = *DETECTED.get_or_init(|| {
            std::env::var_os("TLEASE_NO_RTM").is_none_or(|no| no != "1")
                && (std::arch::is_x86_feature_detected!("rtm") || is_emulated())
                && Self::probe_commits()
        });
        usable.then_some(Self(()))
    }

    /// Transactions, if one commits. For an enclave, which cannot ask CPUID: where there are none this is
    /// an illegal instruction.
    #[cfg(not(feature = "host"))]
    pub(crate) fn assume_present() -> Option<Self> {
        Self::probe_commits().then_some(Self(()))
    }

    /// Whether this thread is inside a transaction.
    #[inline(always)]
    pub(crate) fn running(self) -> bool {
        let inside: u8;
        // WHY: stable Rust has no RTM intrinsic (`stdarch_x86_rtm` is unstable).
        // SAFETY: `Rtm` exists only if CPUID reports RTM, so XTEST cannot #UD. It writes flags and
        // the one register named.
        unsafe { asm!("xtest", "setnz {}", out(reg_byte) inside, options(nostack, nomem)) };
        inside != 0
    }

    /// Runs `body` in a transaction that commits only if `tail` lets it through at its very end.
    ///
    /// Returns what the body made, and the clock reading that was let through. On `Err` memory is as if
    /// `body` had not run. `body` must not need `Drop` for what it makes (the caller asserts it): an
    /// abort forgets it.
    #[inline(always)]
    pub(crate) fn transact<R>(
        self,
        tail: &mut impl Tail,
        body: impl FnOnce() -> R,
    ) -> Result<(R, Ticks), AbortStatus> {
        const STARTED: u32 = u32::MAX;
        let mut status = STARTED;
        // WHY: stable Rust has no RTM intrinsic (`stdarch_x86_rtm` is unstable).
        // SAFETY: `Rtm` exists only if CPUID reports RTM and the start-up probe committed, so XBEGIN
        // cannot #UD. No `nomem`, `pure` or `preserves_flags`: the compiler must not move memory
        // accesses across it. On abort the CPU restores registers and memory as they were here,
        // only EAX differs, and resumes at the label.
        unsafe { asm!("xbegin 2f", "2:", inout("eax") status, options(nostack)) };
        if status != STARTED {
            return Err(AbortStatus::new(status));
        }
        let unwinding = AbortOnUnwind;
        let value = body();
        mem::forget(unwinding);
        // WHY: XEND and XABORT are undefined, or at least senseless, elsewhere.
        // SAFETY: this is inside the transaction that began above.
        let now = unsafe { tail.end() };
        Ok((value, now))
    }

    /// Whether one of a bounded number of empty transactions commits.
    fn probe_commits() -> bool {
        (0..PROBES).any(|_| {
            let mut status = u32::MAX;
            // WHY: stable Rust has no RTM intrinsic (`stdarch_x86_rtm` is unstable).
            // SAFETY: called only after CPUID reported RTM, so nothing here can #UD; XEND follows a
            // successful XBEGIN or is jumped over. On abort only EAX differs.
            unsafe {
                asm!("xbegin 2f", "xend", "2:", inout("eax") status, options(nostack));
            }
            status == u32::MAX
        })
    }
}

/// Takes it that this process emulates the instructions of transactions, which the processor lacks.
///
/// For tests, before the first clock is opened; without an emulator the first transaction ends the
/// process by SIGILL.
#[cfg(feature = "emulated-transactions")]
pub fn assume_emulated_transactions() {
    EMULATED.store(true, Ordering::SeqCst);
}

#[cfg(feature = "emulated-transactions")]
static EMULATED: AtomicBool = AtomicBool::new(false);

#[cfg(feature = "host")]
fn is_emulated() -> bool {
    #[cfg(feature = "emulated-transactions")]
    return EMULATED.load(Ordering::SeqCst);
    #[cfg(not(feature = "emulated-transactions"))]
    false
}

/// Empty transactions that the probe tries: interrupts abort some, 256 in a row they do not.
const PROBES: u32 = 256;

/// Aborts the transaction if the body unwinds: a panic must not leave it half done.
///
/// Usually the panic has aborted it before, by its first system call.
struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        // WHY: stable Rust has no RTM intrinsic.
        // SAFETY: exists only inside `transact`, between XBEGIN and XEND, where XABORT does not
        // return: the CPU restores registers and memory and resumes after XBEGIN.
        unsafe { asm!("xabort {}", const Verdict::Unwound.code(), options(nostack)) };
    }
}

/// An address in the function into which this is inlined.
#[inline(always)]
pub(crate) fn code_address() -> *const u8 {
    let here: *const u8;
    // WHY: the address of inlined code has no name in Rust.
    // SAFETY: reads the instruction pointer, touches nothing.
    unsafe { asm!("lea {}, [rip]", out(reg) here, options(nomem, nostack, preserves_flags)) };
    here
}
