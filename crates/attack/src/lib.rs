//! Attacks on leases: real processes, paused, stepped, moved and interrupted at the worst moment.
//!
//! - **Promises** a verdict that rests on no clock: effects of the old holder are counted after the
//!   granter's own record of the hand-over, in one ring that all of them append to.
//! - **Assumes** Linux, children of our own that we may stop and trace, and nothing else.
//! - **Never** ships: nothing that is released links this crate. It may use `unsafe`.
//! - **Start reading** at [`Scenario`], then [`lane`], [`judge`].

mod attacker;
pub mod floor;
pub mod judge;
pub mod lane;
mod scenario;
pub mod stress;
mod successor;
mod victim;

pub use scenario::{Attack, Scenario, Tier, Verdict};
pub use successor::{ACTS, succeed};
pub use victim::{Mechanism, act};
