#![doc = include_str!("lib.md")]
#![deny(unsafe_op_in_unsafe_fn)]
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "they match the decoder's enums, which list every instruction and register there is"
)]

#[cfg(target_arch = "x86_64")]
pub mod begin;
#[cfg(target_arch = "x86_64")]
mod buffer;
#[cfg(target_arch = "x86_64")]
mod context;
#[cfg(target_arch = "x86_64")]
mod handlers;
#[cfg(target_arch = "x86_64")]
mod instruction;
#[cfg(target_arch = "x86_64")]
mod kernel;
#[cfg(target_arch = "x86_64")]
pub mod liar;
#[cfg(target_arch = "x86_64")]
mod slots;
#[cfg(target_arch = "x86_64")]
mod transaction;

#[cfg(target_arch = "x86_64")]
pub use context::Context;
#[cfg(target_arch = "x86_64")]
pub use handlers::{
    Installed, NotInstalled, abort, install, on_fault, on_illegal, on_trap, prepare,
};
#[cfg(target_arch = "x86_64")]
pub use transaction::{Action, FRESH_NANOS, Runs, Step, freeze_counter, set_hook, thaw_counter};
