//! Setting up the watchdog over the best containment that can be had.

use super::args::RunArgs;
use super::channel::{Channel, Patience, Received};
use super::containment::{Containment, Kind, Unfit};
use super::message::{Hardened, Order, Report};
use super::process::{Role, pid_of};
use nix::unistd::Pid;
use rustix::fs::getxattr;
use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

/// A watchdog in place, with the command behind its gate.
#[derive(Debug)]
pub(super) struct Guarded {
    pub(super) containment: Containment,
    /// The watchdog, or the process that reaps it if it is the init of a namespace.
    pub(super) process: Child,
    /// The watchdog itself.
    pub(super) watchdog: Pid,
    pub(super) channel: Channel,
    pub(super) kill_latency: Duration,
    pub(super) hardened: Hardened,
}

/// A kind of containment that was not used, and why.
#[derive(Debug)]
pub(super) struct PassedOver {
    pub(super) kind: Kind,
    pub(super) why: Unfit,
}

/// Sets up a watchdog over the first of the kinds asked for that works, trying each for real.
///
/// With it comes the supervisor's end of its channel to the watchdog, to be handed over and not
/// kept: as long as anybody else holds it, the watchdog does not see the supervisor die.
pub(super) fn set_up(args: &RunArgs) -> (Option<(Guarded, Channel)>, Vec<PassedOver>) {
    let mut passed_over = Vec::new();
    for kind in args.kinds() {
        match try_kind(kind, args) {
            Ok(guarded) => return (Some(guarded), passed_over),
            Err(why) => passed_over.push(PassedOver { kind, why }),
        }
    }
    (None, passed_over)
}

fn try_kind(kind: Kind, args: &RunArgs) -> Result<(Guarded, Channel), Unfit> {
    if kind == Kind::PidNamespace && !args.named_a_kind() {
        unnoticed_by(args.command())?;
    }
    let containment = Containment::create(kind)?;
    let mut arguments = containment.arguments().to_vec();
    arguments.extend(args.for_watchdog());
    let started = Started::new(kind, &arguments).and_then(Started::wait_until_ready);
    match started {
        Ok((started, ready)) => {
            let guarded = Guarded {
                containment,
                process: started.process,
                watchdog: ready.watchdog,
                channel: started.channel,
                kill_latency: ready.kill_latency,
                hardened: ready.hardened,
            };
            Ok((guarded, started.for_supervisor))
        }
        Err(error) => {
            containment.remove();
            Err(Unfit::NoEntry(error))
        }
    }
}

/// Whether a PID namespace would change nothing that such a command is likely to notice.
fn unnoticed_by(command: &[OsString]) -> Result<(), Unfit> {
    let terminals =
        [io::stdin().is_terminal(), io::stdout().is_terminal(), io::stderr().is_terminal()];
    if terminals.contains(&true) {
        return Err(Unfit::Terminal);
    }
    match command.first().and_then(|program| found_in_path(program)) {
        Some(file) if is_privileged(&file) => Err(Unfit::Privileged),
        // A program that is not there will be missed when it is started.
        Some(_) | None => Ok(()),
    }
}

/// A watchdog that was started and has not said yet how it fares.
struct Started {
    process: Child,
    channel: Channel,
    for_supervisor: Channel,
}

/// What a watchdog says once the command is behind its gate.
struct Ready {
    watchdog: Pid,
    kill_latency: Duration,
    hardened: Hardened,
}

impl Started {
    fn new(kind: Kind, arguments: &[OsString]) -> io::Result<Self> {
        let role = if kind == Kind::PidNamespace { Role::Enter } else { Role::Watchdog };
        let (channel, theirs) = Channel::pair()?;
        let (for_watchdog, for_supervisor) = Channel::pair()?;
        // Sent before it is started: they wait for it in the channel.
        channel.send_with_fd(&Order::Take, io::stdin().as_fd())?;
        channel.send_with_fd(&Order::Take, for_watchdog.as_fd())?;
        let process = role.command().args(arguments).stdin(OwnedFd::from(theirs)).spawn()?;
        Ok(Self { process, channel, for_supervisor })
    }

    fn wait_until_ready(mut self) -> io::Result<(Self, Ready)> {
        match self.ready() {
            Ok(ready) => Ok((self, ready)),
            Err(error) => {
                // It ends by itself once its channel is gone; what it started ends with it.
                drop(self.channel);
                let _ = self.process.wait();
                Err(error)
            }
        }
    }

    fn ready(&self) -> io::Result<Ready> {
        let mut watchdog = pid_of(&self.process);
        loop {
            match self.channel.receive(Patience::Wait)? {
                Received::Message(Report::Entered { pid }, _) => watchdog = Pid::from_raw(pid),
                Received::Message(Report::Ready { kill_latency, hardened }, _) => {
                    return Ok(Ready { watchdog, kill_latency, hardened });
                }
                Received::Message(Report::Unfit { errno }, _) => {
                    return Err(io::Error::from_raw_os_error(errno));
                }
                Received::Message(..) | Received::Nothing => {}
                Received::Closed => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }
}

/// The file that a command without a slash would run.
fn found_in_path(program: &OsStr) -> Option<PathBuf> {
    if Path::new(program).components().count() > 1 {
        return Some(program.into());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
}

fn is_privileged(file: &Path) -> bool {
    let has_bits = file.metadata().is_ok_and(|metadata| metadata.mode() & SETUID_OR_SETGID != 0);
    has_bits || getxattr(file, "security.capability", &mut [0_u8; 64][..]).is_ok()
}

const SETUID_OR_SETGID: u32 = 0o6000;
