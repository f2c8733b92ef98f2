//! What the granter says, and which anchor each reply moves: only that of its own request.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::cell::Cell;

use crate::fence::{Fence, Mode};
use crate::identity::{Incarnation, RequestId};
use crate::message::{Force, Grant, Op, Recall, Renewed, RenewedSome, Reply, Tag};
use crate::name::Name;
use crate::refusal::Refusal;
use crate::time::{Remaining, Span};

use super::io::{Change, Ending, Handle};
use super::lease::{Anchor, Held, Lease, Limit, Promise, State, Told};
use super::{About, Acknowledged, Holder, Link};

/// The parts of an answer to a bulk renewal that have come.
#[derive(Debug)]
#[cfg_attr(feature = "copies", derive(Clone))]
pub(super) struct RenewedSoFar {
    id: RequestId,
    fences: BTreeSet<Fence>,
}

impl Holder {
    pub(super) fn replied(&mut self, id: RequestId, reply: Reply, moved: Option<Span>) {
        if let Some(moved) = moved {
            // Before the reply moves an anchor, which may not be trusted any more.
            self.audit(id, moved);
        }
        let Some(pending) = self.pending.get_mut(&id) else {
            planted!(self.hand, ReplayedGrantHeld => self.hold_replayed(&reply));
            return;
        };
        let about = pending.about;
        let received = Anchor::at(self.now.send_anchor());
        let anchor = planted!(self.hand, AnchorAtReceipt => received, else pending.anchor);
        let more_follows = match &reply {
            Reply::Queued { .. } => true,
            Reply::RenewedSome(some) => some.more,
            Reply::Granted(_)
            | Reply::Offered { .. }
            | Reply::Renewed(_)
            | Reply::RenewedAll
            | Reply::Released { .. }
            | Reply::Withdrawn
            | Reply::Downgraded { .. }
            | Reply::Reclaimed { .. }
            | Reply::Noted
            | Reply::Refused(_) => false,
        };
        if more_follows {
            pending.acknowledged = Acknowledged::Yes;
        } else {
            self.pending.remove(&id);
        }
        match reply {
            Reply::Granted(grant) => self.granted(id, about, anchor, grant),
            Reply::Offered { grant, .. } => self.offered(about, grant),
            Reply::Queued { ahead, wait_left } => self.queued(about, ahead, wait_left),
            Reply::Renewed(renewed) => self.renewed(id, about, anchor, renewed),
            Reply::RenewedAll => self.renewed_all(id, anchor),
            Reply::RenewedSome(some) => self.renewed_some(id, anchor, some),
            Reply::Released { .. } | Reply::Withdrawn => self.left(about),
            Reply::Downgraded { tag } => self.downgraded(about, tag),
            Reply::Reclaimed { tag } => self.reclaimed(id, about, anchor, tag),
            Reply::Noted => {}
            Reply::Refused(refusal) => self.refused(id, about, refusal),
        }
        if let About::Acquire(handle) | About::Leave(handle) = about {
            self.drop_if_done(handle);
        }
        self.persist();
    }

    /// Somebody wants a lease back.
    pub(super) fn recalled(&mut self, name: &Name, fence: Fence, recall: Recall) {
        let Some(handle) = self.by_name.get(name).copied() else { return };
        self.end_if_over(handle);
        let held = self.leases.get(&handle).and_then(Lease::held);
        if held.is_some_and(|held| held.fence == fence) {
            self.recall(handle, recall);
        }
    }

    fn granted(&mut self, id: RequestId, about: About, anchor: Anchor, grant: Grant) {
        let About::Acquire(handle) = about else { return };
        let Some(incarnation) = self.incarnation() else { return };
        let Some(lease) = self.leases.get_mut(&handle) else { return };
        match lease.state {
            State::Wanted => {}
            State::Ended(_) | State::Releasing { .. } if planted!(self.hand, CrossedGrantKept) => {}
            State::Ended(_) | State::Releasing { .. } => {
                return self.give_back(handle, grant.fence);
            }
            State::Confirming { .. } | State::Held(_) => return,
        }
        let promise = Promise { anchor, term: grant.term };
        match promise.remaining(&self.hand, &self.now) {
            Remaining::AtLeast(_) => self.hold_new(handle, id, promise, grant, incarnation),
            // Dead on arrival, though the granter keeps it: it is confirmed like an offer.
            Remaining::Over | Remaining::Unknown => self.confirm(handle, grant),
        }
    }

