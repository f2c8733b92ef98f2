//! Renewal, release, recall, expiry: the life of a lease after it was granted.

use alloc::vec::Vec;

use crate::fence::{Fence, Mode};
use crate::identity::RequestId;
use crate::message::{
    EventReason, Fingerprint, Force, FromGranter, Recall, Renewed, RenewedSome, Reply, Tag,
};
use crate::name::Name;
use crate::refusal::Refusal;
use crate::slab::Id;
use crate::time::Span;

use super::ledger::{Entry, Lease, LeaseId, Recalled, Standing};
use super::sessions::Session;
use super::tags::Signed;
use super::timeline::Stamp;
use super::{Due, Granter};

/// Fences in one part of the answer to a bulk renewal of sets that differ: 8 kB.
const FENCES_PER_PART: usize = 1024;

/// How long a term that was just lowered waits to be made durable: at most one write in this time.
const LOWER_AFTER: Span = Span::from_secs(10);

impl Granter {
    /// Puts a new lease on its name, with everything that is counted of it.
    pub(super) fn install(&mut self, lease: Lease) -> LeaseId {
        let (session, standing, period) = (lease.session, lease.standing, lease.period());
        self.promises.add(lease.term);
        self.durability.keep(lease.term);
        let head = self.sessions.all[session].leases;
        let id = self.ledger.link(lease, head);
        let known = &mut self.sessions.all[session];
        known.leases = Some(id);
        known.lease_count = known.lease_count.saturating_add(1);
        self.ledger[id].timer = Some(self.set_timer(period, Due::Lease(id)));
        if standing == Standing::Held {
            self.count_in(id);
        }
        id
    }

    pub(super) fn renew(
        &mut self,
        session: Id<Session>,
        id: RequestId,
        name: &Name,
        fence: Fence,
        term: Option<Span>,
    ) {
        let max = self.limits.term_max;
        if term.is_some_and(|term| term > max) {
            return self.refuse_session(session, id, Refusal::TermTooLong { max });
        }
        let Some(lease) = self.live_lease(session, name, fence) else {
            planted!(self.timeline.hand, RenewalRevives => return self.revive(session, id, name, fence));
            return self.refuse_session(session, id, Refusal::NotHeldHere);
        };
        let is_recalled = self.ledger[lease].recalled().is_some();
        let renewed = if is_recalled && !planted!(self.timeline.hand, RecalledRenewedFully) {
            self.renew_recalled(lease)
        } else {
            self.renew_held(lease, term)
        };
        self.reply(session, id, Reply::Renewed(renewed));
    }

    /// Extends all leases of a session at once, whatever their number, if both sides hold the same
    /// set: its leases then also count from the session's own stamp.
    pub(super) fn renew_all(&mut self, session: Id<Session>, id: RequestId, theirs: Fingerprint) {
        let agrees = self.sessions.all[session].fingerprint == theirs;
        if agrees || planted!(self.timeline.hand, FingerprintIgnored) {
            self.sessions.all[session].renewed_all = Some(self.timeline.stamp());
            return self.reply(session, id, Reply::RenewedAll);
        }
        let mut fences = Vec::new();
        let mut next = self.sessions.all[session].leases;
        while let Some(lease) = next {
            next = self.ledger[lease].next_of_session;
            if self.is_over(lease) {
                self.free(lease, EventReason::Expired);
            } else if self.is_counted(lease) {
                fences.push(self.ledger[lease].fence);
            }
        }
        self.sessions.all[session].renewed_all = Some(self.timeline.stamp());
        let mut parts = fences.chunks(FENCES_PER_PART).peekable();
        if parts.peek().is_none() {
            let none = RenewedSome { fences: Vec::new(), more: false };
            return self.reply(session, id, Reply::RenewedSome(none));
        }
        while let Some(part) = parts.next() {
            let some = RenewedSome { fences: part.to_vec(), more: parts.peek().is_some() };
            self.reply(session, id, Reply::RenewedSome(some));
        }
    }

    pub(super) fn release(
        &mut self,
        session: Id<Session>,
        id: RequestId,
        name: &Name,
        fence: Fence,
    ) {
        let lease = self.live_lease(session, name, fence);
        if let Some(lease) = lease {
            // Whoever gives back what it has wants nothing of the name any more. A release of what
            // is gone says nothing of a wish that came after it.
            let entry = self.ledger[lease].entry;
            self.drop_pending(session, name, Some(entry));
            self.free(lease, EventReason::Released);
        }
        self.reply(session, id, Reply::Released { was_held: lease.is_some() });
    }

