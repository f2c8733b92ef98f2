//! Who gets a name, who waits for it, who is offered it next.

use crate::fence::Mode;
use crate::identity::RequestId;
use crate::message::{Acquire, EventReason, Force, Grant, Recall, Reply, Wait};
use crate::name::{Name, Value};
use crate::refusal::{Bound, Refusal};
use crate::slab::Id;
use crate::time::Span;

use super::ledger::{Entry, Lease, LeaseId, Standing, Waiter};
use super::restart::Phase;
use super::sessions::Session;
use super::{Due, Granter, SLICE};

/// An acquire that could be granted at once, but for something that is not durable yet.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) session: Id<Session>,
    pub(super) id: RequestId,
    pub(super) acquire: Acquire,
}

impl Parked {
    fn is_of(&self, session: Id<Session>, name: &Name) -> bool {
        self.session == session && self.acquire.name == *name
    }
}

/// What a session has on a name.
#[derive(Debug, Clone, Copy)]
struct Own {
    lease: Option<LeaseId>,
    waiter: Option<Id<Waiter>>,
}

/// What comes of an acquire that is not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    /// The lease.
    Grant,
    /// The lease, once what it needs is durable.
    Park,
    /// A place at the end of the queue.
    Wait,
    /// The place in the queue that the session has.
    WaitOn(Id<Waiter>),
}

impl Granter {
    pub(super) fn acquire(&mut self, session: Id<Session>, id: RequestId, acquire: Acquire) {
        if let Err(refusal) = self.admit_acquire(&acquire) {
            return self.refuse_session(session, id, refusal);
        }
        let entry = self.ledger.entry(&acquire.name);
        self.maybe_idle.push(entry);
        self.free_if_over(entry);
        let own = Own {
            lease: self.ledger.lease_of(entry, session),
            waiter: self.waiter_on(entry, session),
        };
        match self.course(entry, session, own, &acquire) {
            // It changes nothing: neither a lease nor a place in the queue is given up for it.
            Err(refusal) => self.refuse_session(session, id, refusal),
            Ok(course) => self.follow(course, entry, session, id, own, acquire),
        }
    }

    /// The session wants nothing of the name any more: neither a place in its queue, nor what it
    /// was given and has not heard of.
    pub(super) fn withdraw(&mut self, session: Id<Session>, id: RequestId, name: &Name) {
        let entry = self.ledger.find(name);
        self.drop_pending(session, name, entry);
        if let Some(lease) = entry.and_then(|entry| self.ledger.lease_of(entry, session)) {
            self.free(lease, EventReason::Released);
        }
        self.reply(session, id, Reply::Withdrawn);
    }

    /// Drops every acquire of the session for the name that has not led to a lease.
    pub(super) fn drop_pending(
        &mut self,
        session: Id<Session>,
        name: &Name,
        entry: Option<Id<Entry>>,
    ) {
        self.parked.retain(|parked| !parked.is_of(session, name));
        if let Some(waiter) = entry.and_then(|entry| self.waiter_on(entry, session)) {
            self.drop_waiter(waiter);
        }
    }

    pub(super) fn waiter_due(&mut self, waiter: Id<Waiter>) {
        self.ledger.waiters[waiter].timer = None;
        let Waiter { session, id, .. } = self.drop_waiter(waiter);
        self.refuse_session(session, id, Refusal::WaitedOut);
    }

    /// Takes a waiter out of the queue, which lets those behind it move up.
    pub(super) fn drop_waiter(&mut self, waiter: Id<Waiter>) -> Waiter {
        let waiter = self.take_waiter(waiter);
        self.serve_later(waiter.entry);
        self.maybe_idle.push(waiter.entry);
        waiter
    }

    /// Has the name's waiters looked at before this input's outputs are done.
    pub(super) fn serve_later(&mut self, entry: Id<Entry>) {
        if self.ledger.waiting(entry) == 0 {
            return;
        }
        let contention = self.ledger.contention(entry);
        if !contention.to_serve {
            contention.to_serve = true;
            self.to_serve.push_back(entry);
        }
    }

    /// Whether offers can be made at all now.
    pub(super) fn can_serve(&self) -> bool {
        matches!(self.phase, Phase::Serving)
    }