    fn offered(&mut self, about: About, grant: Grant) {
        let About::Acquire(handle) = about else { return };
        planted!(self.hand, OfferHeldAtOnce => return self.hold_from_now(handle, grant));
        match self.leases.get(&handle).map(|lease| &lease.state) {
            Some(State::Wanted) => self.confirm(handle, grant),
            Some(State::Ended(_) | State::Releasing { .. }) => {
                self.give_back(handle, grant.fence);
            }
            Some(State::Confirming { .. } | State::Held(_)) | None => {}
        }
    }

    /// A lease becomes valid with the sending of its confirmation as anchor.
    fn confirm(&mut self, handle: Handle, grant: Grant) {
        let Some(home) = self.incarnation() else { return };
        if let Some(lease) = self.leases.get_mut(&handle) {
            let Grant { fence, term, tag } = grant;
            lease.state = State::Confirming { fence, term, tag, home };
            self.send_renew(handle);
        }
    }

    /// An offer was wanted back before its confirmation was heard of: it is given back, and the
    /// name asked for again.
    fn yield_offer(&mut self, handle: Handle, fence: Fence) {
        self.give_back(handle, fence);
        if let Some(lease) = self.leases.get_mut(&handle) {
            lease.state = State::Wanted;
            self.send_acquire(handle);
        }
    }

    /// A grant crossed with the withdrawal: nobody wants it any more.
    fn give_back(&mut self, handle: Handle, fence: Fence) {
        if let Some(lease) = self.leases.get(&handle) {
            let name = lease.acquire.name.clone();
            self.send(About::Return, Op::Release { name, fence });
        }
    }

    fn queued(&mut self, about: About, ahead: u32, wait_left: Option<Span>) {
        let About::Acquire(handle) = about else { return };
        if self.leases.get(&handle).is_some_and(|lease| matches!(lease.state, State::Wanted)) {
            self.tell(handle, Change::Queued { ahead, wait_left });
        }
    }

    fn renewed(&mut self, id: RequestId, about: About, anchor: Anchor, renewed: Renewed) {
        let About::Renew(handle) = about else { return };
        let Some(incarnation) = self.incarnation() else { return };
        let last = RequestId(self.last_id);
        if !planted!(self.hand, ReplyRevives) {
            self.end_if_over(handle);
        }
        let promise = Promise { anchor, term: renewed.term };
        planted!(self.hand, RenewalUndoesRelease => self.take_back(handle, id, promise));
        let Some(lease) = self.leases.get_mut(&handle) else { return };
        if let State::Confirming { fence, term, tag, .. } = lease.state {
            let grant = Grant { fence, term, tag: renewed.tag.unwrap_or(tag) };
            match promise.remaining(&self.hand, &self.now) {
                Remaining::AtLeast(_) => self.hold_new(handle, id, promise, grant, incarnation),
                Remaining::Over if renewed.recall.is_some() => self.yield_offer(handle, fence),
                Remaining::Over => self.confirm(handle, grant),
                Remaining::Unknown => {
                    lease.state =
                        State::Confirming { fence, term, tag: grant.tag, home: incarnation };
                    self.persistence.found_vain();
                }
            }
        } else if let Some(held) = lease.held_mut() {
            held.renewing = held.renewing.filter(|newest| *newest != id);
            if held.home != incarnation {
                held.home = incarnation;
                held.since = id;
                held.counted_from = last;
            }
            held.extend(promise, &self.hand, &self.now);
            if renewed.recall.is_none() && renewed.term >= held.term {
                held.term = renewed.term;
                held.longer = held.longer.filter(|longer| *longer > renewed.term);
                held.tag = renewed.tag.unwrap_or(held.tag);
            }
            if renewed.recall.is_some() {
                held.forget_unmeasurable_grace(&self.hand, &self.now);
            }
            self.is_well(handle);
        }
        if let Some(recall) = renewed.recall {
            self.recall(handle, recall);
        }
        self.end_if_over(handle);
    }

    fn renewed_all(&mut self, id: RequestId, anchor: Anchor) {
        for handle in self.counted_before(id) {
            self.extend_counted(handle, anchor);
        }
    }

