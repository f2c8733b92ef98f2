//! The gate: a process that waits for the lease inside the containment, then becomes the command.
//!
//! Started before there is a lease, so that the watchdog has nothing left to allocate afterwards and
//! the command starts as soon as the lease is there.

use super::channel::{Channel, Patience, Received};
use super::containment::Containment;
use super::exit::Exit;
use super::message::{Order, Report};
use super::process::{self, Role};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use rustix::process::setpriority_process;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// How a process gets inside.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) containment: &'a Containment,
    /// The niceness that the user's command would have had, in place of the watchdog's.
    pub(super) niceness: i32,
}

impl Entry<'_> {
    /// As arguments for [`enter`] in another process.
    pub(super) fn arguments(&self) -> [OsString; 3] {
        let [kind, directory] = self.containment.arguments();
        [kind, directory, self.niceness.to_string().into()]
    }
}

/// A command behind its gate.
#[derive(Debug)]
pub(super) struct Gate {
    channel: Channel,
    pid: Pid,
}

impl Gate {
    /// Starts a gate inside and returns once it is there. The command will get `stdin` as its
    /// standard input.
    pub(super) fn hold(
        entry: &Entry<'_>,
        name: &OsStr,
        command: &[OsString],
        stdin: &OwnedFd,
    ) -> io::Result<Self> {
        let (channel, theirs) = Channel::pair()?;
        let child = Role::Gate
            .command()
            .args(entry.arguments())
            .arg(name)
            .args(command)
            .stdin(OwnedFd::from(theirs))
            .spawn()?;
        channel.send_with_fd(&Order::Take, stdin.as_fd())?;
        entered(&channel)?;
        Ok(Self { channel, pid: process::pid_of(&child) })
    }

    /// The process that is, or will become, the command.
    pub(super) const fn pid(&self) -> Pid {
        self.pid
    }

    /// Lets the command start. Does not allocate.
    pub(super) fn open(&self, fence: u64) -> io::Result<()> {
        self.channel.send(&Order::Start { fence })
    }
}

/// Waits for word that a process has entered its containment.
pub(super) fn entered(channel: &Channel) -> io::Result<()> {
    match channel.receive(Patience::Wait)? {
        Received::Message(Report::Entered { .. }, _) => Ok(()),
        Received::Message(Report::Unfit { errno }, _) => Err(io::Error::from_raw_os_error(errno)),
        Received::Message(..) | Received::Nothing | Received::Closed => {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
}

/// Enters as these [`Entry::arguments`] say, and tells the parent.
pub(super) fn enter(parent: &Channel, entry: &[OsString]) -> io::Result<()> {
    let enter = || -> io::Result<()> {
        let [kind, directory, niceness] = entry else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let niceness = niceness.to_str().and_then(|text| text.parse().ok()).unwrap_or(0);
        // Fails only where the watchdog could not raise its own, so that there is nothing to undo.
        let _ = setpriority_process(None, niceness);
        Containment::open(kind, directory)?.enter()
    };
    let inside = enter();
    if let Err(error) = &inside {
        parent.send(&Report::Unfit { errno: error.raw_os_error().unwrap_or(0) })?;
    } else {
        parent.send(&Report::Entered { pid: std::process::id().cast_signed() })?;
    }
    inside
}

/// The hidden role: `KIND DIRECTORY NICENESS NAME COMMAND...`.
pub(super) fn gate(arguments: &[OsString]) -> ExitCode {
    let Some((entry, [name, program, rest @ ..])) = arguments.split_at_checked(3) else {
        return Exit::Broken.into();
    };
    process::hear_all_signals();
    let Ok((fence, stdin)) = wait_for_lease(entry) else {
        return Exit::Broken.into();
    };
    let error = Command::new(program)
        .args(rest)
        .env("TLEASE_NAME", name)
        .env("TLEASE_FENCE", fence.to_string())
        .stdin(stdin)
        .exec();
    eprintln!("tlease: cannot run {}: {error}", program.display());
    let is_missing = error.kind() == io::ErrorKind::NotFound;
    if is_missing { Exit::NotFound.into() } else { Exit::NotExecutable.into() }
}

fn wait_for_lease(entry: &[OsString]) -> io::Result<(u64, OwnedFd)> {
    let watchdog = Channel::from_stdin()?;
    // If the watchdog dies later, at least the command itself dies with it, in any containment.
    set_pdeathsig(Signal::SIGKILL)?;
    enter(&watchdog, entry)?;
    let closed = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let Received::Message(Order::Take, Some(stdin)) = watchdog.receive(Patience::Wait)? else {
        return Err(closed());
    };
    // If the watchdog was gone before the line above that ties us to it, this is how it shows.
    let Received::Message(Order::Start { fence }, _) = watchdog.receive(Patience::Wait)? else {
        return Err(closed());
    };
    Ok((fence, stdin))
}
