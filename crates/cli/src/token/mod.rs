//! Leases that outlive the command that took them: `acquire`, `renew`, `release`.
//!
//! `tlease acquire` ends, and nobody renews: what it prints is a token that proves the session which
//! holds the lease, so that later commands can renew it or give it back.
//!
//! - `text`: the token and its one printable line;
//! - `take`: takes a lease, waiting in the queue of its name;
//! - `prove`: renews, reclaims and releases by a token;
//! - `acquire`, `renew`, `release`: the commands;
//! - `hold`: the helper that renews while a process lives (`--hold-pid`).

mod acquire;
mod given;
mod hold;
mod prove;
mod release;
mod renew;
mod say;
mod take;
mod text;

pub(crate) use acquire::AcquireArgs;
pub(crate) use hold::{ROLE as HOLD_ROLE, hold};
pub(crate) use release::ReleaseArgs;
pub(crate) use renew::RenewArgs;

use crate::exit::{Chain, Exit, Failure};
use tlease_clock::{HostClock, Profile};

/// The clock by which a holder on this machine counts.
fn clock() -> Result<HostClock, Failure> {
    HostClock::open(&Profile::host()).map_err(|why| {
        let sentence = format!("the clocks of this machine cannot be used: {}", Chain(&why));
        Failure::new(Exit::Broken, sentence)
    })
}