    pub(super) fn downgrade(
        &mut self,
        session: Id<Session>,
        id: RequestId,
        name: &Name,
        fence: Fence,
    ) {
        let Some(lease) = self.live_lease(session, name, fence) else {
            return self.refuse_session(session, id, Refusal::NotHeldHere);
        };
        let Lease { entry, term, mode, standing, .. } = self.ledger[lease];
        if standing == Standing::Offered {
            return self.refuse_session(session, id, Refusal::NotHeldHere);
        }
        if mode == Mode::Exclusive {
            let counted = self.is_counted(lease);
            if counted {
                self.count_out(lease);
            }
            self.ledger.share(lease);
            if counted {
                self.count_in(lease);
            }
            self.record(entry, fence, EventReason::Downgraded);
            self.serve_later(entry);
        }
        let tag = self.tag(session, entry, Mode::Shared, fence, term);
        self.reply(session, id, Reply::Downgraded { tag });
    }

    /// Asks every holder of a name to give it back. Returns how many were asked.
    pub(super) fn recall_all(&mut self, entry: Id<Entry>, recall: Recall) -> u32 {
        let leases: Vec<_> = self.ledger.leases_on(entry).collect();
        let mut asked = 0_u32;
        for lease in leases {
            if self.ledger[lease].standing == Standing::Held {
                self.recall(lease, recall);
                asked = asked.saturating_add(1);
            }
        }
        asked
    }

    /// Frees the newest lease on a name if it must be over: somebody else asks for it now, and its
    /// timer may be a little late. Of shared leases the timers take care.
    pub(super) fn free_if_over(&mut self, entry: Id<Entry>) {
        let newest = self.ledger.names.get(entry).and_then(|entry| entry.newest);
        if let Some(newest) = newest.filter(|lease| self.is_over(*lease)) {
            self.free_over(newest);
        }
    }

    pub(super) fn lease_due(&mut self, lease: LeaseId) {
        self.ledger[lease].timer = None;
        if self.is_over(lease) {
            return self.free_over(lease);
        }
        let left = self.remaining_ceil(lease);
        self.ledger[lease].timer = Some(self.set_timer(left, Due::Lease(lease)));
    }

    /// What is left of a lease before it may be freed, rounded up.
    pub(super) fn remaining_ceil(&self, lease: LeaseId) -> Span {
        let known = &self.ledger[lease];
        let own = self.timeline.remaining_ceil(&known.stamp, known.period());
        let with_all = self.stamp_of_all(lease);
        let bulk = with_all.map(|stamp| self.timeline.remaining_ceil(&stamp, known.term));
        bulk.map_or(own, |bulk| bulk.max(own))
    }

    /// Makes the longest promise durable that is still open, if a longer one is.
    pub(super) fn lower_promise(&mut self) {
        self.lowering = false;
        if self.can_serve() && self.parked.is_empty() && self.starved.is_empty() {
            self.durability.want_longest(self.promises.longest_ceil());
            planted!(self.timeline.hand, BoundLoweredBelowLive => {
                self.durability.want_longest(Span::ZERO)
            });
            self.durability.write(&mut self.outputs);
        } else {
            self.lower_later();
        }
    }

    pub(super) fn record(&mut self, entry: Id<Entry>, fence: Fence, reason: EventReason) {
        self.events.record(&self.ledger.names[entry].name, fence, reason, &mut self.outputs);
    }

    pub(super) fn tag(
        &self,
        session: Id<Session>,
        entry: Id<Entry>,
        mode: Mode,
        fence: Fence,
        term: Span,
    ) -> Tag {
        let (holder, name) = (&self.sessions.all[session], &self.ledger.names[entry].name);
        let signed = Signed {
            issued: self.incarnation,
            session: holder.id,
            secret: &holder.secret,
            name,
            mode,
            fence,
            term,
        };
        signed.tag(&self.token_key.key())
    }

    /// The session's lease with this name and this fence, if it is not over (invariant I12).
    pub(super) fn live_lease(
        &mut self,
        session: Id<Session>,
        name: &Name,
        fence: Fence,
    ) -> Option<LeaseId> {
        let entry = self.ledger.find(name)?;
        let lease = planted!(self.timeline.hand, AnyoneMovesLease
            => self.ledger.names[entry].newest, else self.ledger.lease_of(entry, session))?;
        if self.ledger[lease].fence != fence {
            return None;
        }
        if self.is_over(lease) {
            self.free_over(lease);
            return None;
        }
        Some(lease)
    }

