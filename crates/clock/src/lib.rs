#![doc = include_str!("lib.md")]
#![deny(unsafe_op_in_unsafe_fn)]
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions)]
#![cfg_attr(not(any(feature = "host", test)), no_std)]
#![cfg_attr(
    not(feature = "host"),
    allow(dead_code, reason = "parts of a profile that is not here")
)]
#![cfg_attr(target_env = "sgx", feature(sgx_platform))]

#[cfg(target_env = "sgx")]
extern crate std;

#[cfg(all(feature = "host", not(target_os = "linux")))]
compile_error!(
    "the profile `host` needs Linux: its hands are CLOCK_MONOTONIC_RAW, CLOCK_MONOTONIC and \
     CLOCK_BOOTTIME, and no other system tells a suspend from a pause with them"
);
#[cfg(not(target_pointer_width = "64"))]
compile_error!("tlease-clock needs a 64-bit machine: its shared words are 64-bit atomics");

extern crate alloc;

#[macro_use]
mod mutants;
mod arch;
#[cfg(feature = "host")]
mod deadline;
pub mod enclave;
pub mod guard;
#[cfg(feature = "host")]
mod host;
mod lease;
#[cfg(feature = "host")]
pub mod machine;
pub mod memory;
mod order;
#[cfg(feature = "host")]
mod profile;
pub mod segment;
#[cfg(any(feature = "host", target_env = "sgx"))]
pub mod stay;
#[cfg(feature = "host")]
mod trust;
pub mod vmclock;

#[cfg(all(feature = "emulated-transactions", target_arch = "x86_64"))]
pub use arch::{EmulatedMark, assume_emulated_transactions};
#[cfg(feature = "host")]
pub use deadline::Deadline;
#[cfg(feature = "host")]
pub use guard::LateCommits;
#[cfg(feature = "host")]
pub use host::{Continuity, HostClock, Identity, OpenFault, VmClockFault};
pub use lease::{Check, Timing};
#[cfg(any(feature = "host", target_env = "sgx"))]
pub use lease::{HoldRefusal, LeaseCell};
#[cfg(feature = "mutants")]
pub use mutants::Mutant;
pub use order::CommitOrder;
#[cfg(feature = "host")]
pub use profile::Profile;
#[cfg(feature = "host")]
pub use trust::{Cell, Clock, ClockFault, Trust};
#[cfg(feature = "host")]
pub use vmclock::Generation;