    /// Offers names to their next waiters, up to a slice.
    pub(super) fn serve_names(&mut self) {
        let mut budget = SLICE;
        while self.can_serve() && budget > 0 {
            let Some(entry) = self.to_serve.pop_front() else { break };
            self.ledger.contention(entry).to_serve = false;
            self.serve(entry, &mut budget);
            self.maybe_idle.push(entry);
        }
    }

    /// Grants what waited for the store, now that it may be covered.
    pub(super) fn unpark(&mut self) {
        for Parked { session, id, acquire } in core::mem::take(&mut self.parked) {
            self.acquire(session, id, acquire);
        }
    }

    /// Refuses what waited for the store.
    pub(super) fn refuse_parked(&mut self) {
        for Parked { session, id, .. } in core::mem::take(&mut self.parked) {
            self.refuse_session(session, id, Refusal::StoreUnavailable);
        }
    }

    /// Serves the names again whose next offer waited for the store.
    pub(super) fn serve_starved(&mut self) {
        self.to_serve.append(&mut self.starved);
    }

    fn admit_acquire(&self, acquire: &Acquire) -> Result<(), Refusal> {
        if acquire.term < self.limits.term_min {
            return Err(Refusal::TermTooShort { min: self.limits.term_min });
        }
        if acquire.term > self.limits.term_max {
            return Err(Refusal::TermTooLong { max: self.limits.term_max });
        }
        match self.phase {
            Phase::Waiting { .. } | Phase::Settling | Phase::Serving => Ok(()),
            Phase::Starting { .. } | Phase::Stopping | Phase::Stopped => Err(Refusal::Stopping),
        }
    }

    /// What comes of an acquire, or why nothing does. Whatever the session has on the name counts as
    /// given up: it never heard of its lease, or does not want it any more.
    fn course(
        &self,
        entry: Id<Entry>,
        session: Id<Session>,
        own: Own,
        acquire: &Acquire,
    ) -> Result<Course, Refusal> {
        let held = own.lease.map(|lease| &self.ledger[lease]);
        if acquire.mode == Mode::Exclusive && held.is_some_and(|held| held.mode == Mode::Shared) {
            return Err(Refusal::NoUpgrade);
        }
        if let Some(waiter) = own.waiter
            && self.ledger.waiters[waiter].acquire.mode == acquire.mode
            && acquire.wait != Wait::Try
        {
            return Ok(Course::WaitOn(waiter));
        }
        // Without its own lease the name is free for it: that stood alone, or beside shared ones.
        let free = held.is_some() || self.compatible(entry, acquire.mode);
        // A lease that nobody wants back keeps its place before those who wait.
        let is_first = held.is_some_and(|held| held.recalled().is_none())
            || !self.has_waiters_served_first(entry, own.waiter);
        if !(free && is_first && matches!(self.phase, Phase::Serving)) {
            return self.may_wait(entry, own, acquire.wait).map(|()| Course::Wait);
        }
        if let Some(full) = self.is_full(own) {
            return Err(full);
        }
        if !self.durability.has_fences() {
            return Err(Refusal::Full(Bound::Fences));
        }
        if self.durability.covers_grant(acquire.term) {
            return Ok(Course::Grant);
        }
        let others = self.parked.iter().filter(|p| !p.is_of(session, &acquire.name)).count();
        let limit = self.limits.parked_max;
        if u32::try_from(others).unwrap_or(u32::MAX) >= limit {
            return Err(Refusal::Full(Bound::Parked { limit }));
        }
        Ok(Course::Park)
    }

    fn follow(
        &mut self,
        course: Course,
        entry: Id<Entry>,
        session: Id<Session>,
        id: RequestId,
        own: Own,
        acquire: Acquire,
    ) {
        self.parked.retain(|parked| !parked.is_of(session, &acquire.name));
        match course {
            Course::WaitOn(waiter) => self.wait_on(waiter, id, acquire),
            Course::Park => {
                // One in another mode would be another wish; the place of this one is kept.
                let of_other_mode =
                    |waiter: &Id<Waiter>| self.ledger.waiters[*waiter].acquire.mode != acquire.mode;
                if let Some(waiter) = own.waiter.filter(of_other_mode) {
                    self.drop_waiter(waiter);
                }
                self.park(session, id, acquire);
            }
            Course::Grant | Course::Wait => {
                planted!(self.timeline.hand, SecondAcquireKeepsFence => {
                    if let Some(own) = own.lease {
                        return self.grant_again(own, id);
                    }
                });
                // It gets a new lease with a new fence in place of the old one, never the old fence
                // again.
                if let Some(lease) = own.lease {
                    self.free(lease, EventReason::Released);
                }
                if let Some(waiter) = own.waiter {
                    self.drop_waiter(waiter);
                }
                if course == Course::Grant {
                    self.grant(entry, session, id, acquire);
                } else {
                    self.wait(entry, session, id, acquire);
                }
            }
        }
    }

