//! An asynchronous exit as the host sees it, and what it may do before the enclave goes on.

use std::fmt;
use std::sync::OnceLock;

/// Why a thread left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A signal: the timer's, or another that was sent.
    Interrupt,
    /// The instruction that a test chose.
    Step,
    /// No exit of this kind: it left by itself, for a call to the host, and has not come back yet.
    Call,
    /// The kernel gave the core to another thread.
    Preempted,
    /// The enclave's own fault, with the vector of the exception. The thread does not go on.
    Fault(u8),
}

/// One asynchronous exit. The thread waits at the AEP, with nothing of the enclave in its registers.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Exit {
    /// The thread, by the order of the TCSs in the image.
    pub thread: usize,
    /// How often this thread left so far.
    pub count: u64,
    /// The offset in the enclave of the instruction that comes next. Hardware hides it.
    pub offset: u64,
    /// Why it left.
    pub cause: Cause,
    /// Instructions since the function that is being followed began.
    pub steps: Option<u64>,
}

/// What becomes of the thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// ERESUME.
    Resume,
    /// It never runs again.
    Abandon,
}

/// What a test does between exit and resume, on the thread that left, outside of any handler: it may
/// block, print, and allocate.
pub type Hook = Box<dyn Fn(&Exit) -> Then + Send + Sync>;

static HOOK: OnceLock<Hook> = OnceLock::new();

/// Sets what happens at each exit; `false` if it was set before.
pub fn at_each_exit(hook: Hook) -> bool {
    HOOK.set(hook).is_ok()
}

pub(super) fn hook(exit: &Exit) -> Then {
    HOOK.get().map_or(Then::Resume, |hook| hook(exit))
}

impl Cause {
    pub(super) const fn encoded(self) -> u32 {
        match self {
            Self::Interrupt => 0,
            Self::Step => 1,
            Self::Preempted => 2,
            Self::Call => 3,
            Self::Fault(vector) => 0x100 | vector as u32,
        }
    }

    pub(super) const fn decoded(code: u32) -> Self {
        match code {
            1 => Self::Step,
            2 => Self::Preempted,
            3 => Self::Call,
            fault if fault & 0x100 != 0 => Self::Fault(fault.to_le_bytes()[0]),
            _ => Self::Interrupt,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interrupt => f.write_str("an interrupt"),
            Self::Step => f.write_str("the chosen instruction"),
            Self::Preempted => f.write_str("a preemption"),
            Self::Call => f.write_str("a call to the host"),
            Self::Fault(vector) => write!(f, "exception {vector}"),
        }
    }
}