    /// The two sides hold different sets: what was renewed moves, and of the rest each is asked for.
    fn renewed_some(&mut self, id: RequestId, anchor: Anchor, some: RenewedSome) {
        let RenewedSome { fences, more } = some;
        let mut renewed = match self.renewed_so_far.take_if(|so_far| so_far.id == id) {
            Some(so_far) => so_far.fences,
            None => BTreeSet::new(),
        };
        renewed.extend(fences);
        if more {
            self.renewed_so_far = Some(RenewedSoFar { id, fences: renewed });
            return;
        }
        for handle in self.counted_before(id) {
            let fence = self.leases.get(&handle).and_then(Lease::held).map(|held| held.fence);
            let is_listed = fence.is_some_and(|fence| renewed.contains(&fence));
            if is_listed || planted!(self.hand, PartialBulkMovesAll) {
                self.extend_counted(handle, anchor);
            } else {
                self.send_renew(handle);
            }
        }
    }

    /// Leases that were held, and counted, when request `id` was sent.
    fn counted_before(&self, id: RequestId) -> Vec<Handle> {
        let Some(incarnation) = self.incarnation() else { return Vec::new() };
        let counted = |held: &Held| held.is_counted(incarnation) && held.counted_from < id;
        self.leases
            .iter()
            .filter(|(_, lease)| lease.held().is_some_and(counted))
            .map(|(handle, _)| *handle)
            .collect()
    }

    fn extend_counted(&mut self, handle: Handle, anchor: Anchor) {
        if !planted!(self.hand, ReplyRevives) {
            self.end_if_over(handle);
        }
        if let Some(held) = self.leases.get_mut(&handle).and_then(Lease::held_mut) {
            let promise = Promise { anchor, term: held.term };
            held.extend(promise, &self.hand, &self.now);
            self.is_well(handle);
            self.end_if_over(handle);
        }
    }

    fn left(&mut self, about: About) {
        let About::Leave(handle) = about else { return };
        if let Some(lease) = self.leases.get_mut(&handle)
            && let State::Releasing { ending, .. } = lease.state
        {
            lease.state = State::Ended(ending);
        }
    }

    fn downgraded(&mut self, about: About, tag: Tag) {
        let About::Downgrade(handle) = about else { return };
        if let Some(held) = self.leases.get_mut(&handle).and_then(Lease::held_mut) {
            (held.tag, held.tagged) = (tag, Mode::Shared);
            self.tell(handle, Change::Downgraded);
        }
    }

    fn reclaimed(&mut self, id: RequestId, about: About, anchor: Anchor, tag: Tag) {
        let About::Reclaim(handle) = about else { return };
        let Some(incarnation) = self.incarnation() else { return };
        let last = RequestId(self.last_id);
        self.end_if_over(handle);
        let Some(held) = self.leases.get_mut(&handle).and_then(Lease::held_mut) else { return };
        held.home = incarnation;
        held.since = id;
        held.counted_from = last;
        held.tag = tag;
        held.renewing = held.renewing.filter(|newest| *newest != id);
        let downgraded = held.tagged != held.mode;
        held.tagged = held.mode;
        let promise = Promise { anchor, term: held.term };
        held.extend(promise, &self.hand, &self.now);
        let wants_longer = held.longer.is_some();
        if downgraded {
            self.tell(handle, Change::Downgraded);
        }
        self.is_well(handle);
        self.end_if_over(handle);
        if wants_longer {
            self.send_renew(handle);
        }
    }

    fn refused(&mut self, id: RequestId, about: About, refusal: Refusal) {
        match about {
            About::Acquire(handle) => {
                let wanted =
                    self.leases.get(&handle).is_some_and(|l| matches!(l.state, State::Wanted));
                // A later transmission of the same wish may still be answered.
                let asked_again = self.pending.values().any(|p| p.about == about);
                if wanted && !asked_again {
                    self.end(handle, Ending::Refused(refusal));
                }
            }
            About::Renew(handle) => self.renewal_refused(id, handle, refusal),
            About::Reclaim(handle) => self.reclaim_refused(id, handle, refusal),
            About::Leave(_) => self.left(about),
            About::Downgrade(handle) if refusal == Refusal::NotHeldHere => {
                self.end(handle, Ending::Lost(refusal));
            }
            About::RenewAll | About::Return | About::Report | About::Downgrade(_) => {}
        }
    }

    fn reclaim_refused(&mut self, id: RequestId, handle: Handle, refusal: Refusal) {
        if let Some(held) = self.leases.get_mut(&handle).and_then(Lease::held_mut) {
            held.renewing = held.renewing.filter(|newest| *newest != id);
        }
        if refusal == Refusal::NotReclaimable {
            // After the wait an earlier reclaim may have succeeded whose answer was lost: a renewal
            // tells.
            self.send_renew(handle);
        } else if let Refusal::Full(_) = refusal {
            // Room may be found yet. Nobody else is given the name while this lease lasts, so it goes
            // on to its end.
            self.tell(handle, Change::NotRenewed(refusal));
        } else if !matches!(refusal, Refusal::StaleEpoch | Refusal::WrongIncarnation { .. }) {
            // Those two are of a connection that is being replaced, and say nothing about the lease.
            self.end(handle, Ending::Lost(refusal));
        }
    }