    fn grant(&mut self, entry: Id<Entry>, session: Id<Session>, id: RequestId, acquire: Acquire) {
        let Acquire { mode, term, value, .. } = acquire;
        let grant = self.give(entry, session, mode, term, value, Standing::Held);
        self.reply(session, id, Reply::Granted(grant));
    }

    /// Parks an acquire until what it needs is durable.
    fn park(&mut self, session: Id<Session>, id: RequestId, acquire: Acquire) {
        self.durability.want_grant(acquire.term);
        self.parked.push_back(Parked { session, id, acquire });
        self.durability.write(&mut self.outputs);
    }

    /// Why an acquire gets no place in the queue, if it does not.
    fn may_wait(&self, entry: Id<Entry>, own: Own, wait: Wait) -> Result<(), Refusal> {
        let others = self.ledger.waiting(entry).saturating_sub(u32::from(own.waiter.is_some()));
        match (wait, self.wait_left()) {
            (Wait::Try, Some(left)) => Err(Refusal::RestartWait { left }),
            (Wait::Try, None) => Err(Refusal::Held { waiters: others }),
            (Wait::AtMost(_) | Wait::Unbounded, _) => {
                let limit = self.limits.waiters_per_name_max;
                let full = (others >= limit).then_some(Refusal::QueueFull { limit });
                full.or_else(|| self.is_full(own)).map_or(Ok(()), Err)
            }
        }
    }

    /// Takes a place at the end of the queue.
    fn wait(&mut self, entry: Id<Entry>, session: Id<Session>, id: RequestId, acquire: Acquire) {
        let (waiters, wait_left) = (self.ledger.waiting(entry), self.wait_left());
        let wait = acquire.wait;
        let waiter = Waiter { session, entry, id, acquire, timer: None };
        let waiter = self.ledger.waiters.insert(waiter);
        self.ledger.contention(entry).queue.push_back(waiter);
        self.sessions.all[session].waiters.push(waiter);
        self.set_wait(waiter, wait);
        self.reply(session, id, Reply::Queued { ahead: waiters, wait_left });
        if let Some(grace) = self.limits.recall_on_wait {
            self.recall_all(entry, Recall { until: grace, force: Force::Grace });
        }
        // Nothing may be in the way but the restart wait, or waiters that have no connection.
        self.serve_later(entry);
    }

    /// The same session asks again: it keeps its place, and the newest request is answered.
    fn wait_on(&mut self, waiter: Id<Waiter>, id: RequestId, acquire: Acquire) {
        let Waiter { session, entry, timer, .. } = self.ledger.waiters[waiter];
        if let Some(timer) = timer {
            self.timers.remove(timer);
        }
        let wait = acquire.wait;
        let known = &mut self.ledger.waiters[waiter];
        known.id = id;
        known.acquire = acquire;
        known.timer = None;
        self.set_wait(waiter, wait);
        let queue = &self.ledger.contention(entry).queue;
        let ahead = queue.iter().position(|queued| *queued == waiter).unwrap_or(0);
        let ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
        let wait_left = self.wait_left();
        self.reply(session, id, Reply::Queued { ahead, wait_left });
        self.serve_later(entry);
    }

    fn set_wait(&mut self, waiter: Id<Waiter>, wait: Wait) {
        let timer = match wait {
            Wait::AtMost(span) => Some(self.set_timer(span, Due::Waiter(waiter))),
            Wait::Try | Wait::Unbounded => None,
        };
        self.ledger.waiters[waiter].timer = timer;
    }

    /// Offers a name to as many of its waiters as may hold it together.
    fn serve(&mut self, entry: Id<Entry>, budget: &mut u32) {
        self.free_if_over(entry);
        loop {
            *budget = budget.saturating_sub(1);
            let Some(contention) = self.ledger.names.get(entry).and_then(|e| e.contention.as_ref())
            else {
                return;
            };
            let connected = |waiter: &&Id<Waiter>| {
                let session = self.ledger.waiters[**waiter].session;
                self.sessions.all[session].peer.is_some()
            };
            let Some(next) = contention.queue.iter().find(connected).copied() else { return };
            let Acquire { mode, term, .. } = self.ledger.waiters[next].acquire;
            if !self.compatible(entry, mode) || !self.durability.has_fences() {
                return;
            }
            if !self.durability.covers_grant(term) {
                self.durability.want_grant(term);
                self.durability.write(&mut self.outputs);
                self.ledger.contention(entry).to_serve = true;
                self.starved.push_back(entry);
                return;
            }
            if *budget == 0 {
                return self.serve_later(entry);
            }
            self.offer(next);
        }
    }

