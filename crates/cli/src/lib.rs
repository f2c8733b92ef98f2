//! The command line of trusted leases: the program `tlease`.
//!
//! - Promises: every command ends with a documented exit code ([`exit`]) and, unless it succeeded, a
//!   sentence that says what to do; what it prints as `--json` is one object a line.
//! - Assumes: nothing beyond the crates that it puts before a user.
//! - Never: decides about a lease, keeps time of its own for one, or contains unsafe code.
//! - Start reading at [`args`] for the commands, then at the module of the same name.
#![forbid(unsafe_code)]

pub mod args;
mod ask;
mod demo;
mod doctor;
pub mod exit;
mod granter;
mod leases;
mod local;
mod log;
mod mailbox;
mod pages;
mod program;
pub mod run;
mod serve;
mod show;
mod sim;
mod span;
mod timing;
mod token;
mod trust;

pub use leases::{Granter, HeldLease};
pub use program::{hidden_role, main};