    /// Whether the whole term has certainly passed since the latest moment it counts from
    /// (invariant I4).
    fn is_over(&self, lease: LeaseId) -> bool {
        let known = &self.ledger[lease];
        self.timeline.must_be_over(&known.stamp, known.period())
            && self
                .stamp_of_all(lease)
                .is_none_or(|stamp| self.timeline.must_be_over(&stamp, known.term))
    }

    /// When a lease was last renewed with all others of its session, if it is one of those.
    fn stamp_of_all(&self, lease: LeaseId) -> Option<Stamp> {
        let session = self.ledger[lease].session;
        self.sessions.all[session].renewed_all.filter(|_| self.is_counted(lease))
    }

    /// The latest moment that a lease counts from.
    fn latest_stamp(&self, lease: LeaseId) -> Stamp {
        let own = self.ledger[lease].stamp;
        let with_all = self.stamp_of_all(lease);
        with_all.filter(|stamp| self.timeline.is_no_earlier(stamp, &own)).unwrap_or(own)
    }

    /// Whether bulk renewals extend it: held, and not wanted back.
    fn is_counted(&self, lease: LeaseId) -> bool {
        let known = &self.ledger[lease];
        known.standing == Standing::Held && known.recalled().is_none()
    }

    /// A renewal ends later than whatever was promised before: it begins later, and a term never
    /// becomes shorter, so that both sides agree on how far a bulk renewal reaches. One that names
    /// the term which it then has is signed anew: the answer to an earlier one may have been lost, or the
    /// holder's signature is of an earlier life.
    fn renew_held(&mut self, lease: LeaseId, wanted: Option<Span>) -> Renewed {
        self.report_if_late(lease);
        let confirms = self.ledger[lease].standing == Standing::Offered;
        if let Some(wanted) = wanted {
            self.lengthen(lease, wanted);
        }
        let stamp = self.timeline.stamp();
        let known = &mut self.ledger[lease];
        if !planted!(self.timeline.hand, RenewalNotStamped) {
            known.stamp = stamp;
        }
        if !planted!(self.timeline.hand, ConfirmationForgotten) {
            known.standing = Standing::Held;
        }
        let (session, entry, term) = (known.session, known.entry, known.term);
        let (fence, mode) = (known.fence, known.mode);
        if confirms {
            self.count_in(lease);
            self.record(entry, fence, EventReason::Granted);
        }
        let tag = (wanted == Some(term)).then(|| self.tag(session, entry, mode, fence, term));
        Renewed { term, tag, recall: None }
    }

    /// Lengthens a lease's term if that is more, and durable enough to be promised: otherwise asks
    /// for that, so that a later renewal gets it.
    fn lengthen(&mut self, lease: LeaseId, wanted: Span) {
        let term = self.ledger[lease].term;
        if wanted <= term {
            return;
        }
        if !self.durability.covers_term(wanted) {
            self.durability.want_grant(wanted);
            return self.durability.write(&mut self.outputs);
        }
        self.promises.remove(term);
        self.promises.add(wanted);
        self.durability.keep(wanted);
        self.ledger[lease].term = wanted;
    }

    /// A recalled lease reaches to the end of its grace, or as far as it did (invariant I25).
    ///
    /// What is left of the grace is promised anew even where the lease reaches further: a holder that
    /// lost continuity counts from that. So the lease counts from now on too, for whatever is more.
    /// The lower bound of now, which both are reckoned from, may be old: from an old stamp the lease
    /// would end before the promise does. Nothing is promised once the grace is over, so that this
    /// comes to an end, and never more than the term, which is what is durable: a break of the slow
    /// hand gives the grace back its whole length.
    fn renew_recalled(&mut self, lease: LeaseId) -> Renewed {
        let stamp = self.timeline.stamp();
        let known = &mut self.ledger[lease];
        let recalled = known.recalled().expect("only recalled leases come here");
        let grace_left = self.timeline.remaining_ceil(&recalled.stamp, recalled.grace);
        let grace_left = grace_left.min(known.term);
        let recall = Recall { until: grace_left, force: recalled.force };
        if !grace_left.is_zero() {
            let reaches = self.timeline.remaining_ceil(&known.stamp, known.term);
            planted!(self.timeline.hand, RecalledKeepsOldStamp => if reaches >= grace_left {
                return Renewed { term: grace_left, tag: None, recall: Some(recall) };
            });
            let lasts = reaches.max(grace_left);
            self.promises.remove(known.term);
            self.promises.add(lasts);
            known.stamp = stamp;
            known.term = lasts;
        }
        Renewed { term: grace_left, tag: None, recall: Some(recall) }
    }