    fn offer(&mut self, waiter: Id<Waiter>) {
        let Waiter { session, entry, id, acquire, .. } = self.take_waiter(waiter);
        let Acquire { mode, term, value, .. } = acquire;
        let grant = self.give(entry, session, mode, term, value, Standing::Offered);
        let life = term.min(super::ledger::OFFER_LIFE);
        self.reply(session, id, Reply::Offered { grant, life });
    }

    /// Makes a lease. What it needs is durable, and nobody holds the name who must not beside it.
    fn give(
        &mut self,
        entry: Id<Entry>,
        session: Id<Session>,
        mode: Mode,
        term: Span,
        value: Option<Value>,
        standing: Standing,
    ) -> Grant {
        assert!(self.compatible(entry, mode), "a name is given only when it is free");
        assert!(self.durability.covers_grant(term), "a grant's fence and term are durable first");
        let fence = self.durability.take_fence();
        // Before anything is written: that record must not forget this lease.
        self.durability.keep(term);
        self.durability.write(&mut self.outputs);
        let stamp = self.timeline.stamp();
        let lease = Lease::unlinked(entry, session, fence, mode, term, stamp, standing, value);
        self.install(lease);
        let reason = match standing {
            Standing::Offered => EventReason::Offered,
            Standing::Held => EventReason::Granted,
        };
        self.record(entry, fence, reason);
        let tag = self.tag(session, entry, mode, fence, term);
        Grant { fence, term, tag }
    }

    /// Whether a lease of this mode may stand beside those on the name.
    fn compatible(&self, entry: Id<Entry>, mode: Mode) -> bool {
        let Some(newest) = self.ledger.names[entry].newest else { return true };
        let newest = &self.ledger[newest];
        planted!(self.timeline.hand, QueueBeforeFree => if newest.recalled().is_some() { return true; });
        planted!(self.timeline.hand, SharedBesideExclusive => return mode == Mode::Shared);
        mode == Mode::Shared && newest.mode == Mode::Shared
    }

    /// Why there is no room for one lease or waiter more, if there is none, once what the session has is
    /// given up: whoever waits is given a lease in the end, on whatever name, and must find room then.
    fn is_full(&self, own: Own) -> Option<Refusal> {
        let limit = self.limits.leases_max;
        let all = self.ledger.lease_count().saturating_add(self.ledger.waiters.len());
        let given_up = u32::from(own.lease.is_some()).saturating_add(own.waiter.is_some().into());
        let all = all.saturating_sub(given_up);
        (all >= limit).then_some(Refusal::Full(Bound::Leases { limit }))
    }

    /// Whether somebody else with a connection stands in the queue already.
    fn has_waiters_served_first(&self, entry: Id<Entry>, own: Option<Id<Waiter>>) -> bool {
        self.ledger.names[entry].contention.as_ref().is_some_and(|contention| {
            contention.queue.iter().filter(|waiter| Some(**waiter) != own).any(|waiter| {
                self.sessions.all[self.ledger.waiters[*waiter].session].peer.is_some()
            })
        })
    }

    fn waiter_on(&self, entry: Id<Entry>, session: Id<Session>) -> Option<Id<Waiter>> {
        let queue = &self.ledger.names[entry].contention.as_ref()?.queue;
        queue.iter().copied().find(|waiter| self.ledger.waiters[*waiter].session == session)
    }

    /// Takes a waiter out of its queue, its session and the timers.
    fn take_waiter(&mut self, id: Id<Waiter>) -> Waiter {
        let waiter = self.ledger.waiters.remove(id).expect("a queued waiter exists");
        if let Some(timer) = waiter.timer {
            self.timers.remove(timer);
        }
        self.sessions.all[waiter.session].waiters.retain(|known| *known != id);
        self.ledger.contention(waiter.entry).queue.retain(|queued| *queued != id);
        waiter
    }
}