    fn renewal_refused(&mut self, id: RequestId, handle: Handle, refusal: Refusal) {
        let Some(lease) = self.leases.get_mut(&handle) else { return };
        if let Some(held) = lease.held_mut() {
            held.renewing = held.renewing.filter(|newest| *newest != id);
            if held.since > id {
                return;
            }
        }
        match (&lease.state, refusal) {
            (State::Confirming { .. }, Refusal::NotHeldHere) => {
                // The offer lapsed before the confirmation arrived: back to the end of the queue.
                lease.state = State::Wanted;
                self.send_acquire(handle);
            }
            (State::Held(_), Refusal::NotHeldHere) => self.end(handle, Ending::Lost(refusal)),
            (State::Held(_), _) => {
                if let Some(held) = lease.held_mut() {
                    held.longer = None;
                }
                self.tell(handle, Change::NotRenewed(refusal));
            }
            (
                State::Confirming { .. }
                | State::Wanted
                | State::Releasing { .. }
                | State::Ended(_),
                _,
            ) => {}
        }
    }

    pub(super) fn hold_new(
        &mut self,
        handle: Handle,
        since: RequestId,
        promise: Promise,
        grant: Grant,
        home: Incarnation,
    ) {
        let Some(lease) = self.leases.get_mut(&handle) else { return };
        lease.state = State::Held(Held {
            fence: grant.fence,
            mode: lease.acquire.mode,
            promise,
            term: grant.term.max(promise.term),
            tag: grant.tag,
            tagged: lease.acquire.mode,
            home,
            since,
            counted_from: RequestId(self.last_id),
            renewing: None,
            longer: None,
            recall: None,
            limit: Limit::Promise,
            told: Told::Nothing,
            seen_over: Cell::new(false),
        });
        self.publish_hold(handle);
        self.set_lease_timer(handle);
        self.tell(handle, Change::Acquired);
    }

    /// A promise arrived: the guard learns of it, and so does the user. One that is over already is
    /// left to `end_if_over`, since no timer would end it.
    fn is_well(&mut self, handle: Handle) {
        let Some(held) = self.leases.get_mut(&handle).and_then(Lease::held_mut) else { return };
        match held.remaining(&self.hand, &self.now) {
            Remaining::AtLeast(_) => {
                held.told = Told::Nothing;
                self.persistence.helped();
            }
            // It came too late for a lease that was suspect: all that was ever promised is over.
            Remaining::Over => return,
            // A break of continuity came between: this renewal does not help, the next one may.
            Remaining::Unknown => self.persistence.found_vain(),
        }
        self.publish_hold(handle);
        self.set_lease_timer(handle);
        self.tell(handle, Change::Renewed);
    }

    /// A lease is wanted back: its guard lets nothing pass once the grace is over (invariant I25).
    fn recall(&mut self, handle: Handle, recall: Recall) {
        planted!(self.hand, RecallIgnored => return);
        let Some(held) = self.leases.get_mut(&handle).and_then(Lease::held_mut) else { return };
        let anchor = Anchor::at(self.now.send_anchor());
        let until = Promise { anchor, term: recall.until };
        let is_sooner =
            held.recall.is_none_or(|known| until.ends_before(&known, &self.hand, &self.now));
        if is_sooner {
            held.recall = Some(until);
        }
        held.settle(&self.hand, &self.now);
        match recall.force {
            Force::Now => {
                let told = Change::Recalled { until: recall.until, force: recall.force };
                self.tell(handle, told);
                self.release(handle, Ending::Recalled);
            }
            Force::Grace => {
                self.publish_hold(handle);
                self.set_lease_timer(handle);
                if is_sooner {
                    let Recall { until, force } = recall;
                    self.tell(handle, Change::Recalled { until, force });
                }
                // With no grace left there is no timer that would end it.
                self.end_if_over(handle);
            }
        }
    }

    pub(super) const fn incarnation(&self) -> Option<Incarnation> {
        match self.link {
            Link::Open(epoch) => Some(epoch.incarnation),
            Link::Down | Link::Opening { .. } => None,
        }
    }
}