    /// Tells one holder that its lease is wanted back. A second recall only makes it more urgent.
    fn recall(&mut self, lease: LeaseId, wanted: Recall) {
        if self.is_counted(lease) {
            // From now on bulk renewals pass it by: it counts from a stamp of its own.
            let stamp = self.latest_stamp(lease);
            self.count_out(lease);
            self.ledger[lease].stamp = stamp;
        }
        let known = &self.ledger[lease];
        let earlier = known.recalled();
        let until = earlier.map_or(Span::MAX, |e| self.timeline.remaining_ceil(&e.stamp, e.grace));
        let forced = wanted.force == Force::Now || earlier.is_some_and(|e| e.force == Force::Now);
        let (force, until, reason) = if forced {
            (Force::Now, Span::ZERO, EventReason::Forced)
        } else {
            (Force::Grace, until.min(wanted.until).min(known.term), EventReason::Recalled)
        };
        let (session, entry, fence) = (known.session, known.entry, known.fence);
        let recalled = Recalled { stamp: self.timeline.stamp(), grace: until, force };
        self.ledger[lease].recall(recalled);
        let name = self.ledger.names[entry].name.clone();
        let recall = Recall { until, force };
        self.send_to(session, FromGranter::Recalled { name, fence, recall });
        self.record(entry, fence, reason);
        planted!(self.timeline.hand, ForcedRecallFrees => if forced {
            self.free(lease, EventReason::Released);
        });
    }

    fn report_if_late(&mut self, lease: LeaseId) {
        let known = &self.ledger[lease];
        let (entry, fence, standing) = (known.entry, known.fence, known.standing);
        let late = known.term.scaled_floor(3, 4);
        let latest = self.latest_stamp(lease);
        if standing == Standing::Held && self.timeline.must_be_over(&latest, late) {
            self.record(entry, fence, EventReason::RenewedLate);
        }
    }

    fn free_over(&mut self, lease: LeaseId) {
        let reason = match self.ledger[lease].standing {
            Standing::Offered => EventReason::Lapsed,
            Standing::Held => EventReason::Expired,
        };
        self.free(lease, reason);
    }

    /// Takes a lease off its name: released by its holder, or certainly over.
    pub(super) fn free(&mut self, id: LeaseId, reason: EventReason) {
        if self.is_counted(id) {
            self.count_out(id);
        }
        let (lease, new_head) = self.ledger.unlink(id);
        if let Some(timer) = lease.timer {
            self.timers.remove(timer);
        }
        self.promises.remove(lease.term);
        self.lower_later();
        let holder = &mut self.sessions.all[lease.session];
        if let Some(head) = new_head {
            holder.leases = head;
        }
        holder.lease_count = holder.lease_count.saturating_sub(1);
        self.record(lease.entry, lease.fence, reason);
        self.forget_later(lease.session);
        if !planted!(self.timeline.hand, WaitersForgotten) {
            self.serve_later(lease.entry);
        }
        self.maybe_idle.push(lease.entry);
    }

    /// Sets the timer that lowers what a restart would wait, unless one is set.
    fn lower_later(&mut self) {
        if self.lowering || self.promises.longest_ceil() >= self.durability.wanted().longest_promise
        {
            return;
        }
        self.lowering = true;
        self.set_timer(LOWER_AFTER, Due::Lower);
    }

    /// Adds a lease to what its session holds in sum.
    fn count_in(&mut self, lease: LeaseId) {
        let known = &self.ledger[lease];
        let name = &self.ledger.names[known.entry].name;
        self.sessions.all[known.session].fingerprint_add(name, known.fence, known.mode);
    }

    fn count_out(&mut self, lease: LeaseId) {
        let known = &self.ledger[lease];
        let name = &self.ledger.names[known.entry].name;
        self.sessions.all[known.session].fingerprint_remove(name, known.fence, known.mode);
    }
}
