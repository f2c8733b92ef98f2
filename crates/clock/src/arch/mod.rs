//! Everything that touches the machine: the only place in this crate with `unsafe` and assembly.
//!
//! Thin shells. They read, map, call and store; what follows from it is decided elsewhere.

#[cfg(feature = "host")]
pub(crate) mod clocks;
#[cfg(feature = "host")]
pub(crate) mod object;
#[cfg(feature = "host")]
pub(crate) mod pages;
pub(crate) mod touch;
#[cfg(feature = "host")]
pub(crate) mod vdso;

#[cfg(target_env = "sgx")]
mod sgx;
#[cfg(target_env = "sgx")]
pub(crate) use sgx::{Marks, host_words};

#[cfg(all(any(feature = "host", target_env = "sgx"), target_arch = "x86_64"))]
mod x86_64;
#[cfg(all(any(feature = "host", target_env = "sgx"), target_arch = "x86_64"))]
pub(crate) use x86_64::*;
#[cfg(all(feature = "emulated-transactions", target_arch = "x86_64"))]
pub use x86_64::{EmulatedMark, assume_emulated_transactions};

#[cfg(all(feature = "host", not(target_arch = "x86_64")))]
mod portable;
#[cfg(all(feature = "host", not(target_arch = "x86_64")))]
pub(crate) use portable::*;

/// The bytes of a page. Larger base pages (arm64) are multiples of it, and mappings are rounded up.
pub(crate) const PAGE: usize = 4096;
