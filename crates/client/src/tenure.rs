//! `Tenure`: one lease as its user and the session's driver share it.

use std::io;
use std::pin::pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use tlease_clock::{Cell, Check, Clock, HoldRefusal};
use tlease_core::Fence;
use tlease_core::holder::{Ending, Hold};
use tlease_core::time::{FastInstant, Now, Span};
use tokio::sync::{broadcast, watch};

use crate::error::{Loss, NotValid};
use crate::events::LeaseEvent;

/// One lease, or the wish for one. The driver opens and closes it; any thread looks at it.
///
/// Whether it is valid is computed by the clock at the moment of asking, never read from a flag that
/// somebody would have to clear in time.
#[derive(Debug)]
pub(crate) struct Tenure {
    cell: Cell,
    process: u32,
    fence: OnceLock<Fence>,
    /// The term in nanoseconds: what one more renewal gives.
    term: AtomicU64,
    phase: watch::Sender<Phase>,
    /// Made when somebody listens.
    events: OnceLock<broadcast::Sender<LeaseEvent>>,
    is_recalled: AtomicBool,
}

/// How far along a lease is, as the driver knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Asked for.
    Wanted { queued: Option<Queued> },
    /// The cell was opened.
    Held,
    /// Over, for good.
    Ended(Ending),
    /// Nobody drives it any more: it runs to its deadline.
    Adrift,
}

/// A place in a name's queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Queued {
    /// How many requests stand before this one.
    pub ahead: u32,
    /// If no grants are made at all because the granter restarted: for how long still, at least.
    pub wait_left: Option<Duration>,
}

/// A lease that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Valid {
    /// For at least this long, rounded down. Drift and hidden suspends are charged already.
    pub remaining: Duration,
    /// Whether it is wanted back: finish, and release it.
    pub recalled: bool,
}

impl Tenure {
    pub(crate) fn new(clock: &Clock) -> io::Result<Self> {
        Ok(Self {
            cell: clock.cell()?,
            process: std::process::id(),
            fence: OnceLock::new(),
            term: AtomicU64::new(0),
            phase: watch::Sender::new(Phase::Wanted { queued: None }),
            events: OnceLock::new(),
            is_recalled: AtomicBool::new(false),
        })
    }

    #[inline]
    pub(crate) const fn cell(&self) -> &Cell {
        &self.cell
    }

    pub(crate) fn fence(&self) -> Option<Fence> {
        self.fence.get().copied()
    }

    /// Whether somebody wants it back.
    #[inline]
    pub(crate) fn is_recalled(&self) -> bool {
        self.is_recalled.load(Ordering::Acquire)
    }

    pub(crate) fn term(&self) -> Duration {
        Duration::from_nanos(self.term.load(Ordering::Relaxed))
    }

    pub(crate) fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Whether this is the process that acquired it.
    pub(crate) fn is_ours(&self) -> bool {
        self.process == std::process::id()
    }

    /// What can be said of it now.
    ///
    /// The first to see it expired closes it, so that a late renewal does not revive what somebody was
    /// told is over.
    #[inline]
    pub(crate) fn check(&self) -> Result<Valid, NotValid> {
        let Some(fence) = self.fence() else { return Err(self.over()) };
        match self.cell.check(fence) {
            Check::Valid { remaining } => {
                Ok(Valid { remaining: remaining.into(), recalled: self.is_recalled() })
            }
            Check::Suspect => Err(NotValid::Suspect),
            Check::Expired => {
                self.end(if self.is_recalled() { Ending::Recalled } else { Ending::Expired });
                Err(self.over())
            }
            Check::NotHeld => Err(self.over()),
        }
    }

    /// How it ended, if it did.
    pub(crate) fn loss(&self) -> Option<Loss> {
        match self.check() {
            Ok(_) | Err(NotValid::Suspect) => None,
            Err(NotValid::Over(loss)) => Some(loss),
        }
    }

    /// Waits until it is over. Ready at any poll at or after its deadline, whoever else runs.
    pub(crate) async fn lost(&self) -> Loss {
        let mut phase = self.phase();
        loop {
            let wait = match self.check() {
                Ok(valid) => valid.remaining,
                Err(NotValid::Suspect) => LOOK_AGAIN,
                Err(NotValid::Over(loss)) => return loss,
            };
            let mut changed = pin!(phase.changed());
            let mut deadline = pin!(tokio::time::sleep(wait));
            let loss = std::future::poll_fn(|context| {
                if let Some(loss) = self.loss() {
                    return Poll::Ready(Some(loss));
                }
                // Both are polled, so that either wakes this task.
                let changed = changed.as_mut().poll(context).is_ready();
                let due = deadline.as_mut().poll(context).is_ready();
                if changed || due { Poll::Ready(None) } else { Poll::Pending }
            });
            if let Some(loss) = loss.await {
                return loss;
            }
        }
    }

