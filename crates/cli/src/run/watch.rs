//! What the watchdog decides: a pure state machine over time and events.
//!
//! It keeps invariant I16: the tree is killed in time, whatever else happens. It knows deadlines and
//! reasons, nothing of processes. [`watchdog`](super::watchdog) is its shell.

use super::message::{Lateness, Outcome};
use super::raw_clock::RawInstant;
use std::time::Duration;

/// Watches one tree through one lease.
#[derive(Debug)]
pub(super) struct Watch {
    phase: Phase,
    /// How long a command that was asked to end may take.
    grace: Duration,
    /// How long before the deadline to start killing; `None` until the front process has said.
    margin: Option<Duration>,
    /// The latest deadline heard of.
    deadline: Option<RawInstant>,
    /// Whether the clock can be compared with the deadline.
    clock: Clock,
    /// An earlier end than the deadline's, once the command was asked to end.
    stop_by: Option<RawInstant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The command waits at its gate for the lease.
    Gated,
    Running,
    /// The command was asked to end and may still do so by itself.
    Asked {
        why: Why,
    },
    /// From here there is no way back.
    Killing {
        why: Why,
        since: RawInstant,
        overdue: bool,
    },
    Gone,
}

/// What the raw clock is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clock {
    /// It ran through since the anchor of the lease.
    Continuous,
    /// Nobody knows how long the machine stood still.
    Broken,
}

/// What can happen to the watchdog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Margin(Duration),
    Deadline(RawInstant),
    /// The clock was looked at, and it did not run through since the anchor of the lease.
    Suspended,
    Start {
        fence: u64,
    },
    Recalled {
        within: Duration,
    },
    Lost,
    FrontGone,
    SupervisorGone,
    CommandEnded,
    /// The tree was looked at and nothing was left of it.
    Empty,
    /// Nothing, but time went by.
    Tick,
}

/// What the watchdog does about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Let the command start.
    Open { fence: u64 },
    /// Send the command its stop signal.
    Ask(Why),
    /// Kill the whole tree, and again at every look until nothing is left.
    Kill(Why),
    /// Say that the deadline passed while the tree was still there.
    TellOverdue,
    /// Say that nothing is left, and stop watching.
    Finish(Outcome),
}

/// Why a tree has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The command itself ended; what it left behind goes too.
    CommandEnded,
    /// The lease was not renewed in time.
    DeadlineNear,
    /// The granter or the holder's clock said that the lease is gone.
    Lost,
    /// The granter wants the lease back.
    Recalled,
    /// The process that keeps the terminal is gone.
    FrontGone,
    /// The process that renews the lease is gone.
    SupervisorGone,
    /// The machine was suspended: nobody knows how much of the lease is left.
    Suspended,
}

impl Watch {
    /// A watch over a command that waits at its gate; asked to end, it gets `grace` to do so.
    pub(super) const fn new(grace: Duration) -> Self {
        Self {
            phase: Phase::Gated,
            grace,
            margin: None,
            deadline: None,
            clock: Clock::Continuous,
            stop_by: None,
        }
    }

    /// Takes note of one event and says what to do, at most one thing. A [`Event::Tick`] after the
    /// last event at hand judges the time: deadlines that have already arrived count first.
    #[must_use = "the act has to be done"]
    pub(super) fn handle(&mut self, now: RawInstant, event: Event) -> Option<Act> {
        match event {
            Event::Margin(margin) => {
                self.margin = Some(margin);
                None
            }
            Event::Deadline(deadline) => {
                // A renewal never shortens: a late one that was overtaken changes nothing.
                self.deadline = self.deadline.max(Some(deadline));
                None
            }
            Event::Suspended => {
                self.clock = Clock::Broken;
                self.kill(now, Why::Suspended)
            }
            Event::Start { fence } => self.start(now, fence),
            Event::Recalled { within } => {
                let left = within.saturating_sub(self.margin.unwrap_or(Duration::MAX));
                self.ask(now, Why::Recalled, left)
            }
            Event::Lost => self.kill(now, Why::Lost),
            Event::FrontGone => self.ask(now, Why::FrontGone, Duration::MAX),
            Event::SupervisorGone => self.ask(now, Why::SupervisorGone, Duration::MAX),
            Event::CommandEnded => self.kill(now, Why::CommandEnded),
            Event::Empty => self.finish(now),
            Event::Tick => self.judge(now),
        }
    }

    /// How long the watchdog may wait for events before it has to look at its clock again.
    ///
    /// The clock that it waits by may run a tenth slower than the raw clock, so a wait covers nine
    /// tenths of what is left, and never more than [`LONGEST_WAIT`]: a deadline can only be missed
    /// by [`SHORTEST_WAIT`].
    pub(super) fn wait_at_most(&self, now: RawInstant) -> Duration {
        match self.phase {
            Phase::Gated | Phase::Running | Phase::Asked { .. } => {
                let Some(kill_at) = self.kill_at() else { return LONGEST_WAIT };
                let left = kill_at.since(now);
                (left / 10 * 9).clamp(SHORTEST_WAIT, LONGEST_WAIT)
            }
            Phase::Killing { since, .. } => {
                if now.since(since) < BRISK {
                    RECHECK_SOON
                } else {
                    RECHECK_LATER
                }
            }
            Phase::Gone => LONGEST_WAIT,
        }
    }

