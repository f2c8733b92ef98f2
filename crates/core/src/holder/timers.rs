//! Renewal, jeopardy, expiry, and breaks of continuity.

use alloc::vec::Vec;

use crate::identity::RequestId;
use crate::message::{Fingerprint, Op};
use crate::time::{FastInstant, Now, Remaining, Span};

use super::io::{Change, Ending, Handle, Output, Renewal, WakeReason};
use super::lease::{Anchor, Lease, Told, Trust};
use super::{About, Acknowledged, Holder, Link};

/// A lease is renewed once a third of its term is gone, so that two more attempts fit.
const RENEW_AT_LEFT: (u32, u32) = (2, 3);

/// Its user is warned when only this part of its term is left.
const JEOPARDY_AT_LEFT: (u32, u32) = (1, 4);

/// A connection on which a request goes unanswered for this long is given up for a new one. A
/// granter answers in microseconds; a store that must catch up may take a second or two.
pub(super) const ANSWER_MAX: Span = Span::from_secs(5);

/// How many bulk renewals may be unanswered at once. A break of continuity between two makes the later
/// worth sending; of a clock that breaks at every reading they would have no end.
const RENEWALS_UNDER_WAY_MAX: usize = 4;

/// A tick of the holder's timers is 2^18 ns, a quarter of a millisecond.
const TICK_SHIFT: u32 = 18;

impl Holder {
    /// Moves on to the moment of an input. A new segment makes every lease anchored before suspect.
    pub(super) fn observe(&mut self, now: Now<FastInstant>) {
        let passed = self.hand.elapsed_ceil(&self.now.reading(), &now.reading());
        if let Some(passed) = passed.filter(|_| self.now.reading() != now.reading()) {
            // Step by step: of several sources one that leapt ahead and stopped would hide, for as
            // long as it leads, all that passes.
            self.advance = self.advance.saturating_add(passed);
        }
        if passed.is_some() {
            self.now = now;
            return;
        }
        let held: Vec<Handle> = self.held_handles().collect();
        for handle in &held {
            planted!(self.hand, BreakHidesExpiry => break);
            // What was over before the break is over after it.
            self.end_if_over(*handle);
        }
        self.now = now;
        planted!(self.hand, AnchorsCrossBreaks => self.move_anchors(now));
        for handle in held {
            self.look_at(handle);
        }
    }

    pub(super) fn fire_timers(&mut self) {
        let until = self.advance.as_nanos() >> TICK_SHIFT;
        let mut due = Vec::new();
        while let Some(handle) = self.timers.fire(until, &mut u32::MAX.clone()) {
            due.push(handle);
        }
        for handle in due {
            if let Some(lease) = self.leases.get_mut(&handle) {
                lease.timer = None;
            }
            self.look_at(handle);
        }
    }

    /// Sends what renewals are due: one message, whatever their number.
    pub(super) fn renew_what_is_due(&mut self) {
        if !core::mem::take(&mut self.renewal_due) {
            return;
        }
        let Link::Open(epoch) = self.link else { return };
        let mut under_way = self.pending.iter().filter(|(_, p)| p.about == About::RenewAll);
        let crowded = under_way.clone().count() >= RENEWALS_UNDER_WAY_MAX;
        let in_flight = under_way.next_back().map(|(id, pending)| (*id, pending.anchor));
        let mut fingerprint = Fingerprint::EMPTY;
        let mut counted = Vec::new();
        let mut due_alone = Vec::new();
        let mut bulk_is_due = false;
        for (handle, lease) in &self.leases {
            let Some(held) = lease.held() else { continue };
            let left = held.remaining(&self.hand, &self.now);
            let is_elsewhere = held.home != epoch.incarnation && held.recall.is_some();
            // A recalled lease that this life of the granter does not know runs to its end.
            let runs_out = is_elsewhere && matches!(left, Remaining::AtLeast(_));
            let due =
                lease.renewal == Renewal::Automatic && !runs_out && self.is_due(lease, in_flight);
            if held.is_counted(epoch.incarnation) && left.may_be_held() {
                counted.push(*handle);
                bulk_is_due |= due;
                let name = &lease.acquire.name;
                fingerprint.add(&self.secret, name, held.fence, held.mode);
            } else if due {
                due_alone.push(*handle);
            }
        }
        if bulk_is_due && crowded {
            // Their answers decide: each either helps or has this asked again.
        } else if bulk_is_due && self.all_automatic(&counted) {
            match *counted {
                [only] => self.send_renew(only),
                _ => {
                    self.send(About::RenewAll, Op::RenewAll { fingerprint });
                }
            }
        } else if bulk_is_due {
            due_alone.extend(counted.into_iter().filter(|handle| {
                let lease = self.leases.get(handle);
                lease.is_some_and(|l| l.renewal == Renewal::Automatic && self.is_due(l, in_flight))
            }));
        }
        for handle in due_alone {
            self.renew_or_reclaim(handle);
        }
    }

