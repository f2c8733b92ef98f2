#![doc = include_str!("lib.md")]
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, clippy::as_conversions))]

extern crate alloc;

#[macro_use]
mod mutants;

pub mod audit;
pub mod fence;
mod fingerprint;
pub mod granter;
pub mod holder;
pub mod identity;
mod mac;
pub mod message;
pub mod name;
pub mod outputs;
pub mod refusal;
mod slab;
pub mod time;
mod wheel;

pub use audit::{Disagreement, PeerAudit};
pub use fence::{Fence, FenceGate, Mode};
pub use mac::Key;
#[cfg(feature = "mutants")]
pub use mutants::Mutant;
pub use name::{Name, Value};
pub use refusal::Refusal;
