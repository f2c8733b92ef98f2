//! One lane: a holder that acts in one way, its successor, and the director that stops the holder
//! between its check and its act, across the hand-over.

use super::players::{HOLDER, Kind, SUCCESSOR};
use super::stage::{Cue, Outcome, Stage};
use crate::granter::link::{monotonic_now, wait};
use crate::program;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::io;
use std::process::Child;
use std::time::{Duration, Instant};

/// The processes of one lane. They end when it is dropped.
#[derive(Debug)]
pub(super) struct Lane {
    stage: Stage,
    holder: Child,
    successor: Child,
}

/// One round as the director saw it. The moments are for drawing; the judge uses none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Round {
    pub(super) held: Duration,
    pub(super) stopped: Duration,
    pub(super) succeeded: Duration,
    pub(super) continued: Duration,
    pub(super) done: Duration,
    pub(super) outcome: Outcome,
    /// Acts of the holder after its successor's first.
    pub(super) stale: u64,
}

impl Lane {
    /// Starts a holder that acts in this way and its successor, both clients of this granter.
    pub(super) fn start(kind: Kind, granter: &str) -> io::Result<Self> {
        let stage = Stage::new()?;
        let start = |role| {
            let name = format!("demo/{}", kind.name());
            program::in_role(role)
                .args([&stage.address(), granter, &name, kind.name()])
                .env_remove("TLEASE_SERVER")
                .spawn()
        };
        let holder = start(HOLDER)?;
        let successor = start(SUCCESSOR)?;
        Ok(Self { stage, holder, successor })
    }

    /// Plays a round; `None` if the holder lost its lease before it could be stopped, as it may on a
    /// machine that is very busy.
    pub(super) fn play(&mut self, round: u64) -> io::Result<Option<Round>> {
        let start = monotonic_now();
        let since = || monotonic_now().saturating_duration_since(start);
        self.stage.give(Cue::Open, round);
        self.await_cues(&[Cue::Held], round)?;
        let held = since();
        wait(&[], Some(ACTING))?;
        self.stage.give(Cue::Aim, round);
        if self.await_cues(&[Cue::Between, Cue::Missed], round)? == Cue::Missed {
            self.await_cues(&[Cue::Succeeded], round)?;
            self.stage.give(Cue::Judged, round);
            return Ok(None);
        }
        self.signal(Signal::SIGSTOP)?;
        self.await_stop()?;
        let stopped = since();
        // It finds this when it wakes: nothing else keeps it from acting then.
        self.stage.give(Cue::Go, round);
        self.await_cues(&[Cue::Succeeded], round)?;
        let succeeded = since();
        wait(&[], Some(SUCCEEDING))?;
        self.signal(Signal::SIGCONT)?;
        let continued = since();
        self.await_cues(&[Cue::Done], round)?;
        let done = since();
        let (outcome, stale) = (self.stage.outcome(), self.stage.stale_acts(round)?);
        self.stage.give(Cue::Judged, round);
        Ok(Some(Round { held, stopped, succeeded, continued, done, outcome, stale }))
    }

    /// How many acts of the holder went through so far.
    pub(super) fn acts(&self) -> u64 {
        self.stage.acts()
    }

    /// The first of these cues that comes.
    fn await_cues(&mut self, cues: &[Cue], round: u64) -> io::Result<Cue> {
        let until = monotonic_now() + PATIENCE;
        loop {
            if let Some(cue) = cues.iter().find(|cue| self.stage.is_given(**cue, round)) {
                return Ok(*cue);
            }
            if self.holder.try_wait()?.is_some() || self.successor.try_wait()?.is_some() {
                return Err(io::Error::other("a process of the demonstration ended early"));
            }
            in_time(until)?;
            wait(&[], Some(LOOK_EVERY))?;
        }
    }

    fn await_stop(&self) -> io::Result<()> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is the library's")]
        match waitpid(pid(&self.holder), Some(WaitPidFlag::WUNTRACED))? {
            WaitStatus::Stopped(..) => Ok(()),
            other => Err(io::Error::other(format!("the holder did not stop: {other:?}"))),
        }
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill(pid(&self.holder), signal)?)
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.stage.give(Cue::Over, 1);
        for child in [&mut self.holder, &mut self.successor] {
            // Also one that is stopped, or waits for its lease.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn in_time(until: Instant) -> io::Result<()> {
    match monotonic_now() < until {
        true => Ok(()),
        false => Err(io::Error::new(io::ErrorKind::TimedOut, "the machine is too busy for it")),
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed())
}

/// How long the holder acts before it is stopped.
const ACTING: Duration = Duration::from_millis(60);
/// How long its successor has the lease before the holder wakes up.
const SUCCEEDING: Duration = Duration::from_millis(60);
/// Other processes' memory sends no event.
const LOOK_EVERY: Duration = Duration::from_micros(500);
/// Only a machine that stands still takes so long for a step.
const PATIENCE: Duration = Duration::from_secs(30);
