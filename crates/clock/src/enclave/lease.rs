//! A lease that timekeepers time: what can be said of it, and acts under it, in a thread's stay.

use core::sync::atomic::Ordering;

use tlease_core::fence::Fence;
use tlease_core::time::{FastInstant, Now, Readings, Segment, Span, Ticks};

use super::clock::KeeperClock;
use super::keepers::NoAnswer;
use super::stretch::Stretch;
use crate::arch::{Marks, StayGate, counter_early};
use crate::guard::{Act, Committed, Ground, Missing, Refusal, Store, attempt};
use crate::lease::record::{DEADLINE, View, state_word};
use crate::lease::{Check, LeaseCell};
use crate::memory::Registered;
use crate::stay::Stay;

/// A stay whose thread knows the fast hand: it has shaken hands with a timekeeper, and was not interrupted
/// since it armed its marks.
///
/// It borrows the [`Thread`](crate::stay::Thread) through its stay, so that nothing leaves while it lives,
/// and what it knows ends with it (I20).
#[derive(Debug)]
pub struct Timed<'t> {
    stay: Stay<'t>,
    stretch: Stretch,
    clock: &'t KeeperClock,
}

impl KeeperClock {
    /// Puts a stay's thread on the line of a timekeeper.
    ///
    /// # Timing
    /// Some 0.4 us: it waits for two publications.
    ///
    /// # Errors
    /// [`NoAnswer`]: begin another stay.
    pub fn time<'t>(&'t self, stay: Stay<'t>) -> Result<Timed<'t>, NoAnswer> {
        let stretch = self.keepers().shake(|| stay.is_unbroken())?;
        Ok(Timed { stay, stretch, clock: self })
    }
}

impl Timed<'_> {
    /// The bounds of this moment on the fast hand; `None` if this thread was interrupted since the stay
    /// began, or no timekeeper serves.
    #[must_use]
    pub fn fast_now(&self) -> Option<Now<FastInstant>> {
        let here = self.here();
        Some(Now {
            not_before: self.clock.keepers().anchor()?,
            not_after: here.reading(counter_early()).ok()?,
        })
    }

    /// Whether nothing has interrupted this thread since the stay began.
    #[must_use]
    pub fn is_unbroken(&self) -> bool {
        self.stay.is_unbroken()
    }

    /// Plants a fault: what the thread knew is kept though it left, for a call to the host.
    #[cfg(all(feature = "mutants", target_env = "sgx"))]
    pub fn outlive_call(&mut self) {
        self.stay.outlive_call();
    }

    fn here(&self) -> Here<'_> {
        Here { marks: self.stay.marks(), stretch: &self.stretch, clock: self.clock }
    }
}

impl LeaseCell<KeeperClock> {
    /// What can be said of the lease `fence` now, in a stay: no call that leaves, no transaction.
    ///
    /// # Timing
    /// A call that begins at or after the deadline never says `Valid` (I13). `Suspect` if the stay is
    /// over, or began in another segment than the lease's.
    ///
    /// # Panics
    /// If the stay was timed by another clock than this cell.
    #[inline]
    pub fn check_in(&self, timed: &Timed<'_>, fence: Fence) -> Check {
        self.assert_own(timed);
        self.look(&timed.here(), counter_early(), fence).unwrap_or(Check::Suspect)
    }

