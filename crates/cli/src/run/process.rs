//! The processes of one `tlease run`: all of them this program again, in another role.
//!
//! By re-execution and not by fork: a role starts with fresh memory, one thread, and nothing open
//! but what it was given.

use nix::sys::signal::{SigSet, Signal};
use nix::unistd::Pid;
use rustix::io::Errno;
use rustix::process::{WaitOptions, WaitStatus, wait};
use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

/// What this program can be, besides the command line that a user sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Kills the tree in time.
    Watchdog,
    /// Starts the watchdog as the init of a PID namespace.
    Enter,
    /// Waits for the lease, then becomes the command.
    Gate,
    /// A process to be killed, so that killing can be measured.
    Probe,
    /// Acquires, renews and releases the lease.
    Supervisor,
}

impl Role {
    const ALL: [Self; 5] = [Self::Watchdog, Self::Enter, Self::Gate, Self::Probe, Self::Supervisor];

    /// The role of that hidden subcommand.
    pub(super) fn named(name: &OsStr) -> Option<Self> {
        Self::ALL.into_iter().find(|role| name == role.name())
    }

    /// This program in that role. The very file that runs now, even if it was replaced meanwhile.
    pub(super) fn command(self) -> Command {
        let mut command = Command::new("/proc/self/exe");
        command.arg0("tlease").arg(self.name());
        command
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Watchdog => "__watchdog",
            Self::Enter => "__enter",
            Self::Gate => "__exec",
            Self::Probe => "__probe",
            Self::Supervisor => "__supervise",
        }
    }
}

/// Blocks every signal that can be blocked and does not tell of a fault in this process.
///
/// Signals from the terminal or a service manager reach all processes of a run. The front process
/// alone acts on them; the others end when it tells them to, or is gone.
pub(super) fn leave_signals_to_the_front() {
    let mut mask = SigSet::all();
    for fault in FAULTS {
        mask.remove(fault);
    }
    // Fails only for an unknown way to combine masks.
    let _ = mask.thread_block();
}

/// Blocks no signal any more, for what becomes the command: it inherited the mask of its watchdog.
pub(super) fn hear_all_signals() {
    // Fails only for an unknown way to combine masks.
    let _ = SigSet::empty().thread_set_mask();
}

/// Reaps every child that has ended, and sees those that have been stopped.
pub(super) fn reap(mut each: impl FnMut(Pid, WaitStatus)) {
    loop {
        match wait(WaitOptions::NOHANG | WaitOptions::UNTRACED) {
            Ok(Some((pid, status))) => each(Pid::from_raw(pid.as_raw_nonzero().get()), status),
            Err(Errno::INTR) => {}
            // None that changed, or none at all.
            Ok(None) | Err(_) => return,
        }
    }
}

/// The number of a child.
pub(super) fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed())
}

const FAULTS: [Signal; 7] = [
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGFPE,
    Signal::SIGILL,
    Signal::SIGTRAP,
    Signal::SIGSYS,
    Signal::SIGABRT,
];
