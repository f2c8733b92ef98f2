//! The word that says "held", shared by all threads of its holder.

use core::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tlease_core::fence::Fence;
use tlease_core::time::{FastInstant, Segment, Span, Ticks};

use super::pool::PooledRecord;
use super::record::{Record, state_word};
use super::timing::Timing;
#[cfg(feature = "host")]
use crate::HostClock as Usual;
#[cfg(not(feature = "host"))]
use crate::enclave::KeeperClock as Usual;

/// One lease as its holder's threads share it: whether it is held, under which fence, until when.
///
/// The client writes it when a grant or a renewal lands ([`LeaseCell::hold`]) and closes it before
/// any message says that it is released ([`LeaseCell::revoke`]). Any thread checks it without a lock
/// and acts under it through the guard ([`LeaseCell::commit`], [`LeaseCell::publish`]).
///
/// After a fork the child's copy says "not held", since its page is wiped; the child can neither hold
/// nor act (I15).
#[derive(Debug)]
pub struct LeaseCell<C: Timing = Usual> {
    clock: Arc<C>,
    record: PooledRecord,
    writer: Mutex<Writer>,
}

/// What only the writer needs.
#[derive(Debug, Default)]
struct Writer {
    held: Option<Fence>,
    /// The latest fence that was revoked: fences never go back.
    closed: Option<Fence>,
    /// Where acts under the held fence end even if it is renewed.
    curtailed: Option<Ticks>,
}

impl<C: Timing> LeaseCell<C> {
    /// A cell that is not held, timed by `clock`.
    ///
    /// # Errors
    /// The kernel has no memory, or no pages that are wiped on fork (Linux 4.14).
    pub fn new(clock: Arc<C>) -> io::Result<Self> {
        Ok(Self { clock, record: PooledRecord::claim()?, writer: Mutex::default() })
    }

    /// Holds `fence` for `term` since `anchor`: a new grant, or a renewal of the one held.
    ///
    /// `anchor` is what the fast hand showed before the request was sent
    /// ([`Now::send_anchor`](tlease_core::time::Now::send_anchor)). Within a segment a renewal sets the
    /// later of the old and the new deadline; in a new segment the new one replaces the old.
    ///
    /// # Timing
    /// The deadline is `anchor + term` in ticks of the fast hand, rounded down, less what a segment can
    /// hide (in `host` 20 us of suspended time).
    ///
    /// # Errors
    /// [`HoldRefusal`]; the cell is as it was.
    pub fn hold(&self, fence: Fence, anchor: &FastInstant, term: Span) -> Result<(), HoldRefusal> {
        let mut writer = self.writer();
        if !self.record().is_ours() {
            return Err(HoldRefusal::Forked);
        }
        if let Some(newest) = writer.closed.max(writer.held).filter(|newest| fence < *newest) {
            return Err(HoldRefusal::Succeeded { newest });
        }
        if writer.closed == Some(fence) {
            return Err(HoldRefusal::Closed);
        }
        let Segment(segment) = anchor.segment();
        if self.clock.live_segment() != Some(anchor.segment()) {
            return Err(HoldRefusal::SegmentOver);
        }
        let deadline = self.deadline_ticks(anchor, term).ok_or(HoldRefusal::TermTooShort)?;
        if writer.held != Some(fence) {
            self.close(&mut writer);
        }
        let (old, old_segment) = self.record().held_by_writer();
        let renewed = writer.held == Some(fence) && old_segment == segment;
        let Ticks(end) = writer.curtailed.unwrap_or(Ticks(u64::MAX));
        let deadline = if renewed { deadline.max(old) } else { deadline }.min(end);
        self.record().hold(state_word(fence.get()), deadline, segment);
        writer.held = Some(fence);
        Ok(())
    }

    /// Makes the lease `fence` suspect, if it is held: its deadline counts no more, and the next
    /// [`LeaseCell::hold`] sets a new one.
    ///
    /// For what casts doubt on the deadline itself, such as a granter's clock that disagrees with this
    /// one. When it returns, no act that read the old deadline becomes visible any more.
    pub fn suspend(&self, fence: Fence) {
        let writer = self.writer();
        if self.record().is_ours() && writer.held == Some(fence) {
            self.record().suspend();
            self.clock.closed();
        }
    }

    /// Ends acts under the lease `fence` at `anchor + term` at the latest, however often it is renewed:
    /// for a recall that allows them for a while.
    ///
    /// # Timing
    /// As [`LeaseCell::hold`]. A term that is too short to be shown ends acts at once.
    ///
    /// # Errors
    /// [`HoldRefusal::Closed`] if it is not held, [`HoldRefusal::Forked`] in a forked child.
    pub fn curtail(
        &self,
        fence: Fence,
        anchor: &FastInstant,
        term: Span,
    ) -> Result<(), HoldRefusal> {
        let mut writer = self.writer();
        if !self.record().is_ours() {
            return Err(HoldRefusal::Forked);
        }
        if writer.held != Some(fence) {
            return Err(HoldRefusal::Closed);
        }
        let Ticks(sooner) = writer.curtailed.unwrap_or(Ticks(u64::MAX));
        let end = self.deadline_ticks(anchor, term).unwrap_or(0).min(sooner);
        writer.curtailed = Some(Ticks(end));
        let (old, segment) = self.record().held_by_writer();
        self.record().hold(state_word(fence.get()), old.min(end), segment);
        Ok(())
    }

    /// Closes the cell and returns the fence that it held. No later [`LeaseCell::hold`] revives it.
    ///
    /// When it returns, no commit under that fence can become visible any more, nor a publish (I9): only
    /// then may a message say that the lease is released.
    pub fn revoke(&self) -> Option<Fence> {
        self.close(&mut self.writer())
    }

    /// The clock that times it.
    #[must_use]
    #[inline]
    pub fn clock(&self) -> &C {
        &self.clock
    }

    #[inline]
    pub(crate) const fn record(&self) -> Record<'static> {
        self.record.record()
    }

    fn close(&self, writer: &mut Writer) -> Option<Fence> {
        let was = self.record().close();
        self.clock.closed();
        let held = writer.held.take();
        *writer = Writer { held: None, closed: writer.closed.max(held), curtailed: None };
        held.filter(|fence| was == state_word(fence.get()))
    }

    fn deadline_ticks(&self, anchor: &FastInstant, term: Span) -> Option<u64> {
        self.clock.end_of(anchor, term).map(|Ticks(deadline)| deadline)
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        // Nothing panics while it is held.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Timing> Drop for LeaseCell<C> {
    fn drop(&mut self) {
        self.revoke();
    }
}

/// A grant or renewal that the cell did not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldRefusal {
    /// This is a forked child: only the process that created the cell holds.
    Forked,
    /// A later fence was held already.
    Succeeded {
        /// That fence.
        newest: Fence,
    },
    /// The lease was revoked; no late reply revives it.
    Closed,
    /// The anchor's segment is over: send again with a new anchor.
    SegmentOver,
    /// The term is shorter than the clock can show.
    TermTooShort,
}

impl fmt::Display for HoldRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forked => f.write_str("a forked child cannot hold its parent's lease"),
            Self::Succeeded { newest } => write!(f, "fence {newest} was held already"),
            Self::Closed => f.write_str("the lease was revoked"),
            Self::SegmentOver => f.write_str("time was interrupted since the request was sent"),
            Self::TermTooShort => f.write_str("the term is too short for this clock"),
        }
    }
}

impl core::error::Error for HoldRefusal {}