    /// Asks for a wake-up if something is due earlier than the last one asked for.
    pub(super) fn announce_wake(&mut self) {
        let lease = self.timers.next_due().map(|tick| (tick, WakeReason::Lease));
        let answer = self.answer_due().map(|tick| (tick, WakeReason::Answer));
        let again = self.persistence.due();
        // Of several at one tick the first.
        let due = [lease, answer, again].into_iter().flatten().min_by_key(|(tick, _)| *tick);
        let Some((tick, reason)) = due else { return };
        if self.announced.is_some_and(|announced| announced <= tick) {
            return;
        }
        self.announced = Some(tick);
        let at = Span::from_nanos(tick.checked_shl(TICK_SHIFT).unwrap_or(u64::MAX));
        let after = at.saturating_sub(self.advance);
        self.outputs.push_back(Output::WakeAt { after, reason });
    }

    /// Sets the timer for the next thing that happens to a held lease.
    pub(super) fn set_lease_timer(&mut self, handle: Handle) {
        let Some(lease) = self.leases.get_mut(&handle) else { return };
        if let Some(timer) = lease.timer.take() {
            self.timers.remove(timer);
        }
        let Some(held) = lease.held() else { return };
        let Remaining::AtLeast(left) = held.remaining(&self.hand, &self.now) else { return };
        let steps = [RENEW_AT_LEFT, JEOPARDY_AT_LEFT, (0, 1)];
        let next = steps
            .iter()
            .map(|(numerator, denominator)| held.term.scaled_floor(*numerator, *denominator))
            .find(|step| *step < left)
            .unwrap_or(Span::ZERO);
        let at = self.advance.saturating_add(left.saturating_sub(next)).as_nanos();
        let timer = self.timers.set((at >> TICK_SHIFT).saturating_add(1), handle);
        if let Some(lease) = self.leases.get_mut(&handle) {
            lease.timer = Some(timer);
        }
    }

    /// Ends a lease that is over by now, before a reply could extend it: over is final, even if its
    /// timer has not fired yet.
    pub(super) fn end_if_over(&mut self, handle: Handle) {
        self.settle(handle);
        let held = self.leases.get(&handle).and_then(Lease::held);
        if held.is_some_and(|held| held.remaining(&self.hand, &self.now) == Remaining::Over) {
            self.look_at(handle);
        }
    }

    /// Of a recalled lease, promise or grace may end first, as now one source of the hand leads and now
    /// another: the guard goes by what does. One that is over by now is closed instead.
    fn settle(&mut self, handle: Handle) {
        let Some(held) = self.leases.get_mut(&handle).and_then(Lease::held_mut) else { return };
        let changed = held.settle(&self.hand, &self.now);
        if changed && held.remaining(&self.hand, &self.now).may_be_held() {
            self.publish_hold(handle);
        }
    }

