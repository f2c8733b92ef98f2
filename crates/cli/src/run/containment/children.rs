//! The children of the calling thread, which for a subreaper are the roots of all its descendants.
//!
//! Only own children are ever killed by number: while this process has not reaped them, their
//! numbers cannot become somebody else's. When a child dies, its children become ours, so killing
//! children until none is left kills every generation; and a subreaper without children has no
//! descendants.

use super::pids;
use nix::sys::signal::{Signal, kill as send};
use nix::unistd::Pid;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use std::ffi::CStr;
use std::os::fd::OwnedFd;

/// Whether this kernel lists the children of a process at all.
pub(super) fn are_listed() -> bool {
    list().is_ok()
}

/// Kills every child but `spare`.
pub(super) fn kill(spare: Option<Pid>) {
    let Ok(file) = list() else { return };
    // Best effort by contract: a list cut short is read again at the next look.
    let _ = pids::for_each(file, |pid| {
        if Some(pid) != spare {
            let _ = send(pid, Signal::SIGKILL);
        }
    });
}

/// Whether there is any child but `spare`, zombies included. In doubt, yes.
pub(super) fn any(spare: Option<Pid>) -> bool {
    let Ok(file) = list() else { return true };
    let mut found = false;
    let complete = pids::for_each(file, |pid| found |= Some(pid) != spare);
    found || complete.is_err()
}

fn list() -> Result<OwnedFd, Errno> {
    open(CHILDREN, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

/// Of the thread, not the process: the watchdog and the front process have one thread each.
const CHILDREN: &CStr = c"/proc/thread-self/children";
