#![doc = include_str!("lib.md")]
#![forbid(unsafe_code)]

#[macro_use]
mod planted;

mod act;
mod checkers;
#[cfg(feature = "mutants")]
pub mod mutants;
mod options;
mod plan;
mod report;
mod rng;
pub mod scenarios;
mod shrink;
pub mod svg;
mod sweep;
pub mod trace;
mod words;
mod world;

pub use act::{Act, ClockAct, Lease, Lie, Link, Rule, Says, Told, WaitFor, Want};
pub use checkers::{Claim, claims};
pub use options::{
    ClockPlan, Delays, EnclavePlan, HostPlan, Network, Options, SourcePlan, Transactions,
};
pub use plan::{Plan, Timed};
pub use report::{Report, Tally, Violation};
pub use shrink::{Shrunk, shrink};
pub use sweep::{Summary, sweep};
pub use world::{Effect, World};
