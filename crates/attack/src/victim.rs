//! The old holder: acts as often as it can while it believes that it holds.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use tlease_clock::guard::Refusal;
use tlease_clock::{Check, HostClock, LeaseCell, Profile};
use tlease_core::fence::Fence;
use tlease_core::time::Span;

use crate::lane::{Actor, Count, Lane, Signal};
use crate::stress::pause_us;

/// How a holder makes sure that its lease is valid when it acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// A commit: record and word in one transaction.
    Commit,
    /// A commit that reads one clock ([`Profile::assume_no_suspend`]).
    CommitOneClock,
    /// A commit in strict order, without a margin.
    CommitStrict,
    /// A publish of the word by a restartable sequence.
    PublishRestartable,
    /// The control: check, then act. Must be caught.
    Plain,
    /// The control at its worst: the holder stops between check and act, now and then.
    PlainStopping,
    /// A planted fault: commits ten seconds beyond the deadline. Must be caught.
    #[cfg(feature = "mutants")]
    CommitIgnoringDeadline,
}

impl Mechanism {
    /// All of them, with their names on the command line.
    const NAMES: &'static [(&'static str, Self)] = &[
        ("commit", Self::Commit),
        ("commit-one-clock", Self::CommitOneClock),
        ("commit-strict", Self::CommitStrict),
        ("publish-restartable", Self::PublishRestartable),
        ("plain", Self::Plain),
        ("plain-stopping", Self::PlainStopping),
        #[cfg(feature = "mutants")]
        ("commit-ignoring-deadline", Self::CommitIgnoringDeadline),
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, mechanism)| *mechanism == self).map_or("?", |(name, _)| name)
    }

    fn profile(self) -> Profile {
        match self {
            Self::Commit | Self::Plain | Self::PlainStopping => Profile::host(),
            Self::CommitOneClock => Profile::host().assume_no_suspend(),
            Self::CommitStrict => Profile::host().strict(),
            Self::PublishRestartable => Profile::host().without_transactions(),
            #[cfg(feature = "mutants")]
            Self::CommitIgnoringDeadline => {
                Profile::host().mutate(tlease_clock::Mutant::CommitBeyondDeadline)
            }
        }
    }
}

impl FromStr for Mechanism {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, mechanism)| *mechanism).ok_or_else(|| format!("no mechanism {name}"))
    }
}

/// Runs the victim until the lane stops.
///
/// # Panics
/// If this machine has no clock, or the granter grants what cannot be held.
pub fn act(lane: &Lane, mechanism: Mechanism) {
    let clock = Arc::new(HostClock::open(&mechanism.profile()).expect("a clock"));
    for round in 1.. {
        while lane.signal(Signal::Round).load(SeqCst) != round {
            if lane.stopped() {
                return;
            }
            pause_us(20);
        }
        let Some(cell) = acquire(lane, &clock, round) else { return };
        let fence = fence(round);
        while act_once(lane, &cell, mechanism, fence, round) {}
        cell.revoke();
        lane.signal(Signal::VictimDone).store(round, SeqCst);
    }
}

/// Asks, waits for the grant, and holds from before the request.
fn acquire(lane: &Lane, clock: &Arc<HostClock>, round: u64) -> Option<LeaseCell> {
    let cell = LeaseCell::new(Arc::clone(clock)).expect("a page");
    let anchor = clock.fast_now().send_anchor();
    lane.signal(Signal::Request).store(round, SeqCst);
    while lane.signal(Signal::Grant).load(SeqCst) != round {
        if lane.stopped() {
            return None;
        }
        std::thread::yield_now();
    }
    let term = Span::from_nanos(lane.signal(Signal::Term).load(SeqCst));
    cell.hold(fence(round), &anchor, term).expect("no suspend since the request");
    Some(cell)
}

/// One attempt to act. `false` once the lease is over.
fn act_once(lane: &Lane, cell: &LeaseCell, mechanism: Mechanism, fence: Fence, round: u64) -> bool {
    let calls = lane.count(Count::Calls).fetch_add(1, Relaxed);
    let (word, value) = (lane.word(), Actor::Victim.value(round, calls));
    let outcome = match mechanism {
        Mechanism::Plain => check_then_act(lane, cell, fence, round, value, || ()),
        Mechanism::PlainStopping => check_then_act(lane, cell, fence, round, value, || {
            if calls % STOP_EVERY == 1 {
                let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGSTOP);
            }
        }),
        Mechanism::PublishRestartable => {
            cell.publish(fence, &word, value).map(|published| (1, published.late))
        }
        Mechanism::Commit | Mechanism::CommitOneClock | Mechanism::CommitStrict => {
            commit(lane, cell, fence, round, value)
        }
        #[cfg(feature = "mutants")]
        Mechanism::CommitIgnoringDeadline => commit(lane, cell, fence, round, value),
    };
    match outcome {
        Ok((tries, late)) => {
            lane.count(Count::Acts).fetch_add(1, Relaxed);
            lane.count(Count::MostTries).fetch_max(u64::from(tries), Relaxed);
            lane.count(Count::Late).fetch_add(u64::from(late.is_some()), Relaxed);
            true
        }
        Err(refusal) => {
            let (count, over) = match refusal {
                Refusal::Expired | Refusal::Revoked => (Count::Refusals, true),
                Refusal::Suspect => (Count::Refusals, false),
                Refusal::CannotCommit(_) | Refusal::Nested => (Count::CannotCommit, false),
                Refusal::Unsupported(_) => (Count::Unsupported, true),
            };
            lane.count(count).fetch_add(1, Relaxed);
            !over
        }
    }
}

type Outcome = Result<(u32, Option<Span>), Refusal>;

fn commit(lane: &Lane, cell: &LeaseCell, fence: Fence, round: u64, value: u64) -> Outcome {
    let (ring, word) = (lane.ring(), lane.word());
    let committed = cell.commit(fence, &(ring, word), |act| {
        act.store(&word, value);
        act.append(&ring, [Actor::Victim.tag(), round, value, 0, 0, 0]).is_ok()
    })?;
    Ok((committed.tries, committed.late))
}

/// What everyone does without a guard.
fn check_then_act(
    lane: &Lane,
    cell: &LeaseCell,
    fence: Fence,
    round: u64,
    value: u64,
    in_between: impl FnOnce(),
) -> Outcome {
    match cell.check(fence) {
        Check::Valid { .. } => {}
        Check::Expired => return Err(Refusal::Expired),
        Check::Suspect => return Err(Refusal::Suspect),
        Check::NotHeld => return Err(Refusal::Revoked),
    }
    in_between();
    lane.bare_word().store(value, SeqCst);
    lane.append_bare(Actor::Victim, round);
    Ok((1, None))
}

/// How many acts a stopping holder does between two stops: some milliseconds of them.
const STOP_EVERY: u64 = 4096;

fn fence(round: u64) -> Fence {
    Fence::new(round).expect("rounds count from 1")
}
