//! `tlease run`: a command that is dead before its lease is over.
//!
//! ```text
//! front ──┬── watchdog ──── gate, which becomes the command ── ... its tree
//!         └── supervisor
//! ```
//!
//! - The **front** process (`front`) keeps the terminal, passes signals on and returns the exit
//!   code. It sets the others up. Its death is a stop.
//! - The **watchdog** (`watchdog`) is the ancestor of the tree. It gets each deadline as plain data
//!   and kills the tree from `deadline - margin` on, whoever else is stopped or dead.
//! - The **supervisor** (`supervisor`) acquires and renews the lease, and releases it after the
//!   watchdog has seen that nothing is left. It is beside the tree, so it can be the last to go.
//! - The **gate** (`gate`) waits inside the containment and becomes the command once there is a
//!   lease.
//!
//! All are this program, started again in a hidden role (`hidden_role`); they speak over packet
//! sockets (`channel`) in plain data (`message`). What the watchdog decides is a pure state
//! machine (`watch`); when it kills follows from `margin`; what it kills is a `containment`.
//! Where the lease comes from is the seam `Leases`.

mod args;
mod channel;
mod containment;
mod exit;
mod explain;
mod front;
mod gate;
mod guard;
mod lease;
mod margin;
mod message;
mod probe;
mod process;
mod raw_clock;
mod signals;
mod supervisor;
mod voice;
mod watch;
mod watchdog;

pub use args::RunArgs;
pub use exit::Exit;
pub use lease::{Change, Denied, Held, Leases, Queueing, Sharing, Wanted};

pub use raw_clock::RawInstant;
pub use tlease_clock::Deadline;

use process::Role;
use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

/// Runs a command under a lease from the granter at `server`, by default the local one.
///
/// The program that calls this must call [`hidden_role`] first thing in `main`, or the processes it
/// starts would not know what they are. It must have one thread only.
#[must_use]
pub fn run(args: &RunArgs, server: Option<&OsStr>) -> Exit {
    front::run(args, server)
}

/// Plays the hidden role that this process was started for; `None` if it was started for none.
///
/// `L` is where the supervisor gets its lease.
#[must_use]
pub fn hidden_role<L: Leases>() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let role = Role::named(&arguments.next()?)?;
    let arguments: Vec<OsString> = arguments.collect();
    Some(match role {
        Role::Watchdog => watchdog::watchdog(&arguments),
        Role::Enter => containment::pid_namespace::enter(&arguments),
        Role::Gate => gate::gate(&arguments),
        Role::Probe => probe::probe(&arguments),
        Role::Supervisor => supervisor::supervise::<L>(&arguments),
    })
}