    /// Listens from now on.
    pub(crate) fn events(&self) -> broadcast::Receiver<LeaseEvent> {
        self.events.get_or_init(|| broadcast::Sender::new(EVENTS_KEPT)).subscribe()
    }

    /// The driver's: opens the cell, or extends it.
    pub(crate) fn hold(&self, hold: &Hold) -> Result<(), HoldRefusal> {
        if self.has_ended() {
            return Err(HoldRefusal::Closed);
        }
        self.cell.hold(hold.fence, &hold.anchor, hold.term)?;
        self.fence.get_or_init(|| hold.fence);
        if !self.is_recalled.load(Ordering::Relaxed) {
            self.term.store(hold.term.as_nanos(), Ordering::Relaxed);
        }
        self.phase.send_if_modified(|phase| match phase {
            Phase::Wanted { .. } => {
                *phase = Phase::Held;
                true
            }
            Phase::Held | Phase::Ended(_) | Phase::Adrift => false,
        });
        Ok(())
    }

    /// The driver's: nothing may be done under it until it is extended.
    pub(crate) fn suspend(&self) {
        if let Some(fence) = self.fence() {
            self.cell.suspend(fence);
        }
    }

    /// The driver's: until when acts are allowed, since somebody wants the lease back.
    pub(crate) fn recall(&self, now: &Now<FastInstant>, until: Span) {
        self.is_recalled.store(true, Ordering::Release);
        if let Some(fence) = self.fence() {
            // One that is not held any more has nothing to be cut short.
            let _ = self.cell.curtail(fence, &now.send_anchor(), until);
        }
    }

    /// The driver's: a place in the queue.
    pub(crate) fn queued(&self, queued: Queued) {
        self.phase.send_if_modified(|phase| match phase {
            Phase::Wanted { queued: known } => known.replace(queued) != Some(queued),
            Phase::Held | Phase::Ended(_) | Phase::Adrift => false,
        });
    }

    /// Closes it for good, and says how it ended: the first ending stands. When it returns, no act
    /// under it becomes visible any more.
    pub(crate) fn end(&self, ending: Ending) {
        // First the reason, so that nobody finds it closed without one.
        self.phase.send_if_modified(|phase| match phase {
            Phase::Wanted { .. } | Phase::Held | Phase::Adrift => {
                *phase = Phase::Ended(ending);
                true
            }
            Phase::Ended(_) => false,
        });
        self.cell.revoke();
    }

    /// The driver's last word: from now on nobody renews it.
    pub(crate) fn set_adrift(&self) {
        self.phase.send_if_modified(|phase| match phase {
            Phase::Wanted { .. } | Phase::Held => {
                *phase = Phase::Adrift;
                true
            }
            Phase::Ended(_) | Phase::Adrift => false,
        });
    }

    /// Tells those who listen, if anybody does.
    pub(crate) fn tell(&self, event: LeaseEvent) {
        if let Some(events) = self.events.get() {
            // Nobody listens any more: nothing to do.
            let _ = events.send(event);
        }
    }

    /// Whether it waits to be granted.
    pub(crate) fn is_wanted(&self) -> bool {
        matches!(*self.phase.borrow(), Phase::Wanted { .. })
    }

    fn has_ended(&self) -> bool {
        matches!(*self.phase.borrow(), Phase::Ended(_))
    }

    /// Why its cell is not held.
    #[cold]
    fn over(&self) -> NotValid {
        if !self.is_ours() {
            return NotValid::Over(Loss::Forked);
        }
        NotValid::Over(match *self.phase.borrow() {
            Phase::Ended(ending) => Loss::of(ending),
            // Never granted.
            Phase::Wanted { .. } | Phase::Held | Phase::Adrift => Loss::Released,
        })
    }
}

/// How often a suspect lease is looked at again by one who waits for its end, besides when the driver
/// says something.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Events kept for a listener that is slow: it is told how many it missed.
const EVENTS_KEPT: usize = 32;