    /// Runs `body` so that its effects in memory become visible at one instant at which the lease `fence`
    /// is valid and the thread has not been interrupted since its stay began, or not at all (I8, I20).
    ///
    /// As [`LeaseCell::commit`] of the profile `host` in everything else.
    ///
    /// # Errors
    /// [`Refusal`]; nothing happened. [`Refusal::Suspect`] if the stay is over.
    ///
    /// # Panics
    /// As [`LeaseCell::check_in`].
    #[inline]
    pub fn commit_in<M, R>(
        &self,
        timed: &Timed<'_>,
        fence: Fence,
        memory: &M,
        body: impl FnMut(&Act<'_>) -> R,
    ) -> Result<Committed<R>, Refusal>
    where
        M: Registered + ?Sized,
    {
        self.assert_own(timed);
        self.act(&timed.here(), fence, memory, body)
    }

    /// Commits a fixed list of stores, as [`LeaseCell::commit_in`]: no closure, so that all that runs in
    /// the transaction is in this crate.
    ///
    /// # Errors
    /// As [`LeaseCell::commit_in`].
    ///
    /// # Panics
    /// As [`LeaseCell::check_in`].
    pub fn commit_ops_in(
        &self,
        timed: &Timed<'_>,
        fence: Fence,
        stores: &[Store<'_>],
    ) -> Result<Committed<()>, Refusal> {
        self.commit_in(timed, fence, stores, |act| {
            for store in stores {
                act.store(&store.word, store.value);
            }
        })
    }

    /// As [`LeaseCell::check_in`], at a reading of the own counter that was just made: the words are read
    /// in the shadow of its latency, and the mark after it.
    #[inline]
    pub(super) fn look(&self, here: &Here<'_>, own: Ticks, fence: Fence) -> Result<Check, Over> {
        let Segment(segment) = here.stretch.segment();
        let view = self.record().view(state_word(fence.get()), || segment);
        let upper = here.upper(own);
        match view {
            View::NotHeld => Ok(Check::NotHeld),
            // Of another segment: perhaps of one that began after the stay did.
            View::Stale => Err(Over),
            View::Held { deadline, segment: _ } => {
                let left = deadline.checked_sub(upper?).filter(|left| *left > 0);
                Ok(left.map_or(Check::Expired, |left| Check::Valid {
                    remaining: here.clock.keepers().span_floor(Ticks(left)),
                }))
            }
        }
    }

    /// As [`LeaseCell::commit_in`].
    #[inline]
    pub(super) fn act<M, R>(
        &self,
        here: &Here<'_>,
        fence: Fence,
        memory: &M,
        body: impl FnMut(&Act<'_>) -> R,
    ) -> Result<Committed<R>, Refusal>
    where
        M: Registered + ?Sized,
    {
        let rtm = here.clock.rtm().ok_or(Refusal::Unsupported(Missing::Transactions))?;
        if rtm.running() {
            return Err(Refusal::Nested);
        }
        let words = self.record().words();
        let margin = here.clock.stay_margin();
        let mut gate =
            StayGate::new(words, state_word(fence.get()), here.marks, here.stretch, margin);
        #[cfg(feature = "mutants")]
        here.plant(&mut gate);
        let ground = StayGround { cell: self, here, fence };
        let passed = attempt(rtm, &mut gate, &ground, fence, memory, body)?;
        let late = self.lateness(here, passed.now);
        Ok(Committed { value: passed.value, tries: passed.tries, late })
    }

    /// How long after the deadline a commit that read `now` may have become visible, if it was.
    #[inline]
    fn lateness(&self, here: &Here<'_>, Ticks(now): Ticks) -> Option<Span> {
        let deadline = self.record().words()[DEADLINE].load(Ordering::Relaxed);
        if now.saturating_add(here.clock.keepers().late_watch().0) < deadline {
            return None;
        }
        // The thread may have been interrupted by now: its counter is all there is.
        let Ticks(own) = counter_early();
        let ahead = here.stretch.ahead();
        let after = own.saturating_sub(ahead.own.0).saturating_add(ahead.hand.0);
        let late = after.checked_sub(deadline)?;
        let late = here.clock.keepers().span_floor(Ticks(late));
        here.clock.late().note(late);
        Some(late)
    }

    fn assert_own(&self, timed: &Timed<'_>) {
        assert!(core::ptr::eq(self.clock(), timed.clock), "a stay is timed by its lease's clock");
    }
}

/// The calling thread, as far as it knows the fast hand.
pub(super) struct Here<'a> {
    pub(super) marks: &'a Marks,
    pub(super) stretch: &'a Stretch,
    pub(super) clock: &'a KeeperClock,
}

/// The thread was interrupted since its handshake, or its counter says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Over;

impl Here<'_> {
    /// An upper bound of this moment on the fast hand.
    pub(super) fn reading(&self, own: Ticks) -> Result<FastInstant, Over> {
        let upper = self.upper(own)?;
        Ok(FastInstant::new(self.stretch.segment(), Readings::one(Ticks(upper))))
    }

    /// Plants the faults of this clock.
    #[cfg(feature = "mutants")]
    fn plant(&self, gate: &mut StayGate<'_>) {
        #[cfg(feature = "host")]
        let clock = self.clock.profile();
        #[cfg(not(feature = "host"))]
        let clock = self.clock;
        planted!(clock, MarkIgnored => gate.ignore_marks());
        planted!(clock, MarkTestedOutside => if self.marks.are_armed() { gate.ignore_marks() });
        planted!(clock, CounterUnfenced => gate.skip_fence());
    }

    /// The upper bound at a reading that was just made.
    #[inline]
    fn upper(&self, own: Ticks) -> Result<u64, Over> {
        let Ticks(upper) = self.stretch.upper(own).map_err(|_| Over)?;
        // After the counter was read: whatever moved it interrupted this thread before.
        if self.marks.are_armed() { Ok(upper) } else { Err(Over) }
    }
}

/// A lease of the profiles `enclave*` outside of a transaction.
struct StayGround<'a> {
    cell: &'a LeaseCell<KeeperClock>,
    here: &'a Here<'a>,
    fence: Fence,
}

impl Ground for StayGround<'_> {
    fn check(&self) -> Check {
        self.cell.look(self.here, counter_early(), self.fence).unwrap_or(Check::Suspect)
    }

    fn margin(&self) -> Span {
        self.here.clock.margin().commit
    }
}