    /// Does what the present state of a held lease asks for.
    fn look_at(&mut self, handle: Handle) {
        self.settle(handle);
        let Some(lease) = self.leases.get_mut(&handle) else { return };
        let Some(held) = lease.held_mut() else { return };
        let recalled = held.recall.is_some();
        match held.remaining(&self.hand, &self.now) {
            Remaining::Over if recalled => self.release(handle, Ending::Recalled),
            Remaining::Over => self.expire(handle),
            Remaining::Unknown => {
                if held.told != Told::Suspect {
                    held.told = Told::Suspect;
                    held.renewing = None;
                    self.tell(handle, Change::Suspect);
                }
                self.renewal_due = true;
            }
            Remaining::AtLeast(left) => {
                let (numerator, denominator) = JEOPARDY_AT_LEFT;
                let jeopardy = held.term.scaled_floor(numerator, denominator);
                let patience = held.term.scaled_floor(1, 5);
                if left <= jeopardy && held.told == Told::Nothing && !recalled {
                    held.told = Told::Jeopardy;
                    self.tell(handle, Change::Jeopardy);
                    self.give_up_late_link(patience);
                }
                self.renewal_due = true;
                self.set_lease_timer(handle);
            }
        }
    }

    /// A lease is over here. The granter is told, so that the next holder need not wait for the rest.
    fn expire(&mut self, handle: Handle) {
        self.release(handle, Ending::Expired);
    }

    /// Whether a lease wants to be renewed and no renewal of it is under way.
    fn is_due(&self, lease: &Lease, in_flight: Option<(RequestId, Anchor)>) -> bool {
        let Some(held) = lease.held() else { return false };
        // Bounds in two segments: nothing is known of this moment, and each input that comes now is a
        // break. One request at a time is all that is worth it, or each reply would call for the next.
        let knows_nothing = self.now.send_anchor().segment() != self.now.reading().segment();
        let asked_with_all = in_flight.is_some_and(|(id, anchor)| {
            let of_now = anchor.instant.segment() == self.now.reading().segment();
            held.counted_from < id && (knows_nothing || of_now && anchor.trust == Trust::Full)
        });
        if held.renewing.is_some() || asked_with_all {
            return false;
        }
        let (numerator, denominator) = RENEW_AT_LEFT;
        let worth = held.term.scaled_floor(numerator, denominator);
        let promised = held.promise.remaining(&self.hand, &self.now);
        match (held.remaining(&self.hand, &self.now), promised) {
            (Remaining::Over, _) | (_, Remaining::Over) => false,
            (Remaining::Unknown, _) | (_, Remaining::Unknown) => !self.persistence.is_paused(),
            (Remaining::AtLeast(_), Remaining::AtLeast(left)) => left <= worth,
        }
    }

    fn all_automatic(&self, handles: &[Handle]) -> bool {
        handles
            .iter()
            .all(|handle| self.leases.get(handle).is_some_and(|l| l.renewal == Renewal::Automatic))
    }

    /// The tick at which an answer is overdue.
    fn answer_due(&self) -> Option<u64> {
        Some(tick_after(self.oldest_unanswered()?, ANSWER_MAX))
    }

    /// Gives the connection up if it owes an answer for `patience` or longer.
    pub(super) fn give_up_late_link(&mut self, patience: Span) {
        let Some(asked) = self.oldest_unanswered() else { return };
        if self.advance.saturating_sub(asked) >= patience {
            self.disconnected();
            self.outputs.push_back(Output::Reconnect);
        }
    }

    /// When the first thing was sent on this connection that the granter has not answered: the
    /// opening of the session, or a request.
    fn oldest_unanswered(&self) -> Option<Span> {
        match self.link {
            Link::Opening { asked } => Some(asked),
            Link::Down | Link::Open(_) => self
                .pending
                .values()
                .find(|pending| pending.acknowledged == Acknowledged::No)
                .map(|pending| pending.asked),
        }
    }

    pub(super) fn held_handles(&self) -> impl Iterator<Item = Handle> {
        self.leases.iter().filter(|(_, lease)| lease.held().is_some()).map(|(handle, _)| *handle)
    }
}

/// The tick at which `span` has passed since `begin`.
pub(super) const fn tick_after(begin: Span, span: Span) -> u64 {
    (begin.saturating_add(span).as_nanos() >> TICK_SHIFT).saturating_add(1)
}

impl Remaining {
    /// Whether the granter may still keep the lease, for all this hand knows.
    const fn may_be_held(self) -> bool {
        match self {
            Self::AtLeast(_) | Self::Unknown => true,
            Self::Over => false,
        }
    }
}
