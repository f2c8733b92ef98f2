//! How long killing takes here: measured before each run, on a small tree in the very containment.

use super::channel::Channel;
use super::exit::Exit;
use super::gate::{self, Entry};
use super::process::{self, Role};
use super::raw_clock::RawInstant;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::time::Duration;

/// The time from the first SIGKILL until nothing was left of a tree of [`GENERATIONS`] processes,
/// each a child of the one before; the median of [`ROUNDS`].
///
/// The median, because a margin is ten times this, and that factor is there for the outliers.
///
/// # Errors
/// If the containment cannot be entered, or the tree has not died within [`PATIENCE`].
pub(super) fn kill_latency(entry: &Entry<'_>) -> io::Result<Duration> {
    let mut latencies = [Duration::ZERO; ROUNDS];
    for latency in &mut latencies {
        *latency = one_round(entry)?;
    }
    latencies.sort_unstable();
    Ok(latencies[ROUNDS / 2])
}

/// The hidden role: `GENERATIONS-LEFT KIND DIRECTORY NICENESS`. Starts the next generation and waits.
pub(super) fn probe(arguments: &[OsString]) -> ExitCode {
    let [left, entry @ ..] = arguments else { return Exit::Broken.into() };
    let left = left.to_str().and_then(|left| left.parse::<u32>().ok()).unwrap_or(1);
    let Ok(watchdog) = Channel::from_stdin() else { return Exit::Broken.into() };
    // The later generations are inside already, and entering again changes nothing.
    if gate::enter(&watchdog, entry).is_err() {
        return Exit::Broken.into();
    }
    if let Some(next) = left.checked_sub(1).filter(|next| *next > 0) {
        let next = OsString::from(next.to_string());
        if Role::Probe.command().arg(next).args(entry).spawn().is_err() {
            return Exit::Broken.into();
        }
    }
    // Nothing is ever sent: this ends by being killed, or when the watchdog is gone.
    let mut watchdog = [PollFd::new(&watchdog, PollFlags::IN)];
    let _ = poll(&mut watchdog, None);
    ExitCode::SUCCESS
}

fn one_round(entry: &Entry<'_>) -> io::Result<Duration> {
    let (channel, theirs) = Channel::pair()?;
    Role::Probe
        .command()
        .arg(GENERATIONS.to_string())
        .args(entry.arguments())
        .stdin(OwnedFd::from(theirs))
        .spawn()?;
    for _ in 0..GENERATIONS {
        gate::entered(&channel)?;
    }
    let containment = entry.containment;
    let start = RawInstant::read();
    loop {
        containment.kill(None);
        process::reap(|_, _| {});
        if containment.is_vacant(None) {
            return Ok(RawInstant::read().since(start));
        }
        if RawInstant::read().since(start) > PATIENCE {
            return Err(Errno::TIME.into());
        }
        let _ = poll(&mut [], Some(&BETWEEN_LOOKS));
    }
}

/// Deep enough that killing generation by generation shows what it costs.
const GENERATIONS: u32 = 3;
/// Fewer have no median; each takes a few milliseconds of the time to start.
const ROUNDS: usize = 3;
/// A machine that needs longer than this to kill three processes keeps no deadline.
const PATIENCE: Duration = Duration::from_secs(10);
const BETWEEN_LOOKS: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000 };
