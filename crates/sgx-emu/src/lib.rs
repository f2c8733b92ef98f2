//! SGX for machines that have none: makes measured enclave images and runs them in user mode.
//!
//! - Promises: an image is the same for the same ELF file, wherever it was built; under emulation the
//!   file that would run on hardware runs unchanged.
//! - Assumes: x86-64 Linux.
//! - Never: isolates anything. The host reads and writes an emulated enclave as it likes; this is a
//!   vehicle for tests and nothing else.
//! - Start reading at [`image::Image`].
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

pub mod bench;
pub mod contest;
mod device;
pub mod emu;
pub mod image;
pub mod plan;
pub mod run;
pub mod share;