    /// Whether the tree is being killed.
    pub(super) const fn is_killing(&self) -> bool {
        matches!(self.phase, Phase::Killing { .. })
    }

    fn start(&mut self, now: RawInstant, fence: u64) -> Option<Act> {
        if self.phase != Phase::Gated {
            return None;
        }
        if let Some(Act::Kill(why)) = self.judge(now) {
            return Some(Act::Kill(why));
        }
        if self.kill_at().is_none() {
            // A start without a lease is a supervisor gone wrong.
            return self.kill(now, Why::Lost);
        }
        self.phase = Phase::Running;
        Some(Act::Open { fence })
    }

    fn ask(&mut self, now: RawInstant, why: Why, within: Duration) -> Option<Act> {
        let stop_by = now.later_by(self.grace.min(within));
        match self.phase {
            // Nothing has run that would need to be asked.
            Phase::Gated => self.kill(now, why),
            Phase::Running => {
                self.stop_by = Some(stop_by);
                self.phase = Phase::Asked { why };
                Some(Act::Ask(why))
            }
            Phase::Asked { .. } => {
                self.stop_by = self.stop_by.map(|known| known.min(stop_by));
                None
            }
            Phase::Killing { .. } | Phase::Gone => None,
        }
    }

    fn judge(&mut self, now: RawInstant) -> Option<Act> {
        match self.phase {
            Phase::Gated | Phase::Running | Phase::Asked { .. } => {
                if self.kill_at().is_some_and(|kill_at| kill_at <= now) {
                    return self.kill(now, Why::DeadlineNear);
                }
                None
            }
            Phase::Killing { why, since, overdue: false } => {
                self.deadline.filter(|deadline| *deadline <= now)?;
                self.phase = Phase::Killing { why, since, overdue: true };
                Some(Act::TellOverdue)
            }
            Phase::Killing { .. } | Phase::Gone => None,
        }
    }

    fn kill(&mut self, now: RawInstant, why: Why) -> Option<Act> {
        let why = match self.phase {
            Phase::Gated | Phase::Running => why,
            // It was asked to end for a reason, and that reason stands.
            Phase::Asked { why: asked } => asked,
            Phase::Killing { .. } | Phase::Gone => return None,
        };
        self.phase = Phase::Killing { why, since: now, overdue: false };
        Some(Act::Kill(why))
    }

    fn finish(&mut self, now: RawInstant) -> Option<Act> {
        let Phase::Killing { why, since, .. } = self.phase else { return None };
        self.phase = Phase::Gone;
        let lateness = match (self.clock, self.deadline) {
            (Clock::Broken, _) => Lateness::Unknown,
            (Clock::Continuous, Some(deadline)) if deadline <= now => {
                Lateness::After(now.since(deadline))
            }
            (Clock::Continuous, Some(_) | None) => Lateness::InTime,
        };
        Some(Act::Finish(Outcome { why, took: now.since(since), lateness }))
    }

    /// The moment to start killing; none before there is a lease.
    fn kill_at(&self) -> Option<RawInstant> {
        let deadline = self.deadline?;
        // Without a margin there is no time at which it would still be right not to kill.
        let by_lease = deadline.earlier_by(self.margin.unwrap_or(Duration::MAX));
        Some(self.stop_by.map_or(by_lease, |stop_by| stop_by.min(by_lease)))
    }
}

impl Why {
    /// All reasons, in the order of their numbers.
    pub(super) const ALL: [Self; 7] = [
        Self::CommandEnded,
        Self::DeadlineNear,
        Self::Lost,
        Self::Recalled,
        Self::FrontGone,
        Self::SupervisorGone,
        Self::Suspended,
    ];

    /// The reason as a word of a message.
    pub(super) const fn number(self) -> u64 {
        match self {
            Self::CommandEnded => 0,
            Self::DeadlineNear => 1,
            Self::Lost => 2,
            Self::Recalled => 3,
            Self::FrontGone => 4,
            Self::SupervisorGone => 5,
            Self::Suspended => 6,
        }
    }

    /// The reason of that number.
    pub(super) fn numbered(number: u64) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// What to tell a user, as the rest of a sentence that begins "because".
    pub(super) const fn sentence(self) -> &'static str {
        match self {
            Self::CommandEnded => "the command ended",
            Self::DeadlineNear => "the lease was not renewed in time",
            Self::Lost => "the lease is lost",
            Self::Recalled => "the granter recalled the lease",
            Self::FrontGone => "the front process is gone",
            Self::SupervisorGone => "the process that renews the lease is gone",
            Self::Suspended => {
                "the machine was suspended, and nobody knows what is left of the lease"
            }
        }
    }
}

/// The clocks are read at least this often: a suspend is noticed within it.
const LONGEST_WAIT: Duration = Duration::from_millis(250);
/// Below this a wait costs more than it saves.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);
/// How long a kill is expected to take at most; until then the tree is looked at often.
const BRISK: Duration = Duration::from_millis(200);
const RECHECK_SOON: Duration = Duration::from_millis(1);
/// A tree that resists sits in the kernel; looking more often does not help it.
const RECHECK_LATER: Duration = Duration::from_millis(20);

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
