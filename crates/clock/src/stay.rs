//! A thread's stay: the time between two interruptions, in which its own counter can be believed.
//!
//! A thread that learned where its counter stands on the fast hand may extend that by itself only
//! while nothing interrupted it. Two things do: the processor or kernel takes it away (a *mark* that
//! this wipes tells), or it leaves by itself, for a call to the host, which may then keep it as long as
//! it likes and meddle with the counter. In SGX the second leaves no trace where the first does: EEXIT
//! does not write the State Save Area.
//!
//! So what a thread learned belongs to a [`Stay`], which borrows the [`Thread`], and everything that
//! leaves goes through [`Thread::leave`], which borrows it too:
//!
//! ```compile_fail,E0499
//! # fn f(thread: &mut tlease_clock::stay::Thread) {
//! let stay = thread.stay();
//! thread.leave(|| println!("a call to the host")); // while `stay` is still to be used
//! drop(stay);
//! # }
//! ```
//!
//! Nor can a stay go to another thread, which has marks of its own:
//!
//! ```compile_fail,E0277
//! # fn f(thread: &'static mut tlease_clock::stay::Thread) {
//! let stay = thread.stay();
//! std::thread::spawn(move || drop(stay));
//! # }
//! ```
//!
//! One after the other they go:
//!
//! ```
//! # fn f(thread: &mut tlease_clock::stay::Thread) {
//! let stay = thread.stay();
//! drop(stay);
//! thread.leave(|| println!("a call to the host"));
//! drop(thread.stay()); // knows nothing of the one before
//! # }
//! ```
//!
//! The shape only binds code that uses it: a `println!` inside a stay compiles. Inside an enclave a
//! second mark tells that: see `arch::sgx`. A call to the host in the midst of a stay ends it.

use core::fmt;
use core::marker::PhantomData;
use std::cell::Cell;

use crate::arch::Marks;

/// The calling thread, as the only user of its marks.
#[derive(Debug)]
pub struct Thread {
    marks: Marks,
    /// The marks are this thread's: not `Send`, not `Sync`.
    here: PhantomData<*mut ()>,
}

/// A stretch of a thread's life between two interruptions.
///
/// It begins when it is made and is over, for good, at the first interruption, which only
/// [`Stay::is_unbroken`] tells.
#[derive(Debug)]
#[must_use = "a stay ends when it is dropped"]
pub struct Stay<'t> {
    marks: &'t mut Marks,
    here: PhantomData<*mut ()>,
}

impl Thread {
    /// Claims the calling thread's marks, after proving that they are wiped by what they stand for.
    ///
    /// # Timing
    /// Inside an enclave this waits for an interruption, which is usually over within a timer tick, and
    /// makes one call to the host.
    ///
    /// # Errors
    /// [`NoMarks`].
    pub fn claim() -> Result<Self, NoMarks> {
        if CLAIMED.get() {
            return Err(NoMarks::Claimed);
        }
        let marks = Marks::find()?;
        CLAIMED.set(true);
        Ok(Self { marks, here: PhantomData })
    }

    /// The marks, armed or lost, for a caller that keeps count of its own stretch.
    #[cfg(feature = "host")]
    #[inline]
    pub(crate) const fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Begins anew without a stay, for the same caller.
    #[cfg(feature = "host")]
    #[inline]
    pub(crate) fn arm(&mut self) {
        self.marks.arm();
    }

    /// Begins a stay.
    #[inline]
    pub fn stay(&mut self) -> Stay<'_> {
        self.marks.arm();
        Stay { marks: &mut self.marks, here: PhantomData }
    }

    /// Does something that leaves: a system call, or in an enclave a call to the host.
    ///
    /// Nothing that the thread learned before is left when it comes back: there is no [`Stay`].
    pub fn leave<R>(&mut self, call: impl FnOnce() -> R) -> R {
        call()
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        CLAIMED.set(false);
    }
}

impl Stay<'_> {
    /// The marks, which are armed or lost.
    #[inline]
    pub(crate) fn marks(&self) -> &Marks {
        self.marks
    }

    /// Plants a fault: the mark of calls to the host is armed again after one.
    #[cfg(all(feature = "mutants", target_env = "sgx"))]
    pub(crate) fn outlive_call(&mut self) {
        self.marks.outlive_call();
    }

    /// Whether nothing has interrupted this thread since the stay began.
    ///
    /// Says nothing of the moment after: only a transaction that reads the marks makes this and an
    /// act one step.
    #[must_use]
    #[inline]
    pub fn is_unbroken(&self) -> bool {
        self.marks.are_armed()
    }
}

impl Drop for Stay<'_> {
    fn drop(&mut self) {
        self.marks.disarm();
    }
}

std::thread_local! {
    /// Two users of one mark would arm it for each other.
    static CLAIMED: Cell<bool> = const { Cell::new(false) };
}

/// Why a thread has no marks that could be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoMarks {
    /// Somebody on this thread has them.
    Claimed,
    /// Outside of an enclave: libc registered no restartable sequences.
    NoRestartableSequences,
    /// The pages beside the TCS are not in this enclave: the image has another layout.
    NotInEnclave,
    /// An exit did not save this thread's registers in the page after its TCS.
    NotTheSaveArea,
    /// No exit came: the host runs this thread without any interruption. It can send it a signal.
    NeverInterrupted,
    /// A call to the host does not wipe the word that it should: this enclave is linked with
    /// another run time.
    OtherRunTime,
}

impl fmt::Display for NoMarks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Claimed => "this thread's marks are in use",
            Self::NoRestartableSequences => "there are no restartable sequences",
            Self::NotInEnclave => "the pages beside the TCS are not in this enclave",
            Self::NotTheSaveArea => "an exit did not save this thread's registers after its TCS",
            Self::NeverInterrupted => "no exit came that could show where exits save registers",
            Self::OtherRunTime => "a call to the host does not wipe the mark that it should",
        })
    }
}

impl core::error::Error for NoMarks {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_has_its_marks_once_and_loses_a_stay_when_it_is_interrupted() {
        let mut thread = match Thread::claim() {
            Ok(thread) => thread,
            Err(none) => return println!("skipped: {none}"),
        };
        assert_eq!(Thread::claim().err(), Some(NoMarks::Claimed));
        // A chance preemption breaks a stay; not each time.
        assert!((0..1_000).any(|_| thread.stay().is_unbroken()));
        let sleep = rustix::thread::Timespec { tv_sec: 0, tv_nsec: 100_000 };
        let stay = thread.stay();
        let _ = rustix::thread::nanosleep(&sleep);
        if stay.is_unbroken() {
            println!("skipped: this kernel does not clear the mark in a call that blocks");
        }
        drop(stay);
        drop(thread);
        assert!(Thread::claim().is_ok());
    }
}
