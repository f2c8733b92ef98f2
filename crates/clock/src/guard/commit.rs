//! Commits: whole bodies or nothing.

use core::sync::atomic::{AtomicU64, Ordering};

use tlease_core::fence::Fence;
use tlease_core::time::{Span, Ticks};

use super::act::{Act, Store};
use super::attempt::{Ground, attempt};
use super::outcome::{Committed, Missing, Refusal};
use crate::arch::{Gate, Rtm};
use crate::lease::record::{DEADLINE, state_word};
use crate::lease::{Check, LeaseCell};
use crate::memory::{Registered, Touch};

impl LeaseCell {
    /// Runs `body` so that its effects in memory become visible at one instant at which the lease
    /// `fence` is valid, or not at all (I8).
    ///
    /// `memory` is what the body writes: it is touched from outside when a transaction cannot reach
    /// it. The body runs inside a hardware transaction, perhaps several times: no system call, IO,
    /// allocation or lock, under 10 us, and what it returns must not need `Drop` (checked when it is
    /// compiled). If it panics nothing happened, and the panic is lost.
    ///
    /// # Timing
    /// The clock is read before `deadline - commit margin`; the margin covers the time from that
    /// reading to the effects, and what exceeds it is reported ([`Committed::late`]).
    ///
    /// # Errors
    /// [`Refusal`]; nothing happened.
    ///
    /// # Examples
    /// ```no_run
    /// # fn f(cell: &tlease_clock::LeaseCell, fence: tlease_core::Fence,
    /// #      orders: tlease_clock::memory::Ring<'_>) -> Result<(), Box<dyn std::error::Error>> {
    /// let committed = cell.commit(fence, &orders, |act| act.append(&orders, [7; 6]))?;
    /// let position = committed.value?;
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn commit<M, R>(
        &self,
        fence: Fence,
        memory: &M,
        body: impl FnMut(&Act<'_>) -> R,
    ) -> Result<Committed<R>, Refusal>
    where
        M: Registered + ?Sized,
    {
        let (rtm, mut gate) = self.gate(fence)?;
        let ground = HostGround { cell: self, fence };
        let passed = attempt(rtm, &mut gate, &ground, fence, memory, body)?;
        let late = self.lateness(passed.now);
        Ok(Committed { value: passed.value, tries: passed.tries, late })
    }

    /// As [`LeaseCell::commit`], for a body that uses raw shared memory: `touch` names one word on
    /// each page that it writes.
    ///
    /// # Errors
    /// [`Refusal`]; nothing happened.
    #[inline]
    pub fn commit_touching<R>(
        &self,
        fence: Fence,
        touch: &[&AtomicU64],
        body: impl FnMut(&Act<'_>) -> R,
    ) -> Result<Committed<R>, Refusal> {
        self.commit(fence, &Touch(touch), body)
    }

    /// Commits a fixed list of stores: no closure, so that all that runs in the transaction is in
    /// this crate.
    ///
    /// # Errors
    /// [`Refusal`]; nothing happened.
    pub fn commit_ops(&self, fence: Fence, stores: &[Store<'_>]) -> Result<Committed<()>, Refusal> {
        self.commit(fence, stores, |act| {
            for store in stores {
                act.store(&store.word, store.value);
            }
        })
    }

    /// What each transaction of a commit needs, gathered outside of it.
    #[inline]
    fn gate(&self, fence: Fence) -> Result<(Rtm, Gate<'_>), Refusal> {
        let clock = self.clock();
        let rtm = clock.rtm().ok_or(Refusal::Unsupported(Missing::Transactions))?;
        let clocks = clock.gate_clocks().ok_or(Refusal::Unsupported(Missing::Vdso))?;
        if rtm.running() {
            return Err(Refusal::Nested);
        }
        Ok((rtm, Gate::new(&clocks, self.record().words(), state_word(fence.get()))))
    }

    /// How long after the deadline a commit that read `now` may have become visible, if it was.
    ///
    /// Reads the clock again only when the deadline was near.
    #[inline]
    fn lateness(&self, Ticks(now): Ticks) -> Option<Span> {
        let deadline = self.record().words()[DEADLINE].load(Ordering::Relaxed);
        if now.saturating_add(LATE_WATCH.as_nanos()) < deadline {
            return None;
        }
        self.measured_lateness(deadline)
    }

    #[cold]
    fn measured_lateness(&self, deadline: u64) -> Option<Span> {
        let Ticks(after) = self.clock().raw_now();
        let late = after.checked_sub(deadline).map(Span::from_nanos)?;
        self.clock().late().note(late);
        Some(late)
    }
}

/// A lease of the profile `host` outside of a transaction.
struct HostGround<'a> {
    cell: &'a LeaseCell,
    fence: Fence,
}

impl Ground for HostGround<'_> {
    fn check(&self) -> Check {
        self.cell.check(self.fence)
    }

    fn margin(&self) -> Span {
        self.cell.clock().profile().commit_margin
    }

    fn touches_nothing(&self) -> bool {
        self.cell.clock().profile().touches_nothing()
    }
}

/// A commit whose clock reading was this long before the deadline cannot be late: the stall between
/// reading and effect would have to outlast a timer tick, which aborts the transaction.
const LATE_WATCH: Span = Span::from_millis(10);
