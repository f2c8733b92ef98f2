//! Connections and sessions: who speaks, and whether it is still the same life of the session.

use crate::audit::Disagreement;
use crate::identity::{Peer, RequestId, Rights, Secret, SessionId};
use crate::message::{FromGranter, Op, Opened, Reply, Request, ToGranter};
use crate::refusal::{Bound, Refusal};
use crate::slab::Id;

use super::io::{CloseReason, Output};
use super::odometer::Odometer;
use super::restart::Phase;
use super::sessions::Session;
use super::{Due, Granter};

impl Granter {
    pub(super) fn connected(&mut self, peer: Peer, rights: Rights) {
        self.sessions.connect(peer, rights);
        match self.phase {
            Phase::Waiting { .. } | Phase::Settling | Phase::Serving => {}
            Phase::Starting { .. } if planted!(self.timeline.hand, SpeaksBeforeBorn) => {}
            Phase::Starting { .. } | Phase::Stopping | Phase::Stopped => {
                self.close(peer, CloseReason::NotServing);
            }
        }
    }

    pub(super) fn received(&mut self, peer: Peer, message: ToGranter) {
        if self.sessions.peer(peer).is_none() {
            // Closed by us a moment ago; the driver drops what it had read of it.
            return;
        }
        match message {
            ToGranter::Open { session, secret } => self.open(peer, session, secret),
            ToGranter::Request(request) => self.request(peer, request),
            ToGranter::Ask { id, ask } => self.asked(peer, id, ask),
        }
    }

    pub(super) fn disconnected(&mut self, peer: Peer) {
        let Some(connection) = self.sessions.disconnect(peer) else { return };
        for watch in connection.watches {
            self.events.unwatch(peer, watch);
        }
        if let Some(session) = connection.session {
            planted!(self.timeline.hand, FreesOnDisconnect => self.free_all_of(session));
            self.forget_later(session);
        }
    }

    /// Sets the timer after which a session without connection and lease is forgotten.
    pub(super) fn forget_later(&mut self, session: Id<Session>) {
        let known = &self.sessions.all[session];
        if known.is_idle() && known.idle.is_none() {
            let timer = self.set_timer(self.limits.session_idle, Due::Session(session));
            self.sessions.all[session].idle = Some(timer);
        }
    }

    pub(super) fn session_due(&mut self, session: Id<Session>) {
        let known = &mut self.sessions.all[session];
        known.idle = None;
        if !known.is_idle() {
            return;
        }
        for waiter in core::mem::take(&mut known.waiters) {
            self.drop_waiter(waiter);
        }
        self.parked.retain(|parked| parked.session != session);
        self.sessions.remove(session);
    }

    fn open(&mut self, peer: Peer, id: SessionId, secret: Secret) {
        if self.sessions.peer(peer).is_some_and(|known| known.session.is_some()) {
            self.close(peer, CloseReason::Unwelcome);
            return;
        }
        let session = match self.sessions.find(id) {
            Some(session) if self.sessions.all[session].secret.matches(&secret) => session,
            Some(session) if planted!(self.timeline.hand, SecretUnchecked) => session,
            Some(_) => {
                self.send(peer, FromGranter::NotOpened(Refusal::WrongSecret));
                self.close(peer, CloseReason::Unwelcome);
                return;
            }
            None if self.sessions.all.len() >= self.limits.sessions_max => {
                let bound = Bound::Sessions { limit: self.limits.sessions_max };
                self.send(peer, FromGranter::NotOpened(Refusal::Full(bound)));
                return;
            }
            None => self.sessions.add(id, secret),
        };
        if let Some(old) = self.sessions.bind(session, peer) {
            // Nothing that is still unread of the old connection may be taken for this opening's.
            self.unbind(old);
            self.close(old, CloseReason::Superseded);
        }
        planted!(self.timeline.hand, EpochRepeats => self.sessions.all[session].opening = 1);
        if let Some(timer) = self.sessions.all[session].idle.take() {
            self.timers.remove(timer);
        }
        let opened = Opened {
            epoch: self.sessions.all[session].epoch(self.incarnation),
            wait_left: self.wait_left(),
            term_min: self.limits.term_min,
            term_max: self.limits.term_max,
        };
        self.send(peer, FromGranter::Opened(opened));
        // Its waiters were passed over while it had no connection.
        for waiter in self.sessions.all[session].waiters.clone() {
            self.serve_later(self.ledger.waiters[waiter].entry);
        }
    }

