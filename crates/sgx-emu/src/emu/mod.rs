//! The emulated processor.
//!
//! ENCLU is an illegal instruction where there is no SGX: the handler of its signal does what the
//! processor would. Any other signal that reaches a thread inside is an asynchronous exit: it writes
//! the State Save Area and goes on outside, at the AEP, where a test has its turn before ERESUME.
//!
//! What it does not show: isolation; the cost of real exits and of encrypted memory; instructions that
//! are illegal inside (CPUID, system calls) and run here; jumps out of the enclave without EEXIT.

mod accept;
mod cpu;
mod enclu;
mod entry;
mod exit;
mod frame;
mod keys;
mod load;
mod preempt;
mod rtm;
mod signals;
mod steps;
mod table;
mod timer;
pub mod tsc;
mod view;

pub(crate) use entry::use_device;
pub use exit::{Cause, Exit, Hook, Then, at_each_exit};
pub use load::{EmulatedTcs, Emulator, Place};
pub use rtm::{abort_transactions, emulate_transactions};
pub use steps::{Steps, followed, keep_still};
pub use timer::set_rate;

use std::sync::atomic::Ordering::SeqCst;

/// Follows each call of the function at this offset of an enclave, with the exits that are chosen.
///
/// # Panics
/// If there is no such enclave.
pub fn follow(enclave: usize, offset: usize, steps: Steps) {
    steps::set(&table::ENCLAVES[enclave], offset, steps);
}

/// Follows, without exits, calls that begin while this word is zero; `false` if another one was named.
pub fn spare_while_zero(word: &'static std::sync::atomic::AtomicU64) -> bool {
    steps::spare_while_zero(word)
}

/// Asynchronous exits of every thread so far.
#[must_use]
pub fn exits() -> u64 {
    table::THREADS.iter().map(|thread| thread.exits.load(SeqCst)).sum()
}
