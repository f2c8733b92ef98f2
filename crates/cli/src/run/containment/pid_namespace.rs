//! A PID namespace whose init is the watchdog.

use super::super::channel::Channel;
use super::super::message::Report;
use super::super::process::{self, Role};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getgid, getuid};
use std::ffi::OsString;
use std::process::{Child, ExitCode};
use std::{fs, io};

/// Sends SIGKILL to everything in the namespace but the caller, which is its init.
pub(super) fn kill_all() {
    let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
}

/// Whether the calling init is alone in its namespace, zombies included.
pub(super) fn is_vacant() -> bool {
    kill(Pid::from_raw(-1), None) == Err(Errno::ESRCH)
}

/// The hidden role between the front process and a watchdog that is the init of a namespace: only a
/// child can be the init of a new PID namespace, and the front process itself must stay outside.
///
/// Ends with success once the init has been reaped, which the kernel allows only after everything in
/// the namespace is gone: that is the proof the front process relies on if the watchdog dies.
pub(in super::super) fn enter(arguments: &[OsString]) -> ExitCode {
    process::leave_signals_to_the_front();
    match start_init(arguments) {
        Ok(mut init) => match init.wait() {
            Ok(_) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(error) => {
            let errno = error.raw_os_error().unwrap_or(0);
            let told = Channel::from_stdin().and_then(|front| front.send(&Report::Unfit { errno }));
            if told.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
    }
}

fn start_init(arguments: &[OsString]) -> io::Result<Child> {
    leave_namespace()?;
    let front = Channel::from_stdin()?;
    let init = Role::Watchdog.command().args(arguments).spawn()?;
    front.send(&Report::Entered { pid: init.id().cast_signed() })?;
    Ok(init)
}

/// Makes the next child the init of a new PID namespace: with privilege only that, without it in a
/// new user namespace, in which this user keeps its number.
fn leave_namespace() -> io::Result<()> {
    if unshare(CloneFlags::CLONE_NEWPID).is_ok() {
        return Ok(());
    }
    let (user, group) = (getuid(), getgid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWPID)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("{group} {group} 1"))
}