    fn request(&mut self, peer: Peer, request: Request) {
        let Request { epoch, id, op } = request;
        planted!(self.timeline.hand, StaleReleaseFrees => if let Op::Release { name, .. } = &op {
            return self.release_by_name(peer, id, name);
        });
        let session = match self.admit(peer, epoch, id) {
            Ok(session) => session,
            Err(refusal) => return self.refuse(peer, id, refusal),
        };
        match op {
            Op::Acquire(acquire) => self.acquire(session, id, acquire),
            Op::Renew { name, fence, term } => self.renew(session, id, &name, fence, term),
            Op::RenewAll { fingerprint } => self.renew_all(session, id, fingerprint),
            Op::Release { name, fence } => self.release(session, id, &name, fence),
            Op::Withdraw { name } => self.withdraw(session, id, &name),
            Op::Downgrade { name, fence } => self.downgrade(session, id, &name, fence),
            Op::Reclaim(reclaim) => self.reclaim(session, id, *reclaim),
            Op::Report(disagreement) => self.reported(session, id, disagreement),
        }
    }

    /// The session whose request this is, if it is one of its present life and not seen before.
    fn admit(
        &mut self,
        peer: Peer,
        epoch: crate::identity::Epoch,
        id: RequestId,
    ) -> Result<Id<Session>, Refusal> {
        let bound = self.sessions.peer(peer).and_then(|known| known.session);
        let session = bound.ok_or(Refusal::NoSession)?;
        let known = &mut self.sessions.all[session];
        if known.epoch(self.incarnation) != epoch {
            return Err(Refusal::StaleEpoch);
        }
        let is_used = known.last_id.is_some_and(|last| id <= last);
        if is_used && !planted!(self.timeline.hand, UsedIdAccepted) {
            return Err(Refusal::UsedId);
        }
        known.last_id = Some(id);
        Ok(session)
    }

    /// Replies to a session, with a stamp if one is due.
    ///
    /// A stamp is of this very moment, after the request was read and before the reply is sent: that
    /// is all that it needs, so replies that were long in coming may carry one too.
    pub(super) fn reply(&mut self, session: Id<Session>, id: RequestId, reply: Reply) {
        let known = &mut self.sessions.all[session];
        let Some(peer) = known.peer else { return };
        let stamp = match known.odometer {
            Some(last) => last.next(&self.timeline),
            None => Some(Odometer::begun(&self.timeline)),
        };
        known.odometer = stamp.or(known.odometer);
        let moved = stamp.map(|stamp| stamp.moved);
        self.send(peer, FromGranter::Reply { id, reply, moved });
    }

    /// A holder's clock and this one disagree, says the holder. Anybody can say so: it is counted and
    /// shown, and changes nothing about who holds what (invariant I51).
    fn reported(&mut self, session: Id<Session>, id: RequestId, disagreement: Disagreement) {
        self.disagreements = self.disagreements.saturating_add(1);
        planted!(self.timeline.hand, ReportFrees => self.free_all_of(session));
        let session_id = self.sessions.all[session].id;
        self.outputs.push_back(Output::Reported { session: session_id, disagreement });
        self.reply(session, id, Reply::Noted);
    }

    pub(super) fn refuse_session(&mut self, session: Id<Session>, id: RequestId, why: Refusal) {
        self.reply(session, id, Reply::Refused(why));
    }

    fn refuse(&mut self, peer: Peer, id: RequestId, why: Refusal) {
        self.send(peer, FromGranter::Reply { id, reply: Reply::Refused(why), moved: None });
    }

    /// Takes a connection's session away without touching the session.
    fn unbind(&mut self, peer: Peer) {
        if let Some(connection) = self.sessions.peer_mut(peer) {
            connection.session = None;
        }
    }

    fn close(&mut self, peer: Peer, why: CloseReason) {
        self.disconnected(peer);
        self.outputs.push_back(Output::Close { peer, why });
    }
}
